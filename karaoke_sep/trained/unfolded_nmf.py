"""Separation by NMF that was trained to separate: bases of voice and accompaniment, other ones in each iteration.

The magnitudes of the mixture are fitted by activations times bases, and the updates of the activations are those of
KL-NMF. Ordinary bases are trained to approximate each source by itself. They separate badly, since the bases of either
side explain the other. Here the few updates are the layers of a network, each with its own bases, and the bases are
trained by the gradient of the error of the separated voice ("deep NMF", Le Roux, Hershey & Weninger 2015; after
discriminative NMF, Weninger, Le Roux, Hershey & Watanabe 2014). Activations H start equal, and each layer l does

    H <- H * ((X / (H B_l)) B_l^T) / (sum B_l + p_l),

where the penalty p_l makes the activations sparse. Then V = H B_voice and A = H B_accompaniment, and the gain of the
voice is V / (V + A). A basis has a spectrum on both sides, because a sound is rarely only voice.

Frequencies are taken together in bands: single bins up to 1600 Hz, above that wider and wider. All values are relative
to the frame, so that the level of a recording plays no role.
"""

from typing import NamedTuple

import numpy as np

from .models import Model

EVEN_TO_HZ, GROWTH = 1600.0, 0.03  # above, each band is wider than the one below by this share
FLOOR = np.float32(1e-4)  # added to the magnitudes, relative to the mean of the frame
EPS = np.float32(1e-6)
BLOCK_FRAMES = 512

Weights = dict[str, np.ndarray]


class Layer(NamedTuple):
    """One update of the activations, kept for the gradient.

    Attributes
    ----------
    H_TK : ndarray, shape (T, K)
        Activations before the update.
    R_TB, L_TB : ndarray, shape (T, B)
        Ratio X / L, and the approximation L.
    change_TK : ndarray, shape (T, K)
        Factor of the activations.
    expected_K : ndarray, shape (K,)
        Denominator of the update.
    """

    H_TK: np.ndarray
    R_TB: np.ndarray
    L_TB: np.ndarray
    change_TK: np.ndarray
    expected_K: np.ndarray


def band_edges_hz(rate_hz: int, n_fft: int) -> np.ndarray:
    """Return the edges of the bands for the bins of a spectrum, shape (B + 1,): all lie between two bins."""
    n_bins = n_fft // 2 + 1
    edges = list(range(int(EVEN_TO_HZ * n_fft / rate_hz)))
    width, edge = 1.0, float(len(edges))
    while round(edge) < n_bins:
        edges.append(round(edge))
        width *= 1 + GROWTH
        edge += width
    return (np.array([*edges, n_bins]) - 0.5) * (rate_hz / n_fft)


def band_power(power_TF: np.ndarray, bin_hz: float, edges_hz: np.ndarray) -> np.ndarray:
    """Return the sum of a power over each band, shape (T, B), float32.

    The power of a bin is spread over its width, so that the bins may lie elsewhere than those of the training. A power
    may be negative, as that of a product of two spectra.
    """
    n_bins = power_TF.shape[1]
    sums_TF = np.zeros((len(power_TF), n_bins + 1))
    np.cumsum(power_TF, axis=1, out=sums_TF[:, 1:])
    place = np.clip(edges_hz / bin_hz + 0.5, 0, n_bins)
    low = np.minimum(place.astype(int), n_bins - 1)
    at_edges_TE = sums_TF[:, low] + (place - low) * (sums_TF[:, low + 1] - sums_TF[:, low])
    return np.diff(at_edges_TE, axis=1).astype(np.float32)


def relative_magnitude(power_TB: np.ndarray, edges_hz: np.ndarray) -> np.ndarray:
    """Return what the bases are fitted to: the magnitude of each band, shape (T, B), with a mean of 1 in each frame."""
    X_TB = np.sqrt(np.maximum(power_TB, 0) / np.diff(edges_hz).astype(np.float32))
    X_TB /= X_TB.mean(axis=1, keepdims=True) + np.float32(1e-12)
    return X_TB + FLOOR


def forward(weights: Weights, X_TB: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[Layer]]:
    """Fit the activations and return both sides.

    Parameters
    ----------
    weights : dict of ndarray
        ``bases_LKB``, ``penalty_LK``, ``voice_KB`` and ``accompaniment_KB``, all >= 0.
    X_TB : ndarray, shape (T, B), float32, > 0

    Returns
    -------
    V_TB, A_TB : ndarray, shape (T, B)
    H_TK : ndarray, shape (T, K)
        Activations after the last update.
    layers : list of Layer
    """
    n_bases = weights["bases_LKB"].shape[1]
    H_TK = np.repeat(X_TB.mean(axis=1, keepdims=True) / np.float32(n_bases), n_bases, axis=1)
    layers = []
    for B_KB, penalty_K in zip(weights["bases_LKB"], weights["penalty_LK"], strict=True):
        expected_K = B_KB.sum(axis=1) + penalty_K
        L_TB = H_TK @ B_KB + EPS
        R_TB = X_TB / L_TB
        change_TK = (R_TB @ B_KB.T) / expected_K
        layers.append(Layer(H_TK, R_TB, L_TB, change_TK, expected_K))
        H_TK = H_TK * change_TK
    return H_TK @ weights["voice_KB"], H_TK @ weights["accompaniment_KB"], H_TK, layers


def voice_and_accompaniment(X_TF: np.ndarray, bin_hz: float, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Return the magnitudes of voice and accompaniment, whose ratio is that of the bands.

    Parameters
    ----------
    X_TF : ndarray, shape (T, F), float32, >= 0
        Magnitudes of the mixture.
    bin_hz : float, Hz
        Distance of the bins.
    model : Model
        Of kind "nmf".

    Returns
    -------
    V_TF, A_TF : ndarray, shape (T, F), float32
        Above the highest frequency of the model all is accompaniment.
    """
    edges_hz = model.arrays["edges_E"]
    bands = np.searchsorted(edges_hz, np.arange(X_TF.shape[1]) * bin_hz, side="right") - 1
    known = bands < len(edges_hz) - 1
    V_TF = np.zeros_like(X_TF)
    for start in range(0, len(X_TF), BLOCK_FRAMES):
        block = slice(start, start + BLOCK_FRAMES)
        power_TB = band_power(X_TF[block] ** 2, bin_hz, edges_hz)
        V_TB, A_TB, _, _ = forward(model.arrays, relative_magnitude(power_TB, edges_hz))
        V_TF[block, known] = X_TF[block, known] * (V_TB / (V_TB + A_TB + EPS))[:, bands[known]]
    return V_TF, X_TF - V_TF
