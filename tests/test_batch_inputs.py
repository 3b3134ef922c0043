"""Search for songs, and names of their outputs."""

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from batches import CONFIG, do, files_below, make_song, statuses

from karaoke_sep import batch
from karaoke_sep.batch import Order, names
from karaoke_sep.batch.inputs import find_inputs
from karaoke_sep.errors import ConfigError


def test_a_folder_is_searched_and_its_sub_folders_are_kept(tmp_path):
    make_song(tmp_path / "in" / "a.wav")
    make_song(tmp_path / "in" / "disc 1" / "b.WAV")
    (tmp_path / "in" / "cover.jpg").write_bytes(b"no sound")
    order = Order(tmp_path / "out")
    assert statuses(do([tmp_path / "in"], order)) == {"a.wav": "done", "b.WAV": "done"}
    assert (tmp_path / "out" / "a" / "vocals.wav").exists()
    assert (tmp_path / "out" / "disc 1" / "b" / "accompaniment.wav").exists()


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg on the PATH")
def test_a_video_without_sound_in_a_folder_is_skipped_and_a_named_one_is_an_error(tmp_path):
    make_song(tmp_path / "in" / "a.wav")
    film = tmp_path / "in" / "film.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=1"]
    subprocess.run(["ffmpeg", "-v", "error", *picture, "-c:v", "mpeg4", str(film)], check=True)
    for inputs, notes, errors in (
        ([tmp_path / "in"], [f"{film}: skipped because there is no sound in it"], []),
        ([film], [], [(film, f"{film}: there is no sound in this file")]),
    ):
        plan = batch.plan(inputs, Order(tmp_path / "out"), CONFIG)
        assert (plan.notes, plan.errors) == (notes, errors)


@pytest.mark.parametrize("output", ["separated", "."])
@pytest.mark.parametrize("name", ["{parent}/{track}/{stem}", "{track} ({stem})", "{stem}/{track}", "x/{stem}{track}"])
def test_stems_of_an_earlier_run_are_no_inputs(tmp_path, output, name):
    make_song(tmp_path / "a.wav")
    order = Order(tmp_path / output, name=name)
    do([tmp_path], order)
    assert statuses(do([tmp_path], order)) == {"a.wav": "skipped"}
    assert statuses(do([tmp_path], Order(tmp_path / "elsewhere"))) == {"a.wav": "done"}


def test_songs_beside_stems_are_found_and_the_stems_are_not(tmp_path):
    make_song(tmp_path / "Thriller.wav")
    make_song(tmp_path / "Thriller" / "track 2.wav")
    do([tmp_path], Order(tmp_path))
    make_song(tmp_path / "Thriller" / "track 3.wav")
    found = find_inputs([tmp_path / "Thriller"]).parents
    assert [path.name for path in found] == ["track 2.wav", "track 3.wav"]


def test_outputs_that_a_shell_pattern_matches_beside_their_song_are_skipped(tmp_path):
    make_song(tmp_path / "a.wav")
    order = Order(tmp_path, name="{track} ({stem})")
    do([tmp_path / "a.wav"], order)
    found = find_inputs(sorted(tmp_path.glob("*.wav")))
    assert [path.name for path in found.parents] == ["a.wav"]
    assert len(found.notes) == 2
    assert statuses(do(sorted(tmp_path.glob("*.wav")), order)) == {"a.wav": "skipped"}


def test_a_named_stem_is_separated(tmp_path):
    do([make_song(tmp_path / "a.wav")], Order(tmp_path / "out"))
    stem = tmp_path / "out" / "a" / "accompaniment.wav"
    assert statuses(do([stem], Order(tmp_path / "again"))) == {"accompaniment.wav": "done"}


def test_an_input_named_twice_is_done_once(tmp_path):
    song = make_song(tmp_path / "in" / "a.wav")
    assert len(batch.plan([song, tmp_path / "in"], Order(tmp_path / "out"), CONFIG).jobs) == 1


def test_loops_of_links_are_searched_once(tmp_path):
    make_song(tmp_path / "in" / "a.wav")
    for name in ("loop", "other loop"):  # two of them make 2^40 paths before the system stops it
        (tmp_path / "in" / name).symlink_to(tmp_path / "in")
    assert len(batch.plan([tmp_path / "in"], Order(tmp_path / "out"), CONFIG).jobs) == 1


