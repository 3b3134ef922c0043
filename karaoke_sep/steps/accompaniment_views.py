"""Two more estimates of the accompaniment, and the median of the three.

The factorisation models which spectra the accompaniment is made of. Two further estimates use other frames: the same
bin at times when the voice is elsewhere (held notes), and the frames that are most similar in the bins outside the mask
(repetition, after REPET-SIM, Rafii & Pardo 2012). The median of the three discards the worst one in each bin: +0.2 dB
(MIR-1K dev, v2).
"""

from dataclasses import dataclass

import numpy as np

from ..dsp.smoothing import smooth_plane
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
    return smooth_plane(w_TF**2 * X_TF, sigma_frames) / (smooth_plane(w_TF, sigma_frames) + np.float32(1e-6))


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
