"""Separate one input, in memory or on the disk."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple, cast

import numpy as np

from .. import correction, pipeline
from ..config import Config
from ..errors import InputError
from ..files import reading, tags
from ..files.samples_on_disk import SampleFile
from ..files.tags import Tags
from ..notes import segment
from ..recording import Buffer, Excerpt, Samples, Storage, shifted
from ..types import Audio, Note, PitchTrack
from . import stored
from .jobs import SOUNDS, Job, Order, Span
from .space import is_long, max_samples

_OF_SAMPLES = {*SOUNDS, "picture"}  # products that are made from the song and its vocals
_OF_NOTES = {"notes", "ultrastar", stored.TRACK}
_OVERHANG_S = 1.0  # the contours of some tools reach a little over the end of the song


class Separated(NamedTuple):
    """Result of the separation, from which the products are made.

    Attributes
    ----------
    track : PitchTrack, (T,)
    seconds : float
        Length of the song.
    warnings : tuple of str
        Messages for the user, without the name of the song.
    song : Samples, (C, N), optional
        The mixture; None if no product needs it.
    vocals : Samples, (C, N), optional
        None if no product needs them.
    notes : tuple of Note
        Empty if no product needs them.
    n_bits : int, optional
        Bits to which the vocals are rounded; see `stored`.
    about : Tags
        Tags of the song, for its sounds and its UltraStar song.
    """

    track: PitchTrack
    seconds: float
    warnings: tuple[str, ...]
    song: Samples | None = None
    vocals: Samples | None = None
    notes: tuple[Note, ...] = ()
    n_bits: int | None = None
    about: Tags = Tags()

    @property
    def both(self) -> tuple[Samples, Samples]:
        """The mixture and the vocals, which every sound and picture needs."""
        return cast(Samples, self.song), cast(Samples, self.vocals)


def separate(
    job: Job, order: Order, config: Config, progress: Callable[[str, float], None], files: ExitStack
) -> Separated:
    """Return what the products of a job need, from the store if it is there.

    ``files`` closes temporary files.
    """
    kept = stored.read(job.stored) if job.stored and order.sounds else None
    about = kept.about if kept and kept.about else tags.read(job.source, job.info.tags) if order.sounds else Tags()
    if kept and not job.targets.keys() & (_OF_SAMPLES - job.as_wav.keys()):
        return Separated(kept.track, kept.seconds, kept.warnings, notes=kept.notes, about=about)
    song, warnings = _read(job, order, config, files)
    length_s = song.n_samples / song.rate_hz
    if not order.span.is_whole:
        song = excerpt_of(song, order.span)
    seconds = song.n_samples / song.rate_hz
    if order.layout == "mir1k":
        song = ChannelSum(song)
    if not order.sounds:
        return Separated(pipeline.find_pitch(song, config=config, progress=progress), seconds, warnings)
    if kept:
        voice = stored.read_voice(job.stored, job.folder if is_long(job, config) else None)
        if isinstance(voice, SampleFile):
            files.enter_context(voice)
        return Separated(kept.track, seconds, kept.warnings, song, voice, kept.notes, about=about)
    vocals = _storage(song, job, config, files)
    contour = _track_of(job, order.span, length_s)
    if contour is None or not hasattr(config.pitch.method, "track"):
        track = pipeline.separate_to(vocals, song, config, track=contour, progress=progress)
    else:
        estimate = _storage(song, job, config, files)
        corrected = correction.separate_corrected_to(vocals, estimate, song, config, track=contour, progress=progress)
        track, warnings = corrected.track, (*warnings, _told(corrected))
    n_bits = stored.round_voice(vocals, job, order)
    notes = segment(track, vocals) if job.targets.keys() & _OF_NOTES else ()
    return Separated(track, seconds, warnings, song, vocals, notes, n_bits, about)


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
    song: Audio | SampleFile
    if not is_long(job, config):
        song, warnings = reading.read(job.source, limit, stream=order.stream, info=job.header)
    else:
        song, warnings = reading.read_to_disk(job.source, job.folder, limit, stream=order.stream, info=job.header)
        files.enter_context(song)
    return song, tuple(warning.removeprefix(f"{job.source}: ") for warning in warnings)


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
