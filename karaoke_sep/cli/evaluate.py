"""`karaoke-sep evaluate`: a thin shell over `evaluation.run` and `evaluation.report`."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import click

from ..errors import ConfigError, counted
from .messages import log, progress_bar, result_line
from .options import (
    FILE,
    PATH,
    ConfigChoice,
    Number,
    config_options,
    jobs_option,
    parse_names,
    quiet_option,
    together,
)

_SNR_DB = 60.0  # at higher values one of the sources is inaudible

_selection_options = together(
    click.option("--singers", metavar="NAME,...", default="", callback=parse_names, help="Use these singers only."),
    click.option(
        "--every",
        default=1,
        type=click.IntRange(1),
        metavar="K",
        help="Use every K-th clip only, beginning with the first.",
    ),
)

_overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Score all clips again, and replace the rows of an earlier run."
)

_output_options = together(
    jobs_option,
    click.option("--csv", "csv_path", type=FILE, metavar="FILE", help="Write one row for each clip and method."),
    click.option(
        "--json",
        "json_path",
        type=FILE,
        metavar="FILE",
        help="Write all figures, with versions, config and a hash of the data.",
    ),
    _overwrite_option,
    quiet_option,
)


def _rows_option(default: str) -> Callable:
    """Return the option of the file of rows; each kind of evaluation has a file of its own."""
    return click.option(
        "--rows",
        default=default,
        show_default=True,
        type=FILE,
        metavar="FILE",
        help="Add the figures of each clip to this file as soon as it is finished. The same command resumes from it.",
    )


@click.group()
def evaluate() -> None:
    """Score separations with the figures of the literature.

    The figures are SDR, SIR and SAR of BSS Eval version 2.1 (v2: gain only) and version 3 (v3: filters of 512 taps),
    and uSDR.
    """


@evaluate.command()
@click.argument("folder", type=PATH)
@click.option(
    "--split",
    type=click.Choice(["dev", "test", "all"]),
    default="all",
    show_default=True,
    help="Choose the part of the dataset. dev: the singers abjones and amy. test: the others.",
)
@_selection_options
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Stop after the first N of the chosen clips.")
@click.option(
    "--snr",
    "snr_db",
    default=0.0,
    show_default=True,
    type=Number(-_SNR_DB, _SNR_DB),
    metavar="DB",
    help="Mix with the voice at this level above the accompaniment; the literature uses -5, 0 and 5 dB.",
)
@config_options
@click.option("--ceilings", is_flag=True, help="Score ideal masks and the method with parts of the truth as well.")
@click.option("--compare", is_flag=True, help="Score other untrained methods as well: RPCA, REPET, HPSS and more.")
@click.option(
    "--only-others",
    is_flag=True,
    help="Leave out the method itself, and score only the results of --ceilings and --compare that no setting changes.",
)
@_rows_option("evaluation-mir1k.jsonl")
@_output_options
def mir1k(
    folder: Path,
    split: str,
    singers: tuple[str, ...],
    every: int,
    limit: int | None,
    snr_db: float,
    chosen: ConfigChoice,
    ceilings: bool,
    compare: bool,
    only_others: bool,
    **outputs: Any,
) -> None:
    """Separate and score the MIR-1K clips in FOLDER.

    FOLDER is the dataset as distributed, or a folder of clips: accompaniment left, voice right.
    """
    from ..config import fingerprint, to_dict
    from ..datasets import mir1k
    from ..evaluation import run

    if only_others and not (ceilings or compare):
        raise ConfigError("--only-others: has no effect alone; add --ceilings, --compare or both")
    if only_others and any(chosen):
        raise ConfigError("--only-others: no setting has an effect; leave out --config, --model, --pitch and --set")
    config = None if only_others else _checked_config(chosen)
    clips = mir1k.find_clips(folder, split, singers, every, limit)
    _warn_of_known_singers(chosen.models, clips)
    paths = [path for clip in clips for path in (clip.path, clip.pitch_path) if path]
    described = _described("mir1k", len(clips), run.fingerprint(paths))
    described |= {
        "models": run.fingerprint(map(Path, chosen.models)) if chosen.models else None,
        "snr_db": snr_db,
        "ceilings": ceilings,
        "compare": compare,
        "config": config and fingerprint(config),
    }
    score = partial(run.score_clip, trial=run.Trial(config, snr_db, ceilings, compare))
    selection = {"split": split, "singers": ",".join(singers), "every": every, "limit": limit}
    _evaluate(score, clips, described, {**selection, "settings": config and to_dict(config)}, **outputs)


@evaluate.command(short_help="Score the frame classes of a model.")
@click.argument("folder", type=PATH)
@click.option("--model", required=True, metavar="FILE", help="Score this model of karaoke-sep train activity.")
@_selection_options
@jobs_option
@quiet_option
def activity(folder: Path, model: str, singers: tuple[str, ...], every: int, n_jobs: int, quiet: bool) -> None:
    """Score the frame classes of a model against the labels of MIR-1K in FOLDER, beside the untrained gate."""
    import joblib

    from ..datasets import mir1k
    from ..evaluation import report, run
    from ..trained import models

    trained = models.read(model, "activity")
    clips = mir1k.find_clips(folder, "all", singers, every)
    _warn_of_known_singers([model], clips)
    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator")
    found = []
    with progress_bar(quiet, total=len(clips), unit="clip") as bar:
        for frames in parallel(joblib.delayed(run.labelled_frames)(clip, trained.arrays) for clip in clips):
            found.append(frames)
            bar.update()
    rows = []
    for singer in sorted({clip.singer for clip in clips}):
        own = [frames for clip, frames in zip(clips, found, strict=True) if clip.singer == singer]
        rows.append((singer, _activity_figures(own, trained)))
    header = ["fractions of frames", *rows[0][1]]
    result_line(report.table(header, [[name, *(f"{v:.3f}" for v in figures.values())] for name, figures in rows]))


def _activity_figures(frames: list, trained: Any) -> dict[str, float]:
    """Return the figures of one singer from the frames of all clips."""
    import numpy as np
    import scipy.special

    from ..evaluation import activity
    from ..trained import frame_classes

    _, true, gains, log_odds = (np.concatenate(values) for values in zip(*frames, strict=True))
    classes = np.concatenate([frame_classes.decode(clip.features_TD, trained.arrays)[1] for clip in frames])
    return activity.figures(true, classes, scipy.special.expit(log_odds), gains)


@evaluate.command(short_help="Score stems that any tool made against true stems.")
@click.argument("estimates", type=PATH)
@click.argument("references", type=PATH)
@_rows_option("evaluation-stems.jsonl")
@_output_options
def stems(estimates: Path, references: Path, **outputs: Any) -> None:
    """Score the stems in ESTIMATES, made by any tool, against those in REFERENCES.

    Both hold a folder for each track with vocals and accompaniment (or instrumental, or bass, drums and other), files
    such as song.vocals.wav or "song_(Vocals).wav", or MUSDB's .stem.mp4 files; in any sound format, mono or stereo.
    """
    from ..datasets import stems
    from ..evaluation import run

    pairs = stems.find_pairs(estimates, references)
    described = _described("stems", len(pairs), run.fingerprint(path for pair in pairs for path in pair.paths))
    references_hash = run.fingerprint(path for pair in pairs for path in pair.reference.paths)
    _evaluate(run.score_pair, pairs, described, {"references": references_hash}, **outputs)


@evaluate.command("page", short_help="Print runs side by side, in Markdown.")
@click.argument("results", nargs=-1, required=True, type=FILE, metavar="JSON...")
def print_page(results: tuple[Path, ...]) -> None:
    """Print runs side by side, in Markdown, from the files that --json wrote.

    Each run is named after its file. Runs on different clips, or at different levels of the voice, get separate
    tables. Stems of several tools share a table if they are scored against the same true stems.
    """
    from ..evaluation import report

    result_line(report.page({str(path): report.read_json(path) for path in results}))


def _checked_config(chosen: ConfigChoice) -> Any:
    from ..pipeline import check_models

    config, _ = chosen.load()
    check_models(config)
    if config.pitch.backend == "given":
        raise ConfigError("--pitch given: a contour of one clip does not fit the others; --ceilings uses the labels")
    return config


def _warn_of_known_singers(models: Iterable[str], clips: list) -> None:
    """Warn about singers that a model was trained on, because their figures are too high."""
    from ..trained.models import read

    for path in models:
        known = sorted({clip.singer for clip in clips} & set(read(path).singers))
        if known:
            names = ", ".join(known)
            log(f"{path}: was trained on {names}, so their figures are too high; choose others with --singers")


def _described(kind: str, n_clips: int, data: str) -> dict[str, Any]:
    from .. import __version__

    return {"evaluation": kind, "version": __version__, "clips": n_clips, "data": data}


def _evaluate(
    score: Callable,
    items: list,
    described: dict[str, Any],
    more: dict[str, Any],
    *,
    rows: Path,
    csv_path: Path | None,
    json_path: Path | None,
    overwrite: bool,
    n_jobs: int,
    quiet: bool,
) -> None:
    """Score the items, print the tables, write the files, and end with the exit code."""
    from ..evaluation import report, run

    names = [item.name for item in items]
    finished: dict[str, list[dict]] = {}
    places = list(filter(None, (rows, csv_path, json_path)))
    if len({path.absolute() for path in places}) < len(places):
        raise ConfigError("--rows, --csv, --json: two of them name one file; give each a file of its own")
    if not overwrite:
        report.check_places(csv_path, json_path, described)
    n_earlier = 0 if overwrite else run.n_earlier(rows, described)
    if n_earlier and not quiet:
        log(f"{rows}: keeps the figures of {counted(n_earlier, 'clip')}; --overwrite scores them again")
    try:
        with progress_bar(quiet, total=len(items), unit="clip") as bar:
            for found in run.stream(score, items, names, rows, described, overwrite, n_jobs):
                finished[found[0]["clip"]] = found
                bar.set_postfix_str(_running_mean(report, finished), refresh=False)
                bar.update()
    except KeyboardInterrupt as stop:
        again = "without --overwrite " if overwrite else ""
        kept = f"{rows} keeps the figures of {counted(len(finished), 'clip')}"
        stop.args = (f"Interrupted. {kept}; run the same command again {again}to resume.",)
        raise
    in_order = [row for name in names for row in finished[name]]
    methods = report.summarise(in_order)
    if csv_path:
        report.write_csv(csv_path, in_order)
    if json_path:
        report.write_json(json_path, {**described, **more}, methods, in_order)
    if any(found["mean"] for found in methods.values()):
        tables = [report.LEGEND, report.details(methods), report.overview(methods), report.pitch(methods)]
        result_line("\n\n".join(filter(None, tables)))
    if not quiet:
        for line in report.remarks(methods):
            log(line)
    for row in in_order:
        if row["problem"]:
            log(f"{row['clip']}, {row['method']}: {row['problem']}")
    click.get_current_context().exit(1 if any(found["failed"] for found in methods.values()) else 0)


def _running_mean(report: Any, finished: dict[str, list[dict]]) -> str:
    """Return the GNSDR of the vocals so far, of the first method."""
    found = next(iter(report.summarise(rows[0] for rows in finished.values()).values()))
    figures = [(v, found["mean"].get(f"{v}_vocals_nsdr_db")) for v in report.VERSIONS]
    return "vocals GNSDR " + ", ".join(f"{v} {value:.2f} dB" for v, value in figures if value is not None)
