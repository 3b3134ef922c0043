"""Lyrics in a file beside a song: ``.lrc`` with times, ``.txt`` with words alone, or an UltraStar file.

References
----------
LRC: lines of ``[mm:ss.xx]words``; a line with several times is repeated; ``[offset:ms]`` shows the words earlier.
"""

import codecs
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

_MAX_BYTES = 1 << 20  # more than the words of any song
_STAMP = re.compile(r"\[(\d+):(\d+(?:[.,:]\d+)?)\]")
_WORD_STAMP = re.compile(r"<\d+:\d+(?:[.,:]\d+)?>")
_OFFSET = re.compile(r"^\[offset:\s*([+-]?\d+)\]", re.IGNORECASE | re.MULTILINE)
_TAG = re.compile(r"\[[a-z#]+:[^\]]*\]", re.IGNORECASE)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CODE_PAGE = re.compile(rb"#\s*ENCODING\s*:\s*(CP125[0-8])", re.IGNORECASE)  # in old UltraStar files
_ULTRASTAR = re.compile(r"\s*#[A-Z]+:", re.IGNORECASE)
# Scripts without spaces: each character, together with following marks that cannot begin a syllable, counts as a word.
_CHARACTER = "[぀-ヿ㐀-鿿가-힣]"
_UNIT = re.compile(rf"{_CHARACTER}[ぁぃぅぇぉっゃゅょァィゥェォッャュョー、。！？]*|(?:(?!{_CHARACTER})\S)+")


@dataclass(frozen=True)
class Line:
    """One line of lyrics; the time is None where the file has none."""

    time_s: float | None
    words: str


@dataclass(frozen=True)
class Lyrics:
    """The lyrics of a song: lines in order, or the whole text of an UltraStar file with its own notes."""

    lines: tuple[Line, ...] = ()
    ultrastar: str = ""


def beside(song: Path) -> Lyrics | None:
    """Read the lyrics of a song from the file with its name, ``.txt`` before ``.lrc``; None if there are none."""
    for suffix in (".txt", ".lrc", ".TXT", ".LRC"):
        path = song.with_suffix(suffix)
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            continue
        lyrics = parse(_text_of(path.read_bytes()))
        if lyrics.lines or lyrics.ultrastar:
            return lyrics
    return None


def _text_of(data: bytes) -> str:
    """Return the text of a file in UTF-8, in UTF-16 with its mark, or in a code page, by default that of Windows."""
    if data.startswith(_UTF_16):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        named = _CODE_PAGE.search(data)
        return data.decode(named[1].decode() if named else "cp1252", "replace")


def parse(text: str) -> Lyrics:
    """Return the lyrics in the text of a file."""
    if _ULTRASTAR.match(text):
        return Lyrics(ultrastar=text)
    rows = [row.strip() for row in text.splitlines()]
    if not _STAMP.search(text):
        return Lyrics(tuple(Line(None, row) for row in rows if row))
    offset = _OFFSET.search(text)
    early_s = int(offset[1]) / 1000 if offset else 0.0
    lines = []
    for row in rows:
        words = _WORD_STAMP.sub("", _TAG.sub("", _STAMP.sub("", row))).strip()
        for minutes, seconds in _STAMP.findall(row):
            time_s = 60 * int(minutes) + float(re.sub("[,:]", ".", seconds)) - early_s
            lines.append(Line(max(time_s, 0.0), words))
    return Lyrics(tuple(sorted((line for line in lines if line.words), key=lambda line: line.time_s or 0.0)))


def spread(lines: tuple[Line, ...], onsets_s: list[float]) -> list[tuple[str, bool]]:
    """Assign lyrics to notes.

    Lines with times take the notes from their time to that of the next line. Lines without times share all notes in
    order, each in proportion to its words. Within a line the words are spread evenly. If there are more notes
    than words, some notes continue a word with ``~``; if there are fewer, several words share a note.

    Parameters
    ----------
    lines : tuple of Line
    onsets_s : list of float
        Onsets of the notes, s, in order.

    Returns
    -------
    list of (str, bool)
        Text of each note, a space after the last note of a word, and whether a line begins there.
    """
    units = [_UNIT.findall(line.words) for line in lines]
    texts = [("~", False)] * len(onsets_s)
    if not onsets_s:
        return texts
    waiting: list[str] = []  # words of lines without a note
    filled: list[tuple[int, int, list[str]]] = []
    for (start, stop), words in zip(_ranges(lines, units, onsets_s), units, strict=True):
        if start == stop:
            waiting += words
        elif waiting or words:
            filled.append((start, stop, waiting + words))
            waiting = []
    if waiting:
        start, stop, words = filled.pop() if filled else (0, len(onsets_s), [])
        filled.append((start, stop, words + waiting))
    for start, stop, words in filled:
        texts[start:stop] = _over(words, stop - start)
    return texts


def _ranges(lines: tuple[Line, ...], units: list[list[str]], onsets_s: list[float]) -> list[tuple[int, int]]:
    """Return the first note of each line, and the first note after it."""
    n_notes = len(onsets_s)
    if all(line.time_s is not None for line in lines):
        early_s = 0.3  # listeners who set the times press the key at the first word, now sooner, now later
        edges = [sum(onset_s < (line.time_s or 0.0) - early_s for onset_s in onsets_s) for line in lines] + [n_notes]
        return list(pairwise(edges))
    n_units = max(sum(map(len, units)), 1)
    counts = [sum(map(len, units[:i])) for i in range(len(units) + 1)]
    return list(pairwise(round(n_notes * count / n_units) for count in counts))


def _over(words: list[str], n_notes: int) -> list[tuple[str, bool]]:
    """Return the text of each note of a line, and whether the line begins there."""
    texts = ["~"] * n_notes
    for i in range(n_notes):
        # At most as many notes as words share the words. If there are more, some notes continue a word.
        mine = [word for j, word in enumerate(words) if j * n_notes // len(words) == i]
        texts[i] = _joined(mine) if mine else "~"
    for i in range(n_notes):
        ends_word = i + 1 == n_notes or texts[i + 1] != "~"
        if ends_word and not re.match(_CHARACTER, texts[i]):
            texts[i] += " "
    return [(text, i == 0) for i, text in enumerate(texts)]


def _joined(words: list[str]) -> str:
    joined = words[0]
    for before, word in pairwise(words):
        joined += word if re.match(_CHARACTER, before) else f" {word}"
    return joined
