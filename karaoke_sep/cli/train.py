"""`karaoke-sep train`: a thin shell over `nmf` and `activity`."""

import sys
from pathlib import Path

import click

from ..errors import ConfigError
from .options import PATH, Number


def _shared(command):
    """Options of both commands."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="Only faults."),
        click.option("-j", "--jobs", "n_jobs", default=1, show_default=True, type=click.IntRange(1), help="Processes."),
        click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Same seed, same model."),
        click.option("--test-singers", metavar="NAME,...", default="", help="Singers to keep for a test."),
        click.option("--train-singers", metavar="NAME,...", default="", help="Only these; else all others."),
        click.option("--model", "path", required=True, type=PATH, metavar="FILE", help="The model to write, .npz."),
    ):
        command = option(command)
    return command


@click.group()
def train():
    """Learn from recordings whose voice and accompaniment stand apart.

    The default way of separating needs none of this.
    """


@train.command()
@click.argument("dataset", type=PATH)
@_shared
@click.option("--only", type=click.Choice(["voice", "accompaniment"]), help="Learn this side alone.")
@click.option("--bases", "n_bases", default=256, show_default=True, type=click.IntRange(1, 4096), help="Of each side.")
@click.option("--epochs", "n_epochs", default=6, show_default=True, type=click.IntRange(1), help="Passes over it all.")
@click.option("--window-ms", default=192.0, show_default=True, type=Number(10, 1000), help="That of the separation.")
@click.option("--hop-ms", default=32.0, show_default=True, type=Number(1), help="From frame to frame.")
@click.option(
    "--rate-hz",
    default=16000,
    show_default=True,
    type=click.IntRange(8000, 192000),
    help="Nothing above half is heard.",
)
@click.option(
    "--voice-semitones",
    default=8.0,
    show_default=True,
    type=Number(0, 24),
    help="Voices are also heard up to so much higher and lower.",
)
def nmf(dataset, path, train_singers, test_singers, seed, n_jobs, quiet, only, **settings):
    """Learn spectra of voice and accompaniment by KL-NMF.

    DATASET is MIR-1K, or a folder of tracks with vocals and accompaniment in each; with --only also a sound file of one
    side or a folder of them, such as the karaoke version of the song to be separated. Stopped training goes on when the
    same command is given again.
    """
    from ..training import checkpoint
    from ..training.dataset import SIDES, find
    from ..training.nmf import Settings, as_model

    _check_place(path)
    pieces = find(dataset, _names(train_singers), _names(test_singers), only)
    settings = Settings(**settings, seed=seed)
    sides = [only] if only else list(SIDES)
    _log(f"{len(pieces)} recordings to learn from", quiet)
    with _bar(len(sides) * settings.n_epochs, "epoch", quiet) as bar:
        states = checkpoint.train(
            pieces, sides, settings, path, n_jobs, lambda side, state: _say(bar, side, state, quiet)
        )
    checkpoint.write(path, as_model(pieces, states, settings))
    checkpoint.forget(path, sides)
    click.echo(path)


@train.command()
@click.argument("dataset", type=PATH)
@_shared
@click.option("--gaussians", default=8, show_default=True, type=click.IntRange(1, 64), help="In each class.")
@click.option(
    "--remixes", type=click.IntRange(0, 100), show_default="260 in all with the clips, 1 or more", help="Of each clip."
)
@click.option("--steps", default=1400, show_default=True, type=click.IntRange(1), help="Of the gains' training.")
def activity(dataset, path, train_singers, test_singers, seed, n_jobs, quiet, gaussians, remixes, steps):
    """Learn to tell accompaniment, unvoiced and voiced singing apart, and the gains of the voice in bands.

    DATASET is MIR-1K with its labels. Every clip is separated without a model first, for the training hears the voice
    that is found as well; so are remixes, its voice over the accompaniments of other clips.
    """
    from ..training import activity, checkpoint
    from ..training.dataset import find

    _check_place(path)
    pieces = find(dataset, _names(train_singers), _names(test_singers))
    if any(piece.clip is None for piece in pieces):
        raise ConfigError(f"{dataset}: only MIR-1K has the labels that this training needs")
    _log(f"{len(pieces)} recordings to learn from", quiet)
    remixes = activity.remixes_of_each(len(pieces)) if remixes is None else remixes
    heard = []
    try:
        with _bar(len(pieces), "clip", quiet) as bar:
            for found in activity.hear_all(pieces, remixes, seed, n_jobs):
                heard.append(found)
                bar.update()
        with _bar(steps, "step", quiet) as bar:
            model = activity.train(pieces, heard, gaussians, steps, seed, n_jobs, lambda step: bar.update())
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; this training keeps nothing before its end, and would begin anew") from None
    checkpoint.write(path, model)
    click.echo(path)


def _say(bar, side, state, quiet):
    bar.update()
    _log(f"{side}: epoch {state.n_epochs}, divergence {state.divergences[-1]:.4f}", quiet)


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def _check_place(path: Path) -> None:
    if path.suffix != ".npz":
        raise ConfigError(f"--model {path}: the name of a model ends in .npz")
    if path.is_dir():
        raise ConfigError(f"--model {path}: is a folder; give the name of a file")


def _log(line: str, quiet: bool) -> None:
    if not quiet:
        from tqdm import tqdm

        with tqdm.external_write_mode(sys.stderr):
            click.echo(line, err=True)


def _bar(total: int, unit: str, quiet: bool):
    """A bar on stderr, where somebody watches."""
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread of its own: where there is one, no process can be forked
    return tqdm(total=total, unit=unit, file=sys.stderr, dynamic_ncols=True, disable=quiet or not sys.stderr.isatty())
