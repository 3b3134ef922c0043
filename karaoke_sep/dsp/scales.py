"""Convert frequencies to mel and to MIDI semitones.

The formulas are written out here because importing librosa, which has them too, takes longer than separating a short
clip, and because its mel formula rounds differently, which would change the bytes of trained models.

References
----------
O'Shaughnessy, D. (1987). Speech communication: human and machine. Addison-Wesley. The mel formula, p. 150.
MIDI Manufacturers Association (1996). The complete MIDI 1.0 detailed specification. Key 69 is 440 Hz.
"""

from typing import Any

import numpy as np


def hz_to_mel(freqs_hz: float | np.ndarray) -> Any:
    """Return mel of frequencies: 1127 ln(1 + f / 700), float or ndarray of any shape."""
    return 1127 * np.log1p(freqs_hz / 700)


def mel_to_hz(mel: float | np.ndarray) -> Any:
    """Return frequencies in Hz of mel, float or ndarray of any shape."""
    return 700 * np.expm1(mel / 1127)


def hz_to_midi(freqs_hz: float | np.ndarray) -> Any:
    """Return MIDI semitones of frequencies, float or ndarray of any shape: 69 at 440 Hz, NaN where NaN."""
    return 69 + 12 * np.log2(freqs_hz / 440)


def midi_to_hz(semitones: float | np.ndarray) -> Any:
    """Return frequencies in Hz of MIDI semitones, float or ndarray of any shape."""
    return 440 * 2 ** ((semitones - 69) / 12)


def cents(freqs_hz: float | np.ndarray, reference_hz: float | np.ndarray) -> Any:
    """Return the interval from a reference frequency in cents: 100 a semitone, above 0 where it is higher."""
    return 1200 * np.log2(freqs_hz / reference_hz)
