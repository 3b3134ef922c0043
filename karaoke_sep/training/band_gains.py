"""Training of the network in `trained.band_gains`.

The training minimises the squared error of the vocals, in each recording relative to the error of the untrained gate,
because improvements count in dB. The network also learns two quantities that determine the gains: whether somebody
sings, from labels, and the level of the true voice.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import scipy.special

from ..dsp.stft import stft
from ..processes import memory
from ..processes.threads import one_thread
from ..trained import band_gains
from ..trained.network import Tape
from ..types import Audio
from .descent import OnStep, State, add, descend
from .muon import Muon, Weights

N_PER_GROUP, EXCERPT_FRAMES = 3, 160  # a step uses two groups of excerpts
OUTPUTS = ("gains", "sung2")  # layers
SUNG_WEIGHT, LEVEL_WEIGHT = 0.3, 0.2  # half of the first costs 0.0008 AUC for `amy`, twice the second 0.0007
P_DROPPED = 0.1  # of the coarsest maps (Srivastava et al. 2014)
TONE = 0.7  # standard deviation of a random tone of the mixture, in natural logarithms of power
# Share of the energy of the voice that is added to the error of the untrained gate. Without it a recording without
# accompaniment would outweigh all others. No other value was tried.
MIN_ERROR = 0.02
POWER_UNIT, MAX_POWER = np.float32(1024), 6e4  # float16 then holds 100 dB, and 522 examples take 0.7 GB


@dataclass(frozen=True, eq=False)
class Example:
    """A training example: a recording whose voice is known, in frames every 20 ms.

    Attributes
    ----------
    inputs : band_gains.NetworkInputs
        The levels are float16, because those of all recordings are kept in memory.
    power_6TB : ndarray, shape (6, T, B), float16
        Sums over each band of U U*, U R*, R R*, V U*, V R*, V V*, where U, R and V are the spectra of the voice
        estimate, of the residual and of the true voice, divided by `POWER_UNIT`. The error of any gains depends on
        these sums alone.
    sung_T : ndarray of int, shape (T,)
        1 where somebody sings, 0 where nobody sings, -1 where there is no label.
    """

    inputs: band_gains.NetworkInputs
    power_6TB: np.ndarray
    sung_T: np.ndarray

    @property
    def n_frames(self) -> int:
        """T."""
        return len(self.sung_T)


def make_example(
    inputs: band_gains.NetworkInputs, mixture: Audio, estimate: Audio, voice: Audio, sung_T: np.ndarray
) -> Example:
    """Return the training example of a mixture, its voice estimate and its true voice.

    All three sounds have the shape (1, N) and the rate `band_gains.RATE_HZ`.
    """
    scale = np.float32(1 / np.sqrt(np.mean(mixture.samples**2, dtype=float) + 1e-12))
    sounds = [estimate.samples, mixture.samples - estimate.samples, voice.samples]
    spectra = [stft(Audio(scale * s, mixture.rate_hz), band_gains.WINDOWS_MS[0], band_gains.HOP_MS) for s in sounds]
    U_TF, R_TF, V_TF = (spectrum.values[0].T for spectrum in spectra)
    pairs = ((U_TF, U_TF), (U_TF, R_TF), (R_TF, R_TF), (V_TF, U_TF), (V_TF, R_TF), (V_TF, V_TF))
    power_6TB = np.stack([band_gains.band_sums((A * B.conj()).real, spectra[0]) for A, B in pairs]) / POWER_UNIT
    halves_6TB = np.clip(power_6TB, -MAX_POWER, MAX_POWER).astype(np.float16)
    return Example(inputs._replace(level_6TB=inputs.level_6TB.astype(np.float16)), halves_6TB, sung_T)


class Excerpt(NamedTuple):
    """An excerpt of a training example.

    Attributes
    ----------
    inputs : band_gains.NetworkInputs
    power_6TB : ndarray, shape (6, T, B)
        Divided by the mean error of a frame of the example with the untrained gate.
    sung_T, level_T : ndarray, shape (T,)
        See `Example` and `target_level`.
    offset_B : ndarray, shape (B,)
        Random tone of the recording, see `band_gains.band_features`.
    dropout_C : ndarray, shape (C,)
        Dropout mask of the coarsest maps.
    """

    inputs: band_gains.NetworkInputs
    power_6TB: np.ndarray
    sung_T: np.ndarray
    level_T: np.ndarray
    offset_B: np.ndarray
    dropout_C: np.ndarray


def error(voice_TB: np.ndarray, residual_TB: np.ndarray, power_6TB: np.ndarray) -> np.ndarray:
    """Return the squared error |V - g U - h R|^2 of gains g and h in each band, shape (T, B)."""
    uu, ur, rr, vu, vr, vv = power_6TB
    cross = 2 * (voice_TB * vu + residual_TB * vr)
    return voice_TB**2 * uu + 2 * voice_TB * residual_TB * ur + residual_TB**2 * rr - cross + vv


def train(
    examples: list[Example],
    n_steps: int,
    seed: int,
    n_jobs: int,
    on_step: OnStep,
    state: State | None = None,
) -> Weights:
    """Train the network on random excerpts, and return its weights averaged over the last steps.

    Parameters
    ----------
    examples : list of Example
    n_steps, seed, n_jobs : int
    on_step, state
        As for `descent.descend`.

    Raises
    ------
    ConfigError
        If a process dies.
    """
    weights = initial_weights(np.random.default_rng(seed))
    optimiser = Muon(weights, [f"{name}_kernel" for name in band_gains.layers() if name not in OUTPUTS])
    gradients = partial(random_gradients, Excerpts(examples), N_PER_GROUP, seed)
    return descend(weights, optimiser, gradients, n_steps, n_jobs, on_step, state)


def initial_weights(rng: np.random.Generator) -> Weights:
    """Return random weights, uniform within 1 / sqrt(number of inputs).

    The layer of the gains starts at zero, so that the gains start as those of the untrained gate.
    """
    weights = {}
    for name, shape in band_gains.layers().items():
        limit = 0 if name == "gains" else 1 / np.sqrt(np.prod(shape[:3]))
        weights[f"{name}_kernel"] = rng.uniform(-limit, limit, shape).astype(np.float32)
        weights[f"{name}_bias"] = np.zeros(shape[3], np.float32)
    return weights


def target_level(example: Example) -> np.ndarray:
    """Return the level of the true voice, shape (T,): 1 in loud frames, 1 less for every 17 dB below, at least -2."""
    power_T = POWER_UNIT * example.power_6TB[5].sum(axis=1, dtype=np.float32)
    log_power_T = np.log(power_T + band_gains.POWER_FLOOR)
    return np.maximum(log_power_T - np.percentile(log_power_T, 95), -12) / 4 + 1


def untrained_error(example: Example) -> float:
    """Return the mean error of a frame with the untrained gate."""
    power_6TB = example.power_6TB.astype(np.float32)
    voice_TB = np.broadcast_to(example.inputs.gate_T[:, None], power_6TB.shape[1:])
    total = error(voice_TB, 0 * voice_TB, power_6TB).sum() + MIN_ERROR * power_6TB[5].sum()
    return float(total) / example.n_frames


class Excerpts:
    """Random excerpts of training examples."""

    def __init__(self, examples: list[Example]):
        self._examples = examples
        self._levels = [target_level(example) for example in examples]
        self._scales = [1 / (untrained_error(example) + 1e-12) for example in examples]
        n_frames = np.array([example.n_frames for example in examples], float)
        self._probabilities = n_frames / n_frames.sum()

    def draw(self, rng: np.random.Generator) -> Excerpt:
        """Return an excerpt of a random example, with a random tone and a random dropout mask."""
        index = rng.choice(len(self._examples), p=self._probabilities)
        example = self._examples[index]
        length = min(EXCERPT_FRAMES, example.n_frames // 4 * 4)  # whole cells of the coarsest map
        start = rng.integers(example.n_frames - length + 1)
        frames = slice(start, start + length)
        offset_B = np.interp(np.linspace(0, 5, band_gains.N_BANDS), np.arange(6), TONE * rng.standard_normal(6))
        dropout_C = (rng.random(band_gains.N_COARSE) >= P_DROPPED) / (1 - P_DROPPED)
        return Excerpt(
            example.inputs.at(frames),
            example.power_6TB[:, frames] * np.float32(self._scales[index]),
            example.sung_T[frames],
            self._levels[index][frames],
            offset_B.astype(np.float32),
            dropout_C.astype(np.float32),
        )


def random_gradients(excerpts: Excerpts, n: int, seed: int, group: int, step: int, weights: Weights) -> Weights:
    """Return the gradients of the loss of the ``n`` random excerpts of a group in a step, for each weight."""
    memory.keep_freed()
    rng = np.random.default_rng([seed, group, step])
    with one_thread():
        return add(*(gradients_of(weights, excerpts.draw(rng)) for _ in range(n)))


def gradients_of(weights: Weights, excerpt: Excerpt) -> Weights:
    """Return the gradients of the loss of an excerpt with respect to each weight."""
    inputs = excerpt.inputs
    bands_TBC = band_gains.band_features(inputs.level_6TB, inputs.f0_hz, excerpt.offset_B)
    frames_TD = band_gains.frame_features(inputs)
    tape = Tape(recording=True)
    output_TB2, activity_T12 = band_gains.network(tape, weights, bands_TBC, frames_TD, excerpt.dropout_C)
    voice_TB, residual_TB = band_gains.gains_from_outputs(output_TB2, inputs.gate_T)
    uu, ur, rr, vu, vr, _ = excerpt.power_6TB
    relative_TB = voice_TB / np.float32(band_gains.MAX_GAIN)
    of_voice_TB = 2 * (voice_TB * uu + residual_TB * ur - vu) * voice_TB * (1 - relative_TB)
    of_residual_TB = 2 * (residual_TB * rr + voice_TB * ur - vr) * residual_TB * (1 - residual_TB)
    sung_error_T = np.where(excerpt.sung_T >= 0, scipy.special.expit(activity_T12[:, 0, 0]) - excerpt.sung_T, 0)
    level_error_T = np.clip((activity_T12[:, 0, 1] - excerpt.level_T) / 0.3, -1, 1)  # gradient of Huber's loss
    of_activity_T2 = np.stack([SUNG_WEIGHT * sung_error_T, LEVEL_WEIGHT * level_error_T], axis=1).astype(np.float32)
    of_outputs = [
        (output_TB2, np.stack([of_voice_TB, of_residual_TB], axis=-1)),
        (activity_T12, of_activity_T2[:, None]),
    ]
    gradients = tape.gradients(of_outputs)
    return {name: gradients[id(w)] for name, w in weights.items()}
