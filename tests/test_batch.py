"""Batches: all inputs are checked first, and no failure stops the others."""

import shutil

import numpy as np
import pytest
import soundfile
from batches import CONFIG, do, make_song, statuses
from hypothesis import given, settings
from hypothesis import strategies as st

from karaoke_sep import batch, pipeline
from karaoke_sep.batch import Order
from karaoke_sep.errors import ConfigError
from karaoke_sep.files import contours, reading, sound_info

# --- Planning --------------------------------------------------------------------------------------------------------


def test_all_errors_are_reported_before_any_work(tmp_path):
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("no sound")
    make_song(tmp_path / "short.wav", seconds=0.01)
    make_song(tmp_path / "slow.wav", rate_hz=4000)
    soundfile.write(tmp_path / "wide.wav", np.zeros((800, 65)), 8000)
    make_song(tmp_path / "good.wav")
    bad = ["empty.wav", "text.wav", "short.wav", "slow.wav", "wide.wav", "absent.wav"]
    plan = batch.plan([tmp_path / name for name in (*bad, "good.wav")], Order(tmp_path / "out"), CONFIG)
    assert [source.name for source, _ in plan.errors] == bad
    assert [job.source.name for job in plan.jobs] == ["good.wav"]
    assert not (tmp_path / "out").exists()


def test_all_errors_of_the_options_are_reported_at_once(tmp_path, monkeypatch):
    (tmp_path / "text.wav").write_text("no sound")
    pairs = [make_song(tmp_path / name) for name in ("a.wav", "a.wave", "b.wav", "b.wave")]
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2 * 2 * 2 * 2400 - 1))  # bytes
    with pytest.raises(ConfigError) as caught:
        batch.plan([tmp_path / "text.wav", *pairs], Order(tmp_path / "out"), CONFIG)
    text, a, b, room = str(caught.value).splitlines()
    assert "text.wav" in text
    assert str(pairs[1]) in a
    assert str(pairs[3]) in b
    assert "are free there" in room


@pytest.mark.parametrize(("container", "n_bytes"), [("wav", 2 * 2 * 240_000), ("mp3", 2 * 2 * 240_000)])
def test_a_disk_without_room_is_refused_before_any_work(tmp_path, monkeypatch, container, n_bytes):
    song, order = make_song(tmp_path / "song.wav", seconds=30), Order(tmp_path / "out", container=container)
    usage = shutil.disk_usage(tmp_path)
    free = [n_bytes - 1, n_bytes]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free[0]))
    with pytest.raises(ConfigError, match=rf"need up to {n_bytes / 1e6:.1f} MB, and {n_bytes / 1e6:.1f} MB are free"):
        batch.plan([song], order, CONFIG)
    free.pop(0)
    assert batch.plan([song], order, CONFIG).todo
    [outcome] = do([song], order)
    assert sum(path.stat().st_size for path in outcome.paths) <= n_bytes + 2 * 150  # bytes, with headers


def test_a_file_whose_header_claims_terabytes_is_separated_with_a_warning(tmp_path):
    vast = tmp_path / "vast.flac"
    soundfile.write(vast, np.zeros(16000), 16000)
    data = bytearray(vast.read_bytes())
    data[21] |= 0x0F  # the upper bits of the 36-bit sample count in STREAMINFO
    vast.write_bytes(data)
    outcomes = do([vast, make_song(tmp_path / "song.wav")], Order(tmp_path / "out"))
    assert statuses(outcomes) == {"vast.flac": "done", "song.wav": "done"}
    assert "could be read" in outcomes[0].warnings[0]


def test_an_output_that_is_a_file_is_refused(tmp_path):
    song = make_song(tmp_path / "song.wav")
    with pytest.raises(ConfigError, match="not a folder"):
        batch.plan([song], Order(song), CONFIG)


def test_shards_are_disjoint_and_together_whole(tmp_path):
    songs = {make_song(tmp_path / f"{i}.wav") for i in range(7)}
    shards = [batch.plan(songs, Order(tmp_path / "out"), CONFIG, shard=(i, 3)).jobs for i in (1, 2, 3)]
    sources = [job.source for shard in shards for job in shard]
    assert len(sources) == 7
    assert set(sources) == songs


