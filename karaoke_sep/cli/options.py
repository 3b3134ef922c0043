"""Options that several commands share, and the config that they give."""

import math
import os
import re
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from ..errors import ConfigError
from ..settings import catalogue

_TRACK_FIELD = re.compile(r"\{(track|file|title)\}")  # of a name template; tells songs apart

# Types of values.


class Number(click.FloatRange):
    """A finite number within a range; click lets NaN through every range."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail with one line."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


class NamedPath(click.Path):
    """A path that is not empty; pathlib reads an empty path as the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, or fail with one line."""
        if not os.fspath(value):
            self.fail("the name of a file or folder is empty", param, ctx)
        if "\0" in os.fsdecode(value):
            self.fail("the name of a file or folder holds a null character", param, ctx)
        return super().convert(value, param, ctx)


# Files are opened later, so that one unreadable file does not stop the others.
PATH = NamedPath(path_type=Path, readable=False)
FILE = NamedPath(path_type=Path, readable=False, dir_okay=False)


class Seconds(click.ParamType):
    """A time of at least 0 s, as seconds, M:S or H:M:S."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the time in seconds, or fail with one line."""
        try:
            numbers = [float(part) for part in str(value).split(":")]
        except ValueError:
            numbers = []
        seconds = sum(number * 60**power for power, number in enumerate(reversed(numbers)))
        if not 1 <= len(numbers) <= 3 or not all(0 <= number < math.inf for number in numbers):
            self.fail(f"{value!r} is not a time; write seconds, M:S or H:M:S, such as 1:30", param, ctx)
        return seconds


def _parse_shard(ctx: click.Context, param: click.Parameter, text: str) -> tuple[int, int]:
    try:
        number, count = map(int, text.split("/"))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not I/N, such as 2/8") from None
    if not 1 <= number <= count:
        raise click.BadParameter(f"{text!r}: I must be 1 to {count}")
    return number, count


def parse_names(ctx: click.Context, param: click.Parameter, text: str) -> tuple[str, ...]:
    """Return the names of a list with commas."""
    return tuple(filter(None, (name.strip() for name in text.split(","))))


# Values that the shell can complete.


