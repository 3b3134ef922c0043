"""Pitch contour and pictures of a track, with a moving playhead."""

import json
import math
import struct
from html import escape
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..types import PitchTrack

_CONTOUR_POINTS = 800  # about the width of the drawing on a screen, in pixels
_CONTOUR_HEIGHT = 100
_PICTURE_SCALE = 0.6  # a wide picture shrinks to this scale, then it scrolls


def contour(track: PitchTrack, seconds: float) -> str:
    """Draw the pitch on a logarithmic scale, where the voicing is at least one half.

    Parameters
    ----------
    track : PitchTrack, (T,)
    seconds : float
        Length of the song.

    Returns
    -------
    str
        HTML.
    """
    semitones = _at_points(track, seconds)
    if not np.isfinite(semitones).any():
        return '<p class="dim">No singing detected.</p>\n'
    lowest_hz, highest_hz = (2 ** (limit(semitones) / 12) for limit in (np.nanmin, np.nanmax))
    low, high = np.nanmin(semitones) - 1, np.nanmax(semitones) + 1
    y = (high - semitones) / (high - low) * _CONTOUR_HEIGHT
    path, drawing = [], False
    for x, height in enumerate(y.tolist()):
        if math.isfinite(height):
            path.append(f"{'L' if drawing else 'M'}{x} {height:.0f}")
        drawing = math.isfinite(height)
    return (
        f'<div class="pitch"><div class="limits"><span>{highest_hz:.0f} Hz</span><span>{lowest_hz:.0f} Hz</span></div>'
        '<div class="contour over">'
        f'<svg viewBox="0 0 {_CONTOUR_POINTS - 1} {_CONTOUR_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="Pitch contour"><path d="{"".join(path)}"/></svg>'
        '<div class="head"></div></div></div>\n'
    )


def _at_points(track: PitchTrack, seconds: float) -> np.ndarray:
    """Return the median pitch at each point of the drawing, shape (_CONTOUR_POINTS,), semitones; NaN is unvoiced."""
    n_points = _CONTOUR_POINTS
    dense = track.at(np.linspace(0, seconds, n_points * max(1, -(-len(track.times_s) // n_points)), endpoint=False))
    with np.errstate(invalid="ignore"):
        semitones = np.where(dense.voicing >= 0.5, 12 * np.log2(dense.f0_hz), np.nan).reshape(n_points, -1)
    sung = np.isfinite(semitones).any(axis=1)
    medians = np.full(n_points, np.nan)
    medians[sung] = np.nanmedian(semitones[sung], axis=1)
    return medians


def picture(path: Path, address: str, description: str) -> str:
    """Show a picture with a playhead on its time axis.

    Raises
    ------
    InputError
        If the file is not a complete PNG.
    """
    try:
        width, axis = _time_axis(path.read_bytes())
    except (struct.error, ValueError, TypeError, AttributeError):
        raise InputError(f"{path}: the file is not a complete PNG; draw it again with --plots --overwrite") from None
    style = f"--left: {axis['left']:.5f}; --right: {axis['right']:.5f}; min-width: {_PICTURE_SCALE * width:.0f}px"
    return (
        f'<div class="scroll"><div class="picture over" style="{style}"><img loading="lazy" src="{escape(address)}" '
        f'alt="{description}"><div class="head"></div></div></div>\n'
    )


def _time_axis(data: bytes) -> tuple[int, dict[str, float]]:
    """Return the width of a PNG, and the ends of its time axis as fractions of the width.

    `plots` writes the ends into the file; without them the axis is the whole width.
    """
    width, axis, position = struct.unpack(">I", data[16:20])[0], {"left": 0.0, "right": 1.0}, 8
    while position + 8 <= len(data):
        n_bytes, kind = struct.unpack(">I4s", data[position : position + 8])
        key, _, text = data[position + 8 : position + 8 + n_bytes].partition(b"\0")
        if kind == b"tEXt" and key == b"karaoke-sep axes":
            axis |= {name: float(value) for name, value in json.loads(text).items()}
        position += 12 + n_bytes
    return width, axis
