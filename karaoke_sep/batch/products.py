"""Make the outputs of one input."""

from collections.abc import Callable
from contextlib import ExitStack

from ..config import Config
from ..errors import InputError
from ..files import atomic, contours, ffmpeg, midi
from ..recording import Combination
from . import song_folder, sounds, stored
from .jobs import SOUNDS, Job, Order, Outcome
from .separation import Separated, separate


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
    about_notes = _write_notes(job, order, separated)
    if "picture" in job.targets:
        _write_picture(job, order, separated, config)
    if separated.vocals is not None and stored.VOICE in job.targets:
        about = separated.about if ffmpeg.is_there() else None
        kept = stored.Kept(separated.track, separated.notes, separated.seconds, separated.warnings, about)
        stored.write(job, separated.vocals, kept, separated.n_bits)
    levels_db, told = sounds.write(job, order, separated) if job.targets.keys() & SOUNDS else ({}, [])
    return Outcome(
        job.source,
        "done",
        warnings=tuple(f"{job.source}: {line}" for line in (*separated.warnings, *told, *about_notes)),
        paths=tuple(job.targets.values()),
        seconds=separated.seconds,
        levels_db=levels_db,
    )


def _write_notes(job: Job, order: Order, separated: Separated) -> list[str]:
    """Write the sung melody as MIDI notes and as an UltraStar song, if they are ordered; return notes for the user."""
    if path := job.targets.get("notes"):
        with atomic.whole_file(path) as part:
            part.write_bytes(midi.encode(separated.notes, separated.track if order.bends else None))
    return song_folder.write(job, separated.notes, separated.about)


def _write_picture(job: Job, order: Order, separated: Separated, config: Config) -> None:
    from .. import plots  # matplotlib takes a second to import, and is an extra

    song, vocals = separated.both
    accompaniment = Combination(song, vocals, -1)
    artist, title = job.info.tags.get("artist"), job.info.tags.get("title", job.source.stem)
    name = " – ".join(filter(None, (artist, title, order.span.label)))
    figure = plots.separation(vocals, accompaniment, separated.track, config.harmonic_mask, config.stft, title=name)
    with atomic.whole_file(job.targets["picture"]) as part:
        part.write_bytes(plots.png(figure))
