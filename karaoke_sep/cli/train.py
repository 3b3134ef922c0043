"""`karaoke-sep train`: a thin shell over `training`."""

from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ..errors import ConfigError, OutputError, counted
from .messages import log, progress_bar, result_line
from .options import PATH, Number, jobs_option, parse_names, quiet_option, together

if TYPE_CHECKING:
    from ..training.dataset import Piece

_OVERWRITE = f"{__name__}.overwrite"


def _check_place(ctx: click.Context, param: click.Parameter, path: Path) -> Path:
    if path.suffix != ".npz":
        raise ConfigError(f"--model {path}: the name of a model ends in .npz; add the suffix")
    if path.is_dir():
        raise ConfigError(f"--model {path}: is a folder; give the name of a file")
    if path.exists() and not ctx.meta[_OVERWRITE]:
        raise ConfigError(f"--model {path}: exists already; give another name, or replace it with --overwrite")
    return path


def _check_still_free(path: Path) -> None:
    """Raise OutputError if another training has written the model in the meantime; the state of this one is kept."""
    if path.exists() and not click.get_current_context().meta[_OVERWRITE]:
        raise OutputError(f"{path}: was made by another training; move it away, and run the same command again")


_shared_options = together(
    click.argument("dataset", type=PATH),
    click.option(
        "--overwrite",
        is_flag=True,
        is_eager=True,  # the check of --model needs it
        expose_value=False,
        callback=lambda ctx, _, overwrite: ctx.meta.update({_OVERWRITE: overwrite}),
        help="Replace the model if there is one of this name.",
    ),
    click.option(
        "--model", "path", required=True, type=PATH, callback=_check_place, metavar="FILE", help="Write the model here."
    ),
    click.option(
        "--train-singers",
        metavar="NAME,...",
        default="",
        callback=parse_names,
        help="Train on these singers only.  [default: all]",
    ),
    click.option(
        "--test-singers",
        metavar="NAME,...",
        default="",
        callback=parse_names,
        help="Leave these singers out, to test the model on them.",
    ),
    click.option(
        "--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed the random numbers of the training."
    ),
    jobs_option,
    quiet_option,
)


class Common(NamedTuple):
    """Arguments of every training.

    Attributes
    ----------
    dataset, path : Path
        The recordings, and the file of the model.
    train_singers, test_singers : tuple of str
    seed, n_jobs : int
    quiet : bool
    """

    dataset: Path
    path: Path
    train_singers: tuple[str, ...]
    test_singers: tuple[str, ...]
    seed: int
    n_jobs: int
    quiet: bool

    def find(self, only: str | None = None) -> "list[Piece]":
        """Return the recordings to train on, and report their number."""
        from ..training import dataset

        pieces = dataset.find(self.dataset, self.train_singers, self.test_singers, only)
        if not self.quiet:
            log(f"training on {counted(len(pieces), 'recording')}")
        return pieces


def _training_options(command: Callable) -> Callable:
    """Add the arguments of every training, and hand them to the command as ``common``."""

    @_shared_options
    @wraps(command)
    def with_common(**values: Any) -> Any:
        common = Common(**{name: values.pop(name) for name in Common._fields})
        return command(common, **values)

    return with_common


@click.group()
def train() -> None:
    """Train models on recordings with separate voice and accompaniment.

    The default config needs no model.
    """


_steps_option = partial(
    click.option, "--steps", "n_steps", show_default=True, type=click.IntRange(1), help="Train for this many steps."
)
_window_option = click.option(
    "--window-ms",
    default=192.0,
    show_default=True,
    type=Number(10, 1000),
    help="Set the length of the STFT window, ms; it must be that of stft.window_ms when the model is used.",
)


@train.command()
@_training_options
@click.option(
    "--bases",
    "n_bases",
    default=150,
    show_default=True,
    type=click.IntRange(1, 2048),
    help="Train this many bases that begin as spectra of the voice, and as many of the accompaniment.",
)
@click.option(
    "--iterations",
    "n_iterations",
    default=5,
    show_default=True,
    type=click.IntRange(1, 50),
    help="Update the activations this many times, with other bases each time.",
)
@_window_option
@click.option(
    "--remixes",
    type=click.IntRange(0, 100),
    show_default="440 in all with the recordings, 1 or more",
    help="Mix the voice of each recording with the accompaniments of this many others.",
)
@_steps_option(default=1200)
def nmf(common: Common, remixes: int | None, **settings: Any) -> None:
    """Train bases of NMF to separate voice and accompaniment.

    DATASET is MIR-1K, or a folder of tracks with vocals and accompaniment in each. Run the same command again to resume
    an interrupted training: it reads the recordings again, and continues with the steps.
    """
    from ..training import unfolded_nmf as training

    pieces = common.find()
    remixes = training.remixes_of_each(len(pieces)) if remixes is None else remixes
    chosen = training.Settings(**settings, n_remixes=remixes, seed=common.seed)
    _train_in_steps(
        common,
        pieces,
        chosen,
        partial(training.prepare_all, pieces, chosen, common.n_jobs),
        lambda prepared, on_step, state: training.train(pieces, prepared, chosen, common.n_jobs, on_step, state),
    )


