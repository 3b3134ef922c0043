"""Models of kind "activity": frame classes, training on labels, and the gate."""

import os
import signal
from functools import lru_cache

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from sounds import activity_model, noise, voice

from karaoke_sep import load_config, separate
from karaoke_sep.cli.main import main
from karaoke_sep.datasets import mir1k
from karaoke_sep.errors import ConfigError, InputError
from karaoke_sep.evaluation import activity
from karaoke_sep.evaluation.run import labelled_frames
from karaoke_sep.trained import band_gains, frame_classes
from karaoke_sep.trained.models import read, to_bytes
from karaoke_sep.training import activity as training
from karaoke_sep.training import band_gains as gate_training
from karaoke_sep.training import dataset, descent, kept_state

RATE_HZ = 16000


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two clips of two singers with labels: 1 s of nobody, 1 s of noise that is sung, 2 s of a sung pitch."""
    folder = tmp_path_factory.mktemp("mir1k")
    for name in ("Wavfile", "PitchLabel", "vocal-nonvocalLabel"):
        (folder / name).mkdir()
    for seed, singer in enumerate(("anna", "bert")):
        hiss = 2 * noise(1, RATE_HZ, seed=9 + seed).samples[0]
        sung = voice(lambda t: 220 * 2 ** (0.3 * t + 0.02 * np.sin(35 * t)), 2, RATE_HZ).samples[0]
        vocals = np.concatenate([np.zeros(RATE_HZ), hiss, sung])
        soft = 0.05 * noise(4, RATE_HZ, seed=seed).samples[0] + 0.02 * np.sin(np.arange(4 * RATE_HZ) * 0.05)
        soundfile.write(folder / "Wavfile" / f"{singer}_1_01.wav", np.stack([soft, 0.5 * vocals], axis=1), RATE_HZ)
        times_s = 0.02 * np.arange(1, 199)
        np.savetxt(folder / "PitchLabel" / f"{singer}_1_01.pv", np.where(times_s >= 2, 57.0, 0))
        np.savetxt(folder / "vocal-nonvocalLabel" / f"{singer}_1_01.vocal", times_s >= 1, fmt="%d")
    return folder


@pytest.fixture(scope="module")
def trained(clips):
    """Trained for some seconds."""
    pieces = dataset.find(clips, train_singers=["anna"])
    prepared = [training.prepare(pieces, i, 2, 0) for i in range(len(pieces))]

    @lru_cache
    def train(n_steps=40, seed=0, n_jobs=1):
        return training.train(pieces, prepared, training.Settings(2, (2,) * len(pieces), n_steps, seed), n_jobs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate_training, "N_PER_GROUP", 2)
        yield train


def test_a_trained_model_classifies_the_frames_of_another_singer(clips, trained):
    [clip] = mir1k.find_clips(clips, singers=("bert",))
    X_TD, true, gains, sung = labelled_frames(clip, trained().arrays)
    p_TS, path = frame_classes.decode(X_TD, trained().arrays)
    found = activity.figures(true, path, sung, gains)
    assert np.mean(path == true) == found["A/U/V"] > 0.85
    assert found["AUC"] > 0.95
    np.testing.assert_allclose(p_TS.sum(axis=1), 1)


def test_the_trained_gate_leaves_less_error_than_the_untrained_gate(clips, trained):
    """A clip of another singer; the trained gate also keeps more of the unvoiced singing."""
    [piece] = dataset.find(clips, train_singers=["bert"])
    _, example = training.prepare_sources(*training.sources_of(piece), training.classes_of(piece))
    voice_TB, residual_TB, _ = band_gains.predict(trained().arrays, example.inputs)
    untrained_TB = np.broadcast_to(example.inputs.gate_T[:, None], voice_TB.shape)
    trained_error, untrained_error = (
        gate_training.error(*gains, example.power_6TB.astype(np.float32)).sum()
        for gains in ((voice_TB, residual_TB), (untrained_TB, 0))
    )
    assert trained_error < untrained_error
    hiss = slice(55, 95)
    assert voice_TB[hiss][:, band_gains.uses_residual()].mean() > untrained_TB[hiss].mean()


def test_a_training_example_holds_the_labels(clips):
    [piece] = dataset.find(clips, train_singers=["anna"])
    X_TD, example = training.prepare_sources(*training.sources_of(piece), training.classes_of(piece))
    assert example.n_frames == len(X_TD) == 201
    assert example.sung_T[0] == -1  # the first label is centred at 20 ms
    np.testing.assert_array_equal(example.sung_T[1:199], 0.02 * np.arange(1, 199) >= 1)


def test_the_median_pitch_is_that_of_the_labels(clips):
    [piece] = dataset.find(clips, train_singers=["anna"])
    assert training.median_pitch_hz(piece) == pytest.approx(440 * 2 ** ((57 - 69) / 12))
    assert np.isnan(training.median_pitch_hz(dataset.Piece("no labels", "", (), piece.read)))


def test_remixes_are_used_to_train_the_gains_but_not_the_classes(clips, trained):
    pieces = dataset.find(clips, train_singers=["anna"])
    without = training.train(pieces, [training.prepare(pieces, 0, 0, 0)], training.Settings(2, (0,), 2))
    with_remixes = trained()
    assert (without.about["n_examples"], with_remixes.about["n_examples"]) == (1, 3)
    np.testing.assert_array_equal(without.arrays["means_SKE"], with_remixes.arrays["means_SKE"])
    assert not np.array_equal(without.arrays["gains_kernel"], with_remixes.arrays["gains_kernel"])


@pytest.mark.parametrize(
    ("n_clips", "n_remixes"),
    [({"anna": 43}, [11]), ({"anna": 1000}, [1]), ({"anna": 43, "ben": 132}, [5, 1]), ({"": 4}, [129])],
)
def test_few_clips_get_many_remixes_so_that_each_singer_has_as_many_examples(n_clips, n_remixes):
    pieces = [dataset.Piece("a", singer, (), lambda: (None, None)) for singer, n in n_clips.items() for _ in range(n)]
    expected = [n for n, singer in zip(n_remixes, n_clips, strict=True) for _ in range(n_clips[singer])]
    assert list(training.remixes_of_each(pieces)) == expected


def test_the_motion_features_tell_a_moving_pitch_from_a_held_one():
    times_s = 0.02 * np.arange(100)
    held = frame_classes.motion(np.full(100, 220.0), np.ones(100))
    moving = frame_classes.motion(220 * 2 ** (np.sin(35 * times_s) / 24), np.ones(100))
    assert held.shape == moving.shape == (100, 5)
    np.testing.assert_allclose(held, 0, atol=1e-3)
    assert moving[20:80, 2].min() > 10
    assert np.isfinite(frame_classes.motion(np.full(3, np.nan), np.zeros(3))).all()
    gap = np.where(np.arange(100) < 50, np.nan, 220.0)
    np.testing.assert_allclose(frame_classes.motion(gap, np.ones(100)), 0, atol=1e-3)


def test_the_same_seed_gives_the_same_bytes(trained):
    assert to_bytes(trained(4)) == to_bytes(trained(4, n_jobs=2))
    assert to_bytes(trained(4)) != to_bytes(trained(4, seed=1))


def test_the_area_under_the_curve_is_the_share_of_ordered_pairs_and_nan_without_pairs():
    score, positive = np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, True, False, True])
    assert activity.area_under_curve(positive, score) == 3.5 / 4
    assert np.isnan(activity.area_under_curve(np.ones(4, bool), score))


def test_the_commands_train_score_and_separate(clips, tmp_path):
    def call(*arguments):
        result = CliRunner().invoke(main, list(map(str, arguments)))
        assert result.exit_code == 0, result.output
        return result

    path = tmp_path / "activity.npz"
    short = ("--gaussians", 2, "--steps", 3, "--remixes", 2, "-q")
    for model, n_jobs in ((path, 1), (tmp_path / "same.npz", 2)):
        call("train", "activity", clips, "--train-singers", "anna", "--model", model, "--jobs", n_jobs, *short)
    assert path.read_bytes() == (tmp_path / "same.npz").read_bytes()
    scored = call("evaluate", "activity", clips, "--model", path)
    assert "was trained on anna" in scored.stderr
    assert [line.split()[1] for line in scored.stdout.splitlines()[2:]] == ["anna", "bert"]
    assert "activity" in call("info", path).stdout
    song = clips / "Wavfile" / "bert_1_01.wav"
    call("separate", song, "--layout", "mir1k", "-o", tmp_path / "trained", "--model", path)
    call("separate", song, "--layout", "mir1k", "-o", tmp_path / "own")
    one, own = (soundfile.read(tmp_path / f / "bert_1_01" / "vocals.wav")[0] for f in ("trained", "own"))
    assert np.abs(one - own).max() > 2**-15


@pytest.mark.parametrize(
    ("fault", "exit_code", "line"),
    [
        (lambda *_: os._exit(1), 2, "a process of the training died"),
        (
            lambda *_: signal.raise_signal(signal.SIGINT),
            130,
            "Interrupted after step 0 of 8000. Run the same command again to resume.",
        ),
    ],
)
def test_an_interrupted_training_gives_one_line(clips, tmp_path, monkeypatch, fault, exit_code, line):
    """A worker that is killed, and Ctrl-C."""
    monkeypatch.setattr(training, "prepare", fault)
    n_jobs = 2 if exit_code == 2 else 1
    path = tmp_path / "activity.npz"
    result = CliRunner().invoke(
        main, ["train", "activity", str(clips), "--model", str(path), "-q", "--jobs", str(n_jobs)]
    )
    assert result.exit_code == exit_code, result.output
    assert line in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not path.exists()


def test_an_interrupted_training_resumes_and_gives_the_same_bytes(clips, tmp_path, monkeypatch):
    def call(path, exit_code=0):
        command = ["train", "activity", clips, "--gaussians", 2, "--steps", 5, "--remixes", 1, "--model", path]
        result = CliRunner().invoke(main, list(map(str, command)))
        assert result.exit_code == exit_code, result.output
        return result.stderr

    call(tmp_path / "whole.npz")
    path = tmp_path / "interrupted.npz"
    own = descent.learning_rate
    with monkeypatch.context() as patch:
        patch.setattr(descent, "learning_rate", lambda p: own(p) if p < 0.8 else signal.raise_signal(signal.SIGINT))
        assert "Interrupted after step 3 of 5. Run the same command again to resume." in call(path, 130)
    assert not path.exists()
    assert "resuming after step 3" in call(path)
    assert path.read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["interrupted.npz", "whole.npz"]


@pytest.mark.parametrize("what", ["a damaged file", "another training"])
def test_a_state_that_is_not_of_this_training_is_ignored(tmp_path, what):
    state = descent.State(3, {"w": np.ones(2)}, {"w": np.zeros(2)}, {"steps": np.array(3)})
    keeper = kept_state.Keeper(tmp_path / "model.npz", "mark")
    assert (keeper.keep(), keeper.read()) == (0, None)
    keeper.on_step(lambda: state)
    assert keeper.keep() == 3
    assert keeper.read().weights["w"].tolist() == [1, 1]
    if what == "a damaged file":
        (tmp_path / ".model.npz.training").write_bytes(b"no archive")
    else:
        keeper = kept_state.Keeper(tmp_path / "model.npz", "another mark")
    assert keeper.read() is None
    keeper.forget()
    assert list(tmp_path.iterdir()) == []


def test_the_message_names_missing_labels(clips, tmp_path):
    [clip] = mir1k.find_clips(clips, singers=("anna",))
    with pytest.raises(InputError, match=r"PitchLabel/anna_1_01\.pv"):
        mir1k.read_classes(mir1k.Clip(clip.path, None))


def test_a_missing_model_and_a_model_of_the_wrong_kind_are_errors(tmp_path):
    sound = np.random.default_rng(0).uniform(-0.1, 0.1, (1, 8000))
    with pytest.raises(ConfigError, match="no model is given"):
        separate(sound, RATE_HZ, load_config(None, ["activity.backend=trained"]))
    path = activity_model(tmp_path / "activity.npz")
    with pytest.raises(ConfigError, match="is a model of kind activity, and a model of kind nmf or spectra is needed"):
        separate(sound, RATE_HZ, load_config("trained", [f"accompaniment.trained_nmf.model={path}"]))


def test_a_model_with_a_layer_of_another_size_is_rejected(tmp_path):
    path = activity_model(tmp_path / "activity.npz")
    model = read(path)
    model.arrays["few_kernel"] = np.zeros((1, 1, 2, 4))
    path.write_bytes(to_bytes(model))
    with pytest.raises(ConfigError, match="its array few_kernel has the shape 1 x 1 x 2 x 4; 1 x 1 x 24 x 8 is needed"):
        read(path)


@pytest.mark.parametrize("rate_hz", [8000, 44100])
def test_stems_by_a_model_add_up_at_any_rate(tmp_path, rate_hz):
    path = activity_model(tmp_path / "activity.npz")
    sound = voice(220, 1.5, rate_hz).samples + 0.1 * noise(1.5, rate_hz, n_channels=2).samples
    settings = ["activity.backend=trained", f"activity.trained.model={path}"]
    found = separate(sound, rate_hz, load_config(None, settings))
    assert found.vocals.samples.shape == sound.shape
    assert np.isfinite(found.vocals.samples).all()
    np.testing.assert_allclose(found.vocals.samples + found.accompaniment.samples, sound, atol=1e-6)
    own = separate(sound, rate_hz)
    assert np.abs(found.vocals.samples - own.vocals.samples).max() > 1e-3
