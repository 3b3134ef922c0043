"""Muon, the optimiser of the network: its steps have the same length in every direction of a kernel.

The gradient of a kernel, as a matrix, has nearly a low rank, so that steps along it hardly change most directions. Muon
(Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks") steps along the nearest orthogonal
matrix instead. All weights other than kernels between hidden channels follow Adam (Kingma & Ba 2015).
"""

from collections.abc import Collection

import numpy as np

KERNEL_RATE, KERNEL_MOMENTUM, KERNEL_DECAY = 0.01, 0.95, 0.3  # rates of 0.008 to 0.012 give the same
RATE, BETA1, BETA2, DECAY = 2e-3, 0.9, 0.999, 1e-3  # of Adam; usual values, and a rate of 6e-3 gives the same
QUINTIC, N_ROUNDS = (3.4445, -4.7750, 2.0315), 5  # values of Jordan et al.: the singular values end within 0.7..1.2

Weights = dict[str, np.ndarray]


class Muon:
    """State of the optimiser.

    Parameters
    ----------
    weights : dict of ndarray
        Initial weights by name.
    hidden : collection of str
        Names of the kernels, (K, L, C, D), between hidden channels.
    """

    def __init__(self, weights: Weights, hidden: Collection[str]):
        self._hidden = frozenset(hidden)
        self._others = [name for name in weights if name not in self._hidden]
        self._mean = {name: np.zeros_like(weights[name]) for name in self._hidden}
        self._mean_N = self._power_N = np.zeros_like(self._flat(weights))
        self._n_steps = 0

    def state(self) -> dict[str, np.ndarray]:
        """Return the state that the next step depends on, besides weights and gradients."""
        means = {f"mean of {name}": mean for name, mean in self._mean.items()}
        return means | {"mean": self._mean_N, "power": self._power_N, "steps": np.array(self._n_steps)}

    def resume(self, state: dict[str, np.ndarray]) -> None:
        """Continue from a `state`."""
        self._mean = {name: state[f"mean of {name}"] for name in self._mean}
        self._mean_N, self._power_N, self._n_steps = state["mean"], state["power"], int(state["steps"])

    def step(self, weights: Weights, gradients: Weights, relative_rate: float) -> Weights:
        """Return the weights after a step; ``relative_rate`` is the learning rate relative to its maximum."""
        self._n_steps += 1
        rate = np.float32(relative_rate)
        new = {
            name: weights[name] + rate * self._kernel_step(name, weights[name], gradients[name])
            for name in self._hidden
        }
        w_N = self._flat(weights)
        w_N = w_N + rate * self._adam_step(w_N, self._flat(gradients))
        start = 0
        for name in self._others:
            w = weights[name]
            new[name] = w_N[start : start + w.size].reshape(w.shape)
            start += w.size
        return {name: new[name] for name in weights}

    def _flat(self, weights: Weights) -> np.ndarray:
        """Return all weights that follow Adam in one row, so that a few operations update them all."""
        return np.concatenate([np.zeros(0, np.float32), *(weights[name].ravel() for name in self._others)])

    def _kernel_step(self, name: str, w: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        mean = self._mean[name] = KERNEL_MOMENTUM * self._mean[name] + gradient
        ahead_RD = (gradient + KERNEL_MOMENTUM * mean).reshape(-1, w.shape[3])  # Nesterov momentum
        n_inputs, n_outputs = ahead_RD.shape
        size = np.float32(max(1, n_outputs / n_inputs) ** 0.5)
        direction = size * orthogonal(ahead_RD).reshape(w.shape) + np.float32(KERNEL_DECAY) * w
        return np.float32(-KERNEL_RATE) * direction

    def _adam_step(self, w: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        self._mean_N = BETA1 * self._mean_N + (1 - BETA1) * gradient
        self._power_N = BETA2 * self._power_N + (1 - BETA2) * gradient**2
        spread = np.sqrt(self._power_N / (1 - BETA2**self._n_steps)) + 1e-8
        return (-RATE * (self._mean_N / (1 - BETA1**self._n_steps) / spread + DECAY * w)).astype(np.float32)


def orthogonal(matrix: np.ndarray) -> np.ndarray:
    """Return approximately the nearest orthogonal matrix, by Newton-Schulz iteration.

    Each round multiplies the matrix by a polynomial of its Gram matrix. The rounds are computed on the Gram matrix,
    which is small, and their product is applied to the matrix once.
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
