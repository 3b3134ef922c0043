"""A file that the user names for an output is replaced only if this package made it."""

import json
import os

import pytest
from commands import FAST, call, make_song
from evaluations import run, write_dataset
from sounds import nmf_model

from karaoke_sep.errors import ConfigError, OutputError
from karaoke_sep.files import atomic

THESIS = b"years of work"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("MIR-1K"))


def test_info_replaces_its_own_picture_and_keeps_another(tmp_path):
    PIL_Image = pytest.importorskip("PIL.Image", reason="needs the extra [plots]")
    pytest.importorskip("matplotlib", reason="needs the extra [plots]")
    model, picture = nmf_model(tmp_path / "m.npz"), tmp_path / "x.png"
    for _ in range(2):
        assert call("info", model, "--plot", picture)[0] == 0
    PIL_Image.new("RGB", (8, 8)).save(picture)
    for content in (picture.read_bytes(), THESIS):
        picture.write_bytes(content)
        code, _, err = call("info", model, "--plot", picture)
        assert (code, err) == (
            2,
            [f"Error: {picture}: was made elsewhere and is kept; give another --plot, or remove it"],
        )
        assert picture.read_bytes() == content


def test_a_comparison_keeps_a_picture_that_was_made_elsewhere(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra [plots]")
    song = make_song(tmp_path)
    call("separate", song, "-o", tmp_path / "out", *FAST)
    stems, picture = tmp_path / "out" / "song", tmp_path / "out" / "song" / "comparison.png"
    arguments = ["report", tmp_path / "out", "--references", tmp_path / "true"]
    for stem in ("vocals", "accompaniment"):
        (tmp_path / "true" / "song").mkdir(parents=True, exist_ok=True)
        os.link(stems / f"{stem}.wav", tmp_path / "true" / "song" / f"{stem}.wav")
    for _ in range(2):
        assert call(*arguments)[0] == 0
    assert "comparison.png" in (tmp_path / "out" / "report.html").read_text()
    picture.write_bytes(THESIS)
    code, _, err = call(*arguments)
    assert (code, err) == (1, [f"{picture}: was made elsewhere and is kept; rename it"])
    assert picture.read_bytes() == THESIS
    assert "comparison.png" not in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize("option", ["--csv", "--json"])
def test_an_evaluation_replaces_its_own_figures_and_keeps_what_is_not_of_its_kind(dataset, tmp_path, option):
    path = tmp_path / "figures"
    arguments = ["mir1k", dataset, "--limit", "1", *FAST, option, path]
    for _ in range(2):
        run(*arguments, cwd=tmp_path)
    for content in (THESIS, b"name,method\r\n", b'{"methods": {"m": {}}}'):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=f"made elsewhere and is kept; give another {option}, or --overwrite"):
            run(*arguments, cwd=tmp_path)
        assert path.read_bytes() == content
    run(*arguments, "--overwrite", cwd=tmp_path)
    assert path.read_bytes() != content


def test_the_figures_of_another_run_are_kept(dataset, tmp_path):
    path = tmp_path / "figures.json"
    arguments = ["mir1k", dataset, "--limit", "1", *FAST, "--json", path]
    run(*arguments, cwd=tmp_path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"figures\.json: was made elsewhere and is kept"):
        run(*arguments, "--snr", "5", "--rows", tmp_path / "other.jsonl", cwd=tmp_path)
    assert path.read_bytes() == before


def test_two_files_of_an_evaluation_need_two_names(dataset, tmp_path):
    with pytest.raises(ConfigError, match="two of them name one file"):
        run("mir1k", dataset, "--csv", tmp_path / "x", "--json", tmp_path / "x", cwd=tmp_path)


def test_lines_of_a_report_are_added_to_a_report_only(tmp_path):
    song, report = make_song(tmp_path), tmp_path / "report.jsonl"
    arguments = ["separate", song, "-o", tmp_path / "out", *FAST, "--report"]
    call(*arguments, report)
    report.write_bytes(report.read_bytes() + b'{"source": "of a run that was kil')
    assert call(*arguments, report)[0] == 0
    first, _, last = report.read_text().splitlines()
    assert (json.loads(first)["status"], json.loads(last)["status"]) == ("done", "skipped")
    for path in (song, tmp_path / "thesis.txt"):
        path.write_bytes(THESIS if path != song else song.read_bytes())
        before = path.read_bytes()
        code, _, err = call(*arguments, path)
        assert (code, err[-1]) == (2, f"Error: {path}: was made elsewhere and is kept; give another --report")
        assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["demo_song.wav", "true/vocals.wav", "true/pitch.csv"])
def test_the_demo_replaces_no_other_song_or_contour(tmp_path, name):
    (tmp_path / "true").mkdir()
    (tmp_path / name).write_bytes(THESIS)
    code, out, err = call("demo", "-o", tmp_path, *FAST)
    assert (code, out) == (2, [])
    assert err == [f"Error: {tmp_path / name}: was made elsewhere and is kept; give another --output, or remove it"]
    assert (tmp_path / name).read_bytes() == THESIS
    assert not (tmp_path / "demo_song").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_a_device_is_never_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(OutputError, match="pipe: is not a regular file and is kept"),
        atomic.whole_file(tmp_path / "pipe") as part,
    ):
        part.write_text("x")
    assert (tmp_path / "pipe").is_fifo()
    code, _, err = call("report", tmp_path, "-o", tmp_path / "pipe")
    assert (code, err) == (
        2,
        [f"Error: {tmp_path / 'pipe'}: is not a regular file; give another --output, or remove it"],
    )
    assert {path.name for path in tmp_path.iterdir()} == {"pipe"}
