"""Trained models as files: plain arrays in an ``.npz``, never pickles, with a description of how they were trained.

There are three kinds. ``nmf`` holds bases that separate voice and accompaniment. ``spectra`` holds spectra of the voice
or of the accompaniment. ``activity`` holds the frame classes,
the vocal activity and the network of the time-frequency gate. ``about`` in the file is JSON text. `model_schema` says
what it and the arrays must hold. The same model gives the same bytes.
"""

import io
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..errors import ConfigError
from . import model_schema
from .npz import DAMAGES, open_npz

SHIPPED = Path(__file__).parent / "shipped"


@dataclass(frozen=True, eq=False)
class Model:
    """A trained model.

    Attributes
    ----------
    kind : str
        One of `model_schema.KINDS`.
    about : dict
        ``rate_hz``, ``window_ms``, ``hop_ms`` of the spectra; ``singers`` and ``n_clips`` of the training; ``seed``;
        ``versions`` of the libraries; and further settings of the training.
    arrays : dict of ndarray
        By the names in `model_schema.KINDS`; the letters after the underscore are the axes.
    """

    kind: str
    about: dict
    arrays: dict[str, np.ndarray] = field(repr=False)

    @property
    def singers(self) -> tuple[str, ...]:
        """Names of the training singers, as far as they are known."""
        return tuple(self.about["singers"])


def versions() -> dict[str, str]:
    """Return the versions of the software that makes a model now."""
    return {"karaoke-sep": __version__, "numpy": np.__version__}


def to_bytes(model: Model) -> bytes:
    """Return the file of a model; the same model gives the same bytes."""
    about = {"format": model_schema.FORMATS[model.kind], "kind": model.kind, **model.about}
    file = io.BytesIO()
    # NumPy dates the members of the archive to 1980, so that the bytes do not depend on the time.
    arrays: dict[str, Any] = {"about": np.array(json.dumps(about, sort_keys=True)), **model.arrays}
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def shipped_names() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.npz"))


def place_of(model: str | os.PathLike) -> Path:
    """Return the file of a model: a name that is shipped means the shipped one, ``./mir1k-dev`` a file."""
    return SHIPPED / f"{model}.npz" if os.fspath(model) in shipped_names() else Path(model)


def read(path: str | os.PathLike, *kinds: str) -> Model:
    """Return the model in a file.

    Parameters
    ----------
    path : path, or name of a shipped model
    *kinds : str
        The kinds of which one is needed; any by default.

    Raises
    ------
    ConfigError
        If the file cannot be read, is damaged, is no model, or is a model of another kind.
    """
    path = place_of(path)
    try:
        status = path.stat()
        model = _read_once(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({(error.strerror or str(error)).lower()})") from None
    if kinds and model.kind not in kinds:
        raise ConfigError(
            f"{path}: is a model of kind {model.kind}, and a model of kind {' or '.join(kinds)} is needed; "
            f"karaoke-sep train {kinds[0]} makes one"
        )
    return model


@lru_cache(maxsize=8)  # a separation reads it for each segment
def _read_once(path: Path, n_bytes: int, mtime_ns: int) -> Model:
    if not path.is_file():
        raise ConfigError(f"{path}: is not a file; a model is an .npz file from karaoke-sep train")
    try:
        with open_npz(path) as (headers, read_array):
            text = headers.get("about")
            if text is None or text.shape or text.dtype.kind != "U":
                raise ConfigError(f"{path}: holds arrays, but is no model from karaoke-sep train")
            if text.dtype.itemsize > 4 * model_schema.MAX_TEXT:
                raise ConfigError(f"{path}: its description is too long for a model")
            about = model_schema.read_about(str(read_array("about")[()]))
            numbers = {name: header.shape for name, header in headers.items() if header.dtype.kind == "f"}
            model_schema.check_shapes(about, numbers)
            arrays = {name: read_array(name) for name in model_schema.KINDS[about["kind"]]}
            model_schema.check_values(about, arrays)
    except model_schema.SchemaError as error:
        raise ConfigError(f"{path}: {error}; train it again with karaoke-sep train") from None
    except DAMAGES:
        raise ConfigError(f"{path}: is damaged, or no model; karaoke-sep train makes one") from None
    del about["format"]
    return Model(about.pop("kind"), about, arrays)


def as_settings(paths: Iterable[str | os.PathLike]) -> list[str]:
    """Return the settings that use the models, as section.key=value; the kind of a model decides which."""
    settings: dict[str, list[str]] = {}
    for path in paths:
        kind = read(path).kind
        part, backend = ("activity", "trained") if kind == "activity" else ("accompaniment", "trained_nmf")
        if part in settings:
            raise ConfigError(f"--model {path}: there is another model for the {part}; give one")
        settings[part] = [f"{part}.backend={backend}", f"{part}.{backend}.model={json.dumps(str(path))}"]
    return [setting for pair in settings.values() for setting in pair]


def describe(model: Model) -> list[tuple[str, str]]:
    """Return rows (name, text) that describe a model to a user."""
    about = model.about
    rows = [("kind", model.kind), ("rate", f"{about['rate_hz']} Hz")]
    rows += [("window", f"{about['window_ms']:g} ms every {about['hop_ms']:g} ms")]
    sizes = {
        "nmf": ("bases_LKB", "voice_KB", "accompaniment_KB"),
        "spectra": ("voice_KF", "accompaniment_KF"),
        "activity": ("weights_SK",),
    }[model.kind]
    rows += [(name.rpartition("_")[0], " x ".join(map(str, model.arrays[name].shape))) for name in sizes]
    rows += [("singers", ", ".join(model.singers) or "unknown")]
    known = {"rate_hz", "window_ms", "hop_ms", "singers", "versions"}
    rows += [(name, _shown(value)) for name, value in sorted(about.items()) if name not in known]
    rows += [("made with", _shown(about["versions"]))]
    return rows


def bases_of(model: Model) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return all bases of a model by what they are, (K, B) each, and the edges of their bands in Hz, (B + 1,).

    Raises
    ------
    ConfigError
        If the model has no bases.
    """
    arrays = model.arrays
    if model.kind == "nmf":
        sides = {"voice": arrays["voice_KB"], "accompaniment": arrays["accompaniment_KB"]}
        updates = {f"update {n}": B_KB for n, B_KB in enumerate(arrays["bases_LKB"], start=1)}
        return sides | updates, arrays["edges_E"]
    if model.kind == "spectra":
        sides = {side: arrays[f"{side}_KF"] for side in ("voice", "accompaniment") if len(arrays[f"{side}_KF"])}
        n_bins = next(iter(sides.values())).shape[1]
        return sides, (np.arange(n_bins + 1) - 0.5) * model.about["rate_hz"] / (2 * n_bins - 2)
    raise ConfigError(
        f"a model of kind {model.kind} has no bases to draw; give one of karaoke-sep train nmf or spectra"
    )


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {text}" for name, text in value.items())
    return ", ".join(map(str, value)) if isinstance(value, Iterable) and not isinstance(value, str) else str(value)
