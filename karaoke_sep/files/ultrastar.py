"""UltraStar song files.

References
----------
The UltraStar file format, version 1.0.0 (2023), github.com/UltraStar-Deluxe/format.
"""

from collections.abc import Sequence

from ..types import Note

_BPM = 300  # four beats to each, so a beat is 50 ms: as fine as games draw and score
_PHRASE_REST_S = 0.5


def encode(notes: Sequence[Note], title: str, artist: str, audio_name: str) -> str:
    """Return the text of an UltraStar song file; the words are left to be written, each note has a ``~``.

    Parameters
    ----------
    notes : sequence of Note
        In order of time. After rests of half a second a new line of words begins.
    title, artist : str
    audio_name : str
        File name of the song, relative to the text file.
    """
    header = {"VERSION": "1.0.0", "TITLE": title, "ARTIST": artist, "MP3": audio_name, "BPM": _BPM, "GAP": 0}
    lines = [f"#{key}:{' '.join(str(value).split())}" for key, value in header.items()]
    beat_s = 60 / (4 * _BPM)
    end = 0
    for previous, note in zip([None, *notes], notes, strict=False):
        start = max(round(note.onset_s / beat_s), end)
        if previous and note.onset_s - previous.offset_s >= _PHRASE_REST_S:
            lines.append(f"- {end}")
        end = max(round(note.offset_s / beat_s), start + 1)
        lines.append(f": {start} {end - start} {note.key - 60} ~")
    return "\n".join([*lines, "E", ""])
