"""Folders for karaoke games, videos, and several products of one separation, through the command line."""

import shutil
import subprocess
from pathlib import Path

import mir_eval
import numpy as np
import pytest
import soundfile
from report_pages import Page, call

from karaoke_sep import demo_song
from karaoke_sep.files import covers, tags

RATE_HZ, SECONDS = 16000, 12.0
needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg on the PATH")


@pytest.fixture(scope="module")
def song():
    return demo_song.make(RATE_HZ, SECONDS)


@pytest.fixture
def source(song, tmp_path):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "夜の歌.flac"
    soundfile.write(path, song.mixture.samples.T, RATE_HZ, "PCM_16")
    return path


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def header(text):
    return dict(line[1:].split(":", 1) for line in text.splitlines() if line.startswith("#"))


def notes_of(text):
    """Return onsets and offsets, s, shape (N, 2), and the keys of the notes of a song file."""
    bpm, gap_ms = float(header(text)["BPM"]), float(header(text)["GAP"])
    rows = np.array([line.split(" ", 4)[1:4] for line in text.splitlines() if line.startswith(":")], float)
    onsets_s = gap_ms / 1000 + rows[:, 0] * 15 / bpm
    return np.stack([onsets_s, onsets_s + rows[:, 1] * 15 / bpm], axis=1), 60 + rows[:, 2]


@needs_ffmpeg
def test_a_song_folder_holds_every_file_that_its_text_names(source, song, tmp_path):
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64:duration=0.1", "-frames:v", "1", source.parent / "folder.png")
    source.with_suffix(".lrc").write_text("[00:01.00]la la la\n[00:06.00]夜の歌\n", encoding="utf-8")
    code, out, _ = call("karaoke", source, "-o", tmp_path, "--save-ultrastar", "--config", "fast", "--format", "flac")
    folder = tmp_path / "夜の歌 (UltraStar)"
    assert code == 0
    assert str(folder / "夜の歌.txt") in out
    text = (folder / "夜の歌.txt").read_text("utf-8")
    files = {key: header(text)[key] for key in ("MP3", "AUDIO", "INSTRUMENTAL", "VOCALS", "COVER")}
    assert {folder / name for name in files.values()} == set(folder.iterdir()) - {folder / "夜の歌.txt"}
    assert (folder / files["AUDIO"]).read_bytes() == source.read_bytes()
    stems = [soundfile.read(folder / files[key], dtype="int16")[0] for key in ("INSTRUMENTAL", "VOCALS")]
    np.testing.assert_array_equal(stems[0] + stems[1], soundfile.read(source, dtype="int16")[0])
    assert (folder / files["COVER"]).read_bytes() == (source.parent / "folder.png").read_bytes()
    assert all(word in text for word in ("la", "夜", "の", "歌"))


@pytest.mark.parametrize("name", ["two  spaces", " first", "last ", "line\nbreak"])
def test_the_text_of_a_song_folder_names_files_that_are_there_whatever_the_song_is_called(source, tmp_path, name):
    song = source.rename(source.with_name(f"{name}.flac"))
    (song.parent / f"{name} [CO].jpg").write_bytes(b"\xff\xd8\xff")
    assert call("karaoke", song, "-o", tmp_path / "out", "--config", "fast", "--save-ultrastar")[0] == 0
    [text_path] = (tmp_path / "out").glob("*(UltraStar)/*.txt")
    files = {key: header(text_path.read_text("utf-8"))[key] for key in ("MP3", "INSTRUMENTAL", "VOCALS", "COVER")}
    assert {text_path.parent / file for file in files.values()} == set(text_path.parent.iterdir()) - {text_path}


def test_the_notes_of_a_song_folder_are_sung_where_the_text_says(source, song, tmp_path):
    assert call("karaoke", source, "-o", tmp_path, "--save-ultrastar")[0] == 0
    times_s, keys = notes_of((tmp_path / "夜の歌 (UltraStar)" / "夜の歌.txt").read_text("utf-8"))
    true_s = np.array(song.notes)[:, :2]
    precision, recall, _ = mir_eval.transcription.onset_precision_recall_f1(true_s, times_s, onset_tolerance=0.1)
    assert min(precision, recall) >= 0.8
    pairs = mir_eval.transcription.match_note_onsets(true_s, times_s, onset_tolerance=0.1)
    assert np.mean([keys[found] == song.notes[true][2] for true, found in pairs]) >= 0.9


