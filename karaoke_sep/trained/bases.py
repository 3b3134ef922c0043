"""Separation by spectra of one source that were trained on other recordings; those of the other are fitted here.

The magnitudes of the mixture are approximated by activations times bases, with the bases of both sides next to each
other, by the updates in `dsp.kl_nmf`. The part that the bases of one side explain is the estimate of that side. This is
supervised separation (Raj & Smaragdis 2005), or semi-supervised separation if the bases of one side are learned from
the mixture itself (Smaragdis, Raj & Shashanka 2007). It needs no pitch. Axes are (T, F), as in `masked_nmf`.
"""

import numpy as np

from ..dsp.kl_nmf import EPS, basis_numerator, update_activations
from .models import Model


def bases_at(model: Model, side: str, bin_hz: float, n_bins: int) -> np.ndarray:
    """Return the bases of one side, interpolated at the bins of another spectrum.

    A spectrum with the same window in ms has bins at nearly the same frequencies, whatever its sample rate.

    Parameters
    ----------
    model : Model
    side : {"voice", "accompaniment"}
    bin_hz : float, Hz
        Distance of the bins.
    n_bins : int

    Returns
    -------
    B_KF : ndarray, float32, >= 0
        Each row sums to 1. Bins above the highest frequency of the model are 0. No rows if the side was not trained.
    """
    B_KF = model.arrays.get(f"{side}_KF", np.zeros((0, 2), np.float32))
    model_bin_hz = model.about["rate_hz"] / 2 / (B_KF.shape[1] - 1)
    position = np.arange(n_bins) * (bin_hz / model_bin_hz)
    low = np.minimum(position.astype(int), B_KF.shape[1] - 2)
    share = (position - low).astype(np.float32)
    values_KF = (1 - share) * B_KF[:, low] + share * B_KF[:, low + 1]
    values_KF = np.where(position <= B_KF.shape[1] - 1, values_KF, np.float32(0))
    return normalised(values_KF.astype(np.float32))


def normalised(B_KF: np.ndarray) -> np.ndarray:
    """Return bases whose rows sum to 1."""
    return B_KF / (B_KF.sum(axis=1, keepdims=True) + EPS)


def random_bases(n_components: int, X_TF: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return initial bases for learning from a mixture, shape (K, F): its mean spectrum times random factors."""
    return normalised((rng.random((n_components, X_TF.shape[1]), np.float32) + np.float32(0.1)) * X_TF.mean(axis=0))


def activations(X_TF: np.ndarray, B_KF: np.ndarray, n_iterations: int) -> np.ndarray:
    """Return the activations of bases whose rows sum to 1, shape (T, K), float32, >= 0.

    Parameters
    ----------
    X_TF : ndarray, shape (T, F), float32, >= 0
    B_KF : ndarray, shape (K, F), float32, >= 0
    n_iterations : int
        With 0, the activations are the initial ones, which are equal in each frame.
    """
    H_TK = np.repeat(X_TF.sum(axis=1, keepdims=True) / max(len(B_KF), 1), len(B_KF), axis=1)
    for _ in range(n_iterations):
        update_activations(X_TF, H_TK, B_KF, np.float32(1), block_frames=None)
    return H_TK


def fit(
    X_TF: np.ndarray,
    voice_KF: np.ndarray,
    accompaniment_KF: np.ndarray,
    n_learned: int,
    n_iterations: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Separate the magnitudes of a mixture by the bases of voice and accompaniment.

    Parameters
    ----------
    X_TF : ndarray, shape (T, F), float32, >= 0
        Magnitudes.
    voice_KF, accompaniment_KF : ndarray, shape (K, F), float32, >= 0
        Rows sum to 1. If a side has no bases, they are learned from the mixture.
    n_learned : int
        Number of bases of such a side.
    n_iterations : int
    rng : numpy.random.Generator

    Returns
    -------
    V_TF, A_TF : ndarray, shape (T, F), float32, >= 0
    """
    sides = [voice_KF, accompaniment_KF]
    learned = [len(B_KF) == 0 for B_KF in sides]
    sides = [random_bases(n_learned, X_TF, rng) if free else B_KF for B_KF, free in zip(sides, learned, strict=True)]
    n_voice = len(sides[0])
    free_K = np.repeat(learned, [len(B_KF) for B_KF in sides])
    B_KF = np.vstack(sides)
    H_TK = activations(X_TF, B_KF, 0)
    for _ in range(n_iterations):
        update_activations(X_TF, H_TK, B_KF, np.float32(1), block_frames=None)
        if free_K.any():
            B_KF[free_K] = normalised(
                B_KF[free_K] * basis_numerator(X_TF, H_TK, B_KF, block_frames=None, chosen=free_K)
            )
    return H_TK[:, :n_voice] @ B_KF[:n_voice], H_TK[:, n_voice:] @ B_KF[n_voice:]
