"""Check every input and every output before any work."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePath

from .. import backing, pipeline
from ..accompaniment import needs_pitch
from ..config import Config
from ..errors import ConfigError, InputError
from ..files import contours, sound_info, writing
from ..recording import check_form
from .inputs import contour_of, find_inputs
from .jobs import SOUNDS, Job, Order, Plan
from .names import check_name, collisions, targets_of
from .sidecar import fingerprint_of, state_of
from .space import check_room, is_long, max_samples, n_values, scratch_bytes, stem_bytes


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
    check_name(order.name, len(order.products))
    _check_order(order, config)
    check_room(order.output, 0)
    found, faults = find_inputs(inputs, order.output)
    if order.contours and not order.contours.is_dir() and len(found) > 1:
        raise ConfigError(f"{order.contours}: one contour cannot be that of {len(found)} inputs; give a folder of them")
    named = {}
    for source, parent in found:
        try:
            named[source] = targets_of(source, parent, order)
        except InputError as err:
            faults.append((source, str(err)))
    refusals = collisions(named)
    jobs = []
    for source in list(named)[shard[0] - 1 :: shard[1]]:
        try:
            jobs.append(_job(source, *named[source], dict(found)[source], order, config, overwrite))
        except InputError as err:
            faults.append((source, str(err)))
    checked = Plan(jobs, faults)
    stems = sum(n_values(job.info) * stem_bytes(job, order) for job in checked.todo)
    long = [job.info for job in checked.todo if is_long(job, config)]
    scratch = max((n_values(info) * scratch_bytes(info, order) for info in long), default=0)
    try:
        check_room(order.output, stems + scratch)
    except ConfigError as err:
        refusals.append(str(err))
    if refusals:
        lines = [*(line for _, line in faults), *refusals]
        raise ConfigError("\n".join(line.replace("\n", "\\n") for line in lines))  # file names may hold any character
    return checked


def _check_order(order: Order, config: Config) -> None:
    """Raise ConfigError for an order that contradicts itself, or needs a library that is not installed."""
    pipeline.check_models(config)
    if config.pitch.backend == "given" and not (order.contours or config.pitch.given.path):
        raise ConfigError("--pitch given: no contour is given; name its file with --pitch-file")
    follows_pitch = order.contours or set(order.products) - set(SOUNDS)
    if order.sounds and follows_pitch and not needs_pitch(config.accompaniment):
        raise ConfigError("trained bases alone seek no pitch and follow none; ask for stems only, or without alone")
    if not order.span.is_whole and "ultrastar" in order.products:
        raise ConfigError("--save-ultrastar: the song text names the whole song; leave out --start and --duration")
    if not order.span.is_whole and config.pitch.backend == "given" and not order.contours:
        raise ConfigError(
            "pitch.given.path: is of the whole song; name the contour with --pitch-file, or leave out --start"
        )
    if order.clip == "float" and order.container != "wav":
        raise ConfigError(f"--clip float: {order.container} cannot hold floats; use --format wav or another rule")
    if order.bitrate_kbps and (order.container not in writing.DEFAULT_KBPS or order.subtype == "OPUS"):
        raise ConfigError("--bitrate: it is for --format mp3 and for Vorbis in --format ogg only")
    if "karaoke" in order.products:
        backing.check(order.karaoke)
    if "picture" in order.products:
        try:
            from ..plots import pictures as plots  # noqa: F401
        except ImportError:
            raise ConfigError("--plots: matplotlib is missing; pip install 'karaoke-sep[plots]'") from None


def _job(
    source: Path,
    targets: dict[str, Path],
    sidecar: Path,
    parent: PurePath,
    order: Order,
    config: Config,
    overwrite: bool,
) -> Job:
    info = sound_info.probe(source, order.stream)
    try:
        # A sound whose header does not tell its length may be long enough.
        check_form(info.n_channels, info.rate_hz, info.rate_hz if info.n_samples is None else info.n_samples)
    except InputError as err:
        raise InputError(f"{source}: {err}") from None
    if info.duration_s is not None and order.span.start_s >= info.duration_s:
        raise InputError(f"{source}: ends at {info.duration_s:.2f} s, before --start; choose an earlier start")
    if order.layout == "mir1k":
        if info.n_channels != 2:
            raise InputError(f"{source}: --layout mir1k needs 2 channels, not {info.n_channels}")
        # The sum of two 16-bit channels needs 17 bits.
        info = replace(info, n_channels=1, subtype="FLOAT")
    contour = contour_of(source, parent, order.contours)
    settings = [fingerprint_of(config), order.container, order.clip, order.layout, *pipeline.model_marks(config)]
    if order.sounds:
        settings.append(writing.output_subtype(info, order.container, order.subtype))
    settings += [f"{name} {value}" for name, value in (("kbps", order.bitrate_kbps), ("stream", order.stream)) if value]
    if not order.span.is_whole:
        settings.append(repr(order.span))
    if "notes" in order.products and not order.bends:
        settings.append("no bends")
    if "karaoke" in order.products:
        settings.append(repr(order.karaoke))
    if contour:
        track = contours.read(contour)
        settings.append(hashlib.sha256(contour.read_bytes()).hexdigest())
    digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
    job = Job(source, info, targets, sidecar if order.sounds else None, digest, track if contour else None)
    limit, where = max_samples(job, order, config)
    if info.duration_s and (info.n_samples or 0) > limit:
        raise InputError(
            f"{source}: {info.duration_s / 3600:.1f} h are longer than the "
            f"{limit / info.rate_hz / 3600:.1f} h that fit {where}; cut it in pieces"
        )
    state, reason = ("new", "") if overwrite else state_of(job)
    return replace(job, state=state, reason=reason)