def test_new_lyrics_change_the_text_and_nothing_else(source, tmp_path):
    arguments = ("karaoke", source, "-o", tmp_path, "--save-ultrastar", "--config", "fast")
    call(*arguments)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if path.is_file()}
    source.with_suffix(".txt").write_text("words words", encoding="utf-8")
    assert call(*arguments)[0] == 0
    changed = {path.name for path, mtime_ns in before.items() if path.stat().st_mtime_ns != mtime_ns}
    assert {name for name in changed if not name.endswith(".json")} == {"夜の歌.txt"}
    assert "words" in (tmp_path / "夜の歌 (UltraStar)" / "夜の歌.txt").read_text("utf-8")


def test_stems_with_notes_lie_in_one_folder_that_games_can_load(source, tmp_path):
    assert call("separate", source, "-o", tmp_path, "--save-ultrastar", "--config", "fast")[0] == 0
    files = header((tmp_path / "夜の歌" / "ultrastar.txt").read_text("utf-8"))
    assert (files["VOCALS"], files["INSTRUMENTAL"]) == ("vocals.wav", "accompaniment.wav")
    assert all((tmp_path / "夜の歌" / files[key]).exists() for key in ("MP3", "AUDIO", "VOCALS", "INSTRUMENTAL"))


def test_several_products_of_one_separation_are_the_bytes_of_each_alone(source, tmp_path):
    pytest.importorskip("python_stretch", reason="needs the extra [stretch]")
    key = ("--key", "2")
    every = ("--save-ultrastar", "--save-midi", "--save-pitch", *key)
    assert call("karaoke", source, "-o", tmp_path / "all", "--config", "fast", *every)[0] == 0
    assert call("karaoke", source, "-o", tmp_path / "one", "--config", "fast", *key)[0] == 0
    assert call("separate", source, "-o", tmp_path / "stems", "--config", "fast")[0] == 0
    [track] = (tmp_path / "one").glob("*.wav")
    assert (tmp_path / "all" / track.name).read_bytes() == track.read_bytes()
    for stem, name in (("vocals", "VOC"), ("accompaniment", "INSTR")):
        theirs = tmp_path / "all" / "夜の歌 (UltraStar)" / f"夜の歌 [{name}].wav"
        assert theirs.read_bytes() == (tmp_path / "stems" / "夜の歌" / f"{stem}.wav").read_bytes()


@needs_ffmpeg
@pytest.mark.parametrize(("options", "suffix"), [([], ".mp4"), (["--format", "wav"], ".wav")])
def test_a_video_gives_a_video_unless_a_format_of_sound_is_asked_for(source, tmp_path, options, suffix):
    clip = tmp_path / "clip.mp4"
    picture = ("-f", "lavfi", "-i", f"testsrc=size=64x48:rate=5:duration={SECONDS}")
    ffmpeg(*picture, "-i", source, "-c:v", "mpeg4", "-c:a", "aac", clip)
    code, out, _ = call("karaoke", clip, "-o", tmp_path / "out", "--config", "fast", *options)
    assert (code, out) == (0, [str(tmp_path / "out" / f"clip (karaoke){suffix}")])
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_file()] == [f"clip (karaoke){suffix}"]
    code, out, _ = call("karaoke", clip, "-o", tmp_path / "out", "--config", "fast", "--dry-run", *options)
    assert (code, out[0].split("\t")[0]) == (0, "done")
    packets = ["-map", "0:v?", "-c", "copy", "-f", "md5", "-"]
    sums = [
        subprocess.run(["ffmpeg", "-v", "error", "-i", path, *packets], capture_output=True, check=False).stdout
        for path in (clip, tmp_path / "out" / f"clip (karaoke){suffix}")
    ]
    assert (sums[0] == sums[1]) == (suffix == ".mp4")


