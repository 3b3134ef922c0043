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
        self._mean = {name: np.zeros_like(w) for name, w in weights.items()}
        self._power = {name: np.zeros_like(w) for name, w in weights.items() if name not in self._hidden}
        self._n_steps = 0

    def step(self, weights: Weights, slopes: Weights, pace: float) -> Weights:
        """New weights, a step down their slopes; ``pace`` is a share of the highest rates."""
        self._n_steps += 1
        move = {name: self._kernel_step if name in self._hidden else self._step for name in weights}
        return {name: w + np.float32(pace) * move[name](name, w, slopes[name]) for name, w in weights.items()}

    def _kernel_step(self, name, w, slope):
        mean = self._mean[name] = KERNEL_MEAN_OF * self._mean[name] + slope
        ahead_RD = (slope + KERNEL_MEAN_OF * mean).reshape(-1, w.shape[3])  # Nesterov's
        n_before, n_after = ahead_RD.shape
        size = np.float32(max(1, n_after / n_before) ** 0.5)
        down = size * orthogonal(ahead_RD).reshape(w.shape) + np.float32(KERNEL_DECAY) * w
        return np.float32(-KERNEL_RATE) * down

    def _step(self, name, w, slope):
        mean = self._mean[name] = MEAN_OF * self._mean[name] + (1 - MEAN_OF) * slope
        power = self._power[name] = POWER_OF * self._power[name] + (1 - POWER_OF) * slope**2
        spread = np.sqrt(power / (1 - POWER_OF**self._n_steps)) + 1e-8
        return (-RATE * (mean / (1 - MEAN_OF**self._n_steps) / spread + DECAY * w)).astype(np.float32)


def orthogonal(matrix: np.ndarray) -> np.ndarray:
    """About the nearest orthogonal matrix, by Newton and Schulz's iteration: no decomposition, only products."""
    tall = matrix.shape[0] > matrix.shape[1]
    X = (matrix.T if tall else matrix) / np.float32(np.linalg.norm(matrix) + 1e-7)
    a, b, c = map(np.float32, QUINTIC)
    for _ in range(N_ROUNDS):
        gram = X @ X.T
        X = a * X + (b * gram + c * gram @ gram) @ X
    return X.T if tall else X
