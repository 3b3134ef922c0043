"""The report page as a parser reads it; test_report_browser.py has it at work in a browser."""

import base64
import json
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from report_pages import NASTY, PNG, RATE_HZ, SECONDS, Page, call, page_of

from karaoke_sep import __version__, batch
from karaoke_sep.cli import report as cli_report
from karaoke_sep.files import contours, reading, writing
from karaoke_sep.report import addresses, names, page, references
from karaoke_sep.types import Audio, PitchTrack


def test_every_link_of_the_page_leads_to_a_file_beside_it_and_none_to_the_network(made):
    report = page_of(made / "out")
    assert report.path == made / "out" / "report.html"
    found = {(report.path.parent / unquote(address)).resolve() for address in report.addresses()}
    wanted = {made / "in" / f"{name}.flac" for name in ("a song", NASTY)}
    files = ("vocals.wav", "accompaniment.wav", "pitch.csv", "notes.mid", "picture.png")
    wanted |= {path for path in (made / "out").rglob("*") if path.name in files}
    assert found == wanted
    text = report.path.read_text("utf-8")
    assert "http" not in text
    assert "//" not in "".join(report.addresses())


def test_a_page_is_replaced_and_a_file_made_elsewhere_is_kept(made, tmp_path):
    path = tmp_path / "report.html"
    for _ in range(2):
        assert call("report", made / "out", "-o", path)[0] == 0
    path.write_text("<!doctype html><title>My songs</title>")
    code, _, err = call("report", made / "out", "-o", path)
    assert (code, err) == (2, [f"Error: {path}: was made elsewhere and is kept; give another --output, or remove it"])
    assert "My songs" in path.read_text()


def test_names_and_tags_are_shown_as_text(made):
    report = page_of(made / "out")
    assert [image["src"] for image in report.all("img") if image["src"] == "x"] == []
    assert [attrs for _, attrs in report.elements if "onerror" in attrs] == []
    assert report.text.count(NASTY) == 4  # the name, title and artist, the file
    assert page_of(made / "out", "--title", "</title><b>", "-o", made / "t.html").all("b") == []


def test_the_page_shows_settings_and_versions(made):
    report = page_of(made / "out")
    assert "wiener.exponent = 1.5" in report.text
    assert __version__ in report.text
    assert f"numpy {np.__version__}" in report.text


def test_the_line_of_a_track_names_few_settings_and_the_details_name_all(made):
    [result, _] = batch.results(made / "out")[0]
    assert len(result.changes) > 10  # the config `fast`
    line = names.settings(result, 2)
    assert line.endswith(f" · {len(result.changes) - 2} more settings that are not defaults")
    assert all(f"{key} = {value}" in line for key, value in list(result.changes.items())[:2])
    assert names.settings(result) == " · ".join(f"{key} = {value}" for key, value in result.changes.items())
    assert page_of(made / "out").text.count("more settings that are not defaults") == 2


def test_backing_tracks_of_other_strengths_are_told_apart_with_every_config(made, tmp_path):
    for strength in ("hard", "gentle"):
        order = ("-o", tmp_path / "tracks", "--config", "fast", "--strength", strength)
        assert call("karaoke", made / "in" / "a song.flac", *order)[0] == 0
    lines = [names.settings(result, 2) for result in batch.results(tmp_path / "tracks")[0]]
    assert ["wiener.voice_db = 6.0" in line for line in lines] == [True, False]
    assert ["wiener.voice_db = -6.0" in line for line in lines] == [False, True]


def test_a_song_whose_stems_and_backing_track_have_different_folders_has_one_name(made, tmp_path):
    song = made / "in" / "a song.flac"
    assert call("separate", song, "-o", tmp_path, "--config", "fast")[0] == 0
    assert call("karaoke", song, "-o", tmp_path, "--config", "fast")[0] == 0
    results = batch.results(tmp_path)[0]
    assert len({result.source for result in results}) == 2  # relative to the folders of the outputs
    assert names.headings(results, tmp_path) == ["a song", "a song"]


def test_references_give_figures_and_a_picture_of_what_has_them(made):
    pytest.importorskip("matplotlib", reason="needs the extra [plots]")
    code, out, err = call("report", made / "out", "--references", made / "true", "-o", made / "with figures.html")
    assert (code, len(err)) == (0, 1)
    assert err[0].startswith(f"{NASTY}.flac: no reference stems")
    quiet = call("report", made / "out", "--references", made / "true", "-o", made / "with figures.html", "--quiet")
    assert quiet == (0, out, [])
    report = Page(Path(out[0]))
    assert report.text.count("SIR") == 1
    assert report.text.count("raw pitch") == 1
    assert (made / "out" / "a song" / "comparison.png").exists()
    result = next(result for result in batch.results(made / "out")[0] if result.source.stem == "a song")
    [_, reference] = references.find_references(batch.results(made / "out")[0], made / "out", made / "true")
    figures, _ = references.compare(result, reference)
    assert f"{figures['v2_vocals_sdr_db']:.1f}" in report.text
    assert f"{figures['raw_pitch_accuracy']:.1%}" in report.text


