"""Read the headers of sound files.

libsndfile reads the headers of WAV, FLAC, OGG, MP3, AIFF, CAF and others. Other formats (m4a, aac, wma, webm, video)
are read by ffmpeg if it is on the PATH.
"""

import math
import os
import re
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import soundfile

from ..errors import InputError, NoSoundError
from . import ffmpeg, libsndfile
from .sample_formats import EVEN, sample_bytes

# Suffixes of sound files in a search through a folder. Files that the user names may have any suffix. libsndfile reads
# the first line, ffmpeg the others.
_SOUNDS = """
    wav wave rf64 w64 flac ogg oga opus mp3 mp2 mpga aif aiff aifc caf au snd voc sph
    m4a m4b m4r aac adts wma ac3 eac3 dts thd mlp ape wv mpc tta tak shn spx amr ra mka weba dsf dff
"""
_VIDEOS = "mp4 m4v mov mkv webm avi mpg mpeg mpe m2v vob ts mts m2ts flv f4v wmv asf ogv ogm 3gp 3g2 rm rmvb divx mxf"
VIDEO_SUFFIXES = frozenset(f".{name}" for name in _VIDEOS.split())
SUFFIXES = VIDEO_SUFFIXES | {f".{name}" for name in _SOUNDS.split()}
TAGS = ("title", "artist", "album", "tracknumber", "date", "genre", "comment", "copyright", "license")
# WAV files have 32-bit lengths; streaming programs write the largest values for an unknown length.
WAV_LIMIT_BYTES = 0x7FFFF000
# Lower bit rates in a header are wrong: 8 kbit/s is the minimum of MP3, and other codecs need more, except FLAC for
# silence.
_LEAST_BYTES_PER_S = 1000
# Containers whose header contains the length of the sound. For others, the length from ffprobe is an estimate.
_TELL_LENGTH = {"mov", "matroska", "flac", "ogg", "wav", "w64", "aiff", "caf", "ape", "wv", "tta", "tak", "au"}
_LOSSLESS = re.compile("pcm_|flac|alac|ape|wavpack|tta|tak|mlp|truehd|shorten|wmalossless|als|ralf|dsd_")
_AUDIBLE_SHIFT_S = 0.01


@dataclass(frozen=True)
class SoundInfo:
    """The header of a sound file.

    Attributes
    ----------
    rate_hz, n_channels : int
    n_samples : int or None
        None if the header does not contain it, or contains more than a file of that size can hold. For compressed files
        it may be too large.
    subtype : str
        Sample format by its name in libsndfile (``PCM_16``, ``FLOAT``, ``VORBIS``, ...), or a lossy codec (``AAC``).
    decoder : {"libsndfile", "ffmpeg"}
    tags : dict of str
        Title, artist and so on, under the names in `TAGS`.
    claimed_samples : int or None
        Length in the header, possible or not.
    stream : str
        Name in ffmpeg of the sound that is read.
    notes : tuple of str
        Messages about the choice of the sound and its start in a video.
    """

    rate_hz: int
    n_channels: int
    n_samples: int | None
    subtype: str
    decoder: str
    tags: dict[str, str] = field(default_factory=dict)
    claimed_samples: int | None = None
    stream: str = "a:0"
    notes: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float | None:
        """Length, s; None if the header does not contain it."""
        return None if self.n_samples is None else self.n_samples / self.rate_hz


def probe(path: Path, stream: int | None = None) -> SoundInfo:
    """Read the header of a sound file, without its samples.

    Parameters
    ----------
    stream : int, optional
        Number of the sound in a file with several, from 1; by default the one that players choose.

    Raises
    ------
    InputError
        If ``path`` is not a sound file that can be read.
    """
    _check_regular(path)
    if stream is not None:
        return _probe_with_ffmpeg(path, stream, "--stream needs ffmpeg")
    try:
        return _probe_with_libsndfile(path)
    except soundfile.LibsndfileError as err:
        return _probe_with_ffmpeg(path, None, libsndfile.reason_of(err))
    except OSError as err:  # it was removed or changed in the meantime
        raise InputError(f"{path}: cannot be read any more ({(err.strerror or str(err)).lower()})") from None


def codecs() -> dict[str, str]:
    """Return the versions of the decoders, for a bug report."""
    return {
        "libsndfile": f"{soundfile.__libsndfile_version__} ({', '.join(soundfile.available_formats())})",
        "ffmpeg": ffmpeg.version() or "not on the PATH: m4a, aac, wma and video cannot be read",
    }