def test_a_link_to_itself_gives_one_line(tmp_path):
    make_song(tmp_path / "in" / "a.wav")
    (tmp_path / "in" / "b.wav").symlink_to("b.wav")
    plan = batch.plan([tmp_path / "in"], Order(tmp_path / "out"), CONFIG)
    assert [job.source.name for job in plan.jobs] == ["a.wav"]
    [(_, line)] = plan.errors
    assert line.startswith(f"{tmp_path}/in/b.wav: too many levels of symbolic links")


def test_a_folder_named_like_a_song_is_a_folder(tmp_path):
    make_song(tmp_path / "in" / "album.wav" / "a.wav")
    assert statuses(do([tmp_path / "in"], Order(tmp_path / "out"))) == {"a.wav": "done"}


@pytest.mark.parametrize("other", ["sub/song.flac", "song.mp3"])
def test_the_first_of_two_inputs_with_one_name_is_processed_and_the_hint_works_for_the_second(tmp_path, other):
    first = make_song(tmp_path / "song.wav")
    second = make_song(tmp_path / other)
    order = Order(tmp_path / "out")
    plan = batch.plan([first, second], order, CONFIG)
    assert [job.source for job in plan.jobs] == [first]
    [(source, line)] = plan.errors
    assert source == second
    assert str(first) in line
    name = re.search("--name '(.*?)'", line)[1]
    assert set(statuses(do([first, second], replace(order, name=name))).values()) == {"done"}


def test_the_hint_gives_songs_of_one_name_in_two_folders_different_names(tmp_path):
    songs = [make_song(tmp_path / disc / "01 Intro.wav") for disc in ("CD1", "CD2")]
    for inputs in (songs, [song.parent for song in songs]):
        [(_, line)] = batch.plan(inputs, Order(tmp_path / "out"), CONFIG).errors
        name = re.search("--name '(.*?)'", line)[1]
        plan = batch.plan(inputs, Order(tmp_path / "out", name=name), CONFIG)
        assert (len(plan.jobs), plan.errors) == (2, [])


def test_songs_that_no_template_distinguishes_need_another_output_folder(tmp_path):
    songs = [make_song(tmp_path / folder / "CD1" / "01.wav") for folder in ("a", "b")]
    [(_, line)] = batch.plan(songs, Order(tmp_path / "out"), CONFIG).errors
    assert "--name" not in line
    assert "another --output" in line


def test_a_song_of_the_name_of_one_that_was_made_before_does_not_replace_it(tmp_path):
    order = Order(tmp_path / "out")
    first, second = (make_song(tmp_path / disc / "song.wav", seed=seed) for seed, disc in enumerate(("CD1", "CD2")))
    do([first], order)
    made = files_below(tmp_path / "out")
    [outcome] = do([second], order)
    assert outcome.status == "failed"
    assert str(first) in outcome.message
    assert files_below(tmp_path / "out") == made
    first.rename(tmp_path / "moved.wav")
    assert statuses(do([second], order)) == {"song.wav": "done"}


def test_names_that_differ_in_case_collide_only_where_the_file_system_takes_them_for_one(tmp_path, monkeypatch):
    songs = [make_song(tmp_path / name) for name in ("one/Song.wav", "two/song.wav")]
    assert not batch.plan(songs, Order(tmp_path / "out"), CONFIG).errors
    monkeypatch.setattr(names, "ignores_case", lambda folder: True)
    [(source, _)] = batch.plan(songs, Order(tmp_path / "out"), CONFIG).errors
    assert source == songs[1]


def test_a_video_beside_a_sound_of_its_name_is_skipped_with_a_line(tmp_path):
    make_song(tmp_path / "in" / "song.mp3")
    for name in ("song.MP4", "other.mp4"):
        make_song(tmp_path / "in" / name)
    plan = batch.plan([tmp_path / "in"], Order(tmp_path / "out"), CONFIG)
    assert [job.source.name for job in plan.jobs] == ["other.mp4", "song.mp3"]
    assert plan.notes == [f"{tmp_path}/in/song.MP4: skipped because song.mp3 is beside it"]


@pytest.mark.parametrize("suffix", ["avi", "mpg", "vob", "flv", "wmv", "m4v", "3gp", "snd", "dts", "MKV"])
def test_sounds_and_videos_of_rarer_endings_are_found(tmp_path, suffix):
    song = make_song(tmp_path / "in" / f"song.{suffix}")
    assert list(find_inputs([tmp_path / "in"]).parents) == [song]


def test_a_transport_stream_is_found_and_a_program_of_its_ending_is_not(tmp_path):
    (tmp_path / "video.ts").write_bytes(b"G" + bytes(187))
    (tmp_path / "program.ts").write_text("const a = 1;")
    os.mkfifo(tmp_path / "pipe.ts")
    assert [path.name for path in find_inputs([tmp_path]).parents] == ["video.ts"]


