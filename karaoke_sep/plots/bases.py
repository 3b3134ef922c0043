"""Pictures of the bases of a trained model."""

import io
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..files.foreign import MARK
from .panels import BACKGROUND, INK, frequency_axis
from .raster import MAX_HZ, MIN_HZ

_N_ROWS, _DPI, _RANGE_DB = 400, 100, 35.0
_BEST_HZ = (MIN_HZ, 2000.0)  # where the peak of a basis is looked for that gives its place


def panel(B_KB: np.ndarray, edges_hz: np.ndarray, axes: Axes) -> Axes:
    """Draw bases beside each other over a logarithmic frequency, the brightest band of each basis at 0 dB.

    Parameters
    ----------
    B_KB : ndarray, shape (K, B), >= 0
    edges_hz : ndarray, shape (B + 1,), Hz
    axes : Axes
    """
    rows_hz = np.geomspace(MIN_HZ, min(MAX_HZ, edges_hz[-1]), _N_ROWS + 1)
    middles_hz = np.sqrt(rows_hz[1:] * rows_hz[:-1])
    bands = np.clip(np.searchsorted(edges_hz, middles_hz, side="right") - 1, 0, B_KB.shape[1] - 1)
    level_KR = 20 * np.log10(B_KB[:, bands] / (B_KB.max(axis=1, keepdims=True) + 1e-12) + 1e-6)
    place = np.arange(len(B_KB) + 1) + 0.5
    axes.pcolormesh(place, rows_hz, level_KR.T, rasterized=True, cmap="magma", vmin=-_RANGE_DB, vmax=0)
    axes.set_facecolor(BACKGROUND)
    return frequency_axis(axes)


def order(B_KB: np.ndarray, other_KB: np.ndarray, edges_hz: np.ndarray) -> np.ndarray:
    """Return the order in which bases are drawn, (K,): those of ``B_KB`` first, each half by the frequency of its peak.

    Parameters
    ----------
    B_KB, other_KB : ndarray, shape (K, B), >= 0
        Spectra of the same bases on either side.
    edges_hz : ndarray, shape (B + 1,), Hz
    """
    middles_hz = (edges_hz[1:] + edges_hz[:-1]) / 2
    searched = (middles_hz >= _BEST_HZ[0]) & (middles_hz <= _BEST_HZ[1])
    peak_K = np.argmax(np.where(searched, B_KB + other_KB, 0), axis=1)
    return np.lexsort((peak_K, other_KB.sum(axis=1) > B_KB.sum(axis=1)))


def png(panels: Mapping[str, np.ndarray], edges_hz: np.ndarray) -> bytes:
    """Return a picture of several sets of bases, one panel below the other.

    Parameters
    ----------
    panels : mapping of str to ndarray, shape (K, B)
        Bases by the title of their panel.
    edges_hz : ndarray, shape (B + 1,), Hz
    """
    figure = Figure(figsize=(12, 1 + 2.6 * len(panels)), dpi=_DPI, facecolor=BACKGROUND, layout="constrained")
    for axes, (title, B_KB) in zip(np.atleast_1d(figure.subplots(len(panels))), panels.items(), strict=True):
        panel(B_KB, edges_hz, axes)
        axes.set_title(title, loc="left", fontsize=11, color=INK)
        axes.tick_params(colors=INK)
        axes.yaxis.label.set_color(INK)
    axes.set_xlabel("basis", color=INK)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": MARK.decode()})
    return buffer.getvalue()
