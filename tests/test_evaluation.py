"""The evaluation of a dataset, from its figures to tables and files."""

import csv
import json
import os
import shutil
import sys
from dataclasses import replace

import numpy as np
import plain_scores
import pytest
import soundfile
from click.testing import CliRunner
from evaluations import NAMES, RATE_HZ, figures_of, mono, run, write_dataset
from sounds import nmf_model

from karaoke_sep import demo_song
from karaoke_sep.cli.evaluate import evaluate
from karaoke_sep.config import load_config
from karaoke_sep.datasets import mir1k
from karaoke_sep.errors import ConfigError
from karaoke_sep.evaluation import oracles, report, scoring
from karaoke_sep.evaluation.bss_eval import usdr_db
from karaoke_sep.pipeline import separate


@pytest.fixture(scope="module")
def song():
    return demo_song.make(RATE_HZ, 4.0)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("MIR-1K"))


def test_figures_of_the_separated_demo_song_agree_with_plain_ones_to_a_hundredth_db(song):
    result = separate(song.mixture)
    got = scoring.figures(scoring.prepare(song.vocals, song.accompaniment), result.vocals, result.accompaniment)
    sources = np.stack([mono(song.vocals), mono(song.accompaniment)]).astype(float)
    estimates = np.stack([mono(result.vocals), mono(result.accompaniment)]).astype(float)
    for version in ("v2", "v3"):
        names = [f"{version}_{stem}_{figure}_db" for stem in scoring.STEMS for figure in ("nsdr", "sir", "sar")]
        expected = plain_scores.nsdr_sir_sar(version, sources, estimates)
        np.testing.assert_allclose([got[name] for name in names], expected.ravel(), atol=0.01)
    expected = plain_scores.usdr_db(song.vocals.samples, result.vocals.samples)
    assert got["vocals_usdr_db"] == pytest.approx(expected, abs=0.01)


def test_ideal_masks_bound_the_method_and_a_part_of_the_truth_does_not_harm(dataset):
    track = mir1k.load(mir1k.find_clips(dataset)[3])
    config = load_config()
    estimate = separate(track.mixture, config=config)
    ceilings = {**oracles.FROM_SOURCES, **oracles.FROM_ESTIMATE, **oracles.FROM_LABELS}
    db = {name: usdr_db(track.vocals.samples, f(track, config, estimate.track).samples) for name, f in ceilings.items()}
    method = usdr_db(track.vocals.samples, estimate.vocals.samples)
    assert db["ideal Wiener mask"] > db["ideal Wiener mask in the comb"] > method
    assert db["ideal Wiener mask"] > db["ideal binary mask"] > method
    assert db["ideal Wiener mask"] > db["ideal ratio mask"] > method
    assert min(db[name] for name in oracles.FROM_LABELS) > method - 1.0  # dB: the labels miss consonants


def test_the_ideal_mask_in_the_comb_uses_the_pitch_it_is_given(dataset):
    track = mir1k.load(mir1k.find_clips(dataset)[0])
    wrong = replace(track.pitch, f0_hz=track.pitch.f0_hz * 2**0.5)
    right_db, wrong_db = (
        usdr_db(track.vocals.samples, oracles.ideal_wiener_in_comb(track, load_config(), pitch).samples)
        for pitch in (track.pitch, wrong)
    )
    assert right_db > wrong_db + 3  # dB


def row(clip, seconds, value, **more):
    figures = {"seconds": seconds, "cpu_s": 0.1 * seconds, "v3_vocals_nsdr_db": value}
    return {"clip": clip, "singer": clip[0], "method": "m", "problem": "", **figures, **more}


def test_means_are_weighted_by_length_and_singers_count_alike():
    rows = [row("a1", 10, 1.0), row("a2", 30, 2.0), row("b1", 10, 6.0)]
    found = report.summarise(rows)["m"]
    assert found["mean"]["v3_vocals_nsdr_db"] == pytest.approx((10 + 60 + 60) / 50)
    assert found["singers_mean"]["v3_vocals_nsdr_db"] == pytest.approx((1.75 + 6) / 2)
    assert found["median"]["v3_vocals_nsdr_db"] == 2.0
    assert found["cpu_s_per_s"] == pytest.approx(0.1)


