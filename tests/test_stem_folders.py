"""Folders of stems that any tool wrote, and their scores."""

import csv
import shutil
import subprocess

import pytest
from click.testing import CliRunner
from evaluations import RATE_HZ, figures_of, run, write_track

from karaoke_sep import demo_song
from karaoke_sep.cli.evaluate import evaluate
from karaoke_sep.datasets import stems
from karaoke_sep.errors import ConfigError, InputError
from karaoke_sep.evaluation import scoring
from karaoke_sep.evaluation.bss_eval import usdr_db
from karaoke_sep.types import Audio


@pytest.fixture(scope="module")
def song():
    return demo_song.make(RATE_HZ, 4.0)


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


def test_a_page_compares_tools_on_the_same_true_stems_by_the_names_of_their_files(song, references, tmp_path):
    voice, music = song.vocals.samples, song.accompaniment.samples
    elsewhere = tmp_path / "elsewhere"
    write_track(elsewhere / "song", vocals=voice[:, :32000], accompaniment=music[:, :32000])
    for name, true, n in (("one", references, None), ("two", references, None), ("other", elsewhere, 32000)):
        noisy = voice[:, :n] + 0.1 * len(name) * music[:, :n]
        write_track(tmp_path / name / "song", vocals=noisy, accompaniment=music[:, :n])
        files = ("--json", tmp_path / f"{name}.json", "--rows", tmp_path / f"{name}.jsonl")
        run("stems", tmp_path / name, true, *files, cwd=tmp_path)
    both, alone = run_page(*(tmp_path / f"{name}.json" for name in ("one", "two", "other"))).split("## ")[1:]
    assert both.startswith("Stems: 1 clip, 4 s (")
    assert alone.startswith("Stems: 1 clip, 2 s (")
    names = [[row.split("|")[1].strip() for row in part.splitlines() if row.startswith("| ")] for part in (both, alone)]
    assert [rows[2:] for rows in names] == [["one", "two"], ["other"]]


def run_page(*paths):
    return CliRunner().invoke(evaluate, ["page", *map(str, paths)], catch_exceptions=False).stdout


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
    assert (
        f"short/vocals.wav: {voice.shape[1] - 9} samples, but {true}/short/vocals.wav has {voice.shape[1]}; cut" in text
    )
    assert "slow/vocals.wav: 8000 Hz, but" in text
    assert "slow/accompaniment.wav: 8000 Hz, but" in text
    assert f"one/vocals.wav: 1 channel, but {true}/one/vocals.wav has 2; convert one of them" in text


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


def write_musdb(song, tmp_path, codec):
    """Write a track as MUSDB has it: one file with the mixture, drums, bass, other and the voice."""
    voice, music = song.vocals.samples, song.accompaniment.samples
    sounds = {"mixture": voice + music, "drums": 0.2 * music, "bass": 0.3 * music, "other": 0.5 * music, "voice": voice}
    write_track(tmp_path / "parts", **sounds)
    inputs = [word for name in sounds for word in ("-i", str(tmp_path / "parts" / f"{name}.wav"))]
    streams = [word for number in range(5) for word in ("-map", f"{number}:a")]
    (tmp_path / "musdb" / "test").mkdir(parents=True)
    path = tmp_path / "musdb" / "test" / "A - song.stem.mp4"
    subprocess.run(["ffmpeg", "-v", "error", *inputs, *streams, "-c:a", codec, str(path)], check=True)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
@pytest.mark.parametrize("made", ["A - song", "A - song.stem"])
def test_stems_of_a_lossy_musdb_file_are_scored_although_its_codec_fills_the_last_frame(song, tmp_path, made):
    write_musdb(song, tmp_path, "aac")
    write_track(tmp_path / "made" / made, vocals=song.vocals.samples, accompaniment=song.accompaniment.samples)
    [pair] = stems.find_pairs(tmp_path / "made", tmp_path / "musdb")
    true_vocals, true_music, vocals, music = stems.load(pair)
    assert pair.name == "test/A - song"
    assert {sound.samples.shape for sound in (true_vocals, true_music, vocals, music)} == {song.vocals.samples.shape}
    assert min(usdr_db(true_vocals.samples, vocals.samples), usdr_db(true_music.samples, music.samples)) > 15


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_a_lossy_stem_that_is_shorter_by_more_than_its_padding_is_an_error_and_gives_no_table(song, tmp_path):
    write_musdb(song, tmp_path, "aac")
    short = {"vocals": song.vocals.samples[:, 5000:], "accompaniment": song.accompaniment.samples[:, 5000:]}
    write_track(tmp_path / "made" / "A - song", **short)
    [pair] = stems.find_pairs(tmp_path / "made", tmp_path / "musdb")
    with pytest.raises(InputError, match=r"its stems hold .* samples; write them again"):
        stems.load(pair)
    assert run("stems", tmp_path / "made", tmp_path / "musdb", cwd=tmp_path, expect=1) == ""


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_the_stems_of_a_musdb_file_are_its_fifth_sound_and_the_sum_of_three(song, tmp_path):
    voice, music = song.vocals.samples, song.accompaniment.samples
    write_musdb(song, tmp_path, "alac")
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
