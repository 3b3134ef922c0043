"""Remixes: what is changed, and what labels follow."""

import numpy as np
import pytest
from sounds import noise, voice

from karaoke_sep.training import remix

RATE_HZ = 16000


def rms_db(samples):
    return 10 * np.log10(np.mean(np.square(samples)))


@pytest.mark.parametrize("seed", range(4))
def test_a_remix_is_as_long_as_the_shorter_side_and_at_the_ordered_levels(seed):
    sung, band = voice(200, 1, RATE_HZ).samples[0], noise(3, RATE_HZ).samples[0]
    sides = remix.remix(sung, band, np.full(49, 2), RATE_HZ, np.random.default_rng(seed))
    new_voice, new_band, classes = sides
    assert len(new_voice) == len(new_band) > 0.5 * RATE_HZ
    assert abs(len(classes) - len(new_voice) / 320) < 2
    assert remix.LEVEL_DB[0] <= rms_db(new_band) <= remix.LEVEL_DB[1]
    assert abs(rms_db(new_voice) - rms_db(new_band)) < 4 * remix.SNR_DB


def test_the_same_numbers_give_the_same_remix_and_others_another():
    sung, band, classes = voice(200, 1, RATE_HZ).samples[0], noise(1, RATE_HZ).samples[0], np.full(49, 2)
    one, same, other = (remix.remix(sung, band, classes, RATE_HZ, np.random.default_rng(s))[0] for s in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert len(one) != len(other) or not np.allclose(one, other)


@pytest.mark.parametrize("semitones", [-8, 8])
def test_labels_move_with_the_voice(monkeypatch, semitones):
    """Half a second of silence, then noise: the label must begin where the sound does, at whatever speed."""
    monkeypatch.setattr(remix, "VOICE_SEMITONES", 0)
    ratio = 2 ** (semitones / 12)

    class Numbers:
        def uniform(self, low, high):
            return semitones if low == high == 0 else 0.5 * (low + high)

        def normal(self, *_):
            return 0.0 if len(_) == 2 else np.zeros(len(remix.TONE_HZ))

    sung = np.concatenate([np.zeros(RATE_HZ // 2), noise(1, RATE_HZ).samples[0]])
    classes = (0.02 * np.arange(1, 75) >= 0.5).astype(int) * 2
    new_voice, _, moved = remix.remix(sung, noise(4, RATE_HZ).samples[0], classes, RATE_HZ, Numbers())
    begins_s = np.flatnonzero(np.abs(new_voice) > 0.1 * np.abs(new_voice).max())[0] / RATE_HZ
    assert begins_s == pytest.approx(0.5 / ratio, abs=0.01)
    assert (np.flatnonzero(moved)[0] + 1) * 0.02 == pytest.approx(begins_s, abs=0.021)


def test_only_what_is_sung_without_a_pitch_gets_louder():
    classes = np.repeat([0, 1, 2], 20)
    gain = remix.unvoiced_gain(classes, 62 * 320, RATE_HZ, 12.0)
    of_label = gain[320 * (np.arange(60) + 1)]
    np.testing.assert_allclose(of_label[[5, 30, 50]], [1, 10 ** (12 / 20), 1], rtol=1e-3)


def test_a_sound_played_faster_is_higher_and_shorter():
    faster = remix.faster(voice(200, 1, RATE_HZ).samples[0], 1.5)
    assert len(faster) == pytest.approx(RATE_HZ / 1.5, abs=1)
    spectrum = np.abs(np.fft.rfft(faster * np.hanning(len(faster))))
    low = slice(0, int(450 * len(faster) / RATE_HZ))
    assert np.argmax(spectrum[low]) * RATE_HZ / len(faster) == pytest.approx(300, abs=3)
