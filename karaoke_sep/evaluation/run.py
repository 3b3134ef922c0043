"""Separate and score clips, on several processes.

A row is a dict for one clip and one method: clip, singer and method, the figures, and ``problem``, which is empty if
all went well. When a clip is finished, its rows are written to a file of JSON lines, one list per line. The first line
describes the run, so that an interrupted run can be resumed and two different runs are never mixed.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np

from ..accompaniment import needs_pitch
from ..config import Config
from ..datasets import mir1k, stems
from ..errors import ConfigError, KaraokeSepError, OutputError
from ..files import atomic
from ..pipeline import separate
from ..processes.threads import one_thread
from ..trained import singing
from ..types import Audio, PitchTrack
from . import baselines, oracles, scoring
from .melody import melody_figures
from .report import METHOD, STEMS_METHOD
from .trained_inputs import trained_inputs


@dataclass(frozen=True)
class Trial:
    """Settings of the evaluation of each clip.

    Attributes
    ----------
    config : Config or None
        Config of the separator. None leaves it out, and with it every ceiling that uses it.
    snr_db : float
        Energy of the voice relative to that of the accompaniment.
    ceilings, compare : bool
        Score the ceilings, and the baselines, as well.
    """

    config: Config | None
    snr_db: float = 0.0
    ceilings: bool = False
    compare: bool = False


def score_clip(clip: mir1k.Clip, trial: Trial) -> list[dict]:
    """Return the rows of a MIR-1K clip: the separator first, then ceilings and baselines."""
    who = {"clip": clip.name, "singer": clip.singer}
    try:
        track = mir1k.load(clip, trial.snr_db)
        reference = scoring.prepare(track.vocals, track.accompaniment)
        return [
            {**who, "method": name, **_figures(reference, *estimates, cpu_s), **more}
            for name, estimates, cpu_s, more in _attempts(track, trial)
        ]
    except KaraokeSepError as error:
        return [{**who, "method": METHOD, "problem": str(error)}]


class LabelledFrames(NamedTuple):
    """Labelled frames of a clip.

    Attributes
    ----------
    features_TD : ndarray, shape (T, D)
        Input features of the frame classes.
    classes : ndarray of int, shape (T,)
        From the labels.
    gains : ndarray, shape (T,), 0..1
        Gains of the untrained gate.
    log_odds : ndarray, shape (T,)
        Log-odds that somebody sings, from the trained model.
    """

    features_TD: np.ndarray
    classes: np.ndarray
    gains: np.ndarray
    log_odds: np.ndarray


def labelled_frames(clip: mir1k.Clip, arrays: Mapping[str, np.ndarray]) -> LabelledFrames:
    """Return the labelled frames of a clip; ``arrays`` are those of a model of kind "activity"."""
    classes = mir1k.read_classes(clip)
    with one_thread():
        X_TD, inputs, _ = trained_inputs(mir1k.load(clip).mixture, Config())
        log_odds = singing.log_odds(arrays, inputs)
    rows = mir1k.labelled_rows(len(classes), len(X_TD))
    return LabelledFrames(X_TD[rows], classes[: len(rows)], inputs.gate_T[rows], log_odds[rows])


def score_pair(pair: stems.Pair) -> list[dict]:
    """Return the row of a track with estimated stems."""
    who = {"clip": pair.name, "method": STEMS_METHOD}
    try:
        vocals, accompaniment, *found = stems.load(pair)
    except KaraokeSepError as error:
        return [{**who, "problem": str(error)}]
    return [{**who, **_figures(scoring.prepare(vocals, accompaniment), found[0], found[1], None)}]


def stream(
    score: Callable, items: Sequence, names: Sequence[str], path: Path, run: dict, overwrite: bool, n_jobs: int
) -> Iterator[list[dict]]:
    """Yield the rows of each item: those of an earlier run first, then each as soon as it is finished.

    Parameters
    ----------
    score : callable
        Returns the rows of an item, each with the item's name as ``clip``.
    items, names : sequence
    path : Path
        File of JSON lines to which the rows are written.
    run : dict
        Description of this run; ``clips`` is the number of clips.
    overwrite : bool
        Begin again; by default keep the rows in ``path`` and compute the others.
    n_jobs : int

    Raises
    ------
    ConfigError
        If ``path`` holds rows of another run, or something else, and would be overwritten.
    OutputError
        If it cannot be written.
    """
    done = {} if overwrite else _earlier_rows(path, run)
    with atomic.whole_file(path) as part:  # without incomplete lines
        _write(part, "w", [run, *done.values()])
    yield from done.values()
    todo = [item for item, name in zip(items, names, strict=True) if name not in done]
    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    for rows in parallel(joblib.delayed(_on_one_thread)(score, item) for item in todo):
        rows = [{key: _plain(value) for key, value in row.items()} for row in rows]
        _write(path, "a", [rows])
        yield rows


def fingerprint(paths: Iterable[Path]) -> str:
    """Return a hash of the names and contents of files: figures with the same hash are of the same data."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(os.fsencode(path.name) + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _attempts(track: mir1k.Track, trial: Trial) -> Iterator[tuple[str, tuple[Audio, Audio], float, dict]]:
    """Yield name, stems, CPU time and further figures of each method."""
    estimate = None
    if trial.config:
        result, cpu_s = _timed(separate, track.mixture, config=trial.config)
        estimate = result.track if needs_pitch(trial.config.accompaniment) else None
        more = asdict(melody_figures(track.pitch, estimate)) if track.pitch and estimate else {}
        yield METHOD, (result.vocals, result.accompaniment), cpu_s, more
    for name, vocals, cpu_s in _others(track, trial, estimate):
        rest = Audio(track.mixture.samples - vocals.samples, vocals.rate_hz)
        yield name, (vocals, rest), cpu_s, {}


