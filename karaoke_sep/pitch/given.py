"""Pitch contour from a file, such as a corrected estimate.

The formats are those of `karaoke_sep.files.contours`.
"""

from dataclasses import dataclass

from ..errors import ConfigError
from ..files import contours
from ..types import PitchTrack


@dataclass(frozen=True)
class Params:
    """Path of the file, which the option --pitch-file sets."""

    path: str = ""


def known(params: Params) -> PitchTrack:
    """Return the contour of the file.

    Raises
    ------
    ConfigError
        If no file is named.
    InputError
        If the file cannot be read or holds no contour.
    """
    if not params.path:
        raise ConfigError("pitch.given: no contour is given; name its file with --pitch-file")
    return contours.read(params.path)