def _check_regular(path: Path) -> None:
    """Reject everything that is not a regular, non-empty file: reading a pipe or a device might never end."""
    try:
        status = path.stat()
    except OSError as err:
        raise InputError(f"{path}: {(err.strerror or 'cannot be read').lower()}") from None
    except ValueError:
        raise InputError(f"{str(path)!r}: no file can have such a name") from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: is a folder, not a sound file")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: is not a regular file (a pipe or a device); save the sound to a file first")
    if status.st_size == 0:
        raise InputError(f"{path}: is empty (0 bytes)")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: permission denied; make it readable")


def _known_tags(tags: dict[str, str]) -> dict[str, str]:
    return {name: tags[name].encode(errors="replace").decode() for name in TAGS if tags.get(name)}


def _believed(n_samples: int | None, rate_hz: int, path: Path) -> int | None:
    """Return the length in a header if a file of that size can hold it."""
    if n_samples is None or n_samples / rate_hz > path.stat().st_size / _LEAST_BYTES_PER_S:
        return None
    return n_samples


# -------------------------------------------------------------------------------------------------------- libsndfile


def _probe_with_libsndfile(path: Path) -> SoundInfo:
    with libsndfile.opened(path) as (file, handle):
        if file.format == "OGG" and ffmpeg.is_there() and _n_ogg_streams(path) > 1:
            return _probe_with_ffmpeg(path, None, "")
        is_compressed = file.format in ("FLAC", "OGG", "MP3") or file.subtype.startswith("MPEG")
        claimed = file.frames if file.frames < sys.maxsize // 2 else None
        if file.format == "MP3" and not _tells_length(path):
            claimed = None  # libsndfile guesses from the first frame
        n_samples = _believed(claimed, file.samplerate, path) if is_compressed else claimed
        if file.format == "WAV" and not is_compressed:
            claimed = file.frames + _missing_samples(file)
        if handle.error is not None:
            raise InputError(f"{path}: cannot be read ({(handle.error.strerror or '').lower()})")
        decoder = "ffmpeg" if is_compressed and ffmpeg.is_there() else "libsndfile"
        tags = _known_tags(file.copy_metadata())
        return SoundInfo(file.samplerate, file.channels, n_samples, file.subtype, decoder, tags, claimed)


def _missing_samples(file: soundfile.SoundFile) -> int:
    """Return by how much libsndfile reduced the length in the header of a WAV file because samples are missing."""
    claim = re.search(r"^data : (\d+) \(should be \d+\)", file.extra_info, re.MULTILINE)
    if not claim or int(claim[1]) >= WAV_LIMIT_BYTES or file.subtype not in EVEN:
        return 0
    return max(0, int(claim[1]) // (sample_bytes(file.subtype) * file.channels) - file.frames)


def _tells_length(path: Path) -> bool:
    """Return whether an MP3 file contains its length in its first frame, after an optional tag."""
    with open(path, "rb") as file:
        head = file.read(10)
        if head[:3] == b"ID3":
            file.seek(10 + sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)))
        else:
            file.seek(0)
        first = file.read(2048)
    return any(mark in first for mark in (b"Xing", b"Info", b"VBRI"))


def _n_ogg_streams(path: Path) -> int:
    """Return how many streams begin at the start of an Ogg file."""
    with open(path, "rb") as file:
        return file.read(1 << 16).count(b"OggS\x00\x02")


# ------------------------------------------------------------------------------------------------------------ ffprobe


