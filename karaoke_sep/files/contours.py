"""Read and write pitch contours.

A file ends in one of these:

- ``.csv``, ``.txt``, ``.tsv``: one row a frame with the time in s and the pitch in Hz. The pitch is 0, negative, empty
  or not a number where nobody sings. A third column may hold the voicing, 0 to 1; without it the voicing is 1 wherever
  there is a pitch. Files are written with the columns ``time_s,f0_hz,voicing``. The tables of crepe (time, frequency,
  confidence), Tony, Sonic Visualiser and mir_eval can be read as well: with or without a header, with commas,
  semicolons, tabs or spaces, decimal points or commas, in UTF-8 or UTF-16. Tony and Sonic Visualiser leave out the rows
  where nobody sings; such gaps are unvoiced.
- ``.svl``, a layer of time values of Tony or Sonic Visualiser, with the same gaps.
- ``.pv``, the labels of MIR-1K: one MIDI semitone a row, 0 where unvoiced; row i is centred at (i + 1) x 20 ms.
"""

import csv
import io
import os
import re
import stat
from array import array
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..dsp.scales import hz_to_midi, midi_to_hz
from ..errors import InputError, OutputError
from ..types import PitchTrack
from . import svl_layers

PV_HOP_S = 0.02
MAX_BYTES = 200_000_000  # eight hours of contour are 100 MB
MAX_FRAMES = 6_000_000  # eight hours at one frame each 5 ms
MAX_S = 1e6  # eleven days
TABLES = (".csv", ".txt", ".tsv")
SUFFIXES = (".csv", ".pv", ".tsv", ".txt", ".svl")  # in the order in which they are searched for
_MIN_HZ, _MAX_HZ = 10, 20_000  # in labels with a start and an end, the second column is a time
_MAX_FRAMES_PER_S = 2000
_LONGEST_STEP_S = 5.0  # between most rows; longer ones are samples or ms
_GAP_STEPS = 3.0  # from there on, rows have been left out
_MAX_LINE = 10_000  # characters
_EXAMPLE = "a contour has rows such as 0.016,220.5,0.9: time in s, pitch in Hz, voicing 0 to 1"
_TIME_NAMES = {"time_s", "time", "times", "t", "onset", "seconds", "timestamp"}
_PITCH_NAMES = {"f0_hz", "f0", "frequency", "frequencies", "freq", "hz", "pitch", "pitch_hz", "value"}
_VOICING_NAMES = {"voicing", "confidence", "probability", "voiced_prob", "voiced_probability", "periodicity"}
_OTHER_NAMES = {"label", "labels", "voiced_flag", "voiced", "note", "activation", ""}
_UNVOICED = {"", "nan", "na", "none", "null", "-", "--undefined--"}


class _Columns(NamedTuple):
    """Columns of the time, the pitch and the voicing in a table; None without a voicing."""

    time: int
    pitch: int
    voicing: int | None
    n_columns: int


