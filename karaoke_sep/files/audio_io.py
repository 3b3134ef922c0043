"""Sound files, read and written. Nothing else in the package touches them.

Reading goes through libsndfile (WAV, FLAC, OGG, MP3, AIFF, CAF, ...); what it does not know (m4a, aac, wma, webm,
video) goes through an ffmpeg on the PATH. Samples come out with full scale 1.0, in float32 where that holds every
value of the file and in float64 where it does not (32-bit integers, double).

Writing keeps the rate, the channels, the length and, unless asked otherwise, the sample format:

- Integer formats: samples are rounded to the nearest step without dither, the vocals first; the accompaniment is the
  rounded mixture minus the rounded vocals. So the stems add up to the input exactly.
- Lossy inputs decode to values that may pass full scale: their stems are written as 32-bit float.
- A-law, u-law and ADPCM, whose steps are uneven, are written as 16-bit integers.
"""

import glob
import hashlib
import json
import math
import mmap
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO, cast

import numpy as np
import soundfile
import soxr

from ..errors import ConfigError, InputError, OutputError
from ..types import Audio

# What a search through a folder takes for sound; a file named by the user is read whatever its name.
SUFFIXES = frozenset(
    f".{name}"
    for names in (
        ("wav", "wave", "rf64", "w64", "flac", "ogg", "oga", "opus", "mp3", "mp2", "aif", "aiff", "aifc", "caf", "au"),
        ("m4a", "m4b", "mp4", "aac", "wma", "webm", "mkv", "mka", "mov", "ac3", "ape", "wv"),  # by way of ffmpeg
    )
    for name in names
)
FORMATS = {"wav": "WAV", "flac": "FLAC", "mp3": "MP3", "ogg": "OGG"}
TAGS = ("title", "artist", "album", "tracknumber", "date", "genre", "comment", "copyright", "license")
CLIP_RULES = ("clamp", "rescale", "float")

_INTEGER_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_KEPT = {"PCM_S8": "PCM_U8", "ALAC_16": "PCM_16", "ALAC_20": "PCM_24", "ALAC_24": "PCM_24", "ALAC_32": "PCM_32"}
_EVEN = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
_LOSSY = re.compile("VORBIS|OPUS|MPEG")
_MP3_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_OPUS_RATES_HZ = (8000, 12000, 16000, 24000, 48000)
_MAX_CHANNELS = {"wav": 1024, "flac": 8, "mp3": 2, "ogg": 255}
_BLOCK_FRAMES = 1 << 12  # of a block in which a file breaks off nothing is used
_WRITTEN_FRAMES = 1 << 14  # at once
# WAV counts bytes in 32 bits; streaming programs write its largest values for "length unknown".
_WAV_LIMIT_BYTES = 0x7FFFF000
# How FLAC frames (RFC 9639, section 9.1) and Ogg pages (RFC 3533, section 6) begin.
_FLAC_FRAME = re.compile(rb"\xff[\xf8\xf9][\x10-\xff][\x00-\xaf].", re.DOTALL)
_FLAC_RATES_HZ = dict(enumerate((88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000), 1))
_OGG_PAGE = re.compile(rb"OggS\x00(?=.)", re.DOTALL)
_OGG_FIRST_PAGE = 2
# libmpg123 and container headers are off by up to a few codec frames; that is no loss.
_LENGTH_SLACK_S = 0.1


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


class _Sequential(soundfile.SoundFile):
    """A sound file without the seek that soundfile does after each block, and without waiting for the disk.

    That seek fails where a header claims too much, and puts silence into an MP3 that is being written. `whole_file`
    waits for the disk, once.
    """

    def seekable(self) -> bool:
        return False

    def flush(self) -> None:
        """Nothing: closing writes what is left."""


def _name(path: Path) -> str | bytes:
    """The name for libsndfile; soundfile itself cannot pass on one that is not UTF-8."""
    return str(path) if os.name == "nt" else os.fsencode(path)


# ---------------------------------------------------------------------------------------------------------- reading


