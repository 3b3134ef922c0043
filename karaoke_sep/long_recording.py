"""The method of `pipeline` for a recording of any length: samples stay on the disk, and memory hardly grows.

Segments, their random numbers and the gate are those of a recording in memory. Only the pitch is sought part by part,
and what it is judged by (loud moments, contrast) is taken from the whole.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Protocol

import numpy as np
import soxr

from . import parts
from .config import Config
from .pipeline import (
    ANALYSIS_RATE_HZ,
    Frames,
    Progress,
    at_gate,
    check_form,
    check_values,
    heard_by_gate,
    n_unusable,
    refined,
    voices,
)
from .pitch import _salience
from .processes.threads import one_thread
from .steps import melody_enhancement
from .types import Audio, PitchTrack

BLOCK_SAMPLES = 1 << 18


class Samples(Protocol):
    """Samples that are kept somewhere, such as `samples_on_disk.SampleFile`."""

    rate_hz: int
    n_channels: int
    n_samples: int

    def excerpt(self, start: int, stop: int) -> Audio:
        """Samples from ``start`` to before ``stop``."""

    def add(self, start: int, samples: np.ndarray) -> None:
        """Add to what is there from ``start`` on; silence is beyond the end."""


@one_thread()
def separate(
    song: Samples, voice: Samples, config: Config, progress: Progress
) -> tuple[PitchTrack, Callable[[int, int], np.ndarray]]:
    """Write the voice of a song, not yet gated, to ``voice``.

    Returns
    -------
    track : PitchTrack
    gain : callable
        Gain of the gate, shape (stop - start,), from sample ``start`` to before ``stop``.
    """
    track = find_pitch(song, config, progress)
    heard = []
    for start, samples, frames in voices(song, track, config, progress):
        voice.add(start, samples)
        heard.append(frames)
    frames = Frames(*map(np.concatenate, zip(*heard, strict=True)))
    del heard  # in eight hours 100 MB of cepstra, as are those of all frames and those at the gate
    frames = at_gate(frames, song.n_samples / song.rate_hz, config)
    times_s, *_, gains = heard_by_gate(frames, track, config)
    del frames

    def gain(start: int, stop: int) -> np.ndarray:
        return np.interp(np.arange(start, stop) / song.rate_hz, times_s, gains).astype(np.float32)

    return track, gain


@one_thread()
def find_pitch(song: Samples, config: Config, progress: Progress) -> PitchTrack:
    """The sung melody of a song."""
    peak = check(song)
    backend = config.pitch.backend
    method, params = import_module(f"karaoke_sep.pitch.{backend}"), getattr(config.pitch, backend)
    if backend == "given":
        return method.track(song.excerpt(0, 0), params)
    found = []
    for from_s, begin_s, end_s, to_s in parts.bounds_s(song.n_samples / song.rate_hz, config.parts):
        mid = part_for_analysis(song, from_s, to_s, peak)
        melody = melody_enhancement.enhance(mid, config.melody_enhancement)
        followed = method.follow(melody, params)
        track = refined(_salience.judged(followed, params.hop_ms), mid, melody, config)
        followed = followed._replace(times_s=followed.times_s + from_s, f0_hz=track.f0_hz)
        inside = (followed.times_s >= begin_s) & ((followed.times_s < end_s) | (end_s == to_s))
        found.append(_salience.Followed(*(values[inside] for values in followed)))
        progress("pitch", to_s * song.rate_hz / song.n_samples)
    return _salience.judged(_salience.Followed(*map(np.concatenate, zip(*found, strict=True))), params.hop_ms)


def check(song: Samples) -> float:
    """Peak of the mean of the channels of a song that can be separated; raises InputError as `pipeline.checked`."""
    check_form(song)
    peak, n_bad = 0.0, 0
    for samples in blocks(song):
        n_bad += n_unusable(samples)
        peak = max(peak, float(np.abs(samples.mean(axis=0, dtype=np.float32)).max()))
    check_values(n_bad)
    return max(peak, 1e-9)


def blocks(song: Samples) -> Iterator[np.ndarray]:
    """The samples in blocks of shape (C, n)."""
    for start in range(0, song.n_samples, BLOCK_SAMPLES):
        yield song.excerpt(start, min(song.n_samples, start + BLOCK_SAMPLES)).samples


def part_for_analysis(song: Samples, from_s: float, to_s: float, peak: float) -> Audio:
    """As `pipeline.mid_for_analysis`, of a part and against the peak of the whole."""
    part = song.excerpt(round(from_s * song.rate_hz), round(to_s * song.rate_hz))
    mid = part.samples.mean(axis=0, dtype=np.float32)
    if song.rate_hz != ANALYSIS_RATE_HZ:
        mid = soxr.resample(mid, song.rate_hz, ANALYSIS_RATE_HZ)
    return Audio(mid[None] / np.float32(peak), ANALYSIS_RATE_HZ)
