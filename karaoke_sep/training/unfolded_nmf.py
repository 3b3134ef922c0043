"""Training of the bases in `trained.unfolded_nmf`, by the gradient of the error of the separated voice.

All weights are exponentials of what is trained, so that they stay positive. The error of the gains G of a frame is
sum (G X - V)^2 = sum G^2 X^2 - 2 G Re(X* V) + V^2 with the complex spectra X and V of mixture and true voice: two sums
over each band suffice. It is divided by the mean energy of the recording's voice, because improvements count in dB.
The examples are the recordings themselves and remixes of them, so that a few singers teach all pitches and timbres.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from ..config import load_config
from ..datasets.mir1k import LABEL_HOP_S
from ..dsp.stft import fast_even_length, stft
from ..errors import InputError
from ..pipeline import find_pitch
from ..processes import memory
from ..processes.threads import one_thread
from ..recording import mono_mix
from ..trained import models, unfolded_nmf
from ..trained.unfolded_nmf import EPS, Layer
from ..types import Audio
from . import descent
from .activity import classes_of, median_pitch_hz, sources_of
from .dataset import Piece, singers_of
from .muon import Muon, Weights
from .remix import remix

RATE_HZ, HOP_MS = 16_000, 64.0
N_EXAMPLES, MAX_S = 440, 30.0  # recordings and remixes in all, and the longest excerpt of a recording
MAX_FRAMES = 200_000  # of all examples, which take 1.7 kB each
FRAMES_PER_GROUP = 256  # of a step, which has two groups
RATE = 10.0  # of learning, relative to that of the optimiser: 0.02 a step, for the logarithms of the weights
N_FIRST = 24  # frames of each source and example that the first bases are chosen from
LEAKAGE, MIN_WEIGHT, PENALTY = 0.02, 1e-4, 0.05  # first values: of a basis on the other side, and of the penalties
LOUD = 0.2  # louder than this share of the mean is not silence
MIN_ENERGY = 0.02  # share of the energy of the mixture that is added to that of the voice


@dataclass(frozen=True)
class Settings:
    """Bases of each source, iterations, window, remixes of each recording, steps of the training, and the seed."""

    n_bases: int = 150
    n_iterations: int = 5
    window_ms: float = 192.0
    n_remixes: int = 1
    n_steps: int = 1200
    seed: int = 0


class Example(NamedTuple):
    """A recording whose voice is known.

    Attributes
    ----------
    magnitude_TB, cross_TB : ndarray, shape (T, B), float16
        Square root of sum |X|^2 over each band, and sum Re(X* V), where the mean energy of the voice in a frame is 1.
    first_2NB : ndarray, shape (2, N, B), float16
        Relative magnitudes of some frames of the voice and of the accompaniment.
    """

    magnitude_TB: np.ndarray
    cross_TB: np.ndarray
    first_2NB: np.ndarray


def remixes_of_each(n_recordings: int) -> int:
    """Return the number of remixes of each recording that gives about `N_EXAMPLES` examples in all; at least 1."""
    return max(1, round(N_EXAMPLES / n_recordings) - 1)


def prepare_all(pieces: list[Piece], settings: Settings, n_jobs: int) -> Iterator[list[Example]]:
    """Yield the training examples of all recordings in their order, computed by ``n_jobs`` processes."""
    return descent.prepare_all(partial(prepare, pieces, settings), len(pieces), n_jobs)


@one_thread()
def prepare(pieces: list[Piece], settings: Settings, index: int) -> list[Example]:
    """Return the training examples of a recording: an excerpt of it, and remixes of the excerpt.

    Raises
    ------
    InputError
        If a file or its labels are damaged.
    """
    memory.keep_freed()
    piece, examples = pieces[index], []
    rng = np.random.default_rng([settings.seed, index])
    voice, own, classes = _excerpt(piece, rng)
    pitch_hz = median_pitch_hz(piece)
    if not np.isfinite(pitch_hz) and settings.n_remixes:
        pitch_hz = _pitch_hz(voice)
    examples.append(make_example(voice, own, settings.window_ms, rng))
    for _ in range(settings.n_remixes):
        others = (_excerpt(pieces[k], rng)[1] for k in rng.integers(len(pieces), size=2))
        remixed = remix(voice, own, others, classes, pitch_hz, RATE_HZ, rng)
        examples.append(make_example(remixed.voice, remixed.accompaniment, settings.window_ms, rng))
    most = max(1, MAX_FRAMES // (len(pieces) * (1 + settings.n_remixes)))
    return [_thinned(example, most, rng) for example in examples if example is not None]


def _excerpt(piece: Piece, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return voice and accompaniment of a random excerpt, (N,), and the classes of its frames: sung without labels."""
    voice, own = (mono_mix(side, RATE_HZ).samples[0] for side in sources_of(piece))
    if piece.clip and piece.clip.pitch_path:
        return voice, own, classes_of(piece)
    start = rng.integers(max(1, len(voice) - round(MAX_S * RATE_HZ)))
    excerpt = slice(start, start + round(MAX_S * RATE_HZ))
    return voice[excerpt], own[excerpt], np.full(max(2, int(len(voice[excerpt]) / RATE_HZ / LABEL_HOP_S)), 2)


