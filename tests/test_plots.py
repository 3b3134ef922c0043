"""Pictures, read back: the positions of bright dots, and the texts in the files."""

import io
import json
import sys
import warnings

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from sounds import activity_model, nmf_model, noise, partials_of, silence, spectra_model, voice

from karaoke_sep.cli.main import main
from karaoke_sep.types import Audio, PitchTrack

pytest.importorskip("matplotlib", reason="needs the extra [plots]")

import PIL.Image
from matplotlib.figure import Figure

from karaoke_sep import plots
from karaoke_sep.plots import bases, panels

RATE_HZ = 16000


@pytest.fixture
def axes():
    return Figure().add_subplot()


def drawn(axes):
    """Values of the plane that was drawn, rows and columns, and the middles of both on the axes."""
    [image] = axes.images
    values = np.asarray(image.get_array())
    left, right, low, high = image.get_extent()
    corners = np.stack([np.linspace(left, right, 10_001), np.linspace(low, high, 10_001)], axis=1)
    x_s, y_hz = axes.transData.inverted().transform(image.get_transform().transform(corners)).T
    middles = [(np.arange(n) + 0.5) * 10_000 / n for n in values.shape]
    return values, np.interp(middles[0], np.arange(10_001), y_hz), np.interp(middles[1], np.arange(10_001), x_s)


def drawn_as_mesh(axes):
    """As `drawn`, for a plane whose rows or columns have different sizes on the picture."""
    [mesh] = axes.collections
    corners = mesh.get_coordinates()
    edges_s, edges_hz = corners[0, :, 0], corners[:, 0, 1]
    values = np.asarray(mesh.get_array()).reshape(len(edges_hz) - 1, len(edges_s) - 1)
    return values, np.sqrt(edges_hz[1:] * edges_hz[:-1]), (edges_s[1:] + edges_s[:-1]) / 2


def held(f0_hz, seconds, voicing=1.0, hop_s=0.01):
    times_s = np.arange(round(seconds / hop_s)) * hop_s
    return PitchTrack(times_s, np.full(len(times_s), float(f0_hz)), np.full(len(times_s), voicing))


def red_and_blue(axes):
    """Shares of the plane above and below 0."""
    values, _, _ = drawn(axes)
    return np.mean(values > 0.5), np.mean(values < -0.5)


@pytest.mark.parametrize("f_hz", [110.0, 440.0, 3000.0])
@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
def test_a_tone_is_brightest_at_its_frequency_at_all_times(axes, f_hz, rate_hz):
    assert plots.spectrogram(partials_of(f_hz, 1.0, rate_hz), axes) is axes
    values, middles_hz, _ = drawn(axes)
    loudest_hz = middles_hz[values[:, 5:-5].argmax(axis=0)]
    np.testing.assert_allclose(loudest_hz, f_hz, atol=12.5, rtol=0.01)  # a bin of 80 ms, or half a row
    assert values.max() == 0  # dB under the loudest


def test_sounds_can_share_a_colour_scale(axes):
    loud, soft = (Audio(gain * partials_of(440.0, 0.5, RATE_HZ).samples, RATE_HZ) for gain in (1.0, 0.1))
    plots.spectrogram(soft, axes, loudest_db=plots.loudest_db(loud, soft))
    assert drawn(axes)[0].max() == pytest.approx(-20, abs=0.1)  # dB


def test_a_short_note_in_five_minutes_is_as_bright_as_in_a_second(axes):
    samples = np.zeros((1, 300 * RATE_HZ), np.float32)
    samples[:, 200 * RATE_HZ : 200 * RATE_HZ + 1600] = partials_of(440.0, 0.1, RATE_HZ).samples
    plots.spectrogram(Audio(samples, RATE_HZ), axes, loudest_db=plots.loudest_db(partials_of(440.0, 1.0, RATE_HZ)))
    values, _, middles_s = drawn(axes)
    assert values.shape[1] <= 3000
    assert middles_s[values.max(axis=0).argmax()] == pytest.approx(200.05, abs=0.15)
    assert values.max() > -1  # dB


