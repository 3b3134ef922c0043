"""Stems of two singers to train on, and what tests of training do with them."""

import numpy as np
import soundfile
from click.testing import CliRunner

from karaoke_sep import load_config
from karaoke_sep.cli.main import main

RATE_HZ = 16000


def side(name, seed, seconds=1.5):
    """Noise that comes and goes, below 1 kHz for the voice and above for the accompaniment."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    low = np.fft.rfftfreq(n, 1 / RATE_HZ) < 1000
    noise = np.fft.irfft(np.where(low == (name == "voice"), spectrum, 0), n)
    return 0.1 * noise / noise.std() * (1 + 0.8 * np.sin(2 * np.pi * rng.uniform(1, 4) * np.arange(n) / n))


def write_tracks(tmp_path):
    """Write stems of two singers, and return their folder."""
    for seed, singer in enumerate(("anna", "bert")):
        folder = tmp_path / "stems" / singer / "song"
        folder.mkdir(parents=True)
        soundfile.write(folder / "vocals.wav", side("voice", seed), RATE_HZ)
        soundfile.write(folder / "accompaniment.wav", side("accompaniment", 10 + seed), RATE_HZ)
    return tmp_path / "stems"


def call(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def with_model(path, *more):
    return load_config("trained", [f"accompaniment.trained_nmf.model={path}", *more])
