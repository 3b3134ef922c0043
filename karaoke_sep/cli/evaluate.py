"""`karaoke-sep evaluate`: a thin shell over `run` and `report`."""

import sys
from functools import partial
from pathlib import Path

import click

from ..errors import ConfigError
from .options import PATH, NamedPath, Number

_FILE = NamedPath(dir_okay=False, path_type=Path)


def _outputs(command):
    """Options that both commands share."""
    for option in (
        click.option("--resume", is_flag=True, help="Go on with the rows of a stopped run."),
        click.option(
            "--rows",
            default="evaluation.jsonl",
            show_default=True,
            type=_FILE,
            help="Takes the figures of each clip as soon as it is finished.",
        ),
        click.option("--json", "json_path", type=_FILE, help="Everything, with versions, config and data fingerprint."),
        click.option("--csv", "csv_path", type=_FILE, help="One row a clip and method."),
        click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Processes."),
    ):
        command = option(command)
    return command


@click.group()
def evaluate():
    """Score separations with the figures of the papers.

    BSS Eval SDR, SIR and SAR in version 2.1 (v2: gain only) and version 3 (v3: 512 taps), and uSDR.
    """


@evaluate.command()
@click.argument("folder", type=PATH)
@click.option("--split", type=click.Choice(["dev", "test", "all"]), default="all", show_default=True)
@click.option("--singers", metavar="NAME,...", default="", help="Only these.")
@click.option("--every", default=1, type=click.IntRange(1), metavar="K", help="Only every K-th clip.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N of these.")
@click.option(
    "--snr",
    "snr_db",
    default=0.0,
    show_default=True,
    type=Number(-60, 60),
    help="Voice over accompaniment, dB: -5, 0 or 5.",
)
@click.option(
    "--config", "source", metavar="FILE", help="YAML file, or a shipped one: default, fast, classic, trained."
)
@click.option("--model", "models", multiple=True, metavar="FILE", help="Use a model of karaoke-sep train (repeatable).")
@click.option("--pitch", "backend", metavar="NAME", help="How the pitch is found: hmm, peaks or pyin.")
@click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="One setting (repeatable).")
@click.option("--ceilings", is_flag=True, help="Also ideal masks, and the method with a part of the truth.")
@click.option("--compare", is_flag=True, help="Also what one might use instead: RPCA, REPET, HPSS, ...")
@click.option("--only-others", is_flag=True, help="Of --ceilings and --compare only what no setting changes.")
@_outputs
def mir1k(
    folder,
    split,
    singers,
    every,
    limit,
    snr_db,
    source,
    models,
    backend,
    overrides,
    ceilings,
    compare,
    only_others,
    **outputs,
):
    """Separate and score the MIR-1K clips in FOLDER.

    FOLDER is the dataset as distributed, or a folder of clips: accompaniment left, voice right. The split dev is the
    singers abjones and amy, test is the others.
    """
    from ..config import fingerprint, to_dict
    from ..datasets import mir1k
    from ..evaluation import run

    if only_others and not (ceilings or compare):
        raise ConfigError("--only-others: of what? give --ceilings, --compare or both")
    if only_others and (source or models or backend or overrides):
        raise ConfigError("--only-others: nothing is left to set; leave out --config, --model, --pitch and --set")
    config = None if only_others else _config(source, models, backend, overrides)
    clips = mir1k.find_clips(folder, split, tuple(filter(None, singers.split(","))), every, limit)
    _warn_of_known_singers(models, clips)
    paths = [path for clip in clips for path in (clip.path, clip.pitch_path) if path] + [
        Path(model) for model in models
    ]
    described = _described("mir1k", len(clips), run.fingerprint(paths))
    described |= {"snr_db": snr_db, "ceilings": ceilings, "compare": compare, "config": config and fingerprint(config)}
    score = partial(run.score_clip, trial=run.Trial(config, snr_db, ceilings, compare))
    selection = {"split": split, "singers": singers, "every": every, "limit": limit}
    _evaluate(score, clips, described, {**selection, "settings": config and to_dict(config)}, **outputs)


