"""Do the planned work: in this process, in several, or on a cluster.

One failure does not stop the rest, and a second run does what is left.
"""

import math
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from dataclasses import replace
from functools import partial

from ..config import Config
from ..errors import ConfigError, KaraokeSepError, unexpected
from ..files.sound_info import SoundInfo
from ..processes import memory, workers
from ..processes.signals import raise_lost
from ..processes.threads import one_thread
from .delivery import clear_after, deliver
from .jobs import Job, Order, Outcome, Plan
from .products import make


def run(
    plan: Plan,
    order: Order,
    config: Config,
    *,
    n_jobs: int = 1,
    engine: str = "local",
    scheduler: str | None = None,
    fail_fast: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> Iterator[Outcome]:
    """Do the planned work, and yield an outcome for every input as soon as it is finished.

    Parameters
    ----------
    n_jobs : int
        Processes on this machine, with one thread each. The stems do not depend on it.
    engine : {"local", "dask", "ray"}
        "dask" and "ray" use all workers of a running cluster, which must see the same files under the same paths.
    scheduler : str, optional
        Address of the cluster.
    fail_fast : bool
        Stop after the first input that fails.
    progress : callable, optional
        Called with the stage and the fraction done, 0..1, if one local process does the work.

    Raises
    ------
    ConfigError
        If the cluster cannot be reached.
    """
    if plan.answers:
        plan.answers.save()
    for outcome in _all_outcomes(plan, order, config, n_jobs, engine, scheduler, progress):
        yield outcome
        raise_lost()
        if fail_fast and outcome.status == "failed":
            return


def _all_outcomes(
    plan: Plan,
    order: Order,
    config: Config,
    n_jobs: int,
    engine: str,
    scheduler: str | None,
    progress: Callable[[str, float], None] | None,
) -> Iterator[Outcome]:
    yield from (Outcome(source, "failed", line) for source, line in plan.errors)
    for job in plan.jobs:
        if job.state == "done":
            clear_after(job)  # left by a process that was killed after it had made everything
            yield Outcome(job.source, "skipped", job.reason, paths=tuple(job.targets.values()))
    try:
        if engine == "local" and n_jobs == 1:
            yield from (do(job, order, config, progress) for job in plan.todo)
        elif n_jobs := min(n_jobs, len(plan.todo)):
            if engine == "local":
                _import_libraries()
            open_workers = partial(workers.open_workers, engine, n_jobs, scheduler)
            # The longest files begin first. If one began last, all other processes would wait for it.
            longest_first = sorted(plan.todo, key=lambda job: job.info.duration_s or math.inf, reverse=True)
            try:
                yield from _in_parallel(longest_first, order, config, open_workers, n_jobs)
            except workers.NoProcessesError as err:
                line = f"--jobs {n_jobs}: no other process can be started here ({err}); one process does all the work"
                for job in plan.todo:
                    outcome = do(job, order, config)
                    yield replace(outcome, warnings=(*([line] if job is plan.todo[0] else []), *outcome.warnings))
    except BaseException:
        # Workers that were killed could not remove their temporary files.
        for job in plan.todo:
            clear_after(job)
        raise


def _import_libraries() -> None:
    """Import what every separation needs, once for all processes that are forked from this one."""
    import scipy.fft
    import scipy.ndimage
    import scipy.sparse
    import scipy.special  # noqa: F401


def _in_parallel(
    jobs: list[Job], order: Order, config: Config, open_workers: Callable, n_jobs: int
) -> Iterator[Outcome]:
    """Do the jobs in other processes, also if some of these die.

    If a local process dies, its pool ends. Jobs begin in order, so the jobs that were running are the first ones
    without an outcome. These are done again one at a time. A job whose process dies again is reported as failed, and
    the other jobs continue.
    """
    while jobs:
        done = set()
        for job, outcome in _outcomes(jobs, order, config, open_workers):
            if outcome is not None:
                done.add(job.source)
                yield outcome
        lost = [job for job in jobs if job.source not in done]
        for suspect in lost[:n_jobs]:
            [(_, outcome)] = _outcomes([suspect], order, config, open_workers)
            message = f"{suspect.source}: its process was killed twice; it may need more memory than there is"
            yield outcome or Outcome(suspect.source, "failed", message)
        jobs = lost[n_jobs:]


def _outcomes(
    jobs: list[Job], order: Order, config: Config, open_workers: Callable
) -> Iterator[tuple[Job, Outcome | None]]:
    """Yield each job with its outcome, or None when its process died."""
    with open_workers() as (submit, died):
        futures = {submit(do, job, order, config): job for job in jobs}
        for future in as_completed(futures):
            try:
                outcome = future.result()
            except died:
                outcome = None
            except Exception as err:  # not from `do`, which catches all exceptions
                reason = f"{type(err).__name__}: {err}".partition("\n")[0]
                raise ConfigError(
                    f"a worker cannot begin ({reason}); the cluster needs the same version of karaoke-sep everywhere"
                ) from None
            yield futures[future], outcome


def do(job: Job, order: Order, config: Config, progress: Callable[[str, float], None] | None = None) -> Outcome:
    """Make the outputs of one job. Failures become outcomes, not exceptions."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    memory.keep_freed()
    try:
        with one_thread():
            outcome = deliver(job, order, config, lambda staged: make(staged, order, config, progress))
    except KaraokeSepError as err:
        outcome = Outcome(job.source, "failed", str(err))
    except MemoryError:
        outcome = Outcome(job.source, "failed", f"{job.source}: not enough memory for {_length(job.info)} of sound")
    except Exception as err:
        # An error in this package fails one file, not the whole batch.
        outcome = Outcome(job.source, "failed", unexpected(job.source, err), details=traceback.format_exc())
    return replace(outcome, wall_s=time.perf_counter() - wall_s, cpu_s=time.process_time() - cpu_s)


def _length(info: SoundInfo) -> str:
    return "an unknown length" if info.duration_s is None else f"{info.duration_s:.0f} s"
