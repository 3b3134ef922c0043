"""Many files: checked first, none stops the others, nothing half-made, nothing made twice."""

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path, PosixPath

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from karaoke_sep import batch, pipeline
from karaoke_sep.batch import Order
from karaoke_sep.config import load_config
from karaoke_sep.errors import ConfigError
from karaoke_sep.files import atomic, reading, sound_info
from karaoke_sep.processes import workers

CONFIG = load_config("fast")


def make_song(path, seconds=0.3, seed=0, rate_hz=8000):
    """A tone in noise, as a 16-bit WAV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    n_samples = round(seconds * rate_hz)
    noise = np.random.default_rng(seed).standard_normal(n_samples)
    samples = 0.3 * np.sin(2 * np.pi * 220 * np.arange(n_samples) / rate_hz) + 0.05 * noise
    soundfile.write(path, samples, rate_hz, "PCM_16", format="WAV")
    return path


def do(inputs, order, config=CONFIG, overwrite=False, **how):
    return list(batch.run(batch.plan(inputs, order, config, overwrite=overwrite), order, config, **how))


def statuses(outcomes):
    return {outcome.source.name: outcome.status for outcome in outcomes}


def files_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- Inputs and names ------------------------------------------------------------------------------------------------


def test_a_folder_is_searched_and_its_sub_folders_are_kept(tmp_path):
    make_song(tmp_path / "in" / "a.wav")
    make_song(tmp_path / "in" / "disc 1" / "b.WAV")
    (tmp_path / "in" / "cover.jpg").write_bytes(b"no sound")
    order = Order(tmp_path / "out")
    assert statuses(do([tmp_path / "in"], order)) == {"a.wav": "done", "b.WAV": "done"}
    assert (tmp_path / "out" / "a" / "vocals.wav").exists()
    assert (tmp_path / "out" / "disc 1" / "b" / "accompaniment.wav").exists()


@pytest.mark.parametrize("output", ["separated", "."])
def test_stems_of_an_earlier_run_are_no_inputs(tmp_path, output):
    make_song(tmp_path / "a.wav")
    order = Order(tmp_path / output)
    do([tmp_path], order)
    assert statuses(do([tmp_path], order)) == {"a.wav": "skipped"}


def test_an_input_named_twice_is_done_once(tmp_path):
    song = make_song(tmp_path / "in" / "a.wav")
    assert len(batch.plan([song, tmp_path / "in"], Order(tmp_path / "out"), CONFIG).jobs) == 1


def test_loops_of_links_are_searched_once(tmp_path):
    make_song(tmp_path / "in" / "a.wav")
    for name in ("loop", "other loop"):  # two of them make 2^40 paths before the system stops it
        (tmp_path / "in" / name).symlink_to(tmp_path / "in")
    assert len(batch.plan([tmp_path / "in"], Order(tmp_path / "out"), CONFIG).jobs) == 1


def test_a_link_to_itself_costs_one_line(tmp_path):
    make_song(tmp_path / "in" / "a.wav")
    (tmp_path / "in" / "b.wav").symlink_to("b.wav")
    plan = batch.plan([tmp_path / "in"], Order(tmp_path / "out"), CONFIG)
    assert [job.source.name for job in plan.jobs] == ["a.wav"]
    [(_, line)] = plan.faults
    assert line.startswith(f"{tmp_path}/in/b.wav: too many levels of symbolic links")


def test_a_folder_named_like_a_song_is_a_folder(tmp_path):
    make_song(tmp_path / "in" / "album.wav" / "a.wav")
    assert statuses(do([tmp_path / "in"], Order(tmp_path / "out"))) == {"a.wav": "done"}


@pytest.mark.parametrize("other", ["sub/song.flac", "song.mp3"])
def test_two_inputs_with_one_name_are_refused_before_any_work(tmp_path, other):
    first = make_song(tmp_path / "song.wav")
    second = make_song(tmp_path / other)
    with pytest.raises(ConfigError) as caught:
        batch.plan([first, second], Order(tmp_path / "out"), CONFIG)
    assert str(first) in str(caught.value)
    assert str(second) in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_file_in_the_name_tells_inputs_apart_that_differ_in_suffix(tmp_path):
    make_song(tmp_path / "in" / "song.wav")
    make_song(tmp_path / "in" / "song.wave")
    do([tmp_path / "in"], Order(tmp_path / "out", name="{parent}/{file}/{stem}"))
    assert {p.parent.name for p in tmp_path.glob("out/*/vocals.wav")} == {"song.wav", "song.wave"}


def test_the_name_places_stems_and_sidecar(tmp_path):
    song = make_song(tmp_path / "song.wav")
    do([song], Order(tmp_path / "out", name="{track} ({stem})"))
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert names == {"song (vocals).wav", "song (accompaniment).wav", "song (karaoke-sep).json"}


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("../{track}/{stem}", "outside"),
        ("/tmp/{track}/{stem}", "outside"),
        ("{parent}/../../{track}/{stem}", "outside"),
        ("{track}", "needs {stem}"),
        ("{stem}", "{track} or {file}"),
        ("{track}/{stem}/{artist}", "unknown field {artist}"),
        ("{track.__class__}/{stem}", "unknown field"),
        ("{track!r}/{stem}", "unknown field"),
        ("{track/{stem}", "expected"),
    ],
)
def test_a_name_that_leads_astray_is_refused(tmp_path, name, match):
    with pytest.raises(ConfigError, match=match):
        batch.plan([make_song(tmp_path / "song.wav")], Order(tmp_path / "out", name=name), CONFIG)


@pytest.mark.parametrize("name", ["...wav", "..wav"])
def test_a_track_cannot_lead_out_of_the_output_folder(tmp_path, name):
    plan = batch.plan([make_song(tmp_path / name)], Order(tmp_path / "out"), CONFIG)
    assert [line for _, line in plan.faults if "rename" in line]
    assert not plan.jobs


def test_names_as_long_as_can_be_work_and_longer_ones_are_faults(tmp_path):
    songs = [make_song(tmp_path / ("ö" * 115 + "x" * n + ".wav")) for n in (5, 6)]
    order = Order(tmp_path / "out", name="{track} ({stem})")  # the sidecar's name has 255 bytes
    plan = batch.plan(songs, order, CONFIG)
    assert [source for source, _ in plan.faults] == songs[1:]
    assert "would have a name of 256 bytes" in plan.faults[0][1]
    [fault, outcome] = batch.run(plan, order, CONFIG)
    assert (fault.status, outcome.status) == ("failed", "done")
    far = tmp_path / ("x/" * 1950)  # a path has room for 4096 bytes
    assert "cannot be there (file name too long)" in batch.plan(songs[:1], Order(far), CONFIG).faults[0][1]
    with pytest.raises(ConfigError, match="cannot be there"):
        batch.plan(songs, Order(far / ("x" * 250)), CONFIG)


@pytest.mark.parametrize("name", ["-o.wav", "größe 歌.wav", "a\nb.wav", "x" * 250 + ".wav", "100%s {track}.wav"])
def test_strange_names_work(tmp_path, name):
    [outcome] = do([make_song(tmp_path / name)], Order(tmp_path / "out"))
    assert outcome.paths[0] == tmp_path / "out" / name[:-4] / "vocals.wav"
    assert outcome.paths[0].exists()


def test_an_input_is_never_written_over(tmp_path):
    song = make_song(tmp_path / "song" / "vocals.wav")
    with pytest.raises(ConfigError, match="itself an input"):
        batch.plan([song, make_song(tmp_path / "song.wav")], Order(tmp_path), CONFIG)


# --- Planning --------------------------------------------------------------------------------------------------------


def test_all_faults_are_known_before_any_work(tmp_path):
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("no sound")
    make_song(tmp_path / "short.wav", seconds=0.01)
    make_song(tmp_path / "slow.wav", rate_hz=4000)
    soundfile.write(tmp_path / "wide.wav", np.zeros((800, 65)), 8000)
    make_song(tmp_path / "good.wav")
    bad = ["empty.wav", "text.wav", "short.wav", "slow.wav", "wide.wav", "absent.wav"]
    plan = batch.plan([tmp_path / name for name in (*bad, "good.wav")], Order(tmp_path / "out"), CONFIG)
    assert [source.name for source, _ in plan.faults] == bad
    assert [job.source.name for job in plan.jobs] == ["good.wav"]
    assert not (tmp_path / "out").exists()


def test_what_is_refused_is_told_all_at_once(tmp_path, monkeypatch):
    (tmp_path / "text.wav").write_text("no sound")
    pairs = [make_song(tmp_path / name) for name in ("a.wav", "a.wave", "b.wav", "b.wave")]
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=4 * 2 * 2 * 2400 - 1))  # bytes
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
    assert sum(path.stat().st_size for path in outcome.paths) <= n_bytes + 2 * 44  # bytes, with headers


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
    assert "needs 2 channels, not 1" in plan.faults[0][1]


def test_one_bad_file_does_not_stop_the_others(tmp_path):
    inputs = [make_song(tmp_path / "a.wav"), tmp_path / "nan.wav", make_song(tmp_path / "z.wav")]
    soundfile.write(inputs[1], np.full(8000, np.nan), 8000, "FLOAT")
    outcomes = do(inputs, Order(tmp_path / "out"))
    assert statuses(outcomes) == {"a.wav": "done", "nan.wav": "failed", "z.wav": "done"}
    assert f"{inputs[1]}: 8000 samples are NaN" in outcomes[1].message


def test_fail_fast_stops_at_the_first_failure(tmp_path):
    inputs = [tmp_path / "nan.wav", make_song(tmp_path / "z.wav")]
    soundfile.write(inputs[0], np.full(8000, np.nan), 8000, "FLOAT")
    assert statuses(do(inputs, Order(tmp_path / "out"), fail_fast=True)) == {"nan.wav": "failed"}
    assert not (tmp_path / "out" / "z").exists()


def test_a_mistake_of_ours_costs_one_file(tmp_path, monkeypatch):
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


def test_results_do_not_depend_on_the_number_of_processes(tmp_path):
    songs = [make_song(tmp_path / f"{i}.wav", seed=i) for i in range(3)]
    for n_jobs in (1, 2):
        do(songs, Order(tmp_path / f"out{n_jobs}"), n_jobs=n_jobs)
    assert len(files_below(tmp_path / "out1")) == 9
    assert files_below(tmp_path / "out1") == files_below(tmp_path / "out2")


class Deadly(PosixPath):
    """A path at whose sight every process dies but that whose number is among its folders."""

    def stat(self, **how):
        if str(os.getpid()) not in self.parts:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().stat(**how)


def make_songs_one_deadly(folder, n_songs=4):
    """Songs; no worker survives the second."""
    songs = [make_song(folder / str(os.getpid()) / f"{i}.wav") for i in range(n_songs)]
    return [songs[0], Deadly(songs[1]), *songs[2:]]


def test_a_worker_that_dies_costs_only_its_own_file(tmp_path):
    songs = make_songs_one_deadly(tmp_path, 9)
    outcomes = do(songs, Order(tmp_path / "out"), n_jobs=2)
    assert statuses(outcomes) == {f"{i}.wav": "failed" if i == 1 else "done" for i in range(9)}
    assert "process was killed twice" in next(o.message for o in outcomes if o.status == "failed")


@pytest.fixture
def dask_cluster():
    distributed = pytest.importorskip("distributed", reason="needs the extra [dask]")
    dask = pytest.importorskip("dask")
    settings = {"distributed.scheduler.allowed-failures": 0, "distributed.logging.distributed": "critical"}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster,
    ):
        yield cluster


def test_dask_workers_give_the_same_stems(tmp_path, dask_cluster):
    songs = [make_song(tmp_path / f"{i}.wav", seed=i) for i in range(4)]
    do(songs, Order(tmp_path / "here"))
    outcomes = do(songs, Order(tmp_path / "there"), engine="dask", scheduler=dask_cluster.scheduler_address)
    assert set(statuses(outcomes).values()) == {"done"}
    assert files_below(tmp_path / "there") == files_below(tmp_path / "here")


def test_a_dask_worker_that_dies_costs_only_its_own_file(tmp_path, dask_cluster):
    songs = make_songs_one_deadly(tmp_path)
    outcomes = do(songs, Order(tmp_path / "out"), engine="dask", scheduler=dask_cluster.scheduler_address)
    assert statuses(outcomes) == {f"{i}.wav": "failed" if i == 1 else "done" for i in range(4)}
    assert "killed twice" in next(o.message for o in outcomes if o.status == "failed")


def test_a_cluster_that_does_not_know_the_package_is_told_in_one_line(tmp_path, monkeypatch):
    def submit(*_):
        future = Future()
        future.set_exception(ModuleNotFoundError("No module named 'karaoke_sep'\nand more"))
        return future

    monkeypatch.setattr(workers, "open_workers", lambda *_: nullcontext((submit, BrokenProcessPool)))
    with pytest.raises(ConfigError, match=r"cannot begin \(ModuleNotFoundError: .*\); .* same version .* everywhere"):
        do([make_song(tmp_path / "song.wav")], Order(tmp_path / "out"), engine="dask")


def test_processes_that_work_keep_freed_memory(tmp_path):
    """Where the system gets each array back, as Dask asks, each is new to it, and work takes 2.4 times."""
    code = f"""
