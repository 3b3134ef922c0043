"""A small convolutional network over time and frequency, and the slopes of whatever is computed with it.

A `Tape` notes each operation, so that the slope of the result with respect to every weight can be read back in the
reverse order (reverse accumulation: Linnainmaa 1976; for networks Rumelhart, Hinton & Williams 1986). Maps are of
shape (T, B, C): frames, bands, channels; kernels (K, L, C, D): extent in frames and bands, channels before and after.
"""

from collections.abc import Callable, Iterator

import numpy as np

BLOCK_VALUES = 1 << 16  # that stay in the cache: three times as fast as all at once


class Tape:
    """Operations on maps. One that does not ``learn`` only computes."""

    def __init__(self, learn: bool = False):
        self.learn = learn
        self._steps: list[tuple[np.ndarray, Callable]] = []

    def note(self, result: np.ndarray, pull: Callable) -> np.ndarray:
        """A result of an operation; ``pull`` takes its slope and gives pairs (input, slope of the input)."""
        if self.learn:
            self._steps.append((result, pull))  # holds the array too, so that its id stays its own
        return result

    def slopes(self, seeds) -> dict[int, np.ndarray]:
        """Slopes of everything that was noted or used, by the ids of the arrays.

        ``seeds`` are pairs (array, slope of the loss with respect to it).
        """
        slopes = {id(array): slope for array, slope in seeds}
        for result, pull in reversed(self._steps):
            slope = slopes.get(id(result))
            if slope is None:
                continue
            for array, part in pull(slope):
                before = slopes.get(id(array))
                slopes[id(array)] = part if before is None else before + part
        return slopes

    def conv(self, x: np.ndarray, w: np.ndarray, b: np.ndarray, from_data: bool = False) -> np.ndarray:
        """Convolution as wide as the map, which is continued by zeros; slopes stop at an input ``from_data``."""
        y = _correlate(x, w.reshape(-1, w.shape[3]), w.shape[:2])
        y += b

        def pull(slope):
            flat = slope.reshape(-1, slope.shape[2])
            found = [(b, np.ones(len(flat), flat.dtype) @ flat)]  # faster than a sum along the long axis
            if from_data:
                of_w = sum(columns.T @ flat[rows] for rows, columns in _columns(x, w.shape[:2]))
                return [*found, (w, of_w.reshape(w.shape))]
            # What surrounds a cell of the slope serves both: each cell of the input went where its kernel is turned.
            turned = np.ascontiguousarray(w[::-1, ::-1].transpose(0, 1, 3, 2)).reshape(-1, w.shape[2])
            flat, of_w = x.reshape(-1, x.shape[2]), 0
            of_x = np.empty_like(flat)
            for rows, columns in _columns(slope, w.shape[:2]):
                np.matmul(columns, turned, out=of_x[rows])
                of_w = of_w + flat[rows].T @ columns
            of_w = of_w.reshape(-1, *w.shape[:2], w.shape[3])[:, ::-1, ::-1].transpose(1, 2, 0, 3)
            return [*found, (w, np.ascontiguousarray(of_w)), (x, of_x.reshape(x.shape))]

        return self.note(y, pull)

    def relu(self, x: np.ndarray) -> np.ndarray:
        """What is above zero."""
        y = np.maximum(x, 0)
        return self.note(y, lambda slope: [(x, slope * (y > 0))])

    def add(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Sum of two maps; one with a single band counts in all bands."""

        def pull(slope):
            return [(z, slope if z.shape == slope.shape else slope.sum(axis=1, keepdims=True)) for z in (x, y)]

        return self.note(x + y, pull)

    def times(self, x: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """A map times what is no weight."""
        return self.note(x * factor, lambda slope: [(x, slope * factor)])

    def pool(self, x: np.ndarray) -> np.ndarray:
        """Mean of 2 x 2 cells."""
        quarter = x.dtype.type(0.25)
        return self.note(quarter * _sums(x), lambda slope: [(x, _spread(quarter * slope))])

    def spread(self, x: np.ndarray) -> np.ndarray:
        """Each cell as 2 x 2."""
        return self.note(_spread(x), lambda slope: [(x, _sums(slope))])

    def reshape(self, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The same numbers in another order of axes."""
        return self.note(x.reshape(shape), lambda slope: [(x, slope.reshape(x.shape))])


def _correlate(x: np.ndarray, w_RD: np.ndarray, extent: tuple[int, int]) -> np.ndarray:
    y = np.empty((x.shape[0] * x.shape[1], w_RD.shape[1]), x.dtype)
    for rows, columns in _columns(x, extent):
        np.matmul(columns, w_RD, out=y[rows])
    return y.reshape(*x.shape[:2], -1)


def _columns(x: np.ndarray, extent: tuple[int, int]) -> Iterator[tuple[slice, np.ndarray]]:
    """The surroundings of each cell in a row, shape (cells, K L C), and which cells these are, a few at a time."""
    (n_frames, n_bands, n), (k, m) = x.shape, extent
    if k == m == 1:
        yield slice(None), x.reshape(-1, n)
        return
    padded = np.zeros((n_frames + k - 1, n_bands + m - 1, n), x.dtype)
    padded[k // 2 : k // 2 + n_frames, m // 2 : m // 2 + n_bands] = x
    frame, band, value = padded.strides
    shape, strides = (n_frames, n_bands, k, m * n), (frame, band, frame, value)  # neighbours in frequency lie together
    runs = np.lib.stride_tricks.as_strided(padded, shape, strides, writeable=False)
    n_block = max(1, BLOCK_VALUES // (n_bands * k * m * n))
    for start in range(0, n_frames, n_block):
        block = runs[start : start + n_block]
        yield slice(start * n_bands, (start + len(block)) * n_bands), block.reshape(-1, k * m * n)


def _sums(x: np.ndarray) -> np.ndarray:
    """Of 2 x 2 cells; slices add up three times as fast as NumPy's sum over short axes."""
    pairs = x[::2] + x[1::2]
    return pairs[:, ::2] + pairs[:, 1::2]


def _spread(x: np.ndarray) -> np.ndarray:
    """Each cell as 2 x 2."""
    return x.repeat(2, axis=0).repeat(2, axis=1)