def _others(track: mir1k.Track, trial: Trial, estimate: PitchTrack | None) -> Iterator[tuple[str, Audio, float]]:
    """Yield name, vocals and CPU time of each method that the separator is compared with."""
    if trial.ceilings:
        named: dict[str, Callable] = dict(oracles.FROM_SOURCES)
        if estimate:
            named |= {**oracles.FROM_ESTIMATE, **(oracles.FROM_LABELS if track.pitch else {})}
        for name, ceiling in named.items():
            yield name, *_timed(ceiling, track, trial.config, estimate)
    if trial.compare:
        mixture = track.mixture
        for names, baseline in baselines.BASELINES.items():
            vocals, cpu_s = _timed(baseline, mixture.samples[0], mixture.rate_hz)
            for name, samples in zip(names, np.atleast_2d(vocals), strict=True):
                yield name, Audio(samples[None], mixture.rate_hz), cpu_s


def _timed(function: Callable, *arguments: Any, **settings: Any) -> tuple[Any, float]:
    """Return the result of a function, and its CPU time in s."""
    started = time.process_time()
    result = function(*arguments, **settings)
    return result, time.process_time() - started


def _figures(reference: scoring.Reference, vocals: Audio, accompaniment: Audio, cpu_s: float | None) -> dict:
    return {
        "seconds": reference.vocals.duration_s,
        "cpu_s": cpu_s,
        "problem": scoring.silences(reference, vocals, accompaniment),
        **scoring.figures(reference, vocals, accompaniment),
    }


def _on_one_thread(score: Callable, item: Any) -> Any:
    with one_thread():
        return score(item)


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold: NaN and infinity become None."""
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value


def n_earlier(path: Path, run: dict) -> int:
    """Return the number of clips that an earlier run has scored; raise ConfigError if it was another run."""
    return len(_earlier_rows(path, run))


def _earlier_rows(path: Path, run: dict) -> dict[str, list[dict]]:
    """Return the rows of an earlier run by clip, in the order of the file."""
    if not path.exists():
        return {}
    entries = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entries.append(json.loads(line))
        except (ValueError, RecursionError):
            continue  # an incomplete line of a run that was stopped, or a damaged one: its clip is scored again
    header = entries[0] if entries else None
    if not (isinstance(header, dict) and header.keys() == run.keys()):
        raise ConfigError(f"{path}: exists and holds no rows of this evaluation; give another --rows, or remove it")
    if header != run:
        changed = ", ".join(f"{key} {header[key]}, not {run[key]}" for key in run if header[key] != run[key])
        raise ConfigError(f"{path}: rows of another run ({changed}); give another --rows, or --overwrite")
    try:
        return {rows[0]["clip"]: rows for rows in entries[1:]}
    except (TypeError, KeyError, IndexError):
        raise ConfigError(f"{path}: a line holds no rows of a clip; give another --rows, or --overwrite") from None


def _write(path: Path, mode: str, entries: list) -> None:
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write("".join(json.dumps(entry) + "\n" for entry in entries))
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); give another --rows") from None
