"""Reduce spectrograms to the few rows and columns of a picture.

Where several frames and bins share a dot, the loudest of them is drawn. A note of 100 ms is then still visible in a
song of five minutes.
"""

from collections.abc import Callable

import numpy as np

from ..dsp.stft import fast_even_length, stft
from ..recording import Resampled, Samples

MIN_HZ, MAX_HZ = 80.0, 8000.0
RATE_HZ = 16_000  # sounds are resampled to this rate; the frequency axis ends at half of it
WINDOW_MS, HOP_MS = 80.0, 16.0
N_COLUMNS, N_ROWS = 3000, 240
_BLOCK_FRAMES = 4000  # of 16 ms: about a minute, so an hour needs no more memory than a minute


def row_edges_hz() -> np.ndarray:
    """Return the edges of the rows, shape (R + 1,), Hz."""
    return np.geomspace(MIN_HZ, MAX_HZ, N_ROWS + 1)


def power(audio: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Return the power of a sound, shape (R, K), and the edges of its columns, shape (K + 1,), s."""
    sound = Resampled(audio, RATE_HZ)
    hop = round(HOP_MS * RATE_HZ / 1000)
    context = -(-round(WINDOW_MS * RATE_HZ / 1000) // hop)

    def of_frames(start: int, stop: int) -> np.ndarray:
        first = max(0, start - context)
        part = sound.excerpt(first * hop, min(sound.n_samples, (stop + context) * hop))
        return stft(part, WINDOW_MS, HOP_MS).magnitude[:, start - first : stop - first] ** 2

    bin_hz = RATE_HZ / fast_even_length(WINDOW_MS * RATE_HZ / 1000)
    return reduced(of_frames, 1 + sound.n_samples // hop, hop / RATE_HZ, bin_hz)


def reduced(
    values: Callable, n_frames: int, hop_s: float, bin_hz: float, rule: np.ufunc = np.maximum
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest of the values that share a dot.

    Parameters
    ----------
    values : callable
        Takes the first frame and the end of a range of frames, and returns their values, shape (F, T).
    n_frames : int
    hop_s, bin_hz : float
    rule : np.maximum or np.add
        With the latter, frames that share a dot are averaged.

    Returns
    -------
    values_RK : ndarray, rows of `row_edges_hz` and columns
    edges_s : ndarray, shape (K + 1,), s
    """
    per_column = -(-n_frames // N_COLUMNS)
    per_block = max(1, _BLOCK_FRAMES // per_column) * per_column
    low = np.rint(row_edges_hz() / bin_hz).astype(int)
    low, high = low[:-1], np.maximum(low[1:], low[:-1] + 1)
    rows = np.stack([low, high], axis=1).ravel()  # reduceat also gives the values between the rows
    blocks = []
    for start in range(0, n_frames, per_block):
        values_FT = np.pad(values(start, min(start + per_block, n_frames)), ((0, 1), (0, 0)))
        starts = np.arange(0, values_FT.shape[1], per_column)
        columns_FK = rule.reduceat(values_FT, starts, axis=1)
        if rule is np.add:
            columns_FK /= np.diff([*starts, values_FT.shape[1]])
        blocks.append(np.maximum.reduceat(columns_FK, rows, axis=0)[::2])
    values_RK = np.concatenate(blocks, axis=1)
    edges_s = (np.arange(values_RK.shape[1] + 1) * per_column - 0.5) * hop_s  # a frame is centred at its time
    return values_RK, edges_s
