"""Pictures of sounds, pitch and masks, for files and notebooks. They need matplotlib, the extra [plots].

Functions that draw take axes and return them, so they fit into any figure. Times are in s. Frequencies are in Hz, on a
logarithmic axis. `separation` and `comparison` return whole figures, and `png` makes a file of one.

>>> figure, axes = plt.subplots()                                             # doctest: +SKIP
>>> plots.contour(result.track, plots.spectrogram(result.vocals, axes))       # doctest: +SKIP
"""

from .comparisons import compare_masks, compare_pitch, compare_timbre, comparison
from .panels import AXES_KEY, png
from .separations import contour, loudest_db, mask, separation, spectrogram, voicing

__all__ = [
    "AXES_KEY",
    "compare_masks",
    "compare_pitch",
    "compare_timbre",
    "comparison",
    "contour",
    "loudest_db",
    "mask",
    "png",
    "separation",
    "spectrogram",
    "voicing",
]
