"""Backing tracks, judged by tones and clicks whose pitch, time and place are known."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from sounds import cents, energy_db, partials_of, sdr_db, silence

from karaoke_sep import backing
from karaoke_sep.cli.main import main
from karaoke_sep.errors import ConfigError
from karaoke_sep.files import reading, sound_info
from karaoke_sep.types import Audio

RATE_HZ = 16000


def loudest_hz(samples):
    """The strongest tone, from a spectrum padded to an eighth of its resolution."""
    spectrum = np.abs(np.fft.rfft(samples * np.blackman(len(samples)), 8 * len(samples)))
    return spectrum.argmax() * RATE_HZ / (8 * len(samples))


def stretched(audio, **settings):
    pytest.importorskip("python_stretch", reason="needs the extra [stretch]")
    return backing.make(audio, silence(audio.duration_s, audio.rate_hz), backing.Params(**settings))


@pytest.mark.parametrize(("vocals_db", "left"), [(None, 0.0), (0.0, 1.0), (-20.0, 0.1)])
def test_the_voice_keeps_the_level_that_is_asked_for(vocals_db, left):
    music, voice = partials_of(300.0, 0.5, RATE_HZ), partials_of(500.0, 0.5, RATE_HZ)
    mixture = Audio(music.samples + voice.samples, RATE_HZ)
    track = backing.make(mixture, voice, backing.Params(vocals_db))
    np.testing.assert_allclose(track.samples, music.samples + left * voice.samples, atol=1e-12)


@pytest.mark.parametrize("semitones", [-5.0, 2.0, 0.5])
def test_another_key_moves_every_tone_by_it_and_nothing_in_time(semitones):
    for f0_hz in (110.0, 440.0):
        track = stretched(partials_of(f0_hz, 2.0, RATE_HZ), key_semitones=semitones)
        assert track.n_samples == 2 * RATE_HZ
        heard_hz = loudest_hz(track.samples[0, RATE_HZ // 2 : -RATE_HZ // 2])
        assert cents(heard_hz, f0_hz) == pytest.approx(100 * semitones, abs=15)  # cents


@pytest.mark.parametrize("ratio", [0.8, 1.25])
def test_another_tempo_moves_every_click_to_its_time_and_no_tone(ratio):
    clicks = np.zeros((1, 4 * RATE_HZ))
    clicks[:, RATE_HZ // 2 :: RATE_HZ // 2] = 0.9
    samples = stretched(Audio(clicks, RATE_HZ), tempo_ratio=ratio).samples[0]
    assert len(samples) == round(4 * RATE_HZ / ratio)
    for number in range(1, 7):
        middle = round(number * RATE_HZ / 2 / ratio)
        around = samples[middle - 1000 : middle + 1000] ** 2
        assert abs(around.argmax() - 1000) < 0.002 * RATE_HZ  # 2 ms
    tone = stretched(partials_of(440.0, 2.0, RATE_HZ), tempo_ratio=ratio)
    assert cents(loudest_hz(tone.samples[0, RATE_HZ // 2 : -RATE_HZ // 2]), 440.0) == pytest.approx(0, abs=2)


@pytest.mark.parametrize("settings", [{"key_semitones": 3.0}, {"tempo_ratio": 0.9}])
def test_key_and_tempo_leave_the_stereo_image_and_the_level(settings, demo):
    music = demo(RATE_HZ, 3.0).accompaniment
    track = stretched(music, **settings)
    for part in (lambda stereo: stereo[0] - stereo[1], lambda stereo: stereo[0] + stereo[1]):
        before_db, after_db = (energy_db(part(a.samples)) - 10 * np.log10(a.n_samples) for a in (music, track))
        assert after_db == pytest.approx(before_db, abs=1)  # dB


def test_key_and_tempo_without_their_library_say_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "python_stretch", None)
    with pytest.raises(ConfigError, match=r"pip install .*\[stretch\]"):
        backing.check(backing.Params(key_semitones=1.0))
    backing.check(backing.Params(vocals_db=-12.0))


@pytest.fixture(scope="module")
def song(tmp_path_factory, demo):
    """Three seconds of the demo song with tags, mono."""
    path = tmp_path_factory.mktemp("in") / "song.flac"
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, "PCM_16") as file:
        file.title, file.artist = "A title", "Somebody"
        file.write(demo(RATE_HZ, 3.0).mixture.samples.mean(axis=0))
    return path


@pytest.fixture(scope="module")
def made(song, tmp_path_factory):
    """The command's backing track with some options: its samples, and what its file says."""

    def made(*options):
        folder = tmp_path_factory.mktemp("out")
        result = CliRunner().invoke(main, ["karaoke", str(song), "--output", str(folder), *options])
        assert result.exit_code == 0, result.output
        [path] = map(type(folder), result.stdout.splitlines())
        return reading.read(path)[0].samples, sound_info.probe(path)

    return made


