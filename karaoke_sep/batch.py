"""Many files: all are checked before any work, one failure does not stop the rest, and a second run does what is left.

A track's stems are each written beside their place and renamed when whole. Beside them stands a sidecar,
``karaoke-sep.json``, which says what they were made of. It is written twice: before the first stem without any
outputs, so that stems without a finished sidecar are known to be ours; and after the last one with them,
where they are and what they were made of, which `results` reads back.
"""

import hashlib
import json
import math
import os
import re
import shutil
import string
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from . import __version__, audio_io, backing, correction, long_recording, memory, notes, pipeline, workers
from .audio_io import SoundInfo
from .config import Config, changes, fingerprint
from .errors import ConfigError, InputError, KaraokeSepError
from .pitch import given
from .threads import one_thread
from .types import Audio, PitchTrack, Separation

STEMS = ("vocals", "accompaniment")
SOUNDS = (*STEMS, "karaoke")
LAYOUTS = ("mixture", "mir1k")
NAME_FIELDS = ("parent", "track", "file", "stem")
_fingerprint, _changes = lru_cache(maxsize=8)(fingerprint), lru_cache(maxsize=8)(changes)  # asked for every file
_SIDECAR = "karaoke-sep"
_BLOCK_SAMPLES = 1 << 18
_MAX_NAME_BYTES = 255  # on Linux; elsewhere it is as much or more
_BYTES_PER_SAMPLE = 32  # at the peak, measured with a stereo song of 5 minutes
_MIR1K_NAME = re.compile(r"[A-Za-z]+_\d+_\d+")  # singer_song_clip


@dataclass(frozen=True)
class Order:
    """What is to be made of every input, and where.

    Attributes
    ----------
    output : Path
        Folder of all outputs.
    products : tuple of str
        Out of "vocals", "accompaniment", "pitch" (the contour), "notes" (MIDI), "ultrastar" and "picture" (PNG); or
        "karaoke", the backing track, instead of the stems.
    name : str
        Path below ``output``, without suffix: "{parent}" the sub-folders below the folder that was searched,
        "{track}" the input's name without suffix, "{file}" with it, "{stem}" the product.
    container : {"wav", "flac", "mp3", "ogg"}
    subtype : str, optional
        Sample format; that of the input by default.
    clip : {"clamp", "rescale", "float"}
        See `audio_io.fit_stems`.
    layout : {"mixture", "mir1k"}
        "mir1k": accompaniment left, voice right; their sum is separated.
    contour_suffix : {".csv", ".pv"}
    contours : Path, optional
        A contour file, or a folder of them named after the tracks: a correction of the pitch that is found, or with
        the pitch backend "given", instead of it.
    bends : bool
        MIDI notes follow the contour; else they are in tune.
    karaoke : backing.Params
        Of the backing track.
    """

    output: Path
    products: tuple[str, ...] = STEMS
    name: str = "{parent}/{track}/{stem}"
    container: str = "wav"
    subtype: str | None = None
    clip: str = "clamp"
    layout: str = "mixture"
    contour_suffix: str = ".csv"
    contours: Path | None = None
    bends: bool = True
    karaoke: backing.Params = field(default_factory=backing.Params)

    @property
    def sounds(self) -> tuple[str, ...]:
        """Products that are sound files."""
        return tuple(product for product in self.products if product in SOUNDS)


@dataclass(frozen=True)
class Job:
    """One input, checked, and the files to make of it.

    Attributes
    ----------
    state : str
        "new", "stale" (made, but not of this input with these settings) or "done".
    reason : str
        Why it is stale or left alone.
    """

    source: Path
    info: SoundInfo
    targets: dict[str, Path]
    sidecar: Path | None
    settings: str
    track: PitchTrack | None = None
    state: str = "new"
    reason: str = ""


