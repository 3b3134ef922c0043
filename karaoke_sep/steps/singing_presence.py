"""Presence of singing: absolute evidence that anybody sings, whereas the gate compares the frames of one song.

A voice glides: its pitch is hardly ever constant for a tenth of a second, and all of its partials move together.
Keyboards, strings and most synthesizers hold their pitch. A pitch track that follows them seems to move as well, where
it jumps between notes or follows noise, but the partials do not move with it. So each frame of a moving track is
compared with two harmonic chirps, one that moves as the track does and one that moves in the opposite direction (a
chirp transform in the sense of Weruaga & Kepesi 2007, at one pitch and two rates). A partial of a voice agrees with the
first. A steady or noisy partial agrees with both equally, on average. The difference is therefore 0 without a voice, in
any music, and needs no reference level. The second feature is the contrast of the salience on the track to the mean of
all pitches while the pitch moves smoothly. It is low between the notes of an instrument. The evidence is the sum of
both.

The evidence is summed over the recording. If the sum is too low, two states (a passage with or without singing) are
decoded, and only passages with clear evidence are kept. Short recordings need less evidence, because 7 s without
singing and 7 s with a hardly audible voice differ little.

All MIR-1K dev clips (175) and dev songs (12) are classified as sung, with the voice as it is and 10 dB lower. Of the
accompaniments of the songs, 11 of 12 are classified as instrumental.
"""

from dataclasses import dataclass

import numpy as np

from ..dsp.stft import hann
from ..dsp.viterbi import two_state_posterior
from ..settings.ranges import check_ranges, ranged
from ..types import Audio, PitchTrack

MAX_HOP_S = 0.02  # at 32 ms and on a coarser pitch grid, voices and instruments have similar evidence
N_PARTIALS = 12
TOP_HZ = 3500.0
SLOPE_MS = 48.0  # on each side: the line through the pitch over this time is its speed
MIN_SPEED, FULL_SPEED, MAX_SPEED = 0.25, 1.0, 6.0  # relative change of the pitch per second; a vibrato reaches 1
MAX_BEND_CENTS = 40.0  # rms distance from the line; above it the track jumps
SMOOTH_BEND_CENTS, SMOOTH_SPEED = 10.0, 0.3
MIN_CONTRAST_DB, FULL_CONTRAST_DB = 6.0, 12.0
AGREEMENT_WEIGHT, CONTRAST_WEIGHT = 100.0, 14.4
BLOCK_MS = 160.0
BLOCK_FRAMES = 128  # a block that stays in the cache


@dataclass(frozen=True)
class Params:
    """Evidence that a recording or a passage needs.

    Windows of 80 / 96 / 104 / 112 / 128 ms find 8 / 10 / 10 / 9 / 9 of the 12 accompaniments to be without singing at
    thresholds that lose no voice.
    """

    enabled: bool = True
    window_ms: float = ranged(104.0, 20, 500)
    midpoint: float = ranged(2.0, 0, 100)  # mean evidence of a long recording that is neutral
    credit_s: float = ranged(7.2, 0, 1000)  # evidence times seconds that is added for each recording
    passage_midpoint: float = ranged(3.5, 0, 100)  # at 3 the worst accompaniment is 17.4 dB down, not 18.7
    passage_weight: float = ranged(1.9, 0, 100)  # log-odds per second and unit of evidence
    passage_s: float = ranged(160.0, 1, 36_000)  # mean length, as of the sections of the gate

    def __post_init__(self) -> None:
        check_ranges(self)


def evidence(track: PitchTrack, mixture: Audio, params: Params) -> np.ndarray | None:
    """Return the evidence of singing in each frame of a track, shape (T,), float32; about 0 to 10.

    Parameters
    ----------
    track : PitchTrack, (T,)
        After refinement, on a regular grid of times.
    mixture : Audio, (1, N)
    params : Params

    Returns
    -------
    ndarray, or None if there is no evidence
        It is None without the salience of the track, at a hop above 20 ms, or if not enabled.
    """
    if not params.enabled or track.salience is None or len(track.times_s) < 3:
        return None
    hop_s = float(track.times_s[1] - track.times_s[0])
    if hop_s > MAX_HOP_S:
        return None
    pitched = np.isfinite(track.f0_hz)
    if not pitched.any():
        return np.zeros(len(track.times_s), np.float32)
    frames = np.arange(len(track.times_s))
    octaves = np.log2(np.interp(frames, frames[pitched], track.f0_hz[pitched]))
    slope, bend = line_fit(octaves, max(1, round(SLOPE_MS / 1000 / hop_s)))
    speed = slope * np.log(2) / hop_s
    moves = pitched & (np.abs(speed) > MIN_SPEED) & (np.abs(speed) < MAX_SPEED) & (1200 * bend < MAX_BEND_CENTS)
    found = np.zeros(len(frames))
    agreement = chirp_agreement(mixture, track.times_s[moves], track.f0_hz[moves], speed[moves], params.window_ms)
    found[moves] = AGREEMENT_WEIGHT * agreement * np.minimum(np.abs(speed[moves]), FULL_SPEED)
    on_track_T, mean_T = track.salience
    contrast_db = 20 * np.log10((on_track_T + 1e-9) / (mean_T + 1e-9))
    contrast = np.clip((contrast_db - MIN_CONTRAST_DB) / (FULL_CONTRAST_DB - MIN_CONTRAST_DB), 0, 1)
    smooth = pitched & (np.abs(speed) < FULL_SPEED) & (1200 * bend < SMOOTH_BEND_CENTS)
    found += CONTRAST_WEIGHT * contrast * smooth * np.minimum(np.abs(speed) / SMOOTH_SPEED, 1)
    return found.astype(np.float32)