@needs_ffmpeg
def test_the_page_leaves_out_a_second_sound_of_a_video_because_browsers_play_the_first(source, tmp_path):
    clip, output = tmp_path / "clip.mp4", ("-o", tmp_path / "out", "--config", "fast")
    picture = ("-f", "lavfi", "-i", f"testsrc=size=64x48:rate=5:duration={SECONDS}")
    ffmpeg(*picture, "-i", source, "-c:v", "mpeg4", "-c:a", "aac", clip)
    for how in ("replace", "add"):
        assert call("karaoke", clip, *output, "--video-sound", how)[0] == 0
    code, out, err = call("report", tmp_path / "out")
    assert code == 1
    assert len(err) == 1
    assert "clip (karaoke, second sound).mp4: left out because browsers cannot choose its second sound" in err[0]
    assert [sounds.keys() for sounds in Page(Path(out[0])).sounds()] == [{"mixture", "karaoke"}]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("la la la", ["no notes are found, so games cannot load its UltraStar song"]),
        ("#TITLE:t\n#BPM:300\n: 0 9 0 la\nE\n", []),
        (
            "#TITLE:t\n: 0 9 0 la\nE\n",
            [
                "the UltraStar file beside it has no #BPM, or one that is not a number; games cannot load the song "
                "until you correct this"
            ],
        ),
    ],
)
def test_a_song_that_games_cannot_load_is_said_to_be_so(tmp_path, words, says):
    noise = 0.1 * np.random.default_rng(0).standard_normal(3 * RATE_HZ)
    soundfile.write(tmp_path / "noise.wav", noise, RATE_HZ)
    (tmp_path / "noise.txt").write_text(words)
    arguments = ("karaoke", tmp_path / "noise.wav", "-o", tmp_path / "out", "--save-ultrastar", "--config", "fast")
    code, _, err = call(*arguments)
    assert code == 0
    assert [line for line in err if "games" in line] == [f"{tmp_path / 'noise.wav'}: {line}" for line in says]


def test_a_second_sound_is_an_error_where_no_input_is_a_video(source, tmp_path):
    code, out, err = call("karaoke", source, "-o", tmp_path / "out", "--video-sound", "add")
    assert (code, out) == (2, [])
    assert err == ["Error: --video-sound add: has no effect, because no input is a video; leave it out"]


def test_a_song_folder_of_an_excerpt_is_an_error_that_says_why(source, tmp_path):
    code, out, err = call("karaoke", source, "-o", tmp_path / "out", "--save-ultrastar", "--duration", "3")
    assert (code, out) == (2, [])
    assert "leave out --start and --duration" in err[-1]
    assert not (tmp_path / "out").exists()


@needs_ffmpeg
@pytest.mark.parametrize("suffix", [".flac", ".wav"])
def test_a_cover_in_the_file_is_found_and_ffprobe_is_asked_only_if_there_may_be_one(tmp_path, monkeypatch, suffix):
    plain, path = tmp_path / f"plain{suffix}", tmp_path / f"song{suffix}"
    soundfile.write(plain, np.zeros(8001), 8000, "PCM_16")
    picture = ("-f", "lavfi", "-i", "color=red:size=16x16:duration=0.1", "-map", "0:a", "-map", "1:v", "-frames:v", "1")
    form = ("-c:a", "flac", "-c:v", "mjpeg", "-disposition:v", "attached_pic", tmp_path / "with.flac")
    subprocess.run(["ffmpeg", "-v", "error", "-i", plain, *picture, *form], check=True)
    data = tags.read(tmp_path / "with.flac", {}).cover
    if suffix == ".flac":
        path = tmp_path / "with.flac"
    else:
        id3 = tags.id3(tags.Tags({"title": "A song"}, data))
        path.write_bytes(plain.read_bytes() + b"id3 " + len(id3).to_bytes(4, "little") + id3)
    assert covers.inside(path) == covers.Cover(data, ".jpg")
    monkeypatch.setattr(tags, "read", lambda *_: pytest.fail("ffprobe is asked"))
    assert covers.inside(plain) is None
