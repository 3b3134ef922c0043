"""Lines for a person on stderr, results on stdout, and progress bars."""

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

# Stages of a shorter song pass too quickly to be read.
_LONG_S = 60.0


class Bars:
    """Bars on stderr for the inputs and, in a long song, the stages; nothing where nobody watches."""

    def __init__(self, todo, n_jobs: int, quiet: bool):
        self.left = {job.source: job.info.duration_s for job in todo}
        self.shown = sys.stderr.isatty() and not quiet and bool(todo)
        self.staged = n_jobs == 1
        self.inputs: Any = None
        self.stages: Any = None

    def __enter__(self):
        if self.shown:
            self.inputs = progress_bar(total=len(self.left), unit="song")
        return self

    def __exit__(self, *_):
        for bar in filter(None, (self.stages, self.inputs)):
            bar.close()

    def advance(self, source: Path) -> None:
        """Count an input as finished."""
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
            self.stages = progress_bar(total=100, desc=name, bar_format=form, leave=False)
        self.stages.update(round(100 * fraction) - self.stages.n)


def progress_bar(**settings):
    """Return a bar on stderr."""
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread of its own: where there is one, no process can be forked
    return tqdm(file=sys.stderr, dynamic_ncols=True, **settings)


def log(line: str) -> None:
    """Write a line to stderr, without control characters."""
    _echo(printable(line).encode(errors="backslashreplace"), err=True)


def result_line(line: str | Path) -> None:
    """A line on stdout, with the bytes of file names as they are."""
    _echo(os.fsencode(line), err=False)


def _echo(line: bytes, err: bool) -> None:
    """Write a line without tearing a progress bar."""
    bars = sys.modules.get("tqdm")
    with bars.tqdm.external_write_mode(sys.stderr) if bars else nullcontext():
        click.echo(line, err=err)


def printable(line: str) -> str:
    """One line without control characters, which a file name may hold."""
    return "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in line)
