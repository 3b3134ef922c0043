"""Mel-frequency cepstra of mixture, stems and references, to compare what they sound like."""

import numpy as np

from ..dsp import timbre
from ..dsp.stft import stft
from ..types import Audio


def mfccs(audio: Audio) -> tuple[np.ndarray, np.ndarray]:
    """Times of the frames, s, (T,), and cepstra of 40 ms every 20 ms, (T, 13); the first tells the energy."""
    spectrum = stft(audio, 40.0, 20.0)
    return spectrum.times_s, timbre.cepstra(spectrum.magnitude.T, spectrum.rate_hz / spectrum.n_fft)


def distances(sounds: dict[str, Audio], reference: Audio) -> dict[str, float]:
    """Root mean square distance of each sound's cepstra from those of a reference, without the energy.

    Parameters
    ----------
    sounds : dict of Audio
        By name, of the rate and length of the reference.
    reference : Audio
    """
    _, true_TD = mfccs(reference)
    return {
        name: float(np.sqrt(np.mean(np.sum((mfccs(sound)[1] - true_TD)[:, 1:] ** 2, axis=1))))
        for name, sound in sounds.items()
    }