@evaluate.command()
@click.argument("folder", type=PATH)
@click.option("--model", required=True, type=_FILE, help="A model of karaoke-sep train activity.")
@click.option("--singers", metavar="NAME,...", default="", help="Only these.")
@click.option("--every", default=1, type=click.IntRange(1), metavar="K", help="Only every K-th clip.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
def activity(folder, model, singers, every, jobs):
    """Score a model's classes of frames against the labels of MIR-1K in FOLDER, beside the training-free gate."""
    import joblib
    import numpy as np
    import scipy.special

    from ..datasets import mir1k
    from ..evaluation import activity, report, run
    from ..trained import frame_classes as trained_activity
    from ..trained import models

    trained = models.read(model, "activity")
    clips = mir1k.find_clips(folder, "all", tuple(filter(None, singers.split(","))), every)
    _warn_of_known_singers([model], clips)
    heard = joblib.Parallel(n_jobs=jobs)(joblib.delayed(run.hear_activity)(clip, trained.arrays) for clip in clips)
    rows = []
    for singer in sorted({clip.singer for clip in clips}):
        own = [found for clip, found in zip(clips, heard, strict=True) if clip.singer == singer]
        true, gains, sung = (np.concatenate([found[k] for found in own]) for k in (1, 2, 3))
        path = np.concatenate([trained_activity.decode(found[0], trained)[1] for found in own])
        rows.append((singer, activity.figures(true, path, scipy.special.expit(sung), gains)))
    header = ["fractions of frames", *rows[0][1]]
    click.echo(report.table(header, [[name, *(f"{v:.3f}" for v in found.values())] for name, found in rows]))


@evaluate.command()
@click.argument("estimates", type=PATH)
@click.argument("references", type=PATH)
@_outputs
def stems(estimates, references, **outputs):
    """Score the stems in ESTIMATES, by whatever tool, against those in REFERENCES.

    Both hold folders of tracks with vocals and accompaniment (or instrumental, or bass, drums and other), in any sound
    format, mono or stereo.
    """
    from ..datasets import stems
    from ..evaluation import run

    pairs = stems.find_pairs(estimates, references)
    described = _described("stems", len(pairs), run.fingerprint(path for pair in pairs for path in pair.paths))
    _evaluate(run.score_pair, pairs, described, {}, **outputs)


@evaluate.command("page")
@click.argument("results", nargs=-1, required=True, type=_FILE, metavar="JSON...")
def print_page(results):
    """Print runs side by side, in Markdown, from the files that --json wrote.

    Each run goes by the name of its file.
    """
    from ..evaluation import report

    click.echo(report.page({str(path): report.read_json(path) for path in results}))


def _config(source, models, backend, overrides):
    from ..config import load_with_origins
    from ..pipeline import check_models
    from ..trained.models import as_settings

    options = {"--model": as_settings(models), "--pitch": [f"pitch.backend={backend}"] if backend else []}
    config, _ = load_with_origins(source, overrides, options=options)
    check_models(config)
    if config.pitch.backend == "given":
        raise ConfigError("--pitch given: a contour of one clip does not fit the others; see --ceilings")
    return config


def _warn_of_known_singers(paths, clips):
    """Say which singers a model has heard: their figures are not those of a stranger."""
    from ..trained.models import read

    for path in paths:
        known = sorted({clip.singer for clip in clips} & set(read(path).singers))
        if known:
            click.echo(
                f"{path}: was trained on {', '.join(known)}; their figures flatter it (--singers leaves them out)",
                err=True,
            )


def _described(kind, n_clips, data):
    from .. import __version__

    return {"evaluation": kind, "version": __version__, "clips": n_clips, "data": data}


def _evaluate(score, items, described, more, *, rows, csv_path, json_path, resume, jobs):
    """Score the items, print the tables, write the files, and end with the exit code."""
    from ..evaluation import report, run

    names = [item.name for item in items]
    finished = {}
    try:
        with _progress(len(items)) as bar:
            for found in run.stream(score, items, names, rows, described, resume, jobs):
                finished[found[0]["clip"]] = found
                bar.set_postfix_str(_running_mean(report, finished), refresh=False)
                bar.update()
    except KeyboardInterrupt:
        click.echo(f"Stopped; {rows} keeps the figures of {len(finished)} clips, and --resume goes on.", err=True)
        sys.exit(130)
    in_order = [row for name in names for row in finished[name]]
    methods = report.summarise(in_order)
    if csv_path:
        report.write_csv(csv_path, in_order)
    if json_path:
        report.write_json(json_path, {**described, **more}, methods, in_order)
    click.echo("\n\n".join(filter(None, [report.LEGEND, report.details(methods), report.overview(methods)])))
    if pitch := report.pitch(methods):
        click.echo("\n" + pitch)
    for line in report.remarks(methods):
        click.echo(line, err=True)
    for row in in_order:
        if row["problem"]:
            click.echo(f"{row['clip']}, {row['method']}: {row['problem']}", err=True)
    sys.exit(1 if any(found["failed"] for found in methods.values()) else 0)


def _progress(total):
    """A bar on stderr, where somebody watches."""
    from tqdm import tqdm

    return tqdm(total=total, unit="clip", file=sys.stderr, dynamic_ncols=True, disable=not sys.stderr.isatty())


def _running_mean(report, finished):
    """GNSDR of the vocals so far, of the first method."""
    found = next(iter(report.summarise(rows[0] for rows in finished.values()).values()))
    figures = [(v, found["mean"].get(f"{v}_vocals_nsdr_db")) for v in report.VERSIONS]
    return "vocals GNSDR " + ", ".join(f"{v} {value:.2f} dB" for v, value in figures if value is not None)