def test_clips_without_a_figure_are_left_out_and_counted():
    rows = [row("a1", 10, 1.0), row("a2", 30, None), {"clip": "a3", "method": "m", "problem": "unreadable"}]
    found = report.summarise(rows)["m"]
    assert found["mean"]["v3_vocals_nsdr_db"] == 1.0
    assert found["without"] == {"v3_vocals_nsdr_db": 1}
    assert (found["clips"], found["failed"], found["seconds"]) == (3, 1, 40)


@pytest.fixture(scope="module")
def evaluated(dataset, tmp_path_factory):
    """Folder with everything that one run over all clips writes, and what it prints."""
    folder = tmp_path_factory.mktemp("evaluated")
    printed = run(
        "mir1k", dataset, "--config", "fast", "--json", folder / "all.json", "--csv", folder / "all.csv", cwd=folder
    )
    return folder, printed


def test_the_table_names_both_versions_and_gives_the_means(evaluated):
    folder, printed = evaluated
    found = json.loads((folder / "all.json").read_text())["methods"]["karaoke-sep"]
    assert "v2: BSS Eval 2.1" in printed
    assert "v3: BSS Eval 3" in printed
    for version in ("v2", "v3"):
        [line] = [line for line in printed.splitlines() if line.startswith(f"| vocals {version}")]
        assert line.split("|")[3].strip() == f"{found['mean'][f'{version}_vocals_nsdr_db']:.2f}"
    assert f"{found['mean']['raw_pitch_accuracy']:.3f}" in printed


def test_csv_has_a_row_a_clip_with_the_figures_of_the_json(evaluated):
    folder, _ = evaluated
    with (folder / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["clip"] for row in rows] == list(NAMES)
    assert [row["singer"] for row in rows] == ["abjones", "amy", "zoe", "zoe"]
    for row, whole in zip(rows, json.loads((folder / "all.json").read_text())["rows"], strict=True):
        assert float(row["v3_vocals_nsdr_db"]) == whole["v3_vocals_nsdr_db"]


def test_json_holds_what_is_needed_to_repeat_the_figures(evaluated):
    whole = json.loads((evaluated[0] / "all.json").read_text())
    assert {"evaluation", "version", "data", "config", "settings", "snr_db", "split", "every", "software"} <= set(whole)
    assert {"numpy", "scipy", "librosa"} <= set(whole["software"])


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux only")
def test_clips_may_have_names_that_are_not_utf8(dataset, tmp_path):
    (tmp_path / "in").mkdir()
    clip = os.fsencode(tmp_path / "in") + b"/\xff_1_01.wav"
    shutil.copy(dataset / "Wavfile" / f"{NAMES[0]}.wav", clip)
    run("mir1k", tmp_path / "in", "--config", "fast", "--csv", tmp_path / "x.csv", cwd=tmp_path)
    assert (tmp_path / "x.csv").read_bytes().splitlines()[1].startswith(b"\xff_1_01,")


def test_the_figures_do_not_depend_on_the_number_of_processes(dataset, evaluated, tmp_path):
    run("mir1k", dataset, "--config", "fast", "--jobs", "2", "--json", tmp_path / "two.json", cwd=tmp_path)
    assert figures_of(tmp_path / "two.json") == figures_of(evaluated[0] / "all.json")


def test_a_run_resumes_from_the_rows_that_can_be_read_and_ends_with_the_same_figures(dataset, evaluated, tmp_path):
    folder, _ = evaluated
    rows = tmp_path / "rows.jsonl"
    header, first, second, third, *_ = (folder / "rows.jsonl").read_text().splitlines(keepends=True)
    first, third = (line.replace('"problem": ""', '"problem": "kept"') for line in (first, third))
    rows.write_text(header + first + second[:100] + "\n" + third + second[:100])
    arguments = ("mir1k", dataset, "--config", "fast", "--json", tmp_path / "all.json")
    run(*arguments, cwd=tmp_path)
    resumed = figures_of(tmp_path / "all.json")
    assert [row["problem"] for row in resumed] == ["kept", "", "kept", ""]
    assert [{**row, "problem": ""} for row in resumed] == figures_of(folder / "all.json")


