"""Ranges of settings, each declared beside its default.

Both ends belong to the range. At each end, with all other settings at their defaults, a song is separated into finite
stems in bounded time and memory.
"""

from dataclasses import Field, field, fields
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
    lines = [range_error(f, getattr(params, f.name)) for f in fields(params)]
    if any(lines):
        raise ValueError("\n".join(filter(None, lines)))


def range_error(of: Field, value: Any) -> str:
    """Return the message about a value outside the range of a field; empty if it is inside, or if there is no range."""
    low, high = of.metadata.get("range", (None, None))
    if low is None or low <= value <= high:  # false for NaN
        return ""
    return f"{of.name} is {value:g}; it must be {low:g} to {high:g}"