def probe(path: Path) -> SoundInfo:
    """What the header of ``path`` says, without reading the sound.

    Raises
    ------
    InputError
        When ``path`` is no sound file that can be read here.
    """
    _check_regular(path)
    try:
        with _quiet_decoder(), soundfile.SoundFile(_name(path)) as file:
            n_samples = file.frames if file.frames < sys.maxsize // 2 else None
            tags, n_missing = _known_tags(file.copy_metadata()), _missing_samples(file)
            info = SoundInfo(file.samplerate, file.channels, n_samples, file.subtype, "libsndfile", tags, n_missing)
        if info.subtype.startswith("MPEG"):
            with _streamed(path):  # `_blocks` may need that, and it fails where other data precedes the first frame
                pass
        return info
    except soundfile.LibsndfileError as err:
        # Of an MP3 file without one whole frame libsndfile says that it does not exist.
        absent = err.error_string.startswith("File does not exist")
        return _probe_with_ffmpeg(path, "no sound data" if absent else _reason(err))


def read(path: Path, max_samples: float = math.inf) -> tuple[Audio, tuple[str, ...]]:
    """The sound in ``path``, and what is to be said about it.

    The whole of what is there is read, in blocks, so that neither time nor memory depends on what a header claims.

    Parameters
    ----------
    max_samples : float
        Of one channel; a sound that has more is refused, even if its header does not tell.

    Returns
    -------
    Audio
    tuple of str
        A warning for a file that holds less than its header says; empty as a rule.

    Raises
    ------
    InputError
        When nothing can be read, or too much. Samples are not judged here: no sound, or NaN, may come out.
    """
    info = probe(path)
    blocks: list[np.ndarray] = []
    warnings = _read_into(blocks.append, path, info, max_samples)
    samples = np.concatenate(blocks, axis=1) if blocks else np.zeros((info.n_channels, 0), np.float32)
    return Audio(samples, info.rate_hz), warnings


class SampleFile:
    """Samples on the disk instead of in memory, in a file without a name, which goes when it is closed.

    Attributes
    ----------
    rate_hz, n_channels, n_samples : int
    """

    def __init__(self, folder: Path, rate_hz: int, n_channels: int, dtype: type):
        self.rate_hz, self.n_channels, self.n_samples = rate_hz, n_channels, 0
        self._folder, self._dtype = folder, np.dtype(dtype)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115, it is closed by __exit__
        except OSError as err:
            raise self._failure(err) from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def excerpt(self, start: int, stop: int) -> Audio:
        """Samples from ``start`` to before ``stop``, both within what is there."""
        self._file.seek(start * self._frame_bytes)
        data = self._file.read((stop - start) * self._frame_bytes)
        return Audio(np.frombuffer(data, self._dtype).reshape(-1, self.n_channels).T, self.rate_hz)

    def append(self, samples: np.ndarray) -> None:
        """Samples, shape (C, n), after the last."""
        self._put(self.n_samples, samples)

    def add(self, start: int, samples: np.ndarray) -> None:
        """Add samples, shape (C, n), to those from ``start`` on; ``start`` is not beyond the end."""
        n_there = min(self.n_samples - start, samples.shape[1])
        samples = samples.astype(self._dtype)
        samples[:, :n_there] += self.excerpt(start, start + n_there).samples
        self._put(start, samples)

    def _failure(self, err: OSError) -> OutputError:
        reason = (err.strerror or "").lower()
        return OutputError(f"{self._folder}: the samples of a long recording cannot be kept there ({reason})")

    @property
    def _frame_bytes(self) -> int:
        return self._dtype.itemsize * self.n_channels

    def _put(self, start: int, samples: np.ndarray) -> None:
        try:
            self._file.seek(start * self._frame_bytes)
            self._file.write(samples.T.astype(self._dtype).tobytes())
            self._file.flush()
        except OSError as err:
            raise self._failure(err) from None
        self.n_samples = max(self.n_samples, start + samples.shape[1])


