"""The command line: a thin shell over `batch`, `config` and `demo_song`.

Results go to stdout, logs and progress to stderr. Exit code 0: all done; 1: some inputs failed; 2: wrong use or
config, nothing was started; 130: stopped by Ctrl-C. The numerical libraries are imported inside the commands, so that
``--help`` does not wait for them.
"""

import errno
import json
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from . import __version__
from .errors import ConfigError, KaraokeSepError
from .evaluation.command import evaluate
from .training.command import train

# Stages of a shorter song pass too quickly to be read.
_LONG_S = 60.0
_STRENGTHS_DB = {"gentle": -6.0, "normal": 0.0, "hard": 6.0}


class _ConfigFailure(click.ClickException):
    exit_code = 2


class _Group(click.Group):
    """Turns expected failures into one line and an exit code, in one place."""

    def invoke(self, ctx: click.Context):
        try:
            return super().invoke(ctx)
        except KaraokeSepError as err:
            failure = _ConfigFailure if isinstance(err, ConfigError) else click.ClickException
            raise failure("\n".join(map(_printable, str(err).split("\n")))) from None
        except OSError as err:  # of sounds and stems it is dealt with where they are written
            if err.errno != errno.ENOSPC:
                raise
            raise click.ClickException("stdout, or the file of --report: no space left on device") from None
        except KeyboardInterrupt as stop:
            _log(str(stop) or "stopped; what is whole is kept, and the same command goes on from here")
            ctx.exit(130)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="karaoke-sep")
def main():
    """Separate songs into vocals and accompaniment."""


main.add_command(evaluate)
main.add_command(train)


# ---------------------------------------------------------------------------------------------------- shared options


def _together(*options: Callable) -> Callable:
    """One decorator out of several options, shown in this order."""

    def decorate(command):
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _parse_shard(ctx, param, text: str) -> tuple[int, int]:
    try:
        number, count = map(int, text.split("/"))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not i/n, such as 2/8") from None
    if not 1 <= number <= count:
        raise click.BadParameter(f"{text!r}: i must be 1 to {count}")
    return number, count


# Whether it can be read shows later, so that one file that cannot does not stop the others.
_PATH = click.Path(path_type=Path, readable=False)

_inputs = click.argument("inputs", nargs=-1, required=True, type=_PATH, metavar="INPUT...")

_MODELS = f"{__name__}.models"  # where a command's --model waits for `_load`

_settings = _together(
    click.option(
        "--config", "source", metavar="FILE", help="YAML file, or a shipped one: default, fast, classic, trained."
    ),
    click.option(
        "--model",
        "models",
        multiple=True,
        expose_value=False,
        callback=lambda ctx, _, paths: ctx.meta.update({_MODELS: paths}),
        metavar="FILE",
        help="Use a model of karaoke-sep train (repeatable: one of each kind).",
    ),
    click.option("--pitch", "backend", metavar="NAME", help="How the pitch is found: hmm, peaks, pyin or given."),
    click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="One setting (repeatable)."),
)

_layout = click.option(
    "--layout",
    type=click.Choice(["mixture", "mir1k"]),
    default="mixture",
    show_default=True,
    help="mir1k: accompaniment left, voice right; their sum is the mixture.",
)

_contours = click.option(
    "--pitch-file", "contours", type=_PATH, help="Corrected contour (.csv, .pv), or a folder of them."
)

_format = _together(
    click.option(
        "--format",
        "container",
        type=click.Choice(["wav", "flac", "mp3", "ogg"]),
        default="wav",
        show_default=True,
        help="Of the sound files.",
    ),
    click.option("--subtype", metavar="NAME", help="Sample format, such as PCM_16 or FLOAT; else that of the input."),
    click.option(
        "--clip",
        type=click.Choice(["clamp", "rescale", "float"]),
        default="clamp",
        show_default=True,
        help="What passes full scale: hold it there, turn everything down, or write floats. Stems still add up.",
    ),
)