def read(path: str | Path) -> PitchTrack:
    """Return the contour in a file.

    Parameters
    ----------
    path : str or Path, ending in one of `SUFFIXES`

    Raises
    ------
    InputError
        If the file cannot be read or holds no contour.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        export = "; export the pitch as CSV from Tony or Sonic Visualiser" if suffix in (".sv", ".ton") else ""
        raise InputError(
            f"{path}: a pitch contour ends in {', '.join(TABLES)} (rows of time and pitch), .svl (Sonic Visualiser) or "
            f".pv (MIR-1K){export}"
        )
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe or a device might never end
            raise InputError(f"{path}: is not a regular file; a pitch contour is a table in a file")
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: {path.stat().st_size / 1e6:.0f} MB is too large for a pitch contour")
        with open(path, "rb") as file:
            if suffix == ".svl":
                values = _read_points(path, svl_layers.points(path, file))
            else:
                lines = _lines(path, io.TextIOWrapper(file, _encoding(file), newline=None))
                values = _read_pv(path, lines) if suffix == ".pv" else _read_table(path, lines)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, UnicodeError):
        raise InputError(f"{path}: is not a text file; a contour is a table of numbers") from None
    except csv.Error as error:
        raise InputError(f"{path}: is not a table: {error}") from None
    if not values:
        raise InputError(f"{path}: holds no frames; {_EXAMPLE}")
    track = _checked(path, *np.frombuffer(values, np.float64).reshape(-1, 3).T)
    return track if suffix == ".pv" else _with_gaps(track)


def _checked(path: Path, times_s: np.ndarray, f0_hz: np.ndarray, voicing: np.ndarray) -> PitchTrack:
    steps_s = np.diff(times_s)
    if (steps_s <= 0).any():
        frame = int(np.argmax(steps_s <= 0)) + 2
        raise InputError(f"{path}: times must increase; frame {frame} is at {times_s[frame - 1]:g} s")
    if n_steps := min(len(steps_s), _MAX_FRAMES_PER_S):  # of each second, not of the whole alone
        densest = n_steps / (times_s[n_steps:] - times_s[:-n_steps]).min()
        if densest > 1.001 * _MAX_FRAMES_PER_S:
            raise InputError(
                f"{path}: {densest:.0f} frames a second are too many, at most {_MAX_FRAMES_PER_S}; the times are in s"
            )
    if len(steps_s) > 1 and (step_s := float(np.median(steps_s))) > _LONGEST_STEP_S:
        raise InputError(f"{path}: its frames are {step_s:g} s apart; the times must be in s, not in samples or ms")
    sung = (f0_hz > 0) & (voicing > 0)
    return PitchTrack(times_s.copy(), np.where(sung, f0_hz, np.nan), np.where(sung, voicing, 0.0))


def _with_gaps(track: PitchTrack) -> PitchTrack:
    """Return a track with unvoiced frames where rows have been left out: beside each gap.

    If no row is unvoiced, also before the first row and after the last one.
    """
    times_s, step_s = track.times_s, float(np.median(np.diff(track.times_s, append=np.inf)))
    gaps = np.flatnonzero(np.diff(times_s) > _GAP_STEPS * step_s)
    new_s = np.concatenate([times_s[gaps] + step_s, times_s[gaps + 1] - step_s])
    if len(gaps) and (track.voicing == 1).all():
        first_s = times_s[:1] - step_s
        new_s = np.concatenate([new_s, first_s[first_s > (_GAP_STEPS - 1) * step_s], times_s[-1:] + step_s])
    new_s = np.sort(new_s)
    places = np.searchsorted(times_s, new_s)
    f0_hz, voicing = np.insert(track.f0_hz, places, np.nan), np.insert(track.voicing, places, 0.0)
    return PitchTrack(np.insert(times_s, places, new_s), f0_hz, voicing)


def _encoding(file: io.BufferedReader) -> str:
    """Return the encoding of a text by its first bytes: numbers in UTF-16 have a zero in every other byte."""
    start = file.read(4)
    file.seek(0)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if len(start) == 4 and start[1] == start[3] == 0:
        return "utf-16-le"
    if len(start) == 4 and start[0] == start[2] == 0:
        return "utf-16-be"
    return "utf-8-sig"


def _lines(path: Path, text: io.TextIOWrapper) -> Iterator[str]:
    """Yield the lines of a table. The length of a line is limited, so that memory is bounded."""
    number = 0
    while line := text.readline(_MAX_LINE):
        number += 1
        if len(line) == _MAX_LINE:
            raise InputError(f"{path}: is not a table: line {number} is longer than {_MAX_LINE} characters")
        yield line


def _read_pv(path: Path, lines: Iterable[str]) -> array:
    """Return time, Hz (0 where unvoiced) and voicing of each row of MIR-1K semitones."""
    values = array("d")
    for number, line in enumerate(filter(str.strip, lines), 1):
        _check_length(path, number)
        semitone = _number(path, number, line, 0, 140)
        values.extend((number * PV_HOP_S, float(midi_to_hz(semitone)) if semitone > 0 else 0.0, 1.0))
    return values


def _read_points(path: Path, points: Iterable[svl_layers.Point]) -> array:
    """Return time, Hz (0 where unvoiced) and voicing of each point."""
    values = array("d")
    for number, point in enumerate(points, 1):
        _check_length(path, number)
        time_s = _number(path, point.line, point.time_s, 0, MAX_S)
        values.extend((time_s, _pitch_hz(path, point.line, point.value), 1.0))
    return values


def _read_table(path: Path, lines: Iterator[str]) -> array:
    """Return time, Hz (0 or less where unvoiced) and voicing of each row of a table."""
    values, columns, split, decimal_comma = array("d"), None, None, False
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(("#", "%")):
            continue
        if split is None:
            split, decimal_comma = _dialect(line)
        row = split(line)
        if columns is None:
            columns = _columns(path, number, row, decimal_comma)
            if not _is_number(row[0], decimal_comma):
                continue
        if len(row) != columns.n_columns:
            raise InputError(
                f"{path}: line {number}: {_count(len(row))}; the lines before have {columns.n_columns}; {_EXAMPLE}"
            )
        cells = [cell.replace(",", ".") for cell in row] if decimal_comma else row
        _check_length(path, number)
        time_s = _number(path, number, cells[columns.time], 0, MAX_S)
        f0_hz = _pitch_hz(path, number, cells[columns.pitch])
        voicing = 1.0 if columns.voicing is None else _number(path, number, cells[columns.voicing], 0, 1)
        values.extend((time_s, f0_hz, voicing))
    return values


def _dialect(line: str) -> tuple[Callable[[str], list[str]], bool]:
    """Return the separator of the cells of a line, and whether its numbers may have decimal commas."""
    for delimiter in (";", "\t", ","):
        if delimiter in line:
            return partial(_cells, delimiter), delimiter != ","
    return str.split, True


def _cells(delimiter: str, line: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter))


def _columns(path: Path, number: int, first: list[str], decimal_comma: bool) -> _Columns:
    """Return the columns of a table, from its header or, without a header, by their order."""
    if _is_number(first[0], decimal_comma):
        if len(first) not in (2, 3):
            raise InputError(f"{path}: line {number}: {_count(len(first))} and no header; {_EXAMPLE}")
        has_voicing = len(first) == 3 and _is_number(first[2], decimal_comma)
        return _Columns(0, 1, 2 if has_voicing else None, len(first))
    names = [re.sub(r"[\[(].*", "", name).strip().lower().replace(" ", "_") for name in first]
    found = [
        [i for i, name in enumerate(names) if name in known] for known in (_TIME_NAMES, _PITCH_NAMES, _VOICING_NAMES)
    ]
    unknown = [name for name in names if name not in _TIME_NAMES | _PITCH_NAMES | _VOICING_NAMES | _OTHER_NAMES]
    if len(found[0]) != 1 or len(found[1]) != 1 or len(found[2]) > 1 or unknown:
        raise InputError(
            f"{path}: line {number}: the header must be time_s,f0_hz or time_s,f0_hz,voicing, or left out; {_EXAMPLE}"
        )
    return _Columns(found[0][0], found[1][0], found[2][0] if found[2] else None, len(names))


def _count(n_columns: int) -> str:
    return f"{n_columns} column{'s' * (n_columns != 1)}"


def _check_length(path: Path, number: int) -> None:
    if number > MAX_FRAMES + 1:
        raise InputError(f"{path}: has more than {MAX_FRAMES} frames; a contour needs one each 5 to 20 ms")


def _is_number(text: str, decimal_comma: bool) -> bool:
    try:
        float(text.replace(",", ".") if decimal_comma else text)
    except ValueError:
        return False
    return True


def _pitch_hz(path: Path, line: int, text: str) -> float:
    """Return the pitch in a cell; 0 for an unvoiced frame: an empty cell, nan or a negative number."""
    if text.strip().lower() in _UNVOICED:
        return 0.0
    f0_hz = max(0.0, _number(path, line, text, -_MAX_HZ, _MAX_HZ))
    if 0 < f0_hz < _MIN_HZ:
        raise InputError(f"{path}: line {line}: {f0_hz:g} Hz is too low for a pitch; {_EXAMPLE}")
    return f0_hz


def _number(path: Path, line: int, text: str, low: float, high: float) -> float:
    """Return the number in a cell, within bounds."""
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{path}: line {line}: {text.strip()[:40]!r} is not a number; {_EXAMPLE}") from None
    if not low <= value <= high:  # NaN too
        raise InputError(f"{path}: line {line}: {value:g} is not within {low:g} to {high:g}")
    return value


def write(path: str | os.PathLike, track: PitchTrack) -> None:
    """Write a contour in the format of the file's suffix.

    A CSV file keeps the whole contour, so that it gives the same separation. A .pv file keeps the pitch of the frames
    with a voicing of at least 0.5.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    lines = {".pv": lines_of_pv, ".csv": lines_of_csv}.get(path.suffix.lower())
    if lines is None:
        raise OutputError(f"{path}: a pitch contour ends in .csv or .pv")
    try:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(lines(track))
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from None


def lines_of_csv(track: PitchTrack) -> Iterator[str]:
    """Yield the lines of the contour as CSV, 0 Hz where unvoiced."""
    yield "time_s,f0_hz,voicing\n"
    for t, f, v in zip(track.times_s, np.nan_to_num(track.f0_hz), track.voicing, strict=True):
        yield f"{t:.6f},{f:.4f},{v:.6f}\n"


def lines_of_pv(track: PitchTrack) -> Iterator[str]:
    """Yield the lines of the contour as MIR-1K semitones, one row every 20 ms, 0 where unvoiced."""
    end_s = track.times_s[-1] if len(track.times_s) else 0.0
    rows = track.at(np.arange(1, int(end_s / PV_HOP_S) + 1) * PV_HOP_S)
    with np.errstate(invalid="ignore"):
        semitones = np.where(rows.voicing >= 0.5, hz_to_midi(rows.f0_hz), 0)
    for semitone in np.nan_to_num(semitones):
        yield f"{semitone:.4f}\n"
