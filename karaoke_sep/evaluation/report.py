"""Summarise rows of figures in means, tables and files.

GNSDR, GSIR and GSAR are means over clips weighted by their length, as in the papers. The mean of the singers gives each
singer the same weight, and therefore predicts other singers better. A clip without a figure (silence) is left out of
that mean, and counted.
"""

import csv
import json
import platform
from collections import Counter
from collections.abc import Iterable
from functools import partial
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..files import foreign
from ..files.atomic import whole_file
from ..settings.catalogue import LIBRARIES, STEMS

VERSIONS = ("v2", "v3")
LEGEND = (
    "v2: BSS Eval 2.1, gain only. v3: BSS Eval 3, 512 taps. NSDR: SDR minus that of the mixture. "
    "G: mean over clips, weighted by length."
)
METHOD = "karaoke-sep"
STEMS_METHOD = "stems"  # those that any tool wrote
PITCH = {
    "raw_pitch_accuracy": "raw pitch",
    "raw_chroma_accuracy": "raw chroma",
    "voicing_recall": "voicing recall",
    "voicing_false_alarm": "false alarm",
    "overall_accuracy": "overall",
}


def summarise(rows: Iterable[dict]) -> dict[str, dict]:
    """Return means, medians and cost of each method, in the order of their first rows.

    Returns
    -------
    dict of dict
        By method: ``clips``, ``failed``, ``seconds``, ``cpu_s_per_s``, and by figure ``mean``, ``median``,
        ``singers_mean``, and ``without``, the number of clips without this figure (if there are any).
    """
    by_method: dict[str, list[dict]] = {}
    for row in rows:
        by_method.setdefault(row["method"], []).append(row)
    return {method: _summary(rows) for method, rows in by_method.items()}


def details(methods: dict[str, dict]) -> str:
    """Return a table of all figures that the papers state, with a row for each stem, version and method."""
    header = ["dB", "method", "GNSDR", "GSIR", "GSAR", "median NSDR", "singers' mean NSDR"]
    rows = []
    for stem, v in product(STEMS, VERSIONS):
        for name, found in methods.items():
            keys = [f"{v}_{stem}_{figure}_db" for figure in ("nsdr", "sir", "sar")]
            cells = [_text(found["mean"].get(key), 2) for key in keys]
            cells += [_text(found[kind].get(keys[0]), 2) for kind in ("median", "singers_mean")]
            rows.append([f"{stem} {v}", name, *cells])
    return table(header, rows, n_left=2)


def overview(methods: dict[str, dict]) -> str:
    """Return a table with one row a method: GNSDR of both stems in both versions, the singers' mean, uSDR, cost."""
    keys = [(f"{v}_{stem}_nsdr_db", f"{stem} {v}") for stem, v in product(STEMS, VERSIONS)]
    header = ["GNSDR, dB", *(title for _, title in keys), "vocals v3, singers' mean", "uSDR vocals", "CPU-s per s"]
    rows = []
    for name, found in methods.items():
        cells = [_text(found["mean"].get(key), 2) for key, _ in keys]
        cells.append(_text(found["singers_mean"].get("v3_vocals_nsdr_db"), 2))
        cells.append(_text(found["mean"].get("vocals_usdr_db"), 2))
        rows.append([name, *cells, _text(found["cpu_s_per_s"], 3)])
    return table(header, rows)


def pitch(methods: dict[str, dict]) -> str:
    """Return a table of the pitch figures of the methods that have them; empty if none has."""
    rows = [
        [name, *(_text(found["mean"].get(key), 3) for key in PITCH)]
        for name, found in methods.items()
        if "raw_pitch_accuracy" in found["mean"]
    ]
    return table(["fractions of frames", *PITCH.values()], rows) if rows else ""


def page(results: dict[str, dict]) -> str:
    """Return several runs side by side in Markdown: overview and pitch.

    Runs get one section if they have the same clips and the same level of the voice, and stems of several tools if they
    are scored against the same true stems.

    Parameters
    ----------
    results : dict of dict
        By path, the contents of a file that `write_json` wrote. The separator, or the tool, is named after the file.
    """
    labels = _labels(results)
    groups: dict[tuple, dict[str, dict]] = {}
    for path, result in results.items():
        key = result.get("evaluation"), result.get("snr_db"), result.get("references", result["data"])
        groups.setdefault(key, {})[labels[path]] = result
    sections = [LEGEND]
    for (_, snr_db, data), runs in groups.items():
        found = [(label, *entry) for label, result in runs.items() for entry in result["methods"].items()]
        variants = {label: figures for label, name, figures in found if name in (METHOD, STEMS_METHOD)}
        methods = variants | {name: figures for _, name, figures in found if name not in (METHOD, STEMS_METHOD)}
        first = next(iter(methods.values()))
        title = "Stems" if snr_db is None else f"Voice at {snr_db:+g} dB"
        sections.append(f"## {title}: {_amount(first)} (data {data})")
        sections += filter(None, [overview(methods), pitch(methods), *remarks(methods)])
    made_with = dict.fromkeys(
        ", ".join(f"{name} {number}" for name, number in result["software"].items()) for result in results.values()
    )
    return "\n\n".join([*sections, *(f"Made with {software}." for software in made_with)])


