"""Training of spectra of voice or accompaniment by non-negative matrix factorisation in bounded memory.

KL-NMF is the maximum-likelihood estimate of a Poisson model, and the updates of Lee & Seung (2001) are its EM
algorithm. Therefore the bases can be trained on minibatches of frames by online EM (Cappé & Moulines 2009): a running
mean of the sufficient statistics of the minibatches is kept, and the bases are its normalised rows. Only this statistic
and one minibatch are in memory, for recordings of any length. After each epoch, ``State`` holds everything that is
needed to resume an interrupted training with the same result.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from ..dsp.kl_nmf import EPS
from ..dsp.stft import fast_even_length, stft
from ..errors import InputError
from ..recording import mono_mix
from ..trained import models
from ..trained.bases import activations, normalised
from ..types import Audio
from .dataset import SIDES, Piece, singers_of
from .remix import faster

QUIET = 0.05  # frames below this share of the mean level of their recording are left out
N_FIRST = 4  # number of frames among which the initial bases are chosen, relative to the number of bases


@dataclass(frozen=True)
class Settings:
    """Settings of the training.

    The window of 192 ms is that of the default config, so the spectra can be used along the pitch. Voices are played
    faster or slower at random, so that the spectra cover all pitches and vocal tract lengths. Accompaniments are not
    shifted.
    """

    n_bases: int = 256
    n_epochs: int = 6
    n_inner: int = 6
    batch_frames: int = 1024
    memory_batches: float = 8.0
    window_ms: float = 192.0
    hop_ms: float = 32.0
    rate_hz: int = 16_000
    voice_semitones: float = 8.0
    seed: int = 0


@dataclass
class State:
    """State of the training of one side.

    Attributes
    ----------
    statistic_KF : ndarray, shape (K, F), float32
        Expected counts; its normalised rows are the bases.
    n_epochs, n_frames : int
        Epochs and frames processed so far.
    divergences : list of float
        Generalised Kullback-Leibler divergence of each epoch over the sum of the magnitudes.
    """

    statistic_KF: np.ndarray
    n_epochs: int
    n_frames: int
    divergences: list[float]


def advance(pieces: list[Piece], side: str, settings: Settings, state: State | None = None) -> State:
    """Return the state of one side after one more epoch.

    Parameters
    ----------
    pieces : list of Piece
    side : {"voice", "accompaniment"}
    settings : Settings
    state : State, optional
        State after the epoch before; by default the training begins.

    Raises
    ------
    InputError
        If a recording cannot be used, or all are too short.
    """
    state = state or _start(pieces, side, settings)
    rng = _rng(settings, side, state.n_epochs + 1)
    statistic_KF, B_KF = state.statistic_KF, normalised(state.statistic_KF)
    divergence, total, n_frames = 0.0, 0.0, 0
    keep = np.float32(1 - 1 / settings.memory_batches) if state.n_epochs else np.float32(0.5)
    for X_TF in _minibatches(pieces, side, settings, rng):
        H_TK = activations(X_TF, B_KF, settings.n_inner)
        L_TF = H_TK @ B_KF + EPS
        ratio_TF = X_TF / L_TF
        divergence += float(np.sum(X_TF * np.log(ratio_TF + EPS) - X_TF + L_TF))
        total += float(X_TF.sum())
        new_KF = B_KF * (H_TK.T @ ratio_TF) / max(float(X_TF.sum()), 1e-12)
        statistic_KF = keep * statistic_KF + (1 - keep) * new_KF
        B_KF = normalised(statistic_KF)
        n_frames += len(X_TF)
    divergences = [*state.divergences, divergence / max(total, 1e-12)]
    return State(statistic_KF, state.n_epochs + 1, state.n_frames + n_frames, divergences)


def as_model(pieces: list[Piece], side: str, state: State, settings: Settings) -> models.Model:
    """Return the trained model; the other side has no spectra."""
    n_bins = fast_even_length(settings.window_ms * settings.rate_hz / 1000) // 2 + 1
    arrays = {f"{name}_KF": np.zeros((0, n_bins), np.float32) for name in SIDES}
    arrays[f"{side}_KF"] = normalised(state.statistic_KF)
    about = {
        **asdict(settings),
        "singers": singers_of(pieces),
        "n_clips": len(pieces),
        "divergence": round(state.divergences[-1], 6),
        "versions": models.versions(),
    }
    return models.Model("spectra", about, arrays)


def _start(pieces: list[Piece], side: str, settings: Settings) -> State:
    """Return the initial state: bases are random frames of the recordings plus a small share of the mean spectrum."""
    rng = _rng(settings, side, 0)
    frames, n_frames = [], 0
    for X_TF in _spectra(pieces, side, settings, rng):
        frames.append(X_TF)
        n_frames += len(X_TF)
        if n_frames >= N_FIRST * settings.n_bases:
            break
    if n_frames < settings.n_bases:
        raise InputError(
            f"{pieces[0].paths[0].parent}: the {side} has {n_frames} frames that are not silent, and "
            f"{settings.n_bases} bases are to be trained on them; give more recordings, or fewer --bases"
        )
    X_TF = np.vstack(frames)
    chosen = X_TF[rng.choice(len(X_TF), settings.n_bases, replace=False)]
    B_KF = normalised(chosen) + np.float32(0.1) * normalised(X_TF.mean(axis=0, keepdims=True))
    return State(normalised(B_KF), 0, 0, [])


def _rng(settings: Settings, side: str, epoch: int) -> np.random.Generator:
    """Return the random numbers of an epoch, which do not depend on earlier interruptions."""
    return np.random.default_rng([settings.seed, SIDES.index(side), epoch])


def _minibatches(pieces: list[Piece], side: str, settings: Settings, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the frames of all recordings, shape (n, F), at most ``batch_frames`` at a time."""
    kept = []
    for X_TF in _spectra(pieces, side, settings, rng):
        kept.append(X_TF)
        while sum(map(len, kept)) >= settings.batch_frames:
            X_TF = np.vstack(kept)
            yield X_TF[: settings.batch_frames]
            kept = [X_TF[settings.batch_frames :]]
    if kept and sum(map(len, kept)):
        yield np.vstack(kept)


def _spectra(pieces: list[Piece], side: str, settings: Settings, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the magnitudes of the frames of each recording that are not quiet, shape (T, F), in random order."""
    for index in rng.permutation(len(pieces)):
        audio = mono_mix(pieces[index].read()[SIDES.index(side)], settings.rate_hz)
        if side == "voice" and settings.voice_semitones:
            ratio = 2 ** (rng.uniform(-settings.voice_semitones, settings.voice_semitones) / 12)
            audio = Audio(faster(audio.samples[0], ratio)[None], audio.rate_hz)
        spectrum = stft(audio, settings.window_ms, settings.hop_ms)
        X_TF = np.ascontiguousarray(spectrum.magnitude.T)
        level_T = X_TF.sum(axis=1)
        yield X_TF[level_T > QUIET * level_T.mean()]
