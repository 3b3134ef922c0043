"""UltraStar song files, for UltraStar Deluxe, Performous, Vocaluxe and other games.

References
----------
The UltraStar file format, version 1, github.com/UltraStar-Deluxe/format. It requires ``#MP3``; games that support
``#AUDIO`` prefer it. The files that are written here have both.
"""

import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from ..types import Note
from .lyrics import Lyrics, spread

_VERSION = "1.1.0"
_BPM = 300  # four beats to each, so a beat is 50 ms: as fine as games draw and score
_BEAT_S = 60 / (4 * _BPM)
_PHRASE_REST_S = 0.5
_LINE_S = 6.0  # the games show one line at once; 99 % of the lines in the hand-made files (see below) are shorter
# In the games a note begins with the syllable; `notes` gives the onset of the vowel. In the hand-made files of 17 songs
# (github.com/UltraStar-Deluxe/songs) the notes begin 20 to 30 ms earlier on the median, with the consonant.
_CONSONANT_S = 0.03
_LOWEST_MEDIAN = 3  # semitones above middle C; the hand-made files have 6 to 16, but for three
_HEADER = re.compile(r"\s*#\s*([^:\s]+)\s*:(.*)")
# Files of another folder, the place of such a video, and an encoding other than that of the new file.
_REPLACED = ("MP3", "AUDIO", "INSTRUMENTAL", "VOCALS", "COVER", "VIDEO", "BACKGROUND", "VIDEOGAP", "ENCODING")
_NOTE, _GOOD_NOTE = re.compile(r"[:*FRG]\s"), re.compile(r"[:*FRG]\s+-?\d+\s+\d+\s+-?\d+(\s|$)")
_TEMPO = re.compile(r"0*[1-9]\d*([.,]\d+)?\s*")
_UNVERSIONED = ("RELATIVE", "DUETSINGERP1", "DUETSINGERP2")  # headers that version 1 does not have


@dataclass(frozen=True)
class Song:
    """The header of a song file. File names are relative to it; an empty text leaves the line out."""

    title: str
    artist: str
    audio: str
    instrumental: str = ""
    vocals: str = ""
    cover: str = ""
    video: str = ""
    year: str = ""
    genre: str = ""

    @property
    def files(self) -> dict[str, str]:
        """Headers that name files."""
        return {
            "MP3": self.audio,
            "AUDIO": self.audio,
            "INSTRUMENTAL": self.instrumental,
            "VOCALS": self.vocals,
            "COVER": self.cover,
            "VIDEO": self.video,
        }


def encode(notes: Sequence[Note], song: Song, lyrics: Lyrics | None = None) -> str:
    """Return the text of a song file.

    Parameters
    ----------
    notes : sequence of Note
        In order of time. A new line of words begins after a rest of half a second, or where a line of the lyrics
        begins; lines of more than 6 s are divided. Low voices are written an octave higher or two, as in most
        hand-made files; games compare pitches without their octave.
    song : Song
    lyrics : Lyrics, optional
        Words for the notes; without them each note has a ``~``. An UltraStar file keeps its notes, words and headers,
        and refers to the files of this song.
    """
    if lyrics and lyrics.ultrastar:
        return _with_files(lyrics.ultrastar, song)
    header = {"VERSION": _VERSION, "TITLE": song.title, "ARTIST": song.artist, **song.files}
    header |= {"YEAR": song.year, "GENRE": song.genre}
    return "\n".join([*_lines(header), f"#BPM:{_BPM}", "#GAP:0", *_body(notes, lyrics), "E", ""])


def _lines(header: dict[str, str]) -> list[str]:
    # A line break would end the header, and readers strip it. File names stay as they are inside.
    texts = {key: re.sub(r"[\r\n]+", " ", value).strip() for key, value in header.items()}
    return [f"#{key}:{text}" for key, text in texts.items() if text]


