"""Augmentation of the training data: remixes, the voice of one clip over the accompaniment of others.

Voices differ in pitch, formants, tone and in the level of their consonants; accompaniments differ in pitch and tone. A
remix changes all of these at random, so that a model that was trained on few singers generalises to others. The pitch
matters most: each voice is moved to a random pitch of the whole range of singing. Otherwise a network that was trained
on a man takes the high notes of a woman for an instrument and removes them. Trained on `abjones` and tested on `amy`
(MIR-1K dev), moving voices by at most 8 semitones costs single clips 4 to 9 dB, and the range used here at most 1.3 dB.
"""

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

import numpy as np
import scipy.ndimage
import scipy.signal
import soxr

from ..datasets.mir1k import LABEL_HOP_S
from ..dsp.stft import istft, stft
from ..processes.numba_cache import librosa
from ..types import Audio

PITCH_HZ = (100.0, 480.0)  # range of the median pitch of the new voice
MAX_RATIO = 3.6  # of the new pitch to the old one; beyond it the voice is damaged too much
SPEED_SEMITONES, MAX_SPEED_SEMITONES = 2.5, 5.0  # standard deviation and limit of the playback speed
FORMANT_OCTAVES = 0.25  # rise of the formants per octave of pitch: those of women are 1/6 higher than those of men
FORMANT_SEMITONES = 1.7  # standard deviation of an additional shift
ACCOMPANIMENT_SEMITONES = 4.0  # largest shift, up or down
P_OWN, P_TWO = 0.15, 0.4  # probability that a voice keeps its accompaniment, or gets two others
SECOND_DB = 8.0  # the second accompaniment is softer by at most this
BREATH_S, BREATH_BEFORE_S = (0.12, 0.3), (0.02, 0.26)  # length of a breath, and time from its end to the phrase
BREATH_DB = (-35.0, -15.0)  # relative to the voice; without breaths the AUC of `amy` is 0.929 instead of 0.932
BREATH_HZ = 1650.0  # peak of its spectrum: 1.6 kHz for men, 1.7 kHz for women (Nakano et al. 2008)
# Range of the gain of unvoiced sounds. Without it a model that was trained on `amy` loses the consonants of `abjones`,
# whose NSDR falls from 8.3 to 7.9 dB.
UNVOICED_DB = (-8.0, 14.0)
SNR_DB = 2.5  # standard deviation of the level of the voice relative to that of the accompaniment
LEVEL_DB = (-26.0, -14.0)  # range of the level of the accompaniment, against full scale
TONE_HZ = np.array([0, 200, 500, 1000, 2000, 4000, 8000])
TONE_DB = 2.7  # standard deviation of the gain at each of these frequencies
ENVELOPE_S = 0.0015  # quefrencies below belong to the spectral envelope, which the vocal tract shapes


class Remix(NamedTuple):
    """A voice over another accompaniment.

    Attributes
    ----------
    voice, accompaniment : ndarray, shape (n,), float32
    classes : ndarray of int, shape (t,)
        Class of each labelled frame of the new voice.
    """

    voice: np.ndarray
    accompaniment: np.ndarray
    classes: np.ndarray


