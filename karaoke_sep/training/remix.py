"""More clips than there are: the voice of one over the accompaniment of others.

Voices differ in pitch, in their formants, in how loud their consonants are and in tone, accompaniments in pitch and
tone, and all of that is changed at random, so that what is learned from one singer holds for another. Above all the
pitch: whatever the singer's own, voices are moved to all pitches of singing, or a network that heard a man alone takes
the high notes of a woman for an instrument and cuts them out (MIR-1K dev, trained on `abjones`, tested on `amy`: single
clips lose 4 to 9 dB where the voice is moved by at most 8 semitones either way, and none more than 1.3 dB as here).
"""

from itertools import islice

import librosa
import numpy as np
import scipy.ndimage
import scipy.signal
import soxr

from ..datasets.mir1k import LABEL_HOP_S
from ..dsp.stft import istft, stft
from ..types import Audio

PITCH_HZ = (100.0, 480.0)  # median of the new voice
MAX_RATIO = 3.6  # of the pitches; beyond, too little is left of the voice
SPEED_SEMITONES, MAX_SPEED_SEMITONES = 2.5, 5.0  # standard deviation, and the most
FORMANT_OCTAVES = 0.25  # formants rise by so much with each octave of the pitch: women's are 1/6 higher than men's
FORMANT_SEMITONES = 1.7  # standard deviation beside that
ACCOMPANIMENT_SEMITONES = 4.0  # either way
P_OWN, P_TWO = 0.15, 0.4  # how often a voice keeps its accompaniment, or gets two
SECOND_DB = 8.0  # the second is at most so much softer
BREATH_S, BREATH_BEFORE_S = (0.12, 0.3), (0.02, 0.26)  # how long it is, and before the phrase it ends
BREATH_DB = (-35.0, -15.0)  # against the voice; without breaths the area under the curve of `amy` is 0.929, not 0.932
BREATH_HZ = 1650.0  # peak of its spectrum: 1.6 kHz for men, 1.7 kHz for women (Nakano et al. 2008)
UNVOICED_DB = (-8.0, 14.0)  # without, learned from `amy`, the consonants of `abjones` are lost: 8.3 -> 7.9 dB
SNR_DB = 2.5  # standard deviation
LEVEL_DB = (-26.0, -14.0)  # of either side, against full scale, before the voice is made louder or softer
TONE_HZ = np.array([0, 200, 500, 1000, 2000, 4000, 8000])
TONE_DB = 2.7  # standard deviation at each of these
ENVELOPE_S = 0.0015  # what is slower in a cepstrum than this is the vocal tract


def remix(voice, own, others, classes, pitch_hz: float, rate_hz: int, rng: np.random.Generator):
    """A voice and an accompaniment that were not heard together, or not in this way.

    Parameters
    ----------
    voice, own : ndarray, shape (N,), float
        A recording.
    others : iterable of ndarray, shape (M,), float
        Accompaniments of other recordings, of which at most two are taken.
    classes : ndarray of int, shape (T,)
        0 nobody sings, 1 sung without a pitch, 2 with one, in the labelled frames of the voice.
    pitch_hz : float, Hz
        Median pitch of the voice; NaN if it has none.
    rate_hz : int
    rng : numpy.random.Generator

    Returns
    -------
    voice, accompaniment : ndarray, shape (n,), float32
        As long as the shorter one.
    classes : ndarray of int, shape (t,)
        In frames of the new voice.
    """
    keeps_own = rng.random() < P_OWN
    speed = semitones(np.clip(rng.normal(0, SPEED_SEMITONES), -MAX_SPEED_SEMITONES, MAX_SPEED_SEMITONES))
    ratio = np.exp(rng.uniform(*np.log(PITCH_HZ))) / pitch_hz
    if keeps_own or not np.isfinite(ratio):
        ratio = speed  # in tune with its accompaniment
    ratio = float(np.clip(ratio, 1 / MAX_RATIO, MAX_RATIO))
    voice = voice * unvoiced_gain(classes, len(voice), rate_hz, rng.uniform(*UNVOICED_DB))
    voice, classes = breathing(voice, classes, rate_hz, rng)
    voice = toned(sung_by_another(voice, ratio, speed, rate_hz, rng), rate_hz, rng)
    if keeps_own:
        sides = [faster(toned(own, rate_hz, rng), speed)]
    else:
        sides = [
            faster(toned(other, rate_hz, rng), semitones(rng.uniform(-1, 1) * ACCOMPANIMENT_SEMITONES))
            for other in islice(others, 1 + (rng.random() < P_TWO))
        ]
    n = min(len(voice), *map(len, sides))
    accompaniment = sum(at_level(side[:n], -rng.uniform(0, SECOND_DB) if k else 0.0) for k, side in enumerate(sides))
    level_db, snr_db = rng.uniform(*LEVEL_DB), rng.normal(0, SNR_DB)
    n_labels = int(n / rate_hz / LABEL_HOP_S) - 1
    moved = np.rint((np.arange(n_labels) + 1) * speed).astype(int) - 1
    return (
        at_level(voice[:n], level_db + snr_db),
        at_level(accompaniment, level_db),
        classes[np.clip(moved, 0, len(classes) - 1)],
    )


