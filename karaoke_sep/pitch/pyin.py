"""Pitch by probabilistic YIN (Mauch & Dixon 2014), librosa's implementation.

Made for a single voice: on a raw mixture it follows the bass (raw pitch accuracy 0.21 on MIR-1K dev); on the enhanced
melody signal it is useful (0.73).
"""

from dataclasses import dataclass

import numpy as np

from ..types import Audio, PitchTrack
from ._salience import MAX_HZ, MIN_HZ


@dataclass(frozen=True)
class Params:
    """librosa.pyin's settings that matter on mixtures."""

    min_hz: float = MIN_HZ
    max_hz: float = MAX_HZ
    window_ms: float = 64.0
    hop_ms: float = 16.0
    step_cents: float = 10.0

    def __post_init__(self):
        if not 20 <= self.min_hz < self.max_hz <= 4000:
            raise ValueError(f"min_hz is {self.min_hz:g}; it must be at least 20 and below max_hz, at most 4000")
        if not 2000 / self.min_hz <= self.window_ms <= 1000:
            raise ValueError(f"window_ms is {self.window_ms:g}; it must hold two periods of min_hz and be at most 1000")
        if not 1 <= self.hop_ms <= self.window_ms:
            raise ValueError(f"hop_ms is {self.hop_ms:g}; it must be 1 to window_ms")
        if not 1 <= self.step_cents <= 100:
            raise ValueError(f"step_cents is {self.step_cents:g}; it must be 1 to 100")


def track(audio: Audio, params: Params) -> PitchTrack:
    """The sung melody of a sound.

    Parameters
    ----------
    audio : Audio, (1, N)
        Best after melody enhancement.
    params : Params

    Returns
    -------
    PitchTrack, one frame a hop
    """
    import librosa  # heavy, and needed by this method only

    n_window = 2 * round(params.window_ms * audio.rate_hz / 2000)
    hop = max(1, round(params.hop_ms * audio.rate_hz / 1000))
    samples = np.pad(audio.samples[0], (0, max(0, n_window - audio.n_samples)))
    f0_hz, _, voicing = librosa.pyin(
        samples,
        fmin=params.min_hz,
        fmax=params.max_hz,
        sr=audio.rate_hz,
        frame_length=n_window,
        hop_length=hop,
        resolution=params.step_cents / 100,
        fill_na=None,  # the pitch of unvoiced frames too: an interpolated pitch beats an empty comb
    )
    times_s = np.arange(len(f0_hz)) * hop / audio.rate_hz
    n_silent = frame_is_silent(samples, hop, len(f0_hz))
    return PitchTrack(times_s, np.where(n_silent, np.nan, f0_hz), np.where(n_silent, 0.0, voicing))


def frame_is_silent(samples, hop: int, n_frames: int) -> np.ndarray:
    """True where a hop's neighbourhood holds digital silence, shape (T,)."""
    peaks = np.zeros(n_frames)
    blocks = np.abs(np.pad(samples, (0, -len(samples) % hop))).reshape(-1, hop).max(axis=1)[:n_frames]
    peaks[: len(blocks)] = blocks
    peaks[1:] = np.maximum(peaks[1:], peaks[:-1])
    return peaks == 0
