"""Keep what ffprobe says about the inputs beside their outputs, because each question takes a tenth of a second.

A second run of a finished folder then starts no other program.
"""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import OutputError
from ..files import atomic, covers, sound_info, video
from ..files.sound_info import SoundInfo
from . import record


class Answers:
    """Answers about inputs, in a file in the hidden folder of the outputs.

    Parameters
    ----------
    output : Path
        Folder of all outputs.
    """

    def __init__(self, output: Path):
        self._path = output / record.FOLDER / "inputs"
        self._known = _read(self._path)
        self._new: dict[str, list] = {}

    def sound(self, source: Path, stream: int | None) -> SoundInfo:
        """Return the header of a sound file; parameters and errors as for `sound_info.probe`."""
        question = f"sound {stream}"
        if known := self._recall(source, question):
            return SoundInfo(**known | {"notes": tuple(known["notes"])})
        info = sound_info.probe(source, stream)
        if info.stream != SoundInfo.stream:  # ffprobe was asked
            self._keep(source, question, asdict(info))
        return info

    def cover_suffix(self, source: Path) -> str:
        """Return the suffix of the cover of a song; empty if it has none."""
        if path := covers.beside(source):
            return path.suffix.lower()

        def ask() -> str:
            cover = covers.inside(source)
            return cover.suffix if cover else ""

        return str(self._of(source, "cover", ask))

    def has_picture(self, source: Path) -> bool:
        """Return whether a file contains a moving picture; errors as for `video.has_picture`."""
        return bool(self._of(source, "picture", lambda: video.has_picture(source)))

    def save(self) -> None:
        """Write the new answers to the file, if it can be written; other runs may have added theirs."""
        if self._new:
            with suppress(OSError, OutputError), atomic.whole_file(self._path) as part:
                part.write_text(_signed(json.dumps(_read(self._path) | self._new)), encoding="ascii")
            self._new = {}

    def _of(self, source: Path, question: str, ask: Callable[[], Any]) -> Any:
        answer = self._recall(source, question)
        return self._keep(source, question, ask()) if answer is None else answer

    def _recall(self, source: Path, question: str) -> Any:
        """Return the answer to a question about an input that has not changed; None if there is none."""
        identity, answer = self._known.get(_key(source, question), (None, None))
        return answer if identity and identity == record.identity(source) else None

    def _keep(self, source: Path, question: str, answer: Any) -> Any:
        key = _key(source, question)
        self._known[key] = self._new[key] = [record.identity(source), answer]
        return answer


def _key(source: Path, question: str) -> str:
    return f"{question} {os.fsencode(source.absolute()).hex()}"


def _signed(text: str) -> str:
    """Return a text after a line with its hash, which changes with the version."""
    return hashlib.sha256(f"{__version__}\n{text}".encode()).hexdigest() + "\n" + text


def _read(path: Path) -> dict[str, list]:
    """Return the answers in a file; none if it is missing, damaged or of another version."""
    try:
        whole = path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return {}
    text = whole.partition("\n")[2]
    return json.loads(text) if _signed(text) == whole else {}