def sung_by_another(voice, ratio: float, speed: float, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """A voice whose pitch is higher by a ratio, with formants to go with it, and which sings faster by ``speed``."""
    formants = semitones(12 * FORMANT_OCTAVES * np.log2(ratio) + rng.normal(0, FORMANT_SEMITONES))
    voice = faster(with_formants(voice, formants / ratio, rate_hz), ratio)
    if abs(np.log2(speed / ratio)) < 1 / 24:
        return voice
    return librosa.effects.time_stretch(voice, rate=speed / ratio, n_fft=1024)


def with_formants(sound, ratio: float, rate_hz: int) -> np.ndarray:
    """A sound whose formants are moved by a ratio, and its pitch is not: the cepstral envelope is, by 35 dB at most."""
    spectrum = stft(Audio(np.asarray(sound, np.float32)[None], rate_hz), 32.0, 8.0)
    log_TF = np.log(np.abs(spectrum.values[0].T) + np.float32(1e-6))
    n_bins = log_TF.shape[1]
    bins, quefrencies = np.arange(n_bins), np.arange(round(ENVELOPE_S * rate_hz))
    # A cosine series; the first and last bin count half, as in the transform of a real, even spectrum.
    weight = np.where((bins == 0) | (bins == n_bins - 1), 0.5, 1) * 2 / (2 * n_bins - 2)
    cepstra_TQ = log_TF @ (weight[:, None] * _cosines(bins, quefrencies, n_bins)).astype(np.float32)
    come_from = np.minimum(bins / ratio, n_bins - 1)
    change_FQ = _cosines(come_from, quefrencies, n_bins) - _cosines(bins, quefrencies, n_bins)
    change_FQ[:, 1:] *= 2
    change_TF = cepstra_TQ @ change_FQ.T.astype(np.float32)
    spectrum.values[0].T[:] *= np.exp(np.clip(change_TF, -4, 4))
    return istft(spectrum).samples[0]


def _cosines(bins, quefrencies, n_bins: int) -> np.ndarray:
    return np.cos(np.pi / (n_bins - 1) * np.outer(bins, quefrencies))


def semitones(n: float) -> float:
    """The ratio of an interval."""
    return float(2 ** (n / 12))


def unvoiced_gain(classes, n_samples: int, rate_hz: int, gain_db: float) -> np.ndarray:
    """Gain of each sample, (N,): ``gain_db`` where something is sung without a pitch, faded."""
    share_T = scipy.ndimage.gaussian_filter1d((classes == 1).astype(float), 0.7)
    times_s = (np.arange(len(classes)) + 1) * LABEL_HOP_S
    return 10 ** (gain_db / 20 * np.interp(np.arange(n_samples) / rate_hz, times_s, share_T))


def breathing(voice, classes, rate_hz: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A voice that breathes before a random share of its phrases, and its classes: a breath is sung without a pitch.

    Some singers are heard to breathe, which the labels of MIR-1K count as singing, and others are not. Mostly the
    accompaniment hides it, so that what can be learned is when to expect a breath rather than how it sounds.
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
        part = voice[(stop - n) * hop + hop // 2 :][: n * hop]  # shorter where labels go on after the sound
        part += level * breath_noise(n * hop, rate_hz, rng)[: len(part)]
    return voice, classes


def breath_noise(n_samples: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Noise with a broad peak that swells and fades, (N,), of a mean power of 1."""
    low_hz, high_hz = BREATH_HZ / 2, min(BREATH_HZ * 2, 0.45 * rate_hz)
    band = scipy.signal.butter(1, (low_hz, high_hz), "bandpass", fs=rate_hz, output="sos")
    noise = scipy.signal.sosfilt(band, rng.standard_normal(n_samples)) * np.hanning(n_samples)
    return noise / np.sqrt(np.mean(noise**2))


def _runs(flags_T) -> tuple[np.ndarray, np.ndarray]:
    """Where runs of true values begin, and where they are over."""
    edges = np.flatnonzero(np.diff(np.r_[False, flags_T, False]))
    return edges[::2], edges[1::2]


def toned(samples, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """A sound through a filter whose gain wanders over the octaves."""
    freqs_hz = TONE_HZ * (rate_hz / 2 / TONE_HZ[-1])
    gains_db = rng.normal(0, TONE_DB, len(freqs_hz))
    return scipy.signal.oaconvolve(
        samples, scipy.signal.firwin2(257, freqs_hz, 10 ** (gains_db / 20), fs=rate_hz), "same"
    )


def faster(samples, ratio: float) -> np.ndarray:
    """A sound played faster, and higher, by a ratio."""
    return soxr.resample(samples.astype(np.float32), ratio, 1.0)


def at_level(samples, level_db: float) -> np.ndarray:
    """A sound at an RMS level, dB against full scale."""
    return (samples * (10 ** (level_db / 20) / np.sqrt(np.mean(np.square(samples)) + 1e-12))).astype(np.float32)
