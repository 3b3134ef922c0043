"""Accompaniment, unvoiced or voiced singing in each frame, by a model that was trained on labels.

After Hsu & Jang (2010): a hidden Markov model of three states over mel-frequency cepstra, energy and their slopes.
Beside those of the mixture, the model here hears the cepstra of the separated voice and the gate's own evidence, how
far each frame has the timbre of the sung ones among it, and a linear discriminant (Fisher 1936) brings all to the two
directions in which the classes differ; mixtures of Gaussians describe each class there. Cepstra of the mixture alone
know the songs of the training rather than voices: the area under the curve for an unseen singer is then 0.79 to 0.90
(MIR-1K dev).

How far a gate should open is another question than these classes answer; `band_gains` answers it.
"""

import numpy as np
import scipy.ndimage
import scipy.special

from ..dsp import timbre
from ..dsp.stft import stft
from ..types import Audio
from . import band_gains
from .models import Model

CLASSES = ("accompaniment", "unvoiced", "voiced")
RATE_HZ, WINDOW_MS, HOP_MS = band_gains.RATE_HZ, 40.0, band_gains.HOP_MS  # those of Hsu & Jang
TIMBRE_SMOOTHING_MS = 80.0  # with 250 ms, as in the gate, 0.03 dB less for `abjones`, the same for `amy`
N_EVIDENCE, N_MOTION = 9, 5
REACH = 4  # frames on both sides from which a slope is taken
EMISSION_WEIGHT = 0.3  # neighbouring frames repeat each other, and are not so many witnesses
MAX_LOG_ODDS = 8.0


def features(mixture: Audio, evidence_TD: np.ndarray, cepstra_TD: np.ndarray) -> np.ndarray:
    """Return the input features of the classes in each frame of 40 ms, every 20 ms, shape (T, D).

    Parameters
    ----------
    mixture : Audio, (1, N)
        At 16 kHz.
    evidence_TD : ndarray, shape (T, `N_EVIDENCE`)
        From `evidence`.
    cepstra_TD : ndarray, shape (T, d)
        Cepstra of the mixture and of the voice estimate, in the same frames.
    """
    spectrum = stft(mixture, WINDOW_MS, HOP_MS)
    mixture_TD = timbre.cepstra(spectrum.magnitude.T, spectrum.rate_hz / spectrum.n_fft)
    timbre_TD = np.hstack([mixture_TD, cepstra_TD])
    X_TD = np.hstack([timbre_TD - timbre_TD.mean(axis=0), evidence_TD[:, :-N_MOTION]])
    slope = np.arange(-REACH, REACH + 1) / np.sum(np.arange(-REACH, REACH + 1) ** 2)
    slopes_TD = scipy.ndimage.correlate1d(X_TD, slope, axis=0, mode="nearest")
    return np.hstack([X_TD, slopes_TD, evidence_TD[:, -N_MOTION:]])


def evidence(f0_hz, voicing, level_db, gains, cepstra_TD) -> np.ndarray:
    """Return the evidence for singing that is no timbre of another recording, shape (T, `N_EVIDENCE`).

    Log-odds of the voicing, relative level, log-odds of the untrained gate, how far a frame has the timbre of the sung
    frames of this song, and the motion of the pitch.

    Parameters
    ----------
    f0_hz, voicing : ndarray, shape (T,)
        Of the pitch track, in frames of 20 ms.
    level_db, gains : ndarray, shape (T,)
        Level of the voice estimate, and gain of the untrained gate.
    cepstra_TD : ndarray, shape (T, d)
        Cepstra of the mixture and of the voice estimate.
    """
    relative_db = np.maximum(level_db, -60)
    evidence_TD = np.stack([log_odds(voicing), relative_db, log_odds(gains)], axis=1)
    heard_T = relative_db > timbre.HEARD_DB
    singer_T = timbre.evidence(cepstra_TD, gains, heard_T, TIMBRE_SMOOTHING_MS / HOP_MS)
    return np.hstack([evidence_TD, singer_T[:, None], motion(f0_hz, gains)])


