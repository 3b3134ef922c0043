"""The command line: a thin shell over functions that a notebook can call as well.

Results go to stdout, messages and progress to stderr. Exit code 0: success; 1: some inputs failed; 2: wrong usage or
config, no work was started; 130: interrupted with Ctrl-C; 143 or 129: ended by SIGTERM or SIGHUP. The numerical
libraries are imported inside the commands, so that ``--help`` does not wait for them.
"""

import errno
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click
from click.shell_completion import add_completion_class

from .. import __version__
from ..errors import ConfigError, KaraokeSepError
from ..processes.signals import stop_in_order
from .completion import EqualsBashComplete
from .messages import log, open_standard_streams, printable, without_long_words

# Each command is a function of the module of its name. Only the one that runs is imported.
COMMANDS = {
    "config": "Show the settings.",
    "demo": "Synthesise a song, separate it, and print the gain.",
    "evaluate": "Score separations with the figures of the literature.",
    "info": "Print versions and codecs, or what a model contains.",
    "karaoke": "Write backing tracks to sing to.",
    "pitch": "Write only the pitch contour of each INPUT, OUTPUT/<track>.csv.",
    "report": "Write a page to listen to the results.",
    "separate": "Write the vocals and the accompaniment of each INPUT.",
    "train": "Train models on separate voice and accompaniment.",
}

add_completion_class(EqualsBashComplete)


class _ConfigFailure(click.ClickException):
    exit_code = 2


def _each_line_printable(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def _check_current_folder() -> None:
    try:
        os.getcwd()
    except OSError as err:
        raise ConfigError(f"the current folder is gone ({(err.strerror or '').lower()}); change to another") from None


@contextmanager
def _failures_in_one_line() -> Iterator[None]:
    """Turn each expected failure into an error of one line with its exit code."""
    try:
        yield
    except click.UsageError as err:
        err.message = _each_line_printable(without_long_words(err.message))  # type: ignore[misc]  # declared final
        raise
    except KaraokeSepError as err:
        failure = _ConfigFailure if isinstance(err, ConfigError) else click.ClickException
        raise failure(_each_line_printable(str(err))) from None
    except MemoryError:
        raise click.ClickException("not enough memory; close other programs, or use fewer --jobs") from None
    except OSError as err:  # errors of inputs and outputs have been reported where they are read and written
        if err.errno == errno.EPIPE:
            raise
        if err.errno == errno.ENOSPC and err.filename is None:
            raise click.ClickException("stdout, or the file of --report: no space left on device") from None
        where = f"{printable(os.fsdecode(err.filename))}: " if err.filename else ""
        raise click.ClickException(f"{where}{(err.strerror or str(err)).lower()}") from None


class _Group(click.Group):
    """The commands; turns expected failures into one-line messages and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; return None if there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f".{cmd_name}", __package__), cmd_name)
        command.short_help = COMMANDS[cmd_name]  # for shell completion
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program, also where the standard streams are closed."""
        open_standard_streams()
        with stop_in_order():
            return super().main(*args, **kwargs)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options before the command."""
        with _failures_in_one_line():
            return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Propose `separate` if a file is given instead of a command, and the nearest command for a misspelt one."""
        name = args[0]
        if name not in COMMANDS and (os.path.lexists(name) or os.path.splitext(name)[1]):
            shown = printable(name)
            ctx.fail(f"{shown!r} is not a command; to separate it: karaoke-sep separate {shlex.quote(shown)}")
        if name not in COMMANDS:
            from difflib import get_close_matches  # takes some milliseconds to import

            if nearest := get_close_matches(name, COMMANDS, 1):
                ctx.fail(f"No such command {printable(name)!r}; did you mean {nearest[0]!r}?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; report each expected failure in one line."""
        try:
            with _failures_in_one_line():
                _check_current_folder()
                return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            log(str(stop) or "Interrupted. Finished files are kept; run the same command again to resume.")
            ctx.exit(getattr(stop, "exit_code", 130))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="karaoke-sep", help="Show the version and exit.")
def main() -> None:
    """Separate songs into vocals and accompaniment."""
