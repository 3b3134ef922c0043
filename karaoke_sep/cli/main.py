"""The command line: a thin shell over `batch`, `config` and `demo_song`.

Results go to stdout, logs and progress to stderr. Exit code 0: all done; 1: some inputs failed; 2: wrong use or
config, nothing was started; 130: stopped by Ctrl-C. The numerical libraries are imported inside the commands, so that
``--help`` does not wait for them.
"""

import errno

import click

from .. import __version__
from ..errors import ConfigError, KaraokeSepError
from .config import config
from .demo import demo
from .evaluate import evaluate
from .info import info
from .karaoke import karaoke
from .messages import log, printable
from .pitch import pitch
from .report import report
from .separate import separate
from .train import train


class _ConfigFailure(click.ClickException):
    exit_code = 2


class _Group(click.Group):
    """Turns expected failures into one line and an exit code, in one place."""

    def invoke(self, ctx: click.Context):
        try:
            return super().invoke(ctx)
        except KaraokeSepError as err:
            failure = _ConfigFailure if isinstance(err, ConfigError) else click.ClickException
            raise failure("\n".join(map(printable, str(err).split("\n")))) from None
        except OSError as err:  # of sounds and stems it is dealt with where they are written
            if err.errno != errno.ENOSPC:
                raise
            raise click.ClickException("stdout, or the file of --report: no space left on device") from None
        except KeyboardInterrupt as stop:
            log(str(stop) or "stopped; what is whole is kept, and the same command goes on from here")
            ctx.exit(130)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="karaoke-sep")
def main():
    """Separate songs into vocals and accompaniment."""


for command in (separate, karaoke, pitch, report, config, demo, info, evaluate, train):
    main.add_command(command)
