"""Every pitch backend and every accompaniment model obeys the same laws, whoever adds one.

They are found as the config finds them: by their files.
"""

from dataclasses import fields
from functools import cache
from importlib import import_module

import numpy as np
import pytest
from sounds import cents, nmf_model, noise, sdr_db, silence, voice

from karaoke_sep import load_config, separate
from karaoke_sep.files import contours
from karaoke_sep.pipeline import find_pitch
from karaoke_sep.types import Audio, PitchTrack

BACKENDS = [f.name for f in fields(load_config().pitch) if f.name != "backend"]
MODELS = [f.name for f in fields(load_config().accompaniment) if f.name != "backend"]
RATES_HZ = [8000, 16000, 44100]


def melody_hz(times_s):
    """Half an octave up and on, for a held tone would count as accompaniment."""
    return 220 * 2 ** (times_s + 0.05 * np.sin(2 * np.pi * 5.5 * times_s))


@cache
def sung(rate_hz):
    """0.8 s, stereo, off the middle."""
    mono = voice(melody_hz, 0.8, rate_hz)
    return Audio(np.vstack([0.6 * mono.samples, mono.samples]), rate_hz)


@cache
def sung_in_noise(rate_hz):
    return Audio(sung(rate_hz).samples + noise(0.8, rate_hz, n_channels=2).samples, rate_hz)


@pytest.fixture(scope="module")
def config_with(tmp_path_factory):
    """The default config with another pitch backend or accompaniment model; ``given`` reads the true melody."""
    path = tmp_path_factory.mktemp("contour") / "contour.csv"
    times_s = 0.01 * np.arange(81)
    contours.write(path, PitchTrack(times_s, melody_hz(times_s), np.ones(81)))
    model = nmf_model(path.with_name("model.npz"))

    def make(section, name):
        config = {"pitch": {"given": {"path": path}}, "accompaniment": {"trained_nmf": {"model": model}}}
        config.setdefault(section, {})["backend"] = name
        return load_config(config)

    return make


def test_the_backends_and_models_are_found():
    assert {"given", "hmm", "peaks", "pyin"} <= set(BACKENDS)
    assert {"masked_nmf", "trained_nmf"} <= set(MODELS)


# --- Pitch -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_finds_a_sung_pitch_at_every_rate(config_with, backend, rate_hz):
    track = find_pitch(sung_in_noise(rate_hz), config=config_with("pitch", backend))
    inner = (track.times_s > 0.15) & (track.times_s < 0.65)
    error_cents = np.abs(cents(track.f0_hz, melody_hz(track.times_s))[inner])
    assert np.mean(error_cents < 50) > 0.9
    assert np.median(error_cents) < 10
    assert np.median(track.voicing[inner]) > 0.5


@pytest.mark.parametrize("sound", [sung_in_noise(16000), noise(0.3, 16000), silence(0.3, 16000), noise(0.05, 8000)])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_track_is_well_formed_whatever_is_heard(config_with, backend, sound):
    track = find_pitch(sound, config=config_with("pitch", backend))
    assert isinstance(track, PitchTrack)
    assert len(track.times_s) > 0
    assert track.times_s.shape == track.f0_hz.shape == track.voicing.shape
    assert np.all(np.diff(track.times_s) > 0)
    assert track.times_s[0] <= 0.04
    assert track.times_s[-1] > sound.duration_s - 0.04
    pitched = np.isfinite(track.f0_hz)
    assert not np.isinf(track.f0_hz).any()
    assert (track.f0_hz[pitched] > 0).all()
    assert (track.voicing[~pitched] == 0).all()
    assert track.voicing.min() >= 0
    assert track.voicing.max() <= 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_gives_the_same_bytes_again_and_leaves_the_sound_alone(config_with, backend):
    audio, config = sung_in_noise(16000), config_with("pitch", backend)
    before = audio.samples.copy()
    one, other = find_pitch(audio, config=config), find_pitch(audio, config=config)
    np.testing.assert_array_equal(audio.samples, before)
    for name in ("times_s", "f0_hz", "voicing"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


@pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend != "given"])
def test_silence_has_no_pitch(config_with, backend):
    assert np.isnan(find_pitch(silence(0.3, 16000), config=config_with("pitch", backend)).f0_hz).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_stems_along_the_track_of_a_backend_hold_the_voice(config_with, backend):
    audio = sung_in_noise(16000)
    result = separate(audio, config=config_with("pitch", backend))
    clean = sung(16000).samples
    assert sdr_db(clean, result.vocals.samples) > sdr_db(clean, audio.samples) + 3


# --- Accompaniment ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("model", MODELS)
def test_stems_along_a_model_add_up_at_every_rate_and_the_sound_is_left_alone(config_with, model, rate_hz):
    audio = sung_in_noise(rate_hz)
    before = audio.samples.copy()
    result = separate(audio, config=config_with("accompaniment", model))
    np.testing.assert_allclose(result.vocals.samples + result.accompaniment.samples, audio.samples, atol=1e-6)
    np.testing.assert_array_equal(audio.samples, before)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_gives_the_same_bytes_again(config_with, model):
    audio, config = sung_in_noise(16000), config_with("accompaniment", model)
    assert len({separate(audio, config=config).vocals.samples.tobytes() for _ in range(2)}) == 1


@pytest.mark.parametrize("model", MODELS)
def test_silence_along_a_model_stays_silence(config_with, model):
    result = separate(silence(0.3, 16000), config=config_with("accompaniment", model))
    assert (result.vocals.samples == 0).all()
    assert (result.accompaniment.samples == 0).all()


@pytest.mark.parametrize("level", [0.0, 1.0, 1000.0])
@pytest.mark.parametrize("model", MODELS)
def test_a_model_is_finite_and_not_negative_and_blind_inside_the_mask(config_with, model, level):
    module = import_module(f"karaoke_sep.accompaniment.{model}")
    params = getattr(config_with("accompaniment", model).accompaniment, model)
    rng = np.random.default_rng(0)
    X_TF = level * rng.random((40, 300), np.float32)
    covered_TF = rng.random((40, 300)) < 0.3
    loud_TF = np.where(covered_TF, np.float32(1e3), X_TF)
    before = X_TF.copy()
    H_TK, B_KF = module.fit(X_TF, covered_TF, 16.0, params, np.random.default_rng(1))
    assert (H_TK.shape[0], B_KF.shape[1]) == X_TF.shape
    for values in (H_TK, B_KF):
        assert np.isfinite(values).all()
        assert values.min() >= 0
    np.testing.assert_array_equal(X_TF, before)
    other_H_TK, other_B_KF = module.fit(loud_TF, covered_TF, 16.0, params, np.random.default_rng(1))
    np.testing.assert_array_equal(other_H_TK @ other_B_KF, H_TK @ B_KF)
