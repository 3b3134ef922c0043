"""Run the commands in this process, and a short song for them."""

import sys

import click
import numpy as np
import soundfile
from click.testing import CliRunner

from karaoke_sep.cli.main import main

COMMAND = [sys.executable, "-m", "karaoke_sep"]
FAST = ["--config", "fast"]


def all_commands(command=main, path=()):
    """Each command and group below a command, with the words of its name."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from all_commands(command.get_command(context, name), (*path, name))


def make_song(folder):
    """0.5 s of a voice-like tone in noise, stereo, 16 bits."""
    path = folder / "in" / "song.wav"
    path.parent.mkdir()
    times_s = np.arange(4000) / 8000
    voice = sum(np.sin(2 * np.pi * 220 * k * times_s) / k for k in range(1, 10))
    noise = np.random.default_rng(0).standard_normal((2, 4000))
    soundfile.write(path, (0.2 * voice + 0.05 * noise).T, 8000, "PCM_16")
    return path


def call(*arguments):
    """Exit code, lines on stdout and lines on stderr."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout.splitlines(), result.stderr.splitlines()


def names_in(folder):
    return {path.name for path in folder.iterdir()}
