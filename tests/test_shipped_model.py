"""The model that comes with the package, and the config that uses it."""

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from sounds import activity_model, noise, voice

from karaoke_sep import load_config, separate
from karaoke_sep.cli.main import main
from karaoke_sep.errors import ConfigError
from karaoke_sep.trained import models

RATE_HZ = 16000


def call(*arguments) -> str:
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_info_lists_the_shipped_models_and_describes_each():
    assert models.shipped_names() == ["mir1k-dev"]
    [line] = [line for line in call("info").splitlines() if line.startswith("models")]
    assert line.split()[1:] == ["mir1k-dev"]
    told = call("info", "mir1k-dev")
    assert "abjones, amy" in told
    assert "175" in told


def test_best_uses_the_shipped_model_and_separates_otherwise_than_the_default():
    config = load_config("best")
    assert (config.activity.backend, config.activity.trained.model) == ("trained", "mir1k-dev")
    sound = voice(220, 2, RATE_HZ).samples + 0.3 * noise(2, RATE_HZ).samples
    best, own = (separate(sound, RATE_HZ, load_config(name)).vocals.samples for name in ("best", "default"))
    assert np.abs(best - own).max() > 1e-3
    named = load_config(None, models.as_settings(["mir1k-dev"]))
    np.testing.assert_array_equal(separate(sound, RATE_HZ, named).vocals.samples, best)


def test_a_file_of_the_same_name_is_another_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="no such file"):
        models.read("./mir1k-dev")
    activity_model(tmp_path / "mir1k-dev")
    assert models.read("./mir1k-dev").singers == ("anna",)
    assert models.read("mir1k-dev").singers == ("abjones", "amy")


def test_the_command_separates_with_a_model_by_its_name(tmp_path):
    soundfile.write(tmp_path / "song.wav", voice(220, 1, RATE_HZ).samples[0], RATE_HZ)
    for name, options in (("a", ["--config", "best"]), ("b", ["--model", "mir1k-dev"])):
        call("separate", tmp_path / "song.wav", "-o", tmp_path / name, *options)
    one, other = ((tmp_path / name / "song" / "vocals.wav").read_bytes() for name in "ab")
    assert one == other
