"""The report page at work in Chromium, driven by Playwright; without either the tests are skipped."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from report_pages import SECONDS, call, page_of

from karaoke_sep import batch
from karaoke_sep.report import page

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
    """Open pages, and collect errors, messages and requests to the network."""
    complaints, tabs = [], []

    def listen(request):
        if not request.url.startswith(("file:", "data:")):
            complaints.append(request.url)

    def visit(path, script="", **how):
        tab = browser.new_page(**how)
        tabs.append(tab)
        tab.add_init_script(script)
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        tab.on("request", listen)
        tab.goto(path.as_uri())
        return tab

    yield SimpleNamespace(page=visit, complaints=complaints)
    for tab in tabs:
        tab.close()


FIXED_VOLUME = """Object.defineProperty(HTMLMediaElement.prototype, "volume", {get() { return 1; }, set() {}});"""
READ_ONLY_VOLUME = """Object.defineProperty(HTMLMediaElement.prototype, "volume", {value: 1, writable: false});"""


def state(tab, number=0):
    """Return the position, whether it plays, and for each sound its gain and its distance from the leading one, s."""
    return tab.evaluate(
        """number => {
            const player = [...players.values()][number], sounds = Object.entries(player.sounds || {});
            const times = Object.fromEntries(sounds.map(([name, s]) => [name, s.currentTime * player.tempo[name]]));
            return [player.at, player.playing, Object.fromEntries(sounds.map(([name, sound]) => [
                name, [sound.muted ? 0 : sound.volume, times[name] - times[player.lead]]]))];
        }""",
        number,
    )


def audible(tab, number=0):
    return {name: gain for name, (gain, _) in state(tab, number)[2].items() if gain}


def test_it_plays_and_switches_in_step_without_a_complaint(made, visit):
    tab = visit.page(page_of(made / "out").path)
    tab.click(".play")
    tab.wait_for_function("[...players.values()][0].at > 0.4")
    assert audible(tab) == {"mixture": 1}
    for key, name in (("2", "vocals"), ("3", "accompaniment"), ("1", "mixture")):
        before_s = state(tab)[0]
        tab.keyboard.press(key)
        assert audible(tab) == {name: 1}
        tab.wait_for_function(f"[...players.values()][0].at > {before_s + 0.2}")
        at_s, playing, sounds = state(tab)
        assert playing
        assert at_s < before_s + 2  # it went on, and did not begin again
        assert all(abs(gap_s) < 0.1 for _, gap_s in sounds.values())
    tab.keyboard.press("Space")
    assert not state(tab)[1]
    assert tab.inner_text(".play") == "Play"
    assert visit.complaints == []


def test_levels_mute_and_solo_work_together(made, visit):
    tab = visit.page(page_of(made / "out").path)
    tab.click(".play")
    tab.locator('[data-stem="vocals"] input').first.fill("-20")
    assert audible(tab) == pytest.approx({"vocals": 0.1, "accompaniment": 1})
    tab.click('[data-stem="accompaniment"] .mute')
    assert audible(tab) == pytest.approx({"vocals": 0.1})
    tab.click('[data-stem="accompaniment"] .mute')
    tab.click('[data-stem="accompaniment"] .solo')
    assert audible(tab) == {"accompaniment": 1}
    assert tab.get_attribute('.choice[data-sound="accompaniment"]', "aria-pressed") == "true"
    tab.locator('[data-stem="vocals"] input').first.fill("-40")
    tab.click('[data-stem="accompaniment"] .solo')
    assert audible(tab) == {"accompaniment": 1}
    tab.click('.choice[data-sound="mixture"]')
    assert audible(tab) == {"mixture": 1}
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
    tab.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
    beyond = """[...document.querySelectorAll('article')].flatMap(article => [...article.querySelectorAll('td')].filter(
        cell => cell.getBoundingClientRect().right > article.getBoundingClientRect().right))"""
    assert tab.locator("article td").count() > 8
    assert tab.evaluate(f"{beyond}.map(cell => cell.innerText)") == []
    assert visit.complaints == []


def test_stems_alone_are_the_mixture_where_the_song_cannot_be_played(made, visit, tmp_path):
    shutil.copytree(made / "out" / "a song", tmp_path / "out" / "a song")
    tab = visit.page(page_of(tmp_path / "out").path)
    tab.click(".play")
    tab.wait_for_function("[...players.values()][0].at > 0.2")
    assert audible(tab) == {"vocals": 1, "accompaniment": 1}
    assert tab.get_attribute('.choice[data-sound="mixture"]', "aria-pressed") == "true"
    assert visit.complaints == []


def test_an_embedding_page_plays_on_its_own(made, visit, tmp_path):
    tab = visit.page(page_of(made / "out", "--embed", "-o", tmp_path / "page.html").path)
    tab.click(".play")
    tab.wait_for_function("[...players.values()][0].at > 0.3")
    assert audible(tab) == {"mixture": 1}
    assert visit.complaints == []


def test_three_hundred_tracks_stay_usable(made, visit, tmp_path):
    [result, _] = batch.results(made / "out")[0]
    many = [replace(result, source=Path(f"{number:03} of many.wav")) for number in range(300)]
    page.write(tmp_path / "page.html", many, "many", made / "out")
    assert (tmp_path / "page.html").stat().st_size < 3e6
    tab = visit.page(tmp_path / "page.html")
    ready_ms = tab.evaluate("performance.getEntriesByType('navigation')[0].domComplete")
    assert ready_ms < 20_000  # a second on an idle machine
    assert tab.evaluate("document.querySelectorAll('article').length") == 300
    tab.fill("#find", "299")
    assert tab.locator("article:visible").count() == 1
    tab.locator("article:visible .play").click()
    tab.wait_for_function("[...players.values()][299].at > 0.2")
    assert tab.evaluate("[...players.values()].filter(player => player.sounds).length") == 1
    assert visit.complaints == []


@pytest.mark.parametrize("script", [FIXED_VOLUME, READ_ONLY_VOLUME])
def test_where_the_volume_cannot_be_set_the_sounds_are_muted_one_by_one(made, visit, script):
    tab = visit.page(page_of(made / "out").path, script)
    tab.click(".play")
    tab.wait_for_function("[...players.values()][0].at > 0.3")
    assert audible(tab) == {"mixture": 1}
    for key, name in (("2", "vocals"), ("3", "accompaniment"), ("1", "mixture")):
        tab.keyboard.press(key)
        assert audible(tab) == {name: 1}
    tab.click('[data-stem="vocals"] .mute')
    assert audible(tab) == {"accompaniment": 1}
    assert not tab.locator(".strip input").first.is_visible()
    assert tab.locator("#fixed-volume").is_visible()
    assert visit.complaints == []


def test_where_the_volume_can_be_set_the_level_controls_are_shown(made, visit):
    tab = visit.page(page_of(made / "out").path)
    assert tab.locator(".strip input").first.is_visible()
    assert not tab.locator("#fixed-volume").is_visible()


def test_the_search_covers_title_artist_and_folder_and_escape_clears_it(made, visit, tmp_path):
    [result, _] = batch.results(made / "out")[0]
    tags = [{}, {"title": "Été"}, {"artist": "Somebody"}]
    sources, folders = ["one.wav", "two.wav", "three.wav"], ["", "", "Live"]
    results = [
        replace(result, place=batch.Place(tmp_path / folder, "{stem}"), source=Path(source), tags=tag)
        for folder, source, tag in zip(folders, sources, tags, strict=True)
    ]
    page.write(tmp_path / "page.html", results, "page", tmp_path)
    tab = visit.page(tmp_path / "page.html")
    for words, shown in (("ete", "two"), ("E\u0301te\u0301", "two"), ("some", "three"), ("live THREE", "three")):
        tab.fill("#find", words)
        assert tab.locator("article:visible h2").all_text_contents() == [shown]
        assert tab.inner_text("#matches") == "1 of 3 tracks"
    tab.keyboard.press("Escape")
    assert tab.locator("article:visible").count() == 3
    assert tab.input_value("#find") == ""
    tab.keyboard.press("ArrowRight")  # the keys belong to the player again
    assert visit.complaints == []


def test_a_backing_track_and_the_original_change_at_the_same_place_of_the_song(made, visit, tmp_path):
    pytest.importorskip("python_stretch", reason="needs the extra [stretch]")
    call("karaoke", made / "in" / "a song.flac", "-o", tmp_path, "--tempo", "1.25", "--config", "fast")
    tab = visit.page(page_of(tmp_path).path)
    assert tab.inner_text(".time").endswith(f"/ 0:{int(SECONDS / 1.25):02}")
    tab.click(".play")
    tab.keyboard.press("ArrowRight")
    for key, name in (("2", "karaoke"), ("1", "mixture"), ("2", "karaoke")):
        tab.keyboard.press(key)
        before_s = state(tab)[0]
        tab.wait_for_function(f"[...players.values()][0].at > {before_s + 0.4}")
        assert audible(tab) == {name: 1}
        assert all(abs(gap_s) < 0.15 for _, gap_s in state(tab)[2].values())
    assert state(tab)[0] > 5
    assert visit.complaints == []
