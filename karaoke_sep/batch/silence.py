"""Warn about songs whose vocals are silent, with the likely reason."""

import numpy as np

_SILENT_DB = -70.0  # relative to the song; any audible voice is louder
_OPPOSITE_DB = -30.0  # of the mono mix relative to the channels


class VocalsCheck:
    """Energies of a song and of its vocals, summed block by block."""

    def __init__(self) -> None:
        self._mixture = self._mono = self._vocals = 0.0

    def add(self, mixture: np.ndarray, vocals: np.ndarray) -> None:
        """Add the energies of a block of a song and of its vocals, shape (C, n) each."""
        self._mixture += _energy(mixture)
        self._mono += _energy(sum(mixture)) / len(mixture)  # the mean over this axis takes ten times as long
        self._vocals += _energy(vocals)

    @property
    def warning(self) -> str:
        """A warning if the vocals are silent although the song is not; otherwise empty."""
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
    flat = samples.ravel("K")
    return float(np.dot(flat, flat))
