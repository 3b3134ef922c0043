"""Reduce spectrograms to the few rows and columns of a picture.

Where several frames and bins share a dot, the loudest of them is drawn. A note of 100 ms is then still visible in a
song of five minutes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..dsp.stft import stft
from ..recording import Resampled, Samples

MIN_HZ, MAX_HZ = 80.0, 8000.0
RATE_HZ = 16_000  # sounds are resampled to this rate; the frequency axis ends at half of it
WINDOW_MS, HOP_MS = 80.0, 16.0
MAX_COLUMNS = 3000
_LONGEST_HOP_MS = 36.0  # frames overlap by more than half, so that no sound falls between two of them
_FRAMES = 3  # that share a column, unless this needs another hop
_BLOCK_FRAMES = 1000  # 16 to 36 s, so an hour needs no more memory than a minute; larger ones take longer


@dataclass(frozen=True)
class Grid:
    """Rows and columns of a picture, and the frames that share a column.

    Attributes
    ----------
    hop : int
        Samples at `RATE_HZ` from frame to frame.
    n_frames, per_column, n_rows : int
    """

    hop: int
    n_frames: int
    per_column: int
    n_rows: int

    @classmethod
    def of(cls, seconds: float, n_rows: int = 240, n_columns: int = MAX_COLUMNS) -> "Grid":
        """Return the grid for a length, with at most so many columns."""
        n_samples = round(seconds * RATE_HZ)
        shortest, longest = (round(hop_ms * RATE_HZ / 1000) for hop_ms in (HOP_MS, _LONGEST_HOP_MS))
        hop = min(max(shortest, -(-n_samples // (_FRAMES * n_columns - 1))), longest)
        n_frames = 1 + n_samples // hop
        return cls(hop, n_frames, -(-n_frames // n_columns), n_rows)

    @property
    def hop_ms(self) -> float:
        """Time from frame to frame, ms."""
        return 1000 * self.hop / RATE_HZ

    @property
    def edges_s(self) -> np.ndarray:
        """Edges of the columns, shape (K + 1,), s."""
        n_columns = -(-self.n_frames // self.per_column)
        return (np.arange(n_columns + 1) * self.per_column - 0.5) * self.hop / RATE_HZ  # frames are centred

    @property
    def edges_hz(self) -> np.ndarray:
        """Edges of the rows, shape (R + 1,), Hz."""
        return np.geomspace(MIN_HZ, MAX_HZ, self.n_rows + 1)

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yield the first frame, and the first frame after, of each block of whole columns."""
        n_block = max(1, _BLOCK_FRAMES // self.per_column) * self.per_column
        for start in range(0, self.n_frames, n_block):
            yield start, min(self.n_frames, start + n_block)

    def peaks(self, values_TF: np.ndarray) -> np.ndarray:
        """Return the largest of the values, >= 0, of the frames that share a column, shape (K, F)."""
        return self._columns(values_TF).max(axis=1)

    def means(self, values_TF: np.ndarray) -> np.ndarray:
        """Return the means of the frames that share a column, shape (K, F)."""
        columns_KNF = self._columns(values_TF)
        n_frames = np.minimum(self.per_column, len(values_TF) - np.arange(len(columns_KNF)) * self.per_column)
        return columns_KNF.sum(axis=1) / n_frames[:, None]

    def _columns(self, values_TF: np.ndarray) -> np.ndarray:
        """Return the frames of each column, shape (K, N, F); the last column is filled up with 0."""
        n_missing = -len(values_TF) % self.per_column
        whole_TF = np.pad(values_TF, ((0, n_missing), (0, 0))) if n_missing else values_TF
        return whole_TF.reshape(-1, self.per_column, values_TF.shape[1])

    def rows(self, values_KF: np.ndarray, bin_hz: float) -> np.ndarray:
        """Return the largest values of the bins that share a row, shape (R, K)."""
        edges = np.rint(self.edges_hz / bin_hz).astype(int)
        values_FK = np.ascontiguousarray(values_KF.T)
        bands = zip(edges[:-1], np.maximum(edges[1:], edges[:-1] + 1), strict=True)
        return np.stack([values_FK[low:high].max(axis=0) for low, high in bands])


def powers(grid: Grid, *sounds: Samples, with_sum: bool = False) -> list[np.ndarray]:
    """Return the power of sounds of one length, each of shape (R, K); that of their sum comes first if it is wanted."""
    parts = []
    for spectra in zip(*(_spectra(sound, grid) for sound in sounds), strict=True):
        drawn = (sum(spectra), *spectra) if with_sum else spectra
        parts.append([grid.peaks(_power(values_CTF)) for values_CTF in drawn])
    bin_hz = RATE_HZ / 2 / (parts[0][0].shape[1] - 1)
    return [grid.rows(np.concatenate(part), bin_hz) for part in zip(*parts, strict=True)]


def _spectra(sound: Samples, grid: Grid) -> Iterator[np.ndarray]:
    """Yield the spectra of the blocks of a grid, shape (C, T, F)."""
    resampled = Resampled(sound, RATE_HZ)
    context = -(-round(WINDOW_MS * RATE_HZ / 1000) // grid.hop)
    for start, stop in grid.blocks():
        first = max(0, start - context)
        part = resampled.excerpt(first * grid.hop, min(resampled.n_samples, (stop + context) * grid.hop))
        yield stft(part, WINDOW_MS, grid.hop_ms).values.transpose(0, 2, 1)[:, start - first : stop - first]


def _power(values_CTF: np.ndarray) -> np.ndarray:
    """Return the mean power of the channels, shape (T, F)."""
    power_TF = np.zeros(values_CTF.shape[1:], np.float32)
    for values_TF in values_CTF:
        power_TF += np.square(values_TF.real)
        power_TF += np.square(values_TF.imag)
    return power_TF / np.float32(len(values_CTF))
