"""Each baseline on a signal of which it is known what it must do."""

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
    ("name", "music", "least_db"),
    [
        ("100 Hz high-pass", 0.5 * np.sin(2 * np.pi * 40 * TIMES_S), 20),
        ("HPSS, two-stage", chord(), 5),
        ("REPET", loop(), 5),
        ("librosa nearest neighbours", chord(), 3),
        ("RPCA, soft mask", chord(), 5),
        ("RPCA, binary mask", chord(), 5),
    ],
)
def test_each_baseline_pulls_a_voice_out_of_the_music_it_is_made_for(name, music, least_db):
    mixture = voice() + music
    before = mixture.copy()
    vocals = baselines.BASELINES[name](mixture, RATE_HZ)
    assert vocals.shape == mixture.shape
    assert usdr_db(voice()[None], vocals[None]) > usdr_db(voice()[None], mixture[None]) + least_db
    np.testing.assert_array_equal(mixture, before)


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_silence_stays_silence(name):
    vocals = baselines.BASELINES[name](np.zeros(2 * RATE_HZ), RATE_HZ)
    assert np.abs(vocals).max() < 1e-9


def test_robust_pca_tells_a_low_rank_matrix_from_sparse_spikes():
    rng = np.random.default_rng(0)
    low_rank = rng.standard_normal((120, 6)) @ rng.standard_normal((6, 150))
    spikes = np.where(rng.random((120, 150)) < 0.1, rng.choice([-10.0, 10.0], (120, 150)), 0.0)
    L, S = baselines.robust_pca(low_rank + spikes)
    np.testing.assert_allclose(L, low_rank, atol=0.01)  # the elements' standard deviation is 2.4
    np.testing.assert_allclose(S, spikes, atol=0.01)


@pytest.mark.parametrize("period", [17, 40, 63])
def test_the_repeating_period_is_found(period):
    rng = np.random.default_rng(period)
    pattern = rng.random((30, period)) ** 4
    power = np.tile(pattern, 24)[:, :400] + 0.05 * rng.random((30, 400))
    assert baselines.repeating_period(power) == period
