"""Write the page: one HTML file that needs no network.

The page links to sounds and pictures by relative addresses, or holds them itself. All text from files and tags is
escaped. The page creates a player when it is first used, so that one page can hold hundreds of tracks.
"""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from .. import __version__
from ..batch import Place, Result
from ..errors import InputError
from ..files import atomic, foreign
from . import names, tracks

_MARK = b'<meta name="generator" content="karaoke-sep">'
_OPEN_PICTURES = 10  # with more tracks, pictures open on a click


def write(
    path: Path,
    results: list[Result],
    title: str,
    folder: Path,
    figures: Mapping[Place, Mapping[str, float | None]] | None = None,
    *,
    embed: bool = False,
) -> list[str]:
    """Write the page.

    Parameters
    ----------
    path : Path
        The page.
    results : list of Result
    title : str
    folder : Path
        The folder of the results.
    figures : mapping, optional
        Figures of the tracks that were compared with a reference, by place.
    embed : bool
        Put sounds, as MP3, and pictures into the page.

    Returns
    -------
    list of str
        A line for each track that is left out because one of its files cannot be read.

    Raises
    ------
    OutputError
        If the page cannot be written.
    ConfigError
        If it would replace a file that was made elsewhere.
    """
    check_place(path)
    look = tracks.Look(path, folder, embed, len(results) <= _OPEN_PICTURES)
    rows, errors, minutes = [], [], 0.0
    for result, heading in zip(results, names.headings(results, folder), strict=True):
        try:
            rows.append(tracks.article(result, heading, (figures or {}).get(result.place), look))
            minutes += result.seconds / 60
        except InputError as err:
            errors.append(str(err))
    count = f"{len(rows)} track{'s' * (len(rows) != 1)}, {minutes:.1f} min"
    parts = {"title": names.text(title), "summary": f"{count} · karaoke-sep {__version__}", "tracks": "\n".join(rows)}
    parts |= {"style": _asset("page.css"), "script": _asset("player.js") + _asset("page.js")}
    with atomic.whole_file(path) as part:
        part.write_text(_filled(_asset("page.html"), parts), "utf-8")
    return errors


def check_place(path: Path) -> None:
    """Raise ConfigError if the page would replace a file that this package did not write."""
    foreign.check_replaceable(path, lambda there: _MARK in foreign.head(there), "give another --output, or remove it")


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _filled(page: str, parts: Mapping[str, str]) -> str:
    """Fill in the template. Placeholders within the inserted text are not replaced."""
    pieces = page.split("{{")
    return pieces[0] + "".join(parts[name] + rest for name, rest in (piece.split("}}", 1) for piece in pieces[1:]))
