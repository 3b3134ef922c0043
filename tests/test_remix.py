"""Remixes: random changes of voice and accompaniment, and their labels."""

import itertools

import librosa
import numpy as np
import pytest
from sounds import noise, voice

from karaoke_sep.training import remix

RATE_HZ = 16000


def rms_db(samples):
    return 10 * np.log10(np.mean(np.square(samples)))


def make_remix(seed, **changed):
    """Return a remix of one second of a voice with accompaniments of noise."""
    sides = {"voice": voice(200, 1, RATE_HZ).samples[0], "own": noise(1, RATE_HZ).samples[0]}
    others = [noise(3, RATE_HZ, seed=k).samples[0] for k in (1, 2)]
    sides |= {"others": others, "classes": np.full(49, 2), "pitch_hz": 200.0, "rate_hz": RATE_HZ}
    return remix.remix(**(sides | changed), rng=np.random.default_rng(seed))


def median_pitch_hz(samples):
    return np.median(librosa.yin(samples.astype(float), fmin=60, fmax=800, sr=RATE_HZ))


@pytest.mark.parametrize("seed", range(4))
def test_a_remix_is_as_long_as_its_shorter_side_and_has_levels_in_the_given_range(seed):
    new_voice, new_band, classes = make_remix(seed)
    assert len(new_voice) == len(new_band) > 0.6 * RATE_HZ
    assert abs(len(classes) - len(new_voice) / 320) < 2
    assert remix.LEVEL_DB[0] - 0.1 <= rms_db(new_band) <= remix.LEVEL_DB[1] + 0.1
    assert abs(rms_db(new_voice) - rms_db(new_band)) < 4 * remix.SNR_DB