def test_mir1k_is_recognised_by_its_folders(tmp_path):
    stereo = np.zeros((16000, 2))
    for folder in ("Wavfile", "songs"):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "amy_1_01.wav", stereo, 16000)
    order = Order(tmp_path / "out")
    assert batch.looks_like_mir1k(batch.plan([tmp_path / "Wavfile"], order, CONFIG).jobs)
    assert not batch.looks_like_mir1k(batch.plan([tmp_path / "songs"], order, CONFIG).jobs)


# --- Doing -----------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    rate_hz=st.sampled_from([8000, 11025, 44100, 96000, 192000]),
    n_channels=st.integers(1, 3),
    extra_samples=st.integers(0, 700),
    subtype=st.sampled_from(["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]),
    level=st.sampled_from([0, 1e-6, 0.1, 1]),
)
def test_any_sound_is_separated_into_stems_that_add_up(
    tmp_path_factory, rate_hz, n_channels, extra_samples, subtype, level
):
    folder = tmp_path_factory.mktemp("any")
    samples = level * np.random.default_rng(0).uniform(-1, 1, (-(-rate_hz // 20) + extra_samples, n_channels))
    soundfile.write(folder / "a.wav", samples, rate_hz, subtype)
    [outcome] = do([folder / "a.wav"], Order(folder / "out"))
    assert outcome.status == "done", outcome.message
    mixture = reading.read(folder / "a.wav")[0]
    stems = [reading.read(path)[0] for path in outcome.paths]
    rounding = {"FLOAT": 2**-23, "DOUBLE": 2**-52}.get(subtype, 0)  # full scale
    np.testing.assert_allclose(sum(stem.samples for stem in stems), mixture.samples, rtol=0, atol=rounding)
    assert {
        (stem.rate_hz, sound_info.probe(path).subtype) for stem, path in zip(stems, outcome.paths, strict=True)
    } == {(rate_hz, subtype)}


def test_mir1k_layout_separates_the_sum_of_the_channels(tmp_path):
    path = tmp_path / "amy_1_01.wav"
    channels = np.random.default_rng(0).uniform(-0.9, 0.9, (8000, 2))
    soundfile.write(path, channels, 16000, "PCM_16")
    do([path], Order(tmp_path / "out", layout="mir1k"))
    stems = [reading.read(tmp_path / "out" / "amy_1_01" / f"{stem}.wav")[0].samples for stem in batch.STEMS]
    both = reading.read(path)[0].samples.sum(axis=0, keepdims=True)
    np.testing.assert_allclose(sum(stems), both, atol=2**-22)  # full scale; the sum passes it


def test_mir1k_layout_refuses_other_than_two_channels(tmp_path):
    plan = batch.plan([make_song(tmp_path / "song.wav")], Order(tmp_path / "out", layout="mir1k"), CONFIG)
    assert "needs 2 channels, not 1" in plan.errors[0][1]


def test_one_bad_file_does_not_stop_the_others(tmp_path):
    inputs = [make_song(tmp_path / "a.wav"), tmp_path / "nan.wav", make_song(tmp_path / "z.wav")]
    soundfile.write(inputs[1], np.full(8000, np.nan), 8000, "FLOAT")
    outcomes = do(inputs, Order(tmp_path / "out"))
    assert statuses(outcomes) == {"a.wav": "done", "nan.wav": "failed", "z.wav": "done"}
    assert f"{inputs[1]}: 8000 samples cannot be used: NaN" in outcomes[1].message


def test_fail_fast_stops_at_the_first_failure(tmp_path):
    inputs = [tmp_path / "nan.wav", make_song(tmp_path / "z.wav")]
    soundfile.write(inputs[0], np.full(8000, np.nan), 8000, "FLOAT")
    assert statuses(do(inputs, Order(tmp_path / "out"), fail_fast=True)) == {"nan.wav": "failed"}
    assert not (tmp_path / "out" / "z").exists()


def test_an_internal_error_fails_one_file_only(tmp_path, monkeypatch):
    inputs = [make_song(tmp_path / "a.wav"), make_song(tmp_path / "b.wav", seconds=0.4)]
    separate_to = pipeline.separate_to
    monkeypatch.setattr(
        pipeline,
        "separate_to",
        lambda vocals, song, *more, **how: separate_to(vocals, song, *more, **how) if song.n_samples > 2800 else 1 / 0,
    )
    outcomes = do(inputs, Order(tmp_path / "out"))
    assert statuses(outcomes) == {"a.wav": "failed", "b.wav": "done"}
    assert "division by zero" in outcomes[0].message
    assert "Traceback" in outcomes[0].details


def test_levels_and_costs_are_reported(tmp_path):
    [outcome] = do([make_song(tmp_path / "a.wav", seconds=0.5)], Order(tmp_path / "out"))
    stems = {stem: soundfile.read(tmp_path / "out" / "a" / f"{stem}.wav")[0] for stem in batch.STEMS}
    assert outcome.levels_db == pytest.approx({s: 10 * np.log10(np.mean(x**2)) for s, x in stems.items()}, abs=1e-6)
    assert outcome.seconds == 0.5
    assert outcome.cpu_s > 0
    assert outcome.wall_s > 0


# --- Contours --------------------------------------------------------------------------------------------------------


def test_a_given_contour_replaces_the_estimate(tmp_path):
    song = make_song(tmp_path / "song.wav", seconds=1)
    rows = "".join(f"{t / 100},220\n" for t in range(100))
    (tmp_path / "sung.csv").write_text("time_s,f0_hz\n" + rows)
    (tmp_path / "silent.csv").write_text("time_s,f0_hz\n" + rows.replace("220", "0"))
    levels = [
        do([song], Order(tmp_path / name, contours=tmp_path / f"{name}.csv"))[0].levels_db["vocals"]
        for name in ("sung", "silent")
    ]
    assert levels[0] > levels[1] + 20  # dB


def test_a_contour_that_is_longer_than_the_song_ends_with_it_and_one_that_begins_later_is_an_error(tmp_path):
    song = make_song(tmp_path / "song.wav", seconds=0.5)
    for name, begin_s in (("long", 0), ("late", 5)):
        rows = (f"{begin_s + t / 10:.1f},220\n" for t in range(10_000))
        (tmp_path / f"{name}.csv").write_text("time_s,f0_hz\n" + "".join(rows))
    do([song], Order(tmp_path, ("vocals", "pitch"), "{track} {stem}", contours=tmp_path / "long.csv"))
    assert contours.read(tmp_path / "song pitch.csv").times_s[-1] < 2
    [outcome] = do([song], Order(tmp_path / "out", contours=tmp_path / "late.csv"))
    assert outcome.message == f"{song}: its pitch contour has no frame in the song; leave out --pitch-file"


def test_contours_are_found_by_the_names_of_the_tracks(tmp_path):
    make_song(tmp_path / "in" / "sub" / "a.wav")
    make_song(tmp_path / "in" / "b.wav")
    make_song(tmp_path / "in" / "c.wav")
    (tmp_path / "contours" / "sub").mkdir(parents=True)
    (tmp_path / "contours" / "sub" / "a.pv").write_text("57\n" * 15)
    (tmp_path / "contours" / "b.csv").write_text("time_s,f0_hz\n0.1,220\n")
    plan = batch.plan([tmp_path / "in"], Order(tmp_path / "out", contours=tmp_path / "contours"), CONFIG)
    assert {job.source.name: len(job.track.f0_hz) for job in plan.jobs} == {"a.wav": 15, "b.wav": 1}
    assert [line for _, line in plan.errors if "no pitch contour c.csv (or .pv, .tsv, .txt)" in line]


def test_an_estimated_contour_gives_the_same_separation_as_the_estimate(tmp_path):
    song = make_song(tmp_path / "song.wav", seconds=1)
    do([song], Order(tmp_path / "pitch", ("pitch",), "{parent}/{track}"))
    do([song], Order(tmp_path / "given", contours=tmp_path / "pitch"))
    do([song], Order(tmp_path / "found"))
    followed, found = (reading.read(tmp_path / way / "song" / "vocals.wav")[0].samples for way in ("given", "found"))
    np.testing.assert_allclose(followed, found, atol=1e-3)  # full scale; the file holds 4 to 6 decimals
