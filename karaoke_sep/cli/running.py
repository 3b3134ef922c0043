"""Run a plan: report its errors, do the rest of the work, and end with the exit code."""

import gc
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import click

from .. import __version__
from ..errors import ConfigError, counted
from ..files import foreign
from .input_lists import all_inputs
from .messages import SongBars, log, result_line
from .options import is_given


def run_jobs(
    inputs: tuple[Path, ...],
    order: Any,
    config: Any,
    *,
    shard: tuple[int, int],
    overwrite: bool,
    dry_run: bool,
    report: Path | None,
    quiet: bool,
    verbose: bool,
    n_jobs: int,
    lists: tuple[Path, ...],
    exclude: tuple[str, ...],
    **how: Any,
) -> None:
    """Plan the work, report its errors, do the rest of the work, and end with the exit code."""
    from .. import batch

    gc.freeze()  # what was imported stays to the end, where Python would search it for garbage several times
    inputs = all_inputs(inputs, lists)
    _check_inputs(inputs)
    _check_effects(quiet, verbose, dry_run, report, how["engine"], how["scheduler"])
    plan = batch.plan(inputs, order, config, shard=shard, overwrite=overwrite, exclude=exclude)
    for line in [*(line for _, line in plan.errors), *([] if quiet else plan.notes)]:
        log(line)
    if not quiet:
        _say_states(plan.jobs, order, batch.looks_like_mir1k(plan.jobs))
    ctx = click.get_current_context()
    if dry_run:
        for job in plan.jobs:
            result_line("\t".join([job.state, str(job.source), *map(str, job.targets.values())]))
        ctx.exit(1 if plan.errors else 0)
    reported = {line for _, line in plan.errors}
    counts = {"done": 0, "skipped": 0, "failed": 0}
    with _overwriting(overwrite), SongBars(plan.todo, n_jobs, quiet) as bars, _Report(report, config) as note:
        for outcome in batch.run(plan, order, config, n_jobs=n_jobs, progress=bars.show_stage, **how):
            counts[outcome.status] += 1
            note(outcome)
            if outcome.source in bars.lengths_s:
                bars.finish(outcome.source)
            _say(outcome, quiet, verbose, reported)
    if not quiet and sum(counts.values()) > max(1, counts["skipped"]):  # finished inputs alone were counted above
        log(_summary(counts))
    ctx.exit(1 if counts["failed"] else 0)


@contextmanager
def _overwriting(overwrite: bool) -> Iterator[None]:
    """Explain an interruption with --overwrite, which does not resume."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if overwrite:
            stop.args = ("Interrupted. Finished files are kept; the same command, with --overwrite, makes them again.",)
        raise


def _check_inputs(inputs: tuple[Path, ...]) -> None:
    """Reject inputs that do not exist, so that a mistyped name is reported before the work begins."""
    missing = []
    for path in inputs:
        try:
            os.lstat(path)
        except (FileNotFoundError, ValueError):
            missing.append(f"{path}: no such file or folder; check the name")
        except OSError as err:
            missing.append(f"{path}: {(err.strerror or 'cannot be read').lower()}; check the name and the folder")
    if missing:
        raise ConfigError("\n".join(missing))


def _check_effects(
    quiet: bool, verbose: bool, dry_run: bool, report: Path | None, engine: str, scheduler: str | None
) -> None:
    """Reject options that would have no effect."""
    if scheduler and engine == "local":
        raise ConfigError("--scheduler: has no effect without --engine dask or --engine ray; add one of them")
    if engine != "local" and is_given("n_jobs"):
        raise ConfigError(f"--jobs: has no effect with --engine {engine}; the cluster has its own number of workers")
    if quiet and verbose:
        raise ConfigError("--quiet and --verbose contradict each other; give one of them")
    if dry_run and report:
        raise ConfigError("--report: has no effect with --dry-run, which does no work; leave one of them out")


def _say_states(jobs: list, order: Any, looks_like_mir1k: bool) -> None:
    """Report which outputs are up to date and which are made again."""
    if order.layout == "mixture" and looks_like_mir1k:
        log("hint: this looks like MIR-1K, accompaniment left and voice right; --layout mir1k separates their sum")
    for job in jobs:
        if job.reason:
            log(f"{job.source}: {'kept' if job.state == 'done' else 'made again'}: {job.reason}")
    current = [job.source for job in jobs if job.state == "done" and not job.reason]
    if current:
        who = f"{current[0]}: is" if len(current) == 1 else f"{counted(len(current), 'input')} are"
        log(f"{who} up to date; --overwrite makes the outputs again")


def _say(outcome: Any, quiet: bool, verbose: bool, reported: set[str]) -> None:
    """Report an outcome, unless it is an error of the plan, which has been reported already."""
    if not quiet:
        for line in outcome.warnings:
            log(line)
    if outcome.status == "failed" and outcome.message not in reported:
        log(outcome.message)
    if verbose and outcome.status != "skipped":
        spent = f"{outcome.source}: {outcome.seconds:.1f} s of sound in {outcome.wall_s:.1f} s"
        for line in outcome.details.splitlines() or [spent]:
            log(line)
    for path in outcome.paths:
        result_line(path)


def _summary(counts: dict[str, int]) -> str:
    words = {"done": "done", "skipped": "up to date", "failed": "failed"}
    return ", ".join(f"{count} {words[status]}" for status, count in counts.items() if count)


def _report_file(path: Path) -> TextIO:
    """Open a file to add lines to; raise ConfigError if it holds something else."""
    is_amid_a_line = False
    if path.is_file():
        foreign.check_replaceable(
            path, lambda there: foreign.head(there).startswith(b'{"source": '), "give another --report"
        )
        with open(path, "rb") as there:
            there.seek(max(0, path.stat().st_size - 1))
            is_amid_a_line = there.read() not in (b"", b"\n")
    file = open(path, "a", encoding="utf-8")  # noqa: SIM115
    file.write("\n" * is_amid_a_line)  # of a run that was killed
    return file


class _Report:
    """A file to which a line of JSON is added for each outcome."""

    def __init__(self, path: Path | None, config: Any):
        self.path, self.config = path, config
        self.file: TextIO | None = None

    def __enter__(self) -> "_Report":
        from ..config import fingerprint

        self.common = {"version": __version__, "config": fingerprint(self.config)}
        try:
            self.file = _report_file(self.path) if self.path else None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ConfigError(f"--report {self.path}: cannot be written ({reason}); give another file") from None
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.file:
            self.file.close()

    def __call__(self, outcome: Any) -> None:
        if self.file:
            line = {name: value for name, value in vars(outcome).items() if name != "details"} | self.common
            self.file.write(json.dumps(line, default=str) + "\n")
            self.file.flush()
