"""Short-time Fourier transform and its exact inverse.

Hann window for analysis and synthesis; frame t is centred at sample ``t * hop``. The inverse divides by the summed
squared window, the least-squares solution of Griffin & Lim (1984), Eq. (6). An unchanged spectrum gives the same sound.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import scipy

from ..settings.ranges import check_ranges, ranged
from ..types import Audio, Spectrum

BLOCK_VALUES = 1 << 17  # a block that stays in the cache


@dataclass(frozen=True)
class Params:
    """Resolution of the masks.

    A window of 192 ms separates the partials of a low voice from the accompaniment between them: +0.2 dB vocals (v2)
    compared with 128 ms. The hop of a twelfth of the window follows glides.
    """

    window_ms: float = ranged(192.0, 10, 1000)
    hop_ms: float = ranged(16.0, 1, 500)

    def __post_init__(self) -> None:
        check_ranges(self)
        low, high = self.window_ms / 48, self.window_ms / 2  # a smaller hop only needs more memory
        if not low <= self.hop_ms <= high:
            raise ValueError(f"hop_ms is {self.hop_ms:g}; it must be {low:g} to {high:g}, a 48th to half of window_ms")


def stft(audio: Audio, window_ms: float, hop_ms: float, top_hz: float = np.inf) -> Spectrum:
    """Return the spectrum of a sound.

    Parameters
    ----------
    audio : Audio, (C, N)
    window_ms, hop_ms : float, ms
        The window is rounded up to a length with a fast transform.
    top_hz : float
        Bins above are left out.

    Returns
    -------
    Spectrum, values (C, F, T) complex64
        T = 1 + ceil(N / hop): every sample lies between two frame centres.
    """
    n_fft = fast_even_length(window_ms * audio.rate_hz / 1000)
    hop = max(1, round(hop_ms * audio.rate_hz / 1000))
    n_frames = 1 + -(-audio.n_samples // hop)
    n_bins = 1 + int(min(top_hz * n_fft / audio.rate_hz, n_fft // 2))
    window, n_block = hann(n_fft), block_frames(n_fft)
    values = np.empty((audio.n_channels, n_frames, n_bins), np.complex64)
    for channel, samples in zip(values, audio.samples, strict=True):
        padded = np.zeros((n_frames - 1) * hop + n_fft, np.float32)
        padded[n_fft // 2 : n_fft // 2 + audio.n_samples] = samples
        frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
        for start in range(0, n_frames, n_block):
            block = slice(start, start + n_block)
            channel[block] = scipy.fft.rfft(frames[block] * window, axis=1)[:, :n_bins]
    # Frames are contiguous in memory; the axes are named (F, T) as in the equations.
    return Spectrum(values.transpose(0, 2, 1), audio.rate_hz, n_fft, hop, audio.n_samples)


def istft(spectrum: Spectrum) -> Audio:
    """Return the sound of a spectrum.

    Parameters
    ----------
    spectrum : Spectrum, values (C, F, T)
        Bins above the highest one are taken as zero.

    Returns
    -------
    Audio, (C, N) float32
    """
    n_fft, hop, n = spectrum.n_fft, spectrum.hop, spectrum.n_samples
    n_channels, _, n_frames = spectrum.values.shape
    window, n_block = hann(n_fft), block_frames(n_fft)
    # Frames are divided into pieces of one hop, so that each addition acts on many frames at once.
    edges = [*range(0, n_fft, hop), n_fft]
    weight_NH = np.zeros((n_frames + len(edges) - 2, hop), np.float32)
    total_CNH = np.zeros((n_channels, *weight_NH.shape), np.float32)
    for piece, (begin, end) in enumerate(pairwise(edges)):
        weight_NH[piece : piece + n_frames, : end - begin] += window[begin:end] ** 2
    for total_NH, values_FT in zip(total_CNH, spectrum.values, strict=True):
        for start in range(0, n_frames, n_block):
            frames = scipy.fft.irfft(values_FT.T[start : start + n_block], n_fft, axis=1)
            frames *= window
            # Begin with the last piece: the frames are then added to a sample in their order, wherever a block begins.
            for piece, (begin, end) in reversed(list(enumerate(pairwise(edges)))):
                total_NH[start + piece :][: len(frames), : end - begin] += frames[:, begin:end]
    inner = slice(n_fft // 2, n_fft // 2 + n)
    samples = total_CNH.reshape(n_channels, -1)[:, inner]
    samples /= weight_NH.ravel()[inner]
    return Audio(samples, spectrum.rate_hz)


def block_frames(n_fft: int) -> int:
    """Return the number of frames that are transformed at once.

    It is a multiple of 16. Transforms are vectorised over frames, and the remaining frames are rounded differently.
    Which frames remain must not depend on where a block begins.
    """
    return 16 * max(1, BLOCK_VALUES // n_fft // 16)


def fast_even_length(length: float) -> int:
    """Return the next even number of samples with a fast transform."""
    half = max(1, round(length / 2))
    return 2 * scipy.fft.next_fast_len(half, real=True)


@lru_cache(maxsize=16)
def hann(n: int) -> np.ndarray:
    """Return the periodic Hann window, shape (n,), float32, not to be written to."""
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)).astype(np.float32)
    window.flags.writeable = False
    return window
