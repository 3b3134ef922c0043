"""Separate one input, in memory or on the disk."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np

from .. import correction, pipeline
from ..config import Config
from ..errors import InputError
from ..files import reading
from ..files.samples_on_disk import SampleFile
from ..recording import Buffer, Excerpt, Samples, Storage, shifted
from ..types import Audio, PitchTrack
from . import stored
from .jobs import Job, Order, Span
from .space import is_long, max_samples

_OVERHANG_S = 1.0  # the contours of some tools reach a little over the end of the song


class Separated(NamedTuple):
    """Result of the separation, from which the products are made.

    Attributes
    ----------
    song : Samples, (C, N)
        The mixture.
    vocals : Samples, (C, N), optional
        None if only the pitch was ordered.
    track : PitchTrack
    warnings : tuple of str
    n_bits : int, optional
        Bits to which the vocals are rounded; see `stored`.
    """

    song: Samples
    vocals: Samples | None
    track: PitchTrack
    warnings: tuple[str, ...]
    n_bits: int | None = None

    @property
    def voice(self) -> Samples:
        """The vocals, which every sound and picture needs."""
        return cast(Samples, self.vocals)

    @property
    def seconds(self) -> float:
        """Length of the song."""
        return self.song.n_samples / self.song.rate_hz


def separate(
    job: Job, order: Order, config: Config, progress: Callable[[str, float], None], files: ExitStack
) -> Separated:
    """Return the vocals and the pitch of the input of a job, from the store if they are there.

    ``files`` closes temporary files.
    """
    song, warnings = _read(job, order, config, files)
    length_s = song.n_samples / song.rate_hz
    if not order.span.is_whole:
        song = excerpt_of(song, order.span)
    job = replace(job, track=_track_of(job, order.span, length_s))
    if order.layout == "mir1k":
        song = ChannelSum(song)
    if not order.sounds:
        return Separated(song, None, pipeline.find_pitch(song, config=config, progress=progress), warnings)
    vocals = _storage(song, job, config, files)
    if job.stored:
        return Separated(song, vocals, stored.read(job.stored, vocals), warnings)
    if job.track is None or not hasattr(config.pitch.method, "track"):
        track = pipeline.separate_to(vocals, song, config, track=job.track, progress=progress)
    else:
        track, voice = job.track, _storage(song, job, config, files)
        corrected = correction.separate_corrected_to(vocals, voice, song, config, track=track, progress=progress)
        warnings += (f"{job.source}: {_told(corrected)}",)
    return Separated(song, vocals, track, warnings, stored.round_voice(vocals, job, order))


def _told(corrected: correction.Corrected) -> str:
    """Return what a correction changed, in words."""
    of_all = f"{corrected.n_changed} of {corrected.n_frames} frames"
    if corrected.is_whole:
        return f"--pitch-file differs from the estimated pitch in {of_all}, more than half: the whole file is followed"
    if not corrected.n_changed:
        return "--pitch-file changes no frame: it agrees with the estimated pitch"
    return f"--pitch-file changes {of_all}"


def _read(job: Job, order: Order, config: Config, files: ExitStack) -> tuple[Samples, tuple[str, ...]]:
    limit, _ = max_samples(job, order, config)
    if not is_long(job, config):
        return reading.read(job.source, limit, stream=order.stream)
    song, warnings = reading.read_to_disk(job.source, job.folder, limit, stream=order.stream)
    return files.enter_context(song), warnings


def _storage(song: Samples, job: Job, config: Config, files: ExitStack) -> Storage:
    """Return storage for a voice, filled with silence."""
    if not is_long(job, config):
        return Buffer.like(song)
    return files.enter_context(SampleFile(job.folder, song.rate_hz, song.n_channels, np.float32))


def excerpt_of(song: Samples, span: Span) -> Samples:
    """Return a part of a song.

    Raises
    ------
    InputError
        If the song ends before the part begins.
    """
    start = round(span.start_s * song.rate_hz)
    stop = song.n_samples if span.duration_s is None else round(span.stop_s * song.rate_hz)
    if start >= song.n_samples:
        length_s = song.n_samples / song.rate_hz
        raise InputError(f"ends at {length_s:.2f} s, before --start; choose an earlier start")
    return Excerpt(song, start, min(stop, song.n_samples))


def _track_of(job: Job, span: Span, length_s: float) -> PitchTrack | None:
    """Return the contour of a part of a song from a contour file, whose times count from the start of the song."""
    if job.track is None:
        return None
    track = job.track.between(span.start_s, min(span.stop_s, length_s + _OVERHANG_S))
    if len(track.times_s) == 0:
        where = "in the song" if span.is_whole else "between --start and the end"
        raise InputError(f"its pitch contour has no frame {where}; leave out --pitch-file")
    return shifted(track, -span.start_s)


class ChannelSum:
    """The sum of the channels of a recording, as a mono recording."""

    def __init__(self, song: Samples):
        self.song, self.rate_hz, self.n_channels, self.n_samples = song, song.rate_hz, 1, song.n_samples

    def excerpt(self, start: int, stop: int) -> Audio:
        """Return the samples from ``start`` to before ``stop``, shape (1, n)."""
        return Audio(self.song.excerpt(start, stop).samples.sum(axis=0, keepdims=True), self.rate_hz)
