"""Find the notes in a sung line, for MIDI files and karaoke games.

Pitch is in semitones as MIDI counts them: 69 is 440 Hz, 60 is middle C.

A contour has vibrato and glides, but notes have not. The notes are the Viterbi path over one state per semitone and one
for rests. The start of a note has a cost, so that vibrato and glides do not become sequences of notes. The cost is
lower where the level of the voice rises, as it does from a consonant to its vowel: there a note can begin even at the
pitch of the note before it.
Notes as the states of a hidden Markov model over a pitch contour follow Ryynänen & Klapuri (2004) and Mauch et al.
(2015). Their models have attack and sustain states with trained or hand-set probabilities; here the cost of a change
replaces them.

Then notes are removed that were probably not sung. In the pauses of the singer the voice estimate contains residues of
the accompaniment, which have a pitch, too. Four features tell them from sung notes: their voicing and level, the notes
near them, and the evidence of singing (`steps.singing_presence`) near them. The evidence is compared with its mean over
the notes of the song, because it differs between singers. Notes far above the others need more of all, because
instruments are often higher than the voice.

Measured from separated mixtures (default config, onset within 100 ms, mir_eval): on four performances of the demo song,
40 s each, voice as loud as the band, the recall of onsets is 100 % and the precision 97 %; with the voice 5 dB softer
99 % and 87 %. On 17 songs with hand-made notes (`scripts/notes`) the recall is 81 % and the precision 68 %, with the
config `best` 81 % and 71 %. On 91 min of development recordings (docs/experiments.md) the removal takes away 66 % of
the seconds of notes where nobody sings, 8 % of those of sung notes with the right pitch, and 42 % with a wrong one.

References
----------
Ryynänen, M. & Klapuri, A. (2004). Modelling of note events for singing transcription. SAPA.
Mauch, M., Cannam, C., Bittner, R. et al. (2015). Computer-aided melody note transcription using the Tony software.
    TENOR.
MIDI Manufacturers Association (1997). Downloadable sounds, level 1. From velocity to loudness.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .dsp.scales import hz_to_midi
from .dsp.viterbi import viterbi_changes
from .recording import Samples, blocks
from .types import Note, PitchTrack

_LEVEL_WINDOW_S = 0.032  # several periods of the lowest voice, shorter than the closure of a /t/
_AROUND_S = 0.15  # a short syllable on each side
_VIBRATO_S = 0.18  # a cycle
_RISE_S = 0.064  # from a consonant to its vowel
_QUIETEST_DB = 30.0  # below the loud frames of the song; the level of silence says nothing
_LARGEST_REWARD_S = 0.045  # for a note that begins with a rise; 0.02 and 0.03 give the same F-measure
_MAX_EVIDENCE = 4.0  # of the log-odds of a frame: a probability of 98 %
_FARTHEST = 2.0  # spreads; larger distances are errors or glides, and cost the same
# A logistic regression over the notes of 12 excerpts of songs, 35 clips of MIR-1K and eight versions of the demo song.
_VOICING_WEIGHT = 1.2  # per log-odds of the mean voicing
_LOUDNESS_WEIGHT = 0.19  # per dB above the loud frames of the song
_COMPANY_WEIGHT = 0.65  # per second of other notes nearby
_COMPANY_OFFSET = 3.0
_COMPANY_S = 2.0  # a phrase on each side
# Chosen on 91 min of development recordings (docs/experiments.md), of which 320 s are false notes without any removal.
_EVIDENCE_WEIGHTS = ((2.0, 7.0), (0.5, 4.0))  # within so many s on each side: a phrase, and the neighbours
_ENOUGH_EVIDENCE = 0.6  # share of the usual evidence; 66 % of the seconds of false notes have less, 20 % of the sung
_EVIDENCE_OFFSET = 1.0  # added to the usual evidence; with half of it 10 % more false notes are left
_ABOVE_WEIGHT = 1.0  # per key
_REACH_KEYS = 7  # above the middle of the notes; 25 % of the seconds of false notes are higher, 3 % of the sung
_MOST_KEYS = 4  # that count, because a second singer may be higher; with 3 or 6 as many false notes are left
_BLOCK_FRAMES = 1024  # a contour of hours has millions of frames, and a score for each key in each of them
_BEYOND = 0.02  # so much worse a spread, so that one note follows the other in the middle of a leap


@dataclass(frozen=True)
class Params:
    """Spread of a contour around notes, and the evidence that a note needs.

    Onsets, mean F-measure of 56 synthetic performances (docs/experiments.md): rise_db 3 / 4 / 5: 0.905 / 0.908 / 0.903,
    but fewer onsets are found from 4 on; ms_per_db 25 / 40: 0.907 / 0.905, with fewer onsets for 25; shortest_onset_ms
    70 / 85 / 100: 0.905 / 0.904 / 0.904, and 83 / 80 / 77 % of the onsets of fast songs. With the evidence of singing,
    shortest_ms 70 / 85 / 100: 0.905 / 0.906 / 0.906, and 85 / 83 / 82 % of the onsets of fast songs; least_evidence
    1.2 / 1.4 / 1.6: 0.906 / 0.905 / 0.902, 108 / 101 / 94 s of false notes in 91 min of recordings, and 10.7 / 12.3 /
    13.9 % of the sung seconds lost.
    """

    spread_semitones: float = 0.5  # the standard deviation of a vibrato of +-0.7 semitones
    change_ms: float = 75.0  # a new note must improve the log-likelihood by 1 for that time
    rise_db: float = 3.0  # of the level within 64 ms; smaller rises are no evidence of an onset
    ms_per_db: float = 40.0  # by which each dB of a larger rise lowers `change_ms`
    shortest_ms: float = 85.0
    shortest_onset_ms: float = 70.0  # of a note that begins with a rise of the level
    level_weight: float = 0.4  # log-odds per dB
    dip_db: float = 14.0  # relative to the loudest frame nearby; the level that is neutral
    quietest_db: float = 12.0  # lower limit of the loudest frame nearby, relative to the loud frames of the song
    least_evidence: float = 1.2  # log-odds that a note was sung

    def __post_init__(self) -> None:
        for name in ("spread_semitones", "change_ms"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name):g}; it must be above 0")
        not_negative = ("rise_db", "ms_per_db", "shortest_ms", "shortest_onset_ms", "level_weight", "dip_db")
        for name in (*not_negative, "quietest_db"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name):g}; it must not be negative")


class _Levels(NamedTuple):
    """Mean power of the vocals in the frames of a contour, full scale 1.0.

    Attributes
    ----------
    window_T : ndarray, shape (T,), float32
        In a window of 32 ms around each frame.
    frame_T : ndarray, shape (T,), float32
        In each frame, which reaches half way to the frames beside it.
    """

    window_T: np.ndarray
    frame_T: np.ndarray


def _levels_of(vocals: Samples, track: PitchTrack) -> _Levels:
    """Return the levels of the vocals in the frames of a contour."""
    edges_s, half_s = _edges_s(track), _LEVEL_WINDOW_S / 2
    starts_s = np.concatenate([track.times_s - half_s, edges_s[:-1]])
    stops_s = np.concatenate([track.times_s + half_s, edges_s[1:]])
    power = _mean_power(vocals, starts_s, stops_s).astype(np.float32)
    return _Levels(*np.split(power, 2))


def segment(track: PitchTrack, vocals: Samples | None = None, params: Params | None = None) -> tuple[Note, ...]:
    """Return the notes of a contour.

    Parameters
    ----------
    track : PitchTrack, (T,)
    vocals : Samples, (C, N), optional
        Their level is evidence for rests, repeated notes and false notes, and gives the velocities: 127 for the loudest
        note. Without it the velocities are 64, the value of MIDI 1.0 for devices without velocity.
    params : Params, optional

    Returns
    -------
    tuple of Note
        In order of time; they do not overlap.
    """
    params = params or Params()
    pitch_T = hz_to_midi(track.f0_hz)
    if not np.isfinite(pitch_T).any():
        return ()
    levels = None if vocals is None else _levels_of(vocals, track)
    level_T = None if levels is None else _decibels(levels.window_T)
    evidence_T = _evidence_of_singing(track, level_T, params)
    cost_T = _costs_of_a_change(track, level_T, params)
    edges_s = _edges_s(track)
    tuning = _tuning(pitch_T, evidence_T, track.times_s)
    spans = _spans(pitch_T - tuning, evidence_T, cost_T, edges_s, params)
    if level_T is not None:
        spans = _believed(spans, track, level_T, edges_s, params)
    velocities = _velocities(levels, spans, edges_s)
    return tuple(
        Note(float(edges_s[start]), float(edges_s[stop]), key, _median(pitch_T[start:stop]), velocity)
        for (start, stop, key), velocity in zip(spans, velocities, strict=True)
    )


def _tuning(pitch_T: np.ndarray, evidence_T: np.ndarray, times_s: np.ndarray) -> float:
    """Return by how many semitones the singer is above concert pitch, -0.5 to 0.5."""
    weight_T = np.where(np.isnan(pitch_T), 0, np.exp(evidence_T))
    cycle = np.ones(max(1, _frames_in(_VIBRATO_S, times_s)))
    sum_T = np.convolve(weight_T * np.nan_to_num(pitch_T), cycle, "same")[: len(pitch_T)]
    mean_T = sum_T / np.maximum(np.convolve(weight_T, cycle, "same")[: len(pitch_T)], 1e-9)
    return float(np.angle(np.sum(weight_T * np.exp(2j * np.pi * mean_T))) / (2 * np.pi))


def _median(pitch_T: np.ndarray) -> float:
    """Return the median of the frames with a pitch; np.nanmedian takes ten times as long for the frames of a note."""
    values = np.sort(pitch_T)  # NaN last
    n = np.count_nonzero(~np.isnan(values))
    return float(values[(n - 1) // 2] + values[n // 2]) / 2


def _spans(
    pitch_T: np.ndarray, evidence_T: np.ndarray, cost_T: np.ndarray, edges_s: np.ndarray, params: Params
) -> list[tuple[int, int, int]]:
    """Return the first frame, the first frame after the end, and the key of each note."""
    keys = np.arange(int(np.nanmin(pitch_T)), int(np.nanmax(pitch_T)) + 2)
    half_S = np.full(1 + len(keys), 0.5)  # the end and the start of a note cost half each
    half_S[0] = 0
    scores = _scores(pitch_T, evidence_T, cost_T, edges_s, keys, params)
    state_T, changed_T = viterbi_changes(scores, half_S, half_S)
    changed_T[0] = True
    shortest_T = np.where(cost_T < 0, params.shortest_onset_ms, params.shortest_ms) / 1000
    return [
        (start, stop, int(np.clip(keys[state_T[start] - 1], 0, 127)))
        for start, stop in pairwise([*np.flatnonzero(changed_T).tolist(), len(state_T)])
        if state_T[start] > 0 and edges_s[stop] - edges_s[start] >= shortest_T[start]
    ]


def _costs_of_a_change(track: PitchTrack, level_T: np.ndarray | None, params: Params) -> np.ndarray:
    """Return the cost of a new note in each frame in s, shape (T,); it is negative at large rises of the level."""
    cost_T = np.full(len(track.times_s), params.change_ms / 1000)
    if level_T is None:
        return cost_T
    limited_T = np.maximum(level_T, _loud_db(level_T) - _QUIETEST_DB)
    after_T, before_T = (
        np.interp(track.times_s + side_s, track.times_s, limited_T) for side_s in (_RISE_S / 2, -_RISE_S / 2)
    )
    rise_T = after_T - before_T
    peak_T = rise_T == _highest_around(rise_T, track.times_s, _RISE_S)
    reward_T = np.maximum(rise_T - params.rise_db, 0) * params.ms_per_db / 1000
    return np.where(peak_T, np.maximum(cost_T - reward_T, -_LARGEST_REWARD_S), cost_T)


def _scores(
    pitch_T: np.ndarray,
    evidence_T: np.ndarray,
    cost_T: np.ndarray,
    edges_s: np.ndarray,
    keys: np.ndarray,
    params: Params,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the scores and the costs of a change, in blocks of frames.

    A score is the log-likelihood of a rest (state 0) or of a key, times the length of the frame in s.
    """
    lengths_s = np.diff(edges_s)
    for start in range(0, len(pitch_T), _BLOCK_FRAMES):
        inside = slice(start, start + _BLOCK_FRAMES)
        distance_TK = np.nan_to_num(np.abs(pitch_T[inside, None] - keys)) / params.spread_semitones
        misfit_TK = np.minimum(distance_TK, _FARTHEST) ** 2 / 2 + _BEYOND * distance_TK
        score_TS = np.column_stack([-evidence_T[inside] / 2, evidence_T[inside, None] / 2 - misfit_TK])
        yield score_TS * lengths_s[inside, None], cost_T[inside]


