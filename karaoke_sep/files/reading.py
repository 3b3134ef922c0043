"""Read sound files.

Samples come out with full scale 1.0, in float32 where that holds every value of the file and in float64 where it does
not (32-bit integers, double).
"""

import math
import mmap
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from ..errors import InputError
from ..types import Audio
from . import ffmpeg
from .ffmpeg import BLOCK_FRAMES, BrokenOffError
from .sample_formats import is_wide
from .samples_on_disk import SampleFile
from .sound_info import SequentialFile, SoundInfo, libsndfile_name, probe, quiet_decoder, reason_of, streamed

# How FLAC frames (RFC 9639, section 9.1) and Ogg pages (RFC 3533, section 6) begin.
_FLAC_FRAME = re.compile(rb"\xff[\xf8\xf9][\x10-\xff][\x00-\xaf].", re.DOTALL)
_FLAC_RATES_HZ = dict(enumerate((88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000), 1))
_OGG_PAGE = re.compile(rb"OggS\x00(?=.)", re.DOTALL)
_OGG_FIRST_PAGE = 2
# libmpg123 and container headers are off by up to a few codec frames; that is no loss.
_LENGTH_SLACK_S = 0.1


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


def read_to_disk(path: Path, folder: Path, max_samples: float = math.inf) -> tuple[SampleFile, tuple[str, ...]]:
    """As `read`, into a file in ``folder``; OutputError if there is no room."""
    info = probe(path)
    samples = SampleFile(folder, info.rate_hz, info.n_channels, np.float64 if is_wide(info.subtype) else np.float32)
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
    except BrokenOffError as err:
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


def _blocks(path: Path, info: SoundInfo) -> Iterator[np.ndarray]:
    """The sound in pieces of shape (C, n)."""
    if info.decoder == "ffmpeg":
        yield from ffmpeg.decode(path, info.rate_hz, info.n_channels)
    elif _length_is_a_guess(path, info):
        with streamed(path) as file:
            yield from _blocks_from_file(path, file)
    else:
        with quiet_decoder(), SequentialFile(libsndfile_name(path)) as file:
            yield from _blocks_from_file(path, file)


def _blocks_from_file(path: Path, file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    dtype = "float64" if is_wide(file.subtype) else "float32"
    while True:
        try:
            block = file.read(BLOCK_FRAMES, dtype=dtype, always_2d=True)
        except soundfile.LibsndfileError as err:
            raise BrokenOffError(f"{path}: breaks off ({reason_of(err)})") from None
        if not len(block):
            return
        yield block.T


def _length_is_a_guess(path: Path, info: SoundInfo) -> bool:
    """Whether libsndfile guesses the length of an MP3 file from its first frame.

    It does for files without a Xing header. Where the bit rate falls later on it would stop far too soon, without a
    word; from a pipe, where it has no size to guess from, it reads to the end.
    """
    if not info.subtype.startswith("MPEG"):
        return False
    with streamed(path) as file:
        return not file.seekable()
