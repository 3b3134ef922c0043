"""Songs to separate in batches, and functions that run a batch and look at its files."""

import json

import numpy as np
import soundfile

from karaoke_sep import batch
from karaoke_sep.config import load_config

CONFIG = load_config("fast")


def make_song(path, seconds=0.3, seed=0, rate_hz=8000):
    """A tone in noise, as a 16-bit WAV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    n_samples = round(seconds * rate_hz)
    noise = np.random.default_rng(seed).standard_normal(n_samples)
    samples = 0.3 * np.sin(2 * np.pi * 220 * np.arange(n_samples) / rate_hz) + 0.05 * noise
    soundfile.write(path, samples, rate_hz, "PCM_16", format="WAV")
    return path


def do(inputs, order, config=CONFIG, overwrite=False, **how):
    return list(batch.run(batch.plan(inputs, order, config, overwrite=overwrite), order, config, **how))


def statuses(outcomes):
    return {outcome.source.name: outcome.status for outcome in outcomes}


def files_below(folder):
    """Content of each file except those of the package's own: records contain modification times."""
    paths = (path for path in folder.rglob("*") if path.is_file() and ".karaoke-sep" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def hidden_below(folder):
    """Files of the package's own below a folder: records, locks and parts, but not the stored voices."""
    hidden = (path for path in folder.rglob(".karaoke-sep/**/*") if path.is_file())
    return sorted(path for path in hidden if path not in stored_below(folder))


def stored_below(folder):
    """Voices and pitches below a folder that are stored for further products."""
    return [path for suffix in ("flac", "npz") for path in folder.rglob(f".karaoke-sep/voices/*/*.{suffix}")]


def record_of(folder):
    """The only record below a folder: its path and its content."""
    [path] = folder.rglob(".karaoke-sep/*.json")
    return path, json.loads(path.read_text())
