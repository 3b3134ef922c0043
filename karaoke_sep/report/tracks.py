"""The section of the page for one track: players, contour, figures, pictures and settings."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..batch import Result
from ..errors import InputError
from ..files import contours, foreign, sound_info, video
from ..settings.catalogue import STEMS
from . import addresses, drawings, names
from .names import text
from .references import comparison_path

_LENGTH_SLACK_S = 0.5  # headers of compressed files round
_N_CHANGES = 2  # settings beside the name; a config such as `fast` changes fifteen, which the details list
_FIGURES = {
    "SDR": "v2_{}_sdr_db",
    "NSDR": "v2_{}_nsdr_db",
    "SIR": "v2_{}_sir_db",
    "SAR": "v2_{}_sar_db",
    "uSDR": "{}_usdr_db",
}


@dataclass(frozen=True)
class Look:
    """How the tracks of a page are shown.

    Attributes
    ----------
    page : Path
        Addresses are relative to its folder.
    folder : Path
        The folder of the results.
    embed : bool
        Put sounds and pictures into the page.
    open_pictures : bool
        Show pictures and settings without a click.
    """

    page: Path
    folder: Path
    embed: bool
    open_pictures: bool


@dataclass(frozen=True)
class _Sound:
    """A sound that the page can play.

    Attributes
    ----------
    name : {"mixture", "vocals", "accompaniment", "karaoke"}
    src : str
        Its address.
    tempo : float
        Seconds of the song in one second of the sound.
    """

    name: str
    src: str
    tempo: float = 1.0


def article(result: Result, heading: str, figures: Mapping[str, float | None] | None, look: Look) -> str:
    """Return the HTML of a track.

    Raises
    ------
    InputError
        If one of its files cannot be read.
    """
    sounds = _sounds(result, look)
    stems = [stem for stem in STEMS if stem in result.files]
    can_mix = len(stems) == len(STEMS)
    choices = dict.fromkeys([*(["mixture"] if can_mix else []), *(sound.name for sound in sounds)])
    folder = names.folder_of(result, look.folder)
    tagged = " – ".join(result.tags[key] for key in ("artist", "title") if result.tags.get(key))
    place = f"in {folder} · " if folder else ""
    about = "".join(
        f'<p class="dim">{text(line)}</p>\n' for line in (tagged, place + names.settings(result, _N_CHANGES)) if line
    )
    searched = " ".join(filter(None, (heading, tagged, folder)))
    strips = "".join(map(_strip, stems)) if can_mix else ""
    return f"""<article data-seconds="{result.seconds:.3f}" data-search="{text(searched)}"