def _pitch_hz(voice: np.ndarray) -> float:
    """Return the median of the pitch of a voice by itself; NaN if there is none."""
    track = find_pitch(Audio(voice[None], RATE_HZ), config=load_config("fast"))
    sung_hz = track.f0_hz[(track.voicing > 0.5) & np.isfinite(track.f0_hz)]
    return float(np.median(sung_hz)) if len(sung_hz) else np.nan


def make_example(
    voice: np.ndarray, accompaniment: np.ndarray, window_ms: float, rng: np.random.Generator
) -> Example | None:
    """Return the training example of a voice over an accompaniment, both (N,); None if either is silent."""
    sides = [stft(Audio(side[None].astype(np.float32), RATE_HZ), window_ms, HOP_MS) for side in (voice, accompaniment)]
    V_TF, A_TF = (spectrum.values[0].T for spectrum in sides)
    X_TF = V_TF + A_TF
    energy, total = (float(np.mean(np.sum(np.abs(S_TF) ** 2, axis=1))) for S_TF in (V_TF, X_TF))
    energy += MIN_ENERGY * total
    edges_hz = unfolded_nmf.band_edges_hz(RATE_HZ, sides[0].n_fft)
    bands = partial(unfolded_nmf.band_power, bin_hz=RATE_HZ / sides[0].n_fft, edges_hz=edges_hz)
    powers = [bands(np.abs(S_TF) ** 2) for S_TF in (V_TF, A_TF)]
    loud = [power_TB[(level_T := power_TB.sum(axis=1)) > LOUD * level_T.mean()] for power_TB in powers]
    if not all(map(len, loud)):
        return None
    first = [frames_NB[rng.integers(len(frames_NB), size=N_FIRST)] for frames_NB in loud]
    return Example(
        np.sqrt(np.maximum(bands(np.abs(X_TF) ** 2), 0) / energy).astype(np.float16),
        np.clip(bands((X_TF.conj() * V_TF).real) / energy, -6e4, 6e4).astype(np.float16),
        np.stack([unfolded_nmf.relative_magnitude(power_NB, edges_hz) for power_NB in first]).astype(np.float16),
    )


def _thinned(example: Example, most: int, rng: np.random.Generator) -> Example:
    """Return an example with at most so many frames."""
    n_frames = len(example.magnitude_TB)
    kept = np.sort(rng.permutation(n_frames)[:most])
    return example._replace(magnitude_TB=example.magnitude_TB[kept], cross_TB=example.cross_TB[kept])