def read_to_disk(path: Path, folder: Path, max_samples: float = math.inf) -> tuple[SampleFile, tuple[str, ...]]:
    """As `read`, into a file in ``folder``; OutputError if there is no room."""
    info = probe(path)
    samples = SampleFile(folder, info.rate_hz, info.n_channels, np.float64 if _is_wide(info.subtype) else np.float32)
    try:
        return samples, _read_into(samples.append, path, info, max_samples)
    except BaseException:
        samples.__exit__()
        raise


def _read_into(take: Callable[[np.ndarray], None], path: Path, info: SoundInfo, max_samples: float) -> tuple[str, ...]:
    """Hand over all that is there, in blocks of shape (C, n); what is to be said about it."""
    _check_one_sound(path, info)
    n_samples, broken_off = 0, ""
    try:
        for block in _blocks(path, info):
            n_samples += block.shape[1]
            if n_samples > max_samples:
                raise InputError(
                    f"{path}: is longer than the {max_samples / info.rate_hz:.0f} s that there is room for"
                )
            take(block)
    except _BrokenOffError as err:
        if not n_samples:
            raise
        broken_off = str(err)
    seconds = n_samples / info.rate_hz
    if broken_off:
        return (f"{broken_off}; the {seconds:.2f} s before that are used",)
    claimed_s = ((info.n_samples or 0) + info.n_missing_samples) / info.rate_hz
    if claimed_s - seconds > _LENGTH_SLACK_S and not _length_is_a_guess(path, info):
        return (f"{path}: ends early: {seconds:.2f} s of {claimed_s:.2f} s are there and used",)
    return ()


def _check_one_sound(path: Path, info: SoundInfo) -> None:
    """Refuse several sounds in one file, where libsndfile would play on at the wrong rate, or stop without a word."""
    if info.decoder != "libsndfile":
        return
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] == b"fLaC":
            rates_hz = Counter(filter(None, (_flac_rate_hz(data, m.start()) for m in _FLAC_FRAME.finditer(data))))
            # What looks like the start of a frame by chance is one in thousands.
            others = [rate for rate, n in rates_hz.items() if rate != info.rate_hz and n > rates_hz.total() / 100]
            if others:
                raise InputError(
                    f"{path}: changes its sample rate from {info.rate_hz} to {others[0]} Hz midway; convert it to one "
                    "rate first"
                )
        elif data[:4] == b"OggS":
            pages = [data[m.end()] & _OGG_FIRST_PAGE for m in _OGG_PAGE.finditer(data)]
            if any(pages[pages.index(0) :] if 0 in pages else ()):
                raise InputError(f"{path}: holds several sounds, one after the other; save each in a file of its own")


def _flac_rate_hz(data: mmap.mmap, start: int) -> int | None:
    """Sample rate that the header of a FLAC frame tells; None if there is no such header, or it does not tell.

    Synchronisation code, codes of block size and rate, ..., number in the manner of UTF-8, perhaps block size and rate,
    checksum (RFC 9639, section 9.1).
    """
    size_code, rate_code = data[start + 2] >> 4, data[start + 2] & 15
    n_ones = 8 - (data[start + 4] ^ 0xFF).bit_length()
    at = start + 4 + max(1, n_ones) + {6: 1, 7: 2}.get(size_code, 0)
    n_rate, unit_hz = {12: (1, 1000), 13: (2, 1), 14: (2, 10)}.get(rate_code, (0, 0))
    header = bytes(data[start : at + n_rate])
    checksum = 0
    for byte in header:
        checksum ^= byte
        for _ in range(8):
            checksum = checksum << 1 ^ (0x107 if checksum & 0x80 else 0)
    if bytes(data[at + n_rate : at + n_rate + 1]) != bytes([checksum]):
        return None
    return int.from_bytes(data[at : at + n_rate], "big") * unit_hz if n_rate else _FLAC_RATES_HZ.get(rate_code)


class _BrokenOffError(InputError):
    """A sound cannot be read further."""