import resource
import numpy as np
from pathlib import Path
from karaoke_sep import batch, load_config

def page_faults_of_arrays():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        np.ones(1 << 17)  # 256 pages, too few for a huge one
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = page_faults_of_arrays()
order, config = batch.Order(Path({str(tmp_path)!r}, "out")), load_config("fast")
[job] = batch.plan([Path({str(make_song(tmp_path / "song.wav"))!r})], order, config).jobs
batch.do(job, order, config)
print(before, page_faults_of_arrays())
"""
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    if before < 40 * 256:
        pytest.skip("this system keeps what is freed by itself")
    assert after < 10 * 256


@pytest.fixture
def ray_cluster():
    clusters = pytest.importorskip("ray.cluster_utils", reason="needs the extra [ray]")
    cluster = clusters.Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield cluster
    cluster.shutdown()


def test_ray_workers_give_the_same_stems(tmp_path, ray_cluster):
    songs = [make_song(tmp_path / f"{i}.wav", seed=i) for i in range(4)]
    do(songs, Order(tmp_path / "here"))
    outcomes = do(songs, Order(tmp_path / "there"), engine="ray", scheduler=ray_cluster.address)
    assert set(statuses(outcomes).values()) == {"done"}
    assert files_below(tmp_path / "there") == files_below(tmp_path / "here")


def test_a_ray_worker_that_dies_costs_only_its_own_file(tmp_path, ray_cluster):
    import ray.cloudpickle

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # its workers do not import this file
    songs = make_songs_one_deadly(tmp_path)
    outcomes = do(songs, Order(tmp_path / "out"), engine="ray", scheduler=ray_cluster.address)
    assert statuses(outcomes) == {f"{i}.wav": "failed" if i == 1 else "done" for i in range(4)}
    assert "killed twice" in next(o.message for o in outcomes if o.status == "failed")


def test_levels_and_costs_are_told(tmp_path):
    [outcome] = do([make_song(tmp_path / "a.wav", seconds=0.5)], Order(tmp_path / "out"))
    stems = {stem: soundfile.read(tmp_path / "out" / "a" / f"{stem}.wav")[0] for stem in batch.STEMS}
    assert outcome.levels_db == pytest.approx({s: 10 * np.log10(np.mean(x**2)) for s, x in stems.items()}, abs=1e-6)
    assert outcome.seconds == 0.5
    assert outcome.cpu_s > 0
    assert outcome.wall_s > 0


# --- Contours --------------------------------------------------------------------------------------------------------


def test_a_contour_is_followed_instead_of_found(tmp_path):
    song = make_song(tmp_path / "song.wav", seconds=1)
    rows = "".join(f"{t / 100},220\n" for t in range(100))
    (tmp_path / "sung.csv").write_text("time_s,f0_hz\n" + rows)
    (tmp_path / "silent.csv").write_text("time_s,f0_hz\n" + rows.replace("220", "0"))
    levels = [
        do([song], Order(tmp_path / name, contours=tmp_path / f"{name}.csv"))[0].levels_db["vocals"]
        for name in ("sung", "silent")
    ]
    assert levels[0] > levels[1] + 20  # dB


def test_contours_are_found_by_the_names_of_the_tracks(tmp_path):
    make_song(tmp_path / "in" / "sub" / "a.wav")
    make_song(tmp_path / "in" / "b.wav")
    make_song(tmp_path / "in" / "c.wav")
    (tmp_path / "contours" / "sub").mkdir(parents=True)
    (tmp_path / "contours" / "sub" / "a.pv").write_text("57\n" * 15)
    (tmp_path / "contours" / "b.csv").write_text("time_s,f0_hz\n0.1,220\n")
    plan = batch.plan([tmp_path / "in"], Order(tmp_path / "out", contours=tmp_path / "contours"), CONFIG)
    assert {job.source.name: len(job.track.f0_hz) for job in plan.jobs} == {"a.wav": 15, "b.wav": 1}
    assert [line for _, line in plan.faults if "no pitch contour c.csv (or .pv, .tsv, .txt)" in line]


def test_a_found_contour_separates_as_if_it_were_found_again(tmp_path):
    song = make_song(tmp_path / "song.wav", seconds=1)
    do([song], Order(tmp_path / "pitch", ("pitch",), "{parent}/{track}"))
    do([song], Order(tmp_path / "given", contours=tmp_path / "pitch"))
    do([song], Order(tmp_path / "found"))
    followed, found = (reading.read(tmp_path / way / "song" / "vocals.wav")[0].samples for way in ("given", "found"))
    np.testing.assert_allclose(followed, found, atol=1e-3)  # full scale; the file holds 4 to 6 decimals


# --- Doing the rest --------------------------------------------------------------------------------------------------


def times_of(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_second_run_makes_nothing_again(tmp_path):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    do([song], order)
    made = times_of(tmp_path / "out" / "song")
    assert statuses(do([song], order)) == {"song.wav": "skipped"}
    assert times_of(tmp_path / "out" / "song") == made


def change_input(song, stems):
    make_song(song, seed=1)


def remove_stem(song, stems):
    (stems / "vocals.wav").unlink()


def cut_stem(song, stems):
    (stems / "vocals.wav").write_bytes(b"RIFF")


def spoil_sidecar(song, stems):
    (stems / "karaoke-sep.json").write_text("[1]")


def age_sidecar(song, stems):
    sidecar = stems / "karaoke-sep.json"
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"version": "0.0.1"}))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (change_input, "input has changed"),
        (remove_stem, "vocals.wav is missing"),
        (cut_stem, "vocals.wav has changed"),
        (spoil_sidecar, "cannot be read"),
        (age_sidecar, "version 0.0.1"),
    ],
)
def test_what_is_stale_is_made_again_and_the_reason_told(tmp_path, spoil, reason):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    do([song], order)
    spoil(song, tmp_path / "out" / "song")
    [job] = batch.plan([song], order, CONFIG).jobs
    assert job.state == "stale"
    assert reason in job.reason
    assert statuses(do([song], order)) == {"song.wav": "done"}
    assert statuses(do([song], order)) == {"song.wav": "skipped"}


@pytest.mark.parametrize(
    ("changes", "overrides"),
    [
        ({}, ["stft.hop_ms=17"]),
        ({"subtype": "PCM_24"}, []),
        ({"clip": "float"}, []),
        ({"products": ("vocals", "accompaniment", "pitch")}, []),
    ],
)
def test_other_settings_make_it_stale(tmp_path, changes, overrides):
    song = make_song(tmp_path / "song.wav")
    do([song], Order(tmp_path / "out"))
    plan = batch.plan([song], Order(tmp_path / "out", **changes), load_config("fast", overrides))
    assert [job.state for job in plan.jobs] == ["stale"]


def test_one_stem_is_there_when_both_were_made(tmp_path):
    song = make_song(tmp_path / "song.wav")
    do([song], Order(tmp_path / "out"))
    [job] = batch.plan([song], Order(tmp_path / "out", ("vocals",)), CONFIG).jobs
    assert job.state == "done"


@pytest.mark.parametrize("product", ["pitch", "notes", "ultrastar"])
def test_what_was_corrected_by_hand_is_kept_and_what_is_missing_is_made(tmp_path, product):
    song = make_song(tmp_path / "song.wav")
    order = Order(tmp_path / "out", (*batch.STEMS, product))
    do([song], order)
    [job] = batch.plan([song], order, CONFIG).jobs
    path = job.targets[product]
    path.write_bytes(path.read_bytes() + b"100,220,1\n")
    assert statuses(do([song], order)) == {"song.wav": "skipped"}
    path.unlink()
    assert statuses(do([song], order)) == {"song.wav": "done"}
    assert path.exists()


def test_notes_in_tune_are_made_again_with_bends(tmp_path):
    song = make_song(tmp_path / "song.wav")
    order = Order(tmp_path / "out", (*batch.STEMS, "notes"), bends=False)
    do([song], order)
    assert statuses(do([song], order)) == {"song.wav": "skipped"}
    assert [job.state for job in batch.plan([song], replace(order, bends=True), CONFIG).jobs] == ["stale"]


def test_ultrastar_takes_title_and_artist_from_the_tags(tmp_path):
    path = tmp_path / "song.ogg"
    with soundfile.SoundFile(path, "w", 8000, 1) as file:
        file.title, file.artist = "A title", "Somebody"
        file.write(np.sin(np.arange(4000) / 4))
    do([path], Order(tmp_path / "out", (*batch.STEMS, "ultrastar")))
    lines = (tmp_path / "out" / "song" / "ultrastar.txt").read_text().splitlines()
    assert lines[1:4] == ["#TITLE:A title", "#ARTIST:Somebody", "#MP3:song.ogg"]


def test_overwrite_makes_again(tmp_path):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    do([song], order)
    assert statuses(do([song], order, overwrite=True)) == {"song.wav": "done"}


def test_stems_made_elsewhere_are_kept_unless_overwritten(tmp_path):
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    for stem in batch.STEMS:
        make_song(tmp_path / "out" / "song" / f"{stem}.wav")
    foreign = files_below(tmp_path / "out")
    assert statuses(do([song], order)) == {"song.wav": "skipped"}
    assert files_below(tmp_path / "out") == foreign
    assert statuses(do([song], order, overwrite=True)) == {"song.wav": "done"}


def test_a_single_stem_made_elsewhere_is_a_fault_not_lost(tmp_path):
    song = make_song(tmp_path / "song.wav")
    make_song(tmp_path / "out" / "song" / "vocals.wav")
    foreign = files_below(tmp_path / "out")
    [outcome] = do([song], Order(tmp_path / "out"))
    assert "made elsewhere" in outcome.message
    assert files_below(tmp_path / "out") == foreign


@pytest.mark.parametrize("n_written", [0, 1, 2, 3])
def test_what_was_interrupted_is_made_by_the_next_run(tmp_path, monkeypatch, n_written):
    """Stopped before the n-th file takes its place: claim, vocals, accompaniment, sidecar."""
    song, order = make_song(tmp_path / "song.wav"), Order(tmp_path / "out")
    replace, calls = os.replace, []

    def stop_at(source, target):
        if len(calls) == n_written:
            raise KeyboardInterrupt
        calls.append(target)
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "replace", stop_at)
        with pytest.raises(KeyboardInterrupt):
            do([song], order)
    left = files_below(tmp_path / "out")
    assert len(left) == min(n_written, 3)
    assert not [name for name in left if ".part" in name]
    assert statuses(do([song], order)) == {"song.wav": "done"}
    do([song], Order(tmp_path / "whole"))
    assert files_below(tmp_path / "out") == files_below(tmp_path / "whole")


def test_what_a_stopped_process_left_is_removed(tmp_path):
    song = make_song(tmp_path / "song.wav")
    with atomic.whole_file(tmp_path / "out" / "song" / "vocals.wav") as part:
        part.write_bytes(b"half")
    left = part.with_name(part.name.replace(str(os.getpid()), "1"))  # of another process
    (tmp_path / "out" / "song" / "vocals.wav").rename(left)
    do([song], Order(tmp_path / "out"))
    assert not left.exists()


def test_a_full_disk_fails_the_file_in_one_line(tmp_path, monkeypatch):
    song = make_song(tmp_path / "song.wav")

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    [outcome] = do([song], Order(tmp_path / "out"))
    assert outcome.status == "failed"
    assert "no space left on device" in outcome.message
    assert not files_below(tmp_path / "out")


def test_the_sidecar_tells_what_the_stems_are_made_of(tmp_path):
    song = make_song(tmp_path / "song.wav")
    do([song], Order(tmp_path / "out"))
    record = json.loads((tmp_path / "out" / "song" / "karaoke-sep.json").read_text())
    assert record["input"]["bytes"] == song.stat().st_size
    sizes = {stem: Path(tmp_path / "out" / "song" / f"{stem}.wav").stat().st_size for stem in batch.STEMS}
    assert record["outputs"] == sizes
