"""Find out which files of a job exist, which to make, and which to keep."""

import os
from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from ..errors import InputError
from . import record
from .jobs import Job


@dataclass(frozen=True)
class Standing:
    """What to do for a job.

    Attributes
    ----------
    todo : tuple of str
        Products to make.
    reason : str
        Why existing outputs are made again, or why nothing is made.
    kept : tuple of Path
        Files that were changed by hand after they were made. They are kept.
    known : record.Record
        The record.
    as_wav : dict of Path
        By product to make as a FLAC file, a WAV file with the same samples.
    """

    todo: tuple[str, ...]
    reason: str
    kept: tuple[Path, ...]
    known: record.Record
    as_wav: dict[str, Path]


def standing(job: Job) -> Standing:
    """Return what to do for a job.

    Raises
    ------
    InputError
        If the input no longer exists, or a file that this package did not make has the name of an output.
    """
    found = record.read(job.place.record)
    known = found[1] if found else {}
    todo, kept, foreign, reasons = [], [], [], []
    try:
        of_input = record.identity(job.source)
        for product, path in job.targets.items():
            made = known.get(record.name_below(job.place.folder, path))
            if not os.path.lexists(path):
                todo.append(product)
                reasons += [f"{path.name} is missing"] if made else []
            elif job.overwrite:
                todo.append(product)
            elif made is None:
                foreign.append(path)
            elif (content := made.content_of(path)) is None:
                kept.append(path)
            elif reason := _outdated(made, content, job, product, of_input):
                todo.append(product)
                reasons.append(reason)
    except OSError as err:
        raise InputError(f"{err.filename or job.source}: {(err.strerror or 'cannot be read').lower()}") from None
    if foreign and todo:
        raise InputError(f"{job.source}: {foreign[0]} exists and was made elsewhere; --overwrite replaces it")
    reason = reasons[0] if reasons else ""
    if not todo and foreign:
        reason = "made elsewhere; --overwrite replaces it"
    elif not todo and kept:
        names = " and ".join(path.name for path in kept)
        reason = f"{names} changed after the separation; --overwrite makes everything again"
    if job.overwrite or not todo:
        return Standing(tuple(todo), reason, tuple(kept), known, {})

    def is_current(path: Path, settings: str) -> bool:
        """Return whether a file is there, unchanged, and made from this input with these settings."""
        made = known.get(record.name_below(job.place.folder, path))
        if made is None or (made.settings, made.identity, made.version) != (settings, of_input, __version__):
            return False
        return path.is_file() and made.content_of(path) == 0

    wavs = {product: job.targets[product].with_suffix(".wav") for product in todo if product in job.wav_settings}
    return Standing(
        tuple(todo),
        reason,
        tuple(kept),
        known,
        {product: path for product, path in wavs.items() if is_current(path, job.wav_settings[product])},
    )


def line_for_kept(job: Job, path: Path) -> str:
    """Return the message about a file that was changed by hand."""
    return f"{job.source}: {path} was changed since it was made and is kept; --overwrite replaces it"


def _outdated(made: record.Made, content: int, job: Job, product: str, of_input: dict) -> str:
    """Return why an existing output is out of date; empty if it is up to date."""
    if made.identity != of_input:
        other = job.place.folder / made.source
        if os.path.exists(other) and not os.path.samefile(other, job.source):
            raise InputError(
                f"{job.source}: {job.targets[product]} was made from {os.path.normpath(other)}; choose another "
                "--output or --name, or replace it with --overwrite"
            )
        return "the input has changed"
    if made.version != __version__:
        return f"made by version {made.version}"
    if made.settings != job.settings[product]:
        return "the settings have changed"
    return "was not finished" if content else ""
