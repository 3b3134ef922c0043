"""Check every input and every output before any work."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path, PurePath

from .. import backing, pipeline
from ..accompaniment import needs_pitch
from ..config import Config, fingerprint
from ..errors import ConfigError, InputError, NoSoundError, how_to_install, unexpected
from ..files import contours, ffmpeg, lyrics, video, writing
from ..files.sound_info import SoundInfo
from ..recording import check_form
from ..settings.catalogue import STEMS
from . import record, stored
from .answers import Answers
from .inputs import Found, contour_of, find_inputs
from .jobs import SOUNDS, Job, Order, Plan
from .names import Names, check_name, collisions, names_of, song_files, uses_tags
from .space import check_room, is_long, max_samples, n_values, scratch_bytes, stem_bytes
from .standing import standing

fingerprint_of = lru_cache(maxsize=8)(fingerprint)  # asked for every file


def plan(
    inputs: Iterable[Path],
    order: Order,
    config: Config,
    *,
    shard: tuple[int, int] = (1, 1),
    overwrite: bool = False,
    exclude: Iterable[str] = (),
) -> Plan:
    """Check every input and every output before any work.

    Parameters
    ----------
    inputs : iterable of Path
        Files, and folders to search.
    shard : (i, n)
        Take only every n-th input, from the i-th (1..n) on.
    overwrite : bool
        Make outputs again that exist already.
    exclude : iterable of str
        Patterns of files and folders to leave out.

    Raises
    ------
    ConfigError
        If one contour is given for several inputs, or the output folder cannot be written to.
    """
    _check_order(order, config)
    check_room(order.output, 0)
    found = find_inputs(inputs, exclude)
    if order.contours and not order.contours.is_dir() and len(found.parents) > 1:
        raise ConfigError(
            f"{order.contours}: one contour cannot be that of {len(found.parents)} inputs; give a folder of them"
        )
    answers = Answers(order.output)
    named: dict[Path, Names] = {}
    for source, parent in found.parents.items():
        with _lines_about(source, found):
            tags = answers.sound(source, order.stream).tags if uses_tags(order.name) else {}
            named[source] = names_of(source, parent, order, tags, answers)
    _check_videos(order, named.values())
    collided = collisions(named, found.parents, order)
    jobs = []
    for source in list(named)[shard[0] - 1 :: shard[1]]:
        if source in collided:
            found.errors.append((source, collided[source]))
            continue
        with _lines_about(source, found):
            job = _job(source, answers.sound(source, order.stream), named[source], found.parents[source], order, config)
            jobs.append(_checked(replace(job, overwrite=overwrite), order, config))
    checked = Plan(jobs, found.errors, found.notes, answers)
    stems = sum(n_values(job.info) * stem_bytes(job, order) for job in checked.todo)
    long = [job.info for job in checked.todo if is_long(job, config)]
    scratch = max((n_values(info) * scratch_bytes(info, order) for info in long), default=0)
    try:
        check_room(order.output, stems + scratch)
    except ConfigError as err:
        lines = [*(line for _, line in found.errors), str(err)]
        raise ConfigError("\n".join(line.replace("\n", "\\n") for line in lines)) from None  # in names
    return checked


@contextmanager
def _lines_about(source: Path, found: Found) -> Iterator[None]:
    """Turn any failure of one input into an error of one line, so that the other inputs are still processed."""
    try:
        yield
    except NoSoundError as err:
        if source in found.searched:
            found.notes.append(f"{source}: skipped because there is no sound in it")
        else:
            found.errors.append((source, str(err)))
    except InputError as err:
        found.errors.append((source, str(err)))
    except ConfigError:
        raise
    except Exception as err:
        found.errors.append((source, unexpected(source, err)))


def _check_order(order: Order, config: Config) -> None:
    """Reject options that contradict each other, or need a library that is not installed."""
    check_name(order.name, len(order.products))
    pipeline.check_models(config)
    if config.pitch.backend == "given" and not (order.contours or config.pitch.given.path):
        raise ConfigError("--pitch given: no contour is given; name its file with --pitch-file")
    follows_pitch = order.contours or set(order.products) - {*SOUNDS, "song", "cover"}
    if order.sounds and follows_pitch and not needs_pitch(config.accompaniment):
        raise ConfigError("accompaniment.trained_nmf.alone: needs no pitch and estimates none; write stems only")
    if not order.span.is_whole and "ultrastar" in order.products:
        raise ConfigError("--save-ultrastar: the song text names the whole song; leave out --start and --duration")
    if not order.span.is_whole and config.pitch.backend == "given" and not order.contours:
        raise ConfigError(
            "pitch.given.path: the contour is of the whole song; name it with --pitch-file, or leave out --start"
        )
    if order.clip == "float" and order.container != "wav":
        raise ConfigError(f"--clip float: {order.container} cannot hold floats; use --format wav or another rule")
    if order.clip != "clamp" and order.subtype in ("FLOAT", "DOUBLE"):
        raise ConfigError(f"--clip {order.clip}: has no effect on {order.subtype}, which does not clip; leave it out")
    if order.bitrate_kbps and (order.container not in writing.DEFAULT_KBPS or order.subtype == "OPUS"):
        raise ConfigError("--bitrate: it is for --format mp3 and for Vorbis in --format ogg only")
    if order.bitrate_kbps and order.bitrate_kbps > (highest := writing.HIGHEST_KBPS[order.container]):
        raise ConfigError(f"--bitrate {order.bitrate_kbps}: {order.container} has at most {highest} kbit/s")
    if "karaoke" in order.products:
        backing.check(order.karaoke)
    if order.karaoke.loudness_lufs is not None and not ffmpeg.is_there():
        raise ConfigError("--loudness: needs ffmpeg on the PATH; install it, or leave --loudness out")
    # Importing matplotlib takes half a second, which a finished folder does not need.
    if "picture" in order.products and find_spec("matplotlib") is None:
        raise ConfigError(f"--plots: matplotlib is missing; {how_to_install('plots')}")


def _check_videos(order: Order, named: Collection[Names]) -> None:
    """Reject the wish for a second sound if no backing track is a video."""
    if order.video == "add" and named and not any(video.container_of(names.targets["karaoke"]) for names in named):
        raise ConfigError("--video-sound add: has no effect, because no input is a video; leave it out")


def _job(source: Path, info: SoundInfo, names: Names, parent: PurePath, order: Order, config: Config) -> Job:
    try:
        # A sound without a length in its header may be long enough.
        check_form(info.n_channels, info.rate_hz, info.rate_hz if info.n_samples is None else info.n_samples)
    except InputError as err:
        raise InputError(f"{source}: {err}") from None
    if info.duration_s is not None and order.span.start_s >= info.duration_s:
        raise InputError(f"{source}: ends at {info.duration_s:.2f} s, before --start; choose an earlier start")
    header = info
    if order.layout == "mir1k":
        if info.n_channels != 2:
            raise InputError(f"{source}: --layout mir1k needs 2 channels, not {info.n_channels}")
        # The sum of two 16-bit channels needs 17 bits.
        info = replace(info, n_channels=1, subtype="FLOAT")
    contour = contour_of(source, parent, order.contours)
    common = [fingerprint_of(config), order.layout, order.stream, repr(order.span), *pipeline.model_marks(config)]
    if contour:
        common.append(hashlib.sha256(contour.read_bytes()).hexdigest())
    subtype = writing.output_subtype(info, order.container, order.subtype) if order.sounds else ""
    files = song_files(names.targets)

    def settings_in(container: str, suffix: str) -> dict[str, str]:
        sound = [container, order.clip, subtype, order.bitrate_kbps]
        own: dict[str, list] = dict.fromkeys(STEMS, sound) | {
            "karaoke": [*sound, repr(order.karaoke), suffix, order.video == "add"],
            "notes": [order.bends],
            "ultrastar": [files, repr(lyrics.beside(source))],
        }
        return {product: _digest([*common, *own.get(product, [])]) for product in names.targets}

    in_wav = settings_in("wav", ".wav") if _has_samples_of_wav(info, order, subtype) else {}
    track = contours.read(contour) if contour else None
    return Job(
        source,
        info,
        names.targets,
        names.place,
        order.output,
        settings_in(order.container, names.targets.get("karaoke", Path()).suffix),
        wav_settings={product: in_wav[product] for product in in_wav if product in SOUNDS},
        separation=_digest([*common, stored.n_bits(info, order), stored.FORMAT]),
        header=header,
        identity=record.identity(source),
        song_files=files,
        track=track,
    )


def _has_samples_of_wav(info: SoundInfo, order: Order, subtype: str) -> bool:
    """Return whether the sounds are FLAC files with the samples that WAV files of the same order have."""
    if order.container != "flac" or subtype not in ("PCM_16", "PCM_24"):
        return False
    return writing.output_subtype(info, "wav", order.subtype) == subtype


def _digest(values: list) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def _checked(job: Job, order: Order, config: Config) -> Job:
    """Return the job with its state; raise InputError if there is no room for its length."""
    limit, where = max_samples(job, order, config)
    if job.info.duration_s and (job.info.n_samples or 0) > limit:
        raise InputError(
            f"{job.source}: {job.info.duration_s / 3600:.1f} h are longer than the "
            f"{limit / job.info.rate_hz / 3600:.1f} h that fit {where}; cut it in pieces"
        )
    now = standing(job)
    state = "done" if not now.todo else "stale" if now.reason and not job.overwrite else "new"
    return replace(job, state=state, reason="" if job.overwrite and now.todo else now.reason)
