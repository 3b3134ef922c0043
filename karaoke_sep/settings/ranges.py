"""Ranges of settings, each declared beside its default.

Both ends belong to the range. At each end, with all other settings at their defaults, a song is separated into finite
stems in bounded time and memory.
"""

import operator
from dataclasses import Field, field, fields
from typing import Any

_RELATIONS = {"below": operator.lt, "above": operator.gt, "at most": operator.le, "at least": operator.ge}


def ranged(default: float, low: float, high: float) -> Any:
    """Return a dataclass field with a default and the range of its values.

    Parameters
    ----------
    default, low, high : float or int
        ``low <= default <= high``.
    """
    return field(default=default, metadata={"range": (low, high)})


def check_ranges(params: Any, *relations: tuple[str, str, str]) -> None:
    """Check the fields of a dataclass that were declared with `ranged`.

    Parameters
    ----------
    params : dataclass
    relations : tuple of str
        What has to hold between two fields, such as ``("min_hz", "below", "max_hz")``.

    Raises
    ------
    ValueError
        With a line for each field that is outside its range or does not fit another field that is inside its own; the
        line begins with the name of the field.
    """
    lines = {f.name: range_error(f, getattr(params, f.name)) for f in fields(params)}
    outside = {name for name, line in lines.items() if line}
    for name, relation, other in relations:
        value, limit = getattr(params, name), getattr(params, other)
        if not lines[name] and other not in outside and not _RELATIONS[relation](value, limit):
            lines[name] = f"{name} is {value:g}; it must be {relation} {other}, {limit:g}"
    if any(lines.values()):
        raise ValueError("\n".join(filter(None, lines.values())))


def range_error(of: Field, value: Any) -> str:
    """Return the message about a value outside the range of a field; empty if it is inside, or if there is no range."""
    low, high = of.metadata.get("range", (None, None))
    if low is None or low <= value <= high:  # false for NaN
        return ""
    return f"{of.name} is {value:g}; it must be {low:g} to {high:g}"
