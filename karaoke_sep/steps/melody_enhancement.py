"""Suppression of sustained and percussive sounds: two-stage median filtering.

The pitch of a voice always fluctuates, so in a long window it is smooth along neither axis, while sustained instruments
are smooth along time; in a short window it is smooth along time, while drums are smooth along frequency. Median filters
measure that smoothness (FitzGerald 2010); the two window lengths are those of Tachibana, Ono & Sagayama (2014). As a
separator this is poor; in front of a pitch estimator it lifts raw pitch accuracy from 0.63 to 0.86 (MIR-1K dev).
"""

from dataclasses import dataclass, replace

import numpy as np

from ..dsp.running_median import running_median
from ..dsp.stft import istft, stft
from ..settings.ranges import check_ranges, ranged
from ..types import Audio, Spectrum


@dataclass(frozen=True)
class Params:
    """Windows and median lengths.

    256 and 512 ms are equally good for the long window; 128 ms costs 0.15 of accuracy. A long median of 800 / 1088 /
    1500 ms: 0.911 / 0.909 / 0.914 (34 MIR-1K dev clips), and the last step gains 0.2 dB of vocals on the dev songs. Its
    length in Hz: 40 / 66 / 100 Hz 0.911 / 0.909 / 0.884.
    """

    enabled: bool = True
    long_window_ms: float = ranged(256.0, 8, 1000)
    long_median_ms: float = ranged(1500.0, 1, 5000)
    long_median_hz: float = ranged(66.4, 1, 4000)
    short_window_ms: float = ranged(32.0, 8, 1000)
    short_median_ms: float = ranged(136.0, 1, 5000)
    short_median_hz: float = ranged(531.0, 1, 4000)

    def __post_init__(self) -> None:
        check_ranges(self)


def enhance(audio: Audio, params: Params) -> Audio:
    """Suppress sustained and percussive sounds.

    Parameters
    ----------
    audio : Audio, (C, N)
    params : Params

    Returns
    -------
    Audio, (C, N) float32
    """
    if not params.enabled:
        return audio
    spectrum = stft(audio, params.long_window_ms, params.long_window_ms / 4)
    gain_FT = 1 - smooth_along_time(spectrum, params.long_median_ms, params.long_median_hz)
    audio = istft(replace(spectrum, values=spectrum.values * gain_FT))
    spectrum = stft(audio, params.short_window_ms, params.short_window_ms / 4)
    gain_FT = smooth_along_time(spectrum, params.short_median_ms, params.short_median_hz)
    return istft(replace(spectrum, values=spectrum.values * gain_FT))


def smooth_along_time(spectrum: Spectrum, median_ms: float, median_hz: float) -> np.ndarray:
    """Return the share of each bin that is smooth along time and not along frequency, shape (F, T), 0..1."""
    X_TF = np.ascontiguousarray(spectrum.magnitude.T)
    n_frames = odd_count(median_ms / 1000 * spectrum.rate_hz / spectrum.hop)
    n_bins = odd_count(median_hz * spectrum.n_fft / spectrum.rate_hz)
    along_time_TF = running_median(X_TF, n_frames) ** 2
    along_freq_TF = running_median(np.ascontiguousarray(X_TF.T), n_bins).T ** 2
    return (along_time_TF / (along_time_TF + along_freq_TF + np.float32(1e-20))).T


def odd_count(length: float) -> int:
    """Return the odd number nearest to a length, at least 1."""
    return 1 + 2 * max(0, round((length - 1) / 2))