def remix(
    voice: np.ndarray,
    own: np.ndarray,
    others: Iterable[np.ndarray],
    classes: np.ndarray,
    pitch_hz: float,
    rate_hz: int,
    rng: np.random.Generator,
) -> Remix:
    """Return a random remix of a recording.

    Parameters
    ----------
    voice, own : ndarray, shape (N,), float
        Voice and accompaniment of the recording.
    others : iterable of ndarray, shape (M,), float
        Accompaniments of other recordings. At most two of them are used.
    classes : ndarray of int, shape (T,)
        Class of each labelled frame of the voice: 0 nobody sings, 1 unvoiced singing, 2 voiced singing.
    pitch_hz : float, Hz
        Median pitch of the voice; NaN if it is unknown.
    rate_hz : int
    rng : numpy.random.Generator

    Returns
    -------
    Remix
        As long as the shorter of its two sides.
    """
    keeps_own = rng.random() < P_OWN
    speed = semitones(np.clip(rng.normal(0, SPEED_SEMITONES), -MAX_SPEED_SEMITONES, MAX_SPEED_SEMITONES))
    ratio = np.exp(rng.uniform(*np.log(PITCH_HZ))) / pitch_hz
    if keeps_own or not np.isfinite(ratio):
        ratio = speed  # stays in tune with its accompaniment
    ratio = float(np.clip(ratio, 1 / MAX_RATIO, MAX_RATIO))
    voice = voice * unvoiced_gain(classes, len(voice), rate_hz, rng.uniform(*UNVOICED_DB))
    voice, classes = with_breaths(voice, classes, rate_hz, rng)
    voice = with_random_tone(as_another_singer(voice, ratio, speed, rate_hz, rng), rate_hz, rng)
    if keeps_own:
        sides = [faster(with_random_tone(own, rate_hz, rng), speed)]
    else:
        sides = [
            faster(with_random_tone(other, rate_hz, rng), semitones(rng.uniform(-1, 1) * ACCOMPANIMENT_SEMITONES))
            for other in islice(others, 1 + (rng.random() < P_TWO))
        ]
    n = min(len(voice), *map(len, sides))
    parts = [at_level(side[:n], -rng.uniform(0, SECOND_DB) if k else 0.0) for k, side in enumerate(sides)]
    level_db, snr_db = rng.uniform(*LEVEL_DB), rng.normal(0, SNR_DB)
    n_labels = int(n / rate_hz / LABEL_HOP_S) - 1
    moved = np.rint((np.arange(n_labels) + 1) * speed).astype(int) - 1
    return Remix(
        at_level(voice[:n], level_db + snr_db),
        at_level(np.sum(parts, axis=0), level_db),
        classes[np.clip(moved, 0, len(classes) - 1)],
    )


def as_another_singer(
    voice: np.ndarray, ratio: float, speed: float, rate_hz: int, rng: np.random.Generator
) -> np.ndarray:
    """Return a voice at ``ratio`` times its pitch and ``speed`` times its speed, with formants moved accordingly."""
    formants = semitones(12 * FORMANT_OCTAVES * np.log2(ratio) + rng.normal(0, FORMANT_SEMITONES))
    voice = faster(with_formants(voice, formants / ratio, rate_hz), ratio)
    if abs(np.log2(speed / ratio)) < 1 / 24:
        return voice
    return librosa.effects.time_stretch(voice, rate=speed / ratio, n_fft=1024)


def with_formants(samples: np.ndarray, ratio: float, rate_hz: int) -> np.ndarray:
    """Return a sound whose formants are moved by a ratio and whose pitch stays.

    The cepstral envelope of each frame is moved; no bin changes by more than 35 dB.
    """
    spectrum = stft(Audio(np.asarray(samples, np.float32)[None], rate_hz), 32.0, 8.0)
    log_TF = np.log(np.abs(spectrum.values[0].T) + np.float32(1e-6))
    n_bins = log_TF.shape[1]
    bins, quefrencies = np.arange(n_bins), np.arange(round(ENVELOPE_S * rate_hz))
    # A cosine series. The first and last bin have half the weight, as in the transform of a real, even spectrum.
    weight = np.where((bins == 0) | (bins == n_bins - 1), 0.5, 1) * 2 / (2 * n_bins - 2)
    cepstra_TQ = log_TF @ (weight[:, None] * _cosines(bins, quefrencies, n_bins)).astype(np.float32)
    source_bins = np.minimum(bins / ratio, n_bins - 1)
    change_FQ = _cosines(source_bins, quefrencies, n_bins) - _cosines(bins, quefrencies, n_bins)
    change_FQ[:, 1:] *= 2
    change_TF = cepstra_TQ @ change_FQ.T.astype(np.float32)
    spectrum.values[0].T[:] *= np.exp(np.clip(change_TF, -4, 4))
    return istft(spectrum).samples[0]