def _believed(
    spans: list[tuple[int, int, int]], track: PitchTrack, level_T: np.ndarray, edges_s: np.ndarray, params: Params
) -> list[tuple[int, int, int]]:
    """Return the notes whose log-odds of being sung are high enough."""
    if not spans:
        return spans
    starts, stops, keys = np.array(spans).T
    starts_s, stops_s = edges_s[starts], edges_s[stops]
    around_s = (starts_s - _COMPANY_S, stops_s + _COMPANY_S)
    voicing, level_db = (_means(values, starts, stops) for values in (track.voicing, level_T))
    log_odds = _COMPANY_OFFSET + _VOICING_WEIGHT * _log_odds(voicing)
    log_odds += _LOUDNESS_WEIGHT * (level_db - _loud_db(level_T))
    log_odds += _COMPANY_WEIGHT * (_seconds_of_notes(starts_s, stops_s, *around_s) - (stops_s - starts_s))
    likely = (stops_s - starts_s) / (1 + np.exp(params.least_evidence - log_odds))
    log_odds -= _ABOVE_WEIGHT * np.clip(keys - _weighted_median(keys, likely) - _REACH_KEYS, 0, _MOST_KEYS)
    if track.evidence_T is not None:
        for near_s, weight in _EVIDENCE_WEIGHTS:
            around = np.searchsorted(track.times_s, (starts_s - near_s, stops_s + near_s))
            evidence = _means(track.evidence_T, *around)
            usual = max(np.average(evidence, weights=likely), 0) + _EVIDENCE_OFFSET
            log_odds -= weight * np.maximum(_ENOUGH_EVIDENCE - evidence / usual, 0)
    return [span for span, found in zip(spans, log_odds, strict=True) if found >= params.least_evidence]


