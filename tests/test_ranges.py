"""Every setting can be put to each end of its range, and gives finite stems there."""

from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from karaoke_sep import load_config, separate
from karaoke_sep.config import Config

RATE_HZ = 16000


def ranges(section, prefix=""):
    """Dotted key and range of every setting that is a number."""
    for f in fields(section):
        value = getattr(section, f.name)
        if is_dataclass(value):
            yield from ranges(value, f"{prefix}{f.name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + f.name, f.metadata.get("range")


RANGES = dict(ranges(Config()))
ENDS = [(key, end) for key, ends in RANGES.items() if ends for end in ends]

# Settings that only agree with an end if others move as well.
COMPANIONS = {
    ("stft.window_ms", 10): ["stft.hop_ms=5"],
    ("stft.window_ms", 1000): ["stft.hop_ms=64"],
    ("stft.hop_ms", 1): ["stft.window_ms=32"],
    ("stft.hop_ms", 500): ["stft.window_ms=1000"],
    ("pitch_refinement.range_cents", 1): ["pitch_refinement.step_cents=1"],
    ("pitch_refinement.step_cents", 600): [
        "pitch_refinement.range_cents=600",
        "pitch_refinement.max_jump_cents=1200",
    ],
    ("pitch_refinement.max_jump_cents", 1): ["pitch_refinement.step_cents=1"],
    ("harmonic_mask.min_hz", 20_000): ["harmonic_mask.top_hz=96000"],
    ("pitch.hmm.step_cents", 100): ["pitch.hmm.max_jump_cents=100"],
    ("pitch.hmm.max_jump_cents", 1): ["pitch.hmm.step_cents=1"],
    ("pitch.pyin.min_hz", 40): ["pitch.pyin.window_ms=50"],
    ("pitch.pyin.min_hz", 4000): ["pitch.pyin.min_hz=2000", "pitch.pyin.max_hz=4000"],
    ("pitch.pyin.max_hz", 40): ["pitch.pyin.min_hz=40", "pitch.pyin.max_hz=80", "pitch.pyin.window_ms=50"],
    ("pitch.pyin.window_ms", 20): ["pitch.pyin.min_hz=100"],
    ("pitch.pyin.hop_ms", 100): ["pitch.pyin.window_ms=100"],
    **{
        (f"pitch.{backend}.{name}", end): [f"pitch.{backend}.{setting}" for setting in settings]
        for backend in ("hmm", "peaks")
        for (name, end), settings in {
            ("min_hz", 4000): ["min_hz=3900", "max_hz=4000", "top_hz=20000"],
            ("max_hz", 20): ["min_hz=20", "max_hz=21"],
            ("top_hz", 50): ["min_hz=20"],
            ("window_ms", 20): [],
            ("hop_ms", 1000): ["window_ms=1000"],
        }.items()
    },
}


@pytest.fixture(scope="module")
def song(demo):
    """0.8 s of the demo song, mono, where somebody sings."""
    return demo(RATE_HZ, 3.0).mixture.samples.mean(axis=0)[RATE_HZ * 3 // 2 : RATE_HZ * 23 // 10]


def test_every_number_has_a_range_that_holds_its_default():
    assert [key for key, ends in RANGES.items() if ends is None] == []
    for key, (low, high) in RANGES.items():
        value = Config()
        for name in key.split("."):
            value = getattr(value, name)
        assert low <= value <= high, key


@pytest.mark.parametrize(("key", "end"), ENDS)
def test_a_setting_at_the_end_of_its_range_gives_finite_stems(song, key, end):
    kind, name = key.split(".")[:2]
    chosen = [f"pitch.backend={name}"] if kind == "pitch" else []
    config = load_config(overrides=[*chosen, f"{key}={end}", *COMPANIONS.get((key, end), [])])
    stems = separate(song, RATE_HZ, config)
    for stem in (stems.vocals, stems.accompaniment):
        assert np.isfinite(stem.samples).all()
        assert np.abs(stem.samples).max() < 4  # full scale
