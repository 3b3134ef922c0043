"""Separate again along a contour that somebody corrected, so that only the corrected frames sound different.

The models of a segment learn from all of its frames, and the gate from the whole song: with two seconds of another
pitch the stems of the demo song change by -28 to -48 dB everywhere else (against the mixture). Whoever corrects a song
by ear would hear places that were right change with every correction. So the song is separated along the pitch that is
found in it, each corrected place along its correction, with 10 s of what surrounds it, and the places are faded in.
What a place sounds like depends on no other place.
"""

from itertools import pairwise

import numpy as np
from threadpoolctl import threadpool_limits

from .config import Config, load_config
from .pipeline import (
    Frames,
    Progress,
    checked,
    find_pitch,
    gated,
    separate,
    separate_segment,
    shifted,
    stems,
    ungated_voice,
)
from .types import Audio, PitchTrack, Separation

SAME_CENTS, SAME_VOICING = 0.1, 1e-4  # a contour file rounds to less
MOSTLY = 0.5  # a contour of which more differs was not corrected but comes from elsewhere, and is followed as it is
TOGETHER_S = 1.0  # places that are closer are separated as one
AROUND_S = 10.0  # of the song that is separated with a place; models of less are worse
FADE_S = 0.05


@threadpool_limits.wrap(limits=1)
def separate_corrected(
    audio: Audio | np.ndarray,
    rate_hz: int | None = None,
    config: Config | None = None,
    *,
    track: PitchTrack,
    progress: Progress | None = None,
) -> Separation:
    """Vocals and accompaniment along a contour that was corrected.

    Parameters
    ----------
    audio, rate_hz, config, progress
        As for `separate`.
    track : PitchTrack
        The pitch that `find_pitch` finds with this config, corrected in places.

    Returns
    -------
    Separation
        Outside of these places the stems are those of `separate` without a track, to the last bit.

    Raises
    ------
    InputError
        As `separate` does.
    """
    audio, config = checked(audio, rate_hz), config or load_config()
    found = find_pitch(audio, config=config, progress=progress)
    local = track.at(found.times_s)
    changed_T = changed(found, local)
    if changed_T.mean() > MOSTLY:
        return separate(audio, config=config, track=track, progress=progress)
    ungated, frames = ungated_voice(audio, found, config, progress)
    voice = gated(audio, ungated, frames, found, config)
    places = runs(changed_T)
    for group in together(places, found.times_s):
        inside = np.zeros(len(changed_T), bool)
        inside[group[0][0] : group[-1][1]] = True
        inside &= changed_T
        mended = PitchTrack(
            found.times_s,
            np.where(inside, local.f0_hz, found.f0_hz),
            np.where(inside, local.voicing, found.voicing),
        )
        start, stop, part = separate_place(audio, ungated, mended, frames, inside, config)
        share = fades(group, found.times_s, audio)[start:stop]
        voice[:, start:stop] += share * (part - voice[:, start:stop])
    return stems(audio, voice, track)


def changed(found: PitchTrack, corrected: PitchTrack) -> np.ndarray:
    """Frames of two tracks with the same times that differ in pitch or voicing, shape (T,), bool."""
    sung, found_sung = np.isfinite(corrected.f0_hz), np.isfinite(found.f0_hz)
    other_pitch = 1200 * np.abs(np.log2(corrected.f0_hz / found.f0_hz)) > SAME_CENTS  # False where either is NaN
    return other_pitch | (sung != found_sung) | (np.abs(corrected.voicing - found.voicing) > SAME_VOICING)


def runs(changed_T: np.ndarray) -> list[tuple[int, int]]:
    """First frame, and first frame after, of each run of frames that are True."""
    edges = np.flatnonzero(np.diff(changed_T.astype(int), prepend=0, append=0))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def together(places: list[tuple[int, int]], times_s: np.ndarray) -> list[list[tuple[int, int]]]:
    """Places in groups, with a gap between groups."""
    groups = [places[:1]] if places else []
    for (_, end), place in pairwise(places):
        if times_s[place[0]] - times_s[end - 1] < TOGETHER_S:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def separate_place(
    audio: Audio, ungated: np.ndarray, track: PitchTrack, frames: Frames, inside: np.ndarray, config: Config
) -> tuple[int, int, np.ndarray]:
    """Voice of a place and what surrounds it.

    Parameters
    ----------
    audio : Audio, (C, N)
    ungated : ndarray, shape (C, N)
        Voice along the pitch that was found.
    track : PitchTrack, (T,)
        Corrected in this place only.
    frames : Frames
        What the gate knows of the song along the pitch that was found.
    inside : ndarray, shape (T,), bool
        Frames of the track that belong to the place.
    config : Config

    Returns
    -------
    start, stop : int, samples
    voice : ndarray, shape (C, stop - start)
    """
    first_s, last_s = track.times_s[inside][[0, -1]]
    start = max(0, round((first_s - AROUND_S) * audio.rate_hz))
    stop = min(audio.n_samples, round((last_s + AROUND_S) * audio.rate_hz))
    start_s = start / audio.rate_hz
    excerpt = Audio(audio.samples[:, start:stop], audio.rate_hz)
    part, heard = separate_segment(excerpt, shifted(track, -start_s), config, np.random.default_rng(0))
    heard = heard._replace(times_s=heard.times_s + start_s)
    new, old = ((times_s >= first_s) & (times_s <= last_s) for times_s in (heard.times_s, frames.times_s))
    both = Frames(*(np.concatenate([b[~old], a[new]]) for a, b in zip(heard, frames, strict=True)))
    voice = ungated.copy()
    voice[:, start:stop] = part.samples
    return start, stop, gated(audio, voice, both, track, config)[:, start:stop]


def fades(places: list[tuple[int, int]], times_s: np.ndarray, audio: Audio) -> np.ndarray:
    """Share of the corrected voice in each sample, shape (N,): 1 in the places, faded within them, 0 outside."""
    share = np.zeros(audio.n_samples, np.float32)
    half_s = np.median(np.diff(times_s)) / 2
    for first, end in places:
        start_s, stop_s = times_s[first] - half_s, times_s[end - 1] + half_s
        start, stop = (int(np.clip(np.ceil(t * audio.rate_hz), 0, audio.n_samples)) for t in (start_s, stop_s))
        n = np.arange(start, stop) / audio.rate_hz
        rise_s = min(FADE_S, (stop_s - start_s) / 2)
        share[start:stop] = np.clip(np.minimum(n - start_s, stop_s - n) / rise_s, 0, 1)
    return share