def _seconds_of_notes(starts_s: np.ndarray, stops_s: np.ndarray, from_s: np.ndarray, until_s: np.ndarray) -> np.ndarray:
    """Return the seconds of the notes, which do not overlap, in each span of time."""
    times_s = np.stack([starts_s, stops_s], axis=1).ravel()
    sums_s = np.stack([np.zeros(len(starts_s)), stops_s - starts_s], axis=1).ravel().cumsum()
    return np.interp(until_s, times_s, sums_s) - np.interp(from_s, times_s, sums_s)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values, kind="stable")
    until = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(until, until[-1] / 2)])


def _means(values: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Return the mean of the values from each start to before its stop, shape (K,)."""
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=float)])
    return (sums[stops] - sums[starts]) / (stops - starts)


def _evidence_of_singing(track: PitchTrack, level_T: np.ndarray | None, params: Params) -> np.ndarray:
    """Return the log-odds that a pitch is sung in each frame, shape (T,)."""
    evidence_T = _log_odds(track.voicing)
    if level_T is not None:
        loud_T = _highest_around(level_T, track.times_s, _AROUND_S)
        loud_T = np.maximum(loud_T, _loud_db(level_T) - params.quietest_db)
        evidence_T = evidence_T + params.level_weight * (level_T - loud_T + params.dip_db)
    evidence_T[np.isnan(track.f0_hz)] = -_MAX_EVIDENCE
    return np.clip(evidence_T, -_MAX_EVIDENCE, _MAX_EVIDENCE)


def _loud_db(level_T: np.ndarray) -> float:
    """Return the level of the loud frames: 5 % are louder. The first call of np.percentile takes 10 ms."""
    return float(np.sort(level_T)[int(0.95 * (len(level_T) - 1))])


def _highest_around(values_T: np.ndarray, times_s: np.ndarray, around_s: float) -> np.ndarray:
    """Return the highest value within a time of each frame, on both sides, shape (T,)."""
    n_frames = _frames_in(around_s, times_s)
    padded = np.pad(values_T, n_frames, constant_values=-np.inf)
    return sliding_window_view(padded, 2 * n_frames + 1).max(axis=1)


def _frames_in(seconds: float, times_s: np.ndarray) -> int:
    return round(seconds / np.sort(np.diff(times_s, append=np.inf))[len(times_s) // 2])


def _log_odds(probability: np.ndarray | np.floating) -> np.ndarray:
    limited = np.asarray(probability).clip(0.02, 0.98)
    return np.log(limited / (1 - limited))


def _edges_s(track: PitchTrack) -> np.ndarray:
    """Return the times between the frames, and those of the first and the last frame, shape (T + 1,)."""
    times_s = track.times_s
    return np.concatenate([times_s[:1], times_s[:-1] + np.diff(times_s) / 2, times_s[-1:]])


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(power.astype(float) + 1e-12)


def _mean_power(audio: Samples, starts_s: np.ndarray, stops_s: np.ndarray) -> np.ndarray:
    """Return the mean power of a sound between times, shape (K,)."""
    edges = np.rint(np.concatenate([starts_s, stops_s]) * audio.rate_hz).astype(int)
    positions, place = np.unique(np.clip(edges, 0, audio.n_samples), return_inverse=True)
    (starts, stops), (before, until) = (
        np.split(values[place], 2) for values in (positions, _energy_until(audio, positions))
    )
    return (until - before) / np.maximum(stops - starts, 1)


def _energy_until(audio: Samples, positions: np.ndarray) -> np.ndarray:
    """Return the sum of the mean squares of the channels before each of increasing sample positions, shape (K,)."""
    energy, total = np.zeros(len(positions)), 0.0
    for start, stop in blocks(audio):
        samples = audio.excerpt(start, stop).samples
        until = total + np.cumsum(np.einsum("cn,cn->n", samples, samples) / len(samples), dtype=float)
        inside = slice(*np.searchsorted(positions, [start, stop], side="right"))
        energy[inside] = until[positions[inside] - start - 1]
        total = until[-1]
    return energy


def _velocities(levels: _Levels | None, spans: list[tuple[int, int, int]], edges_s: np.ndarray) -> list[int]:
    """Return the velocity of each note: 40 log10(v / 127) dB re the loudest (Downloadable Sounds 1)."""
    if levels is None or not spans:
        return [64] * len(spans)
    starts, stops, _ = np.array(spans).T
    energy = np.concatenate([[0.0], np.cumsum(levels.frame_T * np.diff(edges_s))])
    level_db = _decibels((energy[stops] - energy[starts]) / (edges_s[stops] - edges_s[starts]))
    return np.clip(np.rint(127 * 10 ** ((level_db - level_db.max()) / 40)), 1, 127).astype(int).tolist()
