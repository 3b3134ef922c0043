"""Spectra trained on recordings: the training, the model file, and the separation with it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from sounds import nmf_model, sdr_db
from stem_folders import RATE_HZ, call, side, with_model

from karaoke_sep import load_config, separate
from karaoke_sep.errors import ConfigError
from karaoke_sep.trained import model_schema, models
from karaoke_sep.training import checkpoint, dataset
from karaoke_sep.training.spectra import Settings, as_model

FORMAT = model_schema.FORMATS["nmf"]
SMALL = Settings(n_bases=4, n_epochs=3, batch_frames=40)


def trained(tracks, path, settings=SMALL, only="accompaniment", tell=lambda state: None):
    pieces = dataset.find(tracks)
    state = checkpoint.train(pieces, only, settings, path, tell)
    checkpoint.write(path, as_model(pieces, only, state, settings))
    return path.read_bytes()


@pytest.mark.parametrize("only", dataset.SIDES)
def test_one_trained_side_is_enough_and_the_other_is_learned_from_the_mixture(tracks, tmp_path, only):
    trained(tracks, tmp_path / "m.npz", only=only)
    voice, music = side("voice", 5), side("accompaniment", 15)
    result = separate((voice + music)[None], RATE_HZ, with_model(tmp_path / "m.npz"))
    assert sdr_db(voice, result.vocals.samples[0]) > sdr_db(voice, voice + music) + 2


def test_the_divergence_falls_from_epoch_to_epoch(tracks, tmp_path):
    told = []
    trained(tracks, tmp_path / "m.npz", only="voice", tell=told.append)
    divergences = told[-1].divergences
    assert len(divergences) == SMALL.n_epochs
    assert divergences == sorted(divergences, reverse=True)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tracks, tmp_path):
    one = trained(tracks, tmp_path / "a.npz")
    assert trained(tracks, tmp_path / "b.npz") == one
    assert trained(tracks, tmp_path / "c.npz", Settings(n_bases=4, n_epochs=3, batch_frames=40, seed=1)) != one


def test_training_shifts_the_pitch_of_voices_and_not_that_of_accompaniments(tracks, tmp_path):
    def spectra(only, semitones):
        settings = Settings(n_bases=4, n_epochs=3, batch_frames=40, voice_semitones=semitones)
        trained(tracks, tmp_path / "m.npz", settings, only)
        return models.read(tmp_path / "m.npz").arrays[f"{only}_KF"]

    np.testing.assert_array_equal(spectra("accompaniment", 0.0), spectra("accompaniment", 12.0))
    assert not np.allclose(spectra("voice", 0.0), spectra("voice", 12.0))


def test_an_interrupted_training_resumes_and_gives_the_same_model(tracks, tmp_path):
    whole = trained(tracks, tmp_path / "whole.npz")

    def stop(state):
        if state.n_epochs == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tracks, tmp_path / "m.npz", tell=stop)
    again = []
    assert trained(tracks, tmp_path / "m.npz", tell=lambda state: again.append(state.n_epochs)) == whole
    assert again == [2, 3]


def test_singers_are_kept_apart(tracks):
    assert [piece.singer for piece in dataset.find(tracks)] == ["anna", "bert"]
    assert [piece.singer for piece in dataset.find(tracks, test_singers=["anna"])] == ["bert"]
    with pytest.raises(ConfigError, match="anna: is named for training and for tests"):
        dataset.find(tracks, ["anna"], ["anna"])
    with pytest.raises(ConfigError, match="no singer carl; the singers are anna, bert"):
        dataset.find(tracks, ["carl"])


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux only")
def test_a_model_names_its_singers_in_text_that_can_be_read_whatever_their_folders_are_called(tmp_path):
    folder = os.fsencode(tmp_path) + b"/in/an\xff\x1ba/song"
    os.makedirs(folder)
    for stem in (b"vocals", b"accompaniment"):
        soundfile.write(folder + b"/" + stem + b".wav", side("voice", 2), RATE_HZ)
    options = ["--only", "voice", "--model", tmp_path / "m.npz", "--bases", 4, "--epochs", 1]
    assert call("train", "spectra", tmp_path / "in", *options)[0] == 0
    assert list(models.read(tmp_path / "m.npz").singers) == ["an\ufffd\ufffda"]


def test_the_command_trains_prints_and_separates(tracks, tmp_path):
    path, song = tmp_path / "m.npz", tmp_path / "song.wav"
    soundfile.write(song, side("voice", 5) + side("accompaniment", 15), RATE_HZ)
    options = ["--only", "accompaniment", "--model", path, "--bases", 4, "--epochs", 1, "--test-singers", "bert"]
    code, out, err = call("train", "spectra", tracks, *options)
    assert (code, out) == (0, f"{path}\n")
    assert "accompaniment: epoch 1, divergence " in err
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".training")] == []
    trained = path.read_bytes()
    assert call("train", "spectra", tracks, *options, "--seed", 1)[0] == 2
    assert path.read_bytes() == trained
    assert call("train", "spectra", tracks, *options, "--overwrite")[0] == 0
    _, out, _ = call("info", path)
    rows = dict(line.split(None, 1) for line in out.splitlines())
    assert {"kind": "spectra", "singers": "anna"}.items() <= rows.items()
    for folder, more in (("alone", ["--config", "trained"]), ("pitch", ["--config", "fast"])):
        assert call("separate", song, "-o", tmp_path / folder, "--model", path, *more)[0] == 0
    one, other = (soundfile.read(tmp_path / f / "song" / "vocals.wav")[0] for f in ("alone", "pitch"))
    assert np.abs(one - other).max() > 2**-15


def test_a_model_that_another_training_wrote_in_the_meantime_is_kept(tracks, tmp_path, monkeypatch):
    path, options = tmp_path / "m.npz", ["--only", "voice", "--bases", 4, "--epochs", 2, "--model", tmp_path / "m.npz"]
    train = checkpoint.train
    monkeypatch.setattr(checkpoint, "train", lambda *a: (train(*a), path.write_bytes(b"another"))[0])
    code, _, err = call("train", "spectra", tracks, *options)
    assert code == 1
    assert err.endswith(f"{path}: was made by another training; move it away, and run the same command again\n")
    assert path.read_bytes() == b"another"
    path.unlink()
    monkeypatch.undo()
    _, _, err = call("train", "spectra", tracks, *options)
    assert err.count("epoch") == 1  # the last, of which the state was kept
    assert models.read(path, "spectra")


def test_stems_of_another_model_are_made_again(tracks, tmp_path):
    path, song = nmf_model(tmp_path / "m.npz"), tracks / "anna" / "song" / "vocals.wav"
    options = ["separate", song, "-o", tmp_path / "out", "--config", "trained", "--model", path]
    assert call(*options)[0] == 0
    assert "made again" not in call(*options)[2]
    nmf_model(path, seed=1)
    assert "made again: the settings have changed" in call(*options)[2]


def foreign(path):
    np.savez(path, x=np.zeros(3))


def cut(path):
    path.write_bytes(nmf_model(path).read_bytes()[:2000])


def pickled(path):
    np.savez(path, about=np.array([{"kind": "nmf"}], dtype=object))


def earlier(path):
    with np.load(nmf_model(path)) as archive:
        entries = dict(archive)
    about = json.loads(str(entries["about"])) | {"format": FORMAT - 1}
    np.savez(path, **entries | {"about": np.array(json.dumps(about))})


def holed(path):
    model = models.read(nmf_model(path))
    model.arrays["voice_KB"][0, 0] = np.nan
    path.write_bytes(models.to_bytes(model))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (foreign, "is no model from karaoke-sep train"),
        (cut, "is damaged, or no model"),
        (pickled, "is damaged, or no model"),
        (earlier, f"it has format {FORMAT - 1}, and this version reads format {FORMAT}"),
        (holed, "its array voice_KB holds values out of range, or NaN"),
        (lambda path: path.write_text("no archive"), "is damaged, or no model"),
        (lambda path: path.mkdir(), "is not a file"),
        (lambda path: None, "cannot be read"),
        (lambda path: nmf_model(path, window_ms=64.0), "trained with windows of 64 ms, but stft.window_ms is 192"),
    ],
)
def test_a_model_that_cannot_be_used_gets_one_line_before_any_work(tmp_path, make, says):
    path, song = tmp_path / "m.npz", tmp_path / "song.wav"
    soundfile.write(song, side("voice", 0), RATE_HZ)
    make(path)
    code, out, err = call("separate", song, "-o", tmp_path / "out", "--config", "trained", "--model", path)
    assert (code, out) == (2, "")
    assert says in err.splitlines()[-1]
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_trained_bases_without_a_model_are_refused():
    with pytest.raises(ConfigError, match="no model is given"):
        separate(side("voice", 0)[None], RATE_HZ, load_config("trained"))


def test_a_model_of_16_khz_serves_songs_of_other_rates(tracks, tmp_path):
    trained(tracks, tmp_path / "m.npz")
    song = side("voice", 5) + side("accompaniment", 15)
    for rate_hz in (8000, 44100):
        stem = separate(song[None], rate_hz, with_model(tmp_path / "m.npz")).vocals.samples
        assert stem.shape == (1, len(song))
        assert 0 < np.abs(stem).max() < np.abs(song).max()


def test_evaluate_warns_of_singers_that_the_model_was_trained_on(tmp_path):
    clip = tmp_path / "mir1k" / "Wavfile" / "anna_1_01.wav"
    clip.parent.mkdir(parents=True)
    soundfile.write(clip, np.stack([side("accompaniment", 0), side("voice", 1)], axis=1), RATE_HZ)
    options = ["evaluate", "mir1k", clip.parent.parent, "--config", "trained", "--rows", tmp_path / "rows.jsonl"]
    assert "was trained on anna" in call(*options, "--model", nmf_model(tmp_path / "m.npz"))[2]
    (tmp_path / "rows.jsonl").unlink()
    assert "trained on" not in call(*options, "--model", nmf_model(tmp_path / "m.npz", singers=["bert"]))[2]


def test_a_separation_without_a_model_loads_neither_the_training_nor_scikit_learn():
    code = (
        "import sys, numpy; from karaoke_sep import separate; separate(numpy.random.rand(1, 8000) - 0.5, 16000);"
        "print([m for m in sys.modules if m.startswith(('sklearn', 'karaoke_sep.training'))])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
