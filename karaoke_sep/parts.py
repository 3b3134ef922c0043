"""A long recording in parts, so that memory does not grow with its length.

The pitch is sought in each part by itself, with context on both sides that is thrown away. Parts begin at whole
multiples of 8 s: there frames of every hop in use (4, 8, 16, 32, 64 ms) and samples of every rate fall together, so
that a part sees the same frames as the whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

ALIGN_S = 8
CONTEXT_S = 16  # the reach of the whitening, 5 s, beyond the longest median and where best paths have met


@dataclass(frozen=True)
class Params:
    """From which length on, and how long a part is."""

    from_s: float = 90.0
    part_s: float = 120.0  # a quarter of the work is context; 60 s take a third less memory

    def __post_init__(self):
        if self.from_s < 0:
            raise ValueError(f"from_s is {self.from_s:g}; it must not be negative")
        if self.part_s < 2 * ALIGN_S:
            raise ValueError(f"part_s is {self.part_s:g}; it must be at least {2 * ALIGN_S}")


def bounds_s(duration_s: float, params: Params) -> Iterator[tuple[float, float, float, float]]:
    """Of each part: where it is heard from, begins, ends (the next begins) and is heard to, s."""
    n_parts = max(1, round(duration_s / params.part_s))
    inner_s = ALIGN_S * np.rint(np.linspace(0, duration_s, n_parts + 1)[1:-1] / ALIGN_S)
    for begin_s, end_s in pairwise([0.0, *inner_s.tolist(), duration_s]):
        yield max(0.0, begin_s - CONTEXT_S), begin_s, end_s, min(duration_s, end_s + CONTEXT_S)
