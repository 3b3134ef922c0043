"""How much of the voice that was found to keep, and how much of the rest to take back, in bands of frequency.

The vocals are g u + h (x - u): u is the voice found along the pitch, before any gate, x the mixture, and the gains g
and h of each band and frame come from a convolutional network that was trained on other recordings. It hears the levels
of mixture, voice and rest in long and short windows, and what the training-free gate makes of the song, whose gain is
where g starts from. In the shape of a U-net (Ronneberger, Fischer & Brox 2015; for singing Jansson et al. 2017): frames
and pairs of bands are halved twice, all bands are heard together at the bottom, and the finer maps are added on the way
back.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.special

from ..dsp.stft import istft, stft
from ..types import Audio, PitchTrack
from .network import Tape

RATE_HZ = 16_000
LONG_MS, SHORT_MS, HOP_MS = 64.0, 32.0, 20.0
N_BANDS, MIN_HZ, TOP_HZ = 40, 60.0, 8000.0
REST_FROM_BAND = 20  # 1.9 kHz; below, the rest is left alone: with it `abjones` gains 0.1 dB, and `amy` loses 0.5
TRUST = (0.75, 0.4)  # below, above: `abjones` +0.52, `amy` +0.68 dB; all the way +0.33, +0.75 (an earlier network)
MAX_GAIN = 1.1  # of the voice found: where it is hidden, more than all of it is nearest to the true one; no other tried
SMALL = 1e-3  # power below which a band is silent, of a mixture whose samples have a mean power of 1
N_MAPS, N_EVIDENCE = 8, 11
N_PAIRS = N_BANDS // 2  # neighbouring bands are two channels of one: a quarter less work than 40 bands, and as good
N_FINE, N_MIDDLE, N_COARSE, N_HIDDEN, N_FEW = 24, 32, 32, 32, 8  # channels of the network
BLOCK_FRAMES, REACH_FRAMES = 512, 64  # as much is computed at once, and heard before and after; multiples of 4


class Clues(NamedTuple):
    """What the network is told of a recording, every 20 ms.

    Attributes
    ----------
    level_6TB : ndarray, shape (6, T, B)
        From `levels`.
    f0_hz : ndarray, shape (T,), Hz, finite
    gate_T : ndarray, shape (T,), 0..1
        Gain of the gate that knows only the song.
    evidence_TD : ndarray, shape (T, 9)
        From `trained_activity.evidence_of`.
    """

    level_6TB: np.ndarray
    f0_hz: np.ndarray
    gate_T: np.ndarray
    evidence_TD: np.ndarray

    def at(self, frames: np.ndarray) -> "Clues":
        """Those of some frames, by their numbers."""
        return Clues(self.level_6TB[:, frames], *(values[frames] for values in self[1:]))

    def cut(self, frames: slice) -> "Clues":
        """Those of some frames."""
        return Clues(self.level_6TB[:, frames], *(values[frames] for values in self[1:]))


def layers() -> dict[str, tuple[int, int, int, int]]:
    """Kernels of the network by their names: frames, bands, channels before and after."""
    fine, middle, coarse, hidden = N_FINE, N_MIDDLE, N_COARSE, N_HIDDEN
    return {
        "evidence1": (5, 1, N_EVIDENCE, hidden),
        "evidence2": (5, 1, hidden, fine),
        "maps": (3, 3, 2 * N_MAPS, fine),
        "down1": (3, 3, fine, middle),
        "middle1_a": (3, 3, middle, middle),
        "middle1_b": (3, 3, middle, middle),
        "down2": (3, 3, middle, coarse),
        "coarse_a": (3, 3, coarse, coarse),
        "coarse_b": (3, 3, coarse, coarse),
        "all1": (1, 1, coarse * N_PAIRS // 4, hidden),
        "all2": (5, 1, hidden, hidden),
        "all3": (1, 1, hidden, coarse),
        "up2": (1, 1, coarse, middle),
        "middle2_a": (3, 3, middle, middle),
        "middle2_b": (3, 3, middle, middle),
        "up1": (1, 1, middle, fine),
        "gains": (3, 3, fine, 2 * 2),
        "few": (1, 1, fine, N_FEW),
        "sung1": (5, 1, N_FEW * N_PAIRS, hidden),
        "sung2": (5, 1, hidden, 2),
    }


def shapes() -> dict[str, tuple[int, ...]]:
    """Shapes of the weights of the network by their names: kernels, and what is added to each channel."""
    kernels = {f"{name}_kernel": shape for name, shape in layers().items()}
    return kernels | {f"{name}_bias": shape[3:] for name, shape in layers().items()}


@lru_cache(maxsize=8)
def band_weights(n_bins: int, bin_hz: float) -> np.ndarray:
    """Share of each band in each bin, shape (B, F): triangles on a mel scale that add up to 1 up to `TOP_HZ`.

    Bins below the first centre belong to the first band alone, those above the last centre to the last.
    """
    low_mel, top_mel = (1127 * np.log1p(f / 700) for f in (MIN_HZ, TOP_HZ))
    freqs_hz = np.arange(n_bins) * bin_hz
    place = (1127 * np.log1p(freqs_hz / 700) - low_mel) / (top_mel - low_mel) * (N_BANDS + 1) - 1
    place = np.clip(place, 0, N_BANDS - 1)
    weights_BF = np.maximum(1 - np.abs(np.arange(N_BANDS)[:, None] - place), 0)
    return (weights_BF * (freqs_hz <= TOP_HZ)).astype(np.float32)


def centres_hz() -> np.ndarray:
    """Middle of each band, shape (B,)."""
    low_mel, top_mel = (1127 * np.log1p(f / 700) for f in (MIN_HZ, TOP_HZ))
    return 700 * np.expm1((low_mel + np.arange(1, N_BANDS + 1) / (N_BANDS + 1) * (top_mel - low_mel)) / 1127)


def pitch_everywhere(track: PitchTrack, times_s: np.ndarray) -> np.ndarray:
    """The pitch at any time, Hz: between those that are known interpolated, 200 Hz if none is."""
    known = np.isfinite(track.f0_hz)
    if not known.any():
        return np.full(len(times_s), 200.0)
    return np.exp(np.interp(times_s, track.times_s[known], np.log(track.f0_hz[known])))


def scale_of(power: float) -> np.float32:
    """Return the factor that brings a mixture of so much mean power to a power of 1."""
    return np.float32(1 / np.sqrt(power + 1e-12))


def levels(mixture: Audio, found: Audio, scale: np.float32 | None = None) -> np.ndarray:
    """Natural logarithms of the power of mixture, voice and rest in each band, shape (6, T, B), float32.

    Parameters
    ----------
    mixture, found : Audio, (1, N)
        At `RATE_HZ`; the voice found is not gated.
    scale : float, optional
        From `scale_of` the whole recording; by default that of these samples.

    Returns
    -------
    ndarray, shape (6, T, B), float32
        In long windows, then in short ones.
    """
    if scale is None:
        scale = scale_of(np.mean(mixture.samples**2, dtype=float))
    sounds = [Audio(scale * samples, RATE_HZ) for samples in (mixture.samples, found.samples)]
    sounds.append(Audio(sounds[0].samples - sounds[1].samples, RATE_HZ))
    planes = [
        band_sums(np.abs(spectrum.values[0].T) ** 2, spectrum)
        for window_ms in (LONG_MS, SHORT_MS)
        for spectrum in (stft(sound, window_ms, HOP_MS) for sound in sounds)
    ]
    return np.log(np.stack(planes) + np.float32(SMALL))


def band_sums(power_TF: np.ndarray, spectrum) -> np.ndarray:
    """Sum over each band, shape (T, B)."""
    return power_TF @ band_weights(power_TF.shape[1], spectrum.rate_hz / spectrum.n_fft).T


def maps(level_6TB: np.ndarray, f0_hz: np.ndarray, offset_B=0.0, mean_2=None) -> np.ndarray:
    """What the network hears in each frame and band, shape (T, B, `N_MAPS`), float32, about -1..1.

    Levels of the mixture against their mean, of voice and rest against the mixture, the height of the band, and its
    distance from the pitch.

    Parameters
    ----------
    level_6TB : ndarray, shape (6, T, B)
    f0_hz : ndarray, shape (T,), Hz, finite
    offset_B : ndarray, shape (B,), optional
        Added to the levels of the mixture, as another tone of the recording would.
    mean_2 : sequence of two float, optional
        Mean level of the mixture in long and in short windows, over the whole recording; by default over these frames.
    """
    level_6TB = level_6TB.astype(np.float32, copy=False)
    height_B = np.log2(centres_hz() / 1000).astype(np.float32)
    planes = []
    for number, (mixture_TB, voice_TB, rest_TB) in enumerate((level_6TB[:3], level_6TB[3:])):
        mean = mixture_TB.mean() if mean_2 is None else mean_2[number]
        planes += [(mixture_TB - mean + offset_B) / 4, (voice_TB - mixture_TB) / 3]
        planes += [(rest_TB - mixture_TB) / 3]
    planes += [np.broadcast_to(height_B / 2, level_6TB.shape[1:])]
    planes += [np.tanh(height_B - np.log2(f0_hz / 1000).astype(np.float32)[:, None])]
    return np.stack(planes, axis=-1, dtype=np.float32)


def evidence(clues: Clues) -> np.ndarray:
    """What the network hears in each frame, shape (T, `N_EVIDENCE`), float32, about -1..1."""
    scale_D = np.array([4, 20, 4, 4, 50, 50, 200, 200, 1000])
    pitch_T = np.log2(clues.f0_hz / 200)
    return np.hstack([clues.evidence_TD / scale_D, pitch_T[:, None], clues.gate_T[:, None]]).astype(np.float32)


def network(tape: Tape, weights: Mapping[str, np.ndarray], maps_TBC: np.ndarray, evidence_TD: np.ndarray, heard_C=None):
    """Raw gains, shape (T, B, 2), and what speaks for a voice, shape (T, 2); T is a multiple of 4.

    The latter are log-odds that somebody sings, and the level of the true voice (see `training.band_gains`).
    ``heard_C``, shape (`N_COARSE`,), are factors on the coarsest maps, for training.
    """

    def conv(name, x, from_data=False):
        return tape.conv(x, weights[f"{name}_kernel"], weights[f"{name}_bias"], from_data)

    def block(name, x):
        return tape.add(x, conv(f"{name}_b", tape.relu(conv(f"{name}_a", x))))

    n_frames = len(maps_TBC)
    pairs = maps_TBC.reshape(n_frames, N_PAIRS, 2 * N_MAPS)
    told = conv("evidence2", tape.relu(conv("evidence1", evidence_TD[:, None], True)))
    fine = tape.relu(tape.add(conv("maps", pairs, True), told))
    middle = block("middle1", tape.relu(conv("down1", tape.pool(fine))))
    coarse = block("coarse", tape.relu(conv("down2", tape.pool(middle))))
    if heard_C is not None:
        coarse = tape.times(coarse, heard_C)
    whole = tape.relu(conv("all1", tape.reshape(coarse, (n_frames // 4, 1, -1))))
    whole = tape.relu(tape.add(whole, conv("all2", whole)))
    coarse = tape.relu(tape.add(coarse, conv("all3", whole)))
    middle = block("middle2", tape.relu(tape.add(tape.spread(conv("up2", coarse)), middle)))
    fine = tape.relu(tape.add(tape.spread(conv("up1", middle)), fine))
    few = tape.reshape(tape.relu(conv("few", fine)), (n_frames, 1, -1))
    raw_TB2 = tape.reshape(conv("gains", fine), (n_frames, N_BANDS, 2))
    return raw_TB2, conv("sung2", tape.relu(conv("sung1", few)))


def as_gains(raw_TB2: np.ndarray, gate_T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gains of the voice, 0..`MAX_GAIN`, and of the rest, 0..1, shape (T, B), from what the network says."""
    from_gate_T1 = 0.7 * scipy.special.logit(np.clip(gate_T, 0.005, 0.995))[:, None]
    voice_TB = np.float32(MAX_GAIN) * scipy.special.expit(from_gate_T1.astype(np.float32) + raw_TB2[..., 0])
    rest_TB = scipy.special.expit(raw_TB2[..., 1] - 4) * (np.arange(N_BANDS) >= REST_FROM_BAND)
    return voice_TB, rest_TB.astype(np.float32)


