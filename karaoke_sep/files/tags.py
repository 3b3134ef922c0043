"""Read and write tags and covers.

ffprobe reads tags if it is on the PATH, otherwise libsndfile does. The tags are written here because libsndfile marks
UTF-8 as Latin-1 in MP3 files and does not support covers, ffmpeg writes no lyrics into MP3 files, and mutagen is under
the GPL. libsndfile writes the INFO chunk of WAV files, which has no covers, few names and no character set. What it
cannot hold goes into an ID3 chunk.

References
----------
Nilsson (1999). ID3 tag version 2.3.0. id3.org.
van Beurden & Weaver (2024). Free Lossless Audio Codec (FLAC). RFC 9639, section 8.
The Xiph.Org Foundation. Ogg Vorbis I format specification: comment field and header specification.
"""

import base64
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import ffmpeg, foreign

_ID3_FRAMES = {
    "title": "TIT2",
    "artist": "TPE1",
    "album": "TALB",
    "album_artist": "TPE2",
    "composer": "TCOM",
    "track": "TRCK",
    "disc": "TPOS",
    "genre": "TCON",
    "copyright": "TCOP",
    "publisher": "TPUB",
    "performer": "TPE3",
    "language": "TLAN",
}
_VORBIS_NAMES = {"album_artist": "ALBUMARTIST", "track": "TRACKNUMBER", "disc": "DISCNUMBER"}
KNOWN = (*_ID3_FRAMES, "date", "comment", "license", "lyrics")
OF_WAV = ("title", "artist", "album", "date", "genre", "comment", "copyright", "license", "track")  # in its INFO chunk
_MAX_COVER_BYTES = 8_000_000
_MAX_TEXT = 1_000_000  # characters
_PICTURE_TYPES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
_FRONT_COVER = 3
_FLAC_COMMENT, _FLAC_PICTURE, _FLAC_PADDING = 4, 6, 1


@dataclass(frozen=True)
class Tags:
    """Tags and cover of a file.

    Attributes
    ----------
    text : mapping of str
        By the names in `KNOWN`; writers leave out other names that their format does not have.
    cover : bytes
        A JPEG or PNG file; empty if there is none.
    software : str
        The program that made the file, for formats other than FLAC and Ogg, where it is always this package.
    """

    text: Mapping[str, str] = field(default_factory=dict)
    cover: bytes = b""
    software: str = ""


def read(path: Path, known: Mapping[str, str]) -> Tags:
    """Return the tags and the cover of a sound file.

    Parameters
    ----------
    known : mapping of str
        Tags from `sound_info.probe`, which are used without ffmpeg.
    """
    text = {"track" if name == "tracknumber" else name: value for name, value in known.items()}
    if not ffmpeg.is_there():
        return Tags(text)
    try:
        answer = ffmpeg.ask(path, "stream=index,codec_type:stream_disposition=attached_pic:stream_tags:format_tags")
    except ffmpeg.BrokenOffError:
        return Tags(text)
    streams = answer.get("streams", [])
    sound: dict[str, Any] = next((stream for stream in streams if stream.get("codec_type") == "audio"), {})
    for name, value in (sound.get("tags", {}) | answer.get("format", {}).get("tags", {})).items():
        name = "lyrics" if name.lower().startswith("lyrics") else name.lower()
        if name in KNOWN and name != "language" and value:
            text[name] = value[:_MAX_TEXT]
    pictures = [stream for stream in streams if stream.get("disposition", {}).get("attached_pic")]
    cover = ffmpeg.extract(path, str(pictures[0]["index"]), _MAX_COVER_BYTES) if pictures else b""
    return Tags(text, cover if _picture_type(cover) else b"")


