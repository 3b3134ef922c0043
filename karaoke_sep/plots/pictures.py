"""Pictures of sounds, pitch and masks, for files and notebooks; matplotlib is the extra [plots].

A function that draws takes axes and gives them back, so that it fits into any figure; times are in s, frequencies in Hz
on a logarithmic axis. Where several frames and bins share a dot, the loudest of them is drawn: a note of 100 ms is
then still seen in a song of five minutes.

>>> figure, axes = plt.subplots()                                             # doctest: +SKIP
>>> plots.contour(result.track, plots.spectrogram(result.vocals, axes))       # doctest: +SKIP
"""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import soxr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..dsp import timbre
from ..dsp.scales import cents
from ..dsp.stft import Params as StftParams
from ..dsp.stft import fast_even_length, stft
from ..recording import Combination, Resampled, Samples
from ..steps import harmonic_mask
from ..types import Audio, PitchTrack, Spectrum

MIN_HZ, MAX_HZ = 80.0, 8000.0
RANGE_DB = 70.0
SILENT_DB = 60.0  # what is so far under the loudest is not compared
AXES_KEY = "karaoke-sep axes"  # text of a PNG that says where its time axis lies

_RATE_HZ = 16_000  # of what is drawn; the axis ends at half of it
_WINDOW_MS, _HOP_MS = 80.0, 16.0
_N_COLUMNS, _N_ROWS = 3000, 240
_BLOCK_FRAMES = 4000  # of 16 ms: about a minute, so that an hour takes no more memory than that
_TICKS_HZ = {100: "100", 200: "200", 500: "500", 1000: "1k", 2000: "2k", 5000: "5k"}
_VOICED = 0.5

# A dark background of its own, so that the picture can be read on white and on black pages.
_BACKGROUND, _INK, _VOICE, _TRUTH, _WRONG = "#14141c", "#d8d8e0", "#5ce1ff", "#ffd75c", "#ff5c7a"
_TOO_LITTLE_TOO_MUCH = LinearSegmentedColormap.from_list("karaoke_sep", ["#5c9dff", _BACKGROUND, _WRONG])
_SMALL: dict[str, Any] = {"fontsize": 9, "color": _INK}
_DPI = 100
_LEFT_IN, _RIGHT_IN, _TOP_IN, _GAP_IN, _BOTTOM_IN = 0.65, 0.15, 0.35, 0.4, 0.55
_N_COLOURS = 128  # a fifth of the file's size; the eye sees hardly a difference


# ----------------------------------------------------------------------------------------------------- single panels


def spectrogram(audio: Samples, axes: Axes, *, loudest_db: float | None = None) -> Axes:
    """Draw the level of a sound over time and frequency.

    Parameters
    ----------
    audio : Audio, (C, N)
    axes : Axes
    loudest_db : float, optional
        Level with the brightest colour, as `loudest_db` gives it, so that several sounds share one scale; that of this
        sound if missing. The darkest is 70 dB below.
    """
    power_RK, edges_s = _power(audio)
    level_RK = 10 * np.log10(power_RK + 1e-18)
    top_db = level_RK.max() if loudest_db is None else loudest_db
    return _plane(axes, level_RK - top_db, edges_s, cmap="magma", vmin=-RANGE_DB, vmax=0)


def loudest_db(*sounds: Samples) -> float:
    """Return the highest level in the spectrograms of some sounds, dB."""
    return max(10 * np.log10(_power(sound)[0].max() + 1e-18) for sound in sounds)


def contour(track: PitchTrack, axes: Axes, *, color: str = _VOICE, label: str = "pitch") -> Axes:
    """Draw a pitch: a line where it is more likely sung than not, thin and dim where it is not."""
    sung = track.voicing >= _VOICED
    dim: dict[str, Any] = {"linewidth": 0.6, "alpha": 0.5, "label": f"{label}, voicing under {_VOICED:g}"}
    axes.plot(track.times_s, np.where(sung, np.nan, track.f0_hz), color=color, **dim)
    axes.plot(track.times_s, np.where(sung, track.f0_hz, np.nan), color=color, linewidth=1.3, label=label)
    return axes


def voicing(track: PitchTrack, axes: Axes) -> Axes:
    """Draw the voicing over time, 0 to 1."""
    axes.fill_between(track.times_s, track.voicing, color=_VOICE, linewidth=0, alpha=0.8)
    axes.set(ylim=(0, 1), yticks=(0, 1))
    return axes


