"""Separate again along a corrected contour, so that only the corrected frames sound different.

The models of a segment are fitted to all of its frames, and the gate uses the whole song. If two seconds have another
pitch, the stems of the demo song change by -28 to -48 dB everywhere else (relative to the mixture). A user who corrects
a song by ear would then hear correct places change with every correction. Therefore the whole song is separated along
the estimated pitch. Each corrected place is separated along its corrected pitch, together with 10 s around it, and is
faded in. The sound of a place does not depend on other places.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .activity import FrameFeatures, GateInputs, on_grid
from .config import Config, as_config
from .dsp.scales import cents
from .pipeline import estimate_voice, find_pitch, gate_of, separate_to, write_gated
from .processes.threads import one_thread
from .recording import Buffer, Excerpt, Samples, Storage, as_recording, as_track, shifted
from .segment import separate_segment
from .types import Audio, PitchTrack, Progress, Separation, silent

# Other tools round a contour to whole Hz (9 cents at 100 Hz), to a tenth of the voicing, and to times of their own.
SAME_CENTS, SAME_VOICING = 10.0, 0.05
MOSTLY = 0.5  # a contour that differs in more frames is from another source, and is used as it is
TOGETHER_S = 1.0  # closer places are separated together
AROUND_S = 10.0  # around a place, separated with it; shorter contexts give worse models
FADE_S = 0.05


class Corrected(NamedTuple):
    """How much of a song was corrected, and the pitch that was followed.

    Attributes
    ----------
    n_changed, n_frames : int
    track : PitchTrack
        The corrected contour, with the evidence of singing of the estimated pitch. Corrected frames have the mean of
        the others, weighted by their voicing, because the evidence for a wrong pitch says nothing about them.
    """

    n_changed: int
    n_frames: int
    track: PitchTrack

    @property
    def is_whole(self) -> bool:
        """Whether so much differs that the whole contour was followed as it is."""
        return self.n_changed > MOSTLY * self.n_frames


def separate_corrected(
    audio: Samples | np.ndarray | str | os.PathLike,
    rate_hz: int | None = None,
    config: Config | str | os.PathLike | Mapping | None = None,
    *,
    track: PitchTrack,
    progress: Progress = silent,
) -> Separation:
    """Separate a song along a contour that was corrected, in memory.

    Parameters
    ----------
    audio, rate_hz, config, progress
        As for `separate`.
    track : PitchTrack
        The pitch that `find_pitch` estimates with this config, corrected in places.

    Returns
    -------
    Separation
        Outside the corrected places the stems are exactly those of `separate` without a track.

    Raises
    ------
    InputError, ConfigError
        As `separate` does.
    """
    song = as_recording(audio, rate_hz)
    vocals, voice = Buffer.like(song), Buffer.like(song)
    done = separate_corrected_to(vocals, voice, song, as_config(config), track=as_track(track), progress=progress)
    mixture = song.excerpt(0, song.n_samples).samples
    return Separation(Audio(vocals.samples, song.rate_hz), Audio(mixture - vocals.samples, song.rate_hz), done.track)


@one_thread()
def separate_corrected_to(
    vocals: Storage, voice: Storage, song: Samples, config: Config, *, track: PitchTrack, progress: Progress = silent
) -> Corrected:
    """Write the vocals along a corrected contour to ``vocals``; ``voice`` takes the voice estimate of the whole song.

    Parameters
    ----------
    vocals, voice : Storage
        Silent or empty before.
    song, config, track, progress
        As for `separate_corrected`.

    Returns
    -------
    Corrected
    """
    found = find_pitch(song, config=config, progress=progress)
    local = track.at(found.times_s)
    changed_T = changed(found, track)
    corrected = Corrected(int(changed_T.sum()), len(changed_T), track)
    if corrected.is_whole:
        separate_to(vocals, song, config, track=track, progress=progress)
        return corrected
    features = estimate_voice(song, voice, found, config, progress)
    inputs = GateInputs(song, voice, features, found, config.stft.hop_ms)
    write_gated(song, voice, vocals, gate_of(inputs, config))
    for group in together(runs(changed_T), found.times_s):
        inside = np.zeros(len(changed_T), bool)
        inside[group[0][0] : group[-1][1]] = True
        inside &= changed_T
        mended = PitchTrack(
            found.times_s,
            np.where(inside, local.f0_hz, found.f0_hz),
            np.where(inside, local.voicing, found.voicing),
        )
        start, place = separate_place(inputs._replace(track=mended), inside, config)
        before = vocals.excerpt(start, start + place.shape[1]).samples
        share_N = fades(group, found.times_s, song.rate_hz, start, start + place.shape[1])
        vocals.put(start, before + share_N * (place - before))
    if found.evidence_T is None:
        return corrected
    usual = np.average(found.evidence_T, weights=found.voicing * ~changed_T + 1e-9)
    evidence_T = np.interp(track.times_s, found.times_s, np.where(changed_T, usual, found.evidence_T))
    return corrected._replace(track=replace(track, evidence_T=evidence_T.astype(np.float32)))


def changed(found: PitchTrack, corrected: PitchTrack) -> np.ndarray:
    """Return the frames in which a corrected track differs in pitch or voicing from the estimate, shape (T,), bool.

    The voicing does not count if the corrected track has a 1 wherever it has a pitch: tables of other tools have
    no such column. A frame without a pitch counts as one that is hardly voiced.

    Parameters
    ----------
    found : PitchTrack, T frames
    corrected : PitchTrack
        Its times may be others.
    """
    local = corrected.at(found.times_s)
    other_pitch = np.abs(cents(local.f0_hz, found.f0_hz)) > SAME_CENTS  # False where either is NaN
    other_voicing = np.abs(local.voicing - found.voicing) > SAME_VOICING
    if (corrected.voicing[np.isfinite(corrected.f0_hz)] == 1).all():  # before interpolation, which blurs its edges
        other_voicing &= np.isfinite(local.f0_hz) != np.isfinite(found.f0_hz)
    return other_pitch | other_voicing


def runs(changed_T: np.ndarray) -> list[tuple[int, int]]:
    """Return the first frame, and the first frame after, of each run of frames that are True."""
    edges = np.flatnonzero(np.diff(changed_T.astype(int), prepend=0, append=0))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def together(places: list[tuple[int, int]], times_s: np.ndarray) -> list[list[tuple[int, int]]]:
    """Group places that are near each other in time."""
    groups = [places[:1]] if places else []
    for (_, end), place in pairwise(places):
        if times_s[place[0]] - times_s[end - 1] < TOGETHER_S:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


class Patched:
    """A recording in which the samples of one place are replaced."""

    def __init__(self, song: Samples, start: int, samples: np.ndarray):
        self.song, self.start, self.samples = song, start, samples
        self.rate_hz, self.n_channels, self.n_samples = song.rate_hz, song.n_channels, song.n_samples

    def excerpt(self, start: int, stop: int) -> Audio:
        """Return the samples from ``start`` to before ``stop``."""
        samples = self.song.excerpt(start, stop).samples.copy()
        low, high = max(start, self.start), min(stop, self.start + self.samples.shape[1])
        if low < high:
            samples[:, low - start : high - start] = self.samples[:, low - self.start : high - self.start]
        return Audio(samples, self.rate_hz)


def separate_place(inputs: GateInputs, inside: np.ndarray, config: Config) -> tuple[int, np.ndarray]:
    """Separate a corrected place together with its context.

    Parameters
    ----------
    inputs : GateInputs
        Inputs for the song along the estimated pitch. The track, (T,), is corrected in this place only.
    inside : ndarray, shape (T,), bool
        Frames of the track that belong to the place.
    config : Config

    Returns
    -------
    start : int, samples
    vocals : ndarray, shape (C, n)
        From ``start`` on.
    """
    song, track, old = inputs.song, inputs.track, inputs.features
    first_s, last_s = track.times_s[inside][[0, -1]]
    start = max(0, round((first_s - AROUND_S) * song.rate_hz))
    stop = min(song.n_samples, round((last_s + AROUND_S) * song.rate_hz))
    start_s = start / song.rate_hz
    around, rng = Excerpt(song, start, stop), np.random.default_rng(0)
    groups, new = separate_segment(around, shifted(track, -start_s), config, rng)
    part = Audio(np.concatenate([samples for _, samples in groups]), song.rate_hz)
    new = new._replace(times_s=new.times_s + start_s)
    is_new, is_old = ((times_s >= first_s) & (times_s <= last_s) for times_s in (new.times_s, old.times_s))
    both = FrameFeatures(*(np.concatenate([b[~is_old], a[is_new]]) for a, b in zip(new, old, strict=True)))
    features = on_grid(both, song.n_samples / song.rate_hz, config.stft.hop_ms)
    patched = Patched(inputs.voice, start, part.samples)
    gate = gate_of(inputs._replace(voice=patched, features=features), config, (start_s, stop / song.rate_hz))
    return start, gate.apply(song.excerpt(start, stop), part, start)


def fades(places: list[tuple[int, int]], times_s: np.ndarray, rate_hz: int, start: int, stop: int) -> np.ndarray:
    """Return the share of the corrected voice in the samples from ``start`` to before ``stop``, shape (N,).

    It is 1 in the places, faded within them, and 0 outside.
    """
    n = np.arange(start, stop) / rate_hz
    share = np.zeros(len(n), np.float32)
    half_s = np.median(np.diff(times_s)) / 2
    for first, end in places:
        start_s, stop_s = times_s[first] - half_s, times_s[end - 1] + half_s
        rise_s = min(FADE_S, (stop_s - start_s) / 2)
        share += np.clip(np.minimum(n - start_s, stop_s - n) / rise_s, 0, 1).astype(np.float32)
    return share