def test_a_folder_without_a_song_gives_a_line_that_says_what_it_contains(tmp_path):
    (tmp_path / "cover.jpg").write_bytes(b"no sound")
    [(_, line)] = find_inputs([tmp_path]).errors
    assert "no sound file in this folder (only .jpg)" in line


def test_an_unreadable_folder_gives_a_line_and_the_others_are_processed(tmp_path, monkeypatch):
    song = make_song(tmp_path / "in" / "open" / "a.wav")
    locked = make_song(tmp_path / "in" / "locked" / "b.wav").parent
    scandir = os.scandir

    def refuse(path):
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    for given in (tmp_path / "in", locked):
        plan = batch.plan([given], Order(tmp_path / "out"), CONFIG)
        assert plan.errors == [(locked, f"{locked}: permission denied")]
    assert [job.source for job in batch.plan([tmp_path / "in"], Order(tmp_path / "out"), CONFIG).jobs] == [song]


def test_patterns_leave_out_files_and_folders(tmp_path):
    for name in ("a.wav", "b live.wav", "demos/c.wav", "more/demos/d.wav", "more/e.wav"):
        make_song(tmp_path / name)
    found = find_inputs([tmp_path, tmp_path / "b live.wav"], ["*live*", "demos"])
    assert [path.name for path in found.parents] == ["a.wav", "e.wav"]


def test_file_in_the_name_tells_inputs_apart_that_differ_in_suffix(tmp_path):
    make_song(tmp_path / "in" / "song.wav")
    make_song(tmp_path / "in" / "song.wave")
    do([tmp_path / "in"], Order(tmp_path / "out", name="{parent}/{file}/{stem}"))
    assert {p.parent.name for p in tmp_path.glob("out/*/vocals.wav")} == {"song.wav", "song.wave"}


def test_the_name_template_sets_the_paths_of_the_stems(tmp_path):
    song = make_song(tmp_path / "song.wav")
    do([song], Order(tmp_path / "out", name="{track} ({stem})"))
    names = {p.name for p in (tmp_path / "out").iterdir() if p.name[0] != "."}
    assert names == {"song (vocals).wav", "song (accompaniment).wav"}


def test_tags_of_the_song_can_name_its_outputs_and_its_file_is_the_title_by_default(tmp_path):
    path = tmp_path / "song.ogg"
    with soundfile.SoundFile(path, "w", 8000, 1) as file:
        file.title, file.artist = "../T: a/b", "AC/DC"
        file.write(np.sin(np.arange(4000) / 4))
    do(
        [path, make_song(tmp_path / "untagged.wav")],
        Order(tmp_path / "out", name="{artist}/{album}/{title} {track} {stem}"),
    )
    found = {path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.glob("out/*/*/*vocals.wav")}
    assert found == {"AC_DC/unknown/_T_ a_b song vocals.wav", "unknown/unknown/untagged untagged vocals.wav"}


def test_nothing_is_written_through_a_link_out_of_the_output_folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "private").mkdir()
    (tmp_path / "out" / "song").symlink_to(tmp_path / "private")
    order = Order(tmp_path / "out")
    [outcome] = do([make_song(tmp_path / "song.wav")], order)
    assert "leads outside the output folder" in outcome.message
    (tmp_path / "out" / "song").unlink()
    plan = batch.plan([tmp_path / "song.wav"], order, CONFIG)
    (tmp_path / "out" / "song").symlink_to(tmp_path / "private")  # between the plan and the work
    [outcome] = batch.run(plan, order, CONFIG)
    assert "leads outside the output folder" in outcome.message
    assert files_below(tmp_path / "private") == {}


@pytest.mark.parametrize(
    "name", ["{parent}./{track}/{stem}", "{parent}/./{track}/{stem}", "{parent}{parent}/{track}/{stem}"]
)
def test_no_name_leads_out_of_the_output_folder(tmp_path, name):
    make_song(tmp_path / "in" / "song.wav")
    make_song(tmp_path / "in" / "..." / "song 2.wav")
    for outcome in do([tmp_path / "in"], Order(tmp_path / "out", name=name)):
        assert all((tmp_path / "out").resolve() in path.resolve().parents for path in outcome.paths)
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("../{track}/{stem}", "outside"),
        ("/tmp/{track}/{stem}", "outside"),
        ("{parent}/../../{track}/{stem}", "outside"),
        ("{track}", "needs {stem}"),
        ("{stem}", "{track} or {file}"),
        ("{track}/{stem}/{singer}", "unknown field {singer}"),
        ("{}/{track}/{stem}", "unknown field {}"),
        ("{track:{track}}/{stem}", "no other braces"),
        ("{" * 2000 + "track" + "}" * 2000 + "{stem}{track}", "no other braces"),
        ("{track}/\0{stem}", "null character"),
        ("{track.__class__}/{stem}", "no other braces"),
        ("{track!r}/{stem}", "no other braces"),
        ("{track/{stem}", "no other braces"),
    ],
)
def test_a_name_that_leads_outside_the_output_folder_is_rejected(tmp_path, name, match):
    with pytest.raises(ConfigError, match=match):
        batch.plan([make_song(tmp_path / "song.wav")], Order(tmp_path / "out", name=name), CONFIG)