def test_reference_stems_of_another_length_cost_one_line_and_the_page_is_written(made, tmp_path):
    for stem in batch.STEMS:
        writing.write(tmp_path / "true" / "a song" / f"{stem}.wav", np.zeros((2, 8000)), RATE_HZ, "wav", "FLOAT")
    code, out, err = call("report", made / "out", "--references", tmp_path / "true", "-o", tmp_path / "page.html")
    assert (code, len(out)) == (1, 1)
    assert [line.partition(":")[0].endswith("a song.flac") for line in err] == [False, True]  # the other has none
    assert len(Page(Path(out[0])).all("article")) == 2


def test_an_embedding_page_holds_all_of_its_sounds(made, tmp_path):
    report = page_of(made / "out", "--embed", "-o", tmp_path / "page.html")
    assert all(address.startswith("data:") for address in report.addresses())
    sounds = report.sounds()[0]
    assert list(sounds) == ["mixture", "vocals", "accompaniment"]
    (tmp_path / "sound.mp3").write_bytes(base64.b64decode(sounds["mixture"].partition(",")[2]))
    mixture = reading.read(tmp_path / "sound.mp3")[0]
    truth = reading.read(made / "in" / "a song.flac")[0]
    assert mixture.duration_s == pytest.approx(SECONDS, abs=0.1)
    assert np.corrcoef(mixture.samples[0, : truth.n_samples], truth.samples[0, : mixture.n_samples])[0, 1] > 0.98


@pytest.mark.parametrize("n_channels", [1, 6])
def test_any_rate_and_number_of_channels_can_be_embedded(tmp_path, n_channels):
    sound = Audio(0.1 * np.random.default_rng(0).standard_normal((n_channels, 96000)), 96000)
    (tmp_path / "sound.mp3").write_bytes(writing.mp3(sound))
    assert reading.read(tmp_path / "sound.mp3")[0].duration_s == pytest.approx(1.0, abs=0.1)


def test_a_track_without_its_song_or_a_stem_is_shown_with_what_is_left(made, tmp_path):
    shutil.copytree(made / "out", tmp_path / "out")  # the songs are not where they were
    (tmp_path / "out" / "a song" / "vocals.flac").unlink(missing_ok=True)
    (tmp_path / "out" / "a song" / "vocals.wav").unlink(missing_ok=True)
    (tmp_path / "out" / "a song" / "pitch.csv").write_text("edited into nonsense")
    report = page_of(tmp_path / "out")
    assert {tuple(sounds) for sounds in report.sounds()} == {("accompaniment",), ("vocals", "accompaniment")}
    assert f"{tmp_path}/out/a song/pitch.csv" in report.text  # one line says which contour cannot be read


def test_a_damaged_record_gives_one_line_and_exit_code_1(made, tmp_path):
    shutil.copytree(made / "out", tmp_path / "out")
    [damaged] = (tmp_path / "out" / "a song" / ".karaoke-sep").glob("*.json")
    damaged.write_text('{"files": {}}')
    code, out, err = call("report", tmp_path / "out")
    assert (code, len(out)) == (1, 1)
    assert err == [f"{damaged}: is damaged, or of another version, and is ignored; separate its track again"]
    assert len(Page(Path(out[0])).all("article")) == 1


@pytest.mark.parametrize(("broken", "content"), [("picture.png", PNG[:10]), ("vocals.wav", b"RIFF")])
@pytest.mark.parametrize("options", [[], ["--embed"]])
def test_a_track_with_a_damaged_file_gives_one_line_and_the_others_are_shown(made, tmp_path, broken, content, options):
    shutil.copytree(made / "out", tmp_path / "out")
    (tmp_path / "out" / "a song" / broken).write_bytes(content)
    code, out, err = call("report", tmp_path / "out", *options)
    assert (code, len(out), len(err)) == (1, 1, 1)
    assert err[0].startswith(f"{tmp_path}/out/a song/{broken}: ")
    assert len(Page(Path(out[0])).all("article")) == 1


def test_a_backing_track_shows_key_tempo_and_level_and_plays_beside_the_original(made, tmp_path):
    pytest.importorskip("python_stretch", reason="needs the extra [stretch]")
    changes = ["--tempo", "1.25", "--key", "-2", "--vocals-level", "-12"]
    assert call("karaoke", made / "in" / "a song.flac", "-o", tmp_path, *changes, "--config", "fast")[0] == 0
    report = page_of(tmp_path)
    [article] = report.all("article")
    sounds = json.loads(article["data-sounds"])
    assert [(sound["name"], sound["tempo"]) for sound in sounds] == [("mixture", 1), ("karaoke", 1.25)]
    assert (tmp_path / unquote(sounds[0]["src"])).resolve() == made / "in" / "a song.flac"
    assert float(article["data-seconds"]) == SECONDS  # times are times of the song
    assert "key −2 semitones · tempo ×1.25 · vocals at −12 dB" in report.text
    assert "Original" in report.text
    assert "--save-pitch" not in report.text


