"""Read the headers of sound files.

libsndfile reads it (WAV, FLAC, OGG, MP3, AIFF, CAF, ...); for what it does not know (m4a, aac, wma, webm, video) an
ffmpeg on the PATH does.
"""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from ..errors import InputError
from . import ffmpeg
from .sample_formats import EVEN, sample_bytes

# What a search through a folder takes for sound; a file named by the user is read whatever its name.
SUFFIXES = frozenset(
    f".{name}"
    for names in (
        ("wav", "wave", "rf64", "w64", "flac", "ogg", "oga", "opus", "mp3", "mp2", "aif", "aiff", "aifc", "caf", "au"),
        ("m4a", "m4b", "mp4", "aac", "wma", "webm", "mkv", "mka", "mov", "ac3", "ape", "wv"),  # by way of ffmpeg
    )
    for name in names
)
TAGS = ("title", "artist", "album", "tracknumber", "date", "genre", "comment", "copyright", "license")
# WAV counts bytes in 32 bits; streaming programs write its largest values for "length unknown".
WAV_LIMIT_BYTES = 0x7FFFF000


@dataclass(frozen=True)
class SoundInfo:
    """What the header of a sound file says.

    Attributes
    ----------
    rate_hz, n_channels : int
    n_samples : int or None
        None when the header does not tell. That of a compressed file may be more than there is.
    subtype : str
        Sample format, as libsndfile names it (``PCM_16``, ``FLOAT``, ``VORBIS``, ...).
    decoder : {"libsndfile", "ffmpeg"}
    tags : dict of str
        Title, artist and so on, under the names in `TAGS`.
    n_missing_samples : int
        What the header of a WAV file claims beyond what is there.
    """

    rate_hz: int
    n_channels: int
    n_samples: int | None
    subtype: str
    decoder: str
    tags: dict[str, str] = field(default_factory=dict)
    n_missing_samples: int = 0

    @property
    def duration_s(self) -> float | None:
        """Length, s; None when the header does not tell."""
        return None if self.n_samples is None else self.n_samples / self.rate_hz


class SequentialFile(soundfile.SoundFile):
    """A sound file without the seek that soundfile does after each block, and without waiting for the disk.

    That seek fails where a header claims too much, and puts silence into an MP3 that is being written. `whole_file`
    waits for the disk, once.
    """

    def seekable(self) -> bool:
        """Return False, so that soundfile does not seek."""
        return False

    def flush(self) -> None:
        """Do nothing; closing writes what is left."""


def libsndfile_name(path: Path) -> str | bytes:
    """Return the name for libsndfile; soundfile itself cannot pass on one that is not UTF-8."""
    return str(path) if os.name == "nt" else os.fsencode(path)


def probe(path: Path) -> SoundInfo:
    """Return what the header of ``path`` says, without reading the sound.

    Raises
    ------
    InputError
        When ``path`` is no sound file that can be read here.
    """
    _check_regular(path)
    try:
        with quiet_decoder(), soundfile.SoundFile(libsndfile_name(path)) as file:
            n_samples = file.frames if file.frames < sys.maxsize // 2 else None
            tags, n_missing = _known_tags(file.copy_metadata()), _missing_samples(file)
            info = SoundInfo(file.samplerate, file.channels, n_samples, file.subtype, "libsndfile", tags, n_missing)
        if info.subtype.startswith("MPEG"):
            with streamed(path):  # `_blocks` may need that, and it fails where other data precedes the first frame
                pass
        return info
    except soundfile.LibsndfileError as err:
        # Of an MP3 file without one whole frame libsndfile says that it does not exist.
        absent = err.error_string.startswith("File does not exist")
        return _probe_with_ffmpeg(path, "no sound data" if absent else reason_of(err))


def reason_of(err: soundfile.LibsndfileError) -> str:
    """Return what libsndfile complains of."""
    return err.error_string.removeprefix("Error : ").rstrip(".")


