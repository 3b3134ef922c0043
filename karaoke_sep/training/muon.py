"""Muon, the rule by which the network learns: steps that are as long in every direction of a kernel.

As a matrix, the slope of a kernel is nearly of low rank, so that steps along it leave most directions as they began.
Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks") steps along the nearest orthogonal
matrix instead. What is no kernel between hidden channels follows Adam (Kingma & Ba 2015).
"""

from collections.abc import Collection

import numpy as np

KERNEL_RATE, KERNEL_MEAN_OF, KERNEL_DECAY = 0.01, 0.95, 0.3  # rates of 0.008 to 0.012 give the same
RATE, MEAN_OF, POWER_OF, DECAY = 2e-3, 0.9, 0.999, 1e-3  # of Adam; usual values, and thrice the rate is the same
QUINTIC, N_ROUNDS = (3.4445, -4.7750, 2.0315), 5  # Jordan's: singular values come to lie within 0.7..1.2

Weights = dict[str, np.ndarray]


class Muon:
    """The way of weights, step by step.

    Parameters
    ----------
    weights : dict of ndarray
        By their names.
    hidden : collection of str
        Names of kernels, (K, L, C, D), between hidden channels.
    """

    def __init__(self, weights: Weights, hidden: Collection[str]):
        self._hidden = frozenset(hidden)
        self._others = [name for name in weights if name not in self._hidden]
        self._mean = {name: np.zeros_like(weights[name]) for name in self._hidden}
        self._mean_N = self._power_N = np.zeros_like(self._flat(weights))
        self._n_steps = 0

    def step(self, weights: Weights, slopes: Weights, pace: float) -> Weights:
        """New weights, a step down their slopes; ``pace`` is a share of the highest rates."""
        self._n_steps += 1
        rate = np.float32(pace)
        new = {
            name: weights[name] + rate * self._kernel_step(name, weights[name], slopes[name]) for name in self._hidden
        }
        w_N = self._flat(weights)
        w_N = w_N + rate * self._adam_step(w_N, self._flat(slopes))
        start = 0
        for name in self._others:
            w = weights[name]
            new[name] = w_N[start : start + w.size].reshape(w.shape)
            start += w.size
        return {name: new[name] for name in weights}

    def _flat(self, weights):
        """Those that follow Adam, in a row: a few operations instead of a few for each of many small arrays."""
        return np.concatenate([np.zeros(0, np.float32), *(weights[name].ravel() for name in self._others)])

    def _kernel_step(self, name, w, slope):
        mean = self._mean[name] = KERNEL_MEAN_OF * self._mean[name] + slope
        ahead_RD = (slope + KERNEL_MEAN_OF * mean).reshape(-1, w.shape[3])  # Nesterov's
        n_before, n_after = ahead_RD.shape
        size = np.float32(max(1, n_after / n_before) ** 0.5)
        down = size * orthogonal(ahead_RD).reshape(w.shape) + np.float32(KERNEL_DECAY) * w
        return np.float32(-KERNEL_RATE) * down

    def _adam_step(self, w, slope):
        self._mean_N = MEAN_OF * self._mean_N + (1 - MEAN_OF) * slope
        self._power_N = POWER_OF * self._power_N + (1 - POWER_OF) * slope**2
        spread = np.sqrt(self._power_N / (1 - POWER_OF**self._n_steps)) + 1e-8
        return (-RATE * (self._mean_N / (1 - MEAN_OF**self._n_steps) / spread + DECAY * w)).astype(np.float32)


def orthogonal(matrix: np.ndarray) -> np.ndarray:
    """About the nearest orthogonal matrix, by Newton and Schulz's iteration: no decomposition, only products.

    Each round multiplies by a polynomial in the matrix of inner products, which is small, so that the rounds need only
    that, and their product meets the matrix once.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    gram = matrix.T @ matrix if tall else matrix @ matrix.T
    size = np.sqrt(np.trace(gram)) + np.float32(1e-7)
    gram = gram / size**2
    identity = np.eye(len(gram), dtype=matrix.dtype)
    rounds = identity
    a, b, c = map(np.float32, QUINTIC)
    for _ in range(N_ROUNDS):
        factor = a * identity + b * gram + c * gram @ gram
        gram = factor @ gram @ factor
        rounds = rounds @ factor
    rounds = rounds / size
    return matrix @ rounds if tall else rounds @ matrix