def _reason(err: soundfile.LibsndfileError) -> str:
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
    if not claim or int(claim[1]) >= _WAV_LIMIT_BYTES or file.subtype not in _EVEN:
        return 0
    return max(0, int(claim[1]) // (sample_bytes(file.subtype) * file.channels) - file.frames)


def _blocks(path: Path, info: SoundInfo) -> Iterator[np.ndarray]:
    """The sound in pieces of shape (C, n)."""
    if info.decoder == "ffmpeg":
        yield from _blocks_from_ffmpeg(path, info)
    elif _length_is_a_guess(path, info):
        with _streamed(path) as file:
            yield from _blocks_from_file(path, file)
    else:
        with _quiet_decoder(), _Sequential(_name(path)) as file:
            yield from _blocks_from_file(path, file)


def _blocks_from_file(path: Path, file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    dtype = "float64" if _is_wide(file.subtype) else "float32"
    while True:
        try:
            block = file.read(_BLOCK_FRAMES, dtype=dtype, always_2d=True)
        except soundfile.LibsndfileError as err:
            raise _BrokenOffError(f"{path}: breaks off ({_reason(err)})") from None
        if not len(block):
            return
        yield block.T


def _is_wide(subtype: str) -> bool:
    """Whether float32 does not hold every value."""
    return subtype in ("PCM_32", "ALAC_32", "DOUBLE")


def _length_is_a_guess(path: Path, info: SoundInfo) -> bool:
    """Whether libsndfile guesses the length of an MP3 file from its first frame.

    It does for files without a Xing header. Where the bit rate falls later on it would stop far too soon, without a
    word; from a pipe, where it has no size to guess from, it reads to the end.
    """
    if not info.subtype.startswith("MPEG"):
        return False
    with _streamed(path) as file:
        return not file.seekable()


@contextmanager
def _streamed(path: Path) -> Iterator[soundfile.SoundFile]:
    """A sound file that is read as from a pipe."""
    with _quiet_decoder(), _piped(path) as end, soundfile.SoundFile(end, closefd=False) as file:
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
def _quiet_decoder() -> Iterator[None]:
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


# ----------------------------------------------------------------------------------------------------------- ffmpeg


def _ffmpeg_input(path: Path) -> list[str]:
    """Arguments that let ffmpeg open this local file and nothing else, whatever its name looks like."""
    return ["-v", "error", "-protocol_whitelist", "file,pipe", "-i", f"file:{path.absolute()}"]


def _probe_with_ffmpeg(path: Path, reason: str) -> SoundInfo:
    """As `probe`, for a file that libsndfile refused for ``reason``."""
    if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
        raise InputError(
            f"{path}: libsndfile cannot read it ({reason}); if it is m4a, aac, wma or video, install ffmpeg"
        )
    fields = (
        "stream=codec_name,sample_rate,channels,duration,bits_per_raw_sample:format=duration:format_tags:stream_tags"
    )
    command = ["ffprobe", *_ffmpeg_input(path), "-select_streams", "a:0", "-show_entries", fields, "-of", "json"]
    try:
        found = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    except subprocess.TimeoutExpired:
        raise InputError(f"{path}: ffprobe found nothing in it within 60 s") from None
    if found.returncode:
        why = f"{reason}; ffmpeg: {_last_line(found.stderr, 'does not say why')}"
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


def _blocks_from_ffmpeg(path: Path, info: SoundInfo) -> Iterator[np.ndarray]:
    command = ["ffmpeg", "-nostdin", *_ffmpeg_input(path), "-map", "0:a:0"]
    command += ["-ar", str(info.rate_hz), "-ac", str(info.n_channels), "-c:a", "pcm_f32le", "-f", "f32le", "pipe:1"]
    n_bytes = 4 * info.n_channels * _BLOCK_FRAMES
    with (
        tempfile.TemporaryFile() as said,  # a pipe that nobody empties would stop ffmpeg
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said) as process,
    ):
        try:
            while data := cast(IO[bytes], process.stdout).read(n_bytes):
                whole = len(data) - len(data) % (4 * info.n_channels)
                yield np.frombuffer(data[:whole], "<f4").reshape(-1, info.n_channels).T
            failed = process.wait() != 0
        finally:
            process.kill()
        if failed:
            said.seek(0)
            raise _BrokenOffError(f"{path}: breaks off ({_last_line(said.read(), 'ffmpeg does not say why')})")


def _last_line(stderr: bytes, otherwise: str) -> str:
    """What ffmpeg complained of last, without the file name in front."""
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1].rsplit(": ", 1)[-1] if lines else otherwise


