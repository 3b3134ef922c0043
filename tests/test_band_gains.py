"""The time-frequency gate: bands, gains, and the training of its network."""

import numpy as np
import pytest
import scipy.special
from sounds import noise, sdr_db, voice

from karaoke_sep.dsp.stft import stft
from karaoke_sep.trained import band_gains
from karaoke_sep.training import band_gains as training
from karaoke_sep.types import Audio, PitchTrack

RATE_HZ = band_gains.RATE_HZ
TRUST = {"trust_2": np.array([0.75, 0.4])}


def inputs(n_frames=40, seed=0):
    rng = np.random.default_rng(seed)
    return band_gains.NetworkInputs(
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
    } | TRUST


@pytest.mark.parametrize(("rate_hz", "n_fft"), [(8000, 512), (16000, 1024), (44100, 2822)])
def test_the_weights_of_the_bands_add_up_to_1_in_each_bin_up_to_8_khz(rate_hz, n_fft):
    freqs_hz = np.arange(n_fft // 2 + 1) * rate_hz / n_fft
    weights_BF = band_gains.band_weights(len(freqs_hz), rate_hz / n_fft)
    np.testing.assert_allclose(weights_BF.sum(axis=0), freqs_hz <= band_gains.TOP_HZ, atol=1e-6)
    middle_hz = weights_BF @ freqs_hz / weights_BF.sum(axis=1).clip(1e-9)
    inside = (band_gains.centres_hz() > 300) & (band_gains.centres_hz() < 0.4 * rate_hz)
    np.testing.assert_allclose(middle_hz[inside], band_gains.centres_hz()[inside], rtol=0.05)


def extreme_gains(rate_hz):
    """A mixture, a voice estimate, and the vocals of gains of 1 and 0, 1 and 1, and 0 and 0."""
    rng = np.random.default_rng(0)
    estimate = Audio(rng.standard_normal((2, rate_hz)).astype(np.float32), rate_hz)
    mixture = Audio(estimate.samples + rng.standard_normal((2, rate_hz)).astype(np.float32), rate_hz)
    one, none = np.ones((51, band_gains.N_BANDS)), np.zeros((51, band_gains.N_BANDS))
    pairs = ((one, none), (one, one), (none, none))
    return mixture, estimate, *(band_gains.apply(mixture, estimate, *pair) for pair in pairs)


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 44100])
def test_vocals_have_the_shape_of_the_mixture_and_gains_of_zero_silence_them(rate_hz):
    mixture, _, *vocals, nothing = extreme_gains(rate_hz)
    assert {sound.samples.shape for sound in (*vocals, nothing)} == {mixture.samples.shape}
    assert np.abs(nothing.samples).max() == 0


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000])  # at higher rates there is no gain above the bands
def test_gains_of_one_and_zero_give_the_voice_estimate_and_the_mixture(rate_hz):
    mixture, estimate, of_voice, of_all, _ = extreme_gains(rate_hz)
    assert sdr_db(estimate.samples, of_voice.samples) > 100
    assert sdr_db(mixture.samples, of_all.samples) > 100


def test_a_gain_acts_at_its_time_and_in_its_band():
    rate_hz, hop_s = 11025, band_gains.HOP_MS / 1000
    sound = noise(3, rate_hz)
    gains = np.zeros((151, band_gains.N_BANDS))
    gains[75:, 20] = 1
    vocals = band_gains.apply(sound, sound, gains, 0 * gains, start_s=0.5)
    spectrum = stft(vocals, band_gains.WINDOWS_MS[0], band_gains.HOP_MS)
    loud_T = spectrum.magnitude.sum(axis=0) > 0.5 * np.median(spectrum.magnitude.sum(axis=0)[75:])
    assert spectrum.times_s[np.flatnonzero(loud_T)[0]] == pytest.approx(75 * hop_s - 0.5, abs=0.04)
    power_F = np.sum(spectrum.magnitude[:, 75:] ** 2, axis=1)
    assert power_F @ spectrum.freqs_hz / power_F.sum() == pytest.approx(band_gains.centres_hz()[20], rel=0.05)


def test_levels_do_not_depend_on_the_gain_of_the_recording():
    sung, band = voice(220, 1, RATE_HZ), noise(1, RATE_HZ)
    both = Audio(sung.samples + band.samples, RATE_HZ)
    level = band_gains.levels(both, sung)
    softer = band_gains.levels(Audio(0.1 * both.samples, RATE_HZ), Audio(0.1 * sung.samples, RATE_HZ))
    np.testing.assert_allclose(level, softer, atol=1e-3)
    assert level.shape == (6, 51, band_gains.N_BANDS)


