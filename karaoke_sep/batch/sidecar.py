"""The record beside the outputs of a track: what they were made of, and where they are.

It is written twice: before the first stem without any outputs, so that stems without a finished sidecar are known to be
ours; and after the last one with them.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__
from ..config import Config, changes, fingerprint
from ..errors import ConfigError, InputError
from ..files import atomic
from .jobs import SOUNDS, Job, Order

SIDECAR = "karaoke-sep"


fingerprint_of, _changes = lru_cache(maxsize=8)(fingerprint), lru_cache(maxsize=8)(changes)  # asked for every file


def state_of(job: Job) -> tuple[str, str]:
    """Whether the outputs of a job are there and made of this input with these settings."""
    try:
        there = [path for path in job.targets.values() if path.exists()]
    except OSError as err:
        raise InputError(f"{job.source}: its outputs cannot be there ({(err.strerror or '').lower()})") from None
    if job.sidecar is None or not job.sidecar.exists():
        if len(there) == len(job.targets):
            return "done", "made elsewhere; --overwrite replaces it" if job.sidecar else ""
        if there:
            raise InputError(f"{job.source}: {there[0]} exists and was made elsewhere; --overwrite replaces it")
        return "new", ""
    try:
        record = json.loads(job.sidecar.read_text())
        if record["version"] != __version__:
            return "stale", f"made by version {record['version']}"
        if record["input"] != identity(job.source):
            return "stale", "the input has changed"
        if record["settings"] != job.settings:
            return "stale", "the settings have changed"
        for product, path in job.targets.items():
            if not path.exists() or product not in record["outputs"]:
                return "stale", f"{path.name} is missing"
            # Contours and notes may have been corrected by hand since.
            if product in SOUNDS and path.stat().st_size != record["outputs"][product]:
                return "stale", f"{path.name} has changed"
    except (OSError, ValueError, TypeError, KeyError):
        return "stale", f"{job.sidecar.name} cannot be read"
    return "done", ""


def identity(source: Path) -> dict[str, str | int]:
    """What tells one input from another, without reading it."""
    status = source.stat()
    return {"name": os.fsencode(source.name).hex(), "bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


@dataclass(frozen=True)
class Result:
    """A track that is done, as its sidecar tells.

    Attributes
    ----------
    sidecar : Path
    files : dict of Path
        By product; what has been removed since is left out.
    source : Path
        The input; it may be gone.
    seconds : float
    tags : dict of str
    version : str
        Of this package.
    changes : dict of str
        Settings that were not as by default.
    libraries : dict of str
        Versions.
    layout : {"mixture", "mir1k"}
        How the song lay on the channels of the input.
    excerpt : str
        The part of the song that was processed, such as "10-30 s"; empty for the whole song.
    backing : dict
        Settings of the backing track, as in `backing.Params`; empty without one.
    """

    sidecar: Path
    files: dict[str, Path]
    source: Path
    seconds: float
    tags: dict[str, str]
    version: str
    changes: dict[str, str]
    libraries: dict[str, str]
    layout: str = "mixture"
    excerpt: str = ""
    backing: dict[str, float | None] = field(default_factory=dict)


def results(folder: Path) -> tuple[list[Result], list[str]]:
    """Tracks below a folder that are done, in the order of their places, and a line for each that is not.

    Raises
    ------
    ConfigError
        When there is no such folder, or nothing of ours in it.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder")
    found, faults = [], []
    for path in sorted(folder.rglob(f"*{SIDECAR}*.json")):
        try:
            found.append(_result(path))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            faults.append(f"{path}: its track is not finished, or of another version; separate it again")
    if not found and not faults:
        raise ConfigError(f"{folder}: holds nothing that karaoke-sep separate or karaoke made")
    return found, faults


def _result(path: Path) -> Result:
    record = json.loads(path.read_text())
    files = {product: path.parent / name for product, name in record["files"].items()}
    return Result(
        sidecar=path,
        files={product: file for product, file in files.items() if file.is_file()},
        source=path.parent / record["source"],
        seconds=float(record["seconds"]),
        tags=dict(record["tags"]),
        version=str(record["version"]),
        changes=dict(record["changes"]),
        libraries=dict(record["libraries"]),
        layout=str(record["layout"]),
        excerpt=str(record["excerpt"]),
        backing=dict(record["backing"]),
    )


def story(job: Job, sidecar: Path, order: Order, config: Config, seconds: float) -> dict[str, Any]:
    """What `results` gives back; paths are relative to the sidecar."""
    folder = sidecar.absolute().parent
    return {
        "files": {product: os.path.relpath(path, folder) for product, path in job.targets.items()},
        "source": os.path.relpath(job.source, folder),
        "seconds": seconds,
        "tags": job.info.tags,
        "changes": _changes(config),
        "libraries": _versions(),
        "layout": order.layout,
        "excerpt": order.span.label,
        "backing": asdict(order.karaoke) if "karaoke" in job.targets else {},
    }


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    """Of the libraries that numbers and files depend on; to look one up takes milliseconds."""
    return {name: metadata.version(name) for name in ("numpy", "scipy", "soundfile", "soxr")}


def write_sidecar(job: Job, sidecar: Path, outputs: dict[str, int], story: dict[str, Any]) -> None:
    """Write the record of a job."""
    record = {
        "version": __version__,
        "input": identity(job.source),
        "settings": job.settings,
        "outputs": outputs,
        **story,
    }
    with atomic.whole_file(sidecar) as part:
        part.write_text(json.dumps(record, indent=1) + "\n")
