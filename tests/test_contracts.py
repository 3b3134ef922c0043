"""Every backend of pitch, accompaniment and activity obeys the contract of its folder.

They are found as the config finds them: by their files.
"""

import shutil
import subprocess
import sys
from dataclasses import fields
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from sounds import activity_model, cents, nmf_model, noise, sdr_db, silence, voice

from karaoke_sep import load_config, separate
from karaoke_sep.files import contours
from karaoke_sep.pipeline import find_pitch
from karaoke_sep.types import Audio, PitchTrack

BACKENDS = [f.name for f in fields(load_config().pitch) if f.name != "backend"]
MODELS = [f.name for f in fields(load_config().accompaniment) if f.name != "backend"]
GATES = [f.name for f in fields(load_config().activity) if f.name != "backend"]
RATES_HZ = [8000, 16000, 44100]


def melody_hz(times_s):
    """A rising pitch, because a held tone would count as accompaniment."""
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
    gate = activity_model(path.with_name("gate.npz"))

    def make(section, name, overrides=()):
        config = {
            "pitch": {"given": {"path": path}},
            "accompaniment": {"trained_nmf": {"model": model}},
            "activity": {"trained": {"model": gate}},
        }
        config[section]["backend"] = name
        return load_config(config, overrides)

    return make


def test_the_backends_and_models_are_found():
    assert {"given", "hmm", "peaks", "pyin"} <= set(BACKENDS)
    assert {"masked_nmf", "trained_nmf"} <= set(MODELS)
    assert {"song", "trained", "none"} <= set(GATES)


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
def test_a_track_is_well_formed_for_any_sound(config_with, backend, sound):
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


# --- Activity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("gate", GATES)
def test_stems_by_a_gate_add_up_at_every_rate(config_with, gate, rate_hz):
    audio = sung_in_noise(rate_hz)
    result = separate(audio, config=config_with("activity", gate))
    np.testing.assert_allclose(result.vocals.samples + result.accompaniment.samples, audio.samples, atol=1e-6)
    assert np.isfinite(result.vocals.samples).all()


@pytest.mark.parametrize("gate", GATES)
def test_silence_by_a_gate_stays_silence(config_with, gate):
    assert (separate(silence(0.3, 16000), config=config_with("activity", gate)).vocals.samples == 0).all()


# --- All three, on any length ----------------------------------------------------------------------------------------

COARSE = [  # so that long recordings take seconds
    "stft.hop_ms=64",
    "joint_model.hop_ms=64",
    "accompaniment_views.enabled=false",
    "accompaniment.masked_nmf.n_starts=1",
    "accompaniment.trained_nmf.n_iterations=3",
    "pitch.pyin.hop_ms=64",
    "pitch.pyin.step_cents=100",
    "pitch.peaks.hop_ms=64",
    "pitch.hmm.hop_ms=64",
    "whitening.hop_ms=64",
    "parts.part_s=60",
]
METHODS = [("pitch", name) for name in BACKENDS] + [("accompaniment", name) for name in MODELS]
METHODS += [("activity", name) for name in GATES]


@pytest.mark.parametrize("seconds", [5.0, 200.0])
@pytest.mark.parametrize(("section", "name"), METHODS)
def test_a_method_separates_short_and_long_recordings(demo, config_with, section, name, seconds):
    mixture = demo(8000, 200.0).mixture.excerpt(0, round(8000 * seconds))
    result = separate(mixture, config=config_with(section, name, COARSE))
    np.testing.assert_allclose(result.vocals.samples + result.accompaniment.samples, mixture.samples, atol=1e-6)
    assert np.isfinite(result.vocals.samples).all()
    assert np.abs(result.vocals.samples[:, : 5 * 8000]).max() > 0.01
    assert (np.diff(result.track.times_s) > 0).all()


MINIMAL = {
    "pitch": """
from dataclasses import dataclass
import numpy as np
from ..types import PitchTrack

@dataclass(frozen=True)
class Params:
    f0_hz: float = 220.0

def track(melody, params):
    times_s = np.arange(0, melody.duration_s, 0.013)
    return PitchTrack(times_s, np.full(len(times_s), params.f0_hz), np.ones(len(times_s)))
""",
    "accompaniment": """
from dataclasses import dataclass
import numpy as np

@dataclass(frozen=True)
class Params:
    n_starts: int = 1

def fit(X_TF, covered_TF, bin_hz, params, rng):
    return np.ones((len(X_TF), 1), np.float32), np.where(covered_TF, 0, X_TF).mean(axis=0, keepdims=True)
""",
    "activity": """
from dataclasses import dataclass

@dataclass(frozen=True)
class Params:
    gain: float = 0.5

class Half:
    context_s = 0.0

    def __init__(self, gain):
        self.gain = gain

    def apply(self, mixture, voice, start):
        return voice.samples * self.gain

def gate(inputs, section, span_s):
    return Half(section.minimal.gain)
""",
}
SEPARATE_BOTH = """
import numpy as np
from karaoke_sep import demo_song, load_config, separate
config = load_config("fast", {overrides})
song = demo_song.make(8000, 200.0).mixture
for seconds in (5, 200):
    mixture = song.excerpt(0, 8000 * seconds)
    result = separate(mixture, config=config)
    assert np.allclose(result.vocals.samples + result.accompaniment.samples, mixture.samples, atol=1e-6)
    assert np.abs(result.vocals.samples).max() > 0.01
"""


def test_a_new_method_needs_its_file_and_its_lines_in_the_default_config_and_nothing_else(tmp_path):
    """Also in the choices of the command line and in the list of settings, and on short and long recordings."""
    root = Path(__file__).parent.parent
    shutil.copytree(root / "karaoke_sep", tmp_path / "karaoke_sep", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "configs", tmp_path / "configs")
    default = tmp_path / "configs" / "default.yaml"
    for section, text in MINIMAL.items():
        (tmp_path / "karaoke_sep" / section / "minimal.py").write_text(text)
        default.write_text(default.read_text().replace(f"\n{section}:", f"\n{section}:\n  minimal: {{}}\n#", 1))

    def python(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    overrides = [*(f"{section}.backend=minimal" for section in MINIMAL), *COARSE]
    python("-c", SEPARATE_BOTH.format(overrides=overrides))
    shown = python("-m", "karaoke_sep", "config", "show")
    assert all(f"{section}.minimal." in shown for section in MINIMAL)
    assert "minimal" in python("-m", "karaoke_sep", "separate", "--help")
