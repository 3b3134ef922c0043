"""A page to listen to what was separated: one HTML file without anything from the network.

Sounds and pictures are linked by relative addresses, or held by the page itself. Everything that comes from files and
their tags is escaped. The page's own text, style and script are in ``listening.html``; players are made when they are
first used, so that hundreds of tracks fit on a page.
"""

import base64
import html
import json
import math
import os
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from .. import __version__
from ..batch import STEMS, Result
from ..datasets import stems
from ..errors import InputError
from ..evaluation import scoring
from ..evaluation.melody import melody_figures
from ..files import atomic, contours, reading, sound_info, writing
from ..types import Audio, PitchTrack

_SOUNDS = (*STEMS, "karaoke")
_CONTOUR_POINTS = 800  # as many as a screen has dots
_CONTOUR_HEIGHT = 100
_OPEN_PICTURES = 10  # so many are shown at once; more are opened one by one
_PICTURE_SCALE = 0.6  # a long picture may shrink so far before it is scrolled
_FIGURES = {
    "SDR": "v2_{}_sdr_db",
    "NSDR": "v2_{}_nsdr_db",
    "SIR": "v2_{}_sir_db",
    "SAR": "v2_{}_sar_db",
    "uSDR": "{}_usdr_db",
}


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of a track: its stems, and its pitch if there is a contour beside them."""

    stems: stems.StemFiles
    pitch: Path | None


def find_truths(results: list[Result], folder: Path, references: Path) -> list[Truth | None]:
    """The true stems of each track, by its place below the folder or its name; None where there are none.

    A ``pitch.csv`` or ``pitch.pv`` beside them is the true pitch.

    Raises
    ------
    ConfigError
        When there are no true stems at all.
    """
    true = stems.find_tracks(references)
    by_name = {Path(name).name: files for name, files in true.items()}
    found = []
    for result in results:
        place = result.sidecar.parent.relative_to(folder).as_posix()
        files = true.get(place) or by_name.get(result.source.stem)
        if len(true) == len(results) == 1:
            files = next(iter(true.values()))
        contours = [files.vocals[0].parent / f"pitch{suffix}" for suffix in (".csv", ".pv")] if files else []
        found.append(Truth(files, next((path for path in contours if path.is_file()), None)) if files else None)
    return found


def compare(result: Result, truth: Truth) -> tuple[dict[str, float | None], bytes | None]:
    """Figures of a track against the truth, and a picture of it if matplotlib is there.

    Raises
    ------
    InputError
        When its stems and the true ones cannot be compared.
    """
    missing = [stem for stem in STEMS if stem not in result.files]
    if missing:
        raise InputError(f"{result.sidecar}: no {' and no '.join(missing)} to compare with the true stems")
    estimate = stems.StemFiles(*((result.files[stem],) for stem in STEMS))
    true_vocals, true_rest, *estimates = stems.load(stems.Pair(str(result.source), truth.stems, estimate))
    if true_vocals.samples.shape != estimates[0].samples.shape or true_vocals.rate_hz != estimates[0].rate_hz:
        raise InputError(f"{result.source}: the true stems have another rate, length or number of channels")
    figures: dict[str, float | None] = dict(
        scoring.figures(scoring.prepare(true_vocals, true_rest, ("v2",)), *estimates)
    )
    track, pitch = _track(result), contours.read(truth.pitch) if truth.pitch else None
    if track and pitch:
        figures |= asdict(melody_figures(pitch, track))
    try:
        from ..plots import pictures as plots
    except ImportError:
        return figures, None
    return figures, plots.png(plots.comparison((estimates[0], estimates[1]), (true_vocals, true_rest), track, pitch))


def write(
    path: Path,
    results: list[Result],
    title: str,
    figures: Mapping[Path, Mapping[str, float | None]] | None = None,
    *,
    embed: bool = False,
) -> list[str]:
    """The page.

    Parameters
    ----------
    path : Path
        Addresses are relative to its folder.
    results : list of Result
    title : str
    figures : mapping, optional
        By sidecar, of the tracks that were compared with the truth.
    embed : bool
        Put sounds, as MP3, and pictures into the page.

    Returns
    -------
    list of str
        A line for each track that is left out, since a file of it cannot be read.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    shown = len(results) <= _OPEN_PICTURES
    rows, faults, minutes = [], [], 0.0
    for result in results:
        try:
            rows.append(_article(result, path, (figures or {}).get(result.sidecar), embed, shown))
            minutes += result.seconds / 60
        except InputError as err:
            faults.append(str(err))
    count = f"{len(rows)} track{'s' * (len(rows) != 1)}, {minutes:.1f} min"
    parts = {"title": _text(title), "summary": f"{count}; karaoke-sep {__version__}", "tracks": "\n".join(rows)}
    page = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    with atomic.whole_file(path) as part:
        part.write_text(_filled(page, parts), "utf-8")
    return faults


