"""Every setting changes the stems, and rejects invalid values.

A setting that is added needs a line in ALTERNATIVES; the first test says so.
"""

import typing
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
from sounds import activity_model, sdr_db, spectra_model

from karaoke_sep import load_config, separate
from karaoke_sep.config import Config
from karaoke_sep.errors import ConfigError
from karaoke_sep.files import contours
from karaoke_sep.types import PitchTrack

# Another value of each setting, or each other value if there are few: as far from the default as makes sense, so that
# it shows in 3 s.
SALIENCE = {
    "min_hz": "330",
    "max_hz": "300",
    "step_cents": "50",
    "window_ms": "40",
    "hop_ms": "40",
    "n_partials": "2",
    "decay": "0.3",
    "top_hz": "700",
}
ALTERNATIVES = {
    "stft": {"window_ms": "64", "hop_ms": "48"},
    "melody_enhancement": {
        "enabled": "false",
        "long_window_ms": "64",
        "long_median_ms": "200",
        "long_median_hz": "400",
        "short_window_ms": "128",
        "short_median_ms": "600",
        "short_median_hz": "60",
    },
    "pitch": {"backend": ["peaks", "pyin", "given"]},
    "pitch.given": {"path": "other.csv"},
    "pitch.hmm": SALIENCE | {"max_jump_cents": "10", "jump_cost": "1"},
    "pitch.peaks": SALIENCE
    | {
        "n_peaks": "1",
        "min_peak": "0.95",
        "midpoint": "0.2",
        "max_step_cents": "10",
        "max_gap_ms": "0",
        "min_contour_ms": "400",
    },
    "pitch.pyin": {"min_hz": "330", "max_hz": "300", "window_ms": "128", "hop_ms": "40", "step_cents": "50"},
    "whitening": {"enabled": "false", "reach_ms": "100", "floor": "1", "hop_ms": "64"},
    "pitch_refinement": {
        "enabled": "false",
        "mixture_share": "1",
        "range_cents": "10",
        "step_cents": "40",
        "window_ms": "250",
        "n_partials": "1",
        "top_hz": "400",
        "max_jump_cents": "5",
        "jump_cost": "1",
    },
    "harmonic_mask": {
        "kind": "binary",
        "width_hz": "20",
        "glide": "0",
        "lobe_hz": "30",
        "lobe_glide": "0",
        "min_hz": "400",
        "top_hz": "1000",
        "n_partials": "3",
    },
    "accompaniment": {"backend": ["trained_nmf"]},
    "accompaniment.trained_nmf": {
        "model": "other.npz",
        "alone": "true",
        "n_iterations": "1",
        "n_learned": "1",
        "n_starts": "2",
        "refinement": "1",
    },
    "accompaniment.masked_nmf": {"n_components": "2", "n_iterations": "1", "n_starts": "1"},
    "joint_model": {
        "enabled": "false",
        "hop_ms": "16",
        "n_iterations": "0",
        "n_voice_iterations": "0",
        "smoothing_ms": "0",
    },
    "accompaniment_views": {
        "enabled": "false",
        "nearby_ms": "2000",
        "similar_top_hz": "300",
        "similar_sharpness": "1",
        "similar_far_weight": "0",
    },
    "wiener": {"rule": "subtract", "exponent": "1", "voice_db": "6"},
    "consonants": {"enabled": "false", "min_hz": "5000", "share": "0"},
    "dense_mixture": {
        "enabled": "false",
        "midpoint_db": "-60",
        "range_db": "60",
        "smoothing_ms": "0",
        "min_hz": "1500",
        "top_hz": "500",
        "share_between": "0",
        "share_within": "0",
        "bass_hz": "400",
        "bass_gain": "1",
    },
    "activity": {"backend": ["trained", "none"]},
    "activity.trained": {"model": "other_activity.npz"},
    "activity.song": {
        "level_weight": "0",
        "level_midpoint_db": "-3",
        "timbre_weight": "0",
        "evidence_weight": "1",
        "evidence_midpoint": "10",
        "smoothing_ms": "0",
        "section_weight": "50",
        "section_leniency": "3",
        "section_s": "1",
        "floor_db": "-5",
    },
    "singing_presence": {
        "enabled": "false",
        "window_ms": "300",
        "midpoint": "0",
        "credit_s": "1000",
        "passage_midpoint": "10",
        "passage_weight": "0.1",
        "passage_s": "1",
    },
}

