"""Training of spectra that can be interrupted: its state is kept beside the model until the model is complete.

``.FILE.SIDE.training`` is written after each epoch, with a hash of the recordings and settings. A state with another
hash is ignored and overwritten.
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

import numpy as np

from .. import __version__
from ..files import atomic
from ..processes.threads import one_thread
from ..trained import models
from .dataset import Piece
from .spectra import Settings, State, advance


def train(pieces: list[Piece], side: str, settings: Settings, path: Path, tell: Callable[[State], None]) -> State:
    """Train one side, and return its final state; resume an interrupted training of the same model.

    Parameters
    ----------
    pieces : list of Piece
    side : {"voice", "accompaniment"}
    settings : Settings
    path : Path
        File of the model.
    tell : callable
        Called with the state after each epoch.
    """
    mark = fingerprint(pieces, settings)
    state = _read(_place(path, side), mark)
    if state:
        tell(state)
    with one_thread():
        while state is None or state.n_epochs < settings.n_epochs:
            state = advance(pieces, side, settings, state)
            _write(_place(path, side), mark, state)
            tell(state)
    return state


def write(path: Path, model: models.Model) -> None:
    """Write the model, which appears under its name when it is complete."""
    with atomic.whole_file(path) as part:
        part.write_bytes(models.to_bytes(model))


def forget(path: Path, side: str) -> None:
    """Remove what was kept for a training that is now finished."""
    with suppress(OSError):
        _place(path, side).unlink(missing_ok=True)


def fingerprint(pieces: list[Piece], settings: Any) -> str:
    """Return a hash of everything that the result depends on."""
    files = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for piece in pieces for file in piece.paths]
    what = [__version__, asdict(settings), files]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


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
