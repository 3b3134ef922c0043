"""Make the outputs of one input."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import backing, notes
from ..config import Config
from ..errors import InputError
from ..files import atomic, contours, lyrics, midi, stem_rounding, tags, ultrastar, writing
from ..files.adaptation import adaptation
from ..files.tags import Tags
from ..recording import Combination, blocks
from .jobs import Job, Order, Outcome
from .separation import Separated, separate
from .silence import VocalsCheck


def make(job: Job, order: Order, config: Config, progress: Callable[[str, float], None] | None) -> Outcome:
    """Make the outputs of one job."""
    with ExitStack() as files:
        try:
            separated = separate(job, order, config, progress or (lambda stage, done: None), files)
        except InputError as err:
            where = f"{job.source}: "
            raise InputError(where + str(err).removeprefix(where)) from None
        return _write(job, order, config, separated)


def _write(job: Job, order: Order, config: Config, separated: Separated) -> Outcome:
    if "pitch" in job.targets:
        with atomic.whole_file(job.targets["pitch"]) as part:
            contours.write(part, separated.track)
    _write_notes(job, order, separated)
    if "picture" in job.targets:
        _write_picture(job.targets["picture"], separated, config)
    levels_db, told = _write_sounds(job, order, separated) if order.sounds else ({}, [])
    return Outcome(
        job.source,
        "done",
        warnings=(*separated.warnings, *(f"{job.source}: {note}" for note in told)),
        paths=tuple(job.targets.values()),
        seconds=separated.seconds,
        levels_db=levels_db,
    )


def _write_sounds(job: Job, order: Order, separated: Separated) -> tuple[dict[str, float], list[str]]:
    """Write the sounds block by block; return their RMS levels, dB re full scale, and notes for the user."""
    check, about, song = VocalsCheck(), _tags(job, order), separated.song
    subtype = writing.output_subtype(job.info, order.container, order.subtype)
    fit = stem_rounding.fit_for(_pairs(separated, order), subtype, order.clip)
    shape = (song.n_channels, round(song.n_samples / order.karaoke.tempo_ratio))
    levels_db = {}
    for name in (name for name in order.sounds if name in job.targets):
        squares: list[float] = []

        def pieces(name=name, squares=squares):
            for mixture, vocals in _pairs(separated, order):
                if name == "vocals":
                    check.add(mixture, vocals)
                samples = fit.stems(mixture, vocals)["accompaniment" if name == "karaoke" else name]
                squares.append(_energy(samples))
                yield samples

        form = (order.container, fit.subtype, about, order.bitrate_kbps)
        writing.write_blocks(job.targets[name], pieces(), shape, song.rate_hz, *form)
        levels_db[name] = float(10 * np.log10(sum(squares) / max(math.prod(shape), 1) + 1e-20))
    written = adaptation(song.rate_hz, song.n_channels, order.container, fit.subtype)
    return levels_db, [note for note in (fit.note, written.note, check.warning) if note]


def _tags(job: Job, order: Order) -> Tags:
    """Return the tags of the song; the title of a backing track says that it is one."""
    found = tags.read(job.source, job.info.tags)
    if "karaoke" not in order.products:
        return found
    return replace(found, text={**found.text, "title": f"{found.text.get('title', job.source.stem)} (karaoke)"})


def _pairs(separated: Separated, order: Order) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield mixture and vocals, each (C, n), block by block; a backing track counts as a mixture without vocals."""
    song, voice = separated.song, separated.voice
    # Key and tempo are changed on the whole: the library has no state that goes from block to block.
    for start, stop in [(0, song.n_samples)] if order.karaoke.stretches else blocks(song):
        mixture, vocals = song.excerpt(start, stop), voice.excerpt(start, stop)
        if "karaoke" in order.products:
            track = backing.make(mixture, vocals, order.karaoke).samples
            yield track, np.zeros_like(track)
        else:
            yield mixture.samples, vocals.samples


def _write_notes(job: Job, order: Order, separated: Separated) -> None:
    """Write the sung melody as MIDI notes and as an UltraStar song, as far as they are asked for."""
    if not job.targets.keys() & {"notes", "ultrastar"}:
        return
    found = notes.segment(separated.track, separated.vocals)
    if path := job.targets.get("notes"):
        with atomic.whole_file(path) as part:
            part.write_bytes(midi.encode(found, separated.track if order.bends else None))
    if path := job.targets.get("ultrastar"):
        known = {"title": job.source.stem, "artist": "unknown"} | job.info.tags
        song = ultrastar.Song(known["title"], known["artist"], job.source.name)
        text = ultrastar.encode(found, song, lyrics.beside(job.source))
        with atomic.whole_file(path) as part:
            part.write_bytes(text.encode("utf-8", "surrogateescape"))  # file names need not be UTF-8


def _write_picture(path: Path, separated: Separated, config: Config) -> None:
    from ..plots import pictures  # matplotlib takes a second, and is an extra

    vocals = separated.voice
    accompaniment = Combination(separated.song, vocals, -1)
    figure = pictures.separation(vocals, accompaniment, separated.track, config.harmonic_mask, config.stft)
    with atomic.whole_file(path) as part:
        part.write_bytes(pictures.png(figure))


def _energy(samples: np.ndarray) -> float:
    """Sum of squares, full scale 1.0."""
    flat = samples.ravel().astype(np.float64) / (2.0**31 if samples.dtype == np.int32 else 1.0)
    return float(np.dot(flat, flat))