def _cosines(bins: np.ndarray, quefrencies: np.ndarray, n_bins: int) -> np.ndarray:
    return np.cos(np.pi / (n_bins - 1) * np.outer(bins, quefrencies))


def semitones(n: float) -> float:
    """Return the frequency ratio of an interval of ``n`` semitones."""
    return float(2 ** (n / 12))


def unvoiced_gain(classes: np.ndarray, n_samples: int, rate_hz: int, gain_db: float) -> np.ndarray:
    """Return a gain for each sample, shape (N,): ``gain_db`` where the singing is unvoiced, with fades."""
    unvoiced_T = scipy.ndimage.gaussian_filter1d((classes == 1).astype(float), 0.7)
    times_s = (np.arange(len(classes)) + 1) * LABEL_HOP_S
    return 10 ** (gain_db / 20 * np.interp(np.arange(n_samples) / rate_hz, times_s, unvoiced_T))


def with_breaths(
    voice: np.ndarray, classes: np.ndarray, rate_hz: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return a voice with breaths before a random share of its phrases, and its classes; breaths count as unvoiced.

    Some singers breathe audibly, and the labels of MIR-1K count breaths as singing. Since the accompaniment mostly
    masks them, a model learns when to expect a breath rather than how it sounds.
    """
    voice, classes = np.array(voice, np.float32), classes.copy()
    hop = round(LABEL_HOP_S * rate_hz)
    level = np.sqrt(np.mean(voice**2)) * 10 ** (rng.uniform(*BREATH_DB) / 20)
    share = rng.random()
    begins, ends = _runs(classes == 0)
    for begin, end in zip(begins, ends, strict=True):
        n, before = (round(rng.uniform(*bounds_s) / LABEL_HOP_S) for bounds_s in (BREATH_S, BREATH_BEFORE_S))
        stop = end - before
        if end == len(classes) or stop - n <= begin or rng.random() >= share:
            continue
        classes[stop - n : stop] = 1
        part = voice[(stop - n) * hop + hop // 2 :][: n * hop]  # shorter where the labels outlast the sound
        part += level * breath_noise(n * hop, rate_hz, rng)[: len(part)]
    return voice, classes


def breath_noise(n_samples: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise with a broad spectral peak, faded in and out, shape (N,), with a mean power of 1."""
    low_hz, high_hz = BREATH_HZ / 2, min(BREATH_HZ * 2, 0.45 * rate_hz)
    band = scipy.signal.butter(1, (low_hz, high_hz), "bandpass", fs=rate_hz, output="sos")
    noise = scipy.signal.sosfilt(band, rng.standard_normal(n_samples)) * np.hanning(n_samples)
    return noise / np.sqrt(np.mean(noise**2))


def _runs(flags_T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first index of each run of true values, and the first index after it."""
    edges = np.flatnonzero(np.diff(np.r_[False, flags_T, False]))
    return edges[::2], edges[1::2]


def with_random_tone(samples: np.ndarray, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Return a sound filtered with a smooth random frequency response."""
    freqs_hz = TONE_HZ * (rate_hz / 2 / TONE_HZ[-1])
    gains_db = rng.normal(0, TONE_DB, len(freqs_hz))
    return scipy.signal.oaconvolve(
        samples, scipy.signal.firwin2(257, freqs_hz, 10 ** (gains_db / 20), fs=rate_hz), "same"
    )


def faster(samples: np.ndarray, ratio: float) -> np.ndarray:
    """Return a sound played faster, and therefore higher, by a ratio."""
    return soxr.resample(samples.astype(np.float32), ratio, 1.0)


def at_level(samples: np.ndarray, level_db: float) -> np.ndarray:
    """Return a sound scaled to an RMS level in dB against full scale."""
    return (samples * (10 ** (level_db / 20) / np.sqrt(np.mean(np.square(samples)) + 1e-12))).astype(np.float32)
