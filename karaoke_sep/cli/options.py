"""Options that several commands share, and the config that they give."""

import math
import os
from collections.abc import Callable
from pathlib import Path

import click

from ..errors import ConfigError


def together(*options: Callable) -> Callable:
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


class Number(click.FloatRange):
    """A finite number within a range; click lets NaN through every range."""

    name = "number"

    def convert(self, value, param, ctx):
        """Return the number, or fail with one line."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


class NamedPath(click.Path):
    """A path that is not empty: the path of an empty name would be the current folder."""

    def convert(self, value, param, ctx):
        """Return the path, or fail with one line."""
        if not os.fspath(value):
            self.fail("the name of a file or folder is empty", param, ctx)
        if "\0" in os.fsdecode(value):
            self.fail("the name of a file or folder holds a null character", param, ctx)
        return super().convert(value, param, ctx)


# Whether it can be read shows later, so that one file that cannot does not stop the others.
PATH = NamedPath(path_type=Path, readable=False)


inputs_argument = click.argument("inputs", nargs=-1, required=True, type=PATH, metavar="INPUT...")


_MODELS = f"{__name__}.models"  # where a command's --model waits for `load_settings`


config_options = together(
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


layout_option = click.option(
    "--layout",
    type=click.Choice(["mixture", "mir1k"]),
    default="mixture",
    show_default=True,
    help="mir1k: accompaniment left, voice right; their sum is the mixture.",
)


contours_option = click.option(
    "--pitch-file", "contours", type=PATH, help="Corrected contour (.csv, .pv), or a folder of them."
)


format_options = together(
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


running_options = together(
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
    click.option("--report", type=PATH, metavar="FILE", help="Add a line of JSON for each input as it is done."),
    click.option("-q", "--quiet", is_flag=True, help="Only faults."),
    click.option("-v", "--verbose", is_flag=True, help="A line for each input; where an unexpected fault arose."),
)


def load_settings(
    source: str | None, backend: str | None, overrides: tuple[str, ...], strength_db: float | None = None
):
    """The config and where its settings came from."""
    from ..config import load_with_origins

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
    from ..trained.models import as_settings

    return as_settings(paths)


def check_contours(contours: Path | None) -> None:
    """Raise ConfigError if there is no such file or folder."""
    if contours and not contours.exists():
        raise ConfigError(f"--pitch-file {contours}: there is no such file or folder")
