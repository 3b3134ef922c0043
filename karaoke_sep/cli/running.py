"""Run a plan: print what is wrong, do the rest, and end with the exit code."""

import json
from pathlib import Path

import click

from .. import __version__
from ..errors import ConfigError
from .messages import Bars, log, result_line


def run_jobs(inputs, order, config, *, shard, overwrite, dry_run, report, quiet, verbose, n_jobs, **how) -> None:
    """Plan, say what is wrong, do the rest, and end with the exit code."""
    from .. import batch

    plan = batch.plan(inputs, order, config, shard=shard, overwrite=overwrite)
    for _, line in plan.faults:
        log(line)
    if order.layout == "mixture" and batch.looks_like_mir1k(plan.jobs) and not quiet:
        log("hint: this looks like MIR-1K, accompaniment left and voice right; --layout mir1k separates their sum")
    for job in plan.jobs:
        _say_state(job, dry_run, quiet)
    ctx = click.get_current_context()
    if dry_run:
        ctx.exit(1 if plan.faults else 0)
    outcomes = []
    with Bars(plan.todo, n_jobs, quiet) as bars, _Report(report, config) as note:
        for outcome in batch.run(plan, order, config, n_jobs=n_jobs, progress=bars.stage, **how):
            outcomes.append(outcome)
            note(outcome)
            if outcome.source in bars.left:
                bars.advance(outcome.source)
                _say(outcome, verbose)
    _sum_up(outcomes, quiet)
    ctx.exit(1 if any(outcome.status == "failed" for outcome in outcomes) else 0)


def _say_state(job, dry_run: bool, quiet: bool) -> None:
    if dry_run:
        result_line("\t".join([job.state, str(job.source), *map(str, job.targets.values())]))
    if job.reason and not quiet:
        log(f"{job.source}: {'skipped' if job.state == 'done' else 'made again'}: {job.reason}")


def _say(outcome, verbose: bool) -> None:
    for line in outcome.warnings:
        log(line)
    if outcome.status == "failed":
        log(outcome.message)
    if verbose:
        spent = f"{outcome.source}: {outcome.seconds:.1f} s of sound in {outcome.wall_s:.1f} s"
        for line in outcome.details.splitlines() or [spent]:
            log(line)
    for path in outcome.paths:
        result_line(path)


def _sum_up(outcomes, quiet: bool) -> None:
    """Counts, and the failures once more, which may have scrolled by."""
    if quiet or len(outcomes) < 2:
        return
    counts = {status: sum(o.status == status for o in outcomes) for status in ("done", "skipped", "failed")}
    log(", ".join(f"{count} {status}" for status, count in counts.items()) + (":" if counts["failed"] else ""))
    for outcome in outcomes:
        if outcome.status == "failed":
            log(f"  {outcome.message}")


class _Report:
    """Adds a line of JSON to a file for each outcome."""

    def __init__(self, path: Path | None, config):
        self.path, self.config = path, config

    def __enter__(self):
        from ..config import fingerprint

        self.common = {"version": __version__, "config": fingerprint(self.config)}
        try:
            self.file = open(self.path, "a", encoding="utf-8") if self.path else None
        except OSError as err:
            raise ConfigError(f"--report {self.path}: cannot be written ({err.strerror.lower()})") from None
        return self

    def __exit__(self, *_):
        if self.file:
            self.file.close()

    def __call__(self, outcome):
        if self.file:
            line = {name: value for name, value in vars(outcome).items() if name != "details"} | self.common
            self.file.write(json.dumps(line, default=str) + "\n")
            self.file.flush()
