"""Two more estimates of the accompaniment, and the median of the three.

The factorisation models which spectra the accompaniment is made of. Two further estimates use other frames: the same
bin at times when the voice is elsewhere (held notes), and the frames that are most similar in the bins outside the mask
(repetition, after REPET-SIM, Rafii & Pardo 2012). The median of the three discards the worst one in each bin: +0.2 dB
(MIR-1K dev, v2).
"""

from dataclasses import dataclass

import numpy as np

from ..settings.ranges import check_ranges, ranged


@dataclass(frozen=True)
class Params:
    """Reach of the two estimates.

    Vocals, 81 MIR-1K dev clips (v2), nearby_ms 150 / 200 / 250 / 320: 10.17 / 10.16 / 10.14 / 10.12 dB (mean of the
    singers 9.57 / 9.58 / 9.58 / 9.57); then sharpness 20 / 30 / 45 / 70: 10.16 / 10.19 / 10.20 / 10.19, songs
    within 0.02 dB.
    """

    enabled: bool = True
    nearby_ms: float = ranged(200.0, 10, 10_000)
    similar_top_hz: float = ranged(3000.0, 50, 96_000)
    similar_sharpness: float = ranged(45.0, 0.1, 1000)
    similar_far_weight: float = ranged(0.1, 0, 100)

    def __post_init__(self) -> None:
        check_ranges(self)


def median_of_views(
    X_TF: np.ndarray,
    V_TF: np.ndarray,
    A_TF: np.ndarray,
    covered_TF: np.ndarray,
    hop_ms: float,
    bin_hz: float,
    params: Params,
) -> np.ndarray:
    """Return the accompaniment magnitude, the median of three estimates in each bin, shape (T, F).

    Parameters
    ----------
    X_TF, V_TF, A_TF : ndarray, shape (T, F), float32, >= 0
        Magnitudes of the mixture, and the present estimates of voice and accompaniment.
    covered_TF : ndarray, shape (T, F), bool
        True inside the harmonic mask.
    hop_ms, bin_hz : float
    params : Params
    """
    n_nearby = params.nearby_ms / hop_ms
    nearby_TF = nearby_times(X_TF, V_TF, A_TF, n_nearby)
    similar_TF = similar_frames(X_TF, covered_TF, n_nearby, round(params.similar_top_hz / bin_hz), params)
    low, high = np.minimum(nearby_TF, similar_TF), np.maximum(nearby_TF, similar_TF)
    return np.clip(A_TF, low, high)


def nearby_times(X_TF: np.ndarray, V_TF: np.ndarray, A_TF: np.ndarray, sigma_frames: float) -> np.ndarray:
    """Return the mean of each bin over nearby frames, weighted by the share w of the accompaniment: G(w^2 X) / G(w)."""
    w_TF = A_TF / (V_TF + A_TF + np.float32(1e-12))
    return gaussian_over_time(w_TF**2 * X_TF, sigma_frames) / (
        gaussian_over_time(w_TF, sigma_frames) + np.float32(1e-6)
    )


def gaussian_over_time(values_TF: np.ndarray, sigma_frames: float) -> np.ndarray:
    """Smooth along time by a Gaussian, cut off at four standard deviations; the edge frames are repeated outwards.

    A banded matrix is multiplied with each block of frames, which is 20 times faster than filtering column by column.
    A block of 50 frames divides 8 s at a hop of 16 or 32 ms, so that parts of a long recording are rounded as the whole
    is.
    """
    n_frames, reach, n_block = len(values_TF), int(4 * sigma_frames + 0.5), 50
    n_blocks = -(-n_frames // n_block)
    padded_TF = np.pad(values_TF, ((reach, reach + n_blocks * n_block - n_frames), (0, 0)), mode="edge")
    distance = np.arange(n_block + 2 * reach) - np.arange(n_block)[:, None] - reach
    kernel = np.where(np.abs(distance) <= reach, np.exp(-0.5 * (distance / sigma_frames) ** 2), 0)
    kernel = (kernel / kernel[0].sum()).astype(np.float32)
    smooth_TF = np.empty((n_blocks * n_block, values_TF.shape[1]), np.float32)
    for start in range(0, n_frames, n_block):
        np.matmul(kernel, padded_TF[start : start + kernel.shape[1]], out=smooth_TF[start : start + n_block])
    return smooth_TF[:n_frames]


def similar_frames(
    X_TF: np.ndarray, covered_TF: np.ndarray, sigma_frames: float, n_bins: int, params: Params
) -> np.ndarray:
    """Return the mean of each bin over the frames where it is uncovered, weighted by their similarity.

    The similarity is the cosine of square-root spectra below ``similar_top_hz``, over the bins uncovered in both
    frames.
    """
    u_TF = np.where(covered_TF, np.float32(0), np.float32(1))
    low_TF = u_TF[:, :n_bins]
    power_TF = X_TF[:, :n_bins] * low_TF
    Y_TF = np.sqrt(power_TF)
    norm_TT = power_TF @ low_TF.T
    cosine_TT = (Y_TF @ Y_TF.T) / np.sqrt(norm_TT * norm_TT.T + np.float32(1e-20))
    t = np.arange(len(X_TF), dtype=np.float32)
    close_T = np.exp(-(t**2) / (2 * sigma_frames**2)) + params.similar_far_weight
    weight_TT = cosine_TT**params.similar_sharpness * close_T[np.abs(t[:, None] - t).astype(int)]
    return (weight_TT @ (u_TF * X_TF)) / (weight_TT @ u_TF + np.float32(1e-3))
