"""A small MIR-1K made of the demo song, folders of stems, and the command that scores them."""

import json

import numpy as np
import soundfile
from click.testing import CliRunner

from karaoke_sep import demo_song
from karaoke_sep.cli.evaluate import evaluate
from karaoke_sep.files import contours

RATE_HZ = 16000
NAMES = ("abjones_1_01", "amy_1_01", "zoe_1_01", "zoe_1_02")


def write_dataset(root):
    """Four clips with labels, as MIR-1K is distributed."""
    (root / "Wavfile").mkdir()
    (root / "PitchLabel").mkdir()
    for seed, name in enumerate(NAMES):
        song = demo_song.make(RATE_HZ, 2.5 + 0.5 * seed, seed)
        write_clip(root / "Wavfile" / f"{name}.wav", song.accompaniment, song.vocals)
        contours.write(root / "PitchLabel" / f"{name}.pv", song.track)
    return root


def mono(audio):
    return audio.samples.mean(axis=0)


def write_clip(path, left, right):
    soundfile.write(path, np.stack([mono(left), mono(right)], axis=1), RATE_HZ, "FLOAT")


def write_track(folder, suffix=".wav", rate_hz=RATE_HZ, **sounds):
    folder.mkdir(parents=True, exist_ok=True)
    for name, samples in sounds.items():
        soundfile.write(folder / f"{name}{suffix}", np.asarray(samples).T, rate_hz, "PCM_24")


def run(*arguments, cwd, expect=0):
    """Run the command as a user would; its output, or that of the error it raises."""
    rows = [] if "--rows" in arguments else ["--rows", str(cwd / "rows.jsonl")]
    result = CliRunner().invoke(evaluate, [*map(str, arguments), *rows], catch_exceptions=False)
    assert result.exit_code == expect, result.output
    return result.stdout


def figures_of(path):
    """Rows of a JSON file without what may differ between two runs: the cost."""
    return [{k: v for k, v in row.items() if k != "cpu_s"} for row in json.loads(path.read_text())["rows"]]