_running = _together(
    click.option("-j", "--jobs", "n_jobs", default=1, show_default=True, type=click.IntRange(1), help="Processes."),
    click.option("--shard", default="1/1", callback=_parse_shard, metavar="I/N", help="Only every N-th input."),
    click.option(
        "--engine",
        type=click.Choice(["local", "dask", "ray"]),
        default="local",
        show_default=True,
        help="Where it runs.",
    ),
    click.option("--scheduler", metavar="ADDRESS", help="Of the Dask or Ray cluster."),
    click.option("--overwrite", is_flag=True, help="Make again what is there already."),
    click.option("--dry-run", is_flag=True, help="Check everything and print the plan."),
    click.option("--fail-fast", is_flag=True, help="Stop at the first input that fails."),
    click.option("--report", type=_PATH, metavar="FILE", help="Add a line of JSON for each input as it is done."),
    click.option("-q", "--quiet", is_flag=True, help="Only faults."),
    click.option("-v", "--verbose", is_flag=True, help="A line for each input; where an unexpected fault arose."),
)


def _load(source: str | None, backend: str | None, overrides: tuple[str, ...], strength_db: float | None = None):
    """The config and where its settings came from."""
    from .config import load_with_origins

    options = {
        "--model": _models(click.get_current_context().meta[_MODELS]),
        "--pitch": [] if backend is None else [f"pitch.backend={backend}"],
        "--strength": [] if strength_db is None else [f"wiener.voice_db={strength_db}"],
    }
    return load_with_origins(source, overrides, options=options)


def _models(paths: tuple[str, ...]) -> list[str]:
    """The settings that put trained models to use."""
    if not paths:
        return []
    from .models import as_settings

    return as_settings(paths)


def _check_contours(contours: Path | None) -> None:
    if contours and not contours.exists():
        raise ConfigError(f"--pitch-file {contours}: there is no such file or folder")


# --------------------------------------------------------------------------------------------------------- commands


@main.command()
@_inputs
@click.option("-o", "--output", default="separated", show_default=True, type=_PATH, help="Folder of all stems.")
@_settings
@_contours
@_layout
@click.option("--stem", type=click.Choice(["vocals", "accompaniment"]), help="Only this one.")
@click.option("--save-pitch", is_flag=True, help="Also write the pitch contour, pitch.csv.")
@click.option("--save-midi", is_flag=True, help="Also write the sung notes, notes.mid, bent as they are sung.")
@click.option("--no-bends", is_flag=True, help="MIDI notes in tune.")
@click.option("--save-ultrastar", is_flag=True, help="Also write the notes as an UltraStar song, ultrastar.txt.")
@click.option("--plots", is_flag=True, help="Also draw spectrograms, mask and pitch, picture.png (extra [plots]).")
@click.option("--name", default="{parent}/{track}/{stem}", show_default=True, help="Names of the stems; also {file}.")
@_format
@_running
def separate(
    inputs,
    output,
    source,
    backend,
    overrides,
    contours,
    layout,
    stem,
    save_pitch,
    save_midi,
    no_bends,
    save_ultrastar,
    plots,
    name,
    container,
    subtype,
    clip,
    **run,
):
    """Write the vocals and the accompaniment of each INPUT.

    INPUT is a sound file, or a folder that is searched for sound files. The stems go to
    OUTPUT/<track>/vocals.wav and accompaniment.wav; sub-folders are kept.
    """
    from .batch import STEMS, Order

    _check_contours(contours)
    config, _ = _load(source, backend, overrides)
    if no_bends and not save_midi:
        raise ConfigError("--no-bends: there is no MIDI file to leave them out of; give --save-midi too")
    more = {"pitch": save_pitch, "notes": save_midi, "ultrastar": save_ultrastar, "picture": plots}
    products = ((stem,) if stem else STEMS) + tuple(product for product, wanted in more.items() if wanted)
    order = Order(output, products, name, container, subtype, clip, layout, contours=contours, bends=not no_bends)
    _run(inputs, order, config, **run)


def _parse_strength(ctx, param, text: str | None) -> float | None:
    if text is None:  # the config decides
        return None
    if text in _STRENGTHS_DB:
        return _STRENGTHS_DB[text]
    try:
        strength_db = float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not one of {', '.join(_STRENGTHS_DB)}, nor a number of dB") from None
    if not -40 <= strength_db <= 40:
        raise click.BadParameter(f"{text} dB is not within -40 to 40 dB")
    return strength_db


