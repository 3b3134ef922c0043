"""Round stems to a sample format so that they add up to the input.

- Integer formats: samples are rounded to the nearest step without dither, the vocals first; the accompaniment is the
  rounded mixture minus the rounded vocals. So the stems add up to the input exactly.
- Float formats: the accompaniment is the mixture minus the vocals, in that format.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import OutputError
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
        ``vocals`` and ``accompaniment``: int32, scaled to fill the 32 bits, for integer formats; float otherwise.
    subtype : str
        ``FLOAT`` if the rule is "float" and a stem would clip.
    note : str
        Message about clipping; empty if no stem would clip.
    """
    fit = fit_for([(mixture, vocals)], subtype, clip)
    return fit.stems(mixture, vocals), fit.subtype, fit.note


@dataclass(frozen=True)
class Fit:
    """Rounding of the stems of a whole recording to a sample format, block by block.

    Attributes
    ----------
    subtype, note : str
        As returned by `fit_stems`.
    gain : float, optional
        Gain of the whole recording with "rescale".
    """

    subtype: str
    note: str = ""
    gain: np.floating | None = None

    def stems(self, mixture: np.ndarray, vocals: np.ndarray) -> dict[str, np.ndarray]:
        """Return the stems of a block, as `fit_stems` does; raise OutputError if a sample is not finite."""
        check_finite(mixture, vocals)
        if self.subtype in ("FLOAT", "DOUBLE"):
            return _float_stems(mixture, vocals, self.subtype)
        if self.gain is not None:
            mixture, vocals = mixture * self.gain, vocals * self.gain
        if self.subtype in INTEGER_BITS:
            return _integer_stems(mixture, vocals, INTEGER_BITS[self.subtype])
        mixture = np.clip(mixture, -1, 1)
        vocals = np.clip(vocals, np.maximum(-1, mixture - 1), np.minimum(1, mixture + 1))
        return _float_stems(mixture, vocals, "FLOAT")

    def sound(self, samples: np.ndarray) -> np.ndarray:
        """Return a block of a sound that is not one of two stems, shape (C, n), in the form of `stems`."""
        check_finite(samples)
        if self.subtype in ("FLOAT", "DOUBLE"):
            return samples.astype(_FLOATS[self.subtype])
        samples = samples if self.gain is None else samples * self.gain
        if self.subtype in INTEGER_BITS:
            return _filling_32_bits(_integers(samples, INTEGER_BITS[self.subtype]), INTEGER_BITS[self.subtype])
        return np.clip(samples, -1, 1).astype(np.float32)


def fit_for(blocks: Iterable[tuple[np.ndarray, ...]], subtype: str, clip: str) -> Fit:
    """Return the rounding for a recording.

    Parameters
    ----------
    blocks : iterable of tuple of ndarray, shape (C, n)
        Mixture and vocals block by block, or a single sound.
    subtype, clip : str
        As for `fit_stems`.
    """
    if subtype in ("FLOAT", "DOUBLE"):
        return Fit(subtype)
    top = 1 - 2.0 ** (1 - INTEGER_BITS[subtype]) if subtype in INTEGER_BITS else 1.0
    n_over, peaks = 0, []
    for block in blocks:
        sounds = (*block, block[0] - block[1]) if len(block) == 2 else block
        high, low = max(x.max(initial=0) for x in sounds), min(x.min(initial=0) for x in sounds)
        if high > top or low < -1:
            n_over += int(np.count_nonzero(np.logical_or.reduce([_beyond(samples, top) for samples in sounds])))
        peaks.append(max(high, -low))
    if not n_over:
        return Fit(subtype)
    if clip == "float":
        return Fit("FLOAT", f"{n_over} samples exceed full scale; written as 32-bit float")
    if clip == "rescale":
        gain = top / max(peaks)
        return Fit(subtype, f"{n_over} samples exceed full scale; scaled down by {-20 * np.log10(gain):.2f} dB", gain)
    return Fit(subtype, f"{n_over} samples exceed full scale and are clamped; --clip rescale or float keeps them")


def check_finite(*sounds: np.ndarray) -> None:
    """Raise OutputError if a sample is NaN or infinite."""
    if not all(samples.dtype.kind == "i" or np.isfinite(samples).all() for samples in sounds):
        raise OutputError("the stems are not written, because their samples are not finite; a setting is too extreme")


def _beyond(samples: np.ndarray, top: float) -> np.ndarray:
    return (samples > top) | (samples < -1)


def _float_stems(mixture: np.ndarray, vocals: np.ndarray, subtype: str) -> dict[str, np.ndarray]:
    dtype = _FLOATS[subtype]
    vocals = vocals.astype(dtype)
    return {"vocals": vocals, "accompaniment": mixture.astype(dtype) - vocals}


def _integer_stems(mixture: np.ndarray, vocals: np.ndarray, n_bits: int) -> dict[str, np.ndarray]:
    low, high = _limits(n_bits)
    mixture, vocals = _integers(mixture, n_bits), _integers(vocals, n_bits)
    # np.clip with arrays as limits takes ten times as long.
    vocals = np.minimum(np.maximum(vocals, mixture - high), mixture - low)
    return {
        "vocals": _filling_32_bits(vocals, n_bits),
        "accompaniment": _filling_32_bits(mixture - vocals, n_bits),
    }


def _integers(samples: np.ndarray, n_bits: int) -> np.ndarray:
    scaled = samples.astype(float if n_bits == 32 else samples.dtype) * 2.0 ** (n_bits - 1)
    np.rint(scaled, out=scaled)
    return np.clip(scaled, *_limits(n_bits), out=scaled).astype(np.int64 if n_bits == 32 else np.int32)


def _limits(n_bits: int) -> tuple[int, int]:
    return -(2 ** (n_bits - 1)), 2 ** (n_bits - 1) - 1


def _filling_32_bits(samples: np.ndarray, n_bits: int) -> np.ndarray:
    return (samples << (32 - n_bits)).astype(np.int32, copy=False)