def _probe_with_ffmpeg(path: Path, number: int | None, reason: str) -> SoundInfo:
    """Probe a file that libsndfile cannot read because of ``reason``."""
    if not ffmpeg.is_there():
        raise InputError(
            f"{path}: libsndfile cannot read it ({reason}); if it is m4a, aac, wma or video, install ffmpeg"
        )
    try:
        answer = ffmpeg.ask(
            path,
            "stream=index,codec_type,codec_name,sample_fmt,sample_rate,channels,start_time,duration,bits_per_raw_sample:"
            "stream_disposition=default,attached_pic:stream_tags:format=format_name,start_time:format_tags",
        )
    except ffmpeg.BrokenOffError as err:
        raise InputError(f"{path}: not a sound file, or a broken one ({reason}; ffmpeg: {err})") from None
    sounds = [stream for stream in answer.get("streams", ()) if stream.get("codec_type") == "audio"]
    if not sounds:
        raise NoSoundError(f"{path}: there is no sound in this file")
    chosen, notes = _choice(path, sounds, number)
    rate_hz, n_channels = int(chosen.get("sample_rate", 0)), int(chosen.get("channels", 0))
    if not (chosen.get("codec_name") and rate_hz > 0 and n_channels > 0):
        raise InputError(f"{path}: ffmpeg does not support the codec of its sound")
    container = answer.get("format", {})
    claimed = _claimed_samples(chosen, container, rate_hz)
    tags = {name.lower(): text for name, text in (chosen.get("tags", {}) | container.get("tags", {})).items()}
    tags |= {"tracknumber": tags.get("track", "")}
    return SoundInfo(
        rate_hz,
        n_channels,
        _believed(claimed, rate_hz, path),
        _subtype(chosen),
        "ffmpeg",
        _known_tags(tags),
        claimed,
        str(chosen["index"]),
        (*notes, *_shift(chosen, answer)),
    )


def _choice(path: Path, sounds: list[dict[str, Any]], number: int | None) -> tuple[dict[str, Any], list[str]]:
    """Return the sound to read, and messages about the choice."""
    if number is not None:
        if not 1 <= number <= len(sounds):
            raise InputError(f"{path}: --stream {number}: the file holds {len(sounds)} sound{'s' * (len(sounds) > 1)}")
        return sounds[number - 1], []
    chosen = next((sound for sound in sounds if sound.get("disposition", {}).get("default")), sounds[0])
    if len(sounds) == 1:
        return chosen, []
    names = [sound.get("tags", {}).get("title") or sound.get("tags", {}).get("language", "") for sound in sounds]
    listed = ", ".join(f"{i} ({name})" if name else str(i) for i, name in enumerate(names, 1))
    return chosen, [
        f"holds {len(sounds)} sounds: {listed}; sound {sounds.index(chosen) + 1} is used, --stream N takes another"
    ]


def _shift(chosen: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    """Return messages about a video whose sound starts later than its picture, so that stems are early."""
    has_picture = any(
        stream.get("codec_type") == "video" and not stream.get("disposition", {}).get("attached_pic")
        for stream in answer["streams"]
    )
    shift_s = _number(chosen.get("start_time")) - _number(answer.get("format", {}).get("start_time"))
    if not has_picture or shift_s < _AUDIBLE_SHIFT_S:
        return []
    return [
        f"its sound starts {shift_s:.3f} s after the picture, and sound files made from it start with the sound; "
        f"put them at {shift_s:.3f} s"
    ]


def _claimed_samples(chosen: dict[str, Any], container: dict[str, Any], rate_hz: int) -> int | None:
    """Return the length of a sound in a header; None if ffprobe only estimates it."""
    if not _TELL_LENGTH & set(container.get("format_name", "").split(",")):
        return None
    seconds = _number(chosen.get("duration"))
    told = re.match(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)$", chosen.get("tags", {}).get("DURATION", ""))
    if not seconds and told:  # Matroska: the time at which the sound ends
        end_s = 3600 * int(told[1]) + 60 * int(told[2]) + float(told[3])
        seconds = end_s - max(0.0, _number(chosen.get("start_time")))
    return round(seconds * rate_hz) if seconds > 0 else None


def _subtype(chosen: dict[str, Any]) -> str:
    codec = chosen["codec_name"]
    if not _LOSSLESS.match(codec):
        return "PCM_16" if codec.startswith("adpcm_") else str(codec).upper()
    if codec in ("pcm_alaw", "pcm_mulaw", "pcm_vidc") or codec.startswith("dsd_"):
        return "FLOAT" if codec.startswith("dsd_") else "PCM_16"
    bits = str(chosen.get("bits_per_raw_sample"))
    form = str(chosen.get("sample_fmt", "")).removesuffix("p")
    if form == "s32" and bits in ("20", "24"):
        return "PCM_24"
    if codec in ("pcm_s8", "pcm_s8_planar"):
        return "PCM_S8"
    return {"u8": "PCM_U8", "s16": "PCM_16", "s32": "PCM_32", "dbl": "DOUBLE"}.get(form, "FLOAT")


def _number(text: Any) -> float:
    """Return a number from the text output of ffprobe; 0 if it is missing."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return 0.0
    return value if math.isfinite(value) else 0.0