def comparison_path(result: Result) -> Path:
    """Where the picture of a comparison lies: beside the sidecar, named alike."""
    return result.sidecar.with_name(result.sidecar.stem.replace("karaoke-sep", "comparison") + ".png")


# ----------------------------------------------------------------------------------------------------------- a track


def _article(result: Result, page: Path, figures: Mapping | None, embed: bool, shown: bool) -> str:
    def address(path: Path) -> str:
        return _embedded(path) if embed else _link(path, page)

    sounds = {name: address(result.files[name]) for name in _SOUNDS if name in result.files}
    if sounds.keys() >= set(STEMS):
        if embed:
            sounds = {"mixture": _embedded(*(result.files[stem] for stem in STEMS)), **sounds}
        elif result.source.is_file():
            sounds = {"mixture": address(result.source), **sounds}
    hear = [*(["mixture"] if sounds.keys() >= set(STEMS) else []), *(name for name in sounds if name != "mixture")]
    pictures = [result.files.get("picture"), comparison_path(result) if figures else None]
    details = [*(_picture(p, address(p), result) for p in pictures if p and p.is_file())]
    details.append(_settings(result, None if embed else page))
    title, artist = result.tags.get("title"), result.tags.get("artist")
    name = _text(result.source.stem)
    tagged = " – ".join(_text(part) for part in (artist, title) if part)
    return f"""<article data-seconds="{_seconds(result):.3f}" data-sounds="{_text(json.dumps(sounds))}">
<h2>{name}</h2>{f'<p class="dim">{tagged}</p>' if tagged else ""}
<div class="bar"><button class="play">Play</button><span class="time"></span>
<input class="seek" type="range" min="0" max="1" step="any" value="0" aria-label="Position"></div>
<div class="bar" role="group" aria-label="What is heard">{"".join(map(_hear_button, hear))}</div>
<div class="strips">{"".join(_strip(name) for name in sounds if name != "mixture")}</div>
<p class="wrong" role="status" hidden></p>
{_contour(result)}{_figures(figures)}<details{" open" * shown}><summary>Pictures and settings</summary>
{"".join(details)}</details>
</article>"""


def _hear_button(name: str) -> str:
    return f'<button class="hear" data-sound="{name}" aria-pressed="false">{name.capitalize()}</button>'


def _strip(name: str) -> str:
    return (
        f'<div class="strip" data-stem="{name}"><span>{name.capitalize()}</span>'
        f'<button class="solo" aria-pressed="false" aria-label="{name}: solo">Solo</button>'
        f'<button class="mute" aria-pressed="false" aria-label="{name}: mute">Mute</button>'
        f'<input type="range" min="-40" max="0" step="1" value="0" aria-label="{name}: level, dB">'
        "<output></output></div>"
    )


def _seconds(result: Result) -> float:
    """Length of what is played: a backing track may have another tempo than the song."""
    sounds = [result.files[name] for name in _SOUNDS if name in result.files]
    return (sound_info.probe(sounds[0]).duration_s if sounds else None) or result.seconds


def _track(result: Result) -> PitchTrack | None:
    return contours.read(result.files["pitch"]) if "pitch" in result.files else None


def _contour(result: Result) -> str:
    """The pitch where it is more likely sung than not, as a line on a logarithmic scale."""
    try:
        track = _track(result)
    except InputError:  # it may have been edited by hand since
        track = None
    if track is None:
        return '<p class="dim">No contour: separate with --save-pitch.</p>\n'
    semitones = _at_dots(track, result.seconds)
    if not np.isfinite(semitones).any():
        return '<p class="dim">Nobody sings.</p>\n'
    lowest_hz, highest_hz = (2 ** (limit(semitones) / 12) for limit in (np.nanmin, np.nanmax))
    low, high = np.nanmin(semitones) - 1, np.nanmax(semitones) + 1
    y = (high - semitones) / (high - low) * _CONTOUR_HEIGHT
    path, drawing = [], False
    for x, height in enumerate(y.tolist()):
        if math.isfinite(height):
            path.append(f"{'L' if drawing else 'M'}{x} {height:.0f}")
        drawing = math.isfinite(height)
    return (
        f'<div class="pitch"><div class="limits"><span>{highest_hz:.0f} Hz</span><span>{lowest_hz:.0f} Hz</span></div>'
        '<div class="contour over">'
        f'<svg viewBox="0 0 {_CONTOUR_POINTS - 1} {_CONTOUR_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="Pitch contour"><path d="{"".join(path)}"/></svg>'
        '<div class="head"></div></div></div>\n'
    )


