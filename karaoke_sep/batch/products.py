"""Make the outputs of one input."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from .. import backing, correction, long_recording, notes, pipeline
from ..config import Config
from ..errors import InputError
from ..files import atomic, contours, midi, reading, samples_on_disk, stem_rounding, ultrastar, writing
from ..types import Audio, PitchTrack, Separation
from .jobs import Job, Order, Outcome
from .sidecar import story, write_sidecar
from .space import is_long, max_samples

_BLOCK_SAMPLES = 1 << 18


def make(job: Job, order: Order, config: Config, progress: Callable[[str, float], None] | None) -> Outcome:
    """Make the outputs of one job."""
    with ExitStack() as files:
        try:
            find = _find_on_disk if is_long(job, order, config) else _find
            found = find(job, order, config, progress or (lambda stage, done: None), files)
        except InputError as err:
            where = f"{job.source}: "
            raise InputError(where + str(err).removeprefix(where)) from None
        return _write(job, order, config, found)


@dataclass(frozen=True)
class _Found:
    """What was found in a recording; `blocks` gives (mixture, vocals), each of shape (C, n), from the start again.

    ``audio`` and ``vocals`` are there when all of it is in memory.
    """

    track: PitchTrack
    n_channels: int
    n_samples: int
    rate_hz: int
    warnings: tuple[str, ...]
    blocks: Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]
    audio: Audio | None = None
    vocals: Audio | None = None

    @property
    def seconds(self) -> float:
        return self.n_samples / self.rate_hz


def _find(job: Job, order: Order, config: Config, progress, files: ExitStack) -> _Found:
    audio, warnings = reading.read(job.source, max_samples(job, order, config)[0])
    if order.layout == "mir1k":
        audio = Audio(audio.samples.sum(axis=0, keepdims=True), audio.rate_hz)
    if not order.sounds:
        track, vocals = pipeline.find_pitch(audio, config=config, progress=progress), None
    else:
        separate = pipeline.separate if job.track is None else _along(job.track, config)
        result = separate(audio, config=config, progress=progress)
        track, vocals = result.track, result.vocals

    def blocks():
        if order.karaoke.stretches:  # made of the whole
            yield audio.samples, vocals.samples
            return
        for start in range(0, audio.n_samples, _BLOCK_SAMPLES):
            yield audio.samples[:, start : start + _BLOCK_SAMPLES], vocals.samples[:, start : start + _BLOCK_SAMPLES]

    return _Found(track, audio.n_channels, audio.n_samples, audio.rate_hz, warnings, blocks, audio, vocals)


def _find_on_disk(job: Job, order: Order, config: Config, progress, files: ExitStack) -> _Found:
    folder = next(iter(job.targets.values())).parent
    song, warnings = reading.read_to_disk(job.source, folder, max_samples(job, order, config)[0])
    files.enter_context(song)
    if not order.sounds:
        track, blocks = long_recording.find_pitch(song, config, progress), lambda: iter(())
    else:
        voice = files.enter_context(samples_on_disk.SampleFile(folder, song.rate_hz, song.n_channels, np.float32))
        track, gain = long_recording.separate(song, voice, config, progress)

        def blocks():
            for start in range(0, song.n_samples, _BLOCK_SAMPLES):
                stop = min(song.n_samples, start + _BLOCK_SAMPLES)
                yield song.excerpt(start, stop).samples, voice.excerpt(start, stop).samples * gain(start, stop)

    return _Found(track, song.n_channels, song.n_samples, song.rate_hz, warnings, blocks)


def _write(job: Job, order: Order, config: Config, found: _Found) -> Outcome:
    remove_parts(job)
    if job.sidecar:
        write_sidecar(job, job.sidecar, {}, {})
    if "pitch" in job.targets:
        with atomic.whole_file(job.targets["pitch"]) as part:
            contours.write(part, found.track)
    _write_notes(job, order, found.track, found.vocals)
    if found.audio and found.vocals and "picture" in job.targets:
        _write_picture(job.targets["picture"], found.audio, found.vocals, found.track, config)
    levels_db, note = _write_sounds(job, order, found) if order.sounds else ({}, "")
    if job.sidecar:
        outputs = {product: path.stat().st_size for product, path in job.targets.items()}
        write_sidecar(job, job.sidecar, outputs, story(job, job.sidecar, config, found.seconds))
    return Outcome(
        job.source,
        "done",
        warnings=(*found.warnings, *((f"{job.source}: {note}",) if note else ())),
        paths=tuple(job.targets.values()),
        seconds=found.seconds,
        levels_db=levels_db,
    )


def _along(track: PitchTrack, config: Config) -> Callable[..., Separation]:
    """How a contour from a file is followed: as it is, or as a correction of what the config's backend finds."""
    follow = pipeline.separate if config.pitch.backend == "given" else correction.separate_corrected
    return partial(follow, track=track)


