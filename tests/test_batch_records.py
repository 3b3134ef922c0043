"""Records that are damaged or incomplete: they are ignored."""

import json
import os
from pathlib import Path

import pytest
from batches import CONFIG, do, files_below, hidden_below, make_song, record_of, statuses

from karaoke_sep import batch
from karaoke_sep.batch import Order
from karaoke_sep.files import atomic


def nested(depth):
    return b'{"karaoke-sep": 1, "name": "{stem}", "files": ' + b"[" * depth + b"]" * depth + b"}"


def with_value(record, key, value):
    """The bytes of a record in which one value of each entry is another."""
    for made in record["files"].values():
        made[key] = value
    return json.dumps(record).encode()


HOSTILE = {
    "empty": lambda record: b"",
    "an array": lambda record: b"[1]",
    "nested deep": lambda record: nested(200_000),
    "longer than any of ours": lambda record: json.dumps(record).encode() + b" " * (1 << 21),
    "not UTF-8": lambda record: b"\xff\xfe\x00",
    "seconds that are NaN": lambda record: with_value(record, "seconds", float("nan")),
    "seconds without end": lambda record: with_value(record, "seconds", float("inf")),
    "a number of 400 digits": lambda record: with_value(record, "seconds", 10**400),
    "a tag that is a number": lambda record: with_value(record, "tags", {"title": 1}),
    "half a character": lambda record: with_value(record, "tags", {"title": "\ud800"}),
    "a source that is half a character": lambda record: with_value(record, "source", "\ud800"),
    "no content": lambda record: with_value(record, "contents", []),
    "files elsewhere": lambda record: json.dumps(record).replace("vocals.wav", "../../vocals.wav").encode(),
    "an absolute name": lambda record: json.dumps(record).replace("vocals.wav", "/tmp/vocals.wav").encode(),
    "another format": lambda record: json.dumps(record | {"karaoke-sep": 99}).encode(),
}


@pytest.mark.parametrize("spoil", HOSTILE.values(), ids=HOSTILE)
def test_a_record_that_is_damaged_is_ignored_as_if_it_were_not_there(tmp_path, spoil):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    do([song], order)
    made = files_below(tmp_path / "out")
    path, record = record_of(tmp_path / "out")
    path.write_bytes(spoil(record))
    [job] = batch.plan([song], order, CONFIG).jobs
    assert (job.state, "made elsewhere" in job.reason) == ("done", True)
    assert files_below(tmp_path / "out") == made
    assert batch.results(tmp_path / "out")[0] == []
    assert "is ignored" in batch.results(tmp_path / "out")[1][0]


@pytest.mark.parametrize("put", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_pipe_instead_of_a_record_does_not_block(tmp_path, put):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    do([song], order)
    path, _ = record_of(tmp_path / "out")
    path.unlink()
    put(path)
    assert [job.state for job in batch.plan([song], order, CONFIG).jobs] == ["done"]
    assert batch.results(tmp_path / "out")[0] == []


def test_temporary_files_of_a_process_that_was_killed_at_its_last_step_are_removed_and_are_no_records(tmp_path):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    do([song], order)
    path, _ = record_of(tmp_path / "out")
    with atomic.whole_file(path) as part:
        part.write_text("half")
        left, half = part.name, part.read_bytes()
        part.write_bytes(path.read_bytes())
    (path.parent / left).write_bytes(half)
    path.with_suffix(".lock").touch()
    assert batch.results(tmp_path / "out")[1] == []
    assert statuses(do([song], order)) == {"song.wav": "skipped"}
    assert hidden_below(tmp_path / "out") == [path]