def test_the_pitch_is_interpolated_between_voiced_frames():
    track = PitchTrack(np.arange(5.0), np.array([np.nan, 100, np.nan, 400, np.nan]), np.ones(5))
    np.testing.assert_allclose(band_gains.interpolated_pitch(track, np.arange(5.0)), [100, 100, 200, 400, 400])
    silent = PitchTrack(np.arange(5.0), np.full(5, np.nan), np.zeros(5))
    np.testing.assert_allclose(band_gains.interpolated_pitch(silent, np.arange(3.0)), 200)


@pytest.mark.parametrize("n_frames", [1, 7, band_gains.BLOCK_FRAMES + 2])
def test_gains_are_in_range_for_any_number_of_frames(n_frames):
    voice_TB, residual_TB, activity_T2 = band_gains.predict(weights(), inputs(n_frames))
    assert voice_TB.shape == residual_TB.shape == (n_frames, band_gains.N_BANDS)
    assert activity_T2.shape == (n_frames, 2)
    assert 0 <= voice_TB.min() <= voice_TB.max() <= band_gains.MAX_GAIN
    assert 0 <= residual_TB.min() <= residual_TB.max() <= 1
    assert residual_TB[:, ~band_gains.uses_residual()].max() == 0


def test_the_end_of_a_block_does_not_show_in_the_prediction():
    """The end of the first block lies in the middle of another signal, which begins later and has the same levels."""
    n, late = band_gains.BLOCK_FRAMES * 5 // 4, band_gains.BLOCK_FRAMES // 2
    first, part = inputs(n), slice(late + 100, n - 100)
    turned = first.at(np.roll(np.arange(n), -late))
    for one, other in zip(band_gains.predict(weights(), first), band_gains.predict(weights(), turned), strict=True):
        np.testing.assert_allclose(one[part], other[part.start - late : part.stop - late], rtol=0, atol=1e-5)


def test_the_gains_of_an_untrained_network_follow_the_untrained_gate():
    gate_inputs = inputs()
    voice_TB, residual_TB, _ = band_gains.predict(
        training.initial_weights(np.random.default_rng(0)) | TRUST, gate_inputs
    )
    order = np.argsort(gate_inputs.gate_T)
    assert np.all(np.diff(voice_TB[order], axis=0) >= 0)
    assert np.abs(voice_TB - gate_inputs.gate_T[:, None]).max() < 0.2
    assert residual_TB.max() < 0.02


def predicted_gains(trust_2):
    return band_gains.predict(weights() | {"trust_2": np.array(trust_2)}, inputs()).voice_TB


def test_without_trust_the_gains_are_those_of_an_untrained_network():
    start = training.initial_weights(np.random.default_rng(0)) | TRUST
    np.testing.assert_array_equal(predicted_gains((0.0, 0.0)), band_gains.predict(start, inputs()).voice_TB)


def test_the_change_in_log_odds_grows_with_the_trust_in_the_bands_that_it_is_given_for():
    none, some, whole = (
        scipy.special.logit(predicted_gains(trust_2) / band_gains.MAX_GAIN)
        for trust_2 in ((0.0, 0.0), (0.25, 0.5), (1.0, 1.0))
    )
    share_B = np.where(band_gains.uses_residual(), 0.5, 0.25)
    np.testing.assert_allclose(some - none, share_B * (whole - none), atol=1e-3)


@pytest.fixture(scope="module")
def example():
    """A voice that is silent in its second half, where the voice estimate holds half of the music."""
    sung, band = voice(220, 2, RATE_HZ).samples, 0.3 * noise(2, RATE_HZ).samples
    sung[:, RATE_HZ:] = 0
    estimate = sung + np.where(np.arange(2 * RATE_HZ) < RATE_HZ, 0.1, 0.5) * band
    mixture = Audio(sung + band, RATE_HZ)
    sung_T = (np.arange(101) < 50).astype(int)
    level = band_gains.levels(mixture, Audio(estimate, RATE_HZ))
    gate_inputs = band_gains.NetworkInputs(level, np.full(101, 220.0), np.full(101, 0.5), np.zeros((101, 9)))
    return training.make_example(gate_inputs, mixture, Audio(estimate, RATE_HZ), Audio(sung, RATE_HZ), sung_T)


