"""Voice and accompaniment fitted together to the mixture.

The mixture's magnitude X is modelled as L = V + A. The voice V = a s has one amplitude a for each partial and frame,
spread over its harmonic band with the shape s of a partial; the accompaniment A = H B starts from its factorisation
outside the mask. All are updated by the multiplicative rules of the generalised Kullback-Leibler divergence (Lee &
Seung 2001); the amplitudes are then smoothed over time. In the joint fit, energy that the accompaniment explains is not
counted as voice, and the reverse: +0.46 dB over masking twice (MIR-1K dev, v2), the largest single step.
"""

from dataclasses import dataclass

import numpy as np
import scipy

from ..dsp import kl_nmf
from ..dsp.kl_nmf import EPS
from ..settings.ranges import check_ranges, ranged
from .harmonic_mask import HarmonicMask


@dataclass(frozen=True)
class Params:
    """Length of the joint fit, and of the fit of the voice alone that follows.

    Frames of 192 ms overlap so much that every second one is sufficient: the accompaniment from frames hop_ms = 16 / 32
    / 48 ms apart, interpolated, gives 10.17 / 10.15 / 10.11 dB (81 MIR-1K dev clips, v2) and the same on songs, at 29 /
    16 / 12 ms of processor time a second. 4 / 6 / 8 / 10 iterations: 10.20 / 10.23 / 10.24 / 10.25 dB, mean of the
    singers 9.62 / 9.63 / 9.64 / 9.63.
    """

    enabled: bool = True  # otherwise the voice is s max(X - A, 0)
    hop_ms: float = ranged(32.0, 1, 500)
    n_iterations: int = ranged(6, 0, 100)
    n_voice_iterations: int = ranged(2, 0, 100)
    smoothing_ms: float = ranged(80.0, 0, 2000)

    def __post_init__(self) -> None:
        check_ranges(self)


def fit(
    X_TF: np.ndarray, mask: HarmonicMask, H_TK: np.ndarray, B_KF: np.ndarray, params: Params, n_smooth: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit voice and accompaniment together, from a factorisation outside the mask.

    Parameters
    ----------
    X_TF : ndarray, shape (T, F), float32, >= 0
    mask : HarmonicMask
    H_TK, B_KF : ndarray, float32
        Start of the accompaniment; not changed.
    params : Params
    n_smooth : int, frames
        Length of the running mean of the amplitudes.

    Returns
    -------
    V : ndarray, shape (S,), float32
        Voice at the bins of the mask.
    H_TK, B_KF : ndarray, float32
        The accompaniment is ``H_TK @ B_KF``.
    """
    A_TF = H_TK @ B_KF
    if not params.enabled:
        return remainder(X_TF, A_TF, mask), H_TK, B_KF
    H_TK = H_TK.copy()
    X = X_TF.ravel()[mask.bins]
    a = start_amplitudes(X, A_TF.ravel()[mask.bins], mask)
    for _ in range(params.n_iterations):
        a = update_amplitudes(a, X, A_TF.ravel()[mask.bins], mask, n_smooth)
        V_TF = mask.spread(voice(a, mask))
        B_KF = B_KF * kl_nmf.basis_numerator(X_TF, H_TK, B_KF, V_TF) / (H_TK.sum(axis=0)[:, None] + EPS)
        kl_nmf.update_activations(X_TF, H_TK, B_KF, B_KF.sum(axis=1) + EPS, V_TF)
        for block in kl_nmf.blocks(len(X_TF)):
            np.matmul(H_TK[block], B_KF, out=A_TF[block])
    return voice(a, mask), H_TK, B_KF


def fit_voice(X_TF: np.ndarray, A_TF: np.ndarray, mask: HarmonicMask, params: Params, n_smooth: int) -> np.ndarray:
    """Fit the voice to a given accompaniment; return it at the bins of the mask, shape (S,), float32."""
    if not params.enabled:
        return remainder(X_TF, A_TF, mask)
    X, A = X_TF.ravel()[mask.bins], A_TF.ravel()[mask.bins]
    a = start_amplitudes(X, A, mask)
    for _ in range(params.n_voice_iterations):
        a = update_amplitudes(a, X, A, mask, n_smooth)
    return voice(a, mask)


def voice(a: np.ndarray, mask: HarmonicMask) -> np.ndarray:
    """Return V = a s at the bins of the mask, from the amplitudes of the bands; (R,) to (S,)."""
    return mask.per_bin(a) * mask.weights


def remainder(X_TF: np.ndarray, A_TF: np.ndarray, mask: HarmonicMask) -> np.ndarray:
    """Subtract the accompaniment at the bins of the mask, shape (S,), >= 0."""
    return mask.weights * np.maximum(X_TF.ravel()[mask.bins] - A_TF.ravel()[mask.bins], 0)


def start_amplitudes(X: np.ndarray, A: np.ndarray, mask: HarmonicMask) -> np.ndarray:
    """Return amplitudes from the remaining energy of each band: a^2 = (|X s|^2 - |A s|^2) / |s^2|^2, shape (R,)."""
    s = mask.weights
    energy = mask.band_sums((X * s) ** 2) - mask.band_sums((A * s) ** 2)
    return np.sqrt(np.maximum(energy, 0) / (mask.band_sums(s**4) + EPS))


def update_amplitudes(a: np.ndarray, X: np.ndarray, A: np.ndarray, mask: HarmonicMask, n_smooth: int) -> np.ndarray:
    """Do one multiplicative update, then smooth over time, shape (R,)."""
    s = mask.weights
    change = mask.band_sums(s * X / (voice(a, mask) + A + EPS)) / (mask.band_sums(s) + EPS)
    return smooth_over_time(a * change, mask, n_smooth)


def smooth_over_time(a: np.ndarray, mask: HarmonicMask, n_smooth: int) -> np.ndarray:
    """Return the running mean of each partial's amplitude, shape (R,)."""
    if n_smooth <= 1 or len(a) == 0:
        return a
    a_TK = np.zeros((mask.shape_TF[0], mask.partials.max() + 1), np.float32)
    a_TK[mask.frames, mask.partials] = a
    return scipy.ndimage.uniform_filter1d(a_TK, n_smooth, axis=0, mode="nearest")[mask.frames, mask.partials]
