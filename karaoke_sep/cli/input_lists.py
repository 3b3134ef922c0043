"""Read lists of inputs from files and from stdin."""

import codecs
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from ..errors import ConfigError

_STDIN = Path("-")


def all_inputs(inputs: Iterable[Path], lists: Iterable[Path]) -> tuple[Path, ...]:
    """Return the inputs and those in the lists, in their order; "-" is a list on stdin.

    Raises
    ------
    ConfigError
        If a list cannot be read.
    """
    found: list[Path] = []
    named, listed = tuple(inputs), tuple(lists)
    for path in named:
        found += _listed(path) if path == _STDIN else [path]
    for path in listed:
        found += _listed(path)
    if not found and (named or listed):
        raise ConfigError("the list of inputs is empty; write one path on each line")
    if not found:
        raise click.UsageError("Missing argument 'INPUT...': name a sound file or a folder")
    return tuple(found)


def _listed(path: Path) -> list[Path]:
    """Return the paths in a list: one on each line, or each ended by a null character, as find -print0 writes them."""
    try:
        data = sys.stdin.buffer.read() if path == _STDIN else path.read_bytes()
    except (OSError, AttributeError, ValueError) as err:  # the last two where stdin is closed
        reason = (getattr(err, "strerror", None) or "is closed").lower()
        raise ConfigError(f"--from-file {path}: cannot be read ({reason})") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # from PowerShell
        data = data.decode("utf-16", "replace").encode()
    data = data.removeprefix(codecs.BOM_UTF8)
    lines = data.split(b"\0") if b"\0" in data else data.splitlines()
    names = [os.fsdecode(line) for line in lines if line.strip()]
    return [
        Path(name) for name in names if not name.startswith("#") or os.path.lexists(name)
    ]  # playlists have comments