def mask(
    track: PitchTrack,
    seconds: float,
    axes: Axes,
    params: harmonic_mask.Params | None = None,
    plane: StftParams | None = None,
) -> Axes:
    """Draw the harmonic mask of a pitch: the bins that may hold the voice.

    Parameters
    ----------
    track : PitchTrack
    seconds : float
        Length of the song.
    axes : Axes
    params : harmonic_mask.Params, optional
    plane : stft.Params, optional
        Frames and bins of the mask, as in the config.
    """
    params, plane = params or harmonic_mask.Params(), plane or StftParams()
    n_fft, hop = fast_even_length(plane.window_ms * _RATE_HZ / 1000), round(plane.hop_ms * _RATE_HZ / 1000)
    n_bins = n_fft // 2 + 1

    def weights(start: int, stop: int) -> np.ndarray:
        empty = np.broadcast_to(np.complex64(0), (1, n_bins, stop - start))
        local = replace(track, times_s=track.times_s - start * hop / _RATE_HZ)
        found = harmonic_mask.harmonic_mask(local, Spectrum(empty, _RATE_HZ, n_fft, hop, 0), n_bins, params)
        return found.spread(found.weights).T

    n_frames = 1 + round(seconds * _RATE_HZ) // hop
    weight_RK, edges_s = _reduced(weights, n_frames, hop / _RATE_HZ, _RATE_HZ / n_fft, np.add)
    return _plane(axes, weight_RK, edges_s, cmap="magma", vmin=0, vmax=1)


# ------------------------------------------------------------------------------------------- comparisons with the truth


def compare_pitch(track: PitchTrack, truth: PitchTrack, axes: Axes) -> Axes:
    """Draw estimated and true pitch; red where a sung frame is off by 50 cents or more, or counts as unsung."""
    found = track.at(truth.times_s)
    distance_cents = np.abs(cents(found.f0_hz, truth.f0_hz))
    right = (distance_cents < 50) & (found.voicing >= _VOICED)
    axes.plot(truth.times_s, truth.f0_hz, color=_TRUTH, linewidth=2.5, alpha=0.7, label="true pitch")
    contour(track, axes, label="found pitch")
    axes.plot(truth.times_s, np.where(right, np.nan, truth.f0_hz), color=_WRONG, linewidth=2.5, label="missed")
    return _frequency_axis(axes)


def compare_masks(stems: tuple[Audio, Audio], true_stems: tuple[Audio, Audio], axes: Axes) -> Axes:
    """Draw the share of the voice in each bin of some stems, less that in the true ones.

    Red where music went to the vocals, blue where voice stayed in the accompaniment; dark where all is right, or
    silent.

    Parameters
    ----------
    stems, true_stems : tuple of two Audio, (C, N)
        Vocals and accompaniment.
    axes : Axes
    """
    (V, edges_s), A, true_V, true_A = _power(stems[0]), *(_power(x)[0] for x in (stems[1], *true_stems))
    share, true_share = (np.sqrt(v) / (np.sqrt(v) + np.sqrt(a) + 1e-9) for v, a in ((V, A), (true_V, true_A)))
    total = true_V + true_A
    audible = total > total.max() * 10 ** (-SILENT_DB / 10)
    return _plane(axes, (share - true_share) * audible, edges_s, cmap=_TOO_LITTLE_TOO_MUCH, vmin=-1, vmax=1)


