"""What a model file must hold: one table for each kind, and the checks that follow from it.

A model file may come from anywhere, so that each of its values is checked before it is used: types, shapes, limits, and
references between arrays. An axis has a fixed length, or a letter; all axes with the same letter have the same length.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import band_gains, boosted_trees, frame_classes, singing

FORMATS = {"nmf": 7, "spectra": 7, "activity": 6}  # earlier: spectra of both sides in nmf, another gate
MAX_TEXT = 100_000  # characters of the description
MIN_LENGTHS = {"F": 2, "L": 1, "bases": 1, "B": 1, "K": 1, "M": 1, "N": 1}
MAX_LENGTHS = {
    "F": 100_000,
    "K": 64,
    "voice": 4096,
    "accompaniment": 4096,
    "L": 50,
    "bases": 4096,
    "B": 10_000,
    "M": 10_000,
    "N": 1000,
}
ABOUT = {  # type, lowest and highest value
    "rate_hz": (int, 8000, 192_000),
    "window_ms": (float, 10.0, 1000.0),
    "hop_ms": (float, 1.0, 1000.0),
    "seed": (int, 0, math.inf),
}


class SchemaError(Exception):
    """A file does not hold what the table says; the text says why."""


class Array(NamedTuple):
    """An array of a model: lengths of its axes, lowest and highest value."""

    axes: tuple[int | str, ...]
    low: float = -1e30
    high: float = 1e30


N_CLASSES, N_FEATURES = len(frame_classes.CLASSES), frame_classes.N_FEATURES
KINDS: dict[str, dict[str, Array]] = {
    "nmf": {
        "bases_LKB": Array(("L", "bases", "B"), 0.0),
        "penalty_LK": Array(("L", "bases"), 0.0),
        "voice_KB": Array(("bases", "B"), 0.0),
        "accompaniment_KB": Array(("bases", "B"), 0.0),
        "edges_E": Array(("edges",), -1e3, 1e6),
    },
    "spectra": {
        "voice_KF": Array(("voice", "F"), 0.0),
        "accompaniment_KF": Array(("accompaniment", "F"), 0.0),
    },
    "activity": {
        "centre_D": Array((N_FEATURES,)),
        "projection_DE": Array((N_FEATURES, N_CLASSES - 1)),
        "weights_SK": Array((N_CLASSES, "K"), 0.0, 1.0),
        "means_SKE": Array((N_CLASSES, "K", N_CLASSES - 1)),
        "precisions_SKEE": Array((N_CLASSES, "K", N_CLASSES - 1, N_CLASSES - 1)),
        "transitions_SS": Array((N_CLASSES, N_CLASSES), 0.0, 1.0),
        "start_S": Array((N_CLASSES,), 0.0, 1.0),
        **{f"{name}_MN": Array(("M", "N")) for name in boosted_trees.FIELDS},
        **{name: Array(shape) for name, shape in band_gains.shapes().items()},
    },
}


def read_about(text: str) -> dict:
    """Return the description of a model from its JSON text.

    Raises
    ------
    SchemaError
        If it is not the description of a model; the text says why.
    """
    try:
        about = json.loads(text)
        printable = all(string.isprintable() for string in _strings(about))
    except (ValueError, RecursionError):
        raise SchemaError("its description is not valid JSON") from None
    if not isinstance(about, dict) or not printable:
        raise SchemaError("its description is damaged")
    if not _is_number(about.get("format"), int, 0, 1e6):
        raise SchemaError("it has no format number")
    if not isinstance(about.get("kind"), str) or about["kind"] not in KINDS:
        raise SchemaError(f"its kind is none of {', '.join(KINDS)}")
    if about["format"] != (known := FORMATS[about["kind"]]):
        raise SchemaError(f"it has format {about['format']}, and this version reads format {known}")
    for name, bounds in ABOUT.items():
        if not _is_number(about.get(name), *bounds):
            raise SchemaError(f"its {name} is missing or out of range")
    versions, singers = about.get("versions"), about.get("singers")
    if not isinstance(versions, dict) or not all(isinstance(version, str) for version in versions.values()):
        raise SchemaError("its versions are missing or damaged")
    if not isinstance(singers, list) or not all(isinstance(singer, str) for singer in singers):
        raise SchemaError("its singers are missing or damaged")
    return about


def check_shapes(about: dict, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise SchemaError if the shapes of the arrays do not fit the table, the description or each other."""
    lengths: dict[str, int] = {}
    for name, array in KINDS[about["kind"]].items():
        if name not in shapes:
            raise SchemaError(f"its array {name} is missing")
        shape = shapes[name]
        known = tuple(lengths.get(axis, axis) if isinstance(axis, str) else axis for axis in array.axes)
        if len(shape) != len(known) or any(n != k for n, k in zip(shape, known, strict=True) if isinstance(k, int)):
            raise SchemaError(f"its array {name} has the shape {_text(shape)}; {_text(known)} is needed")
        lengths |= {axis: n for axis, n in zip(known, shape, strict=True) if isinstance(axis, str)}
    for axis, n in lengths.items():
        if n > MAX_LENGTHS.get(axis, math.inf):
            raise SchemaError(f"an axis has {n} entries; at most {MAX_LENGTHS[axis]} are possible")
        if n < MIN_LENGTHS.get(axis, 0):
            raise SchemaError(f"an axis has {n} entries; at least {MIN_LENGTHS[axis]} are needed")
    if "B" in lengths and lengths["edges"] != lengths["B"] + 1:
        raise SchemaError(f"it has {lengths['edges']} edges of {lengths['B']} bands")
    if about["kind"] == "spectra" and lengths.get("voice") == lengths.get("accompaniment") == 0:
        raise SchemaError("it has neither spectra of the voice nor of the accompaniment")


def check_values(about: dict, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise SchemaError if a value is not finite or out of range, or a tree refers to nodes that it cannot reach."""
    for name, array in KINDS[about["kind"]].items():
        values = arrays[name]
        if not (array.low <= values.min(initial=array.high) and values.max(initial=array.low) <= array.high):
            raise SchemaError(f"its array {name} holds values out of range, or NaN")
    if about["kind"] == "nmf" and not np.all(np.diff(arrays["edges_E"]) > 0):
        raise SchemaError("its bands are not in order")
    if about["kind"] == "activity" and not boosted_trees.are_valid(singing.trees_of(arrays), singing.n_features()):
        raise SchemaError("its trees refer to features or nodes that do not exist")


def _is_number(value: Any, type_: type, low: float, high: float) -> bool:
    """Return whether a value of JSON is a number of a type within limits; false for NaN and for booleans."""
    types = (int, float) if type_ is float else (int,)
    return isinstance(value, types) and not isinstance(value, bool) and low <= value <= high


def _strings(value: Any) -> Iterator[str]:
    """Yield all strings in a value of JSON, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _text(shape: Sequence) -> str:
    return " x ".join(str(n) if isinstance(n, int) else "any" for n in shape)
