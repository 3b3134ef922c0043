"""Pictures of a separation: spectrograms, pitch, harmonic mask and voicing."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..dsp.stft import Params as StftParams
from ..dsp.stft import fast_even_length
from ..recording import Samples, shifted
from ..steps import harmonic_mask
from ..types import PitchTrack, Spectrum
from .panels import SMALL, VOICE, dots, legend, panels, plane, time_axis
from .raster import RATE_HZ, Grid, powers

RANGE_DB = 70.0
SUNG_FROM = 0.5  # voicing


def spectrogram(audio: Samples, axes: Axes, *, loudest_db: float | None = None) -> Axes:
    """Draw the level of a sound over time and frequency.

    Parameters
    ----------
    audio : Audio, (C, N)
    axes : Axes
    loudest_db : float, optional
        Level of the brightest colour, from `loudest_db`, if several sounds share one scale. The default is the highest
        level of this sound. The darkest colour is 70 dB below.
    """
    grid = Grid.of(audio.n_samples / audio.rate_hz)
    [level_RK] = _levels(grid, audio)
    return _draw_levels(level_RK, grid, axes, level_RK.max() if loudest_db is None else loudest_db)


def loudest_db(*sounds: Samples) -> float:
    """Return the highest level in the spectrograms of some sounds, dB."""
    return max(_levels(Grid.of(sound.n_samples / sound.rate_hz), sound)[0].max() for sound in sounds)


def _levels(grid: Grid, *sounds: Samples, with_sum: bool = False) -> list[np.ndarray]:
    """Return the levels of sounds in dB, each of shape (R, K); see `raster.powers`."""
    return [10 * np.log10(power_RK + 1e-18) for power_RK in powers(grid, *sounds, with_sum=with_sum)]


def _draw_levels(level_RK: np.ndarray, grid: Grid, axes: Axes, top_db: float) -> Axes:
    return plane(axes, level_RK - top_db, grid, cmap="magma", vmin=-RANGE_DB, vmax=0)


def contour(track: PitchTrack, axes: Axes, *, color: str = VOICE, label: str = "pitch") -> Axes:
    """Draw a pitch: a line where the voicing is at least 0.5, thin and dim elsewhere."""
    sung = track.voicing >= SUNG_FROM
    dim: dict[str, Any] = {"linewidth": 0.6, "alpha": 0.5, "label": f"{label}, voicing under {SUNG_FROM:g}"}
    axes.plot(track.times_s, np.where(sung, np.nan, track.f0_hz), color=color, **dim)
    axes.plot(track.times_s, np.where(sung, track.f0_hz, np.nan), color=color, linewidth=1.3, label=label)
    axes.set_ylabel("Hz")
    return time_axis(axes)


def voicing(track: PitchTrack, axes: Axes) -> Axes:
    """Draw the voicing over time, 0 to 1."""
    axes.fill_between(track.times_s, track.voicing, color=VOICE, linewidth=0, alpha=0.8)
    axes.set(ylim=(0, 1), yticks=(0, 1))
    return time_axis(axes)


def mask(
    track: PitchTrack,
    seconds: float,
    axes: Axes,
    params: harmonic_mask.Params | None = None,
    resolution: StftParams | None = None,
) -> Axes:
    """Draw the harmonic mask of a pitch: the bins that may hold the voice.

    Parameters
    ----------
    track : PitchTrack
    seconds : float
        Length of the song.
    axes : Axes
    params : harmonic_mask.Params, optional
    resolution : stft.Params, optional
        Its window gives the bins of the mask, as in the config.
    """
    return _draw_mask(track, Grid.of(seconds), axes, params or harmonic_mask.Params(), resolution or StftParams())


def _draw_mask(track: PitchTrack, grid: Grid, axes: Axes, params: harmonic_mask.Params, resolution: StftParams) -> Axes:
    n_fft = fast_even_length(resolution.window_ms * RATE_HZ / 1000)
    n_bins, columns = n_fft // 2 + 1, []
    for start, stop in grid.blocks():
        empty = np.broadcast_to(np.complex64(0), (1, n_bins, stop - start))
        local = shifted(track, -start * grid.hop / RATE_HZ)
        found = harmonic_mask.harmonic_mask(local, Spectrum(empty, RATE_HZ, n_fft, grid.hop, 0), n_bins, params)
        columns.append(grid.means(found.spread(found.weights)))
    weight_RK = grid.rows(np.concatenate(columns), RATE_HZ / n_fft)
    return plane(axes, weight_RK, grid, cmap="magma", vmin=0, vmax=1)


def separation(
    vocals: Samples,
    accompaniment: Samples,
    track: PitchTrack,
    mask_params: harmonic_mask.Params | None = None,
    resolution: StftParams | None = None,
    *,
    title: str = "",
) -> Figure:
    """Draw mixture, vocals with the pitch, and accompaniment on one scale, then the harmonic mask and the voicing.

    Parameters
    ----------
    vocals, accompaniment : Samples, (C, N)
    track : PitchTrack
    mask_params, resolution : Params, optional
        As for `mask`.
    title : str
        Written above the panels, such as the name of the song.
    """
    seconds, names = vocals.n_samples / vocals.rate_hz, ("mixture", "vocals", "accompaniment")
    heights_in = {**dict.fromkeys(names, 1.9), "harmonic mask": 1.9, "voicing": 0.5}
    figure, axes = panels(heights_in, seconds, title)
    grid = Grid.of(seconds, *dots(axes["mixture"]))
    levels = _levels(grid, vocals, accompaniment, with_sum=True)
    top_db = max(level_RK.max() for level_RK in levels)
    for name, level_RK in zip(names, levels, strict=True):
        _draw_levels(level_RK, grid, axes[name], top_db)
    axes["mixture"].set_title(f"in all three, black is {RANGE_DB:.0f} dB under the brightest", loc="right", **SMALL)
    contour(track, axes["vocals"])
    legend(axes["vocals"])
    _draw_mask(track, grid, axes["harmonic mask"], mask_params or harmonic_mask.Params(), resolution or StftParams())
    voicing(track, axes["voicing"])
    axes["voicing"].set_title("probability that somebody sings this pitch", loc="right", **SMALL)
    return figure
