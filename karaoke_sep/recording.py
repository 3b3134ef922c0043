"""A recording, in memory or on the disk.

The pipeline reads a recording block by block and writes its voice block by block. An `Audio` is a recording in memory,
`files.samples_on_disk.SampleFile` is one on the disk; both give exactly the same stems.
"""

import os
import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import soxr

from .errors import InputError, counted
from .files import reading
from .files.samples_on_disk import ALL
from .types import Audio, PitchTrack

MIN_S = 0.05
MAX_SAMPLE = 1e10  # times full scale: accepts 32-bit integers that were read as floats, and avoids overflow of powers
BLOCK_S = 30  # a whole number of seconds, where the samples of any two rates coincide
_GROUP_VALUES = 1 << 25  # 130 MB; 32 s of five channels at 192 kHz
CONTEXT_S = 1  # beyond the reach of the resampling filter


class Samples(Protocol):
    """Samples that can be read at any position."""

    @property
    def rate_hz(self) -> int:
        """Sample rate."""

    @property
    def n_channels(self) -> int:
        """Number of channels."""

    @property
    def n_samples(self) -> int:
        """Number of samples of each channel."""

    def excerpt(self, start: int, stop: int) -> Audio:
        """Return the samples from ``start`` to before ``stop``."""


class Storage(Samples, Protocol):
    """Samples that can be written at any position."""

    def put(self, start: int, samples: np.ndarray) -> None:
        """Write samples, shape (C, n), from ``start`` on."""

    def add(self, start: int, samples: np.ndarray, channels: slice = ALL) -> None:
        """Add samples, (C, n) or those of some channels, from ``start`` on; samples beyond the end count as silence."""


class Buffer(Audio):
    """A `Storage` in memory."""

    @classmethod
    def like(cls, song: Samples) -> "Buffer":
        """Return silence with the rate and shape of a recording, float32."""
        return cls(np.zeros((song.n_channels, song.n_samples), np.float32), song.rate_hz)

    def put(self, start: int, samples: np.ndarray) -> None:
        """Write samples, shape (C, n), from ``start`` on."""
        self.samples[:, start : start + samples.shape[1]] = samples

    def add(self, start: int, samples: np.ndarray, channels: slice = ALL) -> None:
        """Add samples, shape (C, n) or those of some channels, to those from ``start`` on."""
        self.samples[channels, start : start + samples.shape[1]] += samples