@pytest.mark.parametrize("name", ["...wav", "..wav"])
def test_a_track_cannot_lead_out_of_the_output_folder(tmp_path, name):
    plan = batch.plan([make_song(tmp_path / name)], Order(tmp_path / "out"), CONFIG)
    assert [line for _, line in plan.errors if "rename" in line]
    assert not plan.jobs


def test_names_as_long_as_can_be_work_and_longer_ones_are_faults(tmp_path):
    songs = [make_song(tmp_path / ("ö" * 115 + "x" * n + ".wav")) for n in (5, 6)]
    order = Order(tmp_path / "out", name="{track} ({stem})")  # one of the names has 255 bytes
    plan = batch.plan(songs, order, CONFIG)
    assert [source for source, _ in plan.errors] == songs[1:]
    assert "would have a name of 256 bytes" in plan.errors[0][1]
    [fault, outcome] = batch.run(plan, order, CONFIG)
    assert (fault.status, outcome.status) == ("failed", "done")
    far = tmp_path / ("x/" * 1950)  # a path has room for 4096 bytes
    assert "cannot be created (file name too long)" in batch.plan(songs[:1], Order(far), CONFIG).errors[0][1]
    with pytest.raises(ConfigError, match="cannot be created"):
        batch.plan(songs, Order(far / ("x" * 250)), CONFIG)


@pytest.mark.parametrize("name", ["-o.wav", "größe 歌.wav", "a\nb.wav", "x" * 250 + ".wav", "100%s {track}.wav"])
def test_unusual_file_names_work(tmp_path, name):
    [outcome] = do([make_song(tmp_path / name)], Order(tmp_path / "out"))
    assert outcome.paths[0] == tmp_path / "out" / name[:-4] / "vocals.wav"
    assert outcome.paths[0].exists()


def test_an_input_is_never_written_over(tmp_path):
    song = make_song(tmp_path / "song" / "vocals.wav")
    plan = batch.plan([song, make_song(tmp_path / "song.wav")], Order(tmp_path), CONFIG)
    assert [job.source for job in plan.jobs] == [song]
    assert "itself an input" in plan.errors[0][1]


@pytest.mark.parametrize("container", ["wav", "flac", "ogg", "mp3"])
def test_a_stem_that_was_moved_is_no_song_unless_it_is_named(tmp_path, container):
    song = make_song(tmp_path / "Music" / "song.wav", seconds=1.0)
    do([song], Order(tmp_path / "out", batch.STEMS, container=container))
    moved = (tmp_path / "out" / "song" / f"vocals.{container}").rename(tmp_path / "Music" / f"a.{container}")
    plan = batch.plan([tmp_path / "Music"], Order(tmp_path / "again"), CONFIG)
    assert [job.source for job in plan.jobs] == [song]
    assert plan.notes == [f"{moved}: skipped because karaoke-sep made it; name the file to separate it"]
    assert [job.source for job in batch.plan([moved], Order(tmp_path / "again"), CONFIG).jobs] == [moved]


def test_a_sound_of_another_length_is_a_song_although_an_editor_kept_the_mark_of_a_stem(tmp_path):
    song = make_song(tmp_path / "song.wav", seconds=1.0)
    do([song], Order(tmp_path / "out"))
    stem = tmp_path / "out" / "song" / "vocals.wav"
    samples, rate_hz = soundfile.read(stem)
    with soundfile.SoundFile(stem) as before:
        software = before.copy_metadata()["software"]
    mix = tmp_path / "mixes" / "mix.wav"
    mix.parent.mkdir()
    with soundfile.SoundFile(mix, "w", rate_hz, 1, "PCM_16") as file:
        file.software = software
        file.write(np.tile(samples, 6))
    assert [job.source for job in batch.plan([mix.parent], Order(tmp_path / "again"), CONFIG).jobs] == [mix]
