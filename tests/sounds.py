"""Sounds with known properties, and measures that compare sounds and pitches."""

import numpy as np

from karaoke_sep.trained import band_gains, boosted_trees, models, unfolded_nmf
from karaoke_sep.types import Audio


def partials_of(f0_hz, seconds: float, rate_hz: int, amplitudes=(1.0,)) -> Audio:
    """Sum of the partials of a pitch, mono.

    Parameters
    ----------
    f0_hz : float or callable
        Pitch, or pitch as a function of the times in s.
    seconds : float
    rate_hz : int
    amplitudes : sequence of float
        One a partial; those at and above half the sample rate are left out.
    """
    times_s = np.arange(round(seconds * rate_hz)) / rate_hz
    pitch_hz = f0_hz(times_s) if callable(f0_hz) else np.full(len(times_s), float(f0_hz))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate_hz
    partials = (
        amplitude * np.sin(number * phase) * (number * pitch_hz < rate_hz / 2)
        for number, amplitude in enumerate(amplitudes, 1)
    )
    return Audio(sum(partials)[None], rate_hz)


def voice(f0_hz, seconds: float, rate_hz: int) -> Audio:
    """20 partials that fall by 6 dB an octave, as those of a singer do."""
    return partials_of(f0_hz, seconds, rate_hz, 0.2 / np.arange(1, 21))


def noise(seconds: float, rate_hz: int, n_channels: int = 1, seed: int = 0) -> Audio:
    """White noise, 20 dB below full scale."""
    samples = 0.1 * np.random.default_rng(seed).standard_normal((n_channels, round(seconds * rate_hz)))
    return Audio(samples, rate_hz)


def silence(seconds: float, rate_hz: int) -> Audio:
    return Audio(np.zeros((1, round(seconds * rate_hz))), rate_hz)


def sdr_db(reference, estimate) -> float:
    """Energy of the reference over that of the error, dB."""
    reference, estimate = np.asarray(reference, float), np.asarray(estimate, float)
    return energy_db(reference) - energy_db(estimate - reference)


def energy_db(samples) -> float:
    """-400 dB for silence."""
    return 10 * np.log10(np.sum(np.asarray(samples, float) ** 2) + 1e-40)


def cents(f_hz, reference_hz):
    """Interval from one pitch to another, cents."""
    return 1200 * np.log2(np.asarray(f_hz) / reference_hz)


def nmf_model(path, n_bases=6, window_ms=192.0, seed=0, singers=("anna",)):
    """Write a model with a low voice and a high accompaniment, and return its path."""
    edges_hz = unfolded_nmf.band_edges_hz(16000, round(window_ms * 16))
    n_bands = len(edges_hz) - 1
    rng, place = np.random.default_rng(seed), np.linspace(0, 8, n_bands, dtype=np.float32)
    arrays = {
        "bases_LKB": rng.random((2, n_bases, n_bands), np.float32) + np.float32(0.1),
        "penalty_LK": rng.random((2, n_bases), np.float32),
        "voice_KB": rng.random((n_bases, n_bands), np.float32) * np.exp(-place),
        "accompaniment_KB": rng.random((n_bases, n_bands), np.float32) * np.exp(place - 8),
        "edges_E": edges_hz,
    }
    return _written(path, "nmf", arrays, window_ms, seed, singers)


def spectra_model(path, n_bases=6, window_ms=192.0, seed=0, singers=("anna",)):
    """Write spectra of a high accompaniment, and return their path."""
    n_bins = round(window_ms * 8) + 1
    rng, place = np.random.default_rng(seed), np.linspace(0, 8, n_bins, dtype=np.float32)
    arrays = {
        "voice_KF": np.zeros((0, n_bins), np.float32),
        "accompaniment_KF": rng.random((n_bases, n_bins), np.float32) * np.exp(place - 8),
    }
    return _written(path, "spectra", arrays, window_ms, seed, singers)


def _written(path, kind, arrays, window_ms, seed, singers):
    about = {"rate_hz": 16000, "window_ms": window_ms, "hop_ms": 32.0, "seed": seed, "singers": list(singers)}
    path.write_bytes(models.to_bytes(models.Model(kind, about | {"versions": models.versions()}, arrays)))
    return path


def activity_model(path, seed=0):
    """Write an untrained model of the vocal activity, and return its path."""
    rng = np.random.default_rng(seed)
    shapes = {"centre_D": (91,), "projection_DE": (91, 2), "means_SKE": (3, 2, 2)}
    arrays = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    arrays |= {"weights_SK": np.full((3, 2), 0.5), "precisions_SKEE": np.tile(np.eye(2), (3, 2, 1, 1))}
    arrays |= {"transitions_SS": np.full((3, 3), 1 / 3), "start_S": np.full(3, 1 / 3)}
    arrays |= {name: 0.1 * rng.standard_normal(shape).astype(np.float32) for name, shape in band_gains.shapes().items()}
    arrays |= {f"{name}_MN": np.zeros((1, 1)) for name in boosted_trees.FIELDS}
    about = {"rate_hz": 16000, "window_ms": 40.0, "hop_ms": 20.0, "seed": seed, "singers": ["anna"]}
    path.write_bytes(models.to_bytes(models.Model("activity", about | {"versions": models.versions()}, arrays)))
    return path
