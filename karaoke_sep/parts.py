"""Division of a recording into parts and segments, so that memory does not grow with its length.

The pitch is estimated in *parts* of about two minutes, each with context on both sides that is discarded. Parts begin
where the frames of all hops and the samples of both rates coincide, so that a part has the same frames as the whole.
The accompaniment is modelled in *segments* of about 30 s. Each segment has its own model, and neighbours are
cross-faded.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import lcm

import numpy as np

from .errors import ConfigError
from .settings.ranges import check_ranges, ranged

ALIGN_S = 8
MAX_ALIGN_S = 240  # with hops of 4, 8, 12 ... 64 ms it is 8 to 88 s
PART_CONTEXT_S = 16  # covers the whitening (5 s), the longest median, and the time after which Viterbi paths are equal
SEGMENT_S = 30.0  # with one accompaniment model each; 10 s are 0.1 to 0.7 dB worse on songs
SEGMENT_CONTEXT_S = 1.0
FADE_S = 0.1


@dataclass(frozen=True)
class Params:
    """Length of the parts, and the length above which samples are kept on the disk."""

    from_s: float = ranged(90.0, 0, 300)
    part_s: float = ranged(120.0, 2 * ALIGN_S, 600)  # a quarter of the work is context; 60 s need a third less memory

    def __post_init__(self) -> None:
        check_ranges(self)


def alignment_s(hops_ms: Iterable[float], rate_hz: int) -> int:
    """Return the shortest multiple of `ALIGN_S` that all hops divide, s.

    Parameters
    ----------
    hops_ms : iterable of float, ms
        Hops of the steps that estimate the pitch.
    rate_hz : int
        Sample rate of the pitch analysis.

    Raises
    ------
    ConfigError
        If there is none below `MAX_ALIGN_S`: parts cannot begin on a frame of every hop.
    """
    hops_ms = sorted(set(hops_ms))
    align_s = lcm(ALIGN_S * rate_hz, *(max(1, round(hop_ms * rate_hz / 1000)) for hop_ms in hops_ms)) / rate_hz
    if align_s > MAX_ALIGN_S:
        raise ConfigError(
            f"the hops of the pitch analysis ({', '.join(f'{hop_ms:g}' for hop_ms in hops_ms)} ms) coincide only every "
            f"{align_s:.0f} s; choose multiples of 4 ms for hop_ms of pitch and whitening, and of 16 ms for the "
            "windows of melody_enhancement"
        )
    return round(align_s)


def part_bounds_s(duration_s: float, align_s: int, params: Params) -> Iterator[tuple[float, float, float, float]]:
    """Yield four times for each part, s: start of the context, start, end, and end of the context."""
    n_parts = max(1, round(duration_s / params.part_s))
    edges_s = align_s * np.rint(np.linspace(0, duration_s, n_parts + 1)[1:-1] / align_s)
    inner_s = sorted({edge_s for edge_s in edges_s.tolist() if 0 < edge_s < duration_s})
    context_s = align_s * -(-PART_CONTEXT_S // align_s)  # so that the context begins on a frame
    for begin_s, end_s in pairwise([0.0, *inner_s, duration_s]):
        yield max(0.0, begin_s - context_s), begin_s, end_s, min(duration_s, end_s + context_s)


def segment_bounds(n_samples: int, rate_hz: int) -> Iterator[tuple[int, int]]:
    """Yield start and stop of each segment with its context, samples."""
    n_segments = max(1, round(n_samples / rate_hz / SEGMENT_S))
    edges = np.linspace(0, n_samples, n_segments + 1).astype(int)
    context = round(SEGMENT_CONTEXT_S * rate_hz)
    for start, stop in pairwise(edges):
        yield max(0, start - context), min(n_samples, stop + context)


def fade(number: int, segments: list[tuple[int, int]], rate_hz: int) -> np.ndarray:
    """Return the gain of a segment, shape (N,); neighbours cross-fade in the middle of their overlap."""
    start, stop = segments[number]
    n = np.arange(start, stop) / (FADE_S * rate_hz)
    weight = np.ones(stop - start, np.float32)
    if number > 0:
        middle = (start + segments[number - 1][1]) / 2 / (FADE_S * rate_hz)
        weight *= np.clip(n - middle + 0.5, 0, 1)
    if number + 1 < len(segments):
        middle = (segments[number + 1][0] + stop) / 2 / (FADE_S * rate_hz)
        weight *= np.clip(middle - n + 0.5, 0, 1)
    return weight
