"""Convert a sound to a sample rate and a number of channels that a file format supports."""

from dataclasses import dataclass

import numpy as np
import soxr

from .sample_formats import full_scale_of

_MP3_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_OPUS_RATES_HZ = (8000, 12000, 16000, 24000, 48000)
_MAX_CHANNELS = {"wav": 1024, "flac": 8, "mp3": 2, "ogg": 255}
_FLAC_MAX_RATE_HZ = 655_350
# Channel layouts of WAV and FLAC by number of channels, for the mix-down: L goes left, R right, C to both at -3 dB.
# B (low frequencies) is left out.
_LAYOUTS = {3: "LRC", 4: "LRLR", 5: "LRCLR", 6: "LRCBLR", 7: "LRCBCLR", 8: "LRCBLRLR"}
_GAINS = {"L": (1.0, 0.0), "R": (0.0, 1.0), "C": (0.5**0.5, 0.5**0.5), "B": (0.0, 0.0)}


@dataclass(frozen=True)
class Adaptation:
    """Conversion of a sound for a file format.

    Attributes
    ----------
    rate_hz, n_channels : int
        Sample rate and number of channels of the file.
    note : str
        Message about the changes; empty if nothing changes.
    """

    rate_hz: int
    n_channels: int
    note: str = ""


def adaptation(rate_hz: int, n_channels: int, container: str, subtype: str) -> Adaptation:
    """Return the conversion of a sound that a file format needs."""
    rates_hz: tuple[int, ...] = {"MPEG_LAYER_III": _MP3_RATES_HZ, "OPUS": _OPUS_RATES_HZ}.get(subtype, ())
    written_hz, written_channels, changes = rate_hz, n_channels, []
    if rates_hz and rate_hz not in rates_hz:
        family = [rate for rate in rates_hz if rate_hz % rate == 0 and rate >= 44100]
        written_hz = family[-1] if family else min((rate for rate in rates_hz if rate > rate_hz), default=rates_hz[-1])
    elif container == "flac" and rate_hz > _FLAC_MAX_RATE_HZ:
        written_hz = 192_000
    if written_hz != rate_hz:
        changes.append(f"cannot hold {rate_hz} Hz; resampled to {written_hz} Hz")
    if n_channels > _MAX_CHANNELS[container]:
        written_channels = 2
        changes.append(f"cannot hold {n_channels} channels; mixed down to stereo")
    note = f"{container} {', and '.join(changes)} (--format wav keeps the sound as it is)" if changes else ""
    return Adaptation(written_hz, written_channels, note)


class Adapter:
    """Convert a sound block by block.

    Parameters
    ----------
    rate_hz, n_channels : int
        Of the blocks that come.
    form : Adaptation
        Of the blocks that are returned.
    """

    def __init__(self, rate_hz: int, n_channels: int, form: Adaptation):
        self._n_channels = form.n_channels
        self._mixes = form.n_channels != n_channels
        self._stream = soxr.ResampleStream(rate_hz, form.rate_hz, form.n_channels) if form.rate_hz != rate_hz else None
        self._dtype = np.dtype(np.float32)

    def convert(self, block: np.ndarray) -> np.ndarray:
        """Return the next block, shape (C, n)."""
        if not (self._mixes or self._stream):
            return block
        self._dtype = block.dtype
        samples = block / np.float32(full_scale_of(block.dtype)) if block.dtype.kind == "i" else block
        samples = _stereo(samples) if self._mixes else samples
        if self._stream:
            samples = self._stream.resample_chunk(samples.T.astype(np.float32)).T
        return _like(samples, self._dtype)

    def rest(self) -> np.ndarray:
        """Return what follows the last block, shape (C, n)."""
        nothing = np.zeros((self._n_channels, 0), np.float32)
        return _like(self._stream.resample_chunk(nothing.T, last=True).T, self._dtype) if self._stream else nothing


def _like(samples: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return samples clipped to full scale, as integers that fill 32 bits if they were integers."""
    samples = np.clip(samples, -1, 1)
    if dtype.kind != "i":
        return samples
    return np.clip(np.rint(samples * 2.0**31), -(2**31), 2**31 - 1).astype(np.int32)


def _stereo(samples: np.ndarray) -> np.ndarray:
    """Mix a sound down to two channels without clipping; use the mean of all channels for unknown layouts."""
    layout = _LAYOUTS.get(len(samples), "C" * len(samples))
    gains = np.array([_GAINS[place] for place in layout])
    return (gains / gains.sum(axis=0).max()).T @ samples