@dataclass(frozen=True)
class Plan:
    """Jobs in the order of the inputs, and one line for each input that cannot be used."""

    jobs: list[Job]
    faults: list[tuple[Path, str]]

    @property
    def todo(self) -> list[Job]:
        """Jobs whose outputs are not there yet."""
        return [job for job in self.jobs if job.state != "done"]


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes
    ----------
    status : {"done", "skipped", "failed"}
    paths : tuple of Path
        What was written.
    seconds, wall_s, cpu_s : float
        Length of the sound, and what it cost.
    levels_db : dict
        RMS level of each stem, dB re full scale; -200 for silence.
    """

    source: Path
    status: str
    message: str = ""
    warnings: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    seconds: float = 0.0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    levels_db: dict[str, float] = field(default_factory=dict)
    details: str = ""


# --------------------------------------------------------------------------------------------------------- planning


def plan(
    inputs: Iterable[Path],
    order: Order,
    config: Config,
    *,
    shard: tuple[int, int] = (1, 1),
    overwrite: bool = False,
) -> Plan:
    """Check every input and every output before any work.

    Parameters
    ----------
    inputs : iterable of Path
        Files, and folders to search.
    shard : (i, n)
        Take only every n-th input, from the i-th (1..n) on.
    overwrite : bool
        Make again what is there.

    Raises
    ------
    ConfigError
        When two inputs would get one name or one contour, or nothing can be written at the output.
    """
    _check_name(order.name, len(order.products))
    pipeline.check_models(config)
    if config.pitch.backend == "given" and not (order.contours or config.pitch.given.path):
        raise ConfigError("--pitch given: no contour is given; name its file with --pitch-file")
    needs_pitch = order.contours or set(order.products) - set(SOUNDS)
    if order.sounds and needs_pitch and not pipeline.seeks_pitch(config):
        raise ConfigError("trained bases alone seek no pitch and follow none; ask for stems only, or without alone")
    if order.clip == "float" and order.container != "wav":
        raise ConfigError(f"--clip float: {order.container} cannot hold floats; use --format wav or another rule")
    _check_extras(order)
    _check_room(order.output, 0)
    found, faults = find_inputs(inputs, order.output)
    if order.contours and not order.contours.is_dir() and len(found) > 1:
        raise ConfigError(f"{order.contours}: one contour cannot be that of {len(found)} inputs; give a folder of them")
    named = {}
    for source, parent in found:
        try:
            named[source] = _targets(source, parent, order)
        except InputError as err:
            faults.append((source, str(err)))
    refusals = _collisions(named)
    jobs = []
    for source in list(named)[shard[0] - 1 :: shard[1]]:
        try:
            jobs.append(_job(source, *named[source], dict(found)[source], order, config, overwrite))
        except InputError as err:
            faults.append((source, str(err)))
    checked = Plan(jobs, faults)
    stems = sum(_n_values(job.info) * _stem_bytes(job, order) for job in checked.todo)
    long = [job.info for job in checked.todo if _is_long(job, order, config)]
    scratch = max((_n_values(info) * _scratch_bytes(info, order) for info in long), default=0)
    try:
        _check_room(order.output, stems + scratch)
    except ConfigError as err:
        refusals.append(str(err))
    if refusals:
        lines = [*(line for _, line in faults), *refusals]
        raise ConfigError("\n".join(line.replace("\n", "\\n") for line in lines))  # file names may hold any character
    return checked


def _check_extras(order: Order) -> None:
    """Refuse what needs a library that is not installed."""
    if "karaoke" in order.products:
        backing.check(order.karaoke)
    if "picture" in order.products:
        try:
            from . import plots  # noqa: F401
        except ImportError:
            raise ConfigError("--plots: matplotlib is missing; pip install 'karaoke-sep[plots]'") from None


def looks_like_mir1k(jobs: Iterable[Job]) -> bool:
    """Whether a clip among the inputs seems to hold accompaniment and voice on its two channels, as MIR-1K does."""
    return any(
        _MIR1K_NAME.fullmatch(job.source.stem)
        and (job.info.rate_hz, job.info.n_channels) == (16_000, 2)
        and (job.source.parent.name == "Wavfile" or (job.source.absolute().parent.parent / "PitchLabel").is_dir())
        for job in jobs
    )


def find_inputs(inputs: Iterable[Path], output: Path) -> tuple[list[tuple[Path, PurePath]], list[tuple[Path, str]]]:
    """Sound files among the inputs, each once, with its sub-folder below the input that led to it.

    A folder is searched through, links to folders too, but each folder once, and without our own stems: what lies below
    ``output``, or beside a sidecar.
    """
    found: dict[str, tuple[Path, PurePath]] = {}
    faults = []
    for given_path in inputs:
        if not given_path.is_dir():
            found.setdefault(_real(given_path), (given_path, PurePath()))
            continue
        files = sorted(_search(given_path, output))
        if not files:
            faults.append((given_path, f"{given_path}: there is no sound file in this folder"))
        for path in files:
            found.setdefault(_real(path), (path, path.parent.relative_to(given_path)))
    return list(found.values()), faults


def _real(path: str | Path) -> str:
    """Where a path leads; unlike `Path.resolve`, also one of a link to itself, which fails later in one line."""
    return os.path.realpath(path)


def _search(folder: Path, output: Path) -> Iterator[Path]:
    seen = {_real(output)} - {_real(folder)}
    for here, folders, names in os.walk(folder, followlinks=True):
        if _real(here) in seen or f"{_SIDECAR}.json" in names:
            folders.clear()
            continue
        seen.add(_real(here))
        yield from (
            Path(here, name) for name in names if Path(name).suffix.lower() in audio_io.SUFFIXES and name[0] != "."
        )


def _check_name(name: str, n_products: int) -> None:
    try:
        used = [(key, bool(spec or conversion)) for _, key, spec, conversion in string.Formatter().parse(name) if key]
    except ValueError as err:
        raise ConfigError(f"--name {name!r}: {err}") from None
    for key, is_formatted in used:
        if key not in NAME_FIELDS or is_formatted:
            raise ConfigError(f"--name {name!r}: unknown field {{{key}}}; there are {', '.join(NAME_FIELDS)}")
    fields = {key for key, _ in used}
    if not fields & {"track", "file"} or (n_products > 1 and "stem" not in fields):
        raise ConfigError(f"--name {name!r}: needs {{stem}}, and {{track}} or {{file}}, to tell the outputs apart")
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
        raise ConfigError(f"--name {name!r}: leads outside the output folder; write it relative, without '..'")


def _targets(source: Path, parent: PurePath, order: Order) -> tuple[dict[str, Path], Path]:
    """Path of each product, and of the sidecar."""

    def place(stem, suffix):
        fields = {"parent": parent, "track": source.stem, "file": source.name, "stem": stem}
        below = PurePath(order.name.format(**fields).lstrip("/"))
        return order.output / below.with_name(below.name + suffix)

    if source.stem in (".", ".."):
        raise InputError(f"{source}: {source.stem!r} cannot name a folder; rename the file")
    suffixes = {"pitch": order.contour_suffix, "notes": ".mid", "ultrastar": ".txt", "picture": ".png"}
    suffixes |= dict.fromkeys(SOUNDS, f".{order.container}")
    targets = {product: place(product, suffixes[product]) for product in order.products}
    sidecar = place(_SIDECAR, ".json")
    for path in (*targets.values(), sidecar):
        n_bytes = max(len(os.fsencode(part)) for part in path.parts)
        if n_bytes > _MAX_NAME_BYTES:
            raise InputError(
                f"{source}: its output {path} would have a name of {n_bytes} bytes; file systems take "
                f"{_MAX_NAME_BYTES}; rename the file, or give a --name with less around {{track}}"
            )
    return targets, sidecar


def _collisions(named: dict[Path, tuple[dict[str, Path], Path]]) -> list[str]:
    """A line for each input whose outputs would be written over another input or its outputs."""
    owners: dict[Path, Path] = {}
    inputs = {_real(source) for source in named}
    lines = {}
    for source, (targets, _) in named.items():
        for target in targets.values():
            other = owners.setdefault(target, source)
            if _real(target) in inputs:
                lines[source] = f"{source}: its output {target} is itself an input; choose another --output"
            elif other is not source:
                lines[source] = (
                    f"{other} and {source} would both be written to {target}; rename one, or tell them apart by "
                    "--name '{parent}/{file}/{stem}'"
                )
    return list(lines.values())


def _job(
    source: Path,
    targets: dict[str, Path],
    sidecar: Path,
    parent: PurePath,
    order: Order,
    config: Config,
    overwrite: bool,
) -> Job:
    info = audio_io.probe(source)
    try:
        # A sound whose header does not tell its length may be long enough.
        pipeline.check_form(info if info.n_samples is not None else replace(info, n_samples=info.rate_hz))
    except InputError as err:
        raise InputError(f"{source}: {err}") from None
    if order.layout == "mir1k":
        if info.n_channels != 2:
            raise InputError(f"{source}: --layout mir1k needs 2 channels, not {info.n_channels}")
        # The sum of two 16-bit channels needs 17 bits.
        info = replace(info, n_channels=1, subtype="FLOAT")
    contour = _contour(source, parent, order.contours)
    settings = [_fingerprint(config), order.container, order.clip, order.layout, *pipeline.model_marks(config)]
    if order.sounds:
        try:
            settings.append(audio_io.output_subtype(info, order.container, order.subtype))
        except InputError as err:
            raise InputError(f"{source}: {err}") from None
    if "notes" in order.products and not order.bends:
        settings.append("no bends")
    if "karaoke" in order.products:
        settings.append(repr(order.karaoke))
    if contour:
        track = given.read(contour)
        settings.append(hashlib.sha256(contour.read_bytes()).hexdigest())
    digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
    job = Job(source, info, targets, sidecar if order.sounds else None, digest, track if contour else None)
    limit, where = _max_samples(job, order, config)
    if info.duration_s and (info.n_samples or 0) > limit:
        raise InputError(
            f"{source}: {info.duration_s / 3600:.1f} h are longer than the "
            f"{limit / info.rate_hz / 3600:.1f} h that fit {where}; cut it in pieces"
        )
    state, reason = ("new", "") if overwrite else _state(job)
    return replace(job, state=state, reason=reason)


def _max_samples(job: Job, order: Order, config: Config) -> tuple[float, str]:
    """The longest sound of so many channels that can be separated on this machine, and what limits it."""
    if _is_long(job, order, config):
        there = next(folder for folder in (order.output, *order.output.absolute().parents) if folder.exists())
        n_bytes = _scratch_bytes(job.info, order) + _stem_bytes(job, order)
        return shutil.disk_usage(there).free / n_bytes / job.info.n_channels, "on the disk"
    try:
        memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError):  # not on every system
        return math.inf, ""
    return memory_bytes / _BYTES_PER_SAMPLE / job.info.n_channels, "into memory"


def _contour(source: Path, parent: PurePath, contours: Path | None) -> Path | None:
    """Contour file of a track; in a folder of them, that of the same sub-folder comes first."""
    if contours is None or not contours.is_dir():
        return contours
    for folder in (contours / parent, contours):
        for suffix in (".csv", ".pv"):
            path = folder / f"{source.stem}{suffix}"
            if path.is_file():
                return path
    raise InputError(f"{source}: no pitch contour {source.stem}.csv or {source.stem}.pv in {contours}")


def _state(job: Job) -> tuple[str, str]:
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
        if record["input"] != _identity(job.source):
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


def _identity(source: Path) -> dict[str, str | int]:
    """What tells one input from another, without reading it."""
    status = source.stat()
    return {"name": os.fsencode(source.name).hex(), "bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


def _stem_bytes(job: Job, order: Order) -> int:
    """Size of a sample in all stems together, at most."""
    subtype = audio_io.output_subtype(job.info, order.container, order.subtype)
    return len(order.sounds) * (1 if order.container in ("mp3", "ogg") else audio_io.sample_bytes(subtype))


def _scratch_bytes(info: SoundInfo, order: Order) -> int:
    """Size of a sample in what a long recording keeps on the disk while it is worked on: itself, and the voice."""
    return max(4, audio_io.sample_bytes(info.subtype)) + (4 if order.sounds else 0)


def _n_values(info: SoundInfo) -> int:
    """Samples of all channels."""
    return (info.n_samples or 0) * info.n_channels


def _check_room(output: Path, needed_bytes: int) -> None:
    """Refuse an output that is no folder, is read-only, or on a disk without room for everything."""
    try:
        there = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
    except OSError as err:
        raise ConfigError(f"--output {output}: cannot be there ({(err.strerror or '').lower()})") from None
    if not there.is_dir():
        raise ConfigError(f"--output {output}: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"--output {output}: nothing can be written in {there}; permission denied")
    free_bytes = shutil.disk_usage(there).free
    if needed_bytes > free_bytes:
        raise ConfigError(
            f"--output {output}: the stems, and work on a long recording, need up to {_size(needed_bytes)}, and "
            f"{_size(free_bytes)} are free there; choose another disk, or --format mp3"
        )


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


# --------------------------------------------------------------------------------------------------- what is done


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
    """

    sidecar: Path
    files: dict[str, Path]
    source: Path
    seconds: float
    tags: dict[str, str]
    version: str
    changes: dict[str, str]
    libraries: dict[str, str]


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
    for path in sorted(folder.rglob(f"*{_SIDECAR}*.json")):
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
    )


