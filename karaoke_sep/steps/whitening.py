"""Division of the mixture by the level of the accompaniment in each bin.

The evidence of a partial for the pitch depends on its level relative to the accompaniment, not on its absolute level.
The level of the accompaniment in a bin is measured at times without a partial of the voice in this bin. If a partial
stays in a bin for long, the level is taken from the neighbouring bins. Dividing by that level, as a matched filter in
coloured noise does (North 1943), weights the partials by their evidence.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy

from ..dsp.smoothing import smooth_plane
from ..dsp.stft import istft, stft
from ..settings.ranges import check_ranges, ranged
from ..types import Audio, PitchTrack
from . import harmonic_mask

WINDOW_MS = 192.0  # the resolution of the masks
NEIGHBOURS_HZ = 130.0  # wider than a harmonic band
NEIGHBOURS_SHARE = np.float32(0.05)  # relative to a bin that is never covered


@dataclass(frozen=True)
class Params:
    """Reach in time of the level of the accompaniment, and its floor.

    Vocals, 81 MIR-1K dev clips, with this and powers instead of magnitudes in the refinement of the pitch: 9.94 ->
    10.07 dB (v2); without it, 10.01. Reach 320 / 640 / 1200 / 1800 / 3000 ms: 10.03 / 10.05 / 10.07 / 10.06 / 10.05;
    floor 0.01 / 0.02 / 0.05: 10.06 / 10.07 / 10.07; 64 ms from frame to frame lose 0.01.
    """

    enabled: bool = True
    reach_ms: float = ranged(1200.0, 50, 2000)
    floor: float = ranged(0.03, 0.0001, 1)
    hop_ms: float = ranged(32.0, 4, 96)

    def __post_init__(self) -> None:
        check_ranges(self)


def whiten(mixture: Audio, track: PitchTrack, mask_params: harmonic_mask.Params, params: Params) -> Audio:
    """Return the mixture with its accompaniment about equally strong in all bins, and as loud as before at each time.

    Parameters
    ----------
    mixture : Audio, (1, N)
    track : PitchTrack
        The accompaniment is measured outside the harmonic mask of this pitch.
    mask_params : harmonic_mask.Params
    params : Params

    Returns
    -------
    Audio, (1, N) float32
    """
    if not params.enabled:
        return mixture
    spectrum = stft(mixture, WINDOW_MS, params.hop_ms)
    X_TF = np.ascontiguousarray(spectrum.magnitude.T)
    mask = harmonic_mask.harmonic_mask(track, spectrum, X_TF.shape[1], mask_params)
    reach = params.reach_ms / params.hop_ms
    A_TF = uncovered_mean(X_TF, mask.covered_TF, reach, round(NEIGHBOURS_HZ * spectrum.n_fft / spectrum.rate_hz))
    A_TF += params.floor * smooth_plane(X_TF.max(axis=1, keepdims=True), reach) + np.float32(1e-9)
    G_TF = 1 / A_TF
    loudness = (smooth_plane(np.sum(S_TF**2, axis=1, keepdims=True), reach) for S_TF in (X_TF, G_TF * X_TF))
    before_T1, after_T1 = loudness
    G_TF *= np.sqrt(before_T1 / (after_T1 + np.float32(1e-12)))
    return istft(replace(spectrum, values=spectrum.values * G_TF.T))


def uncovered_mean(X_TF: np.ndarray, covered_TF: np.ndarray, reach: float, n_neighbours: int) -> np.ndarray:
    """Return the mean of each bin over the nearby frames where it is uncovered, and of its neighbours, shape (T, F)."""
    u_TF = np.where(covered_TF, np.float32(0), np.float32(1))
    sum_TF, weight_TF = smooth_plane(u_TF * X_TF, reach), smooth_plane(u_TF, reach)
    near_sum_TF, near_weight_TF = (
        NEIGHBOURS_SHARE * scipy.ndimage.uniform_filter1d(S_TF, n_neighbours, axis=1) for S_TF in (sum_TF, weight_TF)
    )
    return (sum_TF + near_sum_TF) / (weight_TF + near_weight_TF + np.float32(1e-6))
