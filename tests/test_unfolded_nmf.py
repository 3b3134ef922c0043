"""Bases trained to separate: their gradient, their training, their file, and what a separation makes of them."""

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from sounds import nmf_model, sdr_db
from stem_folders import RATE_HZ, call, side, with_model

from karaoke_sep import separate
from karaoke_sep.cli.main import main
from karaoke_sep.trained import models, unfolded_nmf
from karaoke_sep.training import dataset
from karaoke_sep.training import unfolded_nmf as training

SMALL = training.Settings(n_bases=4, n_iterations=2, n_steps=40, n_remixes=1)


def trained(tracks, path, settings=SMALL, n_jobs=1):
    pieces = dataset.find(tracks)
    prepared = list(training.prepare_all(pieces, settings, n_jobs))
    path.write_bytes(models.to_bytes(training.train(pieces, prepared, settings, n_jobs)))
    return path.read_bytes()


@pytest.fixture(scope="module")
def problem():
    """Logarithms of weights, and frames to fit."""
    rng = np.random.default_rng(0)
    shapes = {"bases_LKB": (3, 5, 9), "penalty_LK": (3, 5), "voice_KB": (5, 9), "accompaniment_KB": (5, 9)}
    logs = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    power_TB = (rng.random((7, 9)) + 0.1) ** 2
    return logs, np.sqrt(power_TB), power_TB, power_TB * rng.uniform(-0.2, 1, (7, 9))


@pytest.mark.parametrize("name", ["bases_LKB", "penalty_LK", "voice_KB", "accompaniment_KB"])
def test_the_gradient_is_that_of_finite_differences(problem, name):
    logs, *frames = problem
    _, gradients = training.loss_and_gradients(logs, *frames)
    rng, step = np.random.default_rng(1), 1e-5
    for _ in range(6):
        place = tuple(rng.integers(n) for n in logs[name].shape)
        losses = []
        for sign in (1, -1):
            moved = {key: value.copy() for key, value in logs.items()}
            moved[name][place] += sign * step
            losses.append(training.loss_and_gradients(moved, *frames)[0])
        assert gradients[name][place] == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=1e-4, abs=1e-9)


def test_the_loss_is_the_error_of_the_voice_without_its_energy(problem):
    rng = np.random.default_rng(2)
    logs = problem[0]
    X, V = (rng.normal(size=(7, 9)) + 1j * rng.normal(size=(7, 9)) for _ in range(2))
    weights = {name: np.exp(log) for name, log in logs.items()}
    V_TB, A_TB, _, _ = unfolded_nmf.forward(weights, np.abs(X))
    gain_TB = V_TB / (V_TB + A_TB + unfolded_nmf.EPS)
    error = np.sum(np.abs(gain_TB * X - V) ** 2) - np.sum(np.abs(V) ** 2)
    loss, _ = training.loss_and_gradients(logs, np.abs(X), np.abs(X) ** 2, (X.conj() * V).real)
    assert loss == pytest.approx(error / 7)


def test_the_updates_are_those_of_kl_nmf_and_bring_the_fit_nearer(problem):
    logs, X_TB, *_ = problem
    B_KB = np.exp(logs["bases_LKB"][0])
    weights = {name: np.exp(log) for name, log in logs.items()}
    weights |= {"bases_LKB": np.stack([B_KB] * 8), "penalty_LK": np.zeros((8, 5))}
    layers = unfolded_nmf.forward(weights, X_TB)[3]
    divergences = [np.sum(X_TB * np.log(X_TB / layer.L_TB) - X_TB + layer.L_TB) for layer in layers]
    assert divergences == sorted(divergences, reverse=True)
    assert divergences[-1] < 0.8 * divergences[0]


def test_the_power_in_bands_adds_up_whatever_the_distance_of_the_bins():
    rng = np.random.default_rng(0)
    edges_hz = unfolded_nmf.band_edges_hz(16000, 3072)
    assert (edges_hz[0], edges_hz[-1]) == pytest.approx((-2.6, 8002.6), abs=0.01)
    for bin_hz, n_bins in ((16000 / 3072, 1537), (5.0, 1700), (7.0, 1143)):
        power_TF = rng.random((3, n_bins))
        power_TB = unfolded_nmf.band_power(power_TF, bin_hz, edges_hz)
        assert power_TB.sum(axis=1) == pytest.approx(power_TF.sum(axis=1), rel=0.07)
    single = unfolded_nmf.band_power(np.eye(1537)[:5], 16000 / 3072, edges_hz)
    np.testing.assert_allclose(single[:, :5], np.eye(5), atol=1e-5)


