"""Put the files of a job in their places: all whole, none of the user's replaced, and by one process at a time.

Files are made under a hidden name, recorded, and only then renamed to their places. Whatever stops the process, a file
in its place is whole, and the record tells whether it is ours.
"""

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from .. import __version__
from ..config import Config, changes
from ..errors import InputError, OutputError
from ..files import atomic
from ..processes.locks import LockedError, locked
from ..settings.catalogue import LIBRARIES
from . import record, stored
from .jobs import Job, Order, Outcome
from .names import check_inside
from .standing import line_for_kept, standing

_changes = lru_cache(maxsize=8)(changes)  # asked for every file
_PATIENCE_S = 2.0  # for processes that were killed to be gone


def deliver(job: Job, order: Order, config: Config, make: Callable[[Job], Outcome]) -> Outcome:
    """Make what is missing of a job, and put it in its places.

    Parameters
    ----------
    job : Job
    order : Order
    config : Config
    make : callable
        Writes the files of the job that it is given, which has only the products that are missing, in other places.

    Raises
    ------
    InputError
        When the input changes or vanishes while it is read.
    OutputError
        When the files cannot be put in their places.
    """
    place = job.place
    for path in (*job.targets.values(), place.record):
        check_inside(path, job.output)
    with ExitStack() as held:
        try:
            held.enter_context(locked(place.lock))
        except OSError as err:
            raise OutputError(f"{place.folder}: cannot be written to ({(err.strerror or '').lower()})") from None
        return _deliver_alone(job, order, config, make)


def _deliver_alone(job: Job, order: Order, config: Config, make: Callable[[Job], Outcome]) -> Outcome:
    now, place, paths = standing(job), job.place, tuple(job.targets.values())  # another run may have been at work
    if not now.todo:
        return Outcome(job.source, "skipped", now.reason, paths=paths)
    of_input = _identity(job)
    at_hand = {} if job.overwrite or not order.sounds else stored.find(job, order, of_input)
    to_store = stored.paths(order.output, job, of_input) if order.store and order.sounds and not at_hand else {}
    places = job.targets | to_store
    staged = {product: place.parts / product / places[product].name for product in (*now.todo, *to_store)}
    try:
        _clear(place)
        try:
            header = job.header if of_input == job.identity else None
            outcome = make(replace(job, targets=staged, stored=at_hand, as_wav=now.as_wav, header=header))
        except InputError:
            _check_unchanged(job, of_input)  # which explains more than what was wrong with half of the file
            raise
        _check_unchanged(job, of_input)
        entry = _entry(job, order, config, of_input, outcome.seconds)
        lost = _commit(job, now.known, {product: (staged[product], entry) for product in now.todo})
        stored.keep(staged, to_store)
    except OutputError as err:
        text = str(err)
        for product, part in staged.items():
            text = text.replace(str(part.parent), str(places[product].parent))
        raise OutputError(text) from None
    finally:
        _clear(place)
    lines = tuple(line_for_kept(job, path) for path in (*now.kept, *lost))
    return replace(outcome, warnings=(*outcome.warnings, *lines), paths=paths)


def clear_after(job: Job) -> None:
    """Remove what a process that was stopped left of a job, unless another run is at work on it."""
    with suppress(OSError, LockedError):
        if job.place.parts.exists() or job.place.lock.exists():
            with locked(job.place.lock, _PATIENCE_S):
                _clear(job.place)


def _clear(place: record.Place) -> None:
    shutil.rmtree(place.parts, ignore_errors=True)
    atomic.remove_parts(place.record)


def _check_unchanged(job: Job, of_input: dict[str, str | int]) -> None:
    if _identity(job) != of_input:
        raise InputError(f"{job.source}: was changed while it was read; run the same command again")


def _identity(job: Job) -> dict[str, str | int]:
    try:
        return record.identity(job.source)
    except OSError as err:
        raise InputError(f"{job.source}: {(err.strerror or 'cannot be read').lower()}; it was there before") from None


def _entry(
    job: Job, order: Order, config: Config, of_input: dict[str, str | int], seconds: float
) -> Callable[..., record.Made]:
    """Return what makes an entry of the record out of a product and its contents."""
    try:
        source = os.path.relpath(job.source, job.place.folder.absolute())
    except ValueError:  # on another drive
        source = str(job.source.absolute())

    def entry(product: str, contents: tuple[record.Content, ...]) -> record.Made:
        return record.Made(
            product=product,
            source=source,
            identity=of_input,
            settings=job.settings[product],
            version=__version__,
            contents=contents,
            seconds=seconds,
            tags=job.info.tags,
            changes=_changes(config),
            libraries=_versions(),
            layout=order.layout,
            excerpt=order.span.label,
            backing=asdict(order.karaoke) if product == "karaoke" else {},
        )

    return entry


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    """Return the versions of the libraries that numbers and files depend on; each look-up takes milliseconds."""
    return {name: metadata.version(name) for name in LIBRARIES}


def _commit(job: Job, known: record.Record, parts: dict[str, tuple[Path, Callable[..., record.Made]]]) -> list[Path]:
    """Record the parts and move them to their places; return places that were changed in the meantime, and are kept."""
    place, after, lost = job.place, dict(known), []
    for product, (part, entry) in parts.items():
        name = record.name_below(place.folder, job.targets[product])
        before = after.pop(name, None)  # the newest stands last
        after[name] = entry(product, (record.content_of(part), *(before.contents if before else ())))
    record.write(place, after)
    for product, (part, _) in parts.items():
        target = job.targets[product]
        name = record.name_below(place.folder, target)
        if _is_the_users(target, known.get(name)) and not job.overwrite:
            lost.append(target)
            after.pop(name)
            after |= {name: known[name]} if name in known else {}
            continue
        _move(part, target)
        after[name] = after[name].settled(target)
    record.write(place, after)
    return lost


def _is_the_users(target: Path, made: record.Made | None) -> bool:
    return os.path.lexists(target) and (made is None or made.content_of(target) is None)


def _move(part: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.replace(part, target)
        except OSError as err:
            if err.errno != errno.EXDEV:
                raise
            with atomic.whole_file(target) as copy:  # a folder in between is another file system
                shutil.copyfile(part, copy)
    except OSError as err:
        raise OutputError(f"{target}: cannot be written ({(err.strerror or '').lower()})") from None