def complete_words(words: Callable[[], Iterable[str]]) -> Callable:
    """Return a completion from a fixed set of words."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(word) for word in words() if word.startswith(incomplete)]

    return complete


def _complete_config(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    names = [CompletionItem(name) for name in catalogue.configs() if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


def _complete_setting(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from ..config import setting_choices

    key, equals, _ = incomplete.partition("=")
    choices = setting_choices()
    if equals:
        words = [f"{key}={choice}" for choice in choices.get(key, ())]
    else:
        words = [f"{name}=" for name in choices]
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


# Options.


def together(*options: Callable) -> Callable:
    """Return one decorator for several options, which the help shows in this order."""

    def decorate(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def choice_option(name: str, choices: Iterable[str], default: str, help: str, **more: Any) -> Callable:
    """Return an option with a fixed set of values."""
    kind = click.Choice(list(choices))
    return click.option(*name.split(), type=kind, default=default, show_default=True, help=help, **more)


inputs_argument = click.argument("inputs", nargs=-1, type=PATH, metavar="INPUT...")

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print errors only; results still go to stdout.")

jobs_option = click.option(
    "-j", "--jobs", "n_jobs", default=1, show_default=True, type=click.IntRange(1), help="Run this many processes."
)

layout_option = choice_option(
    "--layout",
    ["mixture", "mir1k"],
    "mixture",
    "Choose the layout of the channels. mixture: all channels are the song. mir1k: accompaniment left, voice right; "
    "their sum is separated.",
)

stream_option = click.option(
    "--stream",
    type=click.IntRange(1),
    metavar="N",
    help="Read the N-th sound of a file that holds several.  [default: the one that players choose]",
)


def span_options(command: Callable) -> Callable:
    """Add the options of an excerpt, and hand it to the command as ``span``; an excerpt shows in the name."""

    @together(
        click.option(
            "--start",
            "start_s",
            type=Seconds(),
            default=0.0,
            metavar="TIME",
            help="Begin at this time, in seconds, M:S or H:M:S.  [default: 0:00]",
        ),
        click.option(
            "--duration",
            "duration_s",
            type=Seconds(),
            metavar="TIME",
            help="Process only this much of the song, to try settings.  [default: up to the end]",
        ),
    )
    @wraps(command)
    def with_span(*args: Any, start_s: float, duration_s: float | None, **others: Any) -> Any:
        from ..batch import Span

        if duration_s == 0:
            raise ConfigError("--duration: is 0 s; give the length of the excerpt, such as 20")
        span = Span(start_s, duration_s)
        if not span.is_whole and "name" in others:  # an excerpt must not replace the whole song
            others["name"] = _TRACK_FIELD.sub(rf"\g<0> {span.label}", others["name"], count=1)
        return command(*args, span=span, **others)

    return with_span


running_options = together(
    click.option(
        "--from-file",
        "lists",
        multiple=True,
        type=PATH,
        metavar="FILE",
        help="Read inputs from a list, one on each line (repeatable). - as INPUT or FILE is a list on stdin.",
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="PATTERN",
        help="Leave out files and folders whose name or path below INPUT matches, such as '*live*' (repeatable).",
    ),
    jobs_option,
    click.option(
        "--shard",
        default="1/1",
        callback=_parse_shard,
        metavar="I/N",
        help="Process only every N-th input, beginning with the I-th, to divide the work among N machines.",
    ),
    choice_option("--engine", ["local", "dask", "ray"], "local", "Run on this machine or on a cluster."),
    click.option("--scheduler", metavar="ADDRESS", help="Connect to the Dask or Ray scheduler at this address."),
    click.option("--overwrite", is_flag=True, help="Make outputs again that exist already."),
    click.option("--dry-run", is_flag=True, help="Check all inputs and print the plan without doing the work."),
    click.option("--fail-fast", is_flag=True, help="Stop at the first input that fails."),
    click.option("--report", type=FILE, metavar="FILE", help="Add one line of JSON for each input to this file."),
    quiet_option,
    click.option("-v", "--verbose", is_flag=True, help="Print a line for each input, and details of failures."),
)


class ConfigChoice(NamedTuple):
    """Values of the options that determine the config.

    Attributes
    ----------
    source : str or None
        From --config.
    models : tuple of str
        From --model.
    backend : str or None
        From --pitch.
    overrides : tuple of str
        From --set.
    """

    source: str | None
    models: tuple[str, ...]
    backend: str | None
    overrides: tuple[str, ...]

    def load(self, strength_db: float | None = None) -> tuple[Any, dict[str, str]]:
        """Return the config, and the origins of its settings."""
        from ..config import load_with_origins

        options = {
            "--model": self._model_settings(),
            "--pitch": [] if self.backend is None else [f"pitch.backend={self.backend}"],
            "--strength": [] if strength_db is None else [f"wiener.voice_db={strength_db}"],
        }
        return load_with_origins(self.source, self.overrides, options=options)

    def _model_settings(self) -> list[str]:
        """Return the settings that select the trained models."""
        if not self.models:
            return []
        from ..trained.models import as_settings

        return as_settings(self.models)


def config_options(command: Callable) -> Callable:
    """Add the options of the config, and hand them to the command as ``chosen``."""

    @together(
        click.option(
            "--config",
            "source",
            metavar="FILE",
            shell_complete=_complete_config,
            help=f"Read settings from a YAML file, or use a shipped config: {', '.join(catalogue.configs())}.",
        ),
        click.option(
            "--model",
            "models",
            multiple=True,
            metavar="FILE",
            help="Use a model from karaoke-sep train, or the shipped one, mir1k-dev (repeatable: one of each kind).",
        ),
        click.option(
            "--pitch",
            "backend",
            metavar="NAME",
            shell_complete=complete_words(lambda: catalogue.backends("pitch")),
            help=f"Choose how the pitch is estimated: {', '.join(catalogue.backends('pitch'))}.",
        ),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="SECTION.KEY=VALUE",
            shell_complete=_complete_setting,
            help="Change one setting (repeatable).",
        ),
    )
    @wraps(command)
    def with_config(
        *args: Any,
        source: str | None,
        models: tuple[str, ...],
        backend: str | None,
        overrides: tuple[str, ...],
        **others: Any,
    ) -> Any:
        return command(*args, chosen=ConfigChoice(source, models, backend, overrides), **others)

    return with_config


def is_given(name: str) -> bool:
    """Return whether the user gave an option, even with its default value."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE
