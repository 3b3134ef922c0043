"""Gradient descent in steps, on two processes: what the trainings of all models share.

The result does not depend on the number of processes: a step always has the same two groups of examples, whose
gradients are added in the same order. Nor does it depend on where a training was stopped and resumed, because each step
has its own random numbers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..processes.threads import one_thread
from ..processes.workers import open_helper, open_workers
from .muon import Muon, Weights

WARM_UP, AVERAGE_DECAY = 0.1, 0.99  # usual values; other schedules gave no more
DIED = "a process of the training died, possibly because memory ran out; try --jobs 1"


@dataclass(frozen=True, eq=False)
class State:
    """State of a training after ``n_steps`` steps: the weights, their running mean, and the state of the optimiser."""

    n_steps: int
    weights: Weights
    average: Weights
    optimiser: dict[str, np.ndarray]


OnStep = Callable[[Callable[[], State]], None]


def prepare_all(function: Callable[[int], Any], n: int, n_jobs: int) -> Iterator[Any]:
    """Yield ``function(0)``, ``function(1)``, ... ``function(n - 1)``, computed by ``n_jobs`` processes.

    Raises
    ------
    InputError
        If the function raises it.
    ConfigError
        If a process dies.
    """
    if n_jobs == 1:
        yield from map(function, range(n))
        return
    with open_workers("local", n_jobs) as (submit, died):
        futures = [submit(function, index) for index in range(n)]
        try:
            for future in futures:
                yield future.result()
        except died as err:
            raise ConfigError(DIED) from err


def descend(
    weights: Weights,
    optimiser: Muon,
    gradients_of: Callable[[int, int, Weights], Weights],
    n_steps: int,
    n_jobs: int,
    on_step: OnStep,
    state: State | None = None,
    rate: float = 1.0,
) -> Weights:
    """Train weights, and return their average over the last steps.

    Parameters
    ----------
    weights : dict of ndarray
        Initial weights.
    optimiser : Muon
    gradients_of : callable
        Returns the gradients of a group of examples, from the number of the group (0 or 1), the number of the step, and
        the weights.
    n_steps, n_jobs : int
    on_step : callable
        Called after each step with a function that returns the `State`.
    state : State, optional
        Where to resume.
    rate : float
        Highest learning rate, relative to that of the optimiser.

    Raises
    ------
    ConfigError
        If a process dies.
    """
    average, done = {name: np.zeros_like(w) for name, w in weights.items()}, 0
    if state:
        weights, average, done = state.weights, state.average, state.n_steps
        optimiser.resume(state.optimiser)
    with one_thread(), _beside(partial(gradients_of, 1), n_jobs) as begin:
        for step in range(done + 1, n_steps + 1):
            wait = begin(step, weights)
            # A sum, since Muon and Adam do not depend on the scale.
            gradients = add(gradients_of(0, step, weights), wait())
            weights = optimiser.step(weights, gradients, rate * learning_rate(step / n_steps))
            share = np.float32(max(1 - AVERAGE_DECAY, 1 / step))
            average = {name: mean + share * (weights[name] - mean) for name, mean in average.items()}
            on_step(partial(State, step, weights, average, optimiser.state()))
    return average


@contextmanager
def _beside(function: Callable, n_jobs: int) -> Iterator[Callable[..., Callable]]:
    """Give a function that starts a call of ``function``, and returns a function that waits for its result.

    The call runs in a process of its own if ``n_jobs`` allows one. Threads would not help: NumPy's operations on an
    excerpt are so short that the threads would mostly wait for each other.
    """
    if n_jobs == 1:
        yield lambda *args: partial(function, *args)
        return
    with open_helper(function) as begin:
        yield lambda *args: partial(_unless_dead, _unless_dead(begin, *args))


def _unless_dead(function: Callable, *args: Any) -> Any:
    try:
        return function(*args)
    except (EOFError, OSError) as err:
        raise ConfigError(DIED) from err


def add(*parts: Weights) -> Weights:
    """Return the sum of gradients, added in the given order."""
    first, *rest = parts
    total = dict(first)
    for part in rest:
        total = {name: gradient + part[name] for name, gradient in total.items()}
    return total


def learning_rate(progress: float) -> float:
    """Return the learning rate relative to its maximum: a linear warm-up, then a half cosine; progress is 0..1."""
    if progress < WARM_UP:
        return max(progress / WARM_UP, 0.04)
    return 0.5 * (1 + np.cos(np.pi * (progress - WARM_UP) / (1 - WARM_UP)))