def test_the_error_from_the_band_sums_is_the_squared_error_of_the_spectra():
    rng = np.random.default_rng(0)
    V, U, R = rng.standard_normal((3, 5, 7)) + 1j * rng.standard_normal((3, 5, 7))
    g, h = rng.random((2, 5, 7))
    power = np.stack([(A * B.conj()).real for A, B in ((U, U), (U, R), (R, R), (V, U), (V, R), (V, V))])
    np.testing.assert_allclose(training.error(g, h, power), np.abs(V - g * U - h * R) ** 2)


def test_the_gradients_of_an_excerpt_are_those_of_its_loss(example):
    start = {name: 0.5 * w.astype(float) for name, w in weights(1).items() if name not in TRUST}
    part = slice(10, 90)
    zeros_B, one_C = np.zeros(band_gains.N_BANDS), np.float32(1)
    excerpt = training.Excerpt(
        example.inputs.at(part),
        example.power_6TB[:, part].astype(float),
        example.sung_T[part],
        training.target_level(example)[part],
        zeros_B,
        one_C,
    )

    def loss(now):
        bands = band_gains.band_features(excerpt.inputs.level_6TB, excerpt.inputs.f0_hz)
        frames = band_gains.frame_features(excerpt.inputs)
        raw, activity = band_gains.network(band_gains.Tape(), now, bands, frames)
        voice_TB, residual_TB = band_gains.gains_from_outputs(raw, excerpt.inputs.gate_T)
        log_odds_T, level_T = activity[:, 0].T.astype(float)
        sung = np.sum(np.log1p(np.exp(log_odds_T)) - excerpt.sung_T * log_odds_T)
        level = np.sum(scipy.special.huber(0.3, level_T - excerpt.level_T)) / 0.3
        error = training.error(voice_TB, residual_TB, excerpt.power_6TB).sum(dtype=float)
        return error + training.SUNG_WEIGHT * sung + training.LEVEL_WEIGHT * level

    gradients = training.gradients_of(start, excerpt)
    for name in ("gains_kernel", "middle2_a_kernel", "all2_kernel", "maps_kernel", "sung2_kernel"):
        step = 1e-4 * np.random.default_rng(0).standard_normal(start[name].shape)
        ahead, behind = (loss(start | {name: start[name] + sign * step}) for sign in (1, -1))
        assert np.sum(gradients[name] * step) == pytest.approx((ahead - behind) / 2, rel=0.02)


def test_training_reduces_the_error_and_gives_the_same_bytes_with_any_number_of_processes(example):
    steps: list[int] = []
    learned, same = (training.train([example], 18, 0, n, lambda of: steps.append(of().n_steps)) for n in (1, 2))
    assert steps == [*range(1, 19)] * 2
    for name, values in learned.items():
        np.testing.assert_array_equal(values, same[name])
    voice_TB, residual_TB, activity_T2 = band_gains.predict(learned | TRUST, example.inputs)
    left = training.error(voice_TB, residual_TB, example.power_6TB.astype(np.float32)).sum()
    assert left < 0.7 * training.untrained_error(example) * 101
    assert activity_T2[:50, 0].mean() > activity_T2[50:, 0].mean() + 0.1
    assert activity_T2[:50, 1].mean() > activity_T2[50:, 1].mean() + 0.2


def test_the_weight_of_a_recording_follows_from_the_error_of_the_untrained_gate(example):
    """In the first half the voice estimate holds hardly any music."""
    cut = {"inputs": example.inputs, "power_6TB": example.power_6TB, "sung_T": example.sung_T}
    worse = training.Example(**cut | {"power_6TB": example.power_6TB * np.float32([1, 1, 1, 0.5, 1, 1])[:, None, None]})
    assert training.untrained_error(worse) > training.untrained_error(example) > 0


def test_training_that_resumes_at_any_step_gives_the_same_weights(example):
    states: list[training.State] = []
    whole = training.train([example], 4, 0, 1, lambda state_of: states.append(state_of()))
    for state in (states[0], states[3]):
        again = training.train([example], 4, 0, 1, lambda state_of: None, state)
        for name, values in whole.items():
            np.testing.assert_array_equal(again[name], values)


def test_each_partial_of_a_low_voice_has_its_own_band():
    bin_hz = RATE_HZ / 1024
    weights_BF = band_gains.band_weights(513, bin_hz)
    bands = [weights_BF[:, round(k * 100 / bin_hz)].argmax() for k in range(1, 20)]
    assert min(np.diff(bands)) >= 2
