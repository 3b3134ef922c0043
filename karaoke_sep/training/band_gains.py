"""Training of the network in `band_gains`.

It is asked for the least error of the vocals, in each recording against the error that the default leaves there, as
what is gained counts in dB. Beside that it learns two things that the gains have in common: whether somebody sings,
from labels, and how loud, from the true voice.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.special
from threadpoolctl import threadpool_limits

from .. import band_gains
from ..network import Tape
from ..stft import stft
from ..types import Audio

N_EXCERPTS, EXCERPT_FRAMES = 12, 160  # of each step
RATE, DECAY, WARM_UP, MAX_SLOPE = 2e-3, 1e-3, 0.1, 1.0  # usual values; no others tried
MEAN_OF, POWER_OF, AVERAGE_OF = 0.9, 0.999, 0.99  # memory of Adam (Kingma & Ba 2015), and of the mean of all weights
SUNG_WEIGHT, LEVEL_WEIGHT = 0.05, 0.1  # with 0.5 for the first, `amy` loses 0.5 dB: labels are the singer's own
P_DROPPED = 0.1  # of the coarsest maps (Srivastava et al. 2014)
TONE = 0.7  # standard deviation of a random tone of the mixture, in natural logarithms of power
LEAST_ERROR = 0.02  # of the energy of the voice, lest a recording without accompaniment outweighs all; no other tried


@dataclass(frozen=True, eq=False)
class Lesson:
    """What the network learns from a recording, in frames every 20 ms.

    Attributes
    ----------
    clues : band_gains.Clues
        Levels as float16, for those of all recordings are kept.
    power_6TB : ndarray, shape (6, T, B), float32
        Sums over each band of U U*, U R*, R R*, V U*, V R*, V V*, the spectra of the voice that was found, of the rest
        and of the true voice: all that the error of any gains depends on.
    sung_T : ndarray of int, shape (T,)
        1 where somebody sings, 0 where nobody does, -1 without a label.
    """

    clues: band_gains.Clues
    power_6TB: np.ndarray
    sung_T: np.ndarray

    @property
    def n_frames(self) -> int:
        """T."""
        return len(self.sung_T)


def lesson(clues: band_gains.Clues, mixture: Audio, found: Audio, voice: Audio, sung_T: np.ndarray) -> Lesson:
    """What is learned from a mixture whose voice is known, all (1, N) at `band_gains.RATE_HZ`."""
    scale = np.float32(1 / np.sqrt(np.mean(mixture.samples**2, dtype=float) + 1e-12))
    sounds = [found.samples, mixture.samples - found.samples, voice.samples]
    spectra = [stft(Audio(scale * s, mixture.rate_hz), band_gains.LONG_MS, band_gains.HOP_MS) for s in sounds]
    U_TF, R_TF, V_TF = (spectrum.values[0].T for spectrum in spectra)
    pairs = ((U_TF, U_TF), (U_TF, R_TF), (R_TF, R_TF), (V_TF, U_TF), (V_TF, R_TF), (V_TF, V_TF))
    power_6TB = np.stack([band_gains.band_sums((A * B.conj()).real, spectra[0]) for A, B in pairs])
    return Lesson(clues._replace(level_6TB=clues.level_6TB.astype(np.float16)), power_6TB, sung_T)


def error(voice_TB, rest_TB, power_6TB) -> np.ndarray:
    """|V - g U - h R|^2 in each band, shape (T, B)."""
    uu, ur, rr, vu, vr, vv = power_6TB
    return voice_TB**2 * uu + 2 * voice_TB * rest_TB * ur + rest_TB**2 * rr - 2 * (voice_TB * vu + rest_TB * vr) + vv


def train(
    lessons: list[Lesson], n_steps: int, seed: int, n_threads: int, tell: Callable[[int], None]
) -> dict[str, np.ndarray]:
    """Weights of the network, by Adam (Kingma & Ba 2015) on random excerpts, and averaged over the last steps.

    ``tell`` is called with the number of each step. The result does not depend on the number of threads: excerpts are
    computed one by one, and their slopes added in their order.
    """
    rng = np.random.default_rng(seed)
    weights = start_weights(rng)
    mean, power, average = ({name: np.zeros_like(w) for name, w in weights.items()} for _ in range(3))
    share = np.array([each.n_frames for each in lessons], float)
    share /= share.sum()
    levels = [target_level(each) for each in lessons]
    scales = [1 / (default_error(each) + 1e-12) for each in lessons]
    with threadpool_limits(1), ThreadPoolExecutor(n_threads) as threads:
        for step in range(1, n_steps + 1):
            drawn = list(excerpts(lessons, levels, scales, share, rng))
            slopes: dict[str, np.ndarray] = {}
            for found in threads.map(lambda excerpt, now=weights: slopes_of(now, *excerpt), drawn):
                slopes = {name: slopes[name] + slope if slopes else slope for name, slope in found.items()}
            size = np.sqrt(sum(float(np.sum(slope**2, dtype=float)) for slope in slopes.values()))
            shrink, rate = np.float32(min(1.0, MAX_SLOPE / (size + 1e-12))), np.float32(RATE * pace(step / n_steps))
            weights = {name: w * (1 - rate * np.float32(DECAY)) for name, w in weights.items()}
            for name, w in weights.items():
                slope = slopes[name] * shrink
                mean[name] = MEAN_OF * mean[name] + (1 - MEAN_OF) * slope
                power[name] = POWER_OF * power[name] + (1 - POWER_OF) * slope**2
                spread = np.sqrt(power[name] / (1 - POWER_OF**step)) + 1e-8
                w -= (rate / (1 - MEAN_OF**step) * mean[name] / spread).astype(np.float32)
                average[name] += np.float32(max(1 - AVERAGE_OF, 1 / step)) * (w - average[name])
            tell(step)
    return average


def pace(done: float) -> float:
    """Share of the highest learning rate, when so much of the training is done: up in a line, down along a cosine."""
    if done < WARM_UP:
        return max(done / WARM_UP, 0.04)
    return 0.5 * (1 + np.cos(np.pi * (done - WARM_UP) / (1 - WARM_UP)))


def start_weights(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random kernels (uniform, as wide as their inputs are many), but none for the gains: these begin as the gate's."""
    weights = {}
    for name, shape in band_gains.layers().items():
        reach = 0 if name == "gains" else 1 / np.sqrt(np.prod(shape[:3]))
        weights[f"{name}_kernel"] = rng.uniform(-reach, reach, shape).astype(np.float32)
        weights[f"{name}_bias"] = np.zeros(shape[3], np.float32)
    return weights


