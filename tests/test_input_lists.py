"""Lists of inputs from files and stdin, and patterns that leave some out."""

import pytest
from batches import make_song
from click.testing import CliRunner

from karaoke_sep.cli.main import main


@pytest.fixture
def songs(tmp_path, monkeypatch):
    """Three songs in the current folder; one has a strange name."""
    monkeypatch.chdir(tmp_path)
    return [str(make_song(tmp_path / name).relative_to(tmp_path)) for name in ("a.wav", "b ü.wav", "#c.wav")]


def planned(*arguments, stdin=b""):
    """Inputs that a dry run would separate."""
    result = CliRunner().invoke(main, ["separate", "--dry-run", *arguments], input=stdin)
    assert result.exit_code == 0, result.output
    return [line.split("\t")[1] for line in result.stdout.splitlines()]


def lines(names):
    return "".join(f"{name}\n" for name in names).encode()


@pytest.mark.parametrize("arguments", [["-"], ["--from-file", "-"]])
def test_a_list_comes_from_stdin(songs, arguments):
    assert planned(*arguments, stdin=lines(songs)) == songs


def test_a_list_comes_from_a_file_after_the_named_inputs(songs, tmp_path):
    (tmp_path / "list.m3u").write_bytes(b"\xef\xbb\xbf#EXTM3U\r\n#EXTINF:3,a\r\n\r\n" + songs[1].encode() + b"\r\n")
    assert planned(songs[0], "--from-file", "list.m3u") == songs[:2]


def test_a_list_of_powershell_is_read(songs, tmp_path):
    (tmp_path / "list.txt").write_bytes("\r\n".join(songs).encode("utf-16"))
    assert planned("--from-file", "list.txt") == songs


def test_names_may_be_ended_by_null_characters(songs):
    assert planned("-", stdin="\0".join([*songs, ""]).encode()) == songs


def test_patterns_leave_out_inputs_of_lists_and_folders(songs):
    assert planned("-", "--exclude", "b*", stdin=lines(songs)) == [songs[0], songs[2]]
    assert planned(".", "--exclude", "b*", "--exclude", "#*") == [songs[0]]


@pytest.mark.parametrize("pattern", ["live", "live/", "./live", "liv?/", "live/*"])
def test_a_pattern_leaves_out_a_folder_with_or_without_a_slash(songs, tmp_path, pattern):
    (tmp_path / "live").mkdir()
    make_song(tmp_path / "live" / "d.wav")
    assert len(planned(".")) == 4
    assert planned(".", "--exclude", pattern) == sorted(songs)


def test_a_folder_that_the_patterns_empty_is_said_to_be_so(songs):
    result = CliRunner().invoke(main, ["separate", ".", "--exclude", "*.wav"])
    assert result.stderr == ".: there is no sound file in this folder that --exclude does not leave out\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Missing argument"),
        (["-"], "the list of inputs is empty"),
        (["--from-file", "-"], "the list of inputs is empty"),
        (["--from-file", "absent"], "absent: cannot be read"),
        (["a.wav", ".", "--exclude", "*"], "--exclude: the patterns leave out all inputs"),
    ],
)
def test_a_list_that_is_missing_or_empty_is_wrong_use(songs, arguments, says):
    result = CliRunner().invoke(main, ["separate", *arguments], input=b"\n")
    assert result.exit_code == 2
    assert says in result.stderr