def _amount(found: dict[str, Any]) -> str:
    """Return the number of clips of a method, and their length."""
    n, seconds = found["clips"], found["seconds"]
    length = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    return f"{n} clip{'s' * (n != 1)}, {length}"


def _labels(results: Iterable[str]) -> dict[str, str]:
    """Return a name for each path: that of the file, or the whole path where two files have the same name."""
    names = Counter(Path(path).stem for path in results)
    return {path: Path(path).stem if names[Path(path).stem] == 1 else path for path in results}


def read_json(path: Path) -> dict:
    """Return the contents of a file that `write_json` wrote.

    Raises
    ------
    ConfigError
        If the file cannot be read or holds something else.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise ConfigError(f"{path}: cannot be read ({reason}); give files that --json wrote") from None
    except ValueError:
        result = None
    if not (isinstance(result, dict) and {"methods", "software", "data"} <= result.keys() and result["methods"]):
        raise ConfigError(f"{path}: is not a result of karaoke-sep evaluate; give files that --json wrote")
    return result


def table(header: list[str], rows: list[list[str]], n_left: int = 1) -> str:
    """Return a Markdown table that is legible on a terminal.

    The first ``n_left`` columns are aligned to the left. Columns without any entry are left out.
    """
    used = [i for i in range(len(header)) if i < n_left or any(row[i] for row in rows)]
    header, rows = [header[i] for i in used], [[row[i] for i in used] for row in rows]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    rule = ["-" * width if i < n_left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    lines = []
    for row in [header, rule, *rows]:
        cells = [c.ljust(w) if i < n_left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def remarks(methods: dict[str, dict]) -> list[str]:
    """Return lines about clips that the means leave out."""
    lines = []
    for name, found in methods.items():
        if found["failed"]:
            lines.append(f"{name}: {found['failed']} of {found['clips']} clips failed and are left out of the means")
        if found["without"]:
            n = max(found["without"].values())
            lines.append(f"{name}: {n} of {found['clips']} clips have a silent stem, and lack some figures")
    return lines


def write_csv(path: Path, rows: list[dict]) -> None:
    """Write one row for each clip and method; a cell is empty if there is no figure."""
    columns = dict.fromkeys(key for row in rows for key, value in row.items() if value is not None)
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def write_json(path: Path, what: dict, methods: dict[str, dict], rows: list[dict]) -> None:
    """Write the figures, and all that is needed to repeat them."""
    whole = {**what, "software": software(), "methods": methods, "rows": rows}
    with whole_file(path) as part:
        part.write_text(json.dumps(whole, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def check_places(csv_path: Path | None, json_path: Path | None, what: dict) -> None:
    """Raise ConfigError if one of the files exists and holds something else, or the figures of another run.

    Parameters
    ----------
    csv_path, json_path : Path, optional
    what : dict
        Description of the run, which the JSON file holds.
    """
    if csv_path:
        foreign.check_replaceable(csv_path, _holds_rows, "give another --csv, or --overwrite")
    if json_path:
        foreign.check_replaceable(json_path, partial(_is_of_run, what=what), "give another --json, or --overwrite")


def _holds_rows(path: Path) -> bool:
    """Return whether `write_csv` wrote a file."""
    columns = foreign.head(path).split(b",")
    return columns[0] == b"clip" and b"method" in columns[:3]


def _is_of_run(path: Path, what: dict) -> bool:
    """Return whether `write_json` wrote a file with the figures of a run."""
    try:
        found = read_json(path)
    except ConfigError:
        return False
    return {key: found.get(key) for key in what} == what


def software() -> dict[str, str]:
    """Return the versions of all software that the figures depend on."""
    from .. import __version__

    return {
        "karaoke-sep": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{name: version(name) for name in LIBRARIES},
    }


def _summary(rows: list[dict]) -> dict[str, Any]:
    failed = [row for row in rows if "seconds" not in row]
    scored = [row for row in rows if "seconds" in row]
    figures = dict.fromkeys(key for row in scored for key in row if key.endswith("_db") or key in PITCH)
    seconds = np.array([row["seconds"] for row in scored])
    singers = np.array([row.get("singer", "") for row in scored])
    found: dict[str, dict] = {"mean": {}, "median": {}, "singers_mean": {}, "without": {}}
    for figure in figures:
        values = np.array([np.nan if row.get(figure) is None else row[figure] for row in scored], float)
        there = np.isfinite(values)
        if not there.all():
            found["without"][figure] = int(np.sum(~there))
        if there.any():
            found["mean"][figure] = _mean(values, seconds, there)
            found["median"][figure] = float(np.median(values[there]))
            each = [_mean(values, seconds, there & (singers == singer)) for singer in set(singers[there]) - {""}]
            if each:
                found["singers_mean"][figure] = float(np.mean(sorted(each)))
    cost = None if not scored or scored[0]["cpu_s"] is None else sum(row["cpu_s"] for row in scored) / seconds.sum()
    return {"clips": len(rows), "failed": len(failed), "seconds": float(seconds.sum()), "cpu_s_per_s": cost, **found}


def _mean(values: np.ndarray, weights: np.ndarray, there: np.ndarray) -> float:
    return float(np.average(values[there], weights=weights[there]))


def _text(value: float | None, digits: int) -> str:
    return "" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0 avoids "-0.00"