# ---------------------------------------------------------------------------------------------------------- running


def run(
    plan: Plan,
    order: Order,
    config: Config,
    *,
    n_jobs: int = 1,
    engine: str = "local",
    scheduler: str | None = None,
    fail_fast: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> Iterator[Outcome]:
    """Do what is planned; an outcome for every input, as they are ready.

    Parameters
    ----------
    n_jobs : int
        Processes on this machine, with one thread each. The stems do not depend on it.
    engine : {"local", "dask", "ray"}
        "dask" and "ray": all workers of a cluster that runs already and sees the same files under the same paths.
    scheduler : str, optional
        Address of the cluster.
    fail_fast : bool
        Stop after the first input that fails.
    progress : callable, optional
        Called with the stage and how far it is, 0..1; where one local process does the work.

    Raises
    ------
    ConfigError
        When the cluster cannot be reached.
    """
    for outcome in _all_outcomes(plan, order, config, n_jobs, engine, scheduler, progress):
        yield outcome
        if fail_fast and outcome.status == "failed":
            return


def _all_outcomes(plan, order, config, n_jobs, engine, scheduler, progress) -> Iterator[Outcome]:
    yield from (Outcome(source, "failed", line) for source, line in plan.faults)
    yield from (Outcome(job.source, "skipped", job.reason) for job in plan.jobs if job.state == "done")
    try:
        if engine == "local" and n_jobs == 1:
            yield from (do(job, order, config, progress) for job in plan.todo)
        elif plan.todo:
            open_workers = partial(workers.open_workers, engine, n_jobs, scheduler)
            # The longest first: begun last, one would keep the others waiting.
            longest_first = sorted(plan.todo, key=lambda job: job.info.duration_s or math.inf, reverse=True)
            yield from _in_parallel(longest_first, order, config, open_workers, n_jobs)
    except BaseException:
        # Workers that were stopped could not tidy up.
        for job in plan.todo:
            _remove_parts(job)
        raise


def _in_parallel(jobs: list[Job], order: Order, config: Config, open_workers, n_jobs: int) -> Iterator[Outcome]:
    """Do the jobs on other processes, whatever becomes of these.

    A local process that dies takes its pool with it. Jobs are begun in order, so those that were under way are the
    first that are lost: these are done again one by one, and the one that is alone when a process dies is the culprit.
    Then the rest goes on.
    """
    while jobs:
        done = set()
        for job, outcome in _outcomes(jobs, order, config, open_workers):
            if outcome is not None:
                done.add(job.source)
                yield outcome
        lost = [job for job in jobs if job.source not in done]
        for suspect in lost[:n_jobs]:
            [(_, outcome)] = _outcomes([suspect], order, config, open_workers)
            message = f"{suspect.source}: its process was killed twice; perhaps it needs more memory"
            yield outcome or Outcome(suspect.source, "failed", message)
        jobs = lost[n_jobs:]


def _outcomes(jobs: list[Job], order: Order, config: Config, open_workers) -> Iterator[tuple[Job, Outcome | None]]:
    """Each job with its outcome, or None when its process died."""
    with open_workers() as (submit, died):
        futures = {submit(do, job, order, config): job for job in jobs}
        for future in as_completed(futures):
            try:
                outcome = future.result()
            except died:
                outcome = None
            except Exception as err:  # none of `do`: it lets none out
                reason = f"{type(err).__name__}: {err}".partition("\n")[0]
                raise ConfigError(
                    f"a worker cannot begin ({reason}); the cluster needs the same version of karaoke-sep everywhere"
                ) from None
            yield futures[future], outcome


def do(job: Job, order: Order, config: Config, progress: Callable[[str, float], None] | None = None) -> Outcome:
    """Make the outputs of one job. No failure gets out of here."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    memory.keep_freed()
    try:
        with one_thread():
            outcome = _make(job, order, config, progress)
    except KaraokeSepError as err:
        outcome = Outcome(job.source, "failed", str(err))
    except MemoryError:
        outcome = Outcome(job.source, "failed", f"{job.source}: not enough memory for {_length(job.info)} of sound")
    except Exception as err:
        # A mistake of ours costs one file, not the night's work.
        message = f"{job.source}: {type(err).__name__}: {err}; this is a mistake in karaoke-sep, please report it"
        outcome = Outcome(job.source, "failed", message, details=traceback.format_exc())
    return replace(outcome, wall_s=time.perf_counter() - wall_s, cpu_s=time.process_time() - cpu_s)


def _length(info: SoundInfo) -> str:
    return "an unknown length" if info.duration_s is None else f"{info.duration_s:.0f} s"


def _make(job: Job, order: Order, config: Config, progress: Callable[[str, float], None] | None) -> Outcome:
    with ExitStack() as files:
        try:
            find = _find_on_disk if _is_long(job, order, config) else _find
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


def _is_long(job: Job, order: Order, config: Config) -> bool:
    """Whether samples stay on the disk; what is excluded here needs them in memory."""
    return (
        (job.info.duration_s or math.inf) > config.parts.from_s
        and {*order.products} <= {*STEMS, "pitch", "karaoke"}
        and not order.karaoke.stretches
        and order.layout == "mixture"
        and job.track is None
        and not (config.vocal_activity.enabled and config.vocal_activity.backend == "trained")
    )


def _find(job: Job, order: Order, config: Config, progress, files: ExitStack) -> _Found:
    audio, warnings = audio_io.read(job.source, _max_samples(job, order, config)[0])
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
    song, warnings = audio_io.read_to_disk(job.source, folder, _max_samples(job, order, config)[0])
    files.enter_context(song)
    if not order.sounds:
        track, blocks = long_recording.find_pitch(song, config, progress), lambda: iter(())
    else:
        voice = files.enter_context(audio_io.SampleFile(folder, song.rate_hz, song.n_channels, np.float32))
        track, gain = long_recording.separate(song, voice, config, progress)

        def blocks():
            for start in range(0, song.n_samples, _BLOCK_SAMPLES):
                stop = min(song.n_samples, start + _BLOCK_SAMPLES)
                yield song.excerpt(start, stop).samples, voice.excerpt(start, stop).samples * gain(start, stop)

    return _Found(track, song.n_channels, song.n_samples, song.rate_hz, warnings, blocks)


def _write(job: Job, order: Order, config: Config, found: _Found) -> Outcome:
    _remove_parts(job)
    if job.sidecar:
        _write_sidecar(job, job.sidecar, {}, {})
    if "pitch" in job.targets:
        with audio_io.whole_file(job.targets["pitch"]) as part:
            given.write(part, found.track)
    _write_notes(job, order, found.track, found.vocals)
    if found.audio and found.vocals and "picture" in job.targets:
        _write_picture(job.targets["picture"], found.audio, found.vocals, found.track, config)
    levels_db, note = _write_sounds(job, order, found) if order.sounds else ({}, "")
    if job.sidecar:
        outputs = {product: path.stat().st_size for product, path in job.targets.items()}
        _write_sidecar(job, job.sidecar, outputs, _story(job, job.sidecar, config, found.seconds))
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

    fit = audio_io.fit_for(blocks(), audio_io.output_subtype(job.info, order.container, order.subtype), order.clip)
    levels_db = {}
    for name in order.sounds:
        squares: list[float] = []

        def pieces(name=name, squares=squares):
            for mixture, vocals in blocks():
                samples = fit.stems(mixture, vocals)["accompaniment" if name == "karaoke" else name]
                squares.append(_energy(samples))
                yield samples

        shape = (found.n_channels, round(found.n_samples / order.karaoke.tempo_ratio))
        audio_io.write_blocks(
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
        with audio_io.whole_file(path) as part:
            part.write_bytes(notes.midi(found, track if order.bends else None))
    if path := job.targets.get("ultrastar"):
        tags = {"title": job.source.stem, "artist": "unknown"} | job.info.tags
        text = notes.ultrastar(found, tags["title"], tags["artist"], job.source.name)
        with audio_io.whole_file(path) as part:
            part.write_bytes(text.encode("utf-8", "surrogateescape"))  # names of files may be no UTF-8


def _write_picture(path: Path, audio: Audio, vocals: Audio, track: PitchTrack, config: Config) -> None:
    from . import plots  # matplotlib takes a second, and is an extra

    accompaniment = Audio(audio.samples - vocals.samples, audio.rate_hz)
    picture = plots.separation(vocals, accompaniment, track, config.harmonic_mask, config.stft)
    with audio_io.whole_file(path) as part:
        part.write_bytes(plots.png(picture))


def _remove_parts(job: Job) -> None:
    for path in filter(None, (*job.targets.values(), job.sidecar)):
        audio_io.remove_parts(path)


def _story(job: Job, sidecar: Path, config: Config, seconds: float) -> dict[str, Any]:
    """What `results` gives back; paths are relative to the sidecar."""
    folder = sidecar.absolute().parent
    return {
        "files": {product: os.path.relpath(path, folder) for product, path in job.targets.items()},
        "source": os.path.relpath(job.source, folder),
        "seconds": seconds,
        "tags": job.info.tags,
        "changes": _changes(config),
        "libraries": _versions(),
    }


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    """Of the libraries that numbers and files depend on; to look one up takes milliseconds."""
    return {name: metadata.version(name) for name in ("numpy", "scipy", "soundfile", "soxr")}


def _write_sidecar(job: Job, sidecar: Path, outputs: dict[str, int], story: dict[str, Any]) -> None:
    record = {
        "version": __version__,
        "input": _identity(job.source),
        "settings": job.settings,
        "outputs": outputs,
        **story,
    }
    with audio_io.whole_file(sidecar) as part:
        part.write_text(json.dumps(record, indent=1) + "\n")


def _energy(samples: np.ndarray) -> float:
    """Sum of squares, full scale 1.0."""
    flat = samples.ravel().astype(np.float64) / (2.0**31 if samples.dtype == np.int32 else 1.0)
    return float(np.dot(flat, flat))