def _check_regular(path: Path) -> None:
    """Refuse what is not a file with something in it: a FIFO would be waited for, a device read for ever."""
    try:
        status = path.stat()
    except OSError as err:
        raise InputError(f"{path}: {(err.strerror or 'cannot be read').lower()}") from None
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


def _missing_samples(file: soundfile.SoundFile) -> int:
    """What libsndfile cut from the length in the header of a WAV file, because it is not there."""
    claim = re.search(r"^data : (\d+) \(should be \d+\)", file.extra_info, re.MULTILINE)
    if not claim or int(claim[1]) >= WAV_LIMIT_BYTES or file.subtype not in EVEN:
        return 0
    return max(0, int(claim[1]) // (sample_bytes(file.subtype) * file.channels) - file.frames)


def _probe_with_ffmpeg(path: Path, reason: str) -> SoundInfo:
    """As `probe`, for a file that libsndfile refused for ``reason``."""
    if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
        raise InputError(
            f"{path}: libsndfile cannot read it ({reason}); if it is m4a, aac, wma or video, install ffmpeg"
        )
    fields = (
        "stream=codec_name,sample_rate,channels,duration,bits_per_raw_sample:format=duration:format_tags:stream_tags"
    )
    command = [
        "ffprobe",
        *ffmpeg.input_arguments(path),
        "-select_streams",
        "a:0",
        "-show_entries",
        fields,
        "-of",
        "json",
    ]
    try:
        found = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    except subprocess.TimeoutExpired:
        raise InputError(f"{path}: ffprobe found nothing in it within 60 s") from None
    if found.returncode:
        why = f"{reason}; ffmpeg: {ffmpeg.last_line(found.stderr, 'does not say why')}"
        raise InputError(f"{path}: not a sound file, or a broken one ({why})")
    answer = json.loads(found.stdout)
    if not answer.get("streams"):
        raise InputError(f"{path}: there is no sound in this file")
    stream = answer["streams"][0]
    rate_hz, n_channels = int(stream.get("sample_rate", 0)), int(stream.get("channels", 0))
    if not (stream.get("codec_name") and rate_hz and n_channels):
        raise InputError(f"{path}: its sound is in a coding that ffmpeg does not know")
    container = answer.get("format", {})
    duration = stream.get("duration") or container.get("duration")
    n_samples = round(float(duration) * rate_hz) if duration else None
    subtype = {"16": "PCM_16", "24": "PCM_24"}.get(stream.get("bits_per_raw_sample"), "FLOAT")
    tags = {name.lower(): text for name, text in (stream.get("tags", {}) | container.get("tags", {})).items()}
    tags |= {"tracknumber": tags.get("track", "")}
    return SoundInfo(rate_hz, n_channels, n_samples, subtype, "ffmpeg", _known_tags(tags))


def codecs() -> dict[str, str]:
    """Return the versions of the decoders, for a bug report."""
    ffmpeg = shutil.which("ffmpeg")
    said = subprocess.run([ffmpeg, "-version"], capture_output=True, check=False).stdout.decode() if ffmpeg else ""
    return {
        "libsndfile": f"{soundfile.__libsndfile_version__} ({', '.join(soundfile.available_formats())})",
        "ffmpeg": said.partition(" Copyright")[0].removeprefix("ffmpeg version ")
        or "not on the PATH: m4a, aac, wma and video cannot be read",
    }


@contextmanager
def streamed(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open a sound file as if it came from a pipe."""
    with quiet_decoder(), _piped(path) as end, soundfile.SoundFile(end, closefd=False) as file:
        yield file


@contextmanager
def _piped(path: Path) -> Iterator[int]:
    """A file descriptor from which the bytes of ``path`` come as from a pipe."""
    read_end, write_end = os.pipe()

    def feed():
        with suppress(BrokenPipeError), open(write_end, "wb") as sink, open(path, "rb") as source:
            shutil.copyfileobj(source, sink)

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    try:
        yield read_end
    finally:
        os.close(read_end)
        feeder.join()


@contextmanager
def quiet_decoder() -> Iterator[None]:
    """Keep libmpg123 from writing to the process's stderr: what it has to say comes as an error as well."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
