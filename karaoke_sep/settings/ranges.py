"""Ranges of settings, each declared beside its default.

Both ends belong to the range. At each end, with all other settings at their defaults, a song is separated into finite
stems in bounded time and memory.
"""

from dataclasses import field, fields
from typing import Any


def ranged(default: float, low: float, high: float) -> Any:
    """Return a dataclass field with a default and the range of its values.

    Parameters
    ----------
    default, low, high : float or int
        ``low <= default <= high``.
    """
    return field(default=default, metadata={"range": (low, high)})


def check_ranges(params: Any) -> None:
    """Check the fields of a dataclass that were declared with `ranged`.

    Raises
    ------
    ValueError
        With a line for each field that is outside its range; the line begins with the name of the field.
    """
    lines = []
    for f in fields(params):
        low, high = f.metadata.get("range", (None, None))
        value = getattr(params, f.name)
        if low is not None and not low <= value <= high:  # also true for NaN
            lines.append(f"{f.name} is {value:g}; it must be {low:g} to {high:g}")
    if lines:
        raise ValueError("\n".join(lines))