def test_rows_of_a_finished_run_are_kept_unless_they_are_to_be_overwritten(dataset, evaluated, tmp_path):
    lines = (evaluated[0] / "rows.jsonl").read_text().splitlines(keepends=True)
    marked = [line.replace('"problem": ""', '"problem": "kept"') for line in lines]
    (tmp_path / "rows.jsonl").write_text("".join(marked))
    before = (tmp_path / "rows.jsonl").read_bytes()
    arguments = ("mir1k", dataset, "--config", "fast", "--rows", tmp_path / "rows.jsonl")
    run(*arguments, cwd=tmp_path)
    assert (tmp_path / "rows.jsonl").read_bytes() == before
    run(*arguments, "--overwrite", cwd=tmp_path)
    assert (tmp_path / "rows.jsonl").read_bytes() != before


def test_each_kind_of_evaluation_has_rows_of_its_own():
    defaults = [
        option.default for command in evaluate.commands.values() for option in command.params if option.name == "rows"
    ]
    assert len(set(defaults)) == len(defaults) == 2


def test_rows_of_another_run_and_other_files_are_left_alone(dataset, evaluated, tmp_path):
    folder, _ = evaluated
    before = (folder / "rows.jsonl").read_bytes()
    with pytest.raises(ConfigError, match=r"rows of another run \(snr_db 0\.0, not 5\.0\)"):
        run("mir1k", dataset, "--config", "fast", "--snr", "5", cwd=folder)
    assert (folder / "rows.jsonl").read_bytes() == before
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="holds no rows of this evaluation"):
        run("mir1k", dataset, "--rows", tmp_path / "thesis.txt", cwd=tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_unusable_clip_is_reported_and_the_others_are_scored(dataset, tmp_path):
    clip = dataset / "Wavfile" / f"{NAMES[0]}.wav"
    (tmp_path / "amy_1_01.wav").write_bytes(clip.read_bytes())
    (tmp_path / "amy_1_02.wav").write_bytes(b"no sound at all")
    silent, _ = soundfile.read(clip)
    silent[:, 1] = 0
    soundfile.write(tmp_path / "amy_1_03.wav", silent, RATE_HZ)
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / "all.json"
    run("mir1k", tmp_path, "--config", "fast", "--json", out, cwd=tmp_path / "out", expect=1)
    good, broken, instrumental = json.loads(out.read_text())["rows"]
    assert good["problem"] == ""
    assert "amy_1_02.wav" in broken["problem"]
    assert instrumental["problem"].startswith("true vocals silent")
    assert instrumental["v3_vocals_nsdr_db"] is None
    assert instrumental["accompaniment_usdr_db"] > 0


@pytest.mark.parametrize("option", [("--snr", "5"), ("--pitch", "peaks"), ("--set", "wiener.exponent=1")])
def test_options_change_the_figures(dataset, evaluated, tmp_path, option):
    run("mir1k", dataset, "--config", "fast", "--limit", "1", *option, "--json", tmp_path / "x.json", cwd=tmp_path)
    [row] = figures_of(tmp_path / "x.json")
    assert row["v2_vocals_sdr_db"] != figures_of(evaluated[0] / "all.json")[0]["v2_vocals_sdr_db"]


def test_ceilings_and_baselines_score_alike_beside_the_method_and_alone(dataset, tmp_path):
    whole, others = tmp_path / "whole", tmp_path / "others"
    for folder, arguments in ((whole, ("--config", "fast")), (others, ("--only-others",))):
        folder.mkdir()
        arguments += ("--limit", "1", "--ceilings", "--compare", "--json", folder / "x.json")
        printed = run("mir1k", dataset, *arguments, cwd=folder)
        methods = json.loads((folder / "x.json").read_text())["methods"]
        assert methods["half the mixture"]["mean"]["v3_vocals_nsdr_db"] == pytest.approx(0, abs=1e-6)
        assert all(f"| {name} " in printed for name in methods)
    beside = {row["method"]: row for row in figures_of(whole / "x.json")}
    alone = {row["method"]: row for row in figures_of(others / "x.json")}
    assert beside.keys() - alone.keys() == {"karaoke-sep", *oracles.FROM_ESTIMATE, *oracles.FROM_LABELS}
    assert len(alone) == 3 + 7
    assert alone == {name: beside[name] for name in alone}
    assert json.loads((others / "x.json").read_text())["config"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "has no effect alone"),
        (("--compare", "--config", "fast"), "no setting has an effect"),
        (("--compare", "--pitch", "peaks"), "no setting has an effect"),
    ],
)
def test_only_others_needs_another_option_and_takes_no_setting(dataset, tmp_path, arguments, message):
    with pytest.raises(ConfigError, match=message):
        run("mir1k", dataset, "--only-others", *arguments, cwd=tmp_path)


