"""The commands: their outputs, messages and exit codes."""

import json
import os
import subprocess

import numpy as np
import pytest
import soundfile
from commands import COMMAND, FAST, call, make_song, names_in

from karaoke_sep import __version__


@pytest.fixture
def song(tmp_path):
    return make_song(tmp_path)


def test_stems_are_written_and_their_paths_printed(song, tmp_path):
    code, out, err = call("separate", song, "-o", tmp_path / "out", *FAST)
    stems = [tmp_path / "out" / "song" / f"{stem}.wav" for stem in ("vocals", "accompaniment")]
    assert (code, out, err) == (0, list(map(str, stems)), [])
    total = sum(soundfile.read(path)[0] for path in stems)
    np.testing.assert_array_equal(total, soundfile.read(song)[0])


def test_names_come_out_byte_for_byte_and_are_escaped_in_logs(song, tmp_path):
    folder = os.fsencode(tmp_path)
    os.rename(song, folder + b"/in/\xff\n.wav")
    (song.parent / "bad\x1b\n.wav").write_text("no sound")
    command = [*COMMAND, "separate", song.parent, "-o", tmp_path / "out", "--stem", "vocals", *FAST]
    result = subprocess.run(command, capture_output=True)
    assert result.stdout == folder + b"/out/\xff\n/vocals.wav\n"
    assert b"bad\\x1b\\n.wav: " in result.stderr
    result = subprocess.run([*COMMAND, "karaoke", song.parent, "-o", tmp_path, *FAST], capture_output=True)
    assert result.stdout == folder + b"/\xff\n (karaoke).wav\n"
    assert b"\x1b" not in result.stderr
    command += ["--name", "{track}"]
    soundfile.write(song.parent / "\x1b\n.wav", np.zeros(8000), 16000)
    soundfile.write(song.parent / "\x1b\n.flac", np.zeros(8000), 16000)
    lines = subprocess.run(command, capture_output=True).stderr.splitlines()
    assert len(lines) == 3
    assert b"\\x1b\\n.wav: would be written to" in lines[0]