# Values that are not negative and still make no sense.
NONSENSE = [
    ("stft.window_ms", ["9", "1001"]),
    ("stft.hop_ms", ["0.9", "97"]),
    ("melody_enhancement.long_window_ms", ["0"]),
    ("melody_enhancement.short_median_hz", ["0"]),
    *(
        (f"pitch.{backend}.{name}", values)
        for backend in ("hmm", "peaks", "pyin")
        for name, values in {
            "min_hz": ["19", "900"],
            "window_ms": ["19", "1001"],
            "hop_ms": ["0.9", "1001"],
            "step_cents": ["0.9", "101"],
        }.items()
    ),
    *((f"pitch.{backend}.decay", ["0", "1.1"]) for backend in ("hmm", "peaks")),
    *((f"pitch.{backend}.n_partials", ["0"]) for backend in ("hmm", "peaks")),
    ("pitch.hmm.max_hz", ["4001"]),
    ("pitch.hmm.max_jump_cents", ["9", "2401"]),
    ("pitch.peaks.n_peaks", ["0"]),
    ("pitch.peaks.min_peak", ["1.1"]),
    ("pitch.peaks.midpoint", ["1.1"]),
    ("pitch.peaks.max_step_cents", ["0"]),
    ("whitening.reach_ms", ["49", "2001"]),
    ("whitening.floor", ["0", "1.1"]),
    ("whitening.hop_ms", ["3", "97"]),
    ("pitch_refinement.step_cents", ["0", "601"]),
    ("pitch_refinement.n_partials", ["0"]),
    ("pitch_refinement.window_ms", ["9", "1001"]),
    ("pitch_refinement.max_jump_cents", ["4"]),
    ("harmonic_mask.width_hz", ["0"]),
    ("harmonic_mask.lobe_hz", ["0"]),
    ("harmonic_mask.top_hz", ["80"]),
    ("harmonic_mask.n_partials", ["0"]),
    *((f"accompaniment.masked_nmf.{name}", ["0"]) for name in ("n_components", "n_iterations", "n_starts")),
    *((f"accompaniment.trained_nmf.{name}", ["0"]) for name in ("n_iterations", "n_learned", "n_starts")),
    ("accompaniment_views.nearby_ms", ["0"]),
    ("accompaniment_views.similar_top_hz", ["0"]),
    ("accompaniment_views.similar_sharpness", ["0"]),
    ("wiener.exponent", ["0", "10.1"]),
    ("wiener.voice_db", ["-41", "41"]),
    ("activity.song.floor_db", ["1"]),
    ("singing_presence.window_ms", ["19", "501"]),
    ("parts.part_s", ["15"]),
]


def leaves(section, prefix=""):
    """Dotted key and type of every setting of the config."""
    kinds = typing.get_type_hints(section)
    for f in fields(section):
        if is_dataclass(kinds[f.name]):
            yield from leaves(kinds[f.name], f"{prefix}{f.name}.")
        else:
            yield prefix + f.name, kinds[f.name]


KINDS = dict(leaves(Config))
CHANGES = [
    (f"{section}.{name}", value)
    for section, settings in ALTERNATIVES.items()
    for name, values in settings.items()
    for value in ([values] if isinstance(values, str) else values)
]