def hear(weights: Mapping[str, np.ndarray], clues: Clues) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return gains of voice and rest, (T, B), and what speaks for a voice, (T, 2), of a whole recording."""
    means = [float(clues.level_6TB[plane].mean(dtype=np.float32)) for plane in (0, 3)]
    blocks = list(hear_blocks(weights, len(clues.f0_hz), clues.at, means))
    voice_TB, rest_TB, sung_T2 = (np.concatenate(values) for values in zip(*blocks, strict=True))
    return voice_TB, rest_TB, sung_T2


def hear_blocks(weights, n_frames: int, read: Callable[[np.ndarray], Clues], mean_2, first: int = 0):
    """Yield gains of voice and rest, (t, B), and what speaks for a voice, (t, 2), of blocks of frames in their order.

    The gain of the voice lies between that of the gate that knows only the song and the network's: these are two
    witnesses, and the network has heard few singers.

    Parameters
    ----------
    weights : mapping of ndarray
        Those of `shapes`, and maybe more.
    n_frames : int
        Frames of the recording.
    read : callable
        Gives the `Clues` of frames by their numbers.
    mean_2 : sequence of two float
        As for `maps`.
    first : int
        Where to begin.
    """
    trust_B = np.where(np.arange(N_BANDS) < REST_FROM_BAND, *TRUST).astype(np.float32)
    for start in range(first, n_frames, BLOCK_FRAMES):
        stop = min(start + BLOCK_FRAMES, n_frames)
        padding = -(stop - start) % 4
        around = np.clip(np.arange(start - REACH_FRAMES, stop + REACH_FRAMES + padding), 0, n_frames - 1)
        clues = read(around)
        maps_TBC = maps(clues.level_6TB, clues.f0_hz, mean_2=mean_2)
        raw_TB2, sung_T12 = network(Tape(), weights, maps_TBC, evidence(clues))
        inner = slice(REACH_FRAMES, REACH_FRAMES + stop - start)
        gate_T = clues.gate_T[inner]
        voice_TB, rest_TB = as_gains(raw_TB2[inner], gate_T)
        gate_T1 = gate_T[:, None].astype(np.float32)
        yield gate_T1 + trust_B * (voice_TB - gate_T1), rest_TB, sung_T12[inner, 0]


def apply(mixture: Audio, found: Audio, voice_TB: np.ndarray, rest_TB: np.ndarray, start_s: float = 0.0) -> Audio:
    """The vocals g u + h (x - u), (C, N) float32, at any sample rate.

    Parameters
    ----------
    mixture, found : Audio, (C, N)
        x and u.
    voice_TB, rest_TB : ndarray, shape (T, B)
        g and h of the whole song, the same for all channels.
    start_s : float, s
        Where in the song the sounds begin.
    """
    spectrum = stft(mixture, LONG_MS, HOP_MS)
    U = stft(found, LONG_MS, HOP_MS).values
    weights_BF = band_weights(U.shape[1], spectrum.rate_hz / spectrum.n_fft)
    rows = np.clip(np.rint((spectrum.times_s + start_s) * 1000 / HOP_MS).astype(int), 0, len(voice_TB) - 1)
    voice_FT, rest_FT = ((gains_TB[rows] @ weights_BF).T for gains_TB in (voice_TB, rest_TB))
    return istft(replace(spectrum, values=voice_FT * U + rest_FT * (spectrum.values - U)))
