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


def fit_for(blocks: Iterable[tuple[np.ndarray, np.ndarray]], subtype: str, clip: str) -> Fit:
    """Return the rounding for the blocks (mixture, vocals) of a recording; other parameters as for `fit_stems`."""
    if subtype in ("FLOAT", "DOUBLE"):
        return Fit(subtype)
    top = 1 - 2.0 ** (1 - INTEGER_BITS[subtype]) if subtype in INTEGER_BITS else 1.0
    n_over, peaks = 0, []
    for mixture, vocals in blocks:
        sounds = (mixture, vocals, mixture - vocals)
        n_over += int(np.count_nonzero(np.logical_or.reduce([_beyond(samples, top) for samples in sounds])))
        peaks.append(max(np.abs(samples).max(initial=0) for samples in sounds))
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
    if not all(np.isfinite(samples).all() for samples in sounds):
        raise OutputError("the stems are not written, because their samples are not finite; a setting is too extreme")


def _beyond(samples: np.ndarray, top: float) -> np.ndarray:
    return (samples > top) | (samples < -1)


def _float_stems(mixture: np.ndarray, vocals: np.ndarray, subtype: str) -> dict[str, np.ndarray]:
    dtype = np.float64 if subtype == "DOUBLE" else np.float32
    vocals = vocals.astype(dtype)
    return {"vocals": vocals, "accompaniment": mixture.astype(dtype) - vocals}


def _integer_stems(mixture: np.ndarray, vocals: np.ndarray, n_bits: int) -> dict[str, np.ndarray]:
    low, high = -(2 ** (n_bits - 1)), 2 ** (n_bits - 1) - 1
    mixture, vocals = (
        np.clip(np.rint(samples * 2.0 ** (n_bits - 1)), low, high).astype(np.int64 if n_bits == 32 else np.int32)
        for samples in (mixture, vocals)
    )
    vocals = np.clip(vocals, np.maximum(low, mixture - high), np.minimum(high, mixture - low))
    to_32_bits = 32 - n_bits
    return {
        "vocals": (vocals << to_32_bits).astype(np.int32),
        "accompaniment": ((mixture - vocals) << to_32_bits).astype(np.int32),
    }
