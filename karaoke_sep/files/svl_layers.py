"""Read layers of Sonic Visualiser and Tony: `.svl` files, which hold a model and its points as XML.

The times of the points are in samples of the recording. A layer may come from a stranger. Two things that are harmless
in a real layer are therefore errors: entities, because they can expand a small file to a huge one, and long elements,
because the time of the parser grows with the square of their length.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple
from xml.parsers import expat

from ..errors import InputError

_BLOCK_BYTES = 1 << 16
_MAX_ELEMENT_BYTES = 1 << 20
_WANTED = "a layer of time values in Hz is needed, as Tony and pYIN make it"


class Point(NamedTuple):
    """A point of a layer as text: time in s and value, and the line of the file on which it is."""

    line: int
    time_s: str
    value: str


def points(path: Path, file: BinaryIO) -> Iterator[Point]:
    """Yield the points of a layer of time values in Hz.

    Raises
    ------
    InputError
        If the file is damaged, or holds another kind of layer.
    """
    found: list[Point] = []
    rates_hz: dict[str, float] = {}  # sample rate of each data set
    of_points, without_element = [0.0], 0
    parser = expat.ParserCreate()

    def begin(name: str, values: dict[str, str]) -> None:
        nonlocal without_element
        without_element = 0
        if name == "model":
            _check_model(path, values)
            rates_hz[values.get("dataset", "")] = float(values["sampleRate"])
        elif name == "dataset":
            of_points[0] = rates_hz[values.get("id", "")]
        elif name == "point":
            found.append(Point(parser.CurrentLineNumber, repr(int(values["frame"]) / of_points[0]), values["value"]))

    def reject(*_: object) -> None:
        raise InputError(f"{path}: declares XML entities, which a layer of Sonic Visualiser does not need")

    parser.StartElementHandler, parser.EntityDeclHandler = begin, reject
    try:
        while data := file.read(_BLOCK_BYTES):
            without_element += len(data)
            parser.Parse(data)
            if without_element > _MAX_ELEMENT_BYTES:
                raise InputError(f"{path}: line {parser.CurrentLineNumber}: is not a .svl file; {_WANTED}")
            yield from found
            found.clear()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        what = expat.ErrorString(error.code)
        raise InputError(f"{path}: line {error.lineno}: is not a whole .svl file ({what}); export it again") from None
    except (KeyError, ValueError, ZeroDivisionError):
        line = parser.CurrentLineNumber
        raise InputError(f"{path}: line {line}: an attribute is missing or is no number; export it again") from None


def _check_model(path: Path, values: dict[str, str]) -> None:
    if (values.get("type"), values.get("dimensions")) != ("sparse", "2"):
        raise InputError(f"{path}: is not a layer of time values; {_WANTED}")
    if (units := values.get("units", "")).lower() != "hz":
        raise InputError(f"{path}: its values are in {units or 'an unknown unit'!r}, not in Hz; {_WANTED}")