@pytest.fixture(scope="module")
def stems(demo, tmp_path_factory):
    """Vocals of an excerpt of the demo song with some settings, each computed once."""
    folder = tmp_path_factory.mktemp("contours")
    times_s, f0_hz = 0.01 * np.arange(301), np.full(301, 330.0)
    contours.write(folder / "contour.csv", PitchTrack(times_s, f0_hz, np.ones(301)))
    contours.write(folder / "other.csv", PitchTrack(times_s, 1.03 * f0_hz, np.ones(301)))
    spectra_model(folder / "model.npz")
    activity_model(folder / "activity.npz")
    activity_model(folder / "other_activity.npz", seed=1)
    spectra_model(folder / "other.npz", seed=1)
    song = demo(16000, 3.0).mixture.samples.mean(axis=0)
    known = {}

    def separated(settings, start_s, end_s):
        if (settings, start_s) not in known:
            named = (
                "pitch.given.path=contour.csv",
                "accompaniment.trained_nmf.model=model.npz",
                "activity.trained.model=activity.npz",
            )
            paths = [
                s.replace("path=", f"path={folder}/").replace("model=", f"model={folder}/") for s in (*named, *settings)
            ]
            excerpt = song[round(start_s * 16000) : round(end_s * 16000)]
            known[settings, start_s] = separate(excerpt, 16000, load_config(overrides=paths)).vocals.samples
        return known[settings, start_s]

    return separated


def test_every_setting_has_an_alternative_and_every_choice_is_one():
    # How a long recording is cut changes the memory it takes, and no byte of its stems (test_parts).
    heard = [key.rpartition(".") for key in KINDS if not key.startswith("parts.")]
    missing = {(section, name) for section, _, name in heard if name not in ALTERNATIVES.get(section, {})}
    assert missing == set()
    assert {key for key, _ in CHANGES} <= set(KINDS)
    for key, kind in KINDS.items():
        choices = set(typing.get_args(kind)) - {getattr_path(load_config(), key)}
        assert choices <= {value for changed, value in CHANGES if changed == key}


def getattr_path(config, key):
    for name in key.split("."):
        config = getattr(config, name)
    return config


@pytest.mark.parametrize(("key", "value"), CHANGES, ids=lambda text: text)
def test_a_setting_changes_the_stems(stems, key, value):
    backend = key.split(".")[1] if key.startswith("pitch.") and key != "pitch.backend" else "hmm"
    base = (f"pitch.backend={backend}",)
    if key == "activity.song.section_leniency":  # a section is longer than this song, unless frames vote strongly
        base += ("activity.song.section_weight=20",)
    if key == "dense_mixture.bass_gain":  # this voice has no partial below 150 Hz
        base += ("dense_mixture.bass_hz=400",)
    if key.startswith("singing_presence."):  # somebody sings in this song, so that passages must decide or none be open
        base += ("singing_presence.midpoint=100",)
    if key in ("singing_presence.enabled", "singing_presence.midpoint", "singing_presence.credit_s"):
        base += ("singing_presence.passage_midpoint=100",)
    if key == "activity.trained.model":
        base += ("activity.backend=trained",)
    if key.startswith("accompaniment.trained_nmf"):
        base += ("accompaniment.backend=trained_nmf",)
    when_s = (1.3, 2.3) if "pyin" in (backend, value) else (1.2, 3.0)  # pyin is slow
    one, other = stems(base, *when_s), stems((*base, f"{key}={value}"), *when_s)
    assert sdr_db(one, other) < 60, "less than -60 dB of the vocals changed"


@pytest.mark.parametrize("key", [k for k, kind in KINDS.items() if kind in (int, float) and not k.endswith("_db")])
def test_a_negative_value_of_a_setting_that_has_none_is_refused_by_name(key):
    section, _, name = key.rpartition(".")
    with pytest.raises(ConfigError, match=rf"^--set: {section}\.(?=.*\b{name}\b).*; it must "):
        load_config(overrides=[f"{key}=-1"])


@pytest.mark.parametrize(("key", "values"), NONSENSE)
def test_a_value_out_of_range_is_refused_by_name(key, values):
    for value in values:
        with pytest.raises(ConfigError, match=rf"^--set: {key} is {value}; it must "):
            load_config(overrides=[f"{key}={value}"])
