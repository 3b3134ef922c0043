"""Training of spectra that can be interrupted: the state of each side is kept beside the model until both are complete.

``.FILE.voice.training`` and ``.FILE.accompaniment.training`` are written after each epoch, with a hash of the
recordings and settings. A state with another hash is ignored and overwritten.
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from .. import __version__
from ..files import atomic
from ..processes.threads import one_thread
from ..trained import models
from .dataset import Piece
from .nmf import Settings, State, advance


def train(
    pieces: list[Piece],
    sides: list[str],
    settings: Settings,
    path: Path,
    n_jobs: int,
    tell: Callable[[str, State], None],
) -> dict[str, State]:
    """Train each side, and return its final state; resume an interrupted training of the same model.

    Parameters
    ----------
    pieces : list of Piece
    sides : list of str
    settings : Settings
    path : Path
        File of the model.
    n_jobs : int
        Number of processes, which does not change the result.
    tell : callable
        Called with the side and its state after each epoch.
    """
    mark = fingerprint(pieces, settings)
    states: dict[str, State] = {}
    for side in sides:
        if state := _read(_place(path, side), mark):
            states[side] = state
            tell(side, state)
    with joblib.Parallel(n_jobs=min(n_jobs, len(sides)), return_as="generator_unordered") as parallel:
        while todo := [side for side in sides if side not in states or states[side].n_epochs < settings.n_epochs]:
            jobs = [joblib.delayed(_one)(pieces, side, settings, states.get(side)) for side in todo]
            for side, state in parallel(jobs):
                states[side] = state
                _write(_place(path, side), mark, state)
                tell(side, state)
    return states


def write(path: Path, model: models.Model) -> None:
    """Write the model, which appears under its name when it is complete."""
    with atomic.whole_file(path) as part:
        part.write_bytes(models.to_bytes(model))


def forget(path: Path, sides: list[str]) -> None:
    """Remove the states of a finished training."""
    for side in sides:
        with suppress(OSError):
            _place(path, side).unlink(missing_ok=True)


def fingerprint(pieces: list[Piece], settings: Any) -> str:
    """Return a hash of everything that the result depends on."""
    files = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for piece in pieces for file in piece.paths]
    what = [__version__, asdict(settings), files]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def _one(pieces: list[Piece], side: str, settings: Settings, state: State | None) -> tuple[str, State]:
    with one_thread():
        return side, advance(pieces, side, settings, state)


def _place(path: Path, side: str) -> Path:
    return path.with_name(f".{path.name}.{side}.training")


def _write(place: Path, mark: str, state: State) -> None:
    file = io.BytesIO()
    about = json.dumps({"mark": mark, **{k: v for k, v in vars(state).items() if k != "statistic_KF"}})
    np.savez(file, about=np.array(about), statistic_KF=state.statistic_KF)
    with atomic.whole_file(place) as part:
        part.write_bytes(file.getvalue())


def _read(place: Path, mark: str) -> State | None:
    """Return the state of an interrupted training of the same model; None if there is none."""
    try:
        with np.load(place, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            return State(file["statistic_KF"], **about) if about.pop("mark") == mark else None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
