"""Pitch contours in files.

Two forms, told apart by the file's ending:

- ``.csv``: a header ``time_s,f0_hz,voicing``, then one row a frame; f0 0 (or empty) where nobody sings; the voicing
  column may be left out and is then 1 wherever there is a pitch.
- ``.pv``, the labels of MIR-1K: one MIDI semitone a row, 0 where unvoiced; row i is centred at (i + 1) x 20 ms.
"""

import csv
import stat
from pathlib import Path

import numpy as np

from ..dsp.scales import hz_to_midi, midi_to_hz
from ..errors import InputError, OutputError
from ..types import PitchTrack

PV_HOP_S = 0.02
MAX_BYTES = 200_000_000  # eight hours of contour are 100 MB
MAX_S = 1e6  # eleven days


def read(path) -> PitchTrack:
    """A contour from a file.

    Parameters
    ----------
    path : str or Path, ending in .csv or .pv

    Raises
    ------
    InputError
        If the file cannot be read or holds no contour.
    """
    path = Path(path)
    if path.suffix.lower() not in (".csv", ".pv"):
        raise InputError(f"{path}: a pitch contour ends in .csv (time_s,f0_hz,voicing) or .pv (MIR-1K semitones)")
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for, a device read for ever
            raise InputError(f"{path}: is not a file; a pitch contour is a table in a file")
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: {path.stat().st_size / 1e6:.0f} MB is too large for a pitch contour")
        lines = path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not a text file; a contour is a table of numbers") from None
    try:
        rows = read_pv(path, lines) if path.suffix.lower() == ".pv" else read_csv(path, lines)
    except csv.Error as error:
        raise InputError(f"{path}: is not a table: {error}") from None
    if not rows:
        raise InputError(f"{path}: holds no frames")
    times_s, f0_hz, voicing = np.array(rows).T
    if (np.diff(times_s) <= 0).any():
        line = int(np.argmax(np.diff(times_s) <= 0)) + 2
        raise InputError(f"{path}: times must increase; frame {line} is at {times_s[line - 1]:g} s")
    sung = (f0_hz > 0) & (voicing > 0)
    return PitchTrack(times_s, np.where(sung, f0_hz, np.nan), np.where(sung, voicing, 0.0))


def read_pv(path, lines) -> list:
    """Rows (time, Hz or 0, voicing) of MIR-1K semitones."""
    rows = []
    for number, line in enumerate(filter(str.strip, lines), 1):
        semitone = to_number(path, number, line, 0, 140)
        f0_hz = midi_to_hz(semitone) if semitone > 0 else 0.0
        rows.append((number * PV_HOP_S, f0_hz, 1.0))
    return rows


def read_csv(path, lines) -> list:
    """Rows (time, Hz or 0, voicing) of a table with a header."""
    table = csv.reader(lines)
    header = [name.strip() for name in next(table, [])]
    if header[:2] != ["time_s", "f0_hz"] or header[2:] not in ([], ["voicing"]):
        raise InputError(f"{path}: line 1: the header must be time_s,f0_hz or time_s,f0_hz,voicing")
    rows = []
    for number, row in enumerate(table, 2):
        if not row:
            continue
        if len(row) != len(header):
            raise InputError(f"{path}: line {number}: {len(row)} columns; the header has {len(header)}")
        time_s = to_number(path, number, row[0], 0, MAX_S)
        f0_hz = to_number(path, number, row[1], 0, 20_000) if row[1].strip() else 0.0
        rows.append((time_s, f0_hz, to_number(path, number, row[2], 0, 1) if len(row) > 2 else 1.0))
    return rows


def to_number(path, line: int, text: str, low: float, high: float) -> float:
    """The number in a cell, within bounds."""
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{path}: line {line}: {text.strip()[:40]!r} is not a number") from None
    if not low <= value <= high:  # NaN too
        raise InputError(f"{path}: line {line}: {value:g} is not within {low:g} to {high:g}")
    return value


def write(path, track: PitchTrack) -> None:
    """Writes a contour in the form that the file's ending names.

    The CSV keeps everything, so that reading it back separates alike; a .pv holds the frames more likely sung than not.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() == ".pv":
        text = format_pv(track)
    elif path.suffix.lower() == ".csv":
        text = format_csv(track)
    else:
        raise OutputError(f"{path}: a pitch contour ends in .csv or .pv")
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from None


def format_csv(track: PitchTrack) -> str:
    """The contour as CSV, 0 Hz where unvoiced."""
    f0_hz = np.nan_to_num(track.f0_hz)
    rows = zip(track.times_s, f0_hz, track.voicing, strict=True)
    return "time_s,f0_hz,voicing\n" + "".join(f"{t:.6f},{f:.4f},{v:.6f}\n" for t, f, v in rows)


def format_pv(track: PitchTrack) -> str:
    """The contour as MIR-1K semitones, one row every 20 ms, 0 where unvoiced."""
    end_s = track.times_s[-1] if len(track.times_s) else 0.0
    rows = track.at(np.arange(1, int(end_s / PV_HOP_S) + 1) * PV_HOP_S)
    with np.errstate(invalid="ignore"):
        semitones = np.where(rows.voicing >= 0.5, hz_to_midi(rows.f0_hz), 0)
    return "".join(f"{semitone:.4f}\n" for semitone in np.nan_to_num(semitones))
