"""Training of the network in `band_gains`.

It is asked for the least error of the vocals, in each recording against the error that the default leaves there, as
what is gained counts in dB. Beside that it learns two things that the gains have in common: whether somebody sings,
from labels, and how loud, from the true voice.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import scipy.special

from ..dsp.stft import stft
from ..errors import ConfigError
from ..processes import memory
from ..processes.threads import one_thread
from ..processes.workers import open_helper
from ..trained import band_gains
from ..trained.network import Tape
from ..types import Audio
from .muon import Muon, Weights

N_TOGETHER, EXCERPT_FRAMES = 3, 160  # excerpts of a step in each of two groups, and how long they are
WARM_UP, AVERAGE_OF = 0.1, 0.99  # usual values; other schedules gave no more
OUTPUTS = ("gains", "sung2")  # layers
SUNG_WEIGHT, LEVEL_WEIGHT = 0.3, 0.2  # half of the first, or twice the second: AUC of `amy` -0.0008, -0.0007
P_DROPPED = 0.1  # of the coarsest maps (Srivastava et al. 2014)
TONE = 0.7  # standard deviation of a random tone of the mixture, in natural logarithms of power
LEAST_ERROR = 0.02  # of the energy of the voice, lest a recording without accompaniment outweighs all; no other tried
DIED = "a process of the training has died, maybe for want of memory; try --jobs 1"


@dataclass(frozen=True, eq=False)
class Lesson:
    """What the network learns from a recording, in frames every 20 ms.

    Attributes
    ----------
    clues : band_gains.Clues
        Levels as float16, for those of all recordings are kept.
    power_6TB : ndarray, shape (6, T, B), float32
        Sums over each band of U U*, U R*, R R*, V U*, V R*, V V*, the spectra of the voice that was found, of the rest
        and of the true voice: all that the error of any gains depends on.
    sung_T : ndarray of int, shape (T,)
        1 where somebody sings, 0 where nobody does, -1 without a label.
    """

    clues: band_gains.Clues
    power_6TB: np.ndarray
    sung_T: np.ndarray

    @property
    def n_frames(self) -> int:
        """T."""
        return len(self.sung_T)


def lesson(clues: band_gains.Clues, mixture: Audio, found: Audio, voice: Audio, sung_T: np.ndarray) -> Lesson:
    """What is learned from a mixture whose voice is known, all (1, N) at `band_gains.RATE_HZ`."""
    scale = np.float32(1 / np.sqrt(np.mean(mixture.samples**2, dtype=float) + 1e-12))
    sounds = [found.samples, mixture.samples - found.samples, voice.samples]
    spectra = [stft(Audio(scale * s, mixture.rate_hz), band_gains.LONG_MS, band_gains.HOP_MS) for s in sounds]
    U_TF, R_TF, V_TF = (spectrum.values[0].T for spectrum in spectra)
    pairs = ((U_TF, U_TF), (U_TF, R_TF), (R_TF, R_TF), (V_TF, U_TF), (V_TF, R_TF), (V_TF, V_TF))
    power_6TB = np.stack([band_gains.band_sums((A * B.conj()).real, spectra[0]) for A, B in pairs])
    return Lesson(clues._replace(level_6TB=clues.level_6TB.astype(np.float16)), power_6TB, sung_T)


class Excerpt(NamedTuple):
    """A part of a lesson.

    Attributes
    ----------
    clues : band_gains.Clues
    power_6TB : ndarray, shape (6, T, B)
        Against the error of a frame that the default leaves in the lesson.
    sung_T, level_T : ndarray, shape (T,)
        See `Lesson` and `target_level`.
    offset_B : ndarray, shape (B,)
        Another tone of the recording, see `band_gains.maps`.
    heard_C : ndarray, shape (C,)
        Factors on the coarsest maps.
    """

    clues: band_gains.Clues
    power_6TB: np.ndarray
    sung_T: np.ndarray
    level_T: np.ndarray
    offset_B: np.ndarray
    heard_C: np.ndarray


def error(voice_TB, rest_TB, power_6TB) -> np.ndarray:
    """|V - g U - h R|^2 in each band, shape (T, B)."""
    uu, ur, rr, vu, vr, vv = power_6TB
    return voice_TB**2 * uu + 2 * voice_TB * rest_TB * ur + rest_TB**2 * rr - 2 * (voice_TB * vu + rest_TB * vr) + vv


def train(lessons: list[Lesson], n_steps: int, seed: int, n_jobs: int, tell: Callable[[int], None]) -> Weights:
    """Weights of the network, learned from random excerpts, and averaged over the last steps.

    ``tell`` is called with the number of each step. The result does not depend on ``n_jobs``, the number of processes:
    the excerpts of a step are computed in the same groups, and their slopes added in the same order.

    Raises
    ------
    ConfigError
        If a process dies.
    """
    first, *others = np.random.default_rng(seed).spawn(3)
    weights = start_weights(first)
    muon = Muon(weights, [f"{name}_kernel" for name in band_gains.layers() if name not in OUTPUTS])
    average = {name: np.zeros_like(w) for name, w in weights.items()}
    excerpts = Excerpts(lessons)
    ours, theirs = (partial(slopes_of_random, excerpts, N_TOGETHER, rng) for rng in others)
    with one_thread(), _beside(theirs, n_jobs) as begin:
        for step in range(1, n_steps + 1):
            wait = begin(weights)
            slopes = add(ours(weights), wait())  # their size does not matter to Muon and Adam
            weights = muon.step(weights, slopes, pace(step / n_steps))
            for name, w in weights.items():
                average[name] += np.float32(max(1 - AVERAGE_OF, 1 / step)) * (w - average[name])
            tell(step)
    return average


@contextmanager
def _beside(function: Callable, n_jobs: int) -> Iterator[Callable[..., Callable]]:
    """Gives a function that begins another, in a process of its own if there may be one, and gives one that waits.

    NumPy's operations on an excerpt are too short for threads, which wait for one another more than they compute.
    """
    if n_jobs == 1:
        yield lambda *args: partial(function, *args)
        return
    with open_helper(function) as begin:
        yield lambda *args: partial(_unless_dead, _unless_dead(begin, *args))


def _unless_dead(function: Callable, *args):
    try:
        return function(*args)
    except (EOFError, OSError) as err:
        raise ConfigError(DIED) from err


def add(*parts: Weights) -> Weights:
    """Sum of slopes, in their order."""
    first, *rest = parts
    total = dict(first)
    for part in rest:
        total = {name: slope + part[name] for name, slope in total.items()}
    return total


def pace(done: float) -> float:
    """Share of the highest learning rate, when so much of the training is done: up in a line, down along a cosine."""
    if done < WARM_UP:
        return max(done / WARM_UP, 0.04)
    return 0.5 * (1 + np.cos(np.pi * (done - WARM_UP) / (1 - WARM_UP)))


def start_weights(rng: np.random.Generator) -> Weights:
    """Random kernels (uniform, as wide as their inputs are many), but none for the gains: these begin as the gate's."""
    weights = {}
    for name, shape in band_gains.layers().items():
        reach = 0 if name == "gains" else 1 / np.sqrt(np.prod(shape[:3]))
        weights[f"{name}_kernel"] = rng.uniform(-reach, reach, shape).astype(np.float32)
        weights[f"{name}_bias"] = np.zeros(shape[3], np.float32)
    return weights


