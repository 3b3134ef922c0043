"""Round stems to a sample format so that they add up to the input.

- Integer formats: samples are rounded to the nearest step without dither, the vocals first; the accompaniment is the
  rounded mixture minus the rounded vocals. So the stems add up to the input exactly.
- Float formats: the accompaniment is the mixture minus the vocals, in that format.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import OutputError, counted
from .sample_formats import INTEGER_BITS

_FLOATS = {"FLOAT": np.float32, "DOUBLE": np.float64}


def fit_stems(
    mixture: np.ndarray, vocals: np.ndarray, subtype: str, clip: str = "clamp"
) -> tuple[dict[str, np.ndarray], str, str]:
    """Round both stems to a sample format, so that they add up to the mixture in it.

    Parameters
    ----------
    mixture, vocals : ndarray, shape (C, N), full scale 1.0
    subtype : str
        Sample format. Float formats do not clip, so ``clip`` has no effect on them.
    clip : {"clamp", "rescale", "float"}
        How to handle clipping. "clamp": limit the vocals to the range in which both stems are within full scale. The
        overshoot of one stem goes to the other, and the sum stays exact. (A mixture beyond full scale is limited
        first.) "rescale": scale the whole recording by one gain; the stems add up to the mixture times that gain.
        "float": write both as 32-bit float, unchanged.

    Returns
    -------
    stems : dict of ndarray, shape (C, N)
        ``vocals`` and ``accompaniment``. For integer formats: int16, or int32 for more than 16 bits, scaled to fill
        that type. Float otherwise.
    subtype : str
        ``FLOAT`` if the rule is "float" and a stem would clip.
    note : str
        Message about clipping; empty if no stem would clip.
    """
    fit = fit_for([(mixture, vocals)], subtype, clip)
    stems = fit.stems(mixture, vocals)
    return stems, fit.subtype, fit.note


@dataclass
class Fit:
    """Rounding of the stems of a whole recording to a sample format, block by block.

    Attributes
    ----------
    subtype : str
        As returned by `fit_stems`.
    change : str
        Message about what "rescale" or "float" changed; empty if they changed nothing.
    gain : float, optional
        Gain of the whole recording with "rescale".
    n_clamped : int
        Samples of the blocks so far that exceeded full scale.
    """

    subtype: str
    change: str = ""
    gain: float | None = None
    n_clamped: int = 0

    @property
    def note(self) -> str:
        """Message about clipping, as returned by `fit_stems`; it is final after the last block."""
        if self.change or not self.n_clamped:
            return self.change
        return f"{_over(self.n_clamped)}; the peaks are clamped, and --clip rescale or float keeps them"

    def stems(self, mixture: np.ndarray, vocals: np.ndarray) -> dict[str, np.ndarray]:
        """Return the stems of a block, as `fit_stems` does; raise OutputError if a sample is not finite."""
        if self.subtype in _FLOATS:
            check_finite(mixture, vocals)
            return _float_stems(mixture, vocals, self.subtype)
        mixture, vocals = self._scaled(mixture), self._scaled(vocals)
        may_clip = self._count(mixture, vocals, mixture - vocals)
        if self.subtype in INTEGER_BITS:
            return _integer_stems(mixture, vocals, INTEGER_BITS[self.subtype], may_clip)
        mixture = np.clip(mixture, -1, 1)
        vocals = np.clip(vocals, np.maximum(-1, mixture - 1), np.minimum(1, mixture + 1))
        return _float_stems(mixture, vocals, "FLOAT")

    def sound(self, samples: np.ndarray) -> np.ndarray:
        """Return a block of a sound that is not one of two stems, shape (C, n), in the form of `stems`."""
        if self.subtype in _FLOATS:
            check_finite(samples)
            return samples.astype(_FLOATS[self.subtype])
        samples = self._scaled(samples)
        may_clip = self._count(samples)
        if self.subtype in INTEGER_BITS:
            n_bits = INTEGER_BITS[self.subtype]
            return _filling(_rounded(samples, n_bits, may_clip), n_bits)
        return np.clip(samples, -1, 1).astype(np.float32)

    def _scaled(self, samples: np.ndarray) -> np.ndarray:
        return samples if self.gain is None else samples * self.gain

    def _count(self, *sounds: np.ndarray) -> bool:
        """Count the samples beyond full scale; return whether any is closer to it than a step of the format."""
        n_over, low, high = _beyond(sounds, self.subtype)
        self.n_clamped += n_over
        step = 1 - _top(self.subtype)
        return float(low) < -1 + step or float(high) > 1 - 2 * step  # numbers of float32 would round the limits


def fit_for(blocks: Iterable[tuple[np.ndarray, ...]], subtype: str, clip: str) -> Fit:
    """Return the rounding for a recording.

    Parameters
    ----------
    blocks : iterable of tuple of ndarray, shape (C, n)
        Mixture and vocals block by block, or a single sound. It is not read if the rule does not depend on it.
    subtype, clip : str
        As for `fit_stems`.
    """
    if subtype in _FLOATS or clip == "clamp":
        return Fit(subtype)
    n_over, peak = 0, 0.0
    for block in blocks:
        n_more, low, high = _beyond((*block, block[0] - block[1]) if len(block) == 2 else block, subtype)
        n_over, peak = n_over + n_more, max(peak, high, -low)
    if not n_over:
        return Fit(subtype)
    over = _over(n_over)
    if clip == "float":
        return Fit("FLOAT", f"{over}; 32-bit float is written")
    gain = _top(subtype) / peak
    return Fit(subtype, f"{over}; scaled down by {-20 * np.log10(gain):.2f} dB", gain)


def _over(n_samples: int) -> str:
    return f"exceeds full scale at {counted(n_samples, 'sample')}"


def check_finite(*sounds: np.ndarray) -> None:
    """Raise OutputError if a sample is NaN or infinite."""
    if not all(samples.dtype.kind == "i" or np.isfinite(samples).all() for samples in sounds):
        raise OutputError("the stems are not written, because their samples are not finite; a setting is too extreme")


def _top(subtype: str) -> float:
    """Return the largest sample of a format."""
    return 1 - 2.0 ** (1 - INTEGER_BITS[subtype]) if subtype in INTEGER_BITS else 1.0


def _beyond(sounds: tuple[np.ndarray, ...], subtype: str) -> tuple[int, float, float]:
    """Return how many samples of some sounds exceed full scale in any of them, and the lowest and highest sample."""
    lows, highs = [x.min(initial=0) for x in sounds], [x.max(initial=0) for x in sounds]
    check_finite(np.array([*lows, *highs]))
    low, high, top = min(lows), max(highs), _top(subtype)
    if low >= -1 and high <= top:
        return 0, low, high
    return int(np.count_nonzero(np.logical_or.reduce([(x > top) | (x < -1) for x in sounds]))), low, high


def _float_stems(mixture: np.ndarray, vocals: np.ndarray, subtype: str) -> dict[str, np.ndarray]:
    dtype = _FLOATS[subtype]
    vocals = vocals.astype(dtype)
    return {"vocals": vocals, "accompaniment": mixture.astype(dtype) - vocals}


def _integer_stems(mixture: np.ndarray, vocals: np.ndarray, n_bits: int, may_clip: bool) -> dict[str, np.ndarray]:
    mixture, vocals = _rounded(mixture, n_bits, may_clip), _rounded(vocals, n_bits, may_clip)
    if may_clip:
        low, high = _limits(n_bits)
        # np.clip with arrays as limits takes ten times as long.
        vocals = np.minimum(np.maximum(vocals, mixture - high), mixture - low)
    return {"vocals": _filling(vocals, n_bits), "accompaniment": _filling(mixture - vocals, n_bits)}


def _rounded(samples: np.ndarray, n_bits: int, may_clip: bool) -> np.ndarray:
    """Return samples in steps of a format, as floats, which hold these and their differences exactly."""
    steps = samples.astype(float, copy=False) if n_bits == 32 else samples
    steps = steps * 2.0 ** (n_bits - 1)
    np.rint(steps, out=steps)
    return np.clip(steps, *_limits(n_bits), out=steps) if may_clip else steps


def _limits(n_bits: int) -> tuple[int, int]:
    return -(2 ** (n_bits - 1)), 2 ** (n_bits - 1) - 1


def _filling(steps: np.ndarray, n_bits: int) -> np.ndarray:
    """Return samples in steps of a format as integers that fill 16 or 32 bits."""
    n_filled, dtype = (16, np.int16) if n_bits <= 16 else (32, np.int32)
    return (steps if n_bits == n_filled else steps * 2.0 ** (n_filled - n_bits)).astype(dtype)
