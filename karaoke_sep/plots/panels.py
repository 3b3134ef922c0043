"""Colours, axes and panels that all pictures share, and the PNG file."""

import io
import json
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..files.foreign import MARK
from .raster import MAX_COLUMNS, MAX_HZ, MIN_HZ, Grid

AXES_KEY = f"{MARK.decode()} axes"  # text of a PNG that says where its time axis lies
# The background is dark, so that the picture can be read on white and on black pages.
BACKGROUND, INK, VOICE, TRUTH, WRONG = "#14141c", "#d8d8e0", "#5ce1ff", "#ffd75c", "#ff5c7a"
TOO_LITTLE_TOO_MUCH = LinearSegmentedColormap.from_list("karaoke_sep", ["#5c9dff", BACKGROUND, WRONG])
SMALL: dict[str, Any] = {"fontsize": 9, "color": INK}

_TICKS_HZ = {100: "100", 200: "200", 500: "500", 1000: "1k", 2000: "2k", 5000: "5k"}
_DPI = 100
_LEFT_IN, _RIGHT_IN, _TOP_IN, _GAP_IN, _BOTTOM_IN = 0.65, 0.15, 0.35, 0.4, 0.55
_TITLE_IN = 0.4
_MAX_TITLE = 100  # characters
# Fonts of Linux, macOS and Windows with the scripts that the font of matplotlib has not.
_FONTS = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "PingFang SC", "Yu Gothic", "MS Gothic"),
    *("Microsoft YaHei", "Malgun Gothic", "Arial Unicode MS", "Noto Sans", "Noto Sans Thai", "Noto Sans Devanagari"),
)
_COMPRESSION = 4  # the file is 4 % larger than with 9, which takes seven times as long
_N_COLOURS = 128  # the file is then a fifth as large, and the difference is hardly visible


def panels(heights_in: Mapping[str, float], seconds: float, title: str = "") -> tuple[Figure, dict[str, Axes]]:
    """Return a figure and its panels, one below the other, with one time axis.

    The figure is at least 12 inches wide, and has 10 dots for each second.
    """
    width_in = min(max(12.0, 0.1 * seconds), 120.0)
    above_in = _TOP_IN + _TITLE_IN * bool(title)
    height_in = above_in + sum(heights_in.values()) + _GAP_IN * (len(heights_in) - 1) + _BOTTOM_IN
    figure = Figure(figsize=(width_in, height_in), dpi=_DPI, facecolor=BACKGROUND)
    top_in, axes = height_in - above_in, {}
    for name, panel_in in heights_in.items():
        left, width = _LEFT_IN / width_in, 1 - (_LEFT_IN + _RIGHT_IN) / width_in
        axis = figure.add_axes((left, (top_in - panel_in) / height_in, width, panel_in / height_in))
        axis.set_title(name, loc="left", fontsize=11, color=INK)
        axis.set(xlim=(0, seconds), facecolor=BACKGROUND)
        axis.xaxis.set_major_locator(MaxNLocator(round(width_in), steps=[1, 2, 5, 10]))
        axis.tick_params(colors=INK, labelbottom=False)
        axis.xaxis.label.set_color(INK)
        axis.yaxis.label.set_color(INK)
        axes[name] = axis
        top_in -= panel_in + _GAP_IN
    axis.tick_params(labelbottom=True)
    time_axis(axis)
    if title:
        place: dict[str, Any] = {"x": _LEFT_IN / width_in, "y": 1 - 0.1 / height_in, "va": "top"}
        figure.text(**place, s=_shown(title), fontsize=14, color=INK, fontfamily=_fonts(), parse_math=False)
    return figure, axes


def _shown(title: str) -> str:
    """Return a title without control characters and bytes that are not UTF-8, and not too long."""
    title = title.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    title = "".join(c if c.isprintable() else " " for c in title)
    return title if len(title) <= _MAX_TITLE else title[: _MAX_TITLE - 1] + "…"


def _fonts() -> list[str]:
    """Return the font of matplotlib, and the installed fonts for other scripts."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _FONTS if name in installed)]


def time_axis(axes: Axes) -> Axes:
    """Label the time axis, unless it is that of the panel below."""
    if axes.xaxis.get_tick_params()["labelbottom"]:
        axes.set_xlabel("time, s")
    return axes


def legend(axes: Axes) -> None:
    """Write the legend beside the title, where it hides nothing."""
    place: dict[str, Any] = {
        "loc": "lower right",
        "bbox_to_anchor": (1, 1),
        "borderaxespad": 0,
        "borderpad": 0.2,
        "ncols": 4,
    }
    axes.legend(**place, reverse=True, fontsize=9, frameon=False, labelcolor=INK)


def dots(axes: Axes) -> tuple[int, int]:
    """Return how many rows and columns of dots axes have, so that each value of a plane has a dot of its own."""
    return round(axes.bbox.height), min(round(axes.bbox.width), MAX_COLUMNS)


def plane(axes: Axes, values_RK: np.ndarray, grid: Grid, **colours: Any) -> Axes:
    """Draw values in the rows and columns of a grid, shape (R, K)."""
    # The rows are equally high on the logarithmic axis, so an image has its place there before that axis is scaled. A
    # mesh of quadrilaterals takes three times as long.
    extent = (*grid.edges_s[[0, -1]], np.log10(MIN_HZ), np.log10(MAX_HZ))
    place: dict[str, Any] = {"extent": extent, "transform": axes.transLimits + axes.transAxes}
    axes.imshow(values_RK, origin="lower", aspect="auto", interpolation="nearest", **place, **colours)
    axes.set_facecolor(BACKGROUND)
    return frequency_axis(time_axis(axes))


def frequency_axis(axes: Axes) -> Axes:
    """Give axes a logarithmic frequency axis in Hz."""
    axes.set(yscale="log", ylim=(MIN_HZ, MAX_HZ), ylabel="Hz")
    axes.set_yticks(list(_TICKS_HZ), list(_TICKS_HZ.values()))
    axes.minorticks_off()
    return axes


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG file with few colours, which also says where its time axis lies.

    Its text `AXES_KEY` is JSON: "left" and "right" of the axis as shares of the width, and its length in "seconds".
    """
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # no installed font has the script of the title
        canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    # Maximum coverage keeps rare colours, such as that of the contour. The median cut drops them.
    rule = PIL.Image.Quantize.MAXCOVERAGE
    image = PIL.Image.fromarray(pixels).quantize(_N_COLOURS, rule, dither=PIL.Image.Dither.NONE)
    palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    palette[np.asarray(image)[0, 0]] = pixels[0, 0]  # the background is the same in all pictures
    image.putpalette(palette.tobytes(), "RGB")
    box, (_, seconds) = figure.axes[0].get_position(), figure.axes[0].get_xlim()
    text = PIL.PngImagePlugin.PngInfo()
    text.add_text(AXES_KEY, json.dumps({"left": box.x0, "right": box.x1, "seconds": seconds}))
    buffer = io.BytesIO()
    image.save(buffer, "png", compress_level=_COMPRESSION, pnginfo=text)
    return buffer.getvalue()
