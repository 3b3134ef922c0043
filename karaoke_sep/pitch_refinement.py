"""The pitch to within a few cents, from the energy on its low partials.

The trackers decide which note is sung on a grid of 10 cents or coarser and on an enhanced signal; the tenth partial is
off by ten times their error. Offsets around the track are scored on the mixture itself, a Viterbi path keeps them
smooth, and a parabola gives the last few cents. On MIR-1K dev this lifts the ideal mask inside the comb from 12.8 to
13.4 dB.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.fft

from .stft import fast_even_length, hann
from .types import Audio, PitchTrack
from .viterbi import viterbi


@dataclass(frozen=True)
class Params:
    """Range and grid of the offsets, and which partials vote."""

    enabled: bool = True
    range_cents: float = 80.0
    step_cents: float = 5.0
    window_ms: float = 64.0
    n_partials: int = 8
    top_hz: float = 2000.0
    max_jump_cents: float = 30.0
    jump_cost: float = 0.004  # per cent

    def __post_init__(self):
        if not 0 < self.step_cents <= self.range_cents <= 600:
            raise ValueError(f"step_cents is {self.step_cents:g}; it must be above 0 and at most range_cents")
        if self.n_partials < 1:
            raise ValueError(f"n_partials is {self.n_partials}; it must be at least 1")
        if not 10 <= self.window_ms <= 1000:
            raise ValueError(f"window_ms is {self.window_ms:g}; it must be 10 to 1000")
        if self.max_jump_cents < self.step_cents:
            raise ValueError(f"max_jump_cents is {self.max_jump_cents:g}; it must be at least step_cents")
        if self.top_hz <= 0:
            raise ValueError(f"top_hz is {self.top_hz:g}; it must be positive")
        if self.jump_cost < 0:
            raise ValueError(f"jump_cost is {self.jump_cost:g}; it must not be negative")


def refine(track: PitchTrack, audio: Audio, params: Params) -> PitchTrack:
    """The same track, moved onto the partials of the mixture.

    Parameters
    ----------
    track : PitchTrack, (T,)
    audio : Audio, (1, N)
        The mixture.
    params : Params

    Returns
    -------
    PitchTrack, same times and voicing
    """
    frames = np.flatnonzero(np.isfinite(track.f0_hz))
    if not params.enabled or len(frames) == 0:
        return track
    n_steps = round(params.range_cents / params.step_cents)
    offsets_cents = params.step_cents * np.arange(-n_steps, n_steps + 1)
    score_TP = partial_energy(audio, track.times_s[frames], track.f0_hz[frames], offsets_cents, params)
    score_TP /= np.maximum(score_TP.max(axis=1, keepdims=True), 1e-12)
    max_jump = max(1, round(params.max_jump_cents / params.step_cents))
    path_T = viterbi(score_TP, max_jump, params.jump_cost * params.step_cents)
    f0_hz = track.f0_hz.copy()
    f0_hz[frames] *= 2 ** (params.step_cents * (path_T - n_steps + peak_shift(score_TP, path_T)) / 1200)
    return replace(track, f0_hz=f0_hz)


def partial_energy(audio, times_s, f0_hz, offsets_cents, params) -> np.ndarray:
    """Summed magnitude on the low partials of each shifted pitch, shape (T, P)."""
    n_window = fast_even_length(params.window_ms * audio.rate_hz / 1000)
    n_fft = 4 * n_window  # zero-padded, so that linear interpolation between bins is exact enough
    window = hann(n_window)
    padded = np.pad(audio.samples[0].astype(np.float32), n_window)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_window)
    starts = np.clip(np.rint(times_s * audio.rate_hz).astype(int) + n_window // 2, 0, len(frames) - 1)
    ratios = 2 ** (offsets_cents / 1200)
    score_TP = np.zeros((len(times_s), len(ratios)), np.float32)
    top_hz = min(params.top_hz, 0.98 * audio.rate_hz / 2)
    top_bin = int(np.ceil(top_hz * n_fft / audio.rate_hz)) + 2
    for block in np.array_split(np.arange(len(times_s)), max(1, len(times_s) // 512)):
        Y_TF = np.abs(scipy.fft.rfft(frames[starts[block]] * window, n_fft, axis=1)[:, :top_bin])
        rows = np.arange(len(block))[:, None]
        for k in range(1, params.n_partials + 1):
            partial_hz = k * f0_hz[block, None] * ratios
            position = np.minimum(partial_hz, top_hz) * (n_fft / audio.rate_hz)
            low = position.astype(int)
            share = position - low
            value = Y_TF[rows, low] * (1 - share) + Y_TF[rows, low + 1] * share
            # A partial counts for all offsets or for none, or the score would jump where one passes the limit.
            score_TP[block] += value * (k * f0_hz[block, None] < top_hz)
    return score_TP


def peak_shift(score_TP: np.ndarray, path_T: np.ndarray) -> np.ndarray:
    """Where the parabola through the path's three scores peaks, shape (T,), steps, within half a step."""
    rows = np.arange(len(path_T))
    inner = np.clip(path_T, 1, score_TP.shape[1] - 2)
    left, centre, right = (score_TP[rows, inner + shift] for shift in (-1, 0, 1))
    curvature = left - 2 * centre + right
    shift = np.where(curvature < 0, 0.5 * (left - right) / np.minimum(curvature, -1e-12), 0)
    return np.where(inner == path_T, np.clip(shift, -0.5, 0.5), 0)
