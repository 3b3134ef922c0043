"""The evaluation from a dataset on disk to tables and files, on a small MIR-1K made of the demo song."""

import csv
import json
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import plain_scores
import pytest
import soundfile
from click.testing import CliRunner
from sounds import nmf_model

from karaoke_sep import demo_song
from karaoke_sep.cli.evaluate import evaluate
from karaoke_sep.config import load_config
from karaoke_sep.datasets import mir1k, stems
from karaoke_sep.errors import ConfigError, InputError
from karaoke_sep.evaluation import oracles, report, scoring
from karaoke_sep.evaluation.bss_eval import usdr_db
from karaoke_sep.files import contours
from karaoke_sep.pipeline import separate
from karaoke_sep.types import Audio

RATE_HZ = 16000
NAMES = ("abjones_1_01", "amy_1_01", "zoe_1_01", "zoe_1_02")


@pytest.fixture(scope="module")
def song():
    return demo_song.make(RATE_HZ, 4.0)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Four clips with labels, as MIR-1K is distributed."""
    root = tmp_path_factory.mktemp("MIR-1K")
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


# ------------------------------------------------------------------------------------------------------ the dataset


def test_the_published_split_is_two_singers_and_the_others(dataset):
    names = {split: [clip.name for clip in mir1k.find_clips(dataset, split)] for split in ("dev", "test", "all")}
    assert names == {"dev": list(NAMES[:2]), "test": list(NAMES[2:]), "all": list(NAMES)}


def test_clips_are_chosen_by_singer_then_by_every_k_th_then_by_number(dataset):
    assert [c.name for c in mir1k.find_clips(dataset, singers=("zoe", "amy"))] == list(NAMES[1:])
    assert [c.name for c in mir1k.find_clips(dataset, singers=("zoe", "amy"), every=2)] == [NAMES[1], NAMES[3]]
    assert [c.name for c in mir1k.find_clips(dataset, singers=("zoe", "amy"), every=2, limit=2)] == [NAMES[1], NAMES[3]]


def test_a_folder_of_clips_without_labels_is_accepted(dataset, tmp_path):
    (tmp_path / f"{NAMES[0]}.wav").write_bytes((dataset / "Wavfile" / f"{NAMES[0]}.wav").read_bytes())
    [clip] = mir1k.find_clips(tmp_path)
    assert clip.pitch_path is None
    assert mir1k.load(clip).pitch is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"singers": ("bob",)}, r"none of its 4 clips is of .*bob; the singers here are abjones, amy, zoe"),
        ({"split": "dev", "singers": ("zoe",)}, "split 'dev'"),
    ],
)
def test_no_clip_left_is_an_error_that_names_what_there_is(dataset, arguments, message):
    with pytest.raises(ConfigError, match=message):
        mir1k.find_clips(dataset, **arguments)


def test_a_folder_without_clips_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"no \.wav files"):
        mir1k.find_clips(tmp_path)
    with pytest.raises(ConfigError, match="no such folder"):
        mir1k.find_clips(tmp_path / "gone")


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 5.0])
def test_the_mixture_is_the_sum_of_sources_at_the_energy_ratio_asked_for(dataset, snr_db):
    track = mir1k.load(mir1k.find_clips(dataset)[0], snr_db)
    voice, music, mixture = (mono(x).astype(float) for x in (track.vocals, track.accompaniment, track.mixture))
    assert 10 * np.log10(np.sum(voice**2) / np.sum(music**2)) == pytest.approx(snr_db, abs=1e-3)
    np.testing.assert_allclose(mixture, voice + music, atol=1e-6)
    assert np.abs(mixture).max() == pytest.approx(0.9, abs=1e-6)


def test_the_left_channel_is_the_accompaniment(dataset):
    clip = mir1k.find_clips(dataset)[0]
    left = soundfile.read(clip.path)[0][:, 0]
    assert np.corrcoef(left, mono(mir1k.load(clip).accompaniment))[0, 1] == pytest.approx(1, abs=1e-6)


def test_a_clip_with_one_channel_is_refused(tmp_path):
    soundfile.write(tmp_path / "amy_1_01.wav", np.zeros(1000), RATE_HZ)
    with pytest.raises(InputError, match=r"amy_1_01\.wav: 1 channel\(s\), but a MIR-1K clip has 2"):
        mir1k.load(mir1k.find_clips(tmp_path)[0])


# ------------------------------------------------------------------------------------------------------- the figures


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


# ------------------------------------------------------------------------------------------- karaoke-sep evaluate mir1k


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


def test_the_figures_do_not_depend_on_the_number_of_processes(dataset, evaluated, tmp_path):
    run("mir1k", dataset, "--config", "fast", "--jobs", "2", "--json", tmp_path / "two.json", cwd=tmp_path)
    assert figures_of(tmp_path / "two.json") == figures_of(evaluated[0] / "all.json")


def test_an_interrupted_run_resumes_and_ends_with_the_same_figures(dataset, evaluated, tmp_path):
    folder, _ = evaluated
    rows = tmp_path / "rows.jsonl"
    header, first, second, *_ = (folder / "rows.jsonl").read_text().splitlines(keepends=True)
    first = first.replace('"problem": ""', '"problem": "kept"')
    rows.write_text(header + first + second[:100])
    arguments = ("mir1k", dataset, "--config", "fast", "--json", tmp_path / "all.json")
    run(*arguments, cwd=tmp_path)
    resumed = figures_of(tmp_path / "all.json")
    assert [row["problem"] for row in resumed] == ["kept", "", "", ""]
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
        run("mir1k", dataset, *more, "--json", tmp_path / "x.json", cwd=tmp_path)
        whole = json.loads((tmp_path / "x.json").read_text())
        data.append((whole["data"], whole["models"]))
    assert data[0][0] == data[1][0]
    assert data[0][1] != data[1][1]


def test_a_page_of_something_else_is_an_error(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"x\.json: is not a result of karaoke-sep evaluate"):
        CliRunner().invoke(evaluate, ["page", str(tmp_path / "x.json")], catch_exceptions=False)


# ------------------------------------------------------------------------------------------- karaoke-sep evaluate stems


@pytest.fixture
def references(song, tmp_path):
    write_track(
        tmp_path / "true" / "train" / "song", vocals=song.vocals.samples, accompaniment=song.accompaniment.samples
    )
    return tmp_path / "true"


def test_tracks_are_found_through_links_to_folders_each_once(references):
    (references / "linked").symlink_to(references / "train")
    (references / "train" / "again").symlink_to(references)  # a circle
    assert len(stems.find_tracks(references)) == 1
    links = references.parent / "links"
    links.mkdir()
    (links / "a").symlink_to(references / "train" / "song")
    assert list(stems.find_tracks(links)) == ["a"]


def test_stems_of_any_tool_are_scored_whatever_their_format_and_naming(song, references, tmp_path):
    voice, music = song.vocals.samples, song.accompaniment.samples
    write_track(tmp_path / "made" / "song", ".flac", vocals=voice + 0.1 * music, instrumental=0.9 * music)
    run("stems", tmp_path / "made", references, "--json", tmp_path / "x.json", cwd=tmp_path)
    [row] = figures_of(tmp_path / "x.json")
    reference = scoring.prepare(song.vocals, song.accompaniment)
    expected = scoring.figures(reference, Audio(voice + 0.1 * music, RATE_HZ), Audio(0.9 * music, RATE_HZ))
    assert row["clip"] == "train/song"
    for name in (
        "v2_vocals_nsdr_db",
        "v3_vocals_sir_db",
        "v3_vocals_sdr_db",
        "vocals_usdr_db",
        "accompaniment_usdr_db",
    ):
        assert row[name] == pytest.approx(expected[name], abs=0.01)


def test_parts_as_musdb_has_them_make_the_accompaniment(song, references, tmp_path):
    third = song.accompaniment.samples / 3
    write_track(tmp_path / "made" / "song", vocals=song.vocals.samples, bass=third, drums=third, other=third)
    run("stems", tmp_path / "made", references, "--json", tmp_path / "x.json", cwd=tmp_path)
    assert figures_of(tmp_path / "x.json")[0]["accompaniment_usdr_db"] > 80


def test_every_stem_that_does_not_fit_is_named_before_any_work(song, references, tmp_path):
    voice, music = song.vocals.samples, song.accompaniment.samples
    made, true = tmp_path / "made", tmp_path / "true"
    for name in ("short", "slow", "one", "gone"):
        write_track(true / name, vocals=voice, accompaniment=music)
    write_track(made / "song", vocals=voice, accompaniment=music)
    write_track(made / "short", vocals=voice[:, :-9], accompaniment=music)
    write_track(made / "slow", vocals=voice, accompaniment=music, rate_hz=8000)
    write_track(made / "one", vocals=voice[0], accompaniment=music)
    with pytest.raises(ConfigError) as caught:
        stems.find_pairs(made, true)
    lines = sorted(str(caught.value).splitlines())
    assert len(lines) == 5
    assert f"{made}: no stems for gone" in lines[-1] or f"{made}: no stems for gone" in lines[0]
    text = str(caught.value)
    assert f"short/vocals.wav: {voice.shape[1] - 9} samples, but the true vocals have {voice.shape[1]}" in text
    assert "slow/vocals.wav: 8000 Hz, but" in text
    assert "slow/accompaniment.wav: 8000 Hz, but" in text
    assert "one/vocals.wav: 1 channel(s), but the true vocals have 2" in text


@pytest.mark.parametrize(
    ("vocals", "accompaniment"),
    [
        ("song_(Vocals)", "song_(Instrumental)"),
        ("song_(Vocals)_UVR-MDX", "song_(Instrumental)_UVR-MDX"),
        ("song.vocals", "song.accompaniment"),
        ("song_vocals", "song_no_vocals"),
        ("song - Vocals", "song - Instrumental"),
    ],
)
def test_flat_names_of_stems_are_read(song, references, tmp_path, vocals, accompaniment):
    write_track(tmp_path / "flat", **{vocals: song.vocals.samples, accompaniment: song.accompaniment.samples})
    [pair] = stems.find_pairs(tmp_path / "flat", references)
    assert list(stems.find_tracks(tmp_path / "flat")) == ["song"]
    assert [path.stem for path in (*pair.estimate.vocals, *pair.estimate.accompaniment)] == [vocals, accompaniment]
    run("stems", tmp_path / "flat", references, "--json", tmp_path / "x.json", cwd=tmp_path)
    assert figures_of(tmp_path / "x.json")[0]["vocals_usdr_db"] > 80


def test_a_song_whose_title_ends_like_a_stem_and_the_mixture_are_no_stems(song, tmp_path):
    samples = song.vocals.samples
    write_track(
        tmp_path, **{"each other": samples, "song.vocals": samples, "song.no_vocals": samples, "mixture": samples}
    )
    assert list(stems.find_tracks(tmp_path)) == ["song"]


def test_two_files_for_one_stem_are_an_error(song, tmp_path):
    samples = song.vocals.samples
    write_track(tmp_path, **{"song_(Vocals)_a": samples, "song_(Vocals)_b": samples, "song_(Instrumental)_a": samples})
    with pytest.raises(ConfigError, match=r"song_\(Vocals\)_b.wav: is the vocals of song, and so is song_\(Vocals\)_a"):
        stems.find_tracks(tmp_path)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_the_stems_of_a_musdb_file_are_its_fifth_sound_and_the_sum_of_three(song, tmp_path):
    voice, music = song.vocals.samples, song.accompaniment.samples
    sounds = {"mixture": voice + music, "drums": 0.2 * music, "bass": 0.3 * music, "other": 0.5 * music, "voice": voice}
    write_track(tmp_path / "parts", **sounds)
    inputs = [word for name in sounds for word in ("-i", str(tmp_path / "parts" / f"{name}.wav"))]
    streams = [word for number in range(5) for word in ("-map", f"{number}:a")]
    (tmp_path / "musdb" / "test").mkdir(parents=True)
    path = tmp_path / "musdb" / "test" / "A - song.stem.mp4"
    subprocess.run(["ffmpeg", "-v", "error", *inputs, *streams, "-c:a", "alac", str(path)], check=True)
    [(name, files)] = stems.find_tracks(tmp_path / "musdb").items()
    assert name == "test/A - song"
    vocals, accompaniment = stems.read(files)
    assert usdr_db(voice, vocals.samples[:, : voice.shape[1]]) > 60
    assert usdr_db(music, accompaniment.samples[:, : voice.shape[1]]) > 60


def test_columns_without_any_figure_are_left_out(song, references, tmp_path):
    write_track(tmp_path / "made" / "song", vocals=song.vocals.samples, accompaniment=song.accompaniment.samples)
    printed = run("stems", tmp_path / "made", references, "--csv", tmp_path / "x.csv", cwd=tmp_path)
    assert "vocals v3" in printed
    assert "singers" not in printed
    assert "CPU" not in printed
    with (tmp_path / "x.csv").open(newline="") as file:
        assert "cpu_s" not in next(csv.reader(file))


def test_a_track_without_accompaniment_is_an_error(song, references, tmp_path):
    write_track(tmp_path / "made" / "song", vocals=song.vocals.samples)
    with pytest.raises(ConfigError, match=r"no accompaniment\.\* \(or instrumental\.\*\) beside vocals\.wav"):
        stems.find_pairs(tmp_path / "made", references)