def _at_dots(track: PitchTrack, seconds: float) -> np.ndarray:
    """Median of the pitch sung at each dot, shape (_CONTOUR_POINTS,), semitones; NaN where nobody sings."""
    n_dots = _CONTOUR_POINTS
    dense = track.at(np.linspace(0, seconds, n_dots * max(1, -(-len(track.times_s) // n_dots)), endpoint=False))
    with np.errstate(invalid="ignore"):
        semitones = np.where(dense.voicing >= 0.5, 12 * np.log2(dense.f0_hz), np.nan).reshape(n_dots, -1)
    sung = np.isfinite(semitones).any(axis=1)
    found = np.full(n_dots, np.nan)
    found[sung] = np.nanmedian(semitones[sung], axis=1)
    return found


def _picture(path: Path, address: str, result: Result) -> str:
    """A picture with its playhead; a long one is scrolled."""
    try:
        width, place = _png_place(path.read_bytes())
    except (struct.error, ValueError, TypeError, AttributeError):
        raise InputError(f"{path}: is not a whole PNG; draw it again with --plots --overwrite") from None
    style = f"--left: {place['left']:.5f}; --right: {place['right']:.5f}; min-width: {_PICTURE_SCALE * width:.0f}px"
    what = _text(f"{path.stem} of {result.source.stem}")
    return (
        f'<div class="scroll"><div class="picture over" style="{style}"><img loading="lazy" src="{_text(address)}" '
        f'alt="{what}"><div class="head"></div></div></div>\n'
    )


def _png_place(data: bytes) -> tuple[int, dict[str, float]]:
    """Width of a PNG, and where its time axis lies, as `plots.png` wrote it; all of its width in any other."""
    width, place, position = struct.unpack(">I", data[16:20])[0], {"left": 0.0, "right": 1.0}, 8
    while position + 8 <= len(data):
        n_bytes, kind = struct.unpack(">I4s", data[position : position + 8])
        key, _, text = data[position + 8 : position + 8 + n_bytes].partition(b"\0")
        if kind == b"tEXt" and key == b"karaoke-sep axes":
            place |= {name: float(value) for name, value in json.loads(text).items()}
        position += 12 + n_bytes
    return width, place


def _figures(figures: Mapping[str, float | None] | None) -> str:
    if not figures:
        return ""
    header = "".join(f'<th class="number">{name}</th>' for name in _FIGURES)
    rows = ""
    for stem in STEMS:
        numbers = "".join(_number(figures.get(key.format(stem)), "{:.1f}") for key in _FIGURES.values())
        rows += f"<tr><th>{stem}</th>{numbers}</tr>"
    table = f"<table><tr><th>dB</th>{header}</tr>{rows}</table>"
    table += '<p class="dim">After BSS Eval 2.1; NSDR is the gain over the mixture, uSDR is over all samples.</p>'
    if "raw_pitch_accuracy" in figures:
        pitch = {"raw pitch": "raw_pitch_accuracy", "chroma": "raw_chroma_accuracy", "overall": "overall_accuracy"}
        cells = "".join(f"<th>{name}</th>{_number(figures[key], '{:.1%}')}" for name, key in pitch.items())
        table += f"<table><tr>{cells}</tr></table>"
    return table + "\n"


def _number(value: float | None, form: str) -> str:
    known = value is not None and math.isfinite(value)
    return f'<td class="number">{form.format(value) if known else "–"}</td>'


def _settings(result: Result, page: Path | None) -> str:
    """What the track was made from and how; with links to its files, for a page that stays beside them."""
    rows: dict[str, Any] = {"song": result.source.name, "karaoke-sep": result.version}
    rows["libraries"] = ", ".join(f"{name} {version}" for name, version in result.libraries.items())
    rows["settings"] = ", ".join(f"{key}={value}" for key, value in result.changes.items()) or "default"
    cells = "".join(f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in rows.items())
    if page:
        links = (f'<a href="{_text(_link(path, page))}">{_text(path.name)}</a>' for path in result.files.values())
        cells += f"<tr><th>files</th><td>{', '.join(links)}</td></tr>"
    return f"<table>{cells}</table>\n"


# ---------------------------------------------------------------------------------------------------- text and links


def _text(text: str) -> str:
    """Text for an element or an attribute; bytes of file names that are no UTF-8 are replaced."""
    return html.escape(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def _filled(page: str, parts: Mapping[str, str]) -> str:
    """The page with its parts; what stands in a part is never taken for the name of another."""
    pieces = page.split("{{")
    return pieces[0] + "".join(parts[name] + rest for name, rest in (piece.split("}}", 1) for piece in pieces[1:]))


def _link(path: Path, page: Path) -> str:
    relative = os.path.relpath(path.absolute(), page.absolute().parent)
    return quote(os.fsencode(relative.replace(os.sep, "/")))


def _embedded(*paths: Path) -> str:
    """A file, or the sum of some sounds, as an address that holds all of it."""
    if paths[0].suffix == ".png":
        kind, data = "image/png", paths[0].read_bytes()
    else:
        sounds = [reading.read(path)[0] for path in paths]
        total = Audio(np.sum([sound.samples for sound in sounds], axis=0), sounds[0].rate_hz)
        kind, data = "audio/mpeg", writing.mp3(total)
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