def test_the_level_of_a_recording_plays_no_role(tmp_path):
    model = models.read(nmf_model(tmp_path / "m.npz"))
    X_TF = np.random.default_rng(0).random((20, 1537), np.float32) + np.float32(0.1)
    loud, soft = (unfolded_nmf.voice_and_accompaniment(g * X_TF, 16000 / 3072, model)[0] / g for g in (100, 0.01))
    np.testing.assert_allclose(loud, soft, rtol=1e-3)


def test_trained_bases_separate_sounds_that_they_have_not_heard(tracks, tmp_path):
    trained(tracks, tmp_path / "m.npz")
    voice, music = side("voice", 5), side("accompaniment", 15)
    result = separate((voice + music)[None], RATE_HZ, with_model(tmp_path / "m.npz"))
    assert sdr_db(voice, result.vocals.samples[0]) > sdr_db(voice, voice + music) + 10
    assert not np.isfinite(result.track.f0_hz).any()


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_processes_and_another_does_not(
    tracks,
    tmp_path,
):
    few = training.Settings(n_bases=4, n_iterations=2, n_steps=3)
    one = trained(tracks, tmp_path / "a.npz", few)
    assert trained(tracks, tmp_path / "b.npz", few, n_jobs=2) == one
    assert trained(tracks, tmp_path / "c.npz", training.Settings(n_bases=4, n_iterations=2, n_steps=3, seed=1)) != one


def test_a_stopped_training_goes_on_to_the_same_model(tracks, tmp_path):
    pieces = dataset.find(tracks)
    few = training.Settings(n_bases=4, n_iterations=2, n_steps=6)
    prepared = list(training.prepare_all(pieces, few, 1))
    states = []
    whole = training.train(pieces, prepared, few, on_step=lambda state_of: states.append(state_of()))
    again = training.train(pieces, prepared, few, state=states[2])
    assert models.to_bytes(again) == models.to_bytes(whole)


def test_the_command_trains_prints_and_separates(tracks, tmp_path):
    path, song = tmp_path / "m.npz", tmp_path / "song.wav"
    soundfile.write(song, side("voice", 5) + side("accompaniment", 15), RATE_HZ)
    options = ["--bases", 4, "--iterations", 2, "--steps", 2, "--remixes", 0, "--jobs", 1, "--test-singers", "bert"]
    code, out, err = call("train", "nmf", tracks, *options, "--model", path)
    assert (code, out) == (0, f"{path}\n"), err
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".training")] == []
    _, out, _ = call("info", path)
    rows = dict(line.split(None, 1) for line in out.splitlines())
    assert {"kind": "nmf", "singers": "anna", "n_steps": "2"}.items() <= rows.items()
    assert rows["bases"].startswith("2 x 8 x ")
    for folder, more in (("alone", ["--config", "trained"]), ("pitch", ["--config", "fast"])):
        assert call("separate", song, "-o", tmp_path / folder, "--model", path, *more)[0] == 0
    one, other = (soundfile.read(tmp_path / f / "song" / "vocals.wav")[0] for f in ("alone", "pitch"))
    assert np.abs(one - other).max() > 2**-15


def test_silent_recordings_are_refused_in_one_line(tmp_path):
    folder = tmp_path / "stems" / "anna" / "song"
    folder.mkdir(parents=True)
    for name in ("vocals", "accompaniment"):
        soundfile.write(folder / f"{name}.wav", np.zeros(RATE_HZ), RATE_HZ)
    command = [
        "train",
        "nmf",
        str(tmp_path / "stems"),
        "--model",
        str(tmp_path / "m.npz"),
        "--steps",
        "1",
        "--jobs",
        "1",
    ]
    result = CliRunner().invoke(main, command)
    assert result.exit_code != 0
    assert "no recording has both a voice and an accompaniment" in result.stderr.splitlines()[-1]
