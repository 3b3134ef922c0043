"""Bands, the gains in them, and the training of the network that finds these."""

import numpy as np
import pytest
from sounds import noise, sdr_db, voice

from karaoke_sep.dsp.stft import stft
from karaoke_sep.trained import band_gains
from karaoke_sep.training import band_gains as training
from karaoke_sep.types import Audio, PitchTrack

RATE_HZ = band_gains.RATE_HZ


def clues(n_frames=40, seed=0):
    rng = np.random.default_rng(seed)
    return band_gains.Clues(
        rng.standard_normal((6, n_frames, band_gains.N_BANDS)).astype(np.float32),
        rng.uniform(100, 400, n_frames),
        rng.uniform(0, 1, n_frames),
        rng.standard_normal((n_frames, 9)),
    )


def weights(seed=0):
    rng = np.random.default_rng(seed)
    return {
        name: (rng.standard_normal(shape) / np.sqrt(max(np.prod(shape[:3]), 1))).astype(np.float32)
        for name, shape in band_gains.shapes().items()
    }


@pytest.mark.parametrize(("rate_hz", "n_fft"), [(8000, 512), (16000, 1024), (44100, 2822)])
def test_bands_share_out_each_bin_up_to_8_khz(rate_hz, n_fft):
    freqs_hz = np.arange(n_fft // 2 + 1) * rate_hz / n_fft
    weights_BF = band_gains.band_weights(len(freqs_hz), rate_hz / n_fft)
    np.testing.assert_allclose(weights_BF.sum(axis=0), freqs_hz <= band_gains.TOP_HZ, atol=1e-6)
    middle_hz = weights_BF @ freqs_hz / weights_BF.sum(axis=1).clip(1e-9)
    inside = (band_gains.centres_hz() > 300) & (band_gains.centres_hz() < 0.4 * rate_hz)
    np.testing.assert_allclose(middle_hz[inside], band_gains.centres_hz()[inside], rtol=0.05)


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 44100])
def test_gains_of_one_and_of_nothing_give_voice_mixture_and_silence(rate_hz):
    rng = np.random.default_rng(0)
    found = Audio(rng.standard_normal((2, rate_hz)).astype(np.float32), rate_hz)
    mixture = Audio(found.samples + rng.standard_normal((2, rate_hz)).astype(np.float32), rate_hz)
    one, none = np.ones((51, band_gains.N_BANDS)), np.zeros((51, band_gains.N_BANDS))
    assert np.abs(band_gains.apply(mixture, found, none, none).samples).max() == 0
    for gains, sound in (((one, none), found), ((one, one), mixture)):
        vocals = band_gains.apply(mixture, found, *gains).samples
        assert vocals.shape == sound.samples.shape
        if rate_hz <= 2 * band_gains.TOP_HZ:
            assert sdr_db(sound.samples, vocals) > 100


def test_a_gain_acts_at_its_time_and_in_its_band():
    rate_hz, hop_s = 11025, band_gains.HOP_MS / 1000
    sound = noise(3, rate_hz)
    gains = np.zeros((151, band_gains.N_BANDS))
    gains[75:, 20] = 1
    vocals = band_gains.apply(sound, sound, gains, 0 * gains, start_s=0.5)
    spectrum = stft(vocals, band_gains.LONG_MS, band_gains.HOP_MS)
    loud_T = spectrum.magnitude.sum(axis=0) > 0.5 * np.median(spectrum.magnitude.sum(axis=0)[75:])
    assert spectrum.times_s[np.flatnonzero(loud_T)[0]] == pytest.approx(75 * hop_s - 0.5, abs=0.04)
    power_F = np.sum(spectrum.magnitude[:, 75:] ** 2, axis=1)
    assert power_F @ spectrum.freqs_hz / power_F.sum() == pytest.approx(band_gains.centres_hz()[20], rel=0.05)


def test_levels_do_not_depend_on_how_loud_all_is():
    sung, band = voice(220, 1, RATE_HZ), noise(1, RATE_HZ)
    both = Audio(sung.samples + band.samples, RATE_HZ)
    level = band_gains.levels(both, sung)
    softer = band_gains.levels(Audio(0.1 * both.samples, RATE_HZ), Audio(0.1 * sung.samples, RATE_HZ))
    np.testing.assert_allclose(level, softer, atol=1e-3)
    assert level.shape == (6, 51, band_gains.N_BANDS)


def test_the_pitch_is_known_everywhere():
    track = PitchTrack(np.arange(5.0), np.array([np.nan, 100, np.nan, 400, np.nan]), np.ones(5))
    np.testing.assert_allclose(band_gains.pitch_everywhere(track, np.arange(5.0)), [100, 100, 200, 400, 400])
    silent = PitchTrack(np.arange(5.0), np.full(5, np.nan), np.zeros(5))
    np.testing.assert_allclose(band_gains.pitch_everywhere(silent, np.arange(3.0)), 200)


@pytest.mark.parametrize("n_frames", [1, 7, band_gains.BLOCK_FRAMES, band_gains.BLOCK_FRAMES + 2])
def test_gains_are_in_range_for_any_number_of_frames(n_frames):
    voice_TB, rest_TB, sung_T2 = band_gains.hear(weights(), clues(n_frames))
    assert voice_TB.shape == rest_TB.shape == (n_frames, band_gains.N_BANDS)
    assert sung_T2.shape == (n_frames, 2)
    assert 0 <= voice_TB.min() <= voice_TB.max() <= band_gains.MAX_GAIN
    assert 0 <= rest_TB.min() <= rest_TB.max() <= 1
    assert rest_TB[:, : band_gains.REST_FROM_BAND].max() == 0


