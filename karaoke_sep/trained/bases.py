"""Voice and accompaniment as sums of spectra that were learned from other recordings, where they stood apart.

The mixture's magnitudes are approximated by activations × bases, the bases of both sides side by side, by the
updates of Lee & Seung (2001) for the generalised Kullback-Leibler divergence; what the bases of one side
explain is that side (supervised: Raj & Smaragdis 2005; semi-supervised, where one side is learned from the mixture
itself: Smaragdis, Raj & Shashanka 2007). No pitch is needed. Axes are (T, F), as in `masked_nmf`.
"""

import numpy as np

from .models import Model

EPS = np.float32(1e-12)


def bases_at(model: Model, bin_hz: float, n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Bases of voice and accompaniment read at the bins of another spectrum.

    A spectrum of the same window in ms has bins at nearly the same frequencies, whatever the sample rate.

    Parameters
    ----------
    model : Model
        Of kind "nmf".
    bin_hz : float
        Distance of the bins.
    n_bins : int

    Returns
    -------
    voice_KF, accompaniment_KF : ndarray, float32, >= 0
        Each row sums to 1; 0 above what the model has heard.
    """
    return tuple(_read_at(model.arrays[f"{side}_KF"], model, bin_hz, n_bins) for side in ("voice", "accompaniment"))


def _read_at(B_KF, model, bin_hz, n_bins):
    model_bin_hz = model.about["rate_hz"] / 2 / (B_KF.shape[1] - 1)
    place = np.arange(n_bins) * (bin_hz / model_bin_hz)
    low = np.minimum(place.astype(int), B_KF.shape[1] - 2)
    share = (place - low).astype(np.float32)
    read_KF = (1 - share) * B_KF[:, low] + share * B_KF[:, low + 1]
    read_KF = np.where(place <= B_KF.shape[1] - 1, read_KF, np.float32(0))
    return normalised(read_KF.astype(np.float32))


def normalised(B_KF: np.ndarray) -> np.ndarray:
    """Bases whose rows sum to 1."""
    return B_KF / (B_KF.sum(axis=1, keepdims=True) + EPS)


def random_bases(n_components: int, X_TF: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where bases begin that are learned from the mixture: its mean spectrum, shaken; shape (K, F)."""
    return normalised((rng.random((n_components, X_TF.shape[1]), np.float32) + np.float32(0.1)) * X_TF.mean(axis=0))


def activations(X_TF, B_KF, n_iterations: int, H_TK=None) -> np.ndarray:
    """Activations of bases whose rows sum to 1, shape (T, K), float32, >= 0.

    Parameters
    ----------
    X_TF : ndarray, shape (T, F), float32, >= 0
    B_KF : ndarray, shape (K, F), float32, >= 0
    n_iterations : int
    H_TK : ndarray, shape (T, K), optional
        Where they begin; all alike if missing.
    """
    if H_TK is None:
        H_TK = np.repeat(X_TF.sum(axis=1, keepdims=True) / max(len(B_KF), 1), len(B_KF), axis=1)
    for _ in range(n_iterations):
        H_TK = H_TK * ((X_TF / (H_TK @ B_KF + EPS)) @ B_KF.T)
    return H_TK


def fit(X_TF, voice_KF, accompaniment_KF, n_learned: int, n_iterations: int, rng: np.random.Generator):
    """Voice and accompaniment of a mixture by their bases.

    Parameters
    ----------
    X_TF : ndarray, shape (T, F), float32, >= 0
        Magnitudes.
    voice_KF, accompaniment_KF : ndarray, shape (K, F), float32, >= 0
        Rows sum to 1. A side without bases is learned from the mixture.
    n_learned : int
        Bases of such a side.
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
        H_TK = activations(X_TF, B_KF, 1, H_TK)
        if free_K.any():
            ratio_TF = X_TF / (H_TK @ B_KF + EPS)
            B_KF[free_K] = normalised(B_KF[free_K] * (H_TK[:, free_K].T @ ratio_TF))
    return H_TK[:, :n_voice] @ B_KF[:n_voice], H_TK[:, n_voice:] @ B_KF[n_voice:]