def _write_sounds(job: Job, order: Order, found: _Found) -> tuple[dict[str, float], str]:
    """Write the sounds block by block; their RMS levels, dB re full scale, and what was done about clipping."""

    def blocks():
        for mixture, vocals in found.blocks():
            if "karaoke" in order.products:
                rate_hz = found.rate_hz
                track = backing.make(Audio(mixture, rate_hz), Audio(vocals, rate_hz), order.karaoke).samples
                # A sound alone is fitted like the accompaniment of a silent voice.
                mixture, vocals = track, np.zeros_like(track)
            yield mixture, vocals

    fit = stem_rounding.fit_for(blocks(), writing.output_subtype(job.info, order.container, order.subtype), order.clip)
    levels_db = {}
    for name in order.sounds:
        squares: list[float] = []

        def pieces(name=name, squares=squares):
            for mixture, vocals in blocks():
                samples = fit.stems(mixture, vocals)["accompaniment" if name == "karaoke" else name]
                squares.append(_energy(samples))
                yield samples

        shape = (found.n_channels, round(found.n_samples / order.karaoke.tempo_ratio))
        writing.write_blocks(
            job.targets[name], pieces(), shape, found.rate_hz, order.container, fit.subtype, job.info.tags
        )
        levels_db[name] = float(10 * np.log10(sum(squares) / max(math.prod(shape), 1) + 1e-20))
    return levels_db, fit.note


def _write_notes(job: Job, order: Order, track: PitchTrack, vocals: Audio | None) -> None:
    """The sung line as MIDI and as UltraStar lines, as far as they are ordered."""
    if not job.targets.keys() & {"notes", "ultrastar"}:
        return
    found = notes.segment(track, vocals)
    if path := job.targets.get("notes"):
        with atomic.whole_file(path) as part:
            part.write_bytes(midi.encode(found, track if order.bends else None))
    if path := job.targets.get("ultrastar"):
        tags = {"title": job.source.stem, "artist": "unknown"} | job.info.tags
        text = ultrastar.encode(found, tags["title"], tags["artist"], job.source.name)
        with atomic.whole_file(path) as part:
            part.write_bytes(text.encode("utf-8", "surrogateescape"))  # names of files may be no UTF-8


def _write_picture(path: Path, audio: Audio, vocals: Audio, track: PitchTrack, config: Config) -> None:
    from ..plots import pictures as plots  # matplotlib takes a second, and is an extra

    accompaniment = Audio(audio.samples - vocals.samples, audio.rate_hz)
    picture = plots.separation(vocals, accompaniment, track, config.harmonic_mask, config.stft)
    with atomic.whole_file(path) as part:
        part.write_bytes(plots.png(picture))


def remove_parts(job: Job) -> None:
    """Remove what stopped processes left of the outputs of a job."""
    for path in filter(None, (*job.targets.values(), job.sidecar)):
        atomic.remove_parts(path)


def _energy(samples: np.ndarray) -> float:
    """Sum of squares, full scale 1.0."""
    flat = samples.ravel().astype(np.float64) / (2.0**31 if samples.dtype == np.int32 else 1.0)
    return float(np.dot(flat, flat))
