"""The stored voice of a song: further products have the bytes of a fresh separation, and need none."""

import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from batches import CONFIG, do, files_below, make_song, statuses, stored_below
from click.testing import CliRunner

from karaoke_sep import batch, pipeline, separate
from karaoke_sep.backing import Params
from karaoke_sep.batch import Order, sounds, stored
from karaoke_sep.cli.main import main
from karaoke_sep.cli.sounds import DEFAULT_OUTPUTS
from karaoke_sep.config import load_config
from karaoke_sep.files import contours, ffmpeg, libsndfile, reading, stem_rounding, tags, writing
from karaoke_sep.pipeline import find_pitch

NAME = "{track} ({stem})"
needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg on the PATH")


@pytest.fixture
def song(demo, tmp_path):
    mixture = demo(16000, 3.0).mixture
    path = tmp_path / "song.wav"
    soundfile.write(path, mixture.samples.T, mixture.rate_hz, "PCM_16")
    return path


@pytest.fixture
def no_separation(monkeypatch):
    """Make every separation fail."""
    return lambda: monkeypatch.setattr(pipeline, "separate_to", lambda *_, **__: 1 / 0)


FIRST = Order(".", ("karaoke",), NAME)
FURTHER = {
    "the voice as a guide": replace(FIRST, variant=", voice -12 dB", karaoke=Params(vocals_db=-12.0)),
    "FLAC": replace(FIRST, container="flac"),
    "MP3": replace(FIRST, container="mp3"),
    "the stems": replace(FIRST, products=batch.STEMS),
    "MIDI": replace(FIRST, products=("karaoke", "notes")),
    "pitch": replace(FIRST, products=("karaoke", "pitch")),
}


@pytest.mark.parametrize("further", FURTHER)
@pytest.mark.parametrize("store", [True, False])
def test_a_further_product_needs_no_separation_and_has_the_bytes_of_one(song, tmp_path, no_separation, further, store):
    order = replace(FURTHER[further], output=tmp_path / "alone", store=store)
    assert statuses(do([song], order)) == {"song.wav": "done"}
    do([song], replace(FIRST, output=tmp_path / "out"))
    no_separation()
    assert statuses(do([song], replace(order, output=tmp_path / "out"))) == {"song.wav": "done"}
    made = files_below(tmp_path / "out")
    assert files_below(tmp_path / "alone").items() <= made.items()


@pytest.mark.parametrize("product", ["notes", "pitch", "ultrastar"])
def test_notes_and_contours_of_a_stored_song_read_neither_the_song_nor_its_voice(song, tmp_path, monkeypatch, product):
    do([song], replace(FIRST, output=tmp_path / "out"))
    monkeypatch.setattr(libsndfile, "read_blocks", lambda *_: 1 / 0)
    further = replace(FIRST, output=tmp_path / "out", products=("karaoke", product))
    assert statuses(do([song], further)) == {"song.wav": "done"}


def test_the_stored_notes_are_those_of_a_fresh_separation(song, tmp_path, no_separation):
    config = load_config()  # its evidence of singing, which the notes depend on, is not stored
    do([song], replace(FURTHER["MIDI"], output=tmp_path / "alone", store=False), config)
    do([song], replace(FIRST, output=tmp_path / "out"), config)
    no_separation()
    do([song], replace(FURTHER["MIDI"], output=tmp_path / "out"), config)
    assert files_below(tmp_path / "alone") == files_below(tmp_path / "out")
    assert stored.read({stored.TRACK: stored_below(tmp_path / "out")[1]}).notes


@pytest.mark.parametrize("products", [("karaoke",), ("karaoke", *batch.STEMS, *batch.ULTRASTAR, "notes")])
@pytest.mark.parametrize("from_s", [0.0, 90.0])
def test_a_further_product_decodes_the_song_and_its_voice_once(song, tmp_path, monkeypatch, products, from_s):
    config = replace(CONFIG, parts=replace(CONFIG.parts, from_s=from_s))
    do([song], replace(FIRST, output=tmp_path / "out"), config)
    decoded, own = [], libsndfile.opened
    monkeypatch.setattr(libsndfile, "opened", lambda path: decoded.append(path.suffix) or own(path))
    further = replace(FURTHER["the voice as a guide"], output=tmp_path / "out", products=products)
    planned = batch.plan([song], further, config)
    decoded.clear()  # the headers that the plan reads
    assert statuses(batch.run(planned, further, config)) == {"song.wav": "done"}
    assert sorted(decoded) == [".flac", ".wav"]


