"""A backing track to sing to: the song with its voice turned down, in another key or tempo if wanted.

Key and tempo are changed by Signalsmith Stretch (Luff 2023, "The design of Signalsmith Stretch"; MIT licence) by way of
the package python-stretch, the extra [stretch]. It keeps the stereo image (side of the demo song's band 10.3 dB
under mid before, 10.4 after) and leaves clicks where they are. librosa's phase vocoder, which would need no extra,
treats the channels apart: the side rises to 1 dB under mid, 3 dB of level are lost, and clicks move by some 10 ms.
libtsm loses the stereo image too; Rubber Band, and what is built on it, is GPL.
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
    """What becomes of the voice, and of the music.

    Attributes
    ----------
    vocals_db : float or None
        Gain of the voice that is kept to guide the singer; None takes it out.
    key_semitones : float
        How much higher the music is played.
    tempo_ratio : float
        How many times as fast.
    """

    vocals_db: float | None = None
    key_semitones: float = 0.0
    tempo_ratio: float = 1.0

    @property
    def stretches(self) -> bool:
        """Whether key or tempo are other than those of the song."""
        return self.key_semitones != 0 or self.tempo_ratio != 1


def check(params: Params) -> None:
    """Check that a track can be made so here.

    Raises
    ------
    ConfigError
        When key or tempo are to change and the library for it is not installed.
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