class Resampled:
    """A recording, or the mean of its channels, at another sample rate, computed on reading."""

    def __init__(self, song: Samples, rate_hz: int, *, mono: bool = False):
        self.song, self.rate_hz, self.mono = song, rate_hz, mono
        self.n_channels = 1 if mono else song.n_channels
        self.n_samples = -(-song.n_samples * rate_hz // song.rate_hz)

    def excerpt(self, start: int, stop: int) -> Audio:
        """Return the samples from ``start`` to before ``stop``, shape (C, n), float32."""
        first_s = max(0, start // self.rate_hz - CONTEXT_S)
        last_s = -(-stop // self.rate_hz) + CONTEXT_S
        source = self.song.excerpt(first_s * self.song.rate_hz, min(last_s * self.song.rate_hz, self.song.n_samples))
        if self.mono:
            source = mono_mix(source, self.rate_hz)
        elif source.rate_hz != self.rate_hz:
            source = Audio(soxr.resample(source.samples.T, source.rate_hz, self.rate_hz).T, self.rate_hz)
        offset = first_s * self.rate_hz
        return source.excerpt(start - offset, stop - offset)


class Excerpt:
    """A part of a recording, as a recording."""

    def __init__(self, song: Samples, start: int, stop: int):
        self.song, self.start = song, start
        self.rate_hz, self.n_channels, self.n_samples = song.rate_hz, song.n_channels, stop - start

    def excerpt(self, start: int, stop: int) -> Audio:
        """Return the samples from ``start`` to before ``stop`` of the part, shape (C, n)."""
        return self.song.excerpt(self.start + start, self.start + stop)


class Combination:
    """One recording plus a multiple of another, computed on reading."""

    def __init__(self, song: Samples, other: Samples, factor: float):
        self.song, self.other, self.factor = song, other, factor
        self.rate_hz, self.n_channels, self.n_samples = song.rate_hz, song.n_channels, song.n_samples

    def excerpt(self, start: int, stop: int) -> Audio:
        """Return the samples from ``start`` to before ``stop``, shape (C, n)."""
        samples = self.song.excerpt(start, stop).samples + self.factor * self.other.excerpt(start, stop).samples
        return Audio(samples, self.rate_hz)


def mono_mix(audio: Audio, rate_hz: int) -> Audio:
    """Return the mean of the channels at another sample rate, shape (1, n), float32."""
    samples = audio.samples.mean(axis=0, dtype=np.float32)
    if audio.rate_hz != rate_hz:
        samples = soxr.resample(samples, audio.rate_hz, rate_hz)
    return Audio(samples[None], rate_hz)


def _block_samples(song: Samples) -> int:
    """Return the length of a block: whole seconds, and fewer where there are many channels."""
    return song.rate_hz * max(1, min(BLOCK_S, 2 * BLOCK_S // song.n_channels))


def channel_groups(song: Samples) -> Iterator[slice]:
    """Yield the channels whose samples are held in memory at a time: all, unless a recording has very many samples."""
    n_group = max(1, min(song.n_channels, _GROUP_VALUES // max(1, song.n_samples)))
    for first in range(0, song.n_channels, n_group):
        yield slice(first, min(song.n_channels, first + n_group))


def samples_of(song: Samples, channels: slice) -> np.ndarray:
    """Return the samples of some channels, shape (G, N)."""
    if channels.stop - channels.start == song.n_channels:
        return song.excerpt(0, song.n_samples).samples
    found = np.empty((channels.stop - channels.start, song.n_samples), song.excerpt(0, 1).samples.dtype)
    for start, stop in blocks(song):
        found[:, start:stop] = song.excerpt(start, stop).samples[channels]
    return found


def blocks(song: Samples) -> Iterator[tuple[int, int]]:
    """Yield the first sample, and the first sample after, of each block of a recording."""
    n_block = _block_samples(song)
    for start in range(0, song.n_samples, n_block):
        yield start, min(song.n_samples, start + n_block)


def mono_between(song: Samples, start: int, stop: int) -> Audio:
    """Return the mean of the channels from one sample to before another, shape (1, n), float32."""
    n_block = _block_samples(song)
    edges = [*range(start, min(stop, song.n_samples), n_block), min(stop, song.n_samples)]
    means = [song.excerpt(*pair).samples.mean(axis=0, dtype=np.float32) for pair in pairwise(edges)]
    return Audio(np.concatenate(means)[None], song.rate_hz)


def peak_of(song: Samples) -> float:
    """Return the peak of the mono mix of a recording, > 0.

    Raises
    ------
    InputError
        If the recording has too many channels, an unusual sample rate, too few samples, or samples that are not finite.
    """
    check_form(song.n_channels, song.rate_hz, song.n_samples)
    peak, n_bad = 0.0, 0
    for start, stop in blocks(song):
        samples = song.excerpt(start, stop).samples
        n_bad += int(np.count_nonzero(~(np.abs(samples) <= MAX_SAMPLE)))
        peak = max(peak, float(np.abs(samples.mean(axis=0, dtype=np.float32)).max()))
    if n_bad:
        raise InputError(
            f"{counted(n_bad, 'sample')} cannot be used: NaN, infinite or beyond {MAX_SAMPLE:g} times full scale; "
            "write the file again as PCM"
        )
    return max(peak, 1e-9)


def check_form(n_channels: int, rate_hz: int, n_samples: int) -> None:
    """Raise InputError for a number of channels, a sample rate or a length that cannot be separated."""
    if n_channels > 64:
        raise InputError(f"{n_channels} channels; at most 64 (is the array (N, channels)? it must be (channels, N))")
    if not 8000 <= rate_hz <= 192_000:
        raise InputError(f"the sample rate is {rate_hz} Hz; 8000 to 192000 Hz is needed")
    if n_samples == 0:
        raise InputError("holds no samples")
    if n_samples / rate_hz < MIN_S:
        raise InputError(f"{n_samples / rate_hz:.3f} s is too short; at least {MIN_S} s is needed")


def as_recording(audio: Samples | np.ndarray | str | os.PathLike, rate_hz: int | None) -> Samples:
    """Return an array as `Audio`, the sound in a file, and any other recording as it is.

    Raises
    ------
    InputError
        If an array comes without its sample rate, has more than two axes, or holds no floats; or if a file comes with a
        sample rate, or cannot be read; or if the rate is not a whole number.
    """
    rate_hz = None if rate_hz is None else _whole(rate_hz)
    if isinstance(audio, str | os.PathLike):
        return _sound_in(Path(audio), rate_hz)
    if isinstance(audio, np.ndarray) or not hasattr(audio, "excerpt"):
        if rate_hz is None:
            raise InputError("rate_hz is missing: an array has no sample rate; pass rate_hz")
        audio = Audio(np.asarray(audio), rate_hz)
    return _checked(audio) if isinstance(audio, Audio) else audio


def _checked(audio: Audio) -> Audio:
    """Return a sound whose samples are floats of shape (C, N), and whose rate is a whole number."""
    samples = np.asarray(audio.samples)
    if samples.dtype.kind != "f":
        raise InputError(f"the samples are {samples.dtype}; float with full scale 1.0 is needed")
    if samples.ndim not in (1, 2):
        raise InputError(f"the samples have {samples.ndim} axes; (N,) or (channels, N) is needed")
    return Audio(np.atleast_2d(samples), _whole(audio.rate_hz))


def _whole(rate_hz: object) -> int:
    """Return a sample rate as an int; the config often stands in its place by mistake."""
    if isinstance(rate_hz, int | float | np.integer | np.floating) and rate_hz % 1 == 0:
        return int(rate_hz)
    raise InputError(
        f"rate_hz is {rate_hz!r:.40}, but a whole number of Hz is needed; call separate(samples, 44100, 'fast'), or "
        "separate('song.wav', config='fast')"
    )


def _sound_in(path: Path, rate_hz: int | None) -> Audio:
    """Return the sound in a file in memory; warn if the file is damaged."""
    if rate_hz is not None:
        raise InputError(f"{path}: rate_hz is {rate_hz}, but a file has its own sample rate; leave rate_hz out")
    audio, lines = reading.read(path)
    for line in lines:
        warnings.warn(line, stacklevel=4)
    return audio


def as_track(track: PitchTrack) -> PitchTrack:
    """Return a track with arrays of float, after its values have been checked.

    Raises
    ------
    InputError
        If it is no track, the arrays have different lengths or no frame, the times do not increase, or a pitch or a
        voicing is out of range.
    """
    if not isinstance(track, PitchTrack):
        kind = type(track).__name__
        raise InputError(f"track: is a {kind}; give karaoke_sep.PitchTrack(times_s, f0_hz, voicing)")
    given = (track.times_s, track.f0_hz, track.voicing)
    times_s, f0_hz, voicing = arrays = [np.asarray(values, float) for values in given]
    if not (times_s.ndim == 1 and times_s.shape == f0_hz.shape == voicing.shape):
        shapes = ", ".join(f"{values.shape}" for values in (times_s, f0_hz, voicing))
        raise InputError(f"track: times_s, f0_hz and voicing have the shapes {shapes}; each needs one value a frame")
    if len(times_s) == 0:
        raise InputError("track: has no frame; leave track out to have the pitch estimated")
    if not (np.isfinite(times_s).all() and (np.diff(times_s) > 0).all()):
        raise InputError("track: times_s do not increase from frame to frame; sort the frames")
    if not ((f0_hz > 0) & (f0_hz < np.inf) | np.isnan(f0_hz)).all():
        raise InputError(
            "track: f0_hz holds values that are no pitch; give Hz above 0, and NaN where there is no pitch"
        )
    if not ((voicing >= 0) & (voicing <= 1)).all():
        raise InputError("track: voicing holds values outside 0 to 1; it needs probabilities")
    is_same = all(array is values for array, values in zip(arrays, given, strict=True))
    return track if is_same else replace(track, times_s=times_s, f0_hz=f0_hz, voicing=voicing)


def shifted(track: PitchTrack, seconds: float) -> PitchTrack:
    """Return the track with its times shifted."""
    return replace(track, times_s=track.times_s + seconds)