# ---------------------------------------------------------------------------------------------------------- writing


def _is_uneven(subtype: str) -> bool:
    return subtype not in _EVEN and not _LOSSY.search(subtype)


def output_subtype(info: SoundInfo, container: str, subtype: str | None = None) -> str:
    """Sample format in which the stems of a sound are written.

    Parameters
    ----------
    info : SoundInfo
        Of the input.
    container : {"wav", "flac", "mp3", "ogg"}
    subtype : str, optional
        What the user asks for; otherwise the input's own, or the nearest that the container knows.

    Raises
    ------
    ConfigError
        When the container has no such sample format.
    InputError
        When it cannot hold this rate or this number of channels; without the file's name.
    """
    known = soundfile.available_subtypes(FORMATS[container])
    if subtype is None:
        kept = _KEPT.get(info.subtype, info.subtype)
        if container in ("mp3", "ogg"):
            subtype = soundfile.default_subtype(FORMATS[container])
        elif container == "flac":
            subtype = {"PCM_U8": "PCM_S8", "PCM_16": "PCM_16"}.get(kept, "PCM_16" if _is_uneven(kept) else "PCM_24")
        else:
            subtype = "FLOAT" if _LOSSY.search(kept) else "PCM_16" if _is_uneven(kept) else kept
    elif subtype not in known or (container == "wav" and subtype not in _EVEN):
        choices = [name for name in known if container != "wav" or name in _EVEN]
        raise ConfigError(f"{container} cannot hold {subtype} samples; it can hold {', '.join(choices)}")
    rates_hz = {"MPEG_LAYER_III": _MP3_RATES_HZ, "OPUS": _OPUS_RATES_HZ}.get(subtype)
    if rates_hz and info.rate_hz not in rates_hz:
        raise InputError(f"{container} cannot hold {info.rate_hz} Hz, only {', '.join(map(str, rates_hz))}; use wav")
    if info.n_channels > _MAX_CHANNELS[container]:
        raise InputError(
            f"{container} cannot hold {info.n_channels} channels, only up to {_MAX_CHANNELS[container]}; use wav"
        )
    return subtype


def fit_stems(
    mixture: np.ndarray, vocals: np.ndarray, subtype: str, clip: str = "clamp"
) -> tuple[dict[str, np.ndarray], str, str]:
    """Both stems in the steps of a sample format, so that they add up to the mixture in it.

    Parameters
    ----------
    mixture, vocals : ndarray, shape (C, N), full scale 1.0
    subtype : str
        Sample format. Float formats have no limit, and ``clip`` does not concern them.
    clip : {"clamp", "rescale", "float"}
        What happens when a stem passes full scale. "clamp": the vocals are held where both stems stay within it;
        the overshoot of one goes to the other, and the sum stays exact (a mixture that itself passes full scale is
        limited first). "rescale": turned down by one gain, and add up to the mixture times that gain.
        "float": both are written as 32-bit float, unchanged.

    Returns
    -------
    stems : dict of ndarray, shape (C, N)
        ``vocals`` and ``accompaniment``: int32, scaled to fill the 32 bits, for integer formats; float otherwise.
    subtype : str
        ``FLOAT`` when the rule is "float" and had to act.
    note : str
        What was done about clipping; empty when nothing had to be.
    """
    fit = fit_for([(mixture, vocals)], subtype, clip)
    return fit.stems(mixture, vocals), fit.subtype, fit.note