@train.command()
@_training_options
@click.option(
    "--only", required=True, type=click.Choice(["voice", "accompaniment"]), help="Train the spectra of this source."
)
@click.option(
    "--bases",
    "n_bases",
    default=256,
    show_default=True,
    type=click.IntRange(1, 4096),
    help="Train this many spectra.",
)
@click.option(
    "--epochs",
    "n_epochs",
    default=6,
    show_default=True,
    type=click.IntRange(1),
    help="Repeat the training data this many times.",
)
@_window_option
@click.option("--hop-ms", default=32.0, show_default=True, type=Number(1), help="Set the hop of the STFT, ms.")
@click.option(
    "--rate-hz",
    default=16000,
    show_default=True,
    type=click.IntRange(8000, 192000),
    help="Resample the training data to this rate, Hz; the highest frequency of the model is half of it.",
)
@click.option(
    "--voice-semitones",
    default=8.0,
    show_default=True,
    type=Number(0, 24),
    help="Augment the training voices by pitch shifts up to this many semitones up and down.",
)
def spectra(common: Common, only: str, **settings: Any) -> None:
    """Train spectra of one source, voice or accompaniment, by KL-NMF.

    DATASET is a sound file of this source or a folder of them, such as the karaoke version of the song to be separated;
    or MIR-1K, or a folder of tracks with vocals and accompaniment in each. Run the same command again to resume an
    interrupted training.
    """
    from ..training import checkpoint
    from ..training.spectra import Settings, State, as_model

    pieces = common.find(only)
    chosen = Settings(**settings, seed=common.seed)
    with progress_bar(common.quiet, total=chosen.n_epochs, unit="epoch") as bar:

        def tell(state: State) -> None:
            bar.update()
            if not common.quiet:
                log(f"{only}: epoch {state.n_epochs}, divergence {state.divergences[-1]:.4f}")

        state = checkpoint.train(pieces, only, chosen, common.path, tell)
    _check_still_free(common.path)
    checkpoint.write(common.path, as_model(pieces, only, state, chosen))
    checkpoint.forget(common.path, only)
    result_line(common.path)


@train.command(short_help="Train a gate in frequency bands, and classes of frames.")
@_training_options
@click.option(
    "--gaussians",
    default=8,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Use this many Gaussians for each class of frames.",
)
@click.option(
    "--remixes",
    type=click.IntRange(0, 100),
    show_default="at least 1, as many for each singer as give 520 examples in all",
    help="Mix the voice of each clip with the accompaniments of this many others.",
)
@_steps_option(default=8000)
def activity(common: Common, gaussians: int, remixes: int | None, n_steps: int) -> None:
    """Train a gate: classes of frames (accompaniment, unvoiced, voiced), and gains of the voice in frequency bands.

    DATASET is MIR-1K with its labels. Every clip is first separated without a model, since the voice estimate is one of
    the input features. Run the same command again to resume an interrupted training: it separates the clips again, and
    continues with the steps of the network.
    """
    from ..training import activity as training

    pieces = common.find()
    if any(piece.clip is None for piece in pieces):
        raise ConfigError(f"{common.dataset}: only MIR-1K has the labels that this training needs; give its folder")
    n_remixes = training.remixes_of_each(pieces) if remixes is None else (remixes,) * len(pieces)
    chosen = training.Settings(gaussians, n_remixes, n_steps, common.seed)
    _train_in_steps(
        common,
        pieces,
        chosen,
        partial(training.prepare_all, pieces, n_remixes, common.seed, common.n_jobs),
        lambda prepared, on_step, state: training.train(pieces, prepared, chosen, common.n_jobs, on_step, state),
    )


def _train_in_steps(
    common: Common, pieces: "list[Piece]", settings: Any, prepare_all: Callable, train_on: Callable
) -> None:
    """Prepare all recordings, train in steps with a bar of each, and write the model; resume if there is a state."""
    from ..training import checkpoint, kept_state

    keeper = kept_state.Keeper(common.path, checkpoint.fingerprint(pieces, settings))
    state = keeper.read()
    done = state.n_steps if state else 0
    if state and not common.quiet:
        log(f"resuming after step {done}")
    prepared = []
    try:
        with progress_bar(common.quiet, total=len(pieces), unit="recording") as bar:
            for part in prepare_all():
                prepared.append(part)
                bar.update()
        with progress_bar(common.quiet, total=settings.n_steps, initial=done, unit="step") as bar:

            def on_step(state_of: Callable) -> None:
                bar.update()
                keeper.on_step(state_of)

            model = train_on(prepared, on_step, state)
    except KeyboardInterrupt as stop:
        done = keeper.keep() or done
        stop.args = (f"Interrupted after step {done} of {settings.n_steps}. Run the same command again to resume.",)
        raise
    keeper.keep()
    _check_still_free(common.path)
    checkpoint.write(common.path, model)
    keeper.forget()
    result_line(common.path)