def line_fit(values: np.ndarray, n_side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the slope per frame of the line through 2 n + 1 frames around each, and the rms distance from it."""
    k = np.arange(-n_side, n_side + 1)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(values, n_side, mode="edge"), len(k))
    around = around - around.mean(axis=1, keepdims=True)
    slope = around @ k / np.sum(k**2)
    return slope, np.sqrt(np.mean((around - slope[:, None] * k) ** 2, axis=1))


def chirp_agreement(
    mixture: Audio, times_s: np.ndarray, f0_hz: np.ndarray, speed: np.ndarray, window_ms: float
) -> np.ndarray:
    """Return how much more the partials move with the pitch than against it.

    Parameters
    ----------
    mixture : Audio, (1, N)
    times_s, f0_hz : ndarray, shape (T,)
    speed : ndarray, shape (T,), 1/s
        Relative change of the pitch.
    window_ms : float

    Returns
    -------
    ndarray, shape (T,), -1..1
        Mean over the partials of (E+ - E-) / (E+ + E-), with the energies E of the chirps of either direction.
    """
    n_window = 2 * round(window_ms * mixture.rate_hz / 2000)
    t = ((np.arange(n_window) - n_window / 2) / mixture.rate_hz).astype(np.float32)
    excerpts = np.lib.stride_tricks.sliding_window_view(np.pad(mixture.samples[0], n_window), n_window)
    starts = np.rint(times_s * mixture.rate_hz).astype(int) + n_window // 2
    starts = np.clip(starts, 0, len(excerpts) - 1)
    top_hz = min(TOP_HZ, 0.45 * mixture.rate_hz)
    result = np.zeros(len(times_s))
    for begin in range(0, len(times_s), BLOCK_FRAMES):
        block = slice(begin, begin + BLOCK_FRAMES)
        f0 = f0_hz[block, None].astype(np.float32)
        bend = speed[block, None].astype(np.float32) * t**2 / 2
        windowed = (excerpts[starts[block]] * hann(n_window)).astype(np.complex64)
        with_TK, against_TK = (partial_energies(windowed, f0 * (t + sign * bend)) for sign in (1, -1))
        total_TK = with_TK + against_TK
        counts_TK = (np.arange(1, N_PARTIALS + 1) * f0 < top_hz) & (total_TK > 0)
        ratio_TK = np.where(counts_TK, (with_TK - against_TK) / (total_TK + np.float32(1e-9)), 0)
        result[block] = ratio_TK.sum(axis=1) / np.maximum(counts_TK.sum(axis=1), 1)
    return result


def partial_energies(windowed: np.ndarray, cycles: np.ndarray) -> np.ndarray:
    """Return the energy of each partial of a chirp, shape (T, N_PARTIALS).

    Parameters
    ----------
    windowed : ndarray, shape (T, n), complex64
    cycles : ndarray, shape (T, n)
        Phase of the fundamental, in cycles.
    """
    step = np.exp(-2j * np.pi * cycles).astype(np.complex64)
    energies = np.empty((len(windowed), N_PARTIALS), np.float32)
    for k in range(N_PARTIALS):
        windowed = windowed * step
        total = windowed.sum(axis=1)
        energies[:, k] = total.real**2 + total.imag**2
    return energies


def presence(track: PitchTrack, params: Params) -> np.ndarray:
    """Return the probability that each frame of a whole recording lies in a passage with singing, shape (T,), 0..1.

    It is 1 in all frames if the evidence of the whole recording is sufficient, or if there is no evidence.
    """
    if not params.enabled or track.evidence_T is None:
        return np.ones(len(track.times_s))
    hop_s = float(track.times_s[1] - track.times_s[0])
    if np.sum(track.evidence_T - params.midpoint, dtype=float) * hop_s + params.credit_s > 0:
        return np.ones(len(track.times_s))
    n_block = max(1, round(BLOCK_MS / 1000 / hop_s))
    starts = np.arange(0, len(track.times_s), n_block)
    votes = params.passage_weight * hop_s * np.add.reduceat(track.evidence_T - params.passage_midpoint, starts)
    change = min(n_block * hop_s / params.passage_s, 0.5)
    middle = np.minimum(starts + (n_block - 1) / 2, len(track.times_s) - 1)
    posterior = two_state_posterior(votes.astype(float), change, 0.0)
    if posterior.max() < 0.5:
        return np.zeros(len(track.times_s))
    return np.interp(np.arange(len(track.times_s)), middle, posterior)