def test_a_clip_with_the_voice_in_one_ear_is_not_played_as_the_mixture(tmp_path, demo):
    song = demo(RATE_HZ, 3.0)
    both = np.stack([song.accompaniment.samples[0], song.vocals.samples[0]])
    writing.write(tmp_path / "clip.wav", both, RATE_HZ, "wav", "FLOAT")
    made = ["separate", tmp_path / "clip.wav", "--layout", "mir1k", "-o", tmp_path / "out", "--config", "fast"]
    assert call(*made)[0] == 0
    report = page_of(tmp_path / "out")
    assert [list(sounds) for sounds in report.sounds()] == [["vocals", "accompaniment"]]
    choices = [button["data-sound"] for button in report.all("button") if button["class"] == "choice"]
    assert choices == ["mixture", "vocals", "accompaniment"]
    assert "MIR-1K layout" in report.text


def test_an_excerpt_is_not_played_beside_the_whole_song(made, tmp_path):
    part = ["--start", "2", "--duration", "4", "--config", "fast"]
    assert call("separate", made / "in" / "a song.flac", "-o", tmp_path, *part)[0] == 0
    report = page_of(tmp_path)
    assert [list(sounds) for sounds in report.sounds()] == [["vocals", "accompaniment"]]
    assert float(report.all("article")[0]["data-seconds"]) == 4


def test_tracks_of_one_name_show_their_folders_and_suffixes(made, tmp_path):
    [result, _] = batch.results(made / "out")[0]
    tracks = [("a", "song.mp3"), ("b", "song.mp3"), ("b", "song.flac"), ("", "song.mp3")]
    results = [
        replace(result, place=batch.Place(tmp_path / folder, "{stem}"), source=Path(name), tags={})
        for folder, name in tracks
    ]
    assert names.headings(results, tmp_path) == ["song", "song.mp3", "song.flac", "song"]
    page.write(tmp_path / "page.html", results, "page", tmp_path)
    read = Page(tmp_path / "page.html")
    searched = [article["data-search"] for article in read.all("article")]
    assert searched == ["song a", "song.mp3 b", "song.flac b", "song"]
    assert [read.text.count(f"in {folder} · ") for folder in ("a", "b")] == [1, 2]


def test_the_size_of_a_large_page_is_said_before_it_is_written(made, tmp_path, monkeypatch):
    results, _ = batch.results(made / "out")
    page_of(made / "out", "--embed", "-o", tmp_path / "page.html")
    written_mb = (tmp_path / "page.html").stat().st_size / 1e6
    assert written_mb < addresses.embedded_mb(results) < 2.5 * written_mb  # 16 kHz needs less than the usual 44.1 kHz
    monkeypatch.setattr(cli_report, "LARGE_PAGE_MB", 0.1)
    code, _, err = call("report", made / "out", "--embed", "-o", tmp_path / "page.html")
    assert (code, len(err)) == (0, 1)
    assert "MB" in err[0]


def test_references_in_a_folder_named_true_are_read(made, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="needs the extra [plots]")
    monkeypatch.chdir(made)
    code, out, _ = call("report", "out", "--references", "true", "-o", tmp_path / "page.html")
    assert code == 0
    assert "NSDR" in Page(Path(out[0])).text
    code, out, err = call("report", "out", "--references", "false")
    assert (code, out) == (2, [])
    assert err == ["Error: false: no such folder"]


@pytest.mark.parametrize("what", ["absent", "."])
def test_a_folder_without_results_is_an_error_of_one_line(tmp_path, what):
    code, out, err = call("report", tmp_path / what)
    assert (code, out, len(err)) == (2, [], 1)


def test_a_contour_is_drawn_where_sung(tmp_path):
    times_s = np.arange(0, 4.001, 0.01)
    f0_hz = np.where(times_s < 2, 200.0, 400.0)
    contours.write(tmp_path / "pitch.csv", PitchTrack(times_s, f0_hz, (np.abs(times_s - 2) > 0.5).astype(float)))
    result = batch.Result(
        batch.Place(tmp_path, "s"), {"pitch": tmp_path / "pitch.csv"}, tmp_path / "s", 4.0, {}, "", {}, {}
    )
    page.write(tmp_path / "page.html", [result], "page", tmp_path)
    [path] = Page(tmp_path / "page.html").all("path")
    first, second = path["d"].removeprefix("M").split("M")
    points = [[tuple(map(float, p.split())) for p in line.split("L")] for line in (first, second)]
    assert [line[0][0] for line in points] == pytest.approx([0, 500], abs=3)  # of 800
    assert [line[-1][0] for line in points] == pytest.approx([300, 799], abs=3)
    assert points[0][0][1] > points[1][0][1]  # downwards is lower
    assert Page(tmp_path / "page.html").text.index("400 Hz") < Page(tmp_path / "page.html").text.index("200 Hz")