def id3(tags: Tags) -> bytes:
    """Return an ID3v2.3 tag for the beginning of an MP3 file; empty if there are no tags."""
    frames = _id3_frame("TSSE", _id3_text(tags.software)) if tags.software else b""
    for name, text in tags.text.items():
        if name in _ID3_FRAMES:
            frames += _id3_frame(_ID3_FRAMES[name], _id3_text(text))
        elif name == "date" and text[:4].isdecimal() and text.isascii():
            frames += _id3_frame("TYER", _id3_text(text[:4]))
            if len(text) >= 10 and text[4] == text[7] == "-":
                frames += _id3_frame("TDAT", _id3_text(text[8:10] + text[5:7]))
        elif name in ("comment", "lyrics"):
            frames += _id3_frame({"comment": "COMM", "lyrics": "USLT"}[name], _id3_long_text(text))
        elif name == "license":
            frames += _id3_frame("TXXX", _id3_text(f"LICENSE\0{text}"))
    if tags.cover:
        head = b"\0" + _picture_type(tags.cover).encode() + b"\0" + bytes([_FRONT_COVER]) + b"\0"
        frames += _id3_frame("APIC", head + tags.cover)
    if not frames:
        return b""
    size = bytes(len(frames) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + size + frames


def wav_chunk(tags: Tags) -> bytes:
    """Return an ID3 chunk for the end of a WAV file; empty if the INFO chunk can hold the tags."""
    if not tags.cover and all(name in OF_WAV and text.isascii() for name, text in tags.text.items()):
        return b""
    tag = id3(replace(tags, software=""))
    return b"id3 " + struct.pack("<I", len(tag)) + tag + bytes(len(tag) % 2)


def vorbis_comment(tags: Tags, *, with_cover: bool = True) -> bytes:
    """Return a Vorbis comment for FLAC and Ogg files; for Ogg files it includes the cover."""
    texts = {_VORBIS_NAMES.get(name, name.upper()): text for name, text in tags.text.items()}
    entries = [f"{name}={text}".encode(errors="replace") for name, text in texts.items()]
    if tags.cover and with_cover:
        entries.append(b"METADATA_BLOCK_PICTURE=" + base64.b64encode(_picture_block(tags.cover)))
    vendor = foreign.MARK
    return (
        struct.pack("<I", len(vendor))
        + vendor
        + struct.pack("<I", len(entries))
        + b"".join(struct.pack("<I", len(entry)) + entry for entry in entries)
    )


def flac_blocks(tags: Tags) -> bytes:
    """Return the metadata blocks that follow the first block of a FLAC file."""
    blocks = _flac_block(_FLAC_COMMENT, vorbis_comment(tags, with_cover=False))
    return blocks + (_flac_block(_FLAC_PICTURE, _picture_block(tags.cover)) if tags.cover else b"")


def remove_second_flac_comment(path: Path) -> None:
    """Turn the comment that libFLAC writes into padding; `flac_blocks` has written the only comment before it."""
    with open(path, "r+b") as file:
        at, n_comments, is_last = 4, 0, False
        while not is_last:
            file.seek(at)
            head = file.read(4)
            is_last, kind, size = bool(head[0] & 128), head[0] & 127, int.from_bytes(head[1:], "big")
            n_comments += kind == _FLAC_COMMENT
            if kind == _FLAC_COMMENT and n_comments == 2:
                file.seek(at)
                file.write(bytes([_FLAC_PADDING | 128 * is_last]) + head[1:] + bytes(size))
            at += 4 + size


def _flac_block(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + len(content).to_bytes(3, "big") + content


def _picture_block(cover: bytes) -> bytes:
    """Return the picture block of FLAC; 0 means an unknown size and number of colours."""
    kind = _picture_type(cover).encode()
    return struct.pack(f">II{len(kind)}sIIIIII", _FRONT_COVER, len(kind), kind, 0, 0, 0, 0, 0, len(cover)) + cover


def _picture_type(cover: bytes) -> str:
    return next((kind for mark, kind in _PICTURE_TYPES.items() if cover.startswith(mark)), "")


def _id3_frame(name: str, content: bytes) -> bytes:
    return name.encode() + len(content).to_bytes(4, "big") + b"\0\0" + content


def _id3_text(text: str) -> bytes:
    """Encode ASCII as Latin-1 and other text as UTF-16, because many players read Latin-1 in a local code page."""
    if text.isascii():
        return b"\0" + text.encode()
    parts = text.split("\0")
    return b"\1" + b"\0\0".join(b"\xff\xfe" + part.encode("utf-16-le", "replace") for part in parts)


def _id3_long_text(text: str) -> bytes:
    """Return the content of a frame with an unknown language and an empty description."""
    return b"\1XXX\xff\xfe\0\0\xff\xfe" + text.encode("utf-16-le", "replace")
