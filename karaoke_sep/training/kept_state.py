"""State of a training in steps, kept beside the model until that is complete.

``.FILE.training`` is written twice a minute and when the training is interrupted, with a hash of the recordings and
settings. A state with another hash is ignored and overwritten. The prepared clips are not kept, because they would take
half a gigabyte and are prepared again in a fifth of the time of the training.
"""

import io
import json
import time
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..files import atomic
from .descent import State

EVERY_S = 30.0
_PARTS = ("weights", "average", "optimiser")


class Keeper:
    """Keeps the state of one training.

    Parameters
    ----------
    path : Path
        File of the model.
    mark : str
        Hash of everything that the result depends on, see `checkpoint.fingerprint`.
    """

    def __init__(self, path: Path, mark: str):
        self._place, self._mark = path.with_name(f".{path.name}.training"), mark
        self._last: Callable[[], State] | None = None
        self._kept_s = time.monotonic()

    def on_step(self, state_of: Callable[[], State]) -> None:
        """Remember a step, and keep its state if the last one was kept `EVERY_S` ago."""
        self._last = state_of
        if time.monotonic() - self._kept_s > EVERY_S:
            self.keep()

    def keep(self) -> int:
        """Write the state of the last step, and return its number; 0 if there was none."""
        if self._last is None:
            return 0
        state = self._last()
        about = json.dumps({"mark": self._mark, "n_steps": state.n_steps})
        arrays = {f"{part}/{name}": values for part in _PARTS for name, values in getattr(state, part).items()}
        file = io.BytesIO()
        np.savez(file, about=np.array(about), **arrays)
        with atomic.whole_file(self._place) as part:
            part.write_bytes(file.getvalue())
        self._kept_s = time.monotonic()
        return state.n_steps

    def read(self) -> State | None:
        """Return the state of an interrupted training of the same model; None if there is none."""
        parts: dict[str, dict[str, np.ndarray]] = {part: {} for part in _PARTS}
        try:
            with np.load(self._place, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                if about["mark"] != self._mark:
                    return None
                for key in file.files:
                    part, _, name = key.partition("/")
                    if name:
                        parts[part][name] = file[key]
            return State(about["n_steps"], **parts)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
            return None

    def forget(self) -> None:
        """Remove the state of a training that is complete."""
        with suppress(OSError):
            self._place.unlink(missing_ok=True)
