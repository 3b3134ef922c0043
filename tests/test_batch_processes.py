"""Batches on several processes, and on clusters."""

import os
import signal
import subprocess
import sys
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from pathlib import PosixPath

import pytest
from batches import do, files_below, make_song, statuses

from karaoke_sep.batch import Order
from karaoke_sep.errors import ConfigError
from karaoke_sep.processes import workers


def test_results_do_not_depend_on_the_number_of_processes(tmp_path):
    songs = [make_song(tmp_path / f"{i}.wav", seed=i) for i in range(3)]
    for n_jobs in (1, 2):
        do(songs, Order(tmp_path / f"out{n_jobs}"), n_jobs=n_jobs)
    assert len(files_below(tmp_path / "out1")) == 6
    assert files_below(tmp_path / "out1") == files_below(tmp_path / "out2")


class Deadly(PosixPath):
    """A path that ends every process that reads it, except the one whose number is among its folders."""

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
    assert {name for name, status in statuses(outcomes).items() if status == "failed"} == {"1.wav"}
    assert len(list((tmp_path / "out").glob("*/vocals.wav"))) == 8
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
    assert {name for name, status in statuses(outcomes).items() if status == "failed"} == {"1.wav"}
    assert "killed twice" in next(o.message for o in outcomes if o.status == "failed")


def test_a_cluster_without_the_package_is_an_error_of_one_line(tmp_path, monkeypatch):
    def submit(*_):
        future = Future()
        future.set_exception(ModuleNotFoundError("No module named 'karaoke_sep'\nand more"))
        return future

    monkeypatch.setattr(workers, "open_workers", lambda *_: nullcontext((submit, BrokenProcessPool)))
    with pytest.raises(ConfigError, match=r"cannot begin \(ModuleNotFoundError: .*\); .* same version .* everywhere"):
        do([make_song(tmp_path / "song.wav")], Order(tmp_path / "out"), engine="dask")


def test_worker_processes_keep_freed_memory(tmp_path):
    """With the settings of Dask each array is returned to the system, and the work takes 2.4 times as long."""
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
    assert {name for name, status in statuses(outcomes).items() if status == "failed"} == {"1.wav"}
    assert "killed twice" in next(o.message for o in outcomes if o.status == "failed")
