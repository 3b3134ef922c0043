"""Samples of a long recording, on the disk instead of in memory."""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from ..errors import OutputError
from ..types import Audio
from .sample_formats import from_16_bits

ALL = slice(None)  # channels
_PIECE_BYTES = 1 << 24  # of many channels, 30 s take 400 MB


class SampleFile:
    """Samples on the disk instead of in memory, in an unnamed file that is deleted when it is closed.

    Parameters
    ----------
    dtype : dtype
        Float, or int16 for sounds of 16 bits, which then take half of the space; these are written as int16, and read
        as float32.

    Attributes
    ----------
    rate_hz, n_channels, n_samples : int
    """

    def __init__(self, folder: Path, rate_hz: int, n_channels: int, dtype: DTypeLike):
        self.rate_hz, self.n_channels, self.n_samples = rate_hz, n_channels, 0
        self._folder, self._dtype = folder, np.dtype(dtype)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115, it is closed by __exit__
        except OSError as err:
            raise self._failure(err) from None

    def __enter__(self) -> "SampleFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def excerpt(self, start: int, stop: int) -> Audio:
        """Return the samples from ``start`` to before ``stop``, both within the file."""
        self._file.seek(start * self._frame_bytes)
        data = self._file.read((stop - start) * self._frame_bytes)
        samples = np.frombuffer(data, self._dtype).reshape(-1, self.n_channels).T
        return Audio(samples if self._dtype.kind == "f" else from_16_bits(samples), self.rate_hz)

    def append(self, samples: np.ndarray) -> None:
        """Add samples, shape (C, n), after the last."""
        self.put(self.n_samples, samples)

    def add(self, start: int, samples: np.ndarray, channels: slice = ALL) -> None:
        """Add samples, (C, n) or those of some channels, to those from ``start`` on, which is not beyond the end."""
        n_piece = max(1, _PIECE_BYTES // self._frame_bytes)
        for first in range(0, samples.shape[1], n_piece):
            added = samples[:, first : first + n_piece]
            piece = np.zeros((self.n_channels, added.shape[1]), self._dtype)
            piece[channels] = added
            n_there = min(max(0, self.n_samples - start - first), piece.shape[1])
            piece[:, :n_there] += self.excerpt(start + first, start + first + n_there).samples
            self.put(start + first, piece)

    def _failure(self, err: OSError) -> OutputError:
        reason = (err.strerror or "").lower()
        return OutputError(f"{self._folder}: the samples of a long recording cannot be kept there ({reason})")

    @property
    def _frame_bytes(self) -> int:
        return self._dtype.itemsize * self.n_channels

    def put(self, start: int, samples: np.ndarray) -> None:
        """Write samples, shape (C, n), from ``start`` on; ``start`` is not beyond the end."""
        try:
            self._file.seek(start * self._frame_bytes)
            samples_NC = samples.T.astype(self._dtype, "C", "same_kind", copy=False)
            self._file.write(samples_NC.data)
            self._file.flush()
        except OSError as err:
            raise self._failure(err) from None
        self.n_samples = max(self.n_samples, start + samples.shape[1])
