"""Timbre of the singer of a song, learned from the song itself.

Mel-frequency cepstra describe the shape of each frame's spectrum. A linear discriminant (Fisher 1936) is fitted to the
frames that other features classify as sung and to the other frames, and then applied to every frame. It uses neither
labels nor other recordings.
"""

from collections.abc import Callable

import numpy as np
import scipy

from .scales import hz_to_mel, mel_to_hz
from .smoothing import smooth

N_BANDS, N_CEPSTRA = 24, 13  # the usual numbers (Davis & Mermelstein 1980)
MIN_HZ = 80.0
AUDIBLE_DB = -50.0  # relative to loud frames; softer frames are left out of the fit
BLOCK_FRAMES = 1 << 15  # so that long recordings are not copied as a whole


def cepstra(S_TF: np.ndarray, bin_hz: float) -> np.ndarray:
    """Return mel-frequency cepstra, which describe the shape of each frame's spectrum.

    Parameters
    ----------
    S_TF : ndarray, shape (T, F), >= 0
        Magnitudes.
    bin_hz : float
        Distance of the bins, Hz.

    Returns
    -------
    ndarray, shape (T, N_CEPSTRA), float32
    """
    top_mel, low_mel = hz_to_mel((S_TF.shape[1] - 1) * bin_hz), hz_to_mel(MIN_HZ)
    edges_hz = mel_to_hz(np.linspace(low_mel, top_mel, N_BANDS + 1))
    edges = np.maximum.accumulate(np.rint(edges_hz / bin_hz).astype(int) + np.arange(N_BANDS + 1) // N_BANDS)
    power = np.add.reduceat(S_TF[:, : edges[-1]] ** 2, edges[:-1], axis=1) / np.maximum(np.diff(edges), 1)
    log_power = np.log(power + 1e-8 * power.mean() + 1e-12)  # 80 dB of range, against rounding errors
    return scipy.fft.dct(log_power, norm="ortho", axis=1)[:, :N_CEPSTRA]


def evidence(C_TD: np.ndarray, sung_T: np.ndarray, audible_T: np.ndarray, smoothing_frames: float) -> np.ndarray:
    """Return the log-odds that each frame has the timbre of the sung frames, shape (T,).

    Parameters
    ----------
    C_TD : ndarray, shape (T, D)
        Cepstra.
    sung_T : ndarray, shape (T,), 0..1
        Weight of each frame among the sung frames; 1 minus this is its weight among the others.
    audible_T : ndarray, shape (T,), bool
        False where there is silence; such frames are left out of the fit, and their result is 0.
    smoothing_frames : float
        Standard deviation of the Gaussian that the result is smoothed with.
    """
    n_features = C_TD.shape[1]
    sung, rest = sung_T * audible_T, (1 - sung_T) * audible_T
    if min(sung.sum(), rest.sum()) < n_features:
        return np.zeros(len(C_TD))  # too few frames of one class
    blocks = [slice(start, start + BLOCK_FRAMES) for start in range(0, len(C_TD), BLOCK_FRAMES)]

    def average(weight_T: np.ndarray, values: Callable[[slice], np.ndarray]) -> np.ndarray:
        return sum(weight_T[block] @ values(block) for block in blocks) / weight_T.sum()

    centre = average(audible_T, lambda block: C_TD[block].astype(float))
    spread = np.sqrt(average(audible_T, lambda block: (C_TD[block] - centre) ** 2)) + 1e-9

    def standard(block: slice) -> np.ndarray:
        return (C_TD[block] - centre) / spread

    mean_sung, mean_rest = average(sung, standard), average(rest, standard)
    scatter_DD = np.zeros((n_features, n_features))
    for mean, weight in ((mean_sung, sung), (mean_rest, rest)):
        for block in blocks:
            from_mean = standard(block) - mean
            scatter_DD += from_mean.T @ (from_mean * weight[block, None])
    # The ridge prevents overfitting to short recordings, which have hardly more frames than features.
    direction = np.linalg.solve(scatter_DD / audible_T.sum() + 0.01 * np.eye(n_features), mean_sung - mean_rest)
    middle = (mean_sung + mean_rest) / 2
    log_odds = np.where(audible_T, np.concatenate([(standard(block) - middle) @ direction for block in blocks]), 0)
    return smooth(log_odds, smoothing_frames)
