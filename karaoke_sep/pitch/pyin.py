"""Pitch by probabilistic YIN (Mauch & Dixon 2014), librosa's implementation.

pYIN was made for a single voice. On a mixture it follows the bass (raw pitch accuracy 0.21 on MIR-1K dev); on the
enhanced melody it is useful (0.73). Its voicing is also calibrated on clean voices, and is unvoiced in three quarters
of the sung frames of a mixture. Here the voicing is computed from the salience of the pitch, as in the other methods.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..settings.ranges import check_ranges, ranged
from ..types import Audio, PitchTrack, Salience
from . import _salience
from ._salience import MAX_HZ, MIN_HZ

MAX_OCTAVES_PER_S = 35.92  # default of librosa.pyin; its model fails where a step may be wider than the range


@dataclass(frozen=True)
class Params:
    """The settings of librosa.pyin that matter on mixtures."""

    min_hz: float = ranged(MIN_HZ, 40, 4000)
    max_hz: float = ranged(MAX_HZ, 40, 4000)
    window_ms: float = ranged(64.0, 20, 1000)
    hop_ms: float = ranged(16.0, 4, 100)
    step_cents: float = ranged(10.0, 5, 100)

    def __post_init__(self) -> None:
        check_ranges(self, ("min_hz", "below", "max_hz"), ("hop_ms", "at most", "window_ms"))
        if self.window_ms < 2000 / self.min_hz:
            raise ValueError(
                f"window_ms is {self.window_ms:g}; it must hold two periods of min_hz, {2000 / self.min_hz:g} ms"
            )
        widest_ms = 1000 * math.log2(self.max_hz / self.min_hz) / MAX_OCTAVES_PER_S
        if self.hop_ms > widest_ms:
            raise ValueError(
                f"hop_ms is {self.hop_ms:g}; it must be at most {widest_ms:g}, in which the pitch can move from "
                "min_hz to max_hz"
            )


def track(audio: Audio, params: Params) -> PitchTrack:
    """Estimate the sung melody of a sound.

    Parameters
    ----------
    audio : Audio, (1, N)
        Preferably after melody enhancement.
    params : Params

    Returns
    -------
    PitchTrack, one frame per hop
    """
    from ..processes.numba_cache import librosa  # imported here, because it takes long and only this method needs it

    n_window = 2 * round(params.window_ms * audio.rate_hz / 2000)
    n_window = max(n_window, 2 * int(audio.rate_hz / params.min_hz) + 2)  # more than two periods, whatever the rounding
    hop = max(1, round(params.hop_ms * audio.rate_hz / 1000))
    samples = np.pad(audio.samples[0], (0, max(0, n_window - audio.n_samples)))
    f0_hz, _, _ = librosa.pyin(
        samples,
        fmin=params.min_hz,
        fmax=params.max_hz,
        sr=audio.rate_hz,
        max_transition_rate=MAX_OCTAVES_PER_S,
        frame_length=n_window,
        hop_length=hop,
        resolution=params.step_cents / 100,
        fill_na=None,  # also in unvoiced frames, where an interpolated pitch is better than an empty comb
    )
    grid = _salience.Params(min_hz=params.min_hz, max_hz=params.max_hz, hop_ms=params.hop_ms)
    times_s, grid_hz, S_TP = _salience.salience(audio, grid)
    f0_hz = f0_hz[np.minimum(np.arange(len(times_s)), len(f0_hz) - 1)]  # its last frame may be missing
    state_T = np.clip(np.searchsorted(grid_hz, f0_hz), 0, len(grid_hz) - 1)
    on_track_T = S_TP[np.arange(len(times_s)), state_T]
    return _salience.judged(times_s, f0_hz, Salience(on_track_T, S_TP.mean(axis=1)), params.hop_ms)