def compare_timbre(vocals: Audio, true_vocals: Audio, axes: Axes) -> Axes:
    """Draw the mel-frequency cepstra of separated less true vocals, from the second on, where either sounds.

    The first coefficient is the level; the second is the tilt of the spectrum, higher ones are finer shapes.
    """
    cepstra, audible_T = [], np.zeros(1, bool)
    for sound in (vocals, true_vocals):
        spectrum = stft(_resampled(sound), _WINDOW_MS, _HOP_MS)
        S_TF = np.ascontiguousarray(spectrum.magnitude.T)
        power_T = np.sum(S_TF**2, axis=1)
        audible_T = audible_T | (power_T > power_T.max() * 10 ** (-SILENT_DB / 10))
        cepstra.append(timbre.cepstra(S_TF, spectrum.rate_hz / spectrum.n_fft))
    difference_DT = ((cepstra[0] - cepstra[1]) * audible_T[:, None])[:, 1:].T
    per_column = max(1, -(-difference_DT.shape[1] // _N_COLUMNS))
    starts = np.arange(0, difference_DT.shape[1], per_column)
    mean_DK = np.add.reduceat(difference_DT, starts, axis=1) / np.diff([*starts, difference_DT.shape[1]])
    edges_s = np.append(starts, difference_DT.shape[1]) * _HOP_MS / 1000
    axes.pcolormesh(edges_s, np.arange(len(mean_DK) + 1) + 1.5, mean_DK, cmap=_TOO_LITTLE_TOO_MUCH, vmin=-15, vmax=15)
    axes.set(ylabel="coefficient", facecolor=_BACKGROUND)
    return axes


# ----------------------------------------------------------------------------------------------------- whole pictures


def separation(
    vocals: Samples,
    accompaniment: Samples,
    track: PitchTrack,
    mask_params: harmonic_mask.Params | None = None,
    plane: StftParams | None = None,
) -> Figure:
    """Draw mixture, vocals with the pitch, accompaniment on one scale, the harmonic mask, and the voicing.

    Parameters
    ----------
    vocals, accompaniment : Samples, (C, N)
    track : PitchTrack
    mask_params, plane : Params, optional
        As for `mask`.
    """
    mixture, seconds = Combination(vocals, accompaniment, 1), vocals.n_samples / vocals.rate_hz
    sounds = {"mixture": mixture, "vocals": vocals, "accompaniment": accompaniment}
    heights_in = {**dict.fromkeys(sounds, 1.9), "harmonic mask": 1.9, "voicing": 0.5}
    figure, axes = _panels(heights_in, seconds)
    top_db = loudest_db(*sounds.values())
    for name, sound in sounds.items():
        spectrogram(sound, axes[name], loudest_db=top_db)
    axes["mixture"].set_title(f"in all three, black is {RANGE_DB:.0f} dB under the brightest", loc="right", **_SMALL)
    contour(track, axes["vocals"])
    _legend(axes["vocals"])
    mask(track, seconds, axes["harmonic mask"], mask_params, plane)
    voicing(track, axes["voicing"])
    axes["voicing"].set_title("how likely the pitch is that of somebody who sings", loc="right", **_SMALL)
    return figure


def comparison(
    stems: tuple[Audio, Audio], true_stems: tuple[Audio, Audio], track: PitchTrack | None, truth: PitchTrack | None
) -> Figure:
    """Draw pitch, masks and timbre against the truth; the pitch where both are given.

    Parameters
    ----------
    stems, true_stems : tuple of two Audio, (C, N)
        Vocals and accompaniment.
    track, truth : PitchTrack, optional
    """
    heights_in = {
        "pitch": 1.9,
        "voice's share less the true one (red: too much, blue: too little)": 1.9,
        "cepstra (MFCC) of the vocals less the true ones": 1.3,
    }
    if track is None or truth is None:
        track = truth = None
        del heights_in["pitch"]
    figure, axes = _panels(heights_in, stems[0].duration_s)
    masks, cepstra = list(axes.values())[-2:]
    if track and truth:
        compare_pitch(track, truth, axes["pitch"])
        pitches_hz = truth.f0_hz[np.isfinite(truth.f0_hz)]
        if len(pitches_hz):
            axes["pitch"].set_ylim(pitches_hz.min() / 1.5, pitches_hz.max() * 1.5)
        _legend(axes["pitch"])
    compare_masks(stems, true_stems, masks)
    compare_timbre(stems[0], true_stems[0], cepstra)
    return figure


def png(figure: Figure) -> bytes:
    """Return a small picture, with few colours, that holds the position of its time axis.

    The text `AXES_KEY` holds, as JSON, "left" and "right", shares of the width, and "seconds", from left to right.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    # Maximum coverage keeps rare colours, such as that of the contour; the median cut would drop them.
    rule = PIL.Image.Quantize.MAXCOVERAGE
    image = PIL.Image.fromarray(pixels).quantize(_N_COLOURS, rule, dither=PIL.Image.Dither.NONE)
    palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    palette[np.asarray(image)[0, 0]] = pixels[0, 0]  # the background is the same in all pictures
    image.putpalette(palette.tobytes(), "RGB")
    box, (_, seconds) = figure.axes[0].get_position(), figure.axes[0].get_xlim()
    text = PIL.PngImagePlugin.PngInfo()
    text.add_text(AXES_KEY, json.dumps({"left": box.x0, "right": box.x1, "seconds": seconds}))
    buffer = io.BytesIO()
    image.save(buffer, "png", optimize=True, pnginfo=text)
    return buffer.getvalue()


def _panels(heights_in: Mapping[str, float], seconds: float) -> tuple[Figure, dict[str, Axes]]:
    """Lay out panels below each other with one time axis, at least 12 inches wide and 10 dots for each second."""
    width_in = min(max(12.0, 0.1 * seconds), 120.0)
    height_in = _TOP_IN + sum(heights_in.values()) + _GAP_IN * (len(heights_in) - 1) + _BOTTOM_IN
    figure = Figure(figsize=(width_in, height_in), dpi=_DPI, facecolor=_BACKGROUND)
    top_in, axes = height_in - _TOP_IN, {}
    for name, panel_in in heights_in.items():
        left, width = _LEFT_IN / width_in, 1 - (_LEFT_IN + _RIGHT_IN) / width_in
        axis = figure.add_axes((left, (top_in - panel_in) / height_in, width, panel_in / height_in))
        axis.set_title(name, loc="left", fontsize=11, color=_INK)
        axis.set(xlim=(0, seconds), facecolor=_BACKGROUND)
        axis.xaxis.set_major_locator(MaxNLocator(round(width_in), steps=[1, 2, 5, 10]))
        axis.tick_params(colors=_INK, labelbottom=False)
        axis.xaxis.label.set_color(_INK)
        axis.yaxis.label.set_color(_INK)
        axes[name] = axis
        top_in -= panel_in + _GAP_IN
    axis.tick_params(labelbottom=True)
    axis.set_xlabel("time, s")
    return figure, axes


def _legend(axes: Axes) -> None:
    # Beside the title, where it hides nothing.
    place: dict[str, Any] = {
        "loc": "lower right",
        "bbox_to_anchor": (1, 1),
        "borderaxespad": 0,
        "borderpad": 0.2,
        "ncols": 4,
    }
    axes.legend(**place, reverse=True, fontsize=9, frameon=False, labelcolor=_INK)


# ------------------------------------------------------------------------------------------------------ to few dots


def _plane(axes: Axes, values_RK: np.ndarray, edges_s: np.ndarray, **colours: Any) -> Axes:
    axes.pcolormesh(edges_s, _row_edges_hz(), values_RK, rasterized=True, **colours)
    axes.set_facecolor(_BACKGROUND)
    return _frequency_axis(axes)


def _frequency_axis(axes: Axes) -> Axes:
    axes.set(yscale="log", ylim=(MIN_HZ, MAX_HZ), ylabel="Hz")
    axes.set_yticks(list(_TICKS_HZ), list(_TICKS_HZ.values()))
    axes.minorticks_off()
    return axes


def _row_edges_hz() -> np.ndarray:
    return np.geomspace(MIN_HZ, MAX_HZ, _N_ROWS + 1)


def _power(audio: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Return the power of a sound on few rows and columns, shape (R, K), and the column edges, s, shape (K + 1,)."""
    sound = Resampled(audio, _RATE_HZ)
    hop = round(_HOP_MS * _RATE_HZ / 1000)
    context = -(-round(_WINDOW_MS * _RATE_HZ / 1000) // hop)

    def power(start: int, stop: int) -> np.ndarray:
        first = max(0, start - context)
        part = sound.excerpt(first * hop, min(sound.n_samples, (stop + context) * hop))
        return stft(part, _WINDOW_MS, _HOP_MS).magnitude[:, start - first : stop - first] ** 2

    bin_hz = _RATE_HZ / fast_even_length(_WINDOW_MS * _RATE_HZ / 1000)
    return _reduced(power, 1 + sound.n_samples // hop, hop / _RATE_HZ, bin_hz)


def _reduced(
    values: Callable, n_frames: int, hop_s: float, bin_hz: float, rule: np.ufunc = np.maximum
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest of the values that share a dot; or, in time, their mean.

    Parameters
    ----------
    values : callable
        From the first frame and the first after the last to what is drawn there, shape (F, T).
    n_frames : int
    hop_s, bin_hz : float
    rule : np.maximum or np.add
        The latter gives the mean over time.

    Returns
    -------
    values_RK : ndarray, rows of `_row_edges_hz` and columns
    edges_s : ndarray, shape (K + 1,), s
    """
    per_column = -(-n_frames // _N_COLUMNS)
    per_block = max(1, _BLOCK_FRAMES // per_column) * per_column
    low = np.rint(_row_edges_hz() / bin_hz).astype(int)
    low, high = low[:-1], np.maximum(low[1:], low[:-1] + 1)
    rows = np.stack([low, high], axis=1).ravel()  # reduceat goes from each to the next; every other is wanted
    blocks = []
    for start in range(0, n_frames, per_block):
        values_FT = np.pad(values(start, min(start + per_block, n_frames)), ((0, 1), (0, 0)))
        starts = np.arange(0, values_FT.shape[1], per_column)
        columns_FK = rule.reduceat(values_FT, starts, axis=1)
        if rule is np.add:
            columns_FK /= np.diff([*starts, values_FT.shape[1]])
        blocks.append(np.maximum.reduceat(columns_FK, rows, axis=0)[::2])
    values_RK = np.concatenate(blocks, axis=1)
    edges_s = (np.arange(values_RK.shape[1] + 1) * per_column - 0.5) * hop_s  # a frame is centred at its time
    return values_RK, edges_s


def _resampled(audio: Audio) -> Audio:
    """Resample to the rate of the picture, which shows nothing above half of it."""
    if audio.rate_hz == _RATE_HZ:
        return audio
    return Audio(soxr.resample(audio.samples.T, audio.rate_hz, _RATE_HZ).T, _RATE_HZ)
