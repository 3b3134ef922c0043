"""Class of each frame (accompaniment, unvoiced or voiced singing) from a model that was trained on labels.

After Hsu & Jang (2010): a hidden Markov model of three states over mel-frequency cepstra, energy and their gradients.
Its input features here are the cepstra of the mixture and of the separated voice, the features of the untrained gate,
and the similarity of each frame's timbre to that of the sung frames of the song. A linear discriminant (Fisher 1936)
projects all of them on the two directions in which the classes differ most, and a mixture of Gaussians describes each
class there. Cepstra of the mixture alone describe the training songs rather than voices: their area under the curve for
an unseen singer is 0.79 to 0.90 (MIR-1K dev).

The classes do not determine how far the gate should open; `band_gains` does.
"""

from collections.abc import Mapping

import numpy as np
import scipy

from ..dsp import scales, timbre
from ..dsp.smoothing import smooth
from ..dsp.stft import stft
from ..dsp.viterbi import posteriors, viterbi_dense
from ..types import Audio
from . import band_gains

CLASSES = ("accompaniment", "unvoiced", "voiced")
RATE_HZ, WINDOW_MS, HOP_MS = band_gains.RATE_HZ, 40.0, band_gains.HOP_MS  # as in Hsu & Jang (2010)
TIMBRE_SMOOTHING_MS = 80.0  # 250 ms, as in the untrained gate, costs 0.03 dB for `abjones` and nothing for `amy`
GRADIENT_FRAMES = 4  # on each side
EMISSION_WEIGHT = 0.3  # below 1, because neighbouring frames are not independent
MAX_LOG_ODDS = 8.0
N_GATE_FEATURES, N_MOTION = band_gains.N_GATE_FEATURES, 5
N_FEATURES = 2 * (3 * timbre.N_CEPSTRA + N_GATE_FEATURES - N_MOTION) + N_MOTION  # columns of `features`


def features(mixture: Audio, gate_TD: np.ndarray, cepstra_TD: np.ndarray) -> np.ndarray:
    """Return the input features of the classes in each frame of 40 ms, every 20 ms, shape (T, D).

    Parameters
    ----------
    mixture : Audio, (1, N)
        At 16 kHz.
    gate_TD : ndarray, shape (T, `N_GATE_FEATURES`)
        From `gate_features`.
    cepstra_TD : ndarray, shape (T, d)
        Cepstra of the mixture and of the voice estimate, in the same frames.
    """
    spectrum = stft(mixture, WINDOW_MS, HOP_MS)
    mixture_TD = timbre.cepstra(spectrum.magnitude.T, spectrum.rate_hz / spectrum.n_fft)
    timbre_TD = np.hstack([mixture_TD, cepstra_TD])
    X_TD = np.hstack([timbre_TD - timbre_TD.mean(axis=0), gate_TD[:, :-N_MOTION]])
    offsets = np.arange(-GRADIENT_FRAMES, GRADIENT_FRAMES + 1)
    gradients_TD = scipy.ndimage.correlate1d(X_TD, offsets / np.sum(offsets**2), axis=0, mode="nearest")
    return np.hstack([X_TD, gradients_TD, gate_TD[:, -N_MOTION:]])


def gate_features(
    f0_hz: np.ndarray, voicing: np.ndarray, level_db: np.ndarray, gains: np.ndarray, cepstra_TD: np.ndarray
) -> np.ndarray:
    """Return the features that do not depend on the timbre of the training singers, shape (T, `N_GATE_FEATURES`).

    They are the log-odds of the voicing, the relative level, the log-odds of the untrained gate, the similarity of each
    frame's timbre to that of the sung frames of this song, and the motion of the pitch.

    Parameters
    ----------
    f0_hz, voicing : ndarray, shape (T,)
        Pitch track in frames of 20 ms.
    level_db, gains : ndarray, shape (T,)
        Level of the voice estimate relative to its loud frames, and gain of the untrained gate.
    cepstra_TD : ndarray, shape (T, d)
        Cepstra of the mixture and of the voice estimate.
    """
    relative_db = np.maximum(level_db, -60)
    gate_TD = np.stack([log_odds(voicing), relative_db, log_odds(gains)], axis=1)
    audible_T = relative_db > timbre.AUDIBLE_DB
    similarity_T = timbre.evidence(cepstra_TD, gains, audible_T, TIMBRE_SMOOTHING_MS / HOP_MS)
    return np.hstack([gate_TD, similarity_T[:, None], motion(f0_hz, gains)])


def motion(f0_hz: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Return how the pitch moves, shape (T, 5), cents. The pitch of voices moves, that of most instruments does not.

    The columns are the size of the step at each frame, its mean nearby, the standard deviation of the pitch within a
    third of a second, its distance from the mean of half a second, and its distance from the median of the sung pitch.
    """
    voiced = np.isfinite(f0_hz)
    if not voiced.any():
        return np.zeros((len(f0_hz), N_MOTION))
    t = np.arange(len(f0_hz))
    cents = np.interp(t, t[voiced], scales.cents(f0_hz[voiced], 1.0))
    step = np.minimum(np.abs(np.gradient(cents)) if len(t) > 1 else 0 * cents, 100)
    mean = smooth(cents, 160 / HOP_MS)
    deviation = np.sqrt(np.maximum(smooth(cents**2, 160 / HOP_MS) - mean**2, 0))
    median = np.median(cents[gains > 0.5]) if np.any(gains > 0.5) else np.median(cents)
    return np.stack(
        [
            step,
            smooth(step, 80 / HOP_MS),
            np.minimum(deviation, 400),
            smooth(cents, 40 / HOP_MS) - smooth(cents, 500 / HOP_MS),
            np.minimum(np.abs(cents - median), 2400),
        ],
        axis=1,
    )


def log_odds(p: np.ndarray) -> np.ndarray:
    """Return the log-odds of probabilities, limited to +-`MAX_LOG_ODDS`."""
    return np.clip(scipy.special.logit(p), -MAX_LOG_ODDS, MAX_LOG_ODDS)


def log_likelihoods(X_TD: np.ndarray, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the logarithm of each class's density at each frame, shape (T, S)."""
    Z_TE = (X_TD - arrays["centre_D"]) @ arrays["projection_DE"]
    difference_TSKE = Z_TE[:, None, None, :] - arrays["means_SKE"]
    mahalanobis_TSK = np.einsum(
        "tske,skef,tskf->tsk", difference_TSKE, arrays["precisions_SKEE"], difference_TSKE, optimize=True
    )
    log_norm_SK = 0.5 * np.linalg.slogdet(arrays["precisions_SKEE"])[1] + np.log(arrays["weights_SK"] + 1e-300)
    return scipy.special.logsumexp(log_norm_SK - 0.5 * mahalanobis_TSK, axis=2) - Z_TE.shape[1] / 2 * np.log(2 * np.pi)


def decode(X_TD: np.ndarray, arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities of the classes, (T, S), and the most likely sequence of classes, (T,).

    ``arrays`` are those of a model of kind "activity".
    """
    score_TS = EMISSION_WEIGHT * log_likelihoods(X_TD, arrays)
    chain = arrays["start_S"], arrays["transitions_SS"]
    return posteriors(score_TS, *chain), viterbi_dense(score_TS, *chain)
