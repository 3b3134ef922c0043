"""The command line: a thin shell over `batch`, `config` and `demo_song`.

Results go to stdout, logs and progress to stderr. Exit code 0: all done; 1: some inputs failed; 2: wrong use or
config, nothing was started; 130: stopped by Ctrl-C. The numerical libraries are imported inside the commands, so that
``--help`` does not wait for them.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from . import __version__
from .errors import ConfigError, KaraokeSepError

# Stages of a shorter song pass too quickly to be read.
_LONG_S = 60.0


class _Group(click.Group):
    """Turns expected failures into one line and an exit code, in one place."""

    def invoke(self, ctx: click.Context):
        try:
            return super().invoke(ctx)
        except KaraokeSepError as err:
            failure = click.ClickException(str(err))
            failure.exit_code = 2 if isinstance(err, ConfigError) else 1
            raise failure from None
        except KeyboardInterrupt:
            click.echo("Stopped; whole stems are kept, and the same command goes on from here.", err=True)
            ctx.exit(130)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="karaoke-sep")
def main():
    """Separate songs into vocals and accompaniment."""


# ---------------------------------------------------------------------------------------------------- shared options


def _together(*options: Callable) -> Callable:
    """One decorator out of several options, shown in this order."""

    def decorate(command):
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_inputs = click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")

_settings = _together(
    click.option("--config", "source", metavar="FILE", help="YAML file, or a shipped one: default, fast, classic."),
    click.option("--pitch", "backend", metavar="NAME", help="How the pitch is found: hmm, peaks, pyin or given."),
    click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="One setting (repeatable)."),
)

_running = _together(
    click.option("--overwrite", is_flag=True, help="Make again what is there already."),
    click.option("--dry-run", is_flag=True, help="Check everything and print the plan."),
    click.option("-q", "--quiet", is_flag=True, help="Only faults."),
    click.option("-v", "--verbose", is_flag=True, help="A line for each file, and where an unexpected fault arose."),
)


def _load(source: str | None, backend: str | None, overrides: tuple[str, ...]):
    """The config and where its settings came from."""
    from .config import load_with_origins

    chosen = [f"pitch.backend={backend}"] if backend else []
    return load_with_origins(source, [*chosen, *overrides])


# --------------------------------------------------------------------------------------------------------- commands


@main.command()
@_inputs
@click.option(
    "-o", "--output", default="separated", show_default=True, type=click.Path(path_type=Path), help="Folder of stems."
)
@_settings
@click.option(
    "--pitch-file",
    "contours",
    type=click.Path(exists=True, path_type=Path),
    help="Contour (.csv or .pv) to follow, or a folder of them.",
)
@click.option("--stem", type=click.Choice(["vocals", "accompaniment"]), help="Only this one.")
@click.option("--save-pitch", is_flag=True, help="Also write the pitch contour, pitch.csv.")
@click.option(
    "--layout",
    type=click.Choice(["mixture", "mir1k"]),
    default="mixture",
    help="mir1k: accompaniment left, voice right; their sum is separated.",
)
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
@_running
def separate(inputs, output, source, backend, overrides, contours, stem, save_pitch, layout, jobs, **running):
    """Write the vocals and the accompaniment of each INPUT.

    INPUT is a sound file, or a folder that is searched for sound files. The stems go to
    OUTPUT/<track>/vocals.wav and accompaniment.wav; sub-folders are kept.
    """
    from .batch import STEMS, Order

    if contours and backend not in (None, "given"):
        raise ConfigError(f"--pitch-file takes the pitch from a file; leave out --pitch {backend}")
    config, _ = _load(source, "given" if contours else backend, overrides)
    order = Order(
        output=output,
        products=((stem,) if stem else STEMS) + (("pitch",) if save_pitch else ()),
        layout=layout,
        contours=contours,
        overwrite=running.pop("overwrite"),
    )
    _run(inputs, order, config, jobs=jobs, **running)


@main.command()
@_inputs
@click.option(
    "-o", "--output", default="pitch", show_default=True, type=click.Path(path_type=Path), help="Folder of contours."
)
@_settings
@click.option("--format", "suffix", type=click.Choice(["csv", "pv"]), default="csv", help="pv: MIR-1K semitones.")
@click.option("--layout", type=click.Choice(["mixture", "mir1k"]), default="mixture", help="As in separate.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
@_running
def pitch(inputs, output, source, backend, overrides, suffix, layout, jobs, **running):
    """Write only the pitch contour of each INPUT, OUTPUT/<track>.csv.

    A contour can be corrected by hand and given back: karaoke-sep separate --pitch-file.
    """
    from .batch import Order

    config, _ = _load(source, backend, overrides)
    order = Order(
        output=output,
        products=("pitch",),
        name="{parent}/{track}",
        layout=layout,
        contour_suffix=f".{suffix}",
        overwrite=running.pop("overwrite"),
    )
    _run(inputs, order, config, jobs=jobs, **running)


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
    rows = describe(settings, origins)
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        click.echo("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row.origin]))


# ---------------------------------------------------------------------------------------------------------- running


def _run(inputs, order, config, *, jobs: int, dry_run: bool, quiet: bool, verbose: bool) -> None:
    """Plan, say what is wrong, do the rest, and end with the exit code."""
    from . import batch

    plan = batch.plan(inputs, order, config)
    for _, line in plan.faults:
        _log(line)
    if dry_run:
        for job in plan.jobs:
            _result(f"{'skip' if job.state == 'done' else job.state}\t{job.source}\t{job.sidecar or ''}")
        sys.exit(1 if plan.faults else 0)
    failures = [line for _, line in plan.faults]
    with _Progress(plan.todo, jobs, quiet) as progress:
        for outcome in batch.run(plan.todo, order, config, n_jobs=jobs, progress=progress.stage):
            progress.advance()
            for line in outcome.warnings:
                _log(line)
            if outcome.status == "failed":
                failures.append(outcome.message)
                _log(outcome.message)
                if verbose and outcome.details:
                    _log(outcome.details)
            elif verbose:
                _log(f"{outcome.source}: {outcome.seconds:.1f} s of sound in {outcome.wall_s:.1f} s")
            for path in outcome.paths:
                _result(str(path))
    if not quiet:
        n_skipped = len(plan.jobs) - len(plan.todo)
        _log(f"{len(plan.todo) + len(plan.faults) - len(failures)} done, {n_skipped} skipped, {len(failures)} failed")
    sys.exit(1 if failures else 0)


class _Progress:
    """Bars on stderr for the files and, in a long song, the stages; nothing where nobody watches."""

    def __init__(self, todo, n_jobs: int, quiet: bool):
        self.shown = sys.stderr.isatty() and not quiet
        self.todo, self.n_jobs = todo, n_jobs

    def __enter__(self):
        self.files = self.stages = None
        if self.shown and self.todo:
            from tqdm import tqdm

            self.files = tqdm(total=len(self.todo), unit="file", file=sys.stderr, dynamic_ncols=True)
        return self

    def __exit__(self, *_):
        for bar in (self.stages, self.files):
            if bar is not None:
                bar.close()

    def advance(self):
        if self.files is not None:
            self.files.update()

    def stage(self, name: str, fraction: float):
        pass


def _log(line: str) -> None:
    click.echo(line, err=True)


def _result(line: str) -> None:
    """A line on stdout, with the bytes of file names as they are."""
    click.echo(os.fsencode(line))