class Frames:
    """All frames of the training examples, and random ones of them."""

    def __init__(self, examples: list[Example], edges_hz: np.ndarray):
        self._magnitude_TB = np.concatenate([example.magnitude_TB for example in examples])
        self._cross_TB = np.concatenate([example.cross_TB for example in examples])
        self._edges_hz = edges_hz

    def draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return relative magnitude, power and cross power, (n, B) each, of ``n`` random frames."""
        chosen = rng.integers(len(self._magnitude_TB), size=n)
        power_TB = self._magnitude_TB[chosen].astype(np.float32) ** 2
        X_TB = unfolded_nmf.relative_magnitude(power_TB, self._edges_hz)
        return X_TB, power_TB, self._cross_TB[chosen].astype(np.float32)


def train(
    pieces: list[Piece],
    prepared: list[list[Example]],
    settings: Settings,
    n_jobs: int = 1,
    on_step: descent.OnStep = lambda state_of: None,
    state: descent.State | None = None,
) -> models.Model:
    """Train a model on the examples of `prepare_all`; ``on_step`` and ``state`` as for `descent.descend`.

    Raises
    ------
    InputError
        If all recordings are silent.
    ConfigError
        If a process dies.
    """
    memory.keep_freed()
    examples = [example for group in prepared for example in group]
    if not examples:
        raise InputError(
            f"{pieces[0].paths[0].parent}: no recording has both a voice and an accompaniment; give others"
        )
    edges_hz = unfolded_nmf.band_edges_hz(RATE_HZ, fast_even_length(settings.window_ms * RATE_HZ / 1000))
    logs = first_weights(examples, settings, np.random.default_rng(settings.seed))
    gradients = partial(random_gradients, Frames(examples, edges_hz), settings.seed)
    logs = descent.descend(logs, Muon(logs, ()), gradients, settings.n_steps, n_jobs, on_step, state, RATE)
    about = {
        **asdict(settings),
        "rate_hz": RATE_HZ,
        "hop_ms": HOP_MS,
        "singers": singers_of(pieces),
        "n_clips": len(pieces),
        "versions": models.versions(),
    }
    return models.Model("nmf", about, {name: np.exp(log) for name, log in logs.items()} | {"edges_E": edges_hz})


def first_weights(examples: list[Example], settings: Settings, rng: np.random.Generator) -> Weights:
    """Return the logarithms of the first weights: random frames of both sources, the same in all iterations."""
    n = settings.n_bases
    frames = [np.concatenate([example.first_2NB[side] for example in examples]).astype(np.float32) for side in (0, 1)]
    chosen = [F_NB[rng.choice(len(F_NB), n, replace=len(F_NB) < n)] + F_NB.mean(axis=0) / 10 for F_NB in frames]
    B_KB = np.concatenate(chosen) / np.float32(1.1)
    of_voice_K1 = np.repeat(np.array([1, LEAKAGE], np.float32), n)[:, None]
    bases_LKB = np.repeat(B_KB[None], settings.n_iterations, axis=0)
    weights = {
        "bases_LKB": bases_LKB + MIN_WEIGHT,
        "penalty_LK": np.full(bases_LKB.shape[:2], PENALTY * bases_LKB.shape[2]),
        "voice_KB": B_KB * of_voice_K1 + MIN_WEIGHT,
        "accompaniment_KB": B_KB * of_voice_K1[::-1] + MIN_WEIGHT,
    }
    return {name: np.log(values).astype(np.float32) for name, values in weights.items()}


def random_gradients(frames: Frames, seed: int, group: int, step: int, logs: Weights) -> Weights:
    """Return the gradients of the loss of the random frames of a group in a step, for the logarithm of each weight."""
    with one_thread():
        _, gradients = loss_and_gradients(
            logs, *frames.draw(FRAMES_PER_GROUP, np.random.default_rng([seed, group, step]))
        )
    return gradients


def loss_and_gradients(
    logs: Weights, X_TB: np.ndarray, power_TB: np.ndarray, cross_TB: np.ndarray
) -> tuple[float, Weights]:
    """Return the mean error of some frames without sum V^2, and its gradients for the logarithm of each weight.

    Parameters
    ----------
    logs : dict of ndarray
    X_TB, power_TB, cross_TB : ndarray, shape (T, B)
        As `Frames.draw` gives them.
    """
    weights = {name: np.exp(log) for name, log in logs.items()}
    V_TB, A_TB, H_TK, layers = unfolded_nmf.forward(weights, X_TB)
    sum_TB = V_TB + A_TB + EPS
    gain_TB = V_TB / sum_TB
    loss = float(np.sum(gain_TB * (gain_TB * power_TB - 2 * cross_TB), dtype=float)) / len(X_TB)
    of_gain_TB = 2 * (gain_TB * power_TB - cross_TB) / len(X_TB)
    of_V_TB, of_A_TB = of_gain_TB * (1 - gain_TB) / sum_TB, -of_gain_TB * gain_TB / sum_TB
    gradients = {
        "voice_KB": H_TK.T @ of_V_TB,
        "accompaniment_KB": H_TK.T @ of_A_TB,
        "bases_LKB": np.empty_like(weights["bases_LKB"]),
        "penalty_LK": np.empty_like(weights["penalty_LK"]),
    }
    of_H_TK = of_V_TB @ weights["voice_KB"].T + of_A_TB @ weights["accompaniment_KB"].T
    for number in reversed(range(len(layers))):
        of_H_TK, of_B_KB, of_expected_K = backward(layers[number], weights["bases_LKB"][number], of_H_TK)
        gradients["bases_LKB"][number], gradients["penalty_LK"][number] = of_B_KB, of_expected_K
    return loss, {name: gradients[name] * weights[name] for name in logs}


def backward(layer: Layer, B_KB: np.ndarray, of_next_TK: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients for the activations before an update, (T, K), its bases, (K, B), and its penalty, (K,).

    Parameters
    ----------
    layer : Layer
    B_KB : ndarray, shape (K, B)
    of_next_TK : ndarray, shape (T, K)
        Gradient for the activations after the update.
    """
    of_change_TK = of_next_TK * layer.H_TK
    of_expected_K = -np.sum(of_change_TK * layer.change_TK, axis=0) / layer.expected_K
    of_numerator_TK = of_change_TK / layer.expected_K
    of_L_TB = -(of_numerator_TK @ B_KB) * layer.R_TB / layer.L_TB
    of_B_KB = of_numerator_TK.T @ layer.R_TB + layer.H_TK.T @ of_L_TB + of_expected_K[:, None]
    return of_next_TK * layer.change_TK + of_L_TB @ B_KB.T, of_B_KB, of_expected_K