@dataclass(frozen=True)
class Fit:
    """How the stems of a whole recording are fitted into a sample format, to be done block by block.

    Attributes
    ----------
    subtype, note : str
        As `fit_stems` gives them.
    gain : float, optional
        All is turned down by it.
    """

    subtype: str
    note: str = ""
    gain: np.floating | None = None

    def stems(self, mixture: np.ndarray, vocals: np.ndarray) -> dict[str, np.ndarray]:
        """The stems of a block, as `fit_stems` gives them."""
        if self.subtype in ("FLOAT", "DOUBLE"):
            return _float_stems(mixture, vocals, self.subtype)
        if self.gain is not None:
            mixture, vocals = mixture * self.gain, vocals * self.gain
        if self.subtype in _INTEGER_BITS:
            return _integer_stems(mixture, vocals, _INTEGER_BITS[self.subtype])
        mixture = np.clip(mixture, -1, 1)
        vocals = np.clip(vocals, np.maximum(-1, mixture - 1), np.minimum(1, mixture + 1))
        return _float_stems(mixture, vocals, "FLOAT")


def fit_for(blocks: Iterable[tuple[np.ndarray, np.ndarray]], subtype: str, clip: str) -> Fit:
    """The fit that suits all blocks of a recording, (mixture, vocals) each; the rest as for `fit_stems`."""
    if subtype in ("FLOAT", "DOUBLE"):
        return Fit(subtype)
    top = 1 - 2.0 ** (1 - _INTEGER_BITS[subtype]) if subtype in _INTEGER_BITS else 1.0
    n_over, peaks = 0, []
    for mixture, vocals in blocks:
        sounds = (mixture, vocals, mixture - vocals)
        n_over += int(np.count_nonzero(np.logical_or.reduce([_beyond(samples, top) for samples in sounds])))
        peaks.append(max(np.abs(samples).max(initial=0) for samples in sounds))
    if not n_over:
        return Fit(subtype)
    if clip == "float":
        return Fit("FLOAT", f"{n_over} samples pass full scale; written as 32-bit float")
    if clip == "rescale":
        gain = top / max(peaks)
        return Fit(subtype, f"{n_over} samples pass full scale; turned down by {-20 * np.log10(gain):.2f} dB", gain)
    return Fit(subtype, f"{n_over} samples pass full scale and are clamped; --clip rescale or float keeps them")


def _beyond(samples: np.ndarray, top: float) -> np.ndarray:
    return (samples > top) | (samples < -1)


def _float_stems(mixture: np.ndarray, vocals: np.ndarray, subtype: str) -> dict[str, np.ndarray]:
    dtype = np.float64 if subtype == "DOUBLE" else np.float32
    vocals = vocals.astype(dtype)
    return {"vocals": vocals, "accompaniment": mixture.astype(dtype) - vocals}


def _integer_stems(mixture: np.ndarray, vocals: np.ndarray, n_bits: int) -> dict[str, np.ndarray]:
    low, high = -(2 ** (n_bits - 1)), 2 ** (n_bits - 1) - 1
    mixture, vocals = (
        np.clip(np.rint(samples * 2.0 ** (n_bits - 1)), low, high).astype(np.int64 if n_bits == 32 else np.int32)
        for samples in (mixture, vocals)
    )
    vocals = np.clip(vocals, np.maximum(low, mixture - high), np.minimum(high, mixture - low))
    to_32_bits = 32 - n_bits
    return {
        "vocals": (vocals << to_32_bits).astype(np.int32),
        "accompaniment": ((mixture - vocals) << to_32_bits).astype(np.int32),
    }


def codecs() -> dict[str, str]:
    """What can be read here, for a report of a fault."""
    ffmpeg = shutil.which("ffmpeg")
    said = subprocess.run([ffmpeg, "-version"], capture_output=True, check=False).stdout.decode() if ffmpeg else ""
    return {
        "libsndfile": f"{soundfile.__libsndfile_version__} ({', '.join(soundfile.available_formats())})",
        "ffmpeg": said.partition(" Copyright")[0].removeprefix("ffmpeg version ")
        or "not on the PATH: m4a, aac, wma and video cannot be read",
    }


