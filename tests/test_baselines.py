"""Each baseline on a signal with a known result."""

import librosa
import numpy as np
import pytest

from karaoke_sep.evaluation import baselines
from karaoke_sep.evaluation.bss_eval import usdr_db

RATE_HZ = 16000
TIMES_S = np.arange(5 * RATE_HZ) / RATE_HZ


def chord():
    """Steady tones of an accompaniment."""
    return sum(0.1 * np.sin(2 * np.pi * f0 * TIMES_S) for f0 in (131, 165, 196, 262, 330, 392))


def loop(period_s=0.8):
    """Short tones that come again with a period."""
    notes = (220, 277, 330, 440)
    sound = np.zeros_like(TIMES_S)
    for i in range(int(TIMES_S[-1] / period_s * 4)):
        since_s = TIMES_S - i * period_s / 4
        sound += 0.8 * (since_s >= 0) * np.exp(-since_s.clip(0) / 0.08) * np.sin(2 * np.pi * notes[i % 4] * since_s)
    return sound


def voice():
    """A gliding tone with partials and vibrato, here and there."""
    f0_hz = 300 * 2 ** (0.3 * np.sin(2 * np.pi * 0.37 * TIMES_S) + 0.06 * np.sin(2 * np.pi * 5.3 * TIMES_S))
    phase = 2 * np.pi * np.cumsum(f0_hz) / RATE_HZ
    sings = np.clip(4 * np.sin(2 * np.pi * 0.41 * TIMES_S + 1), 0, 1)
    return sings * sum(0.3 / k * np.sin(k * phase) for k in range(1, 8))


@pytest.mark.parametrize(
    ("names", "music", "least_db"),
    [
        (("100 Hz high-pass",), 0.5 * np.sin(2 * np.pi * 40 * TIMES_S), 20),
        (("HPSS, two-stage",), chord(), 5),
        (("REPET",), loop(), 5),
        (("librosa nearest neighbours",), chord(), 3),
        (("RPCA, binary mask", "RPCA, soft mask"), chord(), 5),
    ],
)
def test_each_baseline_separates_a_voice_from_the_music_it_was_designed_for(names, music, least_db):
    mixture = (voice() + music).astype(np.float32)
    before = mixture.copy()
    for vocals in np.atleast_2d(baselines.BASELINES[names](mixture, RATE_HZ)):
        assert vocals.shape == mixture.shape
        assert usdr_db(voice()[None], vocals[None]) > usdr_db(voice()[None], mixture[None]) + least_db
    np.testing.assert_array_equal(mixture, before)


@pytest.mark.parametrize("names", baselines.BASELINES)
def test_silence_stays_silence_for_each_name(names):
    vocals = np.atleast_2d(baselines.BASELINES[names](np.zeros(2 * RATE_HZ, np.float32), RATE_HZ))
    assert len(vocals) == len(names)
    assert np.abs(vocals).max() < 1e-9


def test_two_stage_medians_are_those_of_librosa():
    def stage(samples, window_ms, part):
        n_fft = round(window_ms * RATE_HZ / 1000)
        parts_FT = librosa.decompose.hpss(librosa.stft(samples, n_fft=n_fft, hop_length=n_fft // 4))
        return librosa.istft(parts_FT[part], n_fft=n_fft, hop_length=n_fft // 4, length=len(samples))

    mixture = voice() + chord()
    expected = stage(stage(mixture, 256, 1), 32, 0)
    np.testing.assert_allclose(baselines.hpss(mixture, RATE_HZ), expected, atol=1e-6)


def test_the_two_masks_of_rpca_are_those_of_its_parts():
    mixture = voice() + chord()
    X_FT = librosa.stft(mixture, n_fft=1024, hop_length=256)
    L_FT, S_FT = baselines.robust_pca(np.abs(X_FT))
    shares = np.abs(S_FT) / (np.abs(S_FT) + np.abs(L_FT) + 1e-12)
    expected = [librosa.istft(X_FT * gain, hop_length=256, length=len(mixture)) for gain in (shares > 0.5, shares)]
    np.testing.assert_allclose(baselines.rpca(mixture, RATE_HZ), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(120, 150), (150, 120)])
def test_robust_pca_separates_a_low_rank_matrix_from_sparse_spikes(shape):
    rng = np.random.default_rng(0)
    low_rank = rng.standard_normal((shape[0], 6)) @ rng.standard_normal((6, shape[1]))
    spikes = np.where(rng.random(shape) < 0.1, rng.choice([-10.0, 10.0], shape), 0.0)
    L, S = baselines.robust_pca(low_rank + spikes, tolerance=1e-5)
    np.testing.assert_allclose(L, low_rank, atol=0.01)  # the elements' standard deviation is 2.4
    np.testing.assert_allclose(S, spikes, atol=0.01)


@pytest.mark.parametrize("period", [17, 40, 63])
def test_the_repeating_period_is_found(period):
    rng = np.random.default_rng(period)
    pattern = rng.random((30, period)) ** 4
    power = np.tile(pattern, 24)[:, :400] + 0.05 * rng.random((30, 400))
    assert baselines.repeating_period(power) == period