data-sounds="{text(json.dumps([asdict(sound) for sound in sounds]))}">
<h2>{text(heading)}</h2>
{about}<div class="bar"><button class="play">Play</button><span class="time"></span>
<input class="seek" type="range" min="0" max="1" step="any" value="0" aria-label="Position"></div>
<div class="bar" role="group" aria-label="Sound">{"".join(_choice(name, result) for name in choices)}</div>
<div class="strips">{strips}</div>
<p class="wrong" role="status" hidden></p>
{_contour(result)}{_figures(figures)}{_details(result, bool(figures), look)}
</article>"""


def _sounds(result: Result, look: Look) -> list[_Sound]:
    """Return the sounds that the page can play.

    An MIR-1K clip has the voice on one channel, and the file of an excerpt is longer than its stems. In these cases
    both stems are played together as the mixture.
    """

    def address(path: Path) -> str:
        sound_info.probe(path)  # a link to a damaged file would fail without a message when it is played
        return addresses.data_url(path) if look.embed else addresses.link(path, look.page)

    stems = [result.files[stem] for stem in STEMS if stem in result.files]
    tempo = float(result.backing.get("tempo_ratio") or 1)
    sounds = [_Sound(stem, address(result.files[stem])) for stem in STEMS if stem in result.files]
    if "karaoke" in result.files:
        _check_is_first(result.files["karaoke"])
        sounds.append(_Sound("karaoke", address(result.files["karaoke"]), tempo))
    if look.embed and len(stems) == len(STEMS):
        return [_Sound("mixture", addresses.data_url(*stems)), *sounds]
    is_wanted = len(stems) == len(STEMS) or "karaoke" in result.files
    if is_wanted and result.layout == "mixture" and not result.excerpt and result.source.is_file():
        return [_Sound("mixture", address(result.source)), *sounds]
    return sounds


def _check_is_first(track: Path) -> None:
    """Raise InputError for a video that holds the backing track beside other sounds: browsers play the first one."""
    if video.container_of(track) and video.n_sounds(track) > 1:
        raise InputError(
            f"{track}: left out because browsers cannot choose its second sound; a backing track made without "
            "--video-sound add can be played"
        )


def _choice(name: str, result: Result) -> str:
    labels = {"karaoke": "Backing track", "mixture": "Mixture" if "vocals" in result.files else "Original"}
    label = labels.get(name, name.capitalize())
    return f'<button class="choice" data-sound="{name}" aria-pressed="false">{label}</button>'


def _strip(name: str) -> str:
    return (
        f'<div class="strip" data-stem="{name}"><span>{name.capitalize()}</span>'
        f'<button class="solo" aria-pressed="false" aria-label="{name}: solo">Solo</button>'
        f'<button class="mute" aria-pressed="false" aria-label="{name}: mute">Mute</button>'
        f'<input type="range" min="-40" max="0" step="1" value="0" aria-label="{name}: level, dB">'
        "<output></output></div>"
    )


def _contour(result: Result) -> str:
    if "pitch" not in result.files:
        return ""
    try:
        return drawings.contour(contours.read(result.files["pitch"]), result.seconds)
    except InputError as err:  # the file may have been edited
        return f'<p class="wrong">{text(str(err))}</p>\n'


def _figures(figures: Mapping[str, float | None] | None) -> str:
    if not figures:
        return ""
    header = "".join(f'<th class="number">{name}</th>' for name in _FIGURES)
    rows = ""
    for stem in STEMS:
        numbers = "".join(_number(figures.get(key.format(stem)), "{:.1f}") for key in _FIGURES.values())
        rows += f"<tr><th>{stem}</th>{numbers}</tr>"
    table = f'<div class="wide"><table><tr><th>dB</th>{header}</tr>{rows}</table></div>'
    table += '<p class="dim">BSS Eval 2.1. NSDR is the gain in SDR over the mixture; uSDR is over all samples.</p>'
    if "raw_pitch_accuracy" in figures:
        pitch = {"raw pitch": "raw_pitch_accuracy", "chroma": "raw_chroma_accuracy", "overall": "overall_accuracy"}
        cells = "".join(f"<th>{name}</th>{_number(figures[key], '{:.1%}')}" for name, key in pitch.items())
        table += f'<div class="wide"><table><tr>{cells}</tr></table></div>'
    return table + "\n"


def _number(value: float | None, form: str) -> str:
    known = value is not None and math.isfinite(value)
    return f'<td class="number">{form.format(value) if known else "–"}</td>'


def _details(result: Result, is_compared: bool, look: Look) -> str:
    """Return the pictures and settings, which can be folded."""
    pictures = [path for path in [result.files.get("picture")] if path and path.is_file()]
    if is_compared and foreign.is_own_picture(comparison_path(result)):
        pictures.append(comparison_path(result))
    parts = []
    for path in pictures:
        address = addresses.data_url(path) if look.embed else addresses.link(path, look.page)
        parts.append(drawings.picture(path, address, text(f"{path.stem} of {result.source.stem}")))
    parts.append(_versions(result, look))
    title = "Pictures and settings" if pictures else "Settings"
    is_open = " open" if look.open_pictures and pictures else ""
    return f"<details{is_open}><summary>{title}</summary>\n{''.join(parts)}</details>"


def _versions(result: Result, look: Look) -> str:
    """Return a table of the song, settings, versions and, if they stay beside the page, the files of a track."""
    rows: dict[str, Any] = {"song": result.source.name, "settings": names.settings(result)}
    rows["karaoke-sep"] = result.version
    rows["libraries"] = ", ".join(f"{name} {version}" for name, version in result.libraries.items())
    cells = "".join(f"<tr><th>{text(name)}</th><td>{text(value)}</td></tr>" for name, value in rows.items())
    if not look.embed:
        links = (
            f'<a href="{text(addresses.link(path, look.page))}">{text(path.name)}</a>' for path in result.files.values()
        )
        cells += f"<tr><th>files</th><td>{', '.join(links)}</td></tr>"
    return f"<table>{cells}</table>\n"