def test_blocks_do_not_change_what_is_heard(monkeypatch):
    whole = band_gains.hear(weights(), clues(300))
    monkeypatch.setattr(band_gains, "BLOCK_FRAMES", 64)
    for one, other in zip(whole, band_gains.hear(weights(), clues(300)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_without_training_the_gains_lean_on_the_gate():
    each = clues()
    voice_TB, rest_TB, _ = band_gains.hear(training.start_weights(np.random.default_rng(0)), each)
    order = np.argsort(each.gate_T)
    assert np.all(np.diff(voice_TB[order], axis=0) >= 0)
    assert np.abs(voice_TB - each.gate_T[:, None]).max() < 0.2
    assert rest_TB.max() < 0.02


@pytest.fixture(scope="module")
def lesson():
    """A voice that is found with half of the band in it in its second half, while it is silent."""
    sung, band = voice(220, 2, RATE_HZ).samples, 0.3 * noise(2, RATE_HZ).samples
    sung[:, RATE_HZ:] = 0
    found = sung + np.where(np.arange(2 * RATE_HZ) < RATE_HZ, 0.1, 0.5) * band
    mixture = Audio(sung + band, RATE_HZ)
    sung_T = (np.arange(101) < 50).astype(int)
    level = band_gains.levels(mixture, Audio(found, RATE_HZ))
    told = band_gains.Clues(level, np.full(101, 220.0), np.full(101, 0.5), np.zeros((101, 9)))
    return training.lesson(told, mixture, Audio(found, RATE_HZ), Audio(sung, RATE_HZ), sung_T)


def test_the_error_is_that_of_the_spectra():
    rng = np.random.default_rng(0)
    V, U, R = rng.standard_normal((3, 5, 7)) + 1j * rng.standard_normal((3, 5, 7))
    g, h = rng.random((2, 5, 7))
    power = np.stack([(A * B.conj()).real for A, B in ((U, U), (U, R), (R, R), (V, U), (V, R), (V, V))])
    np.testing.assert_allclose(training.error(g, h, power), np.abs(V - g * U - h * R) ** 2)


def test_slopes_of_an_excerpt_are_those_of_its_error(lesson, monkeypatch):
    monkeypatch.setattr(training, "SUNG_WEIGHT", 0)
    monkeypatch.setattr(training, "LEVEL_WEIGHT", 0)
    start = {name: w.astype(float) for name, w in weights(1).items()}
    part = slice(10, 90)
    level_T, nothing_B = training.target_level(lesson)[part], np.zeros(band_gains.N_BANDS)
    excerpt = training.Excerpt(
        lesson.clues.cut(part), 0.01 * lesson.power_6TB[:, part], lesson.sung_T[part], level_T, nothing_B, np.float32(1)
    )

    def loss(now):
        maps, told = band_gains.maps(excerpt.clues.level_6TB, excerpt.clues.f0_hz), band_gains.evidence(excerpt.clues)
        raw, _ = band_gains.network(band_gains.Tape(), now, maps, told)
        return training.error(*band_gains.as_gains(raw, excerpt.clues.gate_T), excerpt.power_6TB).sum(dtype=float)

    slopes = training.slopes_of(start, excerpt)
    for name in ("gains_kernel", "middle2_a_kernel", "all2_kernel", "maps_kernel"):
        step = 1e-4 * np.random.default_rng(0).standard_normal(start[name].shape)
        ahead, behind = (loss(start | {name: start[name] + sign * step}) for sign in (1, -1))
        assert np.sum(slopes[name] * step) == pytest.approx((ahead - behind) / 2, rel=0.02)


def test_training_learns_and_any_number_of_processes_gives_the_same_bytes(lesson, monkeypatch):
    monkeypatch.setattr(training, "N_TOGETHER", 2)
    steps: list[int] = []
    learned, same = (training.train([lesson], 25, 0, n, steps.append) for n in (1, 2))
    assert steps == [*range(1, 26)] * 2
    for name, values in learned.items():
        np.testing.assert_array_equal(values, same[name])
    voice_TB, rest_TB, sung_T2 = band_gains.hear(learned, lesson.clues)
    assert training.error(voice_TB, rest_TB, lesson.power_6TB).sum() < 0.7 * training.default_error(lesson) * 101
    assert sung_T2[:50, 0].mean() > sung_T2[50:, 0].mean() + 0.1
    assert sung_T2[:50, 1].mean() > sung_T2[50:, 1].mean() + 0.2


def test_recordings_count_by_the_error_that_is_left_in_them(lesson):
    """In the first half hardly any of the band is left in the voice that was found."""
    cut = {"clues": lesson.clues, "power_6TB": lesson.power_6TB, "sung_T": lesson.sung_T}
    worse = training.Lesson(**cut | {"power_6TB": lesson.power_6TB * np.array([1, 1, 1, 0.5, 1, 1])[:, None, None]})
    assert training.default_error(worse) > training.default_error(lesson) > 0
