"""Distinct names of the tracks of a page, and a line about the settings of each."""

import html
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ..batch import Result

_STRENGTH = "wiener.voice_db"


def text(value: str) -> str:
    """Escape text for an element or an attribute; replace bytes of file names that are not UTF-8."""
    return html.escape(value.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def folder_of(result: Result, folder: Path) -> str:
    """Return the folder of a track below the folder of the results; empty at its top.

    The last part is left out if it repeats the name of the track, as in the default layout of `separate`.
    """
    place = result.place.folder.relative_to(folder)
    if place.name == result.source.stem:
        place = place.parent
    return "" if place == Path() else place.as_posix()


def headings(results: Iterable[Result], folder: Path) -> list[str]:
    """Return the name of each track, with the suffix of its file where one folder holds the name twice."""
    results = list(results)
    # Stems and backing tracks of one song share its name.
    songs = {(folder_of(result, folder), os.path.realpath(result.source)) for result in results}
    counts = Counter((place, Path(source).stem) for place, source in songs)
    return [
        result.source.name if counts[folder_of(result, folder), result.source.stem] > 1 else result.source.stem
        for result in results
    ]


def settings(result: Result, n_changes: int | None = None) -> str:
    """Return a line about a track: layout, key, tempo, level of the voice, and settings that are not defaults.

    Of these settings the first ``n_changes`` are named; all by default.
    """
    made = []
    if result.layout == "mir1k":
        made.append("MIR-1K layout")
    made += [f"excerpt {result.excerpt}"] if result.excerpt else []
    if backing := result.backing:
        key, tempo, level_db = backing["key_semitones"], backing["tempo_ratio"], backing["vocals_db"]
        made += [f"key {_signed(key)} semitone{'s' * (abs(key) != 1)}"] if key else []
        made += [f"tempo ×{tempo:g}"] if tempo != 1 else []
        if (lufs := backing.get("loudness_lufs")) is not None:
            made.append(f"{_signed(lufs)} LUFS")
        made += [f"vocals at {_signed(level_db)} dB"] if level_db is not None else ["vocals removed"]
    # The setting of `karaoke --strength` comes first, because it tells the backing tracks of one song apart.
    ordered = sorted(result.changes.items(), key=lambda change: change[0] != _STRENGTH)
    changes = [f"{key} = {value}" for key, value in ordered]
    if n_changes is not None and (n_more := len(changes) - n_changes) > 1:
        changes[n_changes:] = [f"{n_more} more settings that are not defaults"]
    made += changes
    return " · ".join(made) or "default settings"


def _signed(number: float) -> str:
    return f"{number:+g}".replace("-", "−")
