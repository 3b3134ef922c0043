"""Trained models as files: plain arrays in an ``.npz``, never pickle, and with them where they came from.

There are two kinds. ``nmf``: spectra of the voice and of the accompaniment. ``activity``: what accompaniment, unvoiced
and voiced singing sound like, how they follow each other, whether somebody sings, and gains in bands. ``about`` in the
file is JSON text; `ABOUT` and `KINDS` say what it and the arrays must hold. The same model gives the same bytes.
"""

import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..errors import ConfigError
from . import band_gains, boosted_trees, singing

FORMAT = 5  # those before had another gate
MAX_BYTES = 500_000_000  # a hundred times what training makes by default
ABOUT = {"rate_hz": int, "window_ms": float, "hop_ms": float, "seed": int, "versions": dict, "singers": list}
KINDS = {
    "nmf": {"voice_KF": 2, "accompaniment_KF": 2},
    "activity": {
        "centre_D": 1,
        "projection_DE": 2,
        "weights_SK": 2,
        "means_SKE": 3,
        "precisions_SKEE": 4,
        "transitions_SS": 2,
        "start_S": 1,
        **{f"{name}_MN": 2 for name in boosted_trees.FIELDS},
        **{name: len(shape) for name, shape in band_gains.shapes().items()},
    },
}


@dataclass(frozen=True, eq=False)
class Model:
    """What was trained.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    about : dict
        ``rate_hz``, ``window_ms``, ``hop_ms`` of the spectra; ``singers`` and ``n_clips`` that were heard; ``seed``;
        ``versions`` of the libraries; and whatever else the training wants to tell.
    arrays : dict of ndarray
        By the names in `KINDS`; the letters after the underscore are the axes.
    """

    kind: str
    about: dict
    arrays: dict[str, np.ndarray] = field(repr=False)

    @property
    def singers(self) -> tuple[str, ...]:
        """Who was heard in training, as far as that is known."""
        return tuple(self.about["singers"])


def versions() -> dict[str, str]:
    """What a model was made with."""
    return {"karaoke-sep": __version__, "numpy": np.__version__}


