"""The values that flow through the pipeline.

Axes, in every file of the package: C channels, N samples, F frequency bins, T frames, K components,
P pitch states. ``V_FT`` is an array of shape (F, T). Pitch is in Hz and NaN where there is none; 0 for
"no pitch" exists in files only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Progress = Callable[[str, float], None]  # called with the name of a stage, and the fraction of it that is done


def silent(stage: str, done: float) -> None:
    """Report no progress."""


@dataclass(frozen=True, eq=False)
class Audio:
    """Sound.

    Attributes
    ----------
    samples : ndarray, shape (C, N), float, full scale 1.0
    rate_hz : int
    """

    samples: np.ndarray
    rate_hz: int

    @property
    def n_channels(self) -> int:
        """C."""
        return self.samples.shape[0]

    @property
    def n_samples(self) -> int:
        """N, of each channel."""
        return self.samples.shape[1]

    @property
    def duration_s(self) -> float:
        """Length, s."""
        return self.n_samples / self.rate_hz

    def excerpt(self, start: int, stop: int) -> "Audio":
        """Return the samples from ``start`` to before ``stop``."""
        return Audio(self.samples[:, start:stop], self.rate_hz)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Short-time Fourier transform of a sound.

    Attributes
    ----------
    values : ndarray, shape (C, F, T), complex
        Frame t is centred at sample ``t * hop``.
    rate_hz : int
    n_fft, hop : int, samples
    n_samples : int
        Length of the sound, so that it can be rebuilt exactly.
    """

    values: np.ndarray
    rate_hz: int
    n_fft: int
    hop: int
    n_samples: int

    @property
    def freqs_hz(self) -> np.ndarray:
        """Centre of each bin, shape (F,), Hz."""
        return np.arange(self.values.shape[1]) * (self.rate_hz / self.n_fft)

    @property
    def times_s(self) -> np.ndarray:
        """Centre of each frame, shape (T,), s."""
        return np.arange(self.values.shape[2]) * (self.hop / self.rate_hz)

    @property
    def magnitude(self) -> np.ndarray:
        """Root of the mean power over channels, shape (F, T), >= 0."""
        if self.values.shape[0] == 1:
            return np.abs(self.values[0])
        power = sum(values.real**2 + values.imag**2 for values in self.values)
        return np.sqrt(power / np.float32(len(self.values)))


class Salience(NamedTuple):
    """Salience of the pitch track and of all pitches in each frame.

    Attributes
    ----------
    on_track_T : ndarray, shape (T,), >= 0
        Salience of the estimated pitch; where it is 0 there is no pitch.
    mean_T : ndarray, shape (T,), >= 0
        Mean salience of all pitches.
    """

    on_track_T: np.ndarray
    mean_T: np.ndarray


@dataclass(frozen=True, eq=False)
class PitchTrack:
    """The sung melody.

    Attributes
    ----------
    times_s : ndarray, shape (T,), s, increasing
    f0_hz : ndarray, shape (T,), Hz, NaN where nobody can be singing a pitch
    voicing : ndarray, shape (T,), 0..1
        Probability that the pitch is sung; 0 where ``f0_hz`` is NaN.
    salience : Salience, optional
        Salience from which the voicing is computed; tracks from a file have none.
    evidence_T : ndarray, shape (T,), optional
        Evidence of singing, from `steps.singing_presence`; tracks from a file have none.
    """

    times_s: np.ndarray
    f0_hz: np.ndarray
    voicing: np.ndarray
    salience: Salience | None = None
    evidence_T: np.ndarray | None = None

    def between(self, begin_s: float, end_s: float) -> "PitchTrack":
        """Return the frames from one time to before another."""
        inside = (self.times_s >= begin_s) & (self.times_s < end_s)
        salience = self.salience and Salience(*(values[inside] for values in self.salience))
        evidence_T = None if self.evidence_T is None else self.evidence_T[inside]
        return PitchTrack(self.times_s[inside], self.f0_hz[inside], self.voicing[inside], salience, evidence_T)

    def at(self, times_s: np.ndarray) -> "PitchTrack":
        """Return the track at other times: pitch interpolated on a log scale, unvoiced where the nearest frame is."""
        nearest = np.rint(np.interp(times_s, self.times_s, np.arange(len(self.times_s)))).astype(int)
        pitched = np.isfinite(self.f0_hz)
        if not pitched.any():
            return PitchTrack(times_s, np.full(len(times_s), np.nan), np.zeros(len(times_s)))
        log_f0 = np.interp(times_s, self.times_s[pitched], np.log(self.f0_hz[pitched]))
        f0_hz = np.where(pitched[nearest], np.exp(log_f0), np.nan)
        return PitchTrack(times_s, f0_hz, np.interp(times_s, self.times_s, self.voicing) * pitched[nearest])


@dataclass(frozen=True, eq=False)
class Separation:
    """Two stems that add up to the mixture, and the melody along which they were separated.

    Attributes
    ----------
    vocals, accompaniment : Audio, (C, N)
    track : PitchTrack
    """

    vocals: Audio
    accompaniment: Audio
    track: PitchTrack


@dataclass(frozen=True)
class Note:
    """One sung note.

    Attributes
    ----------
    onset_s, offset_s : float
    key : int, 0..127
        The MIDI key, in the tuning that the singer keeps over the song.
    pitch : float, semitones
        Sung pitch: the median of the contour.
    velocity : int, 1..127
    """

    onset_s: float
    offset_s: float
    key: int
    pitch: float
    velocity: int