@main.command()
@_inputs
@click.option("-o", "--output", default="karaoke", show_default=True, type=_PATH, help="Folder of all backing tracks.")
@_settings
@_contours
@click.option(
    "--vocals-level", "level_db", type=click.FloatRange(-60, 0), metavar="DB", help="Keep the voice, so much softer."
)
@click.option(
    "--strength",
    "strength_db",
    callback=_parse_strength,
    metavar="HOW",
    help="gentle spares the music, hard leaves less voice, normal is between; or dB to count the voice louder by "
    "(-6, 6 and 0).  [default: wiener.voice_db of the config]",
)
@click.option(
    "--key", "key_semitones", default=0.0, type=click.FloatRange(-12, 12), help="Semitones higher, below 0 lower."
)
@click.option(
    "--tempo", "tempo_ratio", default=1.0, type=click.FloatRange(0.5, 2), help="Times as fast, below 1 slower."
)
@click.option("--name", default="{parent}/{track} ({stem})", show_default=True, help="Name of the track; also {file}.")
@_format
@_running
def karaoke(
    inputs,
    output,
    source,
    backend,
    overrides,
    contours,
    level_db,
    strength_db,
    key_semitones,
    tempo_ratio,
    name,
    container,
    subtype,
    clip,
    **run,
):
    """Write a backing track of each INPUT, to sing to: OUTPUT/<track> (karaoke).wav.

    INPUT is a sound file, or a folder that is searched for sound files. Tags are kept. --key and --tempo need the extra
    [stretch].
    """
    from .backing import Params
    from .batch import Order

    _check_contours(contours)
    config, _ = _load(source, backend, overrides, strength_db)
    params = Params(level_db, key_semitones, tempo_ratio)
    order = Order(output, ("karaoke",), name, container, subtype, clip, contours=contours, karaoke=params)
    _run(inputs, order, config, **run)


@main.command()
@_inputs
@click.option("-o", "--output", default="pitch", show_default=True, type=_PATH, help="Folder of all contours.")
@_settings
@_layout
@click.option(
    "--format",
    "suffix",
    type=click.Choice(["csv", "pv"]),
    default="csv",
    show_default=True,
    help="pv: MIR-1K semitones.",
)
@_running
def pitch(inputs, output, source, backend, overrides, layout, suffix, **run):
    """Write only the pitch contour of each INPUT, OUTPUT/<track>.csv.

    A contour can be corrected by hand and given back: karaoke-sep separate --pitch-file.
    """
    from .batch import Order

    config, _ = _load(source, backend, overrides)
    order = Order(output, ("pitch",), "{parent}/{track}", layout=layout, contour_suffix=f".{suffix}")
    _run(inputs, order, config, **run)


@main.command()
@click.argument("folder", type=_PATH, metavar="DIR")
@click.option("-o", "--output", type=_PATH, metavar="FILE", help="The page; DIR/report.html if missing.")
@click.option("--references", type=_PATH, metavar="DIR", help="True stems of the tracks, for figures and a picture.")
@click.option("--embed", is_flag=True, help="Put sounds, as MP3, and pictures into the page, to send it.")
@click.option("--title", help="Of the page; the name of DIR if missing.")
def report(folder, output, references, embed, title):
    """Write a page to listen to the tracks that were separated into DIR.

    It switches between mixture, vocals and accompaniment while they play, and shows what --save-pitch and --plots
    wrote. It needs no network; sounds and pictures are linked from where they are, unless they are embedded.
    """
    from . import batch, listening

    results, faults = batch.results(folder)
    figures = {}
    if references:
        truths = listening.find_truths(results, folder, references)
        figures, more = _compared(results, truths)
        faults += more
    output = output or folder / "report.html"
    faults += listening.write(output, results, title or folder.absolute().name, figures, embed=embed)
    for line in faults:
        _log(line)
    _result(output)
    click.get_current_context().exit(1 if faults else 0)


def _compared(results, truths):
    """Figures of tracks by their sidecars, with pictures beside those, and a line for each that cannot be compared."""
    from . import audio_io, listening

    figures, faults = {}, []
    for result, truth in zip(results, truths, strict=True):
        if truth is None:
            continue
        try:
            figures[result.sidecar], picture = listening.compare(result, truth)
            if picture:
                with audio_io.whole_file(listening.comparison_path(result)) as part:
                    part.write_bytes(picture)
        except KaraokeSepError as err:
            faults.append(str(err))
    return figures, faults


@main.group()
def config():
    """The settings."""


