"""A backing track to sing to: the song with its voice turned down, optionally in another key or tempo.

Key and tempo are changed by Signalsmith Stretch (Luff 2023, "The design of Signalsmith Stretch"; MIT licence) through
the package python-stretch, the extra [stretch]. It keeps the stereo image (the side signal of the demo song's band is
10.3 dB below the mono mix before, 10.4 dB after) and does not move clicks. librosa's phase vocoder, which needs no
extra, processes each channel by itself: the side signal rises to 1 dB below the mono mix, the level falls by 3 dB, and
clicks move by about 10 ms. libtsm loses the stereo image, too. Rubber Band and the packages built on it are under the
GPL.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import ConfigError, how_to_install
from .types import Audio

# Tones of 55 to 440 Hz come out within 13 cents in any key; with the library's own 120 and 30 ms within 33.
_BLOCK_S, _INTERVAL_S = 0.2, 0.025


@dataclass(frozen=True)
class Params:
    """Settings of a backing track.

    Attributes
    ----------
    vocals_db : float or None
        Level of the voice that is kept as a guide for the singer; None removes the voice.
    key_semitones : float
        Transposition, up if positive.
    tempo_ratio : float
        Speed relative to the song.
    loudness_lufs : float or None
        Integrated loudness of the track (EBU R 128); None keeps that of the song without its voice.
    """

    vocals_db: float | None = None
    key_semitones: float = 0.0
    tempo_ratio: float = 1.0
    loudness_lufs: float | None = None

    @property
    def stretches(self) -> bool:
        """Whether the key or the tempo differs from that of the song."""
        return self.key_semitones != 0 or self.tempo_ratio != 1


def check(params: Params) -> None:
    """Check that the library for key and tempo is installed if it is needed.

    Raises
    ------
    ConfigError
        If the key or the tempo changes and the library is not installed.
    """
    if params.stretches:
        _stretch_library()


def make(mixture: Audio, vocals: Audio, params: Params) -> Audio:
    """Return the backing track.

    Parameters
    ----------
    mixture, vocals : Audio, (C, N)
    params : Params

    Returns
    -------
    Audio, (C, M)
        M = N / ``tempo_ratio``, rounded.
    """
    kept = 0.0 if params.vocals_db is None else 10 ** (params.vocals_db / 20)
    track = Audio(mixture.samples - (1 - kept) * vocals.samples, mixture.rate_hz)
    return _stretched(track, params) if params.stretches else track


def _stretched(audio: Audio, params: Params) -> Audio:
    stretch = _stretch_library().Signalsmith.Stretch()
    block, interval = (round(seconds * audio.rate_hz) for seconds in (_BLOCK_S, _INTERVAL_S))
    stretch.configure(audio.n_channels, block, interval)
    stretch.setTransposeSemitones(params.key_semitones)
    stretch.setTimeFactor(params.tempo_ratio)
    found = stretch.process(np.ascontiguousarray(audio.samples, np.float32))
    samples = np.zeros((audio.n_channels, round(audio.n_samples / params.tempo_ratio)), np.float32)
    n = min(samples.shape[1], found.shape[1])
    samples[:, :n] = found[:, :n]
    return Audio(samples, audio.rate_hz)


def _stretch_library() -> Any:
    try:
        import python_stretch
    except ImportError:
        raise ConfigError(f"--key, --tempo: not installed here; {how_to_install('stretch')}") from None
    return python_stretch
