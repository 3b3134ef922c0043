"""Addresses of sounds and pictures: relative links, or data URLs that hold the file itself."""

import base64
import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import numpy as np

from ..batch import Result
from ..files import reading, writing
from ..settings.catalogue import STEMS
from ..types import Audio

# libsndfile writes MP3 of the demo song at about 130 kbit/s; base64 turns three bytes into four.
_EMBEDDED_MB_PER_MINUTE = 130e3 / 8 * 60 * 4 / 3 / 1e6


def link(path: Path, page: Path) -> str:
    """Return the address of a file relative to the folder of the page."""
    relative = os.path.relpath(path.absolute(), page.absolute().parent)
    return quote(os.fsencode(relative.replace(os.sep, "/")))


def data_url(*paths: Path) -> str:
    """Return a data URL of a picture, or of the sum of some sounds as MP3.

    Raises
    ------
    InputError
        If a sound cannot be read.
    """
    if paths[0].suffix == ".png":
        kind, data = "image/png", paths[0].read_bytes()
    else:
        sounds = [reading.read(path)[0] for path in paths]
        total = Audio(np.sum([sound.samples for sound in sounds], axis=0), sounds[0].rate_hz)
        kind, data = "audio/mpeg", writing.mp3(total)
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def embedded_mb(results: Iterable[Result]) -> float:
    """Estimate the size of a page that holds its sounds, MB; pictures are not counted."""
    return sum(result.seconds / 60 * _n_sounds(result) * _EMBEDDED_MB_PER_MINUTE for result in results)


def _n_sounds(result: Result) -> int:
    n_stems, is_backing = sum(stem in result.files for stem in STEMS), "karaoke" in result.files
    has_mixture = n_stems == len(STEMS) or (is_backing and result.source.is_file())
    return n_stems + is_backing + has_mixture
