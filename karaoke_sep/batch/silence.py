"""Notice songs in which no voice was found, and say what is the likely reason."""

import numpy as np

_SILENT_DB = -70.0  # below the song: far less than any voice that one can hear in it
_OPPOSITE_DB = -30.0  # the mono mix below the channels


class VocalsCheck:
    """Energies of a song and of its vocals, summed block by block."""

    def __init__(self) -> None:
        self._mixture = self._mono = self._vocals = 0.0

    def add(self, mixture: np.ndarray, vocals: np.ndarray) -> None:
        """Take a block of a song and of its vocals, shape (C, n) each."""
        self._mixture += _energy(mixture)
        self._mono += len(mixture) * _energy(mixture.mean(axis=0))
        self._vocals += _energy(vocals)

    @property
    def warning(self) -> str:
        """What a user should know of vocals that are silent although the song is not; empty as a rule."""
        if self._mixture == 0:
            return ""
        if self._mono < 10 ** (_OPPOSITE_DB / 10) * self._mixture:
            return (
                "the channels have opposite polarity, so the mono mix, from which the pitch is estimated, is silent; "
                "invert one channel first"
            )
        if self._vocals < 10 ** (_SILENT_DB / 10) * self._mixture:
            return "no singing found; the vocals are silent"
        return ""


def _energy(samples: np.ndarray) -> float:
    flat = samples.ravel().astype(np.float64)
    return float(np.dot(flat, flat))