def test_the_default_output_is_separated(song, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call("separate", song, *FAST)
    assert names_in(tmp_path / "separated" / "song") == {"vocals.wav", "accompaniment.wav", ".karaoke-sep"}


def test_stem_writes_only_this_one(song, tmp_path):
    call("separate", song, "-o", tmp_path, "--stem", "accompaniment", *FAST)
    assert names_in(tmp_path / "song") == {"accompaniment.wav", ".karaoke-sep"}


def test_save_pitch_adds_the_contour(song, tmp_path):
    call("separate", song, "-o", tmp_path, "--save-pitch", *FAST)
    assert (tmp_path / "song" / "pitch.csv").read_text().startswith("time_s,f0_hz,voicing\n")


def test_the_notes_are_written_with_save_midi(song, tmp_path):
    _, out, _ = call("separate", song, "-o", tmp_path, "--save-midi", "--save-ultrastar", *FAST)
    names = ("notes.mid", "ultrastar.txt", "song.wav")  # the text of a game names the song, which lies beside it
    assert out[2:] == [str(tmp_path / "song" / name) for name in names]
    assert (tmp_path / "song" / "notes.mid").read_bytes().startswith(b"MThd")
    assert "#MP3:song.wav" in (tmp_path / "song" / "ultrastar.txt").read_text().splitlines()


def test_without_bends_the_notes_are_the_same_and_in_tune(song, tmp_path):
    call("separate", song, "-o", tmp_path / "bent", "--save-midi", *FAST)
    call("separate", song, "-o", tmp_path / "in tune", "--save-midi", "--no-bends", *FAST)
    bent, in_tune = ((tmp_path / way / "song" / "notes.mid").read_bytes() for way in ("bent", "in tune"))
    assert bent.count(b"\xe0") > 2
    assert in_tune.count(b"\xe0") <= 2  # bytes of a time may be the same


@pytest.mark.parametrize(
    "options",
    [["--set", "wiener.exponent=3"], ["--config", "classic"], ["--pitch", "peaks"], ["--set", "stft.hop_ms=11"]],
)
def test_settings_change_the_stems(song, tmp_path, options):
    call("separate", song, "-o", tmp_path / "default", *FAST)
    call("separate", song, "-o", tmp_path / "other", *FAST, *options)
    one, other = (soundfile.read(tmp_path / way / "song" / "vocals.wav")[0] for way in ("default", "other"))
    assert np.abs(one - other).max() > 2**-15  # one step


def test_format_and_subtype_are_what_was_asked_for(song, tmp_path):
    call("separate", song, "-o", tmp_path, "--format", "flac", "--subtype", "PCM_24", *FAST)
    assert soundfile.info(tmp_path / "song" / "vocals.flac").subtype == "PCM_24"


def test_the_name_template_sets_the_paths(song, tmp_path):
    _, out, _ = call("separate", song, "-o", tmp_path, "--name", "{stem}/{file}", *FAST)
    assert out == [str(tmp_path / stem / "song.wav.wav") for stem in ("vocals", "accompaniment")]


def test_clip_rule_reaches_the_stems(song, tmp_path):
    loud = tmp_path / "loud.wav"
    soundfile.write(loud, 3 * soundfile.read(song)[0], 8000, "FLOAT")
    for rule in ("clamp", "rescale"):
        call("separate", loud, "-o", tmp_path / rule, "--subtype", "PCM_16", "--clip", rule, *FAST)
    peaks = [np.abs(soundfile.read(tmp_path / rule / "loud" / "vocals.wav")[0]).max() for rule in ("clamp", "rescale")]
    assert peaks[1] < peaks[0]


def test_layout_mir1k_gives_mono_stems_of_the_sum(song, tmp_path):
    call("separate", song, "-o", tmp_path, "--layout", "mir1k", *FAST)
    total = sum(soundfile.read(tmp_path / "song" / f"{stem}.wav")[0] for stem in ("vocals", "accompaniment"))
    np.testing.assert_allclose(total, soundfile.read(song)[0].sum(axis=1), atol=2**-22)  # full scale


def test_mir1k_gets_a_hint_without_the_layout(song, tmp_path):
    clip = tmp_path / "Wavfile" / "amy_1_01.wav"
    clip.parent.mkdir()
    soundfile.write(clip, np.zeros((1600, 2)), 16000)
    assert "--layout mir1k" in call("separate", clip.parent, "-o", tmp_path / "out", "--dry-run")[2][0]
    assert call("separate", clip.parent, "-o", tmp_path / "out", "--dry-run", "--layout", "mir1k")[2] == []
    assert call("separate", song, "-o", tmp_path / "out", "--dry-run")[2] == []


@pytest.mark.parametrize("suffix", ["csv", "pv"])
def test_a_contour_can_be_estimated_corrected_and_used(song, tmp_path, suffix):
    contour = tmp_path / "contours" / f"song.{suffix}"
    code, out, _ = call("pitch", song, "-o", tmp_path / "contours", "--format", suffix)
    assert (code, out) == (0, [str(contour)])
    by_file = call("separate", song, "-o", tmp_path / "by file", "--pitch-file", contour)
    by_folder = call("separate", song, "-o", tmp_path / "by folder", "--pitch-file", contour.parent)
    assert (by_file[0], by_folder[0]) == (0, 0)
    vocals = [(tmp_path / way / "song" / "vocals.wav").read_bytes() for way in ("by file", "by folder")]
    assert vocals[0] == vocals[1]


def test_the_given_contour_is_used_without_an_estimate(song, tmp_path):
    contour = tmp_path / "corrected.csv"
    call("pitch", song, "-o", tmp_path)
    header, *rows = [line.split(",") for line in (tmp_path / "song.csv").read_text().splitlines()]
    for row in rows[8:16]:
        row[1] = "150"
    contour.write_text("\n".join(map(",".join, [header, *rows])))
    for way in ("hmm", "given"):
        assert call("separate", song, "-o", tmp_path / way, "--pitch-file", contour, "--pitch", way)[0] == 0
    corrected, followed = ((tmp_path / way / "song" / "vocals.wav").read_bytes() for way in ("hmm", "given"))
    assert corrected != followed


def test_an_excerpt_is_separated_into_a_folder_of_its_own(song, tmp_path):
    _, whole, _ = call("separate", song, "-o", tmp_path / "out", *FAST)
    before = [os.stat(path).st_mtime_ns for path in whole]
    code, out, err = call("separate", song, "-o", tmp_path / "out", "--start", "0:00.1", "--duration", "0.25", *FAST)
    stems = [tmp_path / "out" / "song 0.1-0.35 s" / f"{stem}.wav" for stem in ("vocals", "accompaniment")]
    assert (code, out, err) == (0, list(map(str, stems)), [])
    total = sum(soundfile.read(path)[0] for path in stems)
    np.testing.assert_array_equal(total, soundfile.read(song)[0][800:2800])
    assert [os.stat(path).st_mtime_ns for path in whole] == before
    for command, name in (("karaoke", "song from 0.2 s (karaoke).wav"), ("pitch", "song from 0.2 s.csv")):
        assert call(command, song, "-o", tmp_path, "--start", "0.2", *FAST)[1] == [str(tmp_path / name)]
    assert soundfile.info(tmp_path / "song from 0.2 s (karaoke).wav").frames == 2400


def test_an_excerpt_gives_the_same_bytes_in_memory_and_from_the_disk(song, tmp_path):
    arguments = ["separate", song, "--start", "0.1", *FAST]
    for way, from_s in (("memory", 90), ("disk", 0)):
        call(*arguments, "-o", tmp_path / way, "--set", f"parts.from_s={from_s}")
    one, other = ((tmp_path / way / "song from 0.1 s" / "vocals.wav").read_bytes() for way in ("memory", "disk"))
    assert one == other


def test_the_times_of_a_contour_file_count_from_the_start_of_the_song(song, tmp_path):
    call("pitch", song, "-o", tmp_path)
    options = ["--pitch", "given", "--pitch-file", tmp_path / "song.csv", "--save-pitch", "--start", "0.16"]
    call("separate", song, "-o", tmp_path / "out", *options, *FAST)
    whole = np.loadtxt(tmp_path / "song.csv", delimiter=",", skiprows=1)
    part = np.loadtxt(tmp_path / "out" / "song from 0.16 s" / "pitch.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(part[:, 0], whole[10:, 0] - 0.16, atol=1e-6)  # s
    np.testing.assert_allclose(part[:, 1:], whole[10:, 1:])


def test_an_excerpt_beyond_the_end_fails_that_file_alone(song, tmp_path):
    soundfile.write(song.parent / "long.wav", np.zeros(16000), 8000)
    code, out, err = call("separate", song.parent, "-o", tmp_path / "out", "--start", "1", *FAST)
    assert (code, len(out)) == (1, 2)
    assert err[0] == f"{song}: ends at 0.50 s, before --start; choose an earlier start"


@pytest.mark.parametrize("name", ["{track}/{stem}", "{stem} of {file}", "{title}/{track} {stem}"])
def test_an_excerpt_replaces_neither_the_song_nor_another_excerpt_under_any_name(song, tmp_path, name):
    arguments = ["separate", song, "-o", tmp_path / "out", "--name", name, *FAST]
    runs = [call(*arguments, *span) for span in ([], ["--duration", "0.2"], ["--duration", "0.3"])]
    assert [(code, err) for code, _, err in runs] == [(0, [])] * 3
    assert [soundfile.info(out[0]).frames for _, out, _ in runs] == [4000, 1600, 2400]


def test_a_dry_run_prints_the_plan_and_writes_nothing(song, tmp_path):
    (song.parent / "empty.wav").write_bytes(b"")
    code, out, err = call("separate", song.parent, "-o", tmp_path / "out", "--dry-run", *FAST)
    assert out == [f"new\t{song}\t{tmp_path}/out/song/vocals.wav\t{tmp_path}/out/song/accompaniment.wav"]
    assert (code, err) == (1, [f"{song.parent}/empty.wav: is empty (0 bytes)"])
    assert not (tmp_path / "out").exists()


def test_a_second_run_prints_the_same_paths_and_reports_that_they_are_up_to_date(song, tmp_path):
    arguments = ["separate", song, "-o", tmp_path / "out", *FAST]
    runs = [call(*more) for more in (arguments, arguments, [*arguments, "--overwrite"])]
    assert len(runs[0][1]) == 2
    assert runs[0][1] == runs[1][1] == runs[2][1]
    assert [run[2] for run in runs] == [[], [f"{song}: is up to date; --overwrite makes the outputs again"], []]
    (song.parent / "b.wav").write_bytes(song.read_bytes())
    call("separate", song.parent, "-o", tmp_path / "out", *FAST)
    code, _, err = call("separate", song.parent, "-o", tmp_path / "out", *FAST)
    assert (code, err) == (0, ["2 inputs are up to date; --overwrite makes the outputs again"])


def test_a_second_run_does_no_work(song, tmp_path):
    arguments = ["separate", song, "-o", tmp_path / "out", *FAST]
    first = [os.stat(path).st_mtime_ns for path in call(*arguments)[1]]
    second = [os.stat(path).st_mtime_ns for path in call(*arguments)[1]]
    assert first == second
    third = [os.stat(path).st_mtime_ns for path in call(*arguments, "--overwrite")[1]]
    assert min(third) > max(first)


def test_outputs_that_are_made_again_are_reported_with_the_reason(song, tmp_path):
    call("separate", song, "-o", tmp_path, *FAST)
    again = ["separate", song, "-o", tmp_path, *FAST, "--set", "stft.hop_ms=17"]
    assert call(*again, "--dry-run")[2] == [f"{song}: made again: the settings have changed"]
    assert call(*again, "--dry-run", "--quiet")[2] == []


def test_shards_share_the_inputs(song, tmp_path):
    for i in range(3):
        (song.parent / f"{i}.wav").write_bytes(song.read_bytes())
    plans = [call("separate", song.parent, "-o", tmp_path / "out", "--shard", f"{i}/2", "--dry-run")[1] for i in (1, 2)]
    assert [len(plan) for plan in plans] == [2, 2]
    assert not set(plans[0]) & set(plans[1])


def test_a_bad_file_gives_exit_1_and_one_line_and_the_others_go_on(song, tmp_path):
    (song.parent / "bad.wav").write_text("no sound")
    code, out, err = call("separate", song.parent, "-o", tmp_path, *FAST)
    assert (code, len(out)) == (1, 2)
    assert err[0].startswith(f"{song.parent}/bad.wav: ")
    assert err[1:] == ["1 done, 1 failed"]
    code, out, err = call("separate", song.parent / "bad.wav", "-o", tmp_path)
    assert (code, out, len(err)) == (1, [], 1)


def test_an_unreadable_file_gives_one_line_and_the_others_are_processed(song, tmp_path, monkeypatch):
    secret = song.parent / "secret.wav"
    secret.write_bytes(song.read_bytes())
    may = os.access  # the superuser may read everything
    monkeypatch.setattr(
        os, "access", lambda path, *how, **more: os.fspath(path) != str(secret) and may(path, *how, **more)
    )
    code, out, err = call("separate", secret, song, "-o", tmp_path / "out", "--stem", "vocals", *FAST)
    assert (code, out) == (1, [str(tmp_path / "out" / "song" / "vocals.wav")])
    assert err[0] == f"{secret}: permission denied; make it readable"


def test_fail_fast_starts_nothing_if_the_plan_has_errors(song, tmp_path):
    (song.parent / "bad.wav").write_text("no sound")
    assert call("separate", song.parent, "-o", tmp_path, "--fail-fast", *FAST)[:2] == (1, [])


def test_quiet_says_nothing_and_verbose_a_line_for_each(song, tmp_path):
    (song.parent / "b.wav").write_bytes(song.read_bytes())
    arguments = ["separate", song.parent, "-o", tmp_path, "--overwrite", *FAST]
    assert call(*arguments)[2] == ["2 done"]
    code, out, err = call(*arguments, "--quiet")
    assert (code, len(out), err) == (0, 4, [])
    assert call(*arguments, "--verbose")[2][0].startswith(f"{song.parent}/b.wav: 0.5 s of sound in ")


def test_the_report_has_a_line_of_json_for_each_input(song, tmp_path):
    (song.parent / "bad.wav").write_text("no sound")
    report = tmp_path / "report.jsonl"
    for _ in range(2):
        call("separate", song.parent, "-o", tmp_path / "out", "--report", report, *FAST)
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [line["status"] for line in lines] == ["failed", "done", "failed", "skipped"]
    assert lines[1]["source"] == str(song)
    assert (
        lines[1]["paths"]
        == lines[3]["paths"]
        == [str(tmp_path / "out" / "song" / f"{stem}.wav") for stem in ("vocals", "accompaniment")]
    )
    assert lines[1]["seconds"] == 0.5
    assert lines[1]["version"] == __version__
    assert len(lines[1]["config"]) == 16
    assert set(lines[1]["levels_db"]) == {"vocals", "accompaniment"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Missing argument"),
        (["{song}", "{song}/../absent.wav", "absent.mp3"], "absent.mp3: no such file or folder"),
        (["{song}", "--start", "-1"], "not a time"),
        (["{song}", "--start", "nan"], "not a time"),
        (["{song}", "--start", "1:2:3:4"], "not a time"),
        (["{song}", "--duration", "0"], "length of the excerpt"),
        (["{song}", "--start", "0.1", "--save-ultrastar"], "whole song"),
        (["{song}", "--scheduler", "tcp://192.0.2.1:8786"], "--engine dask"),
        (["{song}", "--engine", "dask", "--scheduler", "x", "-j", "2"], "--jobs: has no effect"),
        (["{song}", "--quiet", "--verbose"], "contradict"),
        (["{song}", "--dry-run", "--report", "r.jsonl"], "--report: has no effect"),
        (["{song}", "--nonsense"], "No such option"),
        (["{song}", "--set", "wiener.exponant=2"], "exponent"),
        (["{song}", "--config", "absent.yaml"], "absent.yaml"),
        (["{song}", "--pitch", "cepstrum"], "--pitch: pitch.backend must be one of given, hmm"),
        (["{song}", "--pitch", "given"], "--pitch-file"),
        (["{song}", "--pitch-file", "absent.csv"], "absent.csv"),
        (["{song}", "{in2}/song.wav", "--pitch-file", "{song}"], "that of 2 inputs"),
        (["{song}", "--no-bends"], "--save-midi"),
        (["{song}", "--shard", "3/2"], "1 to 2"),
        (["{song}", "--shard", "x"], "I/N"),
        (["{song}", "--name", "../{track}/{stem}"], "outside"),
        (["{song}", "--subtype", "PCM_17"], "PCM_16"),
        (["{song}", "--report", "/absent/report"], "cannot be written"),
        (["{song}", "--output", "{song}"], "not a folder"),
        (["{song}", "--engine", "dask", "--scheduler", "nonsense"], "dask|Dask"),
        (["{song}", "--engine", "dask"], "needs --scheduler"),
        (["{song}", "--clip", "rescale", "--subtype", "FLOAT"], "--clip rescale: has no effect"),
    ],
)
def test_wrong_use_gives_exit_2_and_says_why_before_any_work(song, tmp_path, arguments, says):
    (tmp_path / "in2").mkdir()
    (tmp_path / "in2" / "song.wav").write_bytes(song.read_bytes())
    out = ["-o", tmp_path / "out"] if "--output" not in arguments else []
    code, written, err = call(
        "separate", *(a.replace("{song}", str(song)).replace("{in2}", str(tmp_path / "in2")) for a in arguments), *out
    )
    assert (code, written) == (2, [])
    assert any(part in err[-1] for part in says.split("|"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [["report"], ["separate"], *(["karaoke", ".", option] for option in ("--name", "--set", "--key", "-j"))],
)
def test_a_very_long_argument_is_cut_in_the_message(arguments):
    code, _, err = call(*arguments, 2000 * "{" + 2000 * "}")
    assert code in (1, 2)
    assert 30 * "{" + "..." + 30 * "}" in err[-1]
    assert max(map(len, err)) < 300


def test_config_show_names_value_unit_and_origin(tmp_path):
    (tmp_path / "mine.yaml").write_text("stft:\n  hop_ms: 12\n")
    options = ["--config", tmp_path / "mine.yaml", "--set", "wiener.exponent=3", "--pitch", "peaks"]
    _, out, _ = call("config", "show", *options)
    rows = {line.split()[0]: line.split()[1:] for line in out}
    assert rows["pitch.backend"] == ["peaks", "--pitch"]
    assert rows["stft.hop_ms"] == ["12.0", "ms", f"{tmp_path}/mine.yaml:2"]
    assert rows["wiener.exponent"] == ["3.0", "--set"]


def test_config_yaml_can_be_read_back(tmp_path):
    _, out, _ = call("config", "show", "--config", "classic", "--yaml")
    (tmp_path / "classic.yaml").write_text("\n".join(out))
    values = [
        [line.split()[:2] for line in call("config", "show", "--config", source)[1]]
        for source in ("classic", tmp_path / "classic.yaml")
    ]
    assert values[0] == values[1]


def test_info_names_versions_and_codecs():
    text = "\n".join(call("info")[1])
    assert f"karaoke-sep    {__version__}" in text
    assert "FLAC" in text
    assert "ffmpeg" in text
    assert "matplotlib" in text


def test_demo_keeps_a_stem_that_was_edited(tmp_path):
    call("demo", "-o", tmp_path, *FAST)
    stems = [tmp_path / "demo_song" / f"{stem}.wav" for stem in ("vocals", "accompaniment")]
    stems[0].write_bytes(stems[1].read_bytes())
    code, out, _ = call("demo", "-o", tmp_path, *FAST)
    assert (code, len(out)) == (0, 3)
    assert stems[0].read_bytes() == stems[1].read_bytes()


def test_demo_prints_the_gain_in_sdr(tmp_path):
    code, out, _ = call("demo", "-o", tmp_path, *FAST)
    assert code == 0
    gains_db = [float(line.split("SDR gain ")[1].removesuffix(" dB")) for line in out[1:]]
    assert min(gains_db) > 6
    assert names_in(tmp_path) == {"demo_song.wav", "demo_song", "true"}
