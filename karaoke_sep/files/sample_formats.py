"""Properties of sample formats, by their names in libsndfile.

A format that libsndfile does not have, such as ``AAC``, is that of a lossy codec which ffmpeg decodes.
"""

import re

import numpy as np

_STEP = np.float32(2.0**-15)  # of 16-bit integers
INTEGER_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
EVEN = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
# Integer formats; 8-bit WAV files are unsigned.
KEPT = {"PCM_S8": "PCM_U8", "ALAC_16": "PCM_16", "ALAC_20": "PCM_24", "ALAC_24": "PCM_24", "ALAC_32": "PCM_32"}
_UNEVEN = re.compile("LAW|ADPCM|DPCM|GSM|G72|DWVW")


def from_16_bits(samples: np.ndarray) -> np.ndarray:
    """Return 16-bit integers as float32 with full scale 1.0."""
    return np.multiply(samples, _STEP, dtype=np.float32)


def full_scale_of(dtype: np.dtype) -> float:
    """Return the full scale of samples of a type: floats, or integers that fill their type."""
    return 2.0 ** (8 * dtype.itemsize - 1) if dtype.kind == "i" else 1.0


def sample_bytes(subtype: str) -> int:
    """Return the number of bytes of one sample in memory or in a WAV file; 4 for formats that are decoded to float."""
    return INTEGER_BITS.get(subtype, 64 if subtype == "DOUBLE" else 32) // 8


def is_wide(subtype: str) -> bool:
    """Return whether a format has values that float32 cannot represent."""
    return subtype in ("PCM_32", "ALAC_32", "DOUBLE")


def is_uneven(subtype: str) -> bool:
    """Return whether the quantisation of a format is not uniform, as in A-law, u-law and ADPCM."""
    return bool(_UNEVEN.search(subtype))


def is_lossy(subtype: str) -> bool:
    """Return whether a format is that of a lossy codec, such as MP3, Vorbis or AAC."""
    return not (subtype in EVEN or subtype in KEPT or is_uneven(subtype))