def target_level(each: Lesson) -> np.ndarray:
    """Level of the true voice in each frame, (T,): 1 for the loud ones, 1 less for each 17 dB, at least -2."""
    log_power_T = np.log(each.power_6TB[5].sum(axis=1) + band_gains.SMALL)
    return np.maximum(log_power_T - np.percentile(log_power_T, 95), -12) / 4 + 1


def default_error(each: Lesson) -> float:
    """Mean error of a frame with the training-free gate."""
    voice_TB = np.broadcast_to(each.clues.gate_T[:, None], each.power_6TB.shape[1:])
    left = error(voice_TB, 0 * voice_TB, each.power_6TB).sum() + LEAST_ERROR * each.power_6TB[5].sum()
    return float(left) / each.n_frames


class Excerpts:
    """Random excerpts of lessons."""

    def __init__(self, lessons: list[Lesson]):
        self._lessons = lessons
        self._levels = [target_level(each) for each in lessons]
        self._scales = [1 / (default_error(each) + 1e-12) for each in lessons]
        n_frames = np.array([each.n_frames for each in lessons], float)
        self._share = n_frames / n_frames.sum()

    def draw(self, rng: np.random.Generator) -> Excerpt:
        """One of a random lesson, in another tone and without some maps."""
        index = rng.choice(len(self._lessons), p=self._share)
        each = self._lessons[index]
        length = min(EXCERPT_FRAMES, each.n_frames // 4 * 4)  # whole cells of the coarsest map
        start = rng.integers(each.n_frames - length + 1)
        part = slice(start, start + length)
        offset_B = np.interp(np.linspace(0, 5, band_gains.N_BANDS), np.arange(6), TONE * rng.standard_normal(6))
        heard_C = (rng.random(band_gains.N_COARSE) >= P_DROPPED) / (1 - P_DROPPED)
        return Excerpt(
            each.clues.cut(part),
            each.power_6TB[:, part] * np.float32(self._scales[index]),
            each.sung_T[part],
            self._levels[index][part],
            offset_B.astype(np.float32),
            heard_C.astype(np.float32),
        )


def slopes_of_random(excerpts: Excerpts, n: int, rng: np.random.Generator, weights: Weights) -> Weights:
    """Slope of the loss of a group of excerpts with respect to each of the weights."""
    memory.keep_freed()
    with one_thread():
        return add(*(slopes_of(weights, excerpts.draw(rng)) for _ in range(n)))


def slopes_of(weights: Weights, excerpt: Excerpt) -> Weights:
    """Slope of the part of an excerpt in the loss."""
    clues = excerpt.clues
    maps_TBC = band_gains.maps(clues.level_6TB, clues.f0_hz, excerpt.offset_B)
    tape = Tape(learn=True)
    raw_TB2, sung_T12 = band_gains.network(tape, weights, maps_TBC, band_gains.evidence(clues), excerpt.heard_C)
    voice_TB, rest_TB = band_gains.as_gains(raw_TB2, clues.gate_T)
    uu, ur, rr, vu, vr, _ = excerpt.power_6TB
    of_voice_TB = 2 * (voice_TB * uu + rest_TB * ur - vu) * voice_TB * (1 - voice_TB / np.float32(band_gains.MAX_GAIN))
    of_rest_TB = 2 * (rest_TB * rr + voice_TB * ur - vr) * rest_TB * (1 - rest_TB)
    off_sung_T = np.where(excerpt.sung_T >= 0, scipy.special.expit(sung_T12[:, 0, 0]) - excerpt.sung_T, 0)
    off_level_T = np.clip((sung_T12[:, 0, 1] - excerpt.level_T) / 0.3, -1, 1)  # Huber's
    of_sung_T2 = np.stack([SUNG_WEIGHT * off_sung_T, LEVEL_WEIGHT * off_level_T], axis=1).astype(np.float32)
    slopes = tape.slopes([(raw_TB2, np.stack([of_voice_TB, of_rest_TB], axis=-1)), (sung_T12, of_sung_T2[:, None])])
    return {name: slopes[id(w)] for name, w in weights.items()}