def target_level(each: Lesson) -> np.ndarray:
    """Level of the true voice in each frame, (T,): 1 for the loud ones, 1 less for each 17 dB, at least -2."""
    log_power_T = np.log(each.power_6TB[5].sum(axis=1) + band_gains.SMALL)
    return np.maximum(log_power_T - np.percentile(log_power_T, 95), -12) / 4 + 1


def default_error(each: Lesson) -> float:
    """Mean error of a frame with the training-free gate."""
    voice_TB = np.broadcast_to(each.clues.gate_T[:, None], each.power_6TB.shape[1:])
    left = error(voice_TB, 0 * voice_TB, each.power_6TB).sum() + LEAST_ERROR * each.power_6TB[5].sum()
    return float(left) / each.n_frames


def excerpts(lessons, levels, scales, share, rng) -> Iterator[tuple]:
    """Random excerpts of random recordings, each in another tone and without some maps, as `slopes_of` takes them."""
    for index in rng.choice(len(lessons), N_EXCERPTS, p=share):
        each = lessons[index]
        length = min(EXCERPT_FRAMES, each.n_frames // 4 * 4)  # whole cells of the coarsest map
        start = rng.integers(each.n_frames - length + 1)
        part = slice(start, start + length)
        offset_B = np.interp(np.linspace(0, 5, band_gains.N_BANDS), np.arange(6), TONE * rng.standard_normal(6))
        heard_C = ((rng.random(band_gains.N_COARSE) >= P_DROPPED) / (1 - P_DROPPED)).astype(np.float32)
        scale = scales[index] / (EXCERPT_FRAMES * N_EXCERPTS)
        yield each, part, levels[index], scale, offset_B.astype(np.float32), heard_C


def slopes_of(
    weights, each: Lesson, part: slice, level_T, scale: float, offset_B, heard_C=None
) -> dict[str, np.ndarray]:
    """Slope of the loss of an excerpt with respect to each of the weights."""
    clues = band_gains.Clues(each.clues.level_6TB[:, part], *(values[part] for values in each.clues[1:]))
    maps_TBC = band_gains.maps(clues.level_6TB, clues.f0_hz, offset_B)
    tape = Tape(learn=True)
    raw_TB2, sung_T12 = band_gains.network(tape, weights, maps_TBC, band_gains.evidence(clues), heard_C)
    voice_TB, rest_TB = band_gains.as_gains(raw_TB2, clues.gate_T)
    uu, ur, rr, vu, vr, _ = each.power_6TB[:, part] * np.float32(scale)
    of_voice_TB = 2 * (voice_TB * uu + rest_TB * ur - vu) * voice_TB * (1 - voice_TB / np.float32(band_gains.MAX_GAIN))
    of_rest_TB = 2 * (rest_TB * rr + voice_TB * ur - vr) * rest_TB * (1 - rest_TB)
    labels_T = each.sung_T[part]
    off_sung_T = np.where(labels_T >= 0, scipy.special.expit(sung_T12[:, 0, 0]) - labels_T, 0)
    off_level_T = np.clip((sung_T12[:, 0, 1] - level_T[part]) / 0.3, -1, 1)  # Huber's
    parts = np.float32(1 / (len(maps_TBC) * N_EXCERPTS)) * np.stack(
        [SUNG_WEIGHT * off_sung_T, LEVEL_WEIGHT * off_level_T], axis=1
    )
    seeds = [(raw_TB2, np.stack([of_voice_TB, of_rest_TB], axis=-1)), (sung_T12, parts[:, None].astype(np.float32))]
    slopes = tape.slopes(seeds)
    return {name: slopes[id(w)] for name, w in weights.items()}
