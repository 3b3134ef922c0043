"""Operations of a small convolutional network over time and frequency, and their gradients.

A `Tape` records each operation, and computes the gradient of a loss with respect to every weight by reverse
accumulation (Linnainmaa 1976; for networks Rumelhart, Hinton & Williams 1986). Maps have the shape (T, B, C): frames,
bands, channels. Kernels have the shape (K, L, C, D): extent in frames and bands, input channels, output channels. It is
written out here because this one network is the only user, and a deep-learning framework is a hundred times the size of
the package.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

BLOCK_VALUES = 1 << 16  # fits into the cache: three times as fast as all values at once


class Tape:
    """Operations on maps. They are recorded for `gradients` if ``recording`` is true."""

    def __init__(self, recording: bool = False):
        self.recording = recording
        self._steps: list[tuple[np.ndarray, Callable]] = []

    def record(self, result: np.ndarray, backward: Callable) -> np.ndarray:
        """Record an operation and return its result.

        ``backward`` takes the gradient of the result, and returns pairs (input, gradient of the input).
        """
        if self.recording:
            self._steps.append((result, backward))  # keeps the array alive, so that its id stays unique
        return result

    def gradients(self, of_outputs: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[int, np.ndarray]:
        """Return the gradients of all inputs and results of the recorded operations, by the ids of the arrays.

        ``of_outputs`` are pairs (array, gradient of the loss with respect to it).
        """
        gradients = {id(array): gradient for array, gradient in of_outputs}
        for result, backward in reversed(self._steps):
            gradient = gradients.get(id(result))
            if gradient is None:
                continue
            for array, part in backward(gradient):
                before = gradients.get(id(array))
                gradients[id(array)] = part if before is None else before + part
        return gradients

    def conv(self, x: np.ndarray, w: np.ndarray, b: np.ndarray, from_data: bool = False) -> np.ndarray:
        """Convolve a map with a kernel and add a bias; the output has the size of the input, which is padded by zeros.

        No gradient is computed for an input that is ``from_data``.
        """
        y = _correlate(x, w.reshape(-1, w.shape[3]), w.shape[:2])
        y += b

        def backward(gradient: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
            flat = gradient.reshape(-1, gradient.shape[2])
            found = [(b, np.ones(len(flat), flat.dtype) @ flat)]  # faster than a sum along the long axis
            if from_data:
                of_w = sum(columns.T @ flat[rows] for rows, columns in _columns(x, w.shape[:2]))
                return [*found, (w, of_w.reshape(w.shape))]
            # One gathering of the gradient's neighbourhoods serves both gradients: that of the input is the convolution
            # with the flipped kernel.
            flipped = np.ascontiguousarray(w[::-1, ::-1].transpose(0, 1, 3, 2)).reshape(-1, w.shape[2])
            flat, of_w = x.reshape(-1, x.shape[2]), 0
            of_x = np.empty_like(flat)
            for rows, columns in _columns(gradient, w.shape[:2]):
                np.matmul(columns, flipped, out=of_x[rows])
                of_w = of_w + flat[rows].T @ columns
            of_w = of_w.reshape(-1, *w.shape[:2], w.shape[3])[:, ::-1, ::-1].transpose(1, 2, 0, 3)
            return [*found, (w, np.ascontiguousarray(of_w)), (x, of_x.reshape(x.shape))]

        return self.record(y, backward)

    def relu(self, x: np.ndarray) -> np.ndarray:
        """Return the positive part of a map."""
        y = np.maximum(x, 0)
        return self.record(y, lambda gradient: [(x, gradient * (y > 0))])

    def add(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the sum of two maps; a map with a single band is added to all bands."""

        def backward(gradient: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
            return [(z, gradient if z.shape == gradient.shape else gradient.sum(axis=1, keepdims=True)) for z in (x, y)]

        return self.record(x + y, backward)

    def scale(self, x: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Return a map times a constant factor."""
        return self.record(x * factor, lambda gradient: [(x, gradient * factor)])

    def average_pool(self, x: np.ndarray) -> np.ndarray:
        """Return the mean of each 2 x 2 cells."""
        quarter = x.dtype.type(0.25)
        return self.record(quarter * _cell_sums(x), lambda gradient: [(x, _upsampled(quarter * gradient))])

    def upsample(self, x: np.ndarray) -> np.ndarray:
        """Return a map in which each cell is repeated 2 x 2 times."""
        return self.record(_upsampled(x), lambda gradient: [(x, _cell_sums(gradient))])

    def reshape(self, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return a map in another shape."""
        return self.record(x.reshape(shape), lambda gradient: [(x, gradient.reshape(x.shape))])


def _correlate(x: np.ndarray, w_RD: np.ndarray, extent: tuple[int, int]) -> np.ndarray:
    y = np.empty((x.shape[0] * x.shape[1], w_RD.shape[1]), x.dtype)
    for rows, columns in _columns(x, extent):
        np.matmul(columns, w_RD, out=y[rows])
    return y.reshape(*x.shape[:2], -1)


def _columns(x: np.ndarray, extent: tuple[int, int]) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the neighbourhoods of some cells at a time: their slice, and an array of shape (cells, K L C)."""
    (n_frames, n_bands, n), (k, m) = x.shape, extent
    if k == m == 1:
        yield slice(None), x.reshape(-1, n)
        return
    padded = np.zeros((n_frames + k - 1, n_bands + m - 1, n), x.dtype)
    padded[k // 2 : k // 2 + n_frames, m // 2 : m // 2 + n_bands] = x
    frame, band, value = padded.strides
    shape, strides = (n_frames, n_bands, k, m * n), (frame, band, frame, value)  # neighbouring bands are contiguous
    runs = np.lib.stride_tricks.as_strided(padded, shape, strides, writeable=False)
    n_block = max(1, BLOCK_VALUES // (n_bands * k * m * n))
    for start in range(0, n_frames, n_block):
        block = runs[start : start + n_block]
        yield slice(start * n_bands, (start + len(block)) * n_bands), block.reshape(-1, k * m * n)


def _cell_sums(x: np.ndarray) -> np.ndarray:
    """Return the sum of each 2 x 2 cells; adding slices is three times as fast as NumPy's sum over short axes."""
    pairs = x[::2] + x[1::2]
    return pairs[:, ::2] + pairs[:, 1::2]


def _upsampled(x: np.ndarray) -> np.ndarray:
    """Return a map in which each cell is repeated 2 x 2 times."""
    return x.repeat(2, axis=0).repeat(2, axis=1)
