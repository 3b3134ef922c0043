"""The listening page: its text as a parser reads it, and the page at work in a real browser.

The browser is Chromium, driven by Playwright; without either those tests are skipped (scripts/test says how to get it).
"""

import base64
import json
import os
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from karaoke_sep import __version__, batch
from karaoke_sep.cli.main import main
from karaoke_sep.files import contours, reading, writing
from karaoke_sep.report import page as listening
from karaoke_sep.types import Audio, PitchTrack

RATE_HZ, SECONDS = 16000, 12.0
NASTY = """<img src=x onerror="alert(1)"> & 'q' #1 50% ö"""
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")


def call(*arguments):
    """Exit code, lines on stdout and lines on stderr."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout.splitlines(), result.stderr.splitlines()


@pytest.fixture(scope="module")
def made(tmp_path_factory, demo):
    """Two songs with all products, one of them with a nasty name and tags, and the true stems of the other."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "in").mkdir()
    song = demo(RATE_HZ, SECONDS)
    for name in ("a song", NASTY):
        with soundfile.SoundFile(folder / "in" / f"{name}.flac", "w", RATE_HZ, 2, "PCM_16") as file:
            if name == NASTY:
                file.title = file.artist = NASTY
            file.write(song.mixture.samples.T)
    products = ["--save-pitch", "--save-midi", "--config", "fast", "--set", "wiener.exponent=1.5"]
    assert call("separate", folder / "in", "--output", folder / "out", *products)[0] == 0
    for stem in batch.STEMS:
        writing.write(folder / "true" / "a song" / f"{stem}.wav", getattr(song, stem).samples, RATE_HZ, "wav", "FLOAT")
    contours.write(folder / "true" / "a song" / "pitch.csv", song.track)
    for result in batch.results(folder / "out")[0]:
        (result.sidecar.parent / "picture.png").write_bytes(PNG)
        record = json.loads(result.sidecar.read_text())
        record["files"]["picture"] = "picture.png"
        result.sidecar.write_text(json.dumps(record))
    return folder


