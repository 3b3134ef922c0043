"""Existing outputs: made again, kept, or not touched."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from batches import CONFIG, do, files_below, hidden_below, make_song, record_of, statuses

from karaoke_sep import batch
from karaoke_sep.batch import Order, running
from karaoke_sep.config import load_config
from karaoke_sep.files import atomic
from karaoke_sep.processes.locks import locked


def times_of(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_second_run_makes_nothing_again(tmp_path):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    do([song], order)
    made = times_of(tmp_path / "out" / "song")
    assert statuses(do([song], order)) == {"song.wav": "skipped"}
    assert times_of(tmp_path / "out" / "song") == made


def change_input(song, stems):
    make_song(song, seed=1)


def remove_stem(song, stems):
    (stems / "vocals.wav").unlink()


def age(song, stems):
    path, record = record_of(stems)
    for made in record["files"].values():
        made["version"] = "0.0.1"
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (change_input, "input has changed"),
        (remove_stem, "vocals.wav is missing"),
        (age, "version 0.0.1"),
    ],
)
def test_stale_outputs_are_made_again_and_the_reason_is_reported(tmp_path, spoil, reason):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    do([song], order)
    spoil(song, tmp_path / "out" / "song")
    [job] = batch.plan([song], order, CONFIG).jobs
    assert job.state == "stale"
    assert reason in job.reason
    assert statuses(do([song], order)) == {"song.wav": "done"}
    assert statuses(do([song], order)) == {"song.wav": "skipped"}


@pytest.mark.parametrize(
    ("changes", "overrides"),
    [
        ({}, ["stft.hop_ms=17"]),
        ({"subtype": "PCM_24"}, []),
        ({"clip": "float"}, []),
    ],
)
def test_other_settings_make_it_stale(tmp_path, changes, overrides):
    song = make_song(tmp_path / "song.wav")
    do([song], Order(tmp_path / "out"))
    plan = batch.plan([song], Order(tmp_path / "out", **changes), load_config("fast", overrides))
    assert [job.state for job in plan.jobs] == ["stale"]


def test_one_stem_is_up_to_date_after_both_were_made(tmp_path):
    song = make_song(tmp_path / "song.wav")
    do([song], Order(tmp_path / "out"))
    [job] = batch.plan([song], Order(tmp_path / "out", ("vocals",)), CONFIG).jobs
    assert job.state == "done"


def edit_and_keep_size(path):
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def edit_and_keep_size_and_time(path):
    status = path.stat()
    edit_and_keep_size(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def edit_into_a_new_file(path):
    new = path.with_name("new")
    new.write_bytes(path.read_bytes() + b"!")
    new.replace(path)


def empty(path):
    path.write_bytes(b"")


def replace_with_a_folder(path):
    path.unlink()
    path.mkdir()


def change_input_too(song, order, config):
    make_song(song, seed=1)
    return order, config


def change_settings_too(song, order, config):
    return order, load_config("fast", ["stft.hop_ms=17"])


def ask_for_more(song, order, config):
    return replace(order, products=(*order.products, "pitch", "notes")), config


def change_nothing_else(song, order, config):
    return order, config


@pytest.mark.parametrize(
    "change", [change_nothing_else, change_input_too, change_settings_too, ask_for_more], ids=lambda f: f.__name__
)
@pytest.mark.parametrize(
    "edit",
    [edit_and_keep_size, edit_and_keep_size_and_time, edit_into_a_new_file, empty, replace_with_a_folder],
    ids=lambda f: f.__name__,
)
def test_files_changed_by_hand_are_kept_with_a_message_and_the_others_are_made(tmp_path, edit, change):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    do([song], order)
    vocals = tmp_path / "out" / "song" / "vocals.wav"
    edit(vocals)
    before = vocals.read_bytes() if vocals.is_file() else b""
    order, config = change(song, order, CONFIG)
    [outcome] = do([song], order, config)
    assert "vocals.wav" in "".join((outcome.message, *outcome.warnings))
    assert "changed" in "".join((outcome.message, *outcome.warnings))
    assert vocals.is_dir() or vocals.read_bytes() == before
    whole = replace(order, output=tmp_path / "whole", products=tuple(p for p in order.products if p != "vocals"))
    do([song], whole, config)
    made = files_below(tmp_path / "out")
    made.pop("song/vocals.wav", None)
    assert made == files_below(tmp_path / "whole")


def test_overwrite_replaces_what_was_changed_by_hand(tmp_path):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    do([song], order)
    made = files_below(tmp_path / "out")
    edit_and_keep_size(tmp_path / "out" / "song" / "vocals.wav")
    do([song], order, overwrite=True)
    assert files_below(tmp_path / "out") == made


def test_files_that_were_copied_with_their_record_are_not_taken_for_changed(tmp_path):
    song = make_song(tmp_path / "song.wav")
    do([song], Order(tmp_path / "out"))
    shutil.copytree(tmp_path / "out", tmp_path / "copy", copy_function=shutil.copyfile)
    assert statuses(do([song], Order(tmp_path / "copy"))) == {"song.wav": "skipped"}
    make_song(song, seed=1)
    assert statuses(do([song], Order(tmp_path / "copy"))) == {"song.wav": "done"}


def test_a_file_that_the_user_creates_in_the_meantime_is_kept(tmp_path, monkeypatch):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    make, vocals = running.make, tmp_path / "out" / "song" / "vocals.wav"

    def save_meanwhile(*arguments):
        outcome = make(*arguments)
        vocals.write_bytes(b"mine")
        return outcome

    monkeypatch.setattr(running, "make", save_meanwhile)
    [outcome] = do([song], order)
    assert vocals.read_bytes() == b"mine"
    assert "vocals.wav was changed since it was made and is kept" in outcome.warnings[0]
    assert [job.state for job in batch.plan([song], order, CONFIG).jobs] == ["done"]


@pytest.mark.parametrize("product", ["pitch", "notes", "ultrastar"])
def test_files_corrected_by_hand_are_kept_and_missing_files_are_made(tmp_path, product):
    song = make_song(tmp_path / "song.wav")
    order = Order(tmp_path / "out", (*batch.STEMS, product))
    do([song], order)
    [job] = batch.plan([song], order, CONFIG).jobs
    path = job.targets[product]
    path.write_bytes(path.read_bytes() + b"100,220,1\n")
    assert statuses(do([song], order)) == {"song.wav": "skipped"}
    path.unlink()
    assert statuses(do([song], order)) == {"song.wav": "done"}
    assert path.exists()


def test_notes_in_tune_are_made_again_with_bends(tmp_path):
    song = make_song(tmp_path / "song.wav")
    order = Order(tmp_path / "out", (*batch.STEMS, "notes"), bends=False)
    do([song], order)
    assert statuses(do([song], order)) == {"song.wav": "skipped"}
    assert [job.state for job in batch.plan([song], replace(order, bends=True), CONFIG).jobs] == ["stale"]


def test_ultrastar_takes_title_and_artist_from_the_tags(tmp_path):
    path = tmp_path / "song.ogg"
    with soundfile.SoundFile(path, "w", 8000, 1) as file:
        file.title, file.artist = "A title", "Somebody"
        file.write(np.sin(np.arange(4000) / 4))
    do([path], Order(tmp_path / "out", (*batch.STEMS, "ultrastar")))
    lines = (tmp_path / "out" / "song" / "ultrastar.txt").read_text().splitlines()
    assert lines[1:4] == ["#TITLE:A title", "#ARTIST:Somebody", "#MP3:song.ogg"]


def test_overwrite_makes_again(tmp_path):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    do([song], order)
    assert statuses(do([song], order, overwrite=True)) == {"song.wav": "done"}


def test_stems_of_another_program_are_kept_unless_overwrite_is_given(tmp_path):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    for stem in batch.STEMS:
        make_song(tmp_path / "out" / "song" / f"{stem}.wav")
    foreign = files_below(tmp_path / "out")
    assert statuses(do([song], order)) == {"song.wav": "skipped"}
    assert files_below(tmp_path / "out") == foreign
    assert statuses(do([song], order, overwrite=True)) == {"song.wav": "done"}


def test_a_single_stem_of_another_program_is_an_error_and_is_kept(tmp_path):
    song = make_song(tmp_path / "song.wav")
    make_song(tmp_path / "out" / "song" / "vocals.wav")
    foreign = files_below(tmp_path / "out")
    [outcome] = do([song], Order(tmp_path / "out"))
    assert "made elsewhere" in outcome.message
    assert files_below(tmp_path / "out") == foreign


@pytest.mark.parametrize("n_renamed", range(10))
def test_the_next_run_makes_the_interrupted_outputs(tmp_path, monkeypatch, n_renamed):
    """Stopped before the n-th renaming: parts of voice, pitch and both stems, record, the four files, record."""
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    rename, calls = os.replace, []

    def stop_at(source, target):
        if len(calls) == n_renamed:
            raise KeyboardInterrupt
        calls.append(target)
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop_at)
        with pytest.raises(KeyboardInterrupt):
            do([song], order)
    assert len(files_below(tmp_path / "out")) == min(max(0, n_renamed - 5), 2)
    assert [path for path in hidden_below(tmp_path / "out") if path.suffix != ".json"] == []
    do([song], Order(tmp_path / "whole"))
    assert set(statuses(do([song], order)).values()) == {"skipped" if n_renamed >= 7 else "done"}
    assert files_below(tmp_path / "out") == files_below(tmp_path / "whole")


@pytest.mark.parametrize("n_renamed", range(6))
def test_a_stem_that_was_cleaned_after_an_interruption_is_kept(tmp_path, monkeypatch, n_renamed):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    do([song], order)
    make_song(song, seed=1)
    rename, calls = os.replace, []

    def stop_at(source, target):
        if len(calls) == n_renamed:
            raise KeyboardInterrupt
        calls.append(target)
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop_at)
        with pytest.raises(KeyboardInterrupt):
            do([song], order)
    vocals = tmp_path / "out" / "song" / "vocals.wav"
    vocals.write_bytes(vocals.read_bytes()[:-4] + b"mine")
    edited = vocals.read_bytes()
    do([song], order)
    do([song], Order(tmp_path / "whole"))
    assert vocals.read_bytes() == edited
    accompaniments = [tmp_path / way / "song" / "accompaniment.wav" for way in ("out", "whole")]
    assert accompaniments[0].read_bytes() == accompaniments[1].read_bytes()


def test_temporary_files_of_a_killed_process_are_removed(tmp_path):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    [job] = batch.plan([song], order, CONFIG).jobs
    job.place.parts.mkdir(parents=True)
    (job.place.parts / "half").write_bytes(b"half")
    job.place.lock.touch()
    do([song], order)
    assert hidden_below(tmp_path / "out") == [job.place.record]


def test_a_failed_song_leaves_no_files(tmp_path):
    soundfile.write(tmp_path / "nan.wav", np.full(8000, np.nan), 8000, "FLOAT")
    do([tmp_path / "nan.wav"], Order(tmp_path / "out"))
    assert [path for path in (tmp_path / "out").rglob("*") if path.name == ".karaoke-sep"] == []


def test_a_full_disk_fails_the_file_with_one_line(tmp_path, monkeypatch):
    song = make_song(tmp_path / "song.wav")

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    [outcome] = do([song], Order(tmp_path / "out"))
    assert outcome.status == "failed"
    assert "no space left on device" in outcome.message
    assert not files_below(tmp_path / "out")


def test_a_run_waits_for_another_at_work_on_the_same_song_and_finds_it_done(tmp_path):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    plan = batch.plan([song], order, CONFIG)
    with ThreadPoolExecutor() as threads:
        with locked(plan.jobs[0].place.lock):
            other = threads.submit(lambda: list(batch.run(plan, order, CONFIG)))
            time.sleep(0.3)  # s
            assert not other.done()
            assert not files_below(tmp_path / "out")
        first, second = statuses(do([song], order)), statuses(other.result())
    assert {first["song.wav"], second["song.wav"]} <= {"done", "skipped"}
    assert [path.suffix for path in hidden_below(tmp_path / "out")] == [".json"]


def test_a_lock_is_free_when_its_holder_was_killed(tmp_path):
    code = f"""