@pytest.mark.parametrize("seconds", [0.5, 50.0, 150.0, 320.0])
def test_each_value_of_a_plane_has_a_dot_of_its_own(seconds):
    sound = Audio(np.zeros((1, round(seconds * 8000)), np.float32), 8000)
    figure = plots.separation(sound, sound, held(200.0, seconds, hop_s=0.1))
    planes = [axes for axes in figure.axes if axes.images]
    assert len(planes) == 4
    for axes in planes:
        values, _, middles_s = drawn(axes)
        n_rows, n_columns = values.shape
        assert n_rows == round(axes.bbox.height)
        assert n_columns <= round(axes.bbox.width)
        assert n_columns >= min(0.7 * axes.bbox.width, seconds / 0.016)
        assert abs(middles_s[-1] - seconds) <= max(seconds / n_columns, 0.016)


def test_the_mask_lies_on_the_partials_and_nowhere_between(axes):
    plots.mask(held(400.0, 1.0), 1.0, axes)
    values, middles_hz, _ = drawn(axes)
    bright_hz = middles_hz[values[:, 20] > 0.5]
    assert {round(f_hz / 400) for f_hz in bright_hz if f_hz < 2500} == {1, 2, 3, 4, 5, 6}
    off_hz = np.abs(bright_hz - 400 * np.rint(bright_hz / 400))
    assert (off_hz < 25 + 0.01 * bright_hz).all()  # half a strip, and half a row


def test_a_contour_is_bold_where_sung_and_dim_elsewhere(axes):
    track = PitchTrack(np.arange(4.0), np.array([200.0, 210.0, np.nan, 220.0]), np.array([0.9, 0.1, 0.0, 0.6]))
    plots.contour(track, axes)
    dim, bold = axes.lines
    np.testing.assert_array_equal(bold.get_ydata(), [200, np.nan, np.nan, 220])
    np.testing.assert_array_equal(dim.get_ydata(), [np.nan, 210, np.nan, np.nan])
    assert dim.get_linewidth() < bold.get_linewidth()


def test_only_missed_frames_are_marked_against_the_true_pitch(axes):
    truth = held(200.0, 0.4)
    f0_hz, voicing = truth.f0_hz.copy(), truth.voicing.copy()
    f0_hz[5] *= 2 ** (60 / 1200)  # cents
    f0_hz[6] *= 2 ** (40 / 1200)
    voicing[7] = 0.4
    plots.compare_pitch(PitchTrack(truth.times_s, f0_hz, voicing), truth, axes)
    [missed] = [line for line in axes.lines if line.get_label() == "missed"]
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(missed.get_ydata())), [5, 7])


def test_music_in_the_vocals_is_red_and_voice_left_behind_is_blue():
    sung, played = voice(300.0, 1.0, RATE_HZ), noise(1.0, RATE_HZ)
    nothing, all_of_it = silence(1.0, RATE_HZ), Audio(sung.samples + played.samples, RATE_HZ)
    planes = []
    for stems in ((sung, played), (all_of_it, nothing), (nothing, all_of_it)):
        planes.append(red_and_blue(plots.compare_masks(stems, (sung, played), Figure().add_subplot())))
    right, greedy, shy = planes
    assert right == (0, 0)
    assert greedy[0] > 0.3
    assert greedy[1] == 0
    assert shy[1] > 0.05
    assert shy[0] == 0


def test_another_timbre_changes_the_picture_and_another_level_does_not():
    bright, dark = (partials_of(200.0, 1.0, RATE_HZ, 0.1 / np.arange(1, 21) ** slope) for slope in (0.5, 2.0))
    softer = Audio(0.3 * bright.samples, RATE_HZ)
    same, other = (
        np.abs(plots.compare_timbre(sound, bright, Figure().add_subplot()).collections[0].get_array()).mean()
        for sound in (softer, dark)
    )
    assert same < 0.02
    assert other > 0.5