class Page(HTMLParser):
    """Elements with their attributes, and the text of the page outside of scripts and styles."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.text, self.path, self.inside = [], "", path, ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.inside not in ("script", "style"):
            self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    def addresses(self):
        """Everything that the page links to."""
        sounds = [address for article in self.all("article") for address in json.loads(article["data-sounds"]).values()]
        return sounds + [image["src"] for image in self.all("img")] + [link["href"] for link in self.all("a")]


def page_of(folder, *options):
    code, out, err = call("report", folder, *options)
    assert (code, err) == (0, [])
    return Page(Path(out[0]))


def test_every_link_of_the_page_leads_to_a_file_beside_it_and_none_to_the_network(made):
    page = page_of(made / "out")
    assert page.path == made / "out" / "report.html"
    found = {(page.path.parent / unquote(address)).resolve() for address in page.addresses()}
    wanted = {made / "in" / f"{name}.flac" for name in ("a song", NASTY)}
    files = ("vocals.wav", "accompaniment.wav", "pitch.csv", "notes.mid", "picture.png")
    wanted |= {path for path in (made / "out").rglob("*") if path.name in files}
    assert found == wanted
    text = page.path.read_text("utf-8")
    assert "http" not in text
    assert "//" not in "".join(page.addresses())


def test_names_and_tags_are_text_and_nothing_else(made):
    page = page_of(made / "out")
    assert [image["src"] for image in page.all("img") if image["src"] == "x"] == []
    assert [attrs for _, attrs in page.elements if "onerror" in attrs] == []
    assert page.text.count(NASTY) == 4  # the name, title and artist, the file
    assert page_of(made / "out", "--title", "</title><b>", "-o", made / "t.html").all("b") == []


def test_the_page_tells_settings_and_versions(made):
    page = page_of(made / "out")
    assert "wiener.exponent=1.5" in page.text
    assert __version__ in page.text
    assert f"numpy {np.__version__}" in page.text


def test_references_give_figures_and_a_picture_of_what_has_them(made):
    pytest.importorskip("matplotlib", reason="needs the extra [plots]")
    page = page_of(made / "out", "--references", made / "true", "-o", made / "with figures.html")
    assert page.text.count("SIR") == 1
    assert page.text.count("raw pitch") == 1
    assert (made / "out" / "a song" / "comparison.png").exists()
    result = next(result for result in batch.results(made / "out")[0] if result.source.stem == "a song")
    [_, truth] = listening.find_truths(batch.results(made / "out")[0], made / "out", made / "true")
    figures, _ = listening.compare(result, truth)
    assert f"{figures['v2_vocals_sdr_db']:.1f}" in page.text
    assert f"{figures['raw_pitch_accuracy']:.1%}" in page.text


def test_true_stems_of_another_length_cost_one_line_and_the_page_is_written(made, tmp_path):
    for stem in batch.STEMS:
        writing.write(tmp_path / "true" / "a song" / f"{stem}.wav", np.zeros((2, 8000)), RATE_HZ, "wav", "FLOAT")
    code, out, err = call("report", made / "out", "--references", tmp_path / "true", "-o", tmp_path / "page.html")
    assert (code, len(out), len(err)) == (1, 1, 1)
    assert "a song" in err[0]
    assert len(Page(Path(out[0])).all("article")) == 2


def test_an_embedding_page_holds_all_of_its_sounds(made, tmp_path):
    page = page_of(made / "out", "--embed", "-o", tmp_path / "page.html")
    assert all(address.startswith("data:") for address in page.addresses())
    sounds = json.loads(page.all("article")[0]["data-sounds"])
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
    articles = page_of(tmp_path / "out").all("article")
    sounds = {tuple(json.loads(article["data-sounds"])) for article in articles}
    assert sounds == {("accompaniment",), ("vocals", "accompaniment")}


def test_an_unfinished_track_costs_one_line_and_exit_1(made, tmp_path):
    shutil.copytree(made / "out", tmp_path / "out")
    (tmp_path / "out" / "a song" / "karaoke-sep.json").write_text('{"outputs": {}}')
    code, out, err = call("report", tmp_path / "out")
    assert (code, len(out)) == (1, 1)
    assert err == [f"{tmp_path}/out/a song/karaoke-sep.json: its track is not finished, or of another version; "
                   "separate it again"]  # fmt: skip
    assert len(Page(Path(out[0])).all("article")) == 1


@pytest.mark.parametrize(("broken", "content"), [("picture.png", PNG[:10]), ("vocals.wav", b"RIFF")])
@pytest.mark.parametrize("options", [[], ["--embed"]])
def test_a_track_with_a_broken_file_costs_one_line_and_the_others_are_shown(made, tmp_path, broken, content, options):
    shutil.copytree(made / "out", tmp_path / "out")
    (tmp_path / "out" / "a song" / broken).write_bytes(content)
    code, out, err = call("report", tmp_path / "out", *options)
    assert (code, len(out), len(err)) == (1, 1, 1)
    assert err[0].startswith(f"{tmp_path}/out/a song/{broken}: ")
    assert len(Page(Path(out[0])).all("article")) == 1


def test_a_backing_track_of_another_tempo_has_its_own_length(made, tmp_path):
    pytest.importorskip("python_stretch", reason="needs the extra [stretch]")
    call("karaoke", made / "in" / "a song.flac", "-o", tmp_path, "--tempo", "1.25", "--config", "fast")
    [article] = page_of(tmp_path).all("article")
    assert list(json.loads(article["data-sounds"])) == ["karaoke"]
    assert float(article["data-seconds"]) == pytest.approx(SECONDS / 1.25, abs=0.01)


@pytest.mark.parametrize("what", ["absent", "."])
def test_a_folder_without_results_is_refused_in_one_line(tmp_path, what):
    code, out, err = call("report", tmp_path / what)
    assert (code, out, len(err)) == (2, [], 1)


def test_a_contour_is_drawn_where_sung(tmp_path):
    times_s = np.arange(0, 4.001, 0.01)
    f0_hz = np.where(times_s < 2, 200.0, 400.0)
    contours.write(tmp_path / "pitch.csv", PitchTrack(times_s, f0_hz, (np.abs(times_s - 2) > 0.5).astype(float)))
    result = batch.Result(tmp_path / "s.json", {"pitch": tmp_path / "pitch.csv"}, tmp_path / "s", 4.0, {}, "", {}, {})
    listening.write(tmp_path / "page.html", [result], "page")
    [path] = Page(tmp_path / "page.html").all("path")
    first, second = path["d"].removeprefix("M").split("M")
    points = [[tuple(map(float, p.split())) for p in line.split("L")] for line in (first, second)]
    assert [line[0][0] for line in points] == pytest.approx([0, 500], abs=3)  # of 800
    assert [line[-1][0] for line in points] == pytest.approx([300, 799], abs=3)
    assert points[0][0][1] > points[1][0][1]  # downwards is lower
    assert Page(tmp_path / "page.html").text.index("400 Hz") < Page(tmp_path / "page.html").text.index("200 Hz")


# --- In a browser ----------------------------------------------------------------------------------------------------

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install '.[dev]'")
    if CHROMIUM is None:
        pytest.skip("Chromium is not on the PATH; scripts/test says how to get it")
    options = ["--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--no-sandbox")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser):
    """Open a page; at the end, nothing may have gone wrong or been asked of the network."""
    complaints, tabs = [], []

    def listen(request):
        if not request.url.startswith(("file:", "data:")):
            complaints.append(request.url)

    def visit(path, **how):
        tab = browser.new_page(**how)
        tabs.append(tab)
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        tab.on("request", listen)
        tab.goto(path.as_uri())
        return tab

    yield SimpleNamespace(page=visit, complaints=complaints)
    for tab in tabs:
        tab.close()


def state(tab, number=0):
    """Position, and for each sound its volume and how far it is from that position, s."""
    return tab.evaluate(
        """number => {
            const player = [...players.values()][number], sounds = Object.entries(player.sounds || {});
            const found = sounds.map(([name, s]) => [name, [s.volume, s.currentTime - player.lead.currentTime]]);
            return [player.at, player.playing, Object.fromEntries(found)];
        }""",
        number,
    )


def heard(tab, number=0):
    return {name: volume for name, (volume, _) in state(tab, number)[2].items() if volume}


def test_it_plays_and_switches_in_step_without_a_complaint(made, visit):
    tab = visit.page(page_of(made / "out").path)
    tab.click(".play")
    tab.wait_for_function("[...players.values()][0].at > 0.4")
    assert heard(tab) == {"mixture": 1}
    for key, name in (("2", "vocals"), ("3", "accompaniment"), ("1", "mixture")):
        before_s = state(tab)[0]
        tab.keyboard.press(key)
        assert heard(tab) == {name: 1}
        tab.wait_for_function(f"[...players.values()][0].at > {before_s + 0.2}")
        at_s, playing, sounds = state(tab)
        assert playing
        assert at_s < before_s + 2  # it went on, and did not begin again
        assert all(abs(gap_s) < 0.1 for _, gap_s in sounds.values())
    tab.keyboard.press("Space")
    assert not state(tab)[1]
    assert tab.inner_text(".play") == "Play"
    assert visit.complaints == []


def test_levels_mute_and_solo_are_heard_together(made, visit):
    tab = visit.page(page_of(made / "out").path)
    tab.click(".play")
    tab.locator('[data-stem="vocals"] input').first.fill("-20")
    assert heard(tab) == pytest.approx({"vocals": 0.1, "accompaniment": 1})
    tab.click('[data-stem="accompaniment"] .mute')
    assert heard(tab) == pytest.approx({"vocals": 0.1})
    tab.click('[data-stem="accompaniment"] .mute')
    tab.click('[data-stem="accompaniment"] .solo')
    assert heard(tab) == {"accompaniment": 1}
    assert tab.get_attribute('.hear[data-sound="accompaniment"]', "aria-pressed") == "true"
    tab.locator('[data-stem="vocals"] input').first.fill("-40")
    tab.click('[data-stem="accompaniment"] .solo')
    assert heard(tab) == {"accompaniment": 1}
    tab.click('.hear[data-sound="mixture"]')
    assert heard(tab) == {"mixture": 1}
    assert visit.complaints == []


def test_one_track_plays_at_a_time_whatever_its_name(made, visit):
    tab = visit.page(page_of(made / "out").path)
    for number in (0, 1):
        tab.locator(".play").nth(number).click()
        tab.wait_for_function(f"[...players.values()][{number}].at > 0.2")
    assert [state(tab, number)[1] for number in (0, 1)] == [False, True]
    assert visit.complaints == []


def test_the_playhead_moves_over_picture_and_contour(made, visit, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra [plots]")
    shutil.copytree(made / "out" / "a song", tmp_path / "out" / "a song")
    page_of(tmp_path / "out", "--references", made / "true")  # draws a picture that tells where its axis lies
    tab = visit.page(tmp_path / "out" / "report.html", viewport={"width": 1300, "height": 900})
    picture = tab.locator(".picture").nth(1)
    picture.scroll_into_view_if_needed()
    assert picture.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 1200
    box = picture.bounding_box()
    left, right = 0.65 / 12, 1 - 0.15 / 12  # inches
    picture.click(position={"x": box["width"] * (left + (right - left) / 3), "y": 50})
    assert state(tab)[0] == pytest.approx(SECONDS / 3, abs=0.05)  # s
    heads = [tab.locator(".contour .head"), picture.locator(".head")]
    at = [head.bounding_box()["x"] + 1 - head.locator("..").bounding_box()["x"] for head in heads]
    contour_width = tab.locator(".contour").bounding_box()["width"]
    assert at[0] == pytest.approx(contour_width / 3, abs=8)  # dots
    assert at[1] == pytest.approx(box["width"] * (left + (right - left) / 3), abs=2)
    assert visit.complaints == []


def test_the_keyboard_moves_in_a_track_and_between_tracks(made, visit):
    tab = visit.page(page_of(made / "out").path)
    tab.keyboard.press("ArrowRight")
    assert state(tab)[0] == 5
    tab.keyboard.press("ArrowLeft")
    assert state(tab)[0] == 0
    tab.keyboard.press("n")
    tab.keyboard.press("ArrowRight")
    assert [state(tab, number)[0] for number in (0, 1)] == [0, 5]
    assert tab.evaluate("document.activeElement.closest('article') === articles[1]")
    tab.keyboard.press("/")
    tab.keyboard.type("A  SONG")
    assert [article.is_visible() for article in tab.locator("article").all()].count(True) == 1
    assert visit.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_both_schemes(made, visit, scheme):
    tab = visit.page(page_of(made / "out").path, viewport={"width": 360, "height": 740}, color_scheme=scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    channels = tab.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (max(channels) < 60) == (scheme == "dark")
    low_px = [button.bounding_box()["height"] for button in tab.locator("article button").all()]
    assert min(low_px) >= 36  # a fingertip
    assert visit.complaints == []


def test_stems_alone_are_the_mixture_where_the_song_cannot_be_played(made, visit, tmp_path):
    shutil.copytree(made / "out" / "a song", tmp_path / "out" / "a song")
    page = page_of(tmp_path / "out").path
    tab = visit.page(page)
    tab.click(".play")
    tab.wait_for_function("[...players.values()][0].at > 0.2")
    assert heard(tab) == {"vocals": 1, "accompaniment": 1}
    assert tab.get_attribute('.hear[data-sound="mixture"]', "aria-pressed") == "true"
    assert visit.complaints == []


def test_an_embedding_page_plays_on_its_own(made, visit, tmp_path):
    tab = visit.page(page_of(made / "out", "--embed", "-o", tmp_path / "page.html").path)
    tab.click(".play")
    tab.wait_for_function("[...players.values()][0].at > 0.3")
    assert heard(tab) == {"mixture": 1}
    assert visit.complaints == []


def test_three_hundred_tracks_stay_usable(made, visit, tmp_path):
    [result, _] = batch.results(made / "out")[0]
    many = [replace(result, source=Path(f"{number:03} of many.wav")) for number in range(300)]
    listening.write(tmp_path / "page.html", many, "many")
    assert (tmp_path / "page.html").stat().st_size < 3e6
    tab = visit.page(tmp_path / "page.html")
    ready_ms = tab.evaluate("performance.getEntriesByType('navigation')[0].domComplete")
    assert ready_ms < 4000
    assert tab.evaluate("document.querySelectorAll('article').length") == 300
    tab.fill("#find", "299")
    assert tab.locator("article:visible").count() == 1
    tab.locator("article:visible .play").click()
    tab.wait_for_function("[...players.values()][299].at > 0.2")
    assert tab.evaluate("[...players.values()].filter(player => player.sounds).length") == 1
    assert visit.complaints == []