@pytest.mark.parametrize("products", [("karaoke",), batch.STEMS, ("karaoke", *batch.STEMS, "notes")])
@pytest.mark.parametrize("bits", ["PCM_16", "PCM_24"])
def test_a_flac_file_with_the_samples_of_a_wav_file_reads_neither_the_song_nor_its_voice(
    song, tmp_path, monkeypatch, products, bits
):
    samples, rate_hz = soundfile.read(song, dtype="int32", always_2d=True)
    soundfile.write(song, samples, rate_hz, bits)
    order = replace(FIRST, products=products)
    do([song], replace(order, output=tmp_path / "alone", container="flac"))
    do([song], replace(order, output=tmp_path / "out"))
    monkeypatch.setattr(reading, "read", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(stored, "read_voice", lambda *_: 1 / 0)
    assert statuses(do([song], replace(order, output=tmp_path / "out", container="flac"))) == {"song.wav": "done"}
    assert files_below(tmp_path / "alone").items() <= files_below(tmp_path / "out").items()


@pytest.mark.parametrize("what", ["changed", "gone", "of another level", "of other bits", "one of two"])
def test_a_flac_file_is_not_made_from_a_wav_file_with_other_samples(song, tmp_path, no_separation, what):
    flac = replace(FIRST, container="flac", subtype="PCM_24" if what == "of other bits" else "PCM_16")
    if what == "one of two":
        flac = replace(flac, products=("karaoke", *batch.STEMS))
    do([song], replace(flac, output=tmp_path / "alone"))
    order = replace(FIRST, subtype="PCM_16", output=tmp_path / "out")
    do([song], replace(order, karaoke=Params(vocals_db=-12.0)) if what == "of another level" else order)
    wav = tmp_path / "out" / "song (karaoke).wav"
    if what == "changed":
        change_a_byte(wav)
    elif what == "gone":
        wav.unlink()
    if what != "of other bits":
        no_separation()
    assert statuses(do([song], replace(flac, output=tmp_path / "out"))) == {"song.wav": "done"}
    flacs = {name: data for name, data in files_below(tmp_path / "alone").items() if name.endswith(".flac")}
    assert flacs.items() <= files_below(tmp_path / "out").items()


@needs_ffmpeg
@pytest.mark.parametrize("further", ["FLAC", "MP3", "UltraStar"])
def test_a_further_product_has_the_tags_and_the_cover_and_starts_no_other_program(song, tmp_path, monkeypatch, further):
    samples, rate_hz = soundfile.read(song, always_2d=True)
    cover = b"\xff\xd8\xff" + bytes(1000)
    source = tmp_path / "song.flac"
    writing.write(
        source, samples.T, rate_hz, "flac", "PCM_16", tags.Tags({"title": "夜に歌う", "composer": "A"}, cover)
    )
    asked = {"UltraStar": replace(FIRST, products=("karaoke", *batch.STEMS, *batch.ULTRASTAR))}
    order = (FURTHER | asked)[further]
    do([source], replace(order, output=tmp_path / "alone"))
    do([source], replace(FIRST, output=tmp_path / "out"))
    order = replace(order, output=tmp_path / "out")
    planned = batch.plan([source], order, CONFIG)
    monkeypatch.setattr(ffmpeg, "ask", lambda *_: 1 / 0)
    assert statuses(batch.run(planned, order, CONFIG)) == {"song.flac": "done"}
    made = files_below(tmp_path / "out")
    assert any(cover in data for data in made.values())
    assert files_below(tmp_path / "alone").items() <= made.items()


def make_m4a(path, wav, rate_hz):
    command = ["ffmpeg", "-v", "error", "-y", "-i", wav, "-ar", str(rate_hz), path]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


@needs_ffmpeg
def test_the_header_of_an_input_is_asked_for_once(song, tmp_path, monkeypatch):
    source, asked, own = make_m4a(tmp_path / "song.m4a", song, 16000), [], ffmpeg.ask
    monkeypatch.setattr(ffmpeg, "ask", lambda path, fields: asked.append(fields) or own(path, fields))
    assert statuses(do([source], replace(FIRST, output=tmp_path / "out"))) == {"song.m4a": "done"}
    assert len([fields for fields in asked if "sample_rate" in fields]) == 1


@needs_ffmpeg
def test_an_input_that_was_changed_after_the_plan_is_read_by_its_new_header(song, tmp_path):
    source, order = make_m4a(tmp_path / "song.m4a", song, 16000), replace(FIRST, output=tmp_path / "out")
    planned = batch.plan([source], order, CONFIG)
    make_m4a(source, song, 22050)
    assert statuses(batch.run(planned, order, CONFIG)) == {"song.m4a": "done"}
    assert soundfile.info(tmp_path / "out" / "song (karaoke).wav").samplerate == 22050


@pytest.mark.parametrize("container", ["flac", "mp3", "ogg", "wav"])
def test_a_sound_has_the_same_bytes_in_blocks_of_any_size(song, tmp_path, monkeypatch, container):
    order = replace(FIRST, products=("karaoke", *batch.STEMS), container=container)
    do([song], replace(order, output=tmp_path / "large"))
    monkeypatch.setattr(sounds, "_BLOCK_VALUES", 1)
    do([song], replace(order, output=tmp_path / "small"))
    assert files_below(tmp_path / "large") == files_below(tmp_path / "small")


def test_what_a_correction_changes_is_said_again_for_a_further_product(song, tmp_path):
    samples, rate_hz = soundfile.read(song)
    track = find_pitch(samples.T, rate_hz, CONFIG)
    f0_hz = track.f0_hz.copy()
    f0_hz[10:30] = 300.0
    contours.write(tmp_path / "song.csv", replace(track, f0_hz=f0_hz))
    order = replace(FIRST, output=tmp_path / "out", contours=tmp_path / "song.csv")
    [first] = do([song], order)
    [line] = [line for line in first.warnings if "--pitch-file changes" in line]
    assert line.startswith(f"{song}: --pitch-file changes 20 of {len(f0_hz)} frames")
    for products in (("karaoke", "notes"), batch.STEMS):
        [further] = do([song], replace(order, products=products))
        assert (further.status, further.warnings.count(line)) == ("done", 1)


def test_another_key_needs_no_separation(song, tmp_path, no_separation):
    pytest.importorskip("python_stretch", reason="needs the extra [stretch]")
    order = replace(FIRST, variant=", key +2", karaoke=Params(key_semitones=2.0))
    do([song], replace(order, output=tmp_path / "alone"))
    do([song], replace(FIRST, output=tmp_path / "out"))
    no_separation()
    do([song], replace(order, output=tmp_path / "out"))
    assert files_below(tmp_path / "alone").items() <= files_below(tmp_path / "out").items()


def change_a_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def at_strength(voice_db):
    return replace(CONFIG, wiener=replace(CONFIG.wiener, voice_db=voice_db)), f", strength {voice_db}"


def test_the_three_latest_strengths_are_stored_and_need_no_second_separation(song, tmp_path, no_separation):
    for voice_db in (-6.0, 0.0, 6.0, 3.0):
        config, variant = at_strength(voice_db)
        do([song], replace(FIRST, output=tmp_path / "out", variant=variant), config)
    assert len(stored_below(tmp_path / "out")) == 3 * 2
    no_separation()
    for voice_db, status in ((-6.0, "failed"), (0.0, "done"), (6.0, "done"), (3.0, "done")):
        config, variant = at_strength(voice_db)
        further = replace(FURTHER["the voice as a guide"], output=tmp_path / "out", variant=variant + ", voice")
        assert statuses(do([song], further, config)) == {"song.wav": status}


def test_voices_of_an_earlier_input_are_removed(song, tmp_path):
    do([song], replace(FIRST, output=tmp_path / "out"))
    [before] = tmp_path.rglob("*.flac")
    config, variant = at_strength(6.0)
    make_song(song, seconds=3, seed=1)
    do([song], replace(FIRST, output=tmp_path / "out", variant=variant), config)
    assert len(stored_below(tmp_path / "out")) == 2
    assert not before.exists()


@pytest.mark.parametrize("first", ["separate", "karaoke"])
def test_each_command_uses_the_voice_that_the_other_stored(song, tmp_path, monkeypatch, no_separation, first):
    monkeypatch.chdir(tmp_path)
    further = {"separate": "karaoke", "karaoke": "separate"}[first]
    for command in ("separate", "karaoke"):
        args = [command, song.name, "--config", "fast", "-q", "-o", f"alone/{command}"]
        assert CliRunner().invoke(main, [*args, "--no-store"]).exit_code == 0
    assert CliRunner().invoke(main, [first, song.name, "--config", "fast", "-q"]).exit_code == 0
    no_separation()
    for output in (DEFAULT_OUTPUTS[further], DEFAULT_OUTPUTS[first]):  # the own folder, and that of the other command
        assert CliRunner().invoke(main, [further, song.name, "--config", "fast", "-q", "-o", output]).exit_code == 0
        assert files_below(tmp_path / "alone" / further).items() <= files_below(tmp_path / output).items()
    elsewhere = [further, song.name, "--config", "fast", "-q", "--start", "1"]
    assert CliRunner().invoke(main, elsewhere).exit_code == 1  # a part of the song is another separation


def test_a_voice_that_cannot_be_kept_leaves_the_outputs(song, tmp_path):
    (tmp_path / "out" / ".karaoke-sep").mkdir(parents=True)
    (tmp_path / "out" / ".karaoke-sep" / "voices").write_text("in the way")
    assert statuses(do([song], replace(FIRST, output=tmp_path / "out"))) == {"song.wav": "done"}
    assert files_below(tmp_path / "out").keys() == {"song (karaoke).wav"}
    assert statuses(do([song], replace(FURTHER["FLAC"], output=tmp_path / "out"))) == {"song.wav": "done"}


def test_songs_of_one_name_size_and_time_have_voices_of_their_own(song, tmp_path):
    other = tmp_path / "b" / "song.wav"
    other.parent.mkdir()
    shutil.copy2(song, other)
    do([song], replace(FIRST, output=tmp_path / "out"))
    before = stored_below(tmp_path / "out")
    do([other], replace(FIRST, output=tmp_path / "out", name="b/{track} ({stem})"))
    assert set(before) < set(stored_below(tmp_path / "out"))


@pytest.mark.parametrize("what", ["voice", "pitch", "voice is gone", "settings", "input", "overwrite"])
def test_a_stored_voice_that_is_damaged_or_of_another_separation_is_not_used(song, tmp_path, no_separation, what):
    do([song], replace(FIRST, output=tmp_path / "out"))
    voice, pitch = stored_below(tmp_path / "out")
    if what in ("voice", "pitch"):
        change_a_byte(voice if what == "voice" else pitch)
    elif what == "voice is gone":
        voice.unlink()
    elif what == "input":
        make_song(song, seconds=3, seed=1)
    config = CONFIG if what != "settings" else replace(CONFIG, wiener=replace(CONFIG.wiener, voice_db=6.0))
    order = replace(FURTHER["MIDI"], output=tmp_path / "out")
    with pytest.MonkeyPatch.context() as patch:
        separated = []
        own = pipeline.separate_to
        patch.setattr(pipeline, "separate_to", lambda *args, **kw: separated.append(1) or own(*args, **kw))
        assert statuses(do([song], order, config, overwrite=what == "overwrite")) == {"song.wav": "done"}
    assert separated == [1]
    do([song], replace(order, output=tmp_path / "alone"), config)
    assert files_below(tmp_path / "out") == files_below(tmp_path / "alone")
    no_separation()  # the new voice is stored
    order = replace(FURTHER["FLAC"], output=tmp_path / "out")
    assert statuses(do([song], order, config)) == {"song.wav": "done"}


def test_stems_of_16_bits_are_those_of_the_exact_voice(song, tmp_path):
    do([song], Order(tmp_path / "out"))
    samples, rate_hz = soundfile.read(song, dtype="float32", always_2d=True)
    vocals = separate(samples.T, rate_hz, CONFIG).vocals.samples
    stems, _, _ = stem_rounding.fit_stems(samples.T, vocals, "PCM_16")
    for name, values in stems.items():
        written, _ = soundfile.read(tmp_path / "out" / "song" / f"{name}.wav", dtype="int16", always_2d=True)
        np.testing.assert_array_equal(written.T, values)


@pytest.mark.parametrize(("of_song", "of_stems"), [("FLOAT", None), ("PCM_16", "FLOAT"), ("PCM_16", "PCM_24")])
def test_a_voice_with_more_bits_than_can_be_stored_is_exact_and_not_stored(song, tmp_path, of_song, of_stems):
    samples, rate_hz = soundfile.read(song, dtype="float32", always_2d=True)
    soundfile.write(song, samples, rate_hz, of_song)
    do([song], Order(tmp_path / "out", subtype=of_stems))
    written, _ = soundfile.read(tmp_path / "out" / "song" / "vocals.wav", always_2d=True)
    exact = separate(samples.T, rate_hz, CONFIG).vocals.samples
    np.testing.assert_allclose(written.T, exact, atol=2.0**-24 * (1 if of_stems == "PCM_24" else 0))
    assert stored_below(tmp_path / "out") == []


def test_a_rounded_voice_is_not_used_for_stems_of_more_bits(song, tmp_path):
    do([song], Order(tmp_path / "out", ("karaoke",), NAME))
    order = Order(tmp_path / "out", name=NAME, subtype="FLOAT")
    do([song], order)
    do([song], replace(order, output=tmp_path / "alone"))
    assert files_below(tmp_path / "alone").items() <= files_below(tmp_path / "out").items()


def test_nothing_is_stored_if_the_user_wants_it_so(song, tmp_path):
    do([song], Order(tmp_path / "out", store=False))
    assert stored_below(tmp_path / "out") == []
    assert (tmp_path / "out" / "song" / "vocals.wav").exists()


def test_a_finished_folder_without_a_stored_voice_is_up_to_date(song, tmp_path):
    do([song], Order(tmp_path / "out", store=False))
    assert statuses(do([song], Order(tmp_path / "out"))) == {"song.wav": "skipped"}
    assert batch.results(tmp_path / "out")[0][0].files.keys() == {"vocals", "accompaniment"}