def sample_bytes(subtype: str) -> int:
    """Bytes that one sample takes, in memory or in a WAV file; 4 for what is decoded to float."""
    return _INTEGER_BITS.get(subtype, 64 if subtype == "DOUBLE" else 32) // 8


def write(
    path: Path,
    samples: np.ndarray,
    rate_hz: int,
    container: str,
    subtype: str,
    tags: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write a sound file; it appears under its name when it is whole.

    Parameters
    ----------
    samples : ndarray, shape (C, N), as `fit_stems` gives it
    container : {"wav", "flac", "mp3", "ogg"}
    tags : mapping of str
        Under the names in `TAGS`; those that the container does not know are left out.

    Raises
    ------
    OutputError
    """
    write_blocks(path, [samples], samples.shape, rate_hz, container, subtype, tags)


def write_blocks(
    path: Path,
    blocks: Iterable[np.ndarray],
    shape: tuple[int, ...],
    rate_hz: int,
    container: str,
    subtype: str,
    tags: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """As `write`, with the samples in blocks of shape (C, n), of all together ``shape`` (C, N)."""
    too_long = container == "wav" and math.prod(shape) * sample_bytes(subtype) > _WAV_LIMIT_BYTES
    name = "RF64" if too_long else FORMATS[container]
    with whole_file(path) as part:
        with _Sequential(_name(part), "w", rate_hz, shape[0], subtype, format=name) as file:
            for tag, text in tags.items():
                with suppress(soundfile.LibsndfileError):
                    setattr(file, tag, text)
            for samples in blocks:
                for start in range(0, samples.shape[1], _WRITTEN_FRAMES):
                    file.write(samples[:, start : start + _WRITTEN_FRAMES].T)
        if container == "wav":
            _remove_time(part)


def mp3(audio: Audio) -> bytes:
    """A sound as an MP3 file: at most two channels, and a rate that MP3 knows."""
    samples, rate_hz = audio.samples, audio.rate_hz
    if len(samples) > _MAX_CHANNELS["mp3"]:
        samples = samples.mean(axis=0, keepdims=True)
    if rate_hz not in _MP3_RATES_HZ:
        samples, rate_hz = soxr.resample(samples.T, rate_hz, max(_MP3_RATES_HZ)).T, max(_MP3_RATES_HZ)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sound.mp3")
        write(path, np.clip(samples, -1, 1), rate_hz, "mp3", "MPEG_LAYER_III")
        return path.read_bytes()


def _remove_time(path: Path) -> None:
    """Blank the time of day, which libsndfile puts into the PEAK chunk of floats: same input, same bytes."""
    with open(path, "r+b") as file:
        file.seek(12)
        while len(header := file.read(8)) == 8:
            name, n_bytes = struct.unpack("<4sI", header)
            if name == b"PEAK":
                file.seek(4, os.SEEK_CUR)
                file.write(bytes(4))
            if name in (b"PEAK", b"data"):
                return
            file.seek(n_bytes + n_bytes % 2, os.SEEK_CUR)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; the file takes its place once it is whole and on the disk.

    Raises
    ------
    OutputError
        When it cannot be written; ``path`` is then what it was before.
    """
    # A process that was orphaned may still be writing to its own part.
    part = path.with_name(f".part-{os.getpid()}-{_mark(path)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, soundfile.SoundFileError) as err:
        reason = getattr(err, "strerror", None) or getattr(err, "error_string", None) or str(err)
        raise OutputError(f"{path}: cannot be written ({reason.rstrip('.').lower()})") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def remove_parts(path: Path) -> None:
    """Remove what stopped processes left of ``path``. No pattern for stems matches these files."""
    for part in path.parent.glob(f".part-*-{glob.escape(_mark(path))}"):
        part.unlink(missing_ok=True)


def _mark(path: Path) -> str:
    """Something short for a name that may have no room left for a prefix."""
    return hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16] + path.suffix