import os, signal
from pathlib import Path
from karaoke_sep.processes.locks import locked
with locked(Path({str(tmp_path / "lock")!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert (tmp_path / "lock").exists()
    with locked(tmp_path / "lock", patience_s=0):
        pass
    assert not (tmp_path / "lock").exists()


def test_an_input_that_changes_while_it_is_read_is_not_called_done(tmp_path, monkeypatch):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    make = running.make

    def change_meanwhile(*arguments):
        outcome = make(*arguments)
        make_song(song, seed=1)
        return outcome

    with monkeypatch.context() as patch:
        patch.setattr(running, "make", change_meanwhile)
        [outcome] = do([song], order)
    assert "was changed while it was read" in outcome.message
    assert not files_below(tmp_path / "out")
    assert statuses(do([song], order)) == {"song.wav": "done"}


def test_an_input_that_vanishes_is_its_own_line(tmp_path):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    plan = batch.plan([song], order, CONFIG)
    song.unlink()
    [outcome] = batch.run(plan, order, CONFIG)
    assert outcome.message == f"{song}: no such file or directory"


def test_the_record_holds_the_input_the_settings_and_the_content_of_the_stems(tmp_path):
    song = make_song(tmp_path / "song.wav")
    do([song], Order(tmp_path / "out"))
    _, record = record_of(tmp_path / "out")
    for stem in batch.STEMS:
        made = record["files"][f"{stem}.wav"]
        data = (tmp_path / "out" / "song" / f"{stem}.wav").read_bytes()
        assert made["identity"]["bytes"] == song.stat().st_size
        assert made["contents"] == [{"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}]
