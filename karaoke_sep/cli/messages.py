"""Messages on stderr, results on stdout, and progress bars.

Messages are for people, and ``--quiet`` suppresses all of them except errors. Results, such as the paths of the stems,
are for other programs: one per line, with the unchanged bytes of file names, whether or not ``--quiet`` is given.
"""

import errno
import os
import re
import sys
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import click

from ..errors import counted

# Share of the work on a song that is done when a stage begins, and when it ends (processor time, default config).
_STAGES = {"pitch": (0.0, 0.4), "separation": (0.4, 1.0)}
# Longer than a name or a path of a file can be: somebody has given something else as a file.
_TOO_LONG, _KEPT = re.compile(r"[^\s/]{256,}|\S{4097,}"), 35
_LONG_WORD = re.compile(r"\S{256,}")
_UNKNOWN_S = 180.0  # assumed for a sound without a length in its header


def open_standard_streams() -> None:
    """Make stdin, stdout and stderr usable if the caller has closed them.

    The next file that is opened would otherwise get the number of a standard stream, and messages would be written
    into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # open() takes the lowest free number, which is this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)


def log(line: str) -> None:
    """Write a message to stderr, without control characters; ignore that stderr may be closed."""
    with suppress(OSError, ValueError):  # ValueError: the stream is closed
        _echo(printable(line).encode(errors="backslashreplace"), err=True)


def result_line(line: str | Path) -> None:
    """Write a result to stdout; if the reader has closed it, as ``head`` does, continue without output."""
    try:
        _echo(os.fsencode(line), err=False)
    except OSError as error:
        if error.errno != errno.EPIPE:
            raise
        _discard_stdout()
    except ValueError:  # closed by the program that called us
        pass


def _discard_stdout() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _echo(line: bytes, err: bool) -> None:
    """Write a line without disturbing a progress bar."""
    bars = sys.modules.get("tqdm")
    with bars.tqdm.external_write_mode(sys.stderr) if bars and _is_watched() else nullcontext():
        click.echo(line, err=err)


def printable(line: str) -> str:
    """Return a line with control characters, which a file name may hold, as escapes, and with very long words cut."""
    line = _cut(_TOO_LONG, line)
    return "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in line)


def without_long_words(text: str) -> str:
    """Return a text in which words are cut that are too long for an option or a command."""
    return _cut(_LONG_WORD, text)


def _cut(pattern: re.Pattern, line: str) -> str:
    return pattern.sub(lambda word: f"{word[0][:_KEPT]}...{word[0][-_KEPT:]}", line)


def _is_watched() -> bool:
    """Return whether stderr is a terminal."""
    try:
        return sys.stderr.isatty()
    except ValueError:  # closed
        return False


def progress_bar(quiet: bool = False, **settings: Any) -> Any:
    """Return a tqdm bar on stderr, which is hidden unless stderr is a terminal."""
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread: a process with a second thread cannot be forked safely
    if quiet or not _is_watched():
        return tqdm(disable=True, **settings)
    if not all(os.get_terminal_size(sys.stderr.fileno())):  # `script` and `docker exec -t` leave the size at 0 x 0
        settings |= {"ncols": 80, "nrows": 24}
    return tqdm(file=sys.stderr, dynamic_ncols="ncols" not in settings, **settings)


class SongBars:
    """Two bars: one for all songs with the time left, and one for the stage of the current song.

    Songs count by their length, so that the bar moves evenly and the time left is right from the first minute on.
    """

    def __init__(self, jobs: Iterable, n_jobs: int, quiet: bool):
        self.lengths_s = {job.source: job.info.duration_s or _UNKNOWN_S for job in jobs}
        self.n_songs = len(self.lengths_s)
        self.finished_s = 0.0
        self.shows_stages = n_jobs == 1
        self.is_hidden = quiet or not self.lengths_s or not _is_watched()
        self.songs: Any = None
        self.stages: Any = None

    def __enter__(self) -> "SongBars":
        if self.is_hidden:  # the import of tqdm takes 0.05 s
            return self
        self.songs = progress_bar(
            total=sum(self.lengths_s.values()),
            desc=f"0/{counted(self.n_songs, 'song')}",
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed} elapsed, {remaining} left",
        )
        if self.shows_stages:
            form = "{desc:<10} {percentage:3.0f}%|{bar}|"
            self.stages = progress_bar(total=100, desc="starting", bar_format=form, leave=False)
        return self

    def __exit__(self, *_: object) -> None:
        for bar in filter(None, (self.stages, self.songs)):
            bar.close()

    def finish(self, source: Path) -> None:
        """Count a song as finished."""
        self.finished_s += self.lengths_s.pop(source)
        if self.is_hidden:
            return
        self.songs.set_description_str(
            f"{self.n_songs - len(self.lengths_s)}/{counted(self.n_songs, 'song')}", refresh=False
        )
        _move(self.songs, self.finished_s)

    def show_stage(self, name: str, fraction: float) -> None:
        """Show the progress of the current stage of the first unfinished song."""
        if self.stages is None or not self.lengths_s:
            return
        if self.stages.desc != name:
            self.stages.set_description_str(name, refresh=False)
        _move(self.stages, 100 * fraction)
        begin, end = _STAGES.get(name, (0.0, 0.0))
        length_s = next(iter(self.lengths_s.values()))
        position_s = self.finished_s + length_s * (begin + fraction * (end - begin))
        _move(self.songs, max(self.songs.n, position_s))


def _move(bar: Any, position: float) -> None:
    """Set the position of a bar and draw it at once; a song has so few stages that none may be skipped."""
    bar.n = position
    bar.refresh()