def test_the_command_writes_the_accompaniment_with_the_tags_of_the_song(song, made, demo):
    samples, info = made("--format", "flac")
    assert (info.tags, info.subtype) == ({"title": "A title (karaoke)", "artist": "Somebody"}, "PCM_16")
    truth = demo(RATE_HZ, 3.0).accompaniment.samples.mean(axis=0)
    assert sdr_db(truth, samples[0]) > sdr_db(truth, reading.read(song)[0].samples[0]) + 6  # dB


def test_a_guide_voice_is_the_mixture_less_a_part_of_the_vocals(song, made):
    mixture = reading.read(song)[0].samples
    without, with_guide = made()[0], made("--vocals-level", "-12")[0]
    np.testing.assert_allclose(mixture - with_guide, (1 - 10**-0.6) * (mixture - without), atol=2**-14)  # two steps


def test_a_harder_strength_takes_more_of_the_voice_and_of_the_music(made, demo):
    truth = demo(RATE_HZ, 3.0)
    voice, music = (a.samples.mean(axis=0) for a in (truth.vocals, truth.accompaniment))
    left, kept = [], []
    for strength in ("gentle", "normal", "hard", "12"):
        track = made("--strength", strength)[0][0]
        weights = np.linalg.lstsq(np.stack([voice, music], axis=1), track, rcond=None)[0]
        left.append(abs(weights[0]))
        kept.append(weights[1])
    assert left == sorted(left, reverse=True)
    assert kept == sorted(kept, reverse=True)
    assert left[0] > 1.5 * left[2]


def test_the_strength_of_a_config_holds_unless_the_option_is_given(made, tmp_path):
    (tmp_path / "mine.yaml").write_text("wiener:\n  voice_db: 6\n")
    mine = ("--config", str(tmp_path / "mine.yaml"))
    np.testing.assert_array_equal(made(*mine)[0], made("--strength", "hard")[0])
    np.testing.assert_array_equal(made(*mine, "--strength", "normal")[0], made()[0])


def test_key_and_tempo_reach_the_track(song, made):
    pytest.importorskip("python_stretch", reason="needs the extra [stretch]")
    n_samples = sound_info.probe(song).n_samples
    assert made("--tempo", "0.8")[0].shape == (1, round(n_samples / 0.8))
    higher, as_it_is = made("--key", "3")[0], made()[0]
    assert higher.shape == as_it_is.shape
    assert sdr_db(as_it_is, higher) < 6  # dB


def test_tracks_of_one_song_have_different_names_under_a_template_without_stem(song, tmp_path):
    command = ["karaoke", str(song), "--output", str(tmp_path), "--name", "{track}"]
    runs = [CliRunner().invoke(main, [*command, *options]) for options in ([], ["--vocals-level", "-6"])]
    assert [Path(run.stdout.strip()).name for run in runs] == ["song.wav", "song (voice -6 dB).wav"]
    assert len({path.read_bytes() for path in tmp_path.glob("[!.]*")}) == 2


def test_a_track_is_made_again_only_when_something_changed(song, tmp_path):
    def lines(*options):
        result = CliRunner().invoke(main, ["karaoke", str(song), "--output", str(tmp_path), *options])
        assert result.exit_code == 0
        return result.stdout.splitlines()

    runs = ((), (), ("--vocals-level", "-6"), ("--strength", "hard"))
    assert [len(lines(*options)) for options in runs] == [1, 1, 1, 1]
    variants = ("karaoke", "karaoke, voice -6 dB", "karaoke, hard")
    assert {path.name for path in tmp_path.glob("[!.]*")} == {f"song ({variant}).wav" for variant in variants}
    assert [len(lines(*options)) for options in runs] == [1, 1, 1, 1]
    times_ns = {path.stat().st_mtime_ns for path in tmp_path.glob("[!.]*")}
    assert len(times_ns) == 3
    assert all(len(lines(*options)) == 1 for options in runs)
    assert {path.stat().st_mtime_ns for path in tmp_path.glob("[!.]*")} == times_ns


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--strength", "harsh"], "gentle, normal, hard"),
        (["--strength", "50"], "-40 to 40"),
        (["--vocals-level", "3"], "3"),
        (["--key", "13"], "13"),
        (["--tempo", "0"], "0"),
        (["--name", "karaoke"], "{track}"),
    ],
)
def test_wrong_options_give_exit_2_and_one_reason(song, tmp_path, options, says):
    result = CliRunner().invoke(main, ["karaoke", str(song), "--output", str(tmp_path / "out"), *options])
    assert result.exit_code == 2
    assert says in result.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()
