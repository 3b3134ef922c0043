"""Training of a model of kind "activity": frame classes, vocal activity, and the gains of the gate.

The frame classes are trained on the clips themselves. The vocal activity (`singing`) and the gains (`band_gains`) are
trained on remixes of the clips as well, because they have to generalise to other singers and accompaniments.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import joblib
import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.mixture import GaussianMixture

from ..config import Config, load_config
from ..datasets import mir1k
from ..errors import ConfigError, InputError
from ..evaluation.trained_inputs import trained_inputs
from ..files import contours
from ..processes import memory
from ..processes.threads import one_thread, thread_limit
from ..recording import mono_mix
from ..trained import frame_classes, models
from ..types import Audio
from . import band_gains, descent, singing
from .dataset import Piece, singers_of
from .remix import remix

N_CLASSES = len(frame_classes.CLASSES)
MIN_FRAMES = 16  # shorter remixes are not used
N_STEPS, N_EXAMPLES = 8000, 520
# Share of the network's log-odds that is added to those of the untrained gate, below and above 1.9 kHz. With 0.85 and
# 0.6, `abjones` gains 0.05 dB less from a network that was trained on `amy`, and `amy` 0.02 dB more from that of
# `abjones`; trained on both, the nine songs reach 4.17 dB instead of 4.22.
TRUST = (0.75, 0.5)


@dataclass(frozen=True)
class Settings:
    """Gaussians of each class, remixes of each clip in their order, steps of the network, and the seed."""

    n_gaussians: int = 8
    n_remixes: tuple[int, ...] = ()
    n_steps: int = N_STEPS
    seed: int = 0


class TrainingClip(NamedTuple):
    """Training data of a clip.

    Attributes
    ----------
    X_TD : ndarray, shape (T, D), float32
        Features of its labelled frames, see `frame_classes.features`.
    classes : ndarray of int, shape (T,)
    examples : list of band_gains.Example
        The clip itself, and its remixes.
    """

    X_TD: np.ndarray
    classes: np.ndarray
    examples: list[band_gains.Example]


def remixes_of_each(pieces: list[Piece]) -> tuple[int, ...]:
    """Return the number of remixes of each clip, at least 1: about `N_EXAMPLES` examples in all, as many a singer.

    Songs gain 0.02 dB more if half of the examples are of `abjones`, whose clips are a quarter of the development data.
    """
    n_clips = Counter(piece.singer for piece in pieces)
    return tuple(max(1, round(N_EXAMPLES / len(n_clips) / n_clips[piece.singer]) - 1) for piece in pieces)


def prepare_all(pieces: list[Piece], n_remixes: Sequence[int], seed: int, n_jobs: int) -> Iterator[TrainingClip]:
    """Yield the training data of all clips in their order, computed by ``n_jobs`` processes.

    Raises
    ------
    InputError
        If a file or its labels are missing or damaged.
    ConfigError
        If a process dies.
    """
    yield from descent.prepare_all(partial(_prepare, pieces, n_remixes, seed), len(pieces), n_jobs)


def _prepare(pieces: list[Piece], n_remixes: Sequence[int], seed: int, index: int) -> TrainingClip:
    return prepare(pieces, index, n_remixes[index], seed)


@one_thread()
def prepare(pieces: list[Piece], index: int, n_remixes: int, seed: int) -> TrainingClip:
    """Return the training data of a clip and of its remixes, its voice over accompaniments of other clips.

    Raises
    ------
    InputError
        If a file or its labels are missing or damaged.
    """
    memory.keep_freed()
    voice, own = sources_of(pieces[index])
    classes = classes_of(pieces[index])
    X_TD, example = prepare_sources(voice, own, classes)
    examples = [example]
    rows = mir1k.labelled_rows(len(classes), len(X_TD))
    pitch_hz = median_pitch_hz(pieces[index])
    for number in range(n_remixes):
        rng = np.random.default_rng([seed, index, number])
        others = (sources_of(pieces[k])[1].samples[0] for k in rng.integers(len(pieces), size=2))
        remixed = remix(voice.samples[0], own.samples[0], others, classes, pitch_hz, voice.rate_hz, rng)
        if len(remixed.classes) >= MIN_FRAMES:
            new_voice, new_music = (Audio(side[None], voice.rate_hz) for side in (remixed.voice, remixed.accompaniment))
            examples.append(prepare_sources(new_voice, new_music, remixed.classes)[1])
    return TrainingClip(X_TD[rows].astype(np.float32), classes[: len(rows)], examples)


def sources_of(piece: Piece) -> tuple[Audio, Audio]:
    """Return voice and accompaniment of a clip.

    Raises
    ------
    InputError
        If the clip has one side only.
    """
    voice, accompaniment = piece.read()
    if voice is None or accompaniment is None:
        raise InputError(f"{piece.paths[0]}: this training needs voice and accompaniment; only one of them is here")
    return voice, accompaniment


def classes_of(piece: Piece) -> np.ndarray:
    """Return the class of each labelled frame: 0, 1 or 2, see `mir1k.read_classes`."""
    if piece.clip is None:
        raise InputError(
            f"{piece.paths[0]}: this training needs the labels of MIR-1K, which this recording does not have"
        )
    return mir1k.read_classes(piece.clip)


def median_pitch_hz(piece: Piece) -> float:
    """Return the median pitch of the labels in Hz, NaN without labels."""
    f0_hz = contours.read(piece.clip.pitch_path).f0_hz if piece.clip and piece.clip.pitch_path else np.zeros(0)
    voiced_hz = f0_hz[np.isfinite(f0_hz)]
    return float(np.median(voiced_hz)) if len(voiced_hz) else np.nan


def prepare_sources(voice: Audio, accompaniment: Audio, classes: np.ndarray) -> tuple[np.ndarray, band_gains.Example]:
    """Return the features, (T, D), and the training example of a voice over an accompaniment."""
    mixture = Audio(voice.samples + accompaniment.samples, voice.rate_hz)
    X_TD, inputs, estimate = trained_inputs(mixture, _config())
    sung_T = np.full(len(X_TD), -1)
    rows = mir1k.labelled_rows(len(classes), len(X_TD))
    sung_T[rows] = classes[: len(rows)] > 0
    mixture, estimate, voice = (mono_mix(sound, frame_classes.RATE_HZ) for sound in (mixture, estimate, voice))
    return X_TD, band_gains.make_example(inputs, mixture, estimate, voice, sung_T)


@lru_cache(maxsize=1)
def _config() -> Config:
    """Return the default config with one start of the factorisation and twice the hops.

    It takes half the time, and gates that are trained with it are equally good with the default config
    (`docs/experiments.md`).
    """
    coarse = ("accompaniment.masked_nmf.n_starts=1", "stft.hop_ms=32", "whitening.hop_ms=64", "joint_model.hop_ms=64")
    return load_config(overrides=list(coarse))


def train(
    pieces: list[Piece],
    clips: list[TrainingClip],
    settings: Settings,
    n_jobs: int = 1,
    on_step: descent.OnStep = lambda state_of: None,
    state: descent.State | None = None,
) -> models.Model:
    """Train a model on clips that `prepare` has prepared; ``on_step`` and ``state`` as for `descent.descend`.

    Raises
    ------
    ConfigError
        If a class has too few frames, scikit-learn stores its trees in another way, or a process dies.
    """
    memory.keep_freed()
    n_gaussians, seed = settings.n_gaussians, settings.seed
    X_TD = np.vstack([clip.X_TD for clip in clips], dtype=float)
    classes = np.concatenate([clip.classes for clip in clips])
    counts = np.bincount(classes, minlength=N_CLASSES)
    for name, count in zip(frame_classes.CLASSES, counts, strict=True):
        if count < 10 * n_gaussians:
            raise ConfigError(
                f"{name}: {count} frames have this label, and at least {10 * n_gaussians} are needed; give more clips"
            )
    with one_thread():
        centre_D, projection_DE = discriminant(X_TD, classes)
        Z_TE = (X_TD - centre_D) @ projection_DE
        mixtures = [
            GaussianMixture(n_gaussians, reg_covar=1e-3, random_state=seed, max_iter=300).fit(Z_TE[classes == s])
            for s in range(N_CLASSES)
        ]
    examples = [example for clip in clips for example in clip.examples]
    with thread_limit(min(n_jobs, joblib.cpu_count())):  # the trees do not depend on the number of threads
        trees = singing.train(examples, seed)
    arrays = {
        "centre_D": centre_D,
        "projection_DE": projection_DE,
        "weights_SK": np.stack([m.weights_ for m in mixtures]),
        "means_SKE": np.stack([m.means_ for m in mixtures]),
        "precisions_SKEE": np.stack([m.precisions_ for m in mixtures]),
        "transitions_SS": transitions(clips),
        "start_S": counts / counts.sum(),
        **trees,
        "trust_2": np.array(TRUST),
        **band_gains.train(examples, settings.n_steps, seed, n_jobs, on_step, state),
    }
    return models.Model("activity", _about(pieces, settings, len(examples)), arrays)


def _about(pieces: list[Piece], settings: Settings, n_examples: int) -> dict:
    """Return the description of the training for the model file."""
    return {
        "rate_hz": frame_classes.RATE_HZ,
        "window_ms": frame_classes.WINDOW_MS,
        "hop_ms": frame_classes.HOP_MS,
        "seed": settings.seed,
        "singers": singers_of(pieces),
        "n_clips": len(pieces),
        "n_steps": settings.n_steps,
        "n_examples": n_examples,
        "versions": models.versions(),
    }


def transitions(clips: list[TrainingClip]) -> np.ndarray:
    """Return the probability of each class after each class, shape (S, S)."""
    counts_SS = np.ones((N_CLASSES, N_CLASSES))  # add-one smoothing: unseen transitions stay possible
    for clip in clips:
        np.add.at(counts_SS, (clip.classes[:-1], clip.classes[1:]), 1)
    return counts_SS / counts_SS.sum(axis=1, keepdims=True)


def discriminant(X_TD: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean (D,) and the linear discriminants (D, 2) of standardised features."""
    centre_D, spread_D = X_TD.mean(axis=0), X_TD.std(axis=0) + 1e-6
    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.05, n_components=N_CLASSES - 1)
    lda.fit((X_TD - centre_D) / spread_D, classes)
    return centre_D, lda.scalings_[:, : N_CLASSES - 1] / spread_D[:, None]
