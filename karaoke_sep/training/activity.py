"""What singing sounds like, learned from labels: the classes of frames, whether somebody sings, and gains of a gate.

The classes are learned from the clips themselves, the rest (`singing`, `band_gains`) from remixes as well, for it has
to hold where singers and accompaniments are others.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import joblib
import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from ..config import Config, load_config
from ..datasets import mir1k
from ..errors import ConfigError, InputError
from ..evaluation.trained_inputs import trained_inputs
from ..files import contours
from ..processes import memory
from ..processes.workers import open_workers
from ..recording import mono_mix
from ..trained import frame_classes as trained_activity
from ..trained import models
from ..types import Audio
from . import band_gains, singing
from .dataset import Piece, singers_of
from .remix import remix

N_CLASSES = len(trained_activity.CLASSES)
MIN_FRAMES = 16  # of a remix
N_LESSONS = 260  # 350 give no more; docs/experiments.md


class Heard(NamedTuple):
    """What is learned from a clip.

    Attributes
    ----------
    X_TD : ndarray, shape (T, D), float32
        Features of its labelled frames.
    classes : ndarray of int, shape (T,)
    lessons : list of band_gains.Lesson
        Of itself and of its remixes.
    """

    X_TD: np.ndarray
    classes: np.ndarray
    lessons: list[band_gains.Lesson]


def remixes_of_each(n_clips: int) -> int:
    """Remixes of each clip that make about `N_LESSONS` with the clips themselves, and at least one."""
    return max(1, round(N_LESSONS / n_clips) - 1)


def hear_all(pieces: list[Piece], n_remixes: int, seed: int, n_jobs: int) -> Iterator[Heard]:
    """All clips, in their order, heard by so many processes.

    Raises
    ------
    InputError
        If a file or its labels are missing or damaged.
    ConfigError
        If a process dies.
    """
    if n_jobs == 1:
        yield from (hear(pieces, index, n_remixes, seed) for index in range(len(pieces)))
        return
    with open_workers("local", n_jobs) as (submit, died):
        futures = [submit(hear, pieces, index, n_remixes, seed) for index in range(len(pieces))]
        try:
            for future in futures:
                yield future.result()
        except died as err:
            raise ConfigError(band_gains.DIED) from err


@threadpool_limits.wrap(limits=1)  # BLAS rounds differently with another number of threads
def hear(pieces: list[Piece], index: int, n_remixes: int, seed: int) -> Heard:
    """A clip, and its voice over accompaniments of others.

    Raises
    ------
    InputError
        If a file or its labels are missing or damaged.
    """
    memory.keep_freed()
    voice, own = sources_of(pieces[index])
    classes = classes_of(pieces[index])
    X_TD, lesson = hear_sources(voice, own, classes)
    lessons = [lesson]
    rows = mir1k.labelled_rows(len(classes), len(X_TD))
    pitch_hz = median_pitch_hz(pieces[index])
    for number in range(n_remixes):
        rng = np.random.default_rng([seed, index, number])
        others = (sources_of(pieces[k])[1].samples[0] for k in rng.integers(len(pieces), size=2))
        sung, band, moved = remix(voice.samples[0], own.samples[0], others, classes, pitch_hz, voice.rate_hz, rng)
        if len(moved) >= MIN_FRAMES:
            _, found = hear_sources(Audio(sung[None], voice.rate_hz), Audio(band[None], voice.rate_hz), moved)
            lessons.append(found)
    return Heard(X_TD[rows].astype(np.float32), classes[: len(rows)], lessons)


def sources_of(piece: Piece) -> tuple[Audio, Audio]:
    """Voice and accompaniment of a clip of MIR-1K."""
    voice, accompaniment = piece.read()
    if voice is None or accompaniment is None:
        raise InputError(f"{piece.paths[0]}: one side is not enough for this training")
    return voice, accompaniment


def classes_of(piece: Piece) -> np.ndarray:
    """What its labels say, 0, 1 or 2 in each labelled frame."""
    if piece.clip is None:
        raise InputError(f"{piece.paths[0]}: only MIR-1K has the labels that this training needs")
    return mir1k.read_classes(piece.clip)


def median_pitch_hz(piece: Piece) -> float:
    """By its labels; NaN without any."""
    f0_hz = contours.read(piece.clip.pitch_path).f0_hz if piece.clip and piece.clip.pitch_path else np.zeros(0)
    known_hz = f0_hz[np.isfinite(f0_hz)]
    return float(np.median(known_hz)) if len(known_hz) else np.nan


def hear_sources(voice: Audio, accompaniment: Audio, classes: np.ndarray) -> tuple[np.ndarray, band_gains.Lesson]:
    """Features, (T, D), and what is learned of the gains from a voice over an accompaniment."""
    mixture = Audio(voice.samples + accompaniment.samples, voice.rate_hz)
    X_TD, clues, found = trained_inputs(mixture, _config())
    sung_T = np.full(len(X_TD), -1)
    rows = mir1k.labelled_rows(len(classes), len(X_TD))
    sung_T[rows] = classes[: len(rows)] > 0
    mixture, found, voice = (mono_mix(sound, trained_activity.RATE_HZ) for sound in (mixture, found, voice))
    return X_TD, band_gains.lesson(clues, mixture, found, voice, sung_T)


@lru_cache(maxsize=1)
def _config() -> Config:
    """The default made cheaper: the gates learned with it are as good for voices that the default finds.

    One start of the factorisation instead of three and twice the hops take half the time (`docs/experiments.md`).
    """
    coarse = ("accompaniment.masked_nmf.n_starts=1", "stft.hop_ms=32", "whitening.hop_ms=64", "joint_model.hop_ms=64")
    return load_config(overrides=list(coarse))


def train(
    pieces: list[Piece],
    heard: list[Heard],
    n_gaussians: int,
    n_steps: int,
    seed: int,
    n_jobs: int = 1,
    tell: Callable[[int], None] = lambda step: None,
) -> models.Model:
    """The model of clips, with what `hear` has found in each; ``tell`` is called with each step of the training.

    Raises
    ------
    ConfigError
        If a class has too few frames, scikit-learn has changed its trees, or a process dies.
    """
    memory.keep_freed()
    X_TD = np.vstack([clip.X_TD for clip in heard], dtype=float)
    classes = np.concatenate([clip.classes for clip in heard])
    counts = np.bincount(classes, minlength=N_CLASSES)
    for name, count in zip(trained_activity.CLASSES, counts, strict=True):
        if count < 10 * n_gaussians:
            raise ConfigError(f"{name}: {count} labelled frames, and {10 * n_gaussians} are needed; give more clips")
    with threadpool_limits(1):
        centre_D, projection_DE = discriminant(X_TD, classes)
        Z_TE = (X_TD - centre_D) @ projection_DE
        mixtures = [
            GaussianMixture(n_gaussians, reg_covar=1e-3, random_state=seed, max_iter=300).fit(Z_TE[classes == s])
            for s in range(N_CLASSES)
        ]
    lessons = [lesson for clip in heard for lesson in clip.lessons]
    with threadpool_limits(min(n_jobs, joblib.cpu_count())):  # they grow the same on any number of threads
        trees = singing.train(lessons, seed)
    transitions_SS = np.ones((N_CLASSES, N_CLASSES))  # a step that was not seen is rare, not impossible
    for clip in heard:
        np.add.at(transitions_SS, (clip.classes[:-1], clip.classes[1:]), 1)
    arrays = {
        "centre_D": centre_D,
        "projection_DE": projection_DE,
        "weights_SK": np.stack([m.weights_ for m in mixtures]),
        "means_SKE": np.stack([m.means_ for m in mixtures]),
        "precisions_SKEE": np.stack([m.precisions_ for m in mixtures]),
        "transitions_SS": transitions_SS / transitions_SS.sum(axis=1, keepdims=True),
        "start_S": counts / counts.sum(),
        **trees,
        **band_gains.train(lessons, n_steps, seed, n_jobs, tell),
    }
    about = {
        "rate_hz": trained_activity.RATE_HZ,
        "window_ms": trained_activity.WINDOW_MS,
        "hop_ms": trained_activity.HOP_MS,
        "seed": seed,
        "singers": singers_of(pieces),
        "n_clips": len(pieces),
        "n_steps": n_steps,
        "n_lessons": len(lessons),
        "versions": models.versions(),
    }
    return models.Model("activity", about, arrays)


def discriminant(X_TD, classes) -> tuple[np.ndarray, np.ndarray]:
    """Centre (D,) and the directions (D, 2) in which the classes differ most, of features brought to one scale."""
    centre_D, spread_D = X_TD.mean(axis=0), X_TD.std(axis=0) + 1e-6
    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.05, n_components=N_CLASSES - 1)
    lda.fit((X_TD - centre_D) / spread_D, classes)
    return centre_D, lda.scalings_[:, : N_CLASSES - 1] / spread_D[:, None]