@config.command()
@_settings
@click.option("--yaml", "as_yaml", is_flag=True, help="As a YAML file to edit.")
def show(source, backend, overrides, as_yaml):
    """Every effective setting, with its unit and where it came from."""
    from .config import describe, to_yaml

    settings, origins = _load(source, backend, overrides)
    if as_yaml:
        click.echo(to_yaml(settings), nl=False)
        return
    rows = [row._replace(value=row.value or "''") for row in describe(settings, origins)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        click.echo("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row.origin]))


@main.command()
@click.option("-o", "--output", default="demo", show_default=True, type=_PATH, help="Folder of the song and its stems.")
@_settings
def demo(output, source, backend, overrides):
    """Make a song, separate it, and say how well that went.

    The song comes with its true stems and pitch, so the gain in SDR (signal-to-distortion ratio) is known.
    """
    from . import audio_io, batch, demo_song
    from .batch import STEMS, Order
    from .evaluation.bss_eval import usdr_db
    from .pitch import given

    config, _ = _load(source, backend, overrides)
    song = demo_song.make()
    truth = {"vocals": song.vocals, "accompaniment": song.accompaniment}
    mixture = output / "demo_song.wav"
    for path, sound in {mixture: song.mixture, **{output / "true" / f"{s}.wav": truth[s] for s in STEMS}}.items():
        audio_io.write(path, sound.samples, sound.rate_hz, "wav", "FLOAT")
    with audio_io.whole_file(output / "true" / "pitch.csv") as part:
        given.write(part, song.track)
    order = Order(output, (*STEMS, "pitch"))
    [outcome] = batch.run(batch.plan([mixture], order, config, overwrite=True), order, config)
    if outcome.status == "failed":
        raise KaraokeSepError(outcome.message)
    _result(mixture)
    for stem, path in zip(STEMS, outcome.paths, strict=False):
        found = audio_io.read(path)[0].samples
        gain_db = usdr_db(truth[stem].samples, found) - usdr_db(truth[stem].samples, song.mixture.samples)
        _result(f"{path}\tSDR gain {gain_db:.1f} dB")


@main.command()
@click.argument("model", required=False, type=_PATH)
def info(model):
    """Versions, codecs and threads, for a report of a fault; or what a trained MODEL holds."""
    if model:
        from . import models

        rows = models.describe(models.read(model))
        width = max(len(name) for name, _ in rows) + 1
        for name, value in rows:
            _result(f"{name:{width}}{value}")
        return
    from importlib.metadata import PackageNotFoundError, version
    from platform import platform, python_version

    from . import audio_io
    from .config import shipped_names

    rows = {"karaoke-sep": __version__, "python": python_version(), "platform": platform()}
    libraries = ("numpy", "scipy", "librosa", "numba", "soundfile", "soxr", "joblib", "threadpoolctl")
    rows |= {name: version(name) for name in libraries} | audio_io.codecs()
    extras = {"plots": "matplotlib", "stretch": "python-stretch", "dask": "distributed", "ray": "ray"}
    for extra, library in extras.items():
        try:
            rows[library] = version(library)
        except PackageNotFoundError:
            rows[library] = f"not installed (extra [{extra}])"
    rows |= {"processors": str(os.cpu_count()), "threads": "1 in each process", "cache": "none"}
    rows["configs"] = ", ".join(shipped_names())
    for name, value in rows.items():
        _result(f"{name:15}{value}")


# ---------------------------------------------------------------------------------------------------------- running


def _run(inputs, order, config, *, shard, overwrite, dry_run, report, quiet, verbose, n_jobs, **how) -> None:
    """Plan, say what is wrong, do the rest, and end with the exit code."""
    from . import batch

    plan = batch.plan(inputs, order, config, shard=shard, overwrite=overwrite)
    for _, line in plan.faults:
        _log(line)
    if order.layout == "mixture" and batch.looks_like_mir1k(plan.jobs) and not quiet:
        _log("hint: this looks like MIR-1K, accompaniment left and voice right; --layout mir1k separates their sum")
    for job in plan.jobs:
        _say_state(job, dry_run, quiet)
    ctx = click.get_current_context()
    if dry_run:
        ctx.exit(1 if plan.faults else 0)
    outcomes = []
    with _Bars(plan.todo, n_jobs, quiet) as bars, _Report(report, config) as note:
        for outcome in batch.run(plan, order, config, n_jobs=n_jobs, progress=bars.stage, **how):
            outcomes.append(outcome)
            note(outcome)
            if outcome.source in bars.left:
                bars.advance(outcome.source)
                _say(outcome, verbose)
    _sum_up(outcomes, quiet)
    ctx.exit(1 if any(outcome.status == "failed" for outcome in outcomes) else 0)


def _say_state(job, dry_run: bool, quiet: bool) -> None:
    if dry_run:
        _result("\t".join([job.state, str(job.source), *map(str, job.targets.values())]))
    if job.reason and not quiet:
        _log(f"{job.source}: {'skipped' if job.state == 'done' else 'made again'}: {job.reason}")


def _say(outcome, verbose: bool) -> None:
    for line in outcome.warnings:
        _log(line)
    if outcome.status == "failed":
        _log(outcome.message)
    if verbose:
        spent = f"{outcome.source}: {outcome.seconds:.1f} s of sound in {outcome.wall_s:.1f} s"
        for line in outcome.details.splitlines() or [spent]:
            _log(line)
    for path in outcome.paths:
        _result(path)


def _sum_up(outcomes, quiet: bool) -> None:
    """Counts, and the failures once more, which may have scrolled by."""
    if quiet or len(outcomes) < 2:
        return
    counts = {status: sum(o.status == status for o in outcomes) for status in ("done", "skipped", "failed")}
    _log(", ".join(f"{count} {status}" for status, count in counts.items()) + (":" if counts["failed"] else ""))
    for outcome in outcomes:
        if outcome.status == "failed":
            _log(f"  {outcome.message}")


class _Report:
    """Adds a line of JSON to a file for each outcome."""

    def __init__(self, path: Path | None, config):
        self.path, self.config = path, config

    def __enter__(self):
        from .config import fingerprint

        self.common = {"version": __version__, "config": fingerprint(self.config)}
        try:
            self.file = open(self.path, "a", encoding="utf-8") if self.path else None
        except OSError as err:
            raise ConfigError(f"--report {self.path}: cannot be written ({err.strerror.lower()})") from None
        return self

    def __exit__(self, *_):
        if self.file:
            self.file.close()

    def __call__(self, outcome):
        if self.file:
            line = {name: value for name, value in vars(outcome).items() if name != "details"} | self.common
            self.file.write(json.dumps(line, default=str) + "\n")
            self.file.flush()


class _Bars:
    """Bars on stderr for the inputs and, in a long song, the stages; nothing where nobody watches."""

    def __init__(self, todo, n_jobs: int, quiet: bool):
        self.left = {job.source: job.info.duration_s for job in todo}
        self.shown = sys.stderr.isatty() and not quiet and bool(todo)
        self.staged = n_jobs == 1
        self.inputs: Any = None
        self.stages: Any = None

    def __enter__(self):
        if self.shown:
            self.inputs = _bar(total=len(self.left), unit="song")
        return self

    def __exit__(self, *_):
        for bar in filter(None, (self.stages, self.inputs)):
            bar.close()

    def advance(self, source: Path) -> None:
        del self.left[source]
        if self.stages is not None:
            self.stages.close()
            self.stages = None
        if self.shown:
            self.inputs.update()

    def stage(self, name: str, fraction: float) -> None:
        """Where the first song that is left has got to."""
        if not self.shown or (next(iter(self.left.values())) or 0) < _LONG_S:
            return
        if self.stages is None or self.stages.desc != f"{name}: ":
            if self.stages is not None:
                self.stages.close()
            form = "{desc}{percentage:3.0f}%|{bar}| {elapsed}"
            self.stages = _bar(total=100, desc=name, bar_format=form, leave=False)
        self.stages.update(round(100 * fraction) - self.stages.n)


def _bar(**settings):
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread of its own: where there is one, no process can be forked
    return tqdm(file=sys.stderr, dynamic_ncols=True, **settings)


def _log(line: str) -> None:
    _echo(_printable(line).encode(errors="backslashreplace"), err=True)


def _result(line: str | Path) -> None:
    """A line on stdout, with the bytes of file names as they are."""
    _echo(os.fsencode(line), err=False)


def _echo(line: bytes, err: bool) -> None:
    """Write a line without tearing a progress bar."""
    bars = sys.modules.get("tqdm")
    with bars.tqdm.external_write_mode(sys.stderr) if bars else nullcontext():
        click.echo(line, err=err)


def _printable(line: str) -> str:
    """One line without control characters, which a file name may hold."""
    return "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in line)