def motion(f0_hz: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """How the pitch moves, for voices do and most instruments do not, shape (T, 5), cents.

    Its step here and around, its deviation within a third of a second, its distance from half a second around, and from
    where most is sung.
    """
    known = np.isfinite(f0_hz)
    if not known.any():
        return np.zeros((len(f0_hz), 5))
    t = np.arange(len(f0_hz))
    cents = np.interp(t, t[known], 1200 * np.log2(f0_hz[known]))
    step = np.minimum(np.abs(np.gradient(cents)) if len(t) > 1 else 0 * cents, 100)
    mean = _smooth(cents, 160)
    deviation = np.sqrt(np.maximum(_smooth(cents**2, 160) - mean**2, 0))
    centre = np.median(cents[gains > 0.5]) if np.any(gains > 0.5) else np.median(cents)
    return np.stack(
        [
            step,
            _smooth(step, 80),
            np.minimum(deviation, 400),
            _smooth(cents, 40) - _smooth(cents, 500),
            np.minimum(np.abs(cents - centre), 2400),
        ],
        axis=1,
    )


def _smooth(values, sigma_ms: float) -> np.ndarray:
    return scipy.ndimage.gaussian_filter1d(values, sigma_ms / HOP_MS, mode="nearest")


def log_odds(p) -> np.ndarray:
    """Log-odds of probabilities, none surer than `MAX_LOG_ODDS`."""
    return np.clip(scipy.special.logit(p), -MAX_LOG_ODDS, MAX_LOG_ODDS)


def log_likelihoods(X_TD: np.ndarray, model: Model) -> np.ndarray:
    """Logarithm of each class's density at each frame, shape (T, S)."""
    a = model.arrays
    Z_TE = (X_TD - a["centre_D"]) @ a["projection_DE"]
    off_TSKE = Z_TE[:, None, None, :] - a["means_SKE"]
    mahalanobis_TSK = np.einsum("tske,skef,tskf->tsk", off_TSKE, a["precisions_SKEE"], off_TSKE, optimize=True)
    log_norm_SK = 0.5 * np.linalg.slogdet(a["precisions_SKEE"])[1] + np.log(a["weights_SK"] + 1e-300)
    return scipy.special.logsumexp(log_norm_SK - 0.5 * mahalanobis_TSK, axis=2) - Z_TE.shape[1] / 2 * np.log(2 * np.pi)


def posteriors(score_TS: np.ndarray, start_S: np.ndarray, transitions_SS: np.ndarray) -> np.ndarray:
    """Probability of each state given all frames, (T, S): forward-backward (Rabiner 1989, Eqs. (18) to (27))."""
    likely_TS = np.exp(score_TS - score_TS.max(axis=1, keepdims=True))
    forward_TS, backward_TS = np.empty_like(likely_TS), np.ones_like(likely_TS)
    now_S = start_S
    for t, likely_S in enumerate(likely_TS):
        now_S = likely_S * (now_S if t == 0 else now_S @ transitions_SS) + 1e-300
        forward_TS[t] = now_S = now_S / now_S.sum()
    for t in range(len(likely_TS) - 2, -1, -1):
        later_S = transitions_SS @ (likely_TS[t + 1] * backward_TS[t + 1]) + 1e-300
        backward_TS[t] = later_S / later_S.sum()
    joint_TS = forward_TS * backward_TS
    return joint_TS / joint_TS.sum(axis=1, keepdims=True)


def best_path(score_TS: np.ndarray, start_S: np.ndarray, transitions_SS: np.ndarray) -> np.ndarray:
    """The most likely sequence of states (Viterbi 1967), shape (T,), int."""
    step_SS = np.log(transitions_SS + 1e-300)
    came_TS = np.zeros(score_TS.shape, int)
    total_S = np.log(start_S + 1e-300) + score_TS[0]
    for t in range(1, len(score_TS)):
        ways_SS = total_S[:, None] + step_SS
        came_TS[t] = ways_SS.argmax(axis=0)
        total_S = ways_SS.max(axis=0) + score_TS[t]
    path = np.empty(len(score_TS), int)
    path[-1] = total_S.argmax()
    for t in range(len(path) - 1, 0, -1):
        path[t - 1] = came_TS[t, path[t]]
    return path


def decode(X_TD: np.ndarray, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the classes, (T, S), and the most likely sequence of them, (T,)."""
    score_TS = EMISSION_WEIGHT * log_likelihoods(X_TD, model)
    chain = model.arrays["start_S"], model.arrays["transitions_SS"]
    return posteriors(score_TS, *chain), best_path(score_TS, *chain)
