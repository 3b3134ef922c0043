"""The whitening makes the accompaniment equally strong in all bins, and does not change the sound otherwise."""

import numpy as np
import pytest
from sounds import silence, voice

from karaoke_sep.steps import harmonic_mask
from karaoke_sep.steps.whitening import Params, uncovered_mean, whiten
from karaoke_sep.types import Audio, PitchTrack

RATE_HZ, SECONDS = 8000, 4.0
MASK = harmonic_mask.Params()


def tone(frequency_hz, level=1.0):
    t = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
    return level * np.sin(2 * np.pi * frequency_hz * t)


def sung(f0_hz):
    times_s = np.arange(0, SECONDS, 0.016)
    return PitchTrack(times_s, np.broadcast_to(f0_hz, times_s.shape).astype(float), np.ones(len(times_s)))


def level_db(audio, frequency_hz):
    """Level of the bin of a frequency in the middle half of the sound, dB."""
    n = audio.n_samples // 4
    window = np.hanning(2 * n)
    t = np.arange(2 * n) / RATE_HZ
    return 20 * np.log10(np.abs(np.sum(audio.samples[0, n : 3 * n] * window * np.exp(-2j * np.pi * frequency_hz * t))))


def test_tones_of_the_accompaniment_20_db_apart_become_equally_strong():
    mixture = Audio((tone(530) + tone(1250, 0.1))[None].astype(np.float32), RATE_HZ)
    white = whiten(mixture, sung(199), MASK, Params(floor=0.001))
    assert level_db(mixture, 530) - level_db(mixture, 1250) == pytest.approx(20, abs=0.1)
    assert level_db(white, 530) - level_db(white, 1250) == pytest.approx(0, abs=1)


def test_a_partial_of_the_voice_gains_on_a_held_tone_that_is_20_db_louder():
    """The level of the voice has no effect, because it is covered by the mask."""
    vibrato = 400 * 2 ** (0.05 * np.sin(2 * np.pi * 5.5 * np.arange(0, SECONDS, 0.016)))
    melody = voice(lambda t: 400 * 2 ** (0.05 * np.sin(2 * np.pi * 5.5 * t)), SECONDS, RATE_HZ).samples[0]
    mixture = Audio((0.1 * melody + tone(530)[: len(melody)])[None].astype(np.float32), RATE_HZ)
    white = whiten(mixture, sung(vibrato), MASK, Params())
    before = level_db(mixture, 800) - level_db(mixture, 530)
    assert level_db(white, 800) - level_db(white, 530) > before + 15


@pytest.mark.parametrize("gain", [1e-4, 1.0])
def test_the_sound_stays_as_loud_as_it_was(gain):
    rng = np.random.default_rng(0)
    mixture = Audio(gain * (tone(700) + 0.1 * rng.standard_normal(32000))[None].astype(np.float32), RATE_HZ)
    before = mixture.samples.copy()
    white = whiten(mixture, sung(199), MASK, Params())
    assert white.samples.shape == mixture.samples.shape
    assert np.std(white.samples) == pytest.approx(np.std(mixture.samples), rel=0.2)
    np.testing.assert_array_equal(mixture.samples, before)


def test_silence_stays_silent():
    assert not whiten(silence(1.0, RATE_HZ), sung(200), MASK, Params()).samples.any()


def test_disabled_it_gives_the_mixture_back():
    mixture = Audio(tone(700)[None], RATE_HZ)
    assert whiten(mixture, sung(200), MASK, Params(enabled=False)) is mixture


def test_a_covered_bin_is_estimated_from_its_uncovered_times_and_without_them_from_its_neighbours():
    X_TF = np.full((40, 30), 2, np.float32)
    covered_TF = np.zeros(X_TF.shape, bool)
    covered_TF[10:15, 7] = covered_TF[:, 20] = True
    X_TF[covered_TF] = 100
    np.testing.assert_allclose(uncovered_mean(X_TF, covered_TF, 5.0, 9), 2, rtol=1e-3)