def test_a_page_puts_runs_side_by_side_by_the_names_of_their_files(dataset, evaluated, tmp_path):
    whole = json.loads((evaluated[0] / "all.json").read_text())
    for name, snr_db in (("quick", 0.0), ("other", 0.0), ("loud", 5.0)):
        (tmp_path / f"{name}.json").write_text(json.dumps({**whole, "snr_db": snr_db}))
    names = [tmp_path / f"{name}.json" for name in ("quick", "other", "loud")]
    printed = CliRunner().invoke(evaluate, ["page", *map(str, names)], catch_exceptions=False).stdout
    at_0_db, at_5_db = printed.split("## ")[1:]
    assert at_0_db.startswith("Voice at +0 dB: 4 clips")
    assert at_5_db.startswith("Voice at +5 dB: 4 clips")
    value = f"{whole['methods']['karaoke-sep']['mean']['v3_vocals_nsdr_db']:.2f}"
    assert [line.split("|")[3].strip() for line in at_0_db.splitlines() if line.startswith(("| quick", "| other"))][
        :2
    ] == [
        value,
        value,
    ]
    assert "| loud" in at_5_db
    assert "| loud" not in at_0_db


def write_result(path, whole, **changes):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**whole, **changes}))
    return path


def page_of(*paths):
    return CliRunner().invoke(evaluate, ["page", *map(str, paths)], catch_exceptions=False).stdout


def test_a_page_puts_runs_on_other_clips_in_a_section_of_their_own(evaluated, tmp_path):
    whole = json.loads((evaluated[0] / "all.json").read_text())
    paths = [write_result(tmp_path / f"{data}.json", whole, data=data) for data in ("one", "two")]
    paths.append(write_result(tmp_path / "three.json", whole, data="one"))
    one, two = page_of(*paths).split("## ")[1:]
    assert "(data one)" in one
    assert {"| one ", "| three "} <= {line[: line.index(" ", 2) + 1] for line in one.splitlines() if line[:1] == "|"}
    assert "| one " not in two
    assert "| two " in two


def test_runs_of_one_file_name_are_told_apart_by_their_paths(evaluated, tmp_path):
    whole = json.loads((evaluated[0] / "all.json").read_text())
    paths = [write_result(tmp_path / folder / "x.json", whole) for folder in ("a", "b")]
    assert all(f"| {path} " in page_of(*paths) for path in paths)


def test_runs_with_other_models_on_the_same_clips_have_the_same_data(dataset, tmp_path):
    data = []
    for seed in (0, 1):
        model = nmf_model(tmp_path / f"{seed}.npz", seed=seed, singers=())
        more = ("--limit", "1", "--config", "fast", "--model", model, "--rows", tmp_path / f"{seed}.jsonl")
        run("mir1k", dataset, *more, "--json", tmp_path / f"{seed}.json", cwd=tmp_path)
        whole = json.loads((tmp_path / f"{seed}.json").read_text())
        data.append((whole["data"], whole["models"]))
    assert data[0][0] == data[1][0]
    assert data[0][1] != data[1][1]


def test_a_page_of_something_else_is_an_error(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"x\.json: is not a result of karaoke-sep evaluate"):
        CliRunner().invoke(evaluate, ["page", str(tmp_path / "x.json")], catch_exceptions=False)


def test_a_result_that_does_not_exist_is_said_not_to_exist(tmp_path):
    with pytest.raises(ConfigError, match=r"x\.json: cannot be read \(no such file or directory\)"):
        CliRunner().invoke(evaluate, ["page", str(tmp_path / "x.json")], catch_exceptions=False)