def to_bytes(model: Model) -> bytes:
    """The file of a model; the same model gives the same bytes."""
    about = {"format": FORMAT, "kind": model.kind, **model.about}
    file = io.BytesIO()
    # NumPy dates the members of the archive to 1980, so that no time of day gets in.
    arrays: dict[str, Any] = {"about": np.array(json.dumps(about, sort_keys=True)), **model.arrays}
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def read(path: str | os.PathLike, kind: str | None = None) -> Model:
    """A model from its file.

    Parameters
    ----------
    path : path
    kind : str, optional
        The kind that is wanted here.

    Raises
    ------
    ConfigError
        If the file cannot be read, is damaged, is no model, or one of another kind.
    """
    path = Path(path)
    try:
        status = path.stat()
        model = _read_once(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({(error.strerror or str(error)).lower()})") from None
    if kind not in (None, model.kind):
        raise ConfigError(
            f"{path}: is a model of kind {model.kind}, and one of kind {kind} is needed here; "
            f"karaoke-sep train {kind} makes one"
        )
    return model


@lru_cache(maxsize=8)  # a separation asks for each segment
def _read_once(path: Path, n_bytes: int, mtime_ns: int) -> Model:
    if not path.is_file():
        raise ConfigError(f"{path}: is not a file; a model is an .npz file of karaoke-sep train")
    if n_bytes > MAX_BYTES:
        raise ConfigError(f"{path}: {n_bytes / 1e6:.0f} MB are too much for a model")
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise ConfigError(f"{path}: unpacks to more than {MAX_BYTES / 1e6:.0f} MB; this is no model")
        with np.load(path, allow_pickle=False) as archive:
            entries = {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError, NotImplementedError, RuntimeError):
        raise ConfigError(f"{path}: is damaged, or no model; karaoke-sep train makes one") from None
    return _checked(path, entries)


def _checked(path: Path, entries: dict[str, np.ndarray]) -> Model:
    """The entries of a file as a model, if they are one."""
    try:
        about = json.loads(str(entries.pop("about")[()]))
        number, kind = about.pop("format"), about.pop("kind")
    except (KeyError, ValueError, IndexError, AttributeError, TypeError):
        raise ConfigError(f"{path}: holds arrays, but is no model of karaoke-sep train") from None
    if number != FORMAT:
        made_by = about.get("versions", {}).get("karaoke-sep", "another version")
        raise ConfigError(f"{path}: has format {number} (karaoke-sep {made_by}); {FORMAT} is needed, train it again")
    wanted = KINDS.get(kind)
    if wanted is None:
        raise ConfigError(f"{path}: is a model of kind {kind!r}; there are {', '.join(KINDS)}")
    for name, type_ in ABOUT.items():
        if not isinstance(about.get(name), (int, float) if type_ is float else type_):
            raise ConfigError(f"{path}: does not say its {name}; train it again")
    for name, n_axes in wanted.items():
        values = entries.get(name)
        if values is None or values.ndim != n_axes or values.dtype.kind != "f" or not np.isfinite(values).all():
            raise ConfigError(f"{path}: its {name} is missing or damaged; train it again")
    model = Model(kind, about, {name: entries[name] for name in wanted})
    _check_shapes(path, model.arrays)
    for name, shape in band_gains.shapes().items() if kind == "activity" else ():
        if model.arrays[name].shape != shape:
            raise ConfigError(f"{path}: its {name} is {model.arrays[name].shape}, not {shape}; train it again")
    if kind == "activity" and not boosted_trees.are_valid(singing.trees_of(model.arrays), singing.n_features()):
        raise ConfigError(f"{path}: its trees point at what is not there; train it again")
    return model


def _check_shapes(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Refuse arrays whose axes of one letter differ in length (K is free where both sides have their own)."""
    lengths: dict[str, int] = {}
    for name, values in arrays.items():
        if not name.rpartition("_")[2].isupper():
            continue  # a layer of the network, which has its own axes
        for letter, n in zip(name.rpartition("_")[2], values.shape, strict=True):
            key = name if (letter, name[-1]) == ("K", "F") else letter
            if lengths.setdefault(key, n) != n:
                raise ConfigError(f"{path}: its {name} has {n} along {letter}, not {lengths[key]}; train it again")


def as_settings(paths: Iterable[str | os.PathLike]) -> list[str]:
    """The settings, section.key=value, that put models to use, each by its kind."""
    used = {
        "nmf": ("accompaniment.backend=trained_nmf", "accompaniment.trained_nmf.model"),
        "activity": ("activity.backend=trained", "activity.trained.model"),
    }
    settings = {}
    for path in paths:
        kind = read(path).kind
        if kind in settings:
            raise ConfigError(f"--model {path}: there is another model of kind {kind}; give one of each kind")
        choice, key = used[kind]
        settings[kind] = [choice, f"{key}={json.dumps(str(path))}"]
    return [setting for pair in settings.values() for setting in pair]


def check_not_negative(path, model: Model) -> None:
    """Refuse spectra below zero."""
    if any(values.min(initial=0) < 0 for values in model.arrays.values()):
        raise ConfigError(f"{path}: its spectra are below zero; train it again")


def describe(model: Model) -> list[tuple[str, str]]:
    """Rows (name, text) that tell a user what a model is."""
    about = model.about
    rows = [("kind", model.kind), ("rate", f"{about['rate_hz']} Hz")]
    rows += [("window", f"{about['window_ms']:g} ms every {about['hop_ms']:g} ms")]
    sizes = {"nmf": ("voice_KF", "accompaniment_KF"), "activity": ("weights_SK",)}[model.kind]
    rows += [(name.rpartition("_")[0], " x ".join(map(str, model.arrays[name].shape))) for name in sizes]
    rows += [("singers", ", ".join(model.singers) or "unknown")]
    known = {"rate_hz", "window_ms", "hop_ms", "singers", "versions"}
    rows += [(name, _shown(value)) for name, value in sorted(about.items()) if name not in known]
    rows += [("made with", _shown(about["versions"]))]
    return rows


def _shown(value) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {text}" for name, text in value.items())
    return ", ".join(map(str, value)) if isinstance(value, Iterable) and not isinstance(value, str) else str(value)
