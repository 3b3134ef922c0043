"""Write the files of an UltraStar song other than its stems: the text, a copy of the input, and the cover."""

import shutil
from collections.abc import Mapping, Sequence

from ..files import atomic, covers, lyrics, ultrastar, video
from ..files.tags import Tags
from ..types import Note
from .jobs import Job


def write(job: Job, notes: Sequence[Note], about: Tags) -> list[str]:
    """Write the ordered files, and return notes for the user.

    The words, and perhaps the cover, come from files beside the input.
    """
    told = []
    if path := job.targets.get("ultrastar"):
        words = lyrics.beside(job.source)
        text = ultrastar.encode(notes, _song(job, about.text), words)
        if not notes and not (words and words.ultrastar):
            told = ["no notes are found, so games cannot load its UltraStar song"]
        if words and words.ultrastar and (fault := ultrastar.obstacle(words.ultrastar)):
            told = [f"the UltraStar file beside it has {fault}; games cannot load the song until you correct this"]
        with atomic.whole_file(path) as part:
            part.write_bytes(text.encode("utf-8", "surrogateescape"))  # file names need not be UTF-8
    if path := job.targets.get("song"):
        with atomic.whole_file(path) as part:
            shutil.copyfile(job.source, part)
    if path := job.targets.get("cover"):
        picture = covers.beside(job.source)
        with atomic.whole_file(path) as part:
            part.write_bytes(picture.read_bytes() if picture else about.cover)
    return told


def _song(job: Job, text: Mapping[str, str]) -> ultrastar.Song:
    files, year = job.song_files, text.get("date", "")[:4]
    return ultrastar.Song(
        title=text.get("title", job.source.stem),
        artist=text.get("artist", "unknown"),
        audio=files.get("song", job.source.name),
        instrumental=files.get("accompaniment", ""),
        vocals=files.get("vocals", ""),
        cover=files.get("cover", ""),
        video=files.get("song", "") if video.container_of(job.source) else "",
        year=year if year.isdecimal() else "",
        genre=text.get("genre", ""),
    )