def _body(notes: Sequence[Note], lyrics: Lyrics | None) -> list[str]:
    starts_s = [max(note.onset_s - _CONSONANT_S, 0.0) for note in notes]
    texts = spread(lyrics.lines, starts_s) if lyrics else [("~", False)] * len(notes)
    zero = 60 - 12 * _octaves_up(notes)
    line_starts = _line_starts(notes, texts)
    beats = [round(start_s / _BEAT_S) for start_s in starts_s] + [sys.maxsize]
    lines, end = [], 0
    for i, (note, (text, _)) in enumerate(zip(notes, texts, strict=True)):
        if i in line_starts:
            lines.append(f"- {end}")
        start = max(beats[i], end)
        # The consonant of the next note shortens this one.
        end = max(min(round(note.offset_s / _BEAT_S), beats[i + 1]), start + 1)
        lines.append(f": {start} {end - start} {note.key - zero} {text}")
    return lines


def _line_starts(notes: Sequence[Note], texts: Sequence[tuple[str, bool]]) -> set[int]:
    """Return the notes that begin a line, other than the first: those of the lyrics, or those after a rest.

    Lines that are too long for the games are divided in their middle half at the longest rest, if possible before a
    word.
    """
    has_words = any(begins for _, begins in texts)
    rests_s = [after.onset_s - before.offset_s for before, after in pairwise(notes)]
    starts = [i for i, rest_s in enumerate(rests_s, 1) if (texts[i][1] if has_words else rest_s >= _PHRASE_REST_S)]
    undivided, divided = list(pairwise([0, *starts, len(notes)])), set(starts)
    while undivided:
        first, stop = undivided.pop()
        length_s = notes[stop - 1].offset_s - notes[first].onset_s if stop > first else 0.0
        if length_s > _LINE_S:
            middle_s = notes[first].onset_s + length_s / 2
            places = [
                (not texts[i][0].startswith("~"), rests_s[i - 1], -abs(notes[i].onset_s - middle_s), i)
                for i in range(first + 1, stop)
                if abs(notes[i].onset_s - middle_s) <= length_s / 4
            ]
            if places:
                place = max(places)[-1]
                divided.add(place)
                undivided += [(first, place), (place, stop)]
    return divided


def _octaves_up(notes: Sequence[Note]) -> int:
    """Return by how many octaves the notes are raised, so that half of the singing is high enough."""
    order = sorted(notes, key=lambda note: note.key)
    sung_s = list(accumulate(note.offset_s - note.onset_s for note in order))
    median = next((note.key for note, s in zip(order, sung_s, strict=True) if s >= sung_s[-1] / 2), 127)
    return max(0, math.ceil((60 + _LOWEST_MEDIAN - median) / 12))


def _with_files(text: str, song: Song) -> str:
    """Return an UltraStar file that refers to the files of a song; all other lines are unchanged.

    Required lines that are missing, such as the end, are added.
    """
    rows = text.splitlines()
    n_header = next((i for i, row in enumerate(rows) if row.strip() and not _HEADER.match(row)), len(rows))
    keys = [match[1].upper() if (match := _HEADER.match(row)) else "" for row in rows[:n_header]]
    kept = [row for row, key in zip(rows, keys, strict=False) if key and key not in _REPLACED]
    # The version says how the other lines are to be read, so a file keeps its own.
    version = {} if {"VERSION", *_UNVERSIONED}.intersection(keys) else {"VERSION": _VERSION}
    names = {key: text for key, text in {"TITLE": song.title, "ARTIST": song.artist}.items() if key not in keys}
    end = [] if "E" in map(str.strip, rows) else ["E"]
    return "\n".join([*_lines(version | names), *kept, *_lines(song.files), *rows[n_header:], *end, ""])


def obstacle(text: str) -> str:
    """Return why games cannot load an UltraStar file; empty if they can."""
    rows = [row.strip() for row in text.splitlines()]
    tempos = [match[2].strip() for row in rows if (match := _HEADER.match(row)) and match[1].upper() == "BPM"]
    notes = [row for row in rows if _NOTE.match(row)]
    if not (tempos and _TEMPO.fullmatch(tempos[-1])):
        return "no #BPM, or one that is not a number"
    if not notes:
        return "no notes"
    return next((f"the line {row!r}, which is not a note" for row in notes if not _GOOD_NOTE.match(row)), "")