def test_the_same_seed_gives_the_same_remix_and_another_seed_gives_another():
    one, same, other = (make_remix(seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert len(one) != len(other) or not np.allclose(one, other)


def seeds(n, keeps_own):
    """Seeds of remixes whose voice keeps its accompaniment, or gets another one: the first random number decides."""
    drawn = ((seed, np.random.default_rng(seed).random() < remix.P_OWN) for seed in itertools.count())
    return list(itertools.islice((seed for seed, keeps in drawn if keeps == keeps_own), n))


def test_voices_are_moved_to_the_whole_range_of_pitches_whatever_their_own_pitch():
    pitches_hz = [
        median_pitch_hz(make_remix(seed, voice=voice(f0, 1, RATE_HZ).samples[0], pitch_hz=f0)[0])
        for f0 in (130.0, 350.0)
        for seed in seeds(10, keeps_own=False)
    ]
    for half in (pitches_hz[:10], pitches_hz[10:]):
        assert 95 < min(half) < 180
        assert 280 < max(half) < 500


def test_a_voice_of_unknown_pitch_is_only_played_faster_or_slower():
    for seed in seeds(3, keeps_own=False):
        new_voice = make_remix(seed, pitch_hz=np.nan)[0]
        assert median_pitch_hz(new_voice) == pytest.approx(200 * RATE_HZ / len(new_voice), rel=0.01)


def test_a_voice_that_keeps_its_accompaniment_stays_in_tune_with_it():
    tone = np.sin(2 * np.pi * 400 * np.arange(RATE_HZ) / RATE_HZ)
    for seed in seeds(3, keeps_own=True):
        new_voice, new_band, _ = make_remix(seed, own=tone)
        peak_hz = np.argmax(np.abs(np.fft.rfft(new_band * np.hanning(len(new_band))))) * RATE_HZ / len(new_band)
        assert median_pitch_hz(new_voice) == pytest.approx(peak_hz / 2, rel=0.02)


@pytest.mark.parametrize("seed", range(8))
def test_labels_follow_the_playback_speed_of_the_voice(seed):
    """Half a second of silence, then a voice: the labels must begin with the sound at any speed."""
    silent = np.concatenate([np.zeros(RATE_HZ // 2), voice(200, 1, RATE_HZ).samples[0]])
    classes = (0.02 * np.arange(1, 75) >= 0.5).astype(int) * 2
    new_voice, _, moved = make_remix(seed, voice=silent, classes=classes)
    begins_s = np.flatnonzero(np.abs(new_voice) > 0.5 * np.abs(new_voice).max())[0] / RATE_HZ  # breaths are softer
    assert (np.flatnonzero(moved == 2)[0] + 1) * 0.02 == pytest.approx(begins_s, abs=0.04)


def test_moving_the_formants_keeps_the_pitch():
    f0 = 125.0
    bright = voice(f0, 1, RATE_HZ).samples[0]
    moved = remix.with_formants(bright, 1.3, RATE_HZ)
    assert len(moved) == len(bright)
    assert median_pitch_hz(moved) == pytest.approx(median_pitch_hz(bright), abs=1)
    freqs_hz = np.fft.rfftfreq(len(bright), 1 / RATE_HZ)
    centre_hz = [np.sum(freqs_hz * (p := np.abs(np.fft.rfft(x)) ** 2)) / p.sum() for x in (bright, moved)]
    assert centre_hz[1] > 1.1 * centre_hz[0]
    np.testing.assert_allclose(remix.with_formants(bright, 1.0, RATE_HZ), bright, atol=1e-5)


def test_the_unvoiced_gain_changes_unvoiced_frames_only():
    classes = np.repeat([0, 1, 2], 20)
    gain = remix.unvoiced_gain(classes, 62 * 320, RATE_HZ, 12.0)
    of_label = gain[320 * (np.arange(60) + 1)]
    np.testing.assert_allclose(of_label[[5, 30, 50]], [1, 10 ** (12 / 20), 1], rtol=1e-3)


def test_breaths_are_soft_come_before_phrases_and_are_labelled_unvoiced():
    """Three phrases of a second; the pauses last 0.8 s, 0.1 s (too short), and 0.8 s, with which the recording ends."""
    classes = np.repeat([0, 2, 0, 2, 0], [40, 50, 5, 50, 40])
    tone = np.sin(2 * np.pi * 200 * np.arange(185 * 320) / RATE_HZ)
    sung = (np.repeat(classes > 0, 320) * tone).astype(np.float32)
    counts, levels_db = [], []
    for seed in range(40):
        with_breaths, labels = remix.with_breaths(sung, classes, RATE_HZ, np.random.default_rng(seed))
        changed = np.flatnonzero(labels != classes)
        counts.append(len(changed))
        np.testing.assert_array_equal(labels[changed], 1)
        np.testing.assert_array_equal(np.diff(changed), 1)
        assert all(40 - 13 - 15 <= t < 40 for t in changed)
        of_label = np.sum((with_breaths - sung)[160:][: 184 * 320].reshape(184, 320) ** 2, axis=1) > 0
        np.testing.assert_array_equal(np.flatnonzero(of_label), changed)
        if len(changed):
            levels_db.append(
                rms_db((with_breaths - sung)[160 + 320 * changed[0] :][: 320 * len(changed)]) - rms_db(sung)
            )
    assert 10 < np.count_nonzero(counts) < 30
    assert -35.1 < min(levels_db) < -30
    assert -20 < max(levels_db) < -14.9
    assert 6 <= min(filter(None, counts)) < 9
    assert 12 < max(counts) <= 15


def test_labels_may_outlast_the_sound():
    classes = np.repeat([0, 2], [40, 40])
    for seed in range(10):
        with_breaths, _ = remix.with_breaths(np.ones(30 * 320), classes, RATE_HZ, np.random.default_rng(seed))
        assert len(with_breaths) == 30 * 320


def test_playing_a_sound_faster_makes_it_higher_and_shorter():
    faster = remix.faster(voice(200, 1, RATE_HZ).samples[0], 1.5)
    assert len(faster) == pytest.approx(RATE_HZ / 1.5, abs=1)
    spectrum = np.abs(np.fft.rfft(faster * np.hanning(len(faster))))
    low = slice(0, int(450 * len(faster) / RATE_HZ))
    assert np.argmax(spectrum[low]) * RATE_HZ / len(faster) == pytest.approx(300, abs=3)