@pytest.mark.parametrize("seconds", [1.0, 90.0])
def test_a_picture_contains_the_position_of_its_time_axis(seconds):
    samples = np.zeros((1, round(seconds * 8000)))
    samples[:, len(samples[0]) // 4] = 1.0  # a click after a quarter
    vocals = Audio(samples, 8000)
    data = plots.png(plots.separation(vocals, silence(seconds, 8000), held(200.0, seconds, 0.0)))
    image = PIL.Image.open(io.BytesIO(data))
    place = json.loads(image.text[plots.AXES_KEY])
    assert place["seconds"] == seconds
    assert image.width >= max(1200, 10 * seconds)
    brightness = np.asarray(image.convert("L"), float)[40:200]  # the first panel
    columns = brightness[:, int(place["left"] * image.width) + 3 : int(place["right"] * image.width) - 3].mean(axis=0)
    share = (columns.argmax() + 3) / ((place["right"] - place["left"]) * image.width)
    assert share * seconds == pytest.approx(seconds / 4, abs=0.06 + seconds / 1000)  # s; the window, and a dot


def test_the_same_picture_has_the_same_bytes(separated):
    result = separated(16000, 3.0)
    one, other = (plots.png(plots.separation(result.vocals, result.accompaniment, result.track)) for _ in range(2))
    assert one == other
    assert len(one) < 300_000


def test_a_comparison_draws_the_pitch_only_where_both_are_known(demo, separated):
    song, result = demo(16000, 3.0), separated(16000, 3.0)
    stems, true_stems = (result.vocals, result.accompaniment), (song.vocals, song.accompaniment)
    assert len(plots.comparison(stems, true_stems, result.track, song.track).axes) == 3
    assert len(plots.comparison(stems, true_stems, result.track, None).axes) == 2


def whole_figures(song, result, **more):
    stems, true_stems = (result.vocals, result.accompaniment), (song.vocals, song.accompaniment)
    yield plots.separation(*stems, result.track, **more)
    yield plots.comparison(stems, true_stems, result.track, song.track, **more)


def test_panels_share_one_time_axis_which_is_labelled_below_the_last(demo, separated):
    for figure in whole_figures(demo(16000, 3.0), separated(16000, 3.0)):
        assert {axis.get_xlim() for axis in figure.axes} == {(0.0, 3.0)}
        assert [axis.get_xlabel() for axis in figure.axes] == [""] * (len(figure.axes) - 1) + ["time, s"]


def test_axes_of_a_notebook_have_labels(axes):
    plots.contour(held(200.0, 1.0), axes)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time, s", "Hz")
    assert plots.spectrogram(voice(220.0, 1.0, 8000), Figure().add_subplot()).get_xlabel() == "time, s"


def test_a_contour_on_a_spectrogram_leaves_its_axes_as_they_are(axes):
    plots.contour(held(200.0, 1.0), plots.spectrogram(voice(220.0, 1.0, 8000), axes))
    np.testing.assert_allclose([*axes.get_xlim(), *axes.get_ylim()], [0, 1, 80, 8000], atol=0.02)  # s, Hz


@pytest.mark.parametrize("title", ["夜の歌", "$x$ & <b>", "\udcff.wav", "two\nlines", "long " * 100])
def test_the_title_is_written_above_the_panels_in_one_line(title):
    with warnings.catch_warnings(action="error"):
        figure, _ = panels.panels({"one": 0.5, "two": 0.5}, 3.0, title)
        data = plots.png(figure)
    [text] = figure.texts
    box = text.get_window_extent()
    assert 0 < box.x0 < box.x1 < figure.bbox.width
    assert figure.axes[0].get_window_extent().y1 < box.y0 < box.y1 < figure.bbox.height
    bare = plots.png(panels.panels({"one": 0.5, "two": 0.5}, 3.0)[0])
    picture, bare = (np.asarray(PIL.Image.open(io.BytesIO(each)).convert("L")) for each in (data, bare))
    added = len(picture) - len(bare)
    assert 20 < added < 60
    assert picture[:added].max() > 150


def test_whole_figures_bear_the_title_and_none_without_one(demo, separated):
    results = demo(16000, 3.0), separated(16000, 3.0)
    assert [[text.get_text() for text in figure.texts] for figure in whole_figures(*results, title="夜の歌")] == [
        ["夜の歌"]
    ] * 2
    assert [figure.texts[:] for figure in whole_figures(*results)] == [[], []]


@pytest.fixture
def song(tmp_path):
    path = tmp_path / "in" / "song.wav"
    path.parent.mkdir()
    soundfile.write(path, voice(220.0, 0.6, 8000).samples.T, 8000)
    return path


def separate(song, *options):
    arguments = ["separate", str(song), "--output", str(song.parent.parent), "--config", "fast", "--plots", *options]
    return CliRunner().invoke(main, arguments)


def test_plots_writes_a_picture_that_settings_change_and_a_second_run_keeps(song):
    path = song.parent.parent / "song" / "picture.png"
    assert separate(song).stdout.splitlines()[-1] == str(path)
    first = path.read_bytes()
    assert len(separate(song).stdout.splitlines()) == 3
    assert separate(song, "--set", "harmonic_mask.width_hz=20").exit_code == 0
    assert path.read_bytes() != first
    assert PIL.Image.open(path).width == 1200


def test_a_picture_bears_the_tags_of_the_song_and_the_part(song, monkeypatch):
    with soundfile.SoundFile(song, "r+") as file:
        file.artist, file.title = "Somebody", "A song"
    titles = []
    whole = plots.separation
    monkeypatch.setattr(plots, "separation", lambda *args, title: titles.append(title) or whole(*args, title=title))
    assert separate(song).exit_code == 0
    assert separate(song, "--start", "0.1").exit_code == 0
    assert titles == ["Somebody – A song", "Somebody – A song – from 0.1 s"]


def test_plots_without_matplotlib_says_what_to_install_before_any_work(song, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("karaoke_sep.plots")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("karaoke_sep.plots")
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    result = separate(song)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "[plots]" in result.stderr
    assert not (song.parent.parent / "song").exists()


def test_bases_are_drawn_with_the_brightest_band_where_their_peak_lies_and_those_of_the_voice_first():
    edges_hz = np.linspace(0, 8000, 801)
    voice_KB, other_KB = (np.full((4, 800), 1e-3) for _ in range(2))
    for B_KB, peaks_hz in ((voice_KB, {1: 500, 3: 200}), (other_KB, {0: 1000, 2: 300})):
        for basis, peak_hz in peaks_hz.items():
            B_KB[basis, peak_hz // 10] = 1
    order = bases.order(voice_KB, other_KB, edges_hz)
    assert list(order) == [3, 1, 2, 0]
    values, rows_hz, _ = drawn_as_mesh(bases.panel(voice_KB[order], edges_hz, Figure().add_subplot()))
    np.testing.assert_allclose(rows_hz[values[:, :2].argmax(axis=0)], [200, 500], atol=10)
    assert values.max() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("make", [nmf_model, spectra_model])
def test_info_draws_the_bases_of_a_model(tmp_path, make):
    path, picture = make(tmp_path / "m.npz"), tmp_path / "bases.png"
    done = CliRunner().invoke(main, ["info", str(path), "--plot", str(picture)])
    assert done.exit_code == 0
    assert PIL.Image.open(picture).width == 1200


def test_info_says_in_one_line_what_it_cannot_draw(tmp_path):
    gate, picture = activity_model(tmp_path / "m.npz"), tmp_path / "bases.png"
    for arguments, says in (([str(gate)], "has no bases to draw"), ([], "name the MODEL as well")):
        done = CliRunner().invoke(main, ["info", *arguments, "--plot", str(picture)])
        assert (done.exit_code, done.stdout) == (2, "")
        assert says in done.stderr
        assert done.stderr.count("\n") == 1
    assert not picture.exists()
