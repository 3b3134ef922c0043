"""Ceilings: the figures of ideal masks, and of the method with a part of the labels.

The difference between two ceilings is the cost of the errors in the part that they do not share. Masks from the true
sources are upper bounds for any method that masks at the same resolution. Windows of 64 ms every 16 ms (1024 / 256 at
16 kHz) are those of the published bounds.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np

from ..config import Config
from ..datasets.mir1k import Track
from ..dsp.stft import istft, stft
from ..pipeline import separate
from ..steps.harmonic_mask import harmonic_mask
from ..types import Audio, PitchTrack

WINDOW_MS, HOP_MS = 64.0, 16.0


def ideal_binary(clip: Track, config: Config | None, track: PitchTrack | None) -> Audio:
    """Return the vocals of the binary mask where the voice is louder than the accompaniment (Wang 2005)."""
    return _masked(clip, WINDOW_MS, HOP_MS, lambda V, A: V > A)


def ideal_ratio(clip: Track, config: Config | None, track: PitchTrack | None) -> Audio:
    """Return the vocals of a mask with the voice's share of the magnitudes."""
    return _masked(clip, WINDOW_MS, HOP_MS, lambda V, A: V / (V + A + 1e-12))


def ideal_wiener(clip: Track, config: Config | None, track: PitchTrack | None) -> Audio:
    """Return the vocals of a mask with the voice's share of the powers."""
    return _masked(clip, WINDOW_MS, HOP_MS, _wiener)


def ideal_wiener_in_comb(clip: Track, config: Config, track: PitchTrack) -> Audio:
    """Return the vocals of the ideal Wiener gain inside the harmonic mask of the estimated pitch, 0 outside.

    It is the upper bound of the method with the estimated pitch.
    """
    spectrum = stft(clip.mixture, config.stft.window_ms, config.stft.hop_ms)
    n_bins = len(spectrum.freqs_hz)
    comb = harmonic_mask(track, spectrum, n_bins, config.harmonic_mask).covered_TF.T
    return _masked(clip, config.stft.window_ms, config.stft.hop_ms, lambda V, A: comb * _wiener(V, A))


def true_pitch(clip: Track, config: Config, track: PitchTrack) -> Audio:
    """Return the vocals of the method with the pitch of the labels where they have one, and estimated voicing."""
    labels = _labels(clip)
    estimate = track.at(labels.times_s)
    f0_hz = np.where(np.isfinite(labels.f0_hz), labels.f0_hz, estimate.f0_hz)
    return separate(clip.mixture, config=config, track=replace(estimate, f0_hz=f0_hz)).vocals


def true_voicing(clip: Track, config: Config, track: PitchTrack) -> Audio:
    """Return the vocals of the method with the estimated pitch and the voicing of the labels."""
    sung = _labels(clip).at(track.times_s).voicing >= 0.5
    voicing = np.where(sung & np.isfinite(track.f0_hz), 1.0, 0.0)
    return separate(clip.mixture, config=config, track=replace(track, voicing=voicing)).vocals


def true_pitch_and_voicing(clip: Track, config: Config, track: PitchTrack) -> Audio:
    """Return the vocals of the method with pitch and voicing of the labels."""
    return separate(clip.mixture, config=config, track=_labels(clip)).vocals


def _labels(clip: Track) -> PitchTrack:
    """Return the pitch labels of a clip. Only the ceilings in `FROM_LABELS` use them, on clips with labels."""
    return cast(PitchTrack, clip.pitch)


def _masked(
    clip: Track, window_ms: float, hop_ms: float, rule: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Audio:
    voice, music, mixture = (stft(x, window_ms, hop_ms) for x in (clip.vocals, clip.accompaniment, clip.mixture))
    gain = rule(np.abs(voice.values), np.abs(music.values))
    return istft(replace(mixture, values=mixture.values * gain))


def _wiener(V: np.ndarray, A: np.ndarray) -> np.ndarray:
    return V**2 / (V**2 + A**2 + 1e-20)


# By their inputs besides the sources: none, the estimated pitch, the labels. Only the first group needs no config.
FROM_SOURCES = {
    "ideal binary mask": ideal_binary,
    "ideal ratio mask": ideal_ratio,
    "ideal Wiener mask": ideal_wiener,
}
FROM_ESTIMATE = {
    "ideal Wiener mask in the comb": ideal_wiener_in_comb,
}
FROM_LABELS = {
    "true pitch": true_pitch,
    "true voicing": true_voicing,
    "true pitch and voicing": true_pitch_and_voicing,
}
