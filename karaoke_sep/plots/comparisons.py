"""Pictures of the errors of a separation whose true stems are known."""

import numpy as np
import soxr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..dsp import timbre
from ..dsp.scales import cents
from ..dsp.stft import stft
from ..types import Audio, PitchTrack
from .panels import BACKGROUND, TOO_LITTLE_TOO_MUCH, TRUTH, WRONG, frequency_axis, legend, panels, plane, time_axis
from .raster import RATE_HZ, WINDOW_MS, Grid, powers
from .separations import SUNG_FROM, contour

SILENT_DB = 60.0  # bins and frames so far below the loudest one are not compared


def compare_pitch(track: PitchTrack, truth: PitchTrack, axes: Axes) -> Axes:
    """Draw estimated and true pitch. Sung frames that are wrong by 50 cents or more, or unvoiced, are red."""
    found = track.at(truth.times_s)
    distance_cents = np.abs(cents(found.f0_hz, truth.f0_hz))
    right = (distance_cents < 50) & (found.voicing >= SUNG_FROM)
    axes.plot(truth.times_s, truth.f0_hz, color=TRUTH, linewidth=2.5, alpha=0.7, label="true pitch")
    contour(track, axes, label="estimated pitch")
    axes.plot(truth.times_s, np.where(right, np.nan, truth.f0_hz), color=WRONG, linewidth=2.5, label="missed")
    return frequency_axis(axes)


def compare_masks(stems: tuple[Audio, Audio], true_stems: tuple[Audio, Audio], axes: Axes) -> Axes:
    """Draw the share of the voice in each bin minus its true share.

    Bins are red where music is in the vocals, and blue where voice is in the accompaniment. They are dark where both
    shares agree, and where both stems are silent.

    Parameters
    ----------
    stems, true_stems : tuple of two Audio, (C, N)
        Vocals and accompaniment.
    axes : Axes
    """
    grid = Grid.of(stems[0].duration_s)
    V, A, true_V, true_A = powers(grid, *stems, *true_stems)
    share, true_share = (np.sqrt(v) / (np.sqrt(v) + np.sqrt(a) + 1e-9) for v, a in ((V, A), (true_V, true_A)))
    total = true_V + true_A
    audible = total > total.max() * 10 ** (-SILENT_DB / 10)
    return plane(axes, (share - true_share) * audible, grid, cmap=TOO_LITTLE_TOO_MUCH, vmin=-1, vmax=1)


def compare_timbre(vocals: Audio, true_vocals: Audio, axes: Axes) -> Axes:
    """Draw the mel-frequency cepstra of the vocals minus those of the true vocals, except in silent frames.

    The first coefficient, the level, is left out. The second is the tilt of the spectrum; higher ones are finer shapes.
    """
    grid, cepstra, audible_T = Grid.of(vocals.duration_s), [], np.zeros(1, bool)
    for sound in (vocals, true_vocals):
        spectrum = stft(_resampled(sound), WINDOW_MS, grid.hop_ms)
        S_TF = np.ascontiguousarray(spectrum.magnitude.T)
        power_T = np.sum(S_TF**2, axis=1)
        audible_T = audible_T | (power_T > power_T.max() * 10 ** (-SILENT_DB / 10))
        cepstra.append(timbre.cepstra(S_TF, spectrum.rate_hz / spectrum.n_fft))
    difference_TD = ((cepstra[0] - cepstra[1]) * audible_T[:, None])[: grid.n_frames, 1:]
    mean_KD = grid.means(difference_TD)
    rows = np.arange(mean_KD.shape[1] + 1) + 1.5
    axes.pcolormesh(grid.edges_s, rows, mean_KD.T, cmap=TOO_LITTLE_TOO_MUCH, vmin=-15, vmax=15)
    axes.set(ylabel="coefficient", facecolor=BACKGROUND)
    return time_axis(axes)


def comparison(
    stems: tuple[Audio, Audio],
    true_stems: tuple[Audio, Audio],
    track: PitchTrack | None,
    truth: PitchTrack | None,
    *,
    title: str = "",
) -> Figure:
    """Draw the errors of pitch, masks and timbre. The pitch is drawn if both tracks are given.

    Parameters
    ----------
    stems, true_stems : tuple of two Audio, (C, N)
        Vocals and accompaniment.
    track, truth : PitchTrack, optional
    title : str
        Written above the panels, such as the name of the song.
    """
    heights_in = {
        "pitch": 1.9,
        "share of the voice minus its true share (red: too much, blue: too little)": 1.9,
        "cepstra (MFCC) of the vocals minus the true ones": 1.3,
    }
    if track is None or truth is None:
        track = truth = None
        del heights_in["pitch"]
    figure, axes = panels(heights_in, stems[0].duration_s, title)
    masks, cepstra = list(axes.values())[-2:]
    if track and truth:
        compare_pitch(track, truth, axes["pitch"])
        pitches_hz = truth.f0_hz[np.isfinite(truth.f0_hz)]
        if len(pitches_hz):
            axes["pitch"].set_ylim(pitches_hz.min() / 1.5, pitches_hz.max() * 1.5)
        legend(axes["pitch"])
    compare_masks(stems, true_stems, masks)
    compare_timbre(stems[0], true_stems[0], cepstra)
    return figure


def _resampled(audio: Audio) -> Audio:
    """Resample to the rate of the picture."""
    if audio.rate_hz == RATE_HZ:
        return audio
    return Audio(soxr.resample(audio.samples.T, audio.rate_hz, RATE_HZ).T, RATE_HZ)
