"""Read complete sound files.

libsndfile reads uncompressed files, and OGG files with complete pages. ffmpeg, if it is on the PATH, reads FLAC, MP3
and the other OGG files: it continues after damage, and converts a file to one sample rate and number of channels if
these change midway. Both decoders give the same samples at the same positions, except at the end of OGG files: ffmpeg
drops up to 128 samples of some, and keeps what the position of the last page trims. Without ffmpeg, damaged or joined
files are an error. m4a, aac, wma, webm and video need ffmpeg.

Samples have full scale 1.0. They are float32 if that represents every value of the file exactly, otherwise float64
(32-bit integers, double).

An MP3 file without a LAME or Xing header does not contain the delay of its encoder (often 1105 samples). The delay is
then not removed; ffmpeg and mpg123 do the same.
"""

import math
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import soundfile

from ..errors import InputError
from ..types import Audio
from . import ffmpeg, libsndfile
from .ffmpeg import BrokenOffError
from .ogg_pages import is_one_whole_stream
from .sample_formats import is_lossy, is_wide
from .samples_on_disk import SampleFile
from .sound_info import SoundInfo, probe

# Lengths from libmpg123 and container headers are wrong by up to a few codec frames, without loss of sound.
_LENGTH_SLACK_S = 0.1
_FLAC_BEGINS = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22", re.DOTALL)
_FILE_FRAMES = 1 << 14  # at once, from files that libsndfile decodes in large blocks
_PIPE_FRAMES = 1 << 12  # at once, from files that may be damaged: the block with the damage is lost
_TAG_BYTES = 1 << 14  # tags may follow the sound
_APE_FOOTER_BYTES = 32 + 128  # with an older tag after it


def read(
    path: Path, max_samples: float = math.inf, *, stream: int | None = None, info: SoundInfo | None = None
) -> tuple[Audio, tuple[str, ...]]:
    """Return the sound in ``path``, and warnings.

    The file is read to its end in blocks, so that neither time nor memory depends on the length in the header.

    Parameters
    ----------
    max_samples : float
        Number of samples of each channel; a longer sound is an error, also if its header has another length.
    stream : int, optional
        As for `sound_info.probe`.
    info : SoundInfo, optional
        What `sound_info.probe` returns for the file, if it is known.

    Returns
    -------
    Audio
    tuple of str
        Warnings about a file that is damaged, shorter than its header says, or contains several sounds; usually empty.

    Raises
    ------
    InputError
        If the file cannot be read, is too long, or cannot be read to its end. The samples are not checked: there may be
        none, or NaN.
    """
    info = info or probe(path, stream)
    blocks: list[np.ndarray] = []
    warnings = _read_into(blocks.append, path, info, max_samples, _dtype(info))
    samples = np.concatenate(blocks, axis=1) if blocks else np.zeros((info.n_channels, 0), np.float32)
    return Audio(samples, info.rate_hz), warnings


def read_to_disk(
    path: Path,
    folder: Path,
    max_samples: float = math.inf,
    *,
    stream: int | None = None,
    info: SoundInfo | None = None,
) -> tuple[SampleFile, tuple[str, ...]]:
    """Read as `read` does, into a file in ``folder``; raise OutputError if there is no space."""
    info = info or probe(path, stream)
    # ffmpeg may change the sample rate midway, and then the samples have more bits.
    is_short = info.subtype == "PCM_16" and info.decoder == "libsndfile"
    dtype = "int16" if is_short else _dtype(info)
    samples = SampleFile(folder, info.rate_hz, info.n_channels, dtype)
    try:
        return samples, _read_into(samples.append, path, info, max_samples, dtype)
    except BaseException:
        samples.__exit__()
        raise


def _dtype(info: SoundInfo) -> str:
    """Return the type of floats that represent the samples of a sound."""
    return "float64" if is_wide(info.subtype) else "float32"


def _read_into(
    take: Callable[[np.ndarray], None], path: Path, info: SoundInfo, max_samples: float, dtype: str
) -> tuple[str, ...]:
    """Pass on the whole sound in blocks of shape (C, n), and return warnings."""
    n_samples = 0
    complaints: list[str] = []
    several = InputError(f"{path}: holds several sounds, one after the other; save each in a file of its own")
    try:
        if _another_follows(path):
            raise several
        for block in _blocks(path, info, complaints, dtype):
            n_samples += block.shape[1]
            if n_samples > max_samples:
                raise InputError(f"{path}: is longer than {max_samples / info.rate_hz:.0f} s, for which there is room")
            take(block)
    except OSError as err:
        raise InputError(f"{path}: cannot be read any more ({(err.strerror or str(err)).lower()})") from None
    except BrokenOffError as err:
        cure = "repair or cut the file" if ffmpeg.is_there() else "install ffmpeg, which decodes on after damage"
        raise InputError(f"{path}: cannot be read beyond {_clock(n_samples / info.rate_hz)} ({err}); {cure}") from None
    seconds, claimed_s = n_samples / info.rate_hz, (info.claimed_samples or 0) / info.rate_hz
    is_flac = info.decoder == "ffmpeg" and info.stream == SoundInfo.stream and not is_lossy(info.subtype)
    is_longer = info.claimed_samples and seconds - claimed_s > _LENGTH_SLACK_S
    if is_flac and (is_longer or (complaints and _another_flac_begins(path))):  # ffmpeg loses frames at the joins
        raise several
    warnings = [f"{path}: {note}" for note in info.notes]
    # Tags at the end of an MP3 file look like a frame without a header.
    is_tag = set(complaints) == {"Header missing"} and 0 <= seconds - claimed_s <= _LENGTH_SLACK_S
    if complaints and not is_tag:
        warnings.append(
            f"{path}: is damaged, or joined from several files ({complaints[0]}); ffmpeg decoded on after that, and "
            f"{seconds:.2f} s in all are used"
        )
    elif claimed_s - seconds > _LENGTH_SLACK_S:
        warnings.append(
            f"{path}: {seconds:.2f} s of {claimed_s:.2f} s (header) could be read and are used; "
            "the rest is damaged or missing"
        )
    return tuple(warnings)


def _another_follows(path: Path) -> bool:
    """Return whether another WAV or AIFF file begins where the first ends: readers do not look there."""
    with open(path, "rb") as whole:
        file = libsndfile.behind_tag(whole)
        first = file.read(12)
        if first[:4] not in (b"RIFF", b"FORM"):
            return False
        n_bytes = int.from_bytes(first[4:8], "little" if first[:4] == b"RIFF" else "big")
        file.seek(7 + n_bytes)  # writers differ in the byte that makes a length even
        rest = file.read(14)
    starts = [rest[k : k + 12] for k in range(3)]
    return any(len(start) == 12 and (start[:4], start[8:]) == (first[:4], first[8:]) for start in starts)


def _another_flac_begins(path: Path) -> bool:
    """Return whether the mark and the first header of a FLAC file stand somewhere behind those of the first."""
    with open(path, "rb") as file:
        file.seek(8)
        before = b""
        while data := file.read(1 << 20):
            if _FLAC_BEGINS.search(before + data):
                return True
            before = data[-8:]
    return False


def _clock(seconds: float) -> str:
    """Return a time as minutes and seconds."""
    return f"{int(seconds // 60)}:{seconds % 60:05.2f}"


def _blocks(path: Path, info: SoundInfo, complaints: list[str], dtype: str) -> Iterator[np.ndarray]:
    """Yield the sound in blocks of shape (C, n)."""
    is_ogg = info.subtype in ("VORBIS", "OPUS") and info.stream == SoundInfo.stream
    is_whole = is_ogg and is_one_whole_stream(path)
    if info.decoder == "ffmpeg" and not is_whole:
        n_blocks = 0
        try:
            for block in ffmpeg.decode(path, info.stream, info.rate_hz, info.n_channels, dtype, complaints):
                n_blocks += 1
                yield block
            if is_ogg and not complaints:
                complaints.append("its Ogg pages are not those of one whole stream")
            return
        except BrokenOffError:
            if n_blocks or not _opens_with_libsndfile(path):  # this ffmpeg may be older than the format
                raise
    if is_ogg and not is_whole:
        raise BrokenOffError("damage, or several sounds one after the other")
    if info.subtype.startswith("MPEG"):
        yield from _blocks_from_pipe(path, dtype)
    else:
        yield from _blocks_from_file(path, dtype)


def _opens_with_libsndfile(path: Path) -> bool:
    try:
        with libsndfile.opened(path):
            return True
    except soundfile.LibsndfileError:
        return False


def _blocks_from_file(path: Path, dtype: str) -> Iterator[np.ndarray]:
    with libsndfile.opened(path) as (file, handle):
        try:
            yield from libsndfile.read_blocks(file, _FILE_FRAMES, dtype)
        except soundfile.LibsndfileError as err:
            if handle.tell() < os.path.getsize(path):
                raise BrokenOffError(libsndfile.reason_of(err)) from None
        if handle.error is not None:
            raise BrokenOffError((handle.error.strerror or "the disk failed").lower())
        if file.format == "FLAC":
            _check_rest(os.path.getsize(path) - handle.tell())


def _blocks_from_pipe(path: Path, dtype: str) -> Iterator[np.ndarray]:
    """Read an MP3 file through a pipe.

    libsndfile estimates the length of a file without a header from its first frame. If the bit rate falls later, it
    stops too early without an error. From a pipe, whose size is unknown, it reads to the end.
    """
    reason, n_blocks = "", 0
    with libsndfile.quiet_decoder(), _piped(path) as end:
        try:
            with libsndfile.SequentialFile(end, closefd=False) as file:
                for block in libsndfile.read_blocks(file, _PIPE_FRAMES, dtype):
                    n_blocks += 1
                    yield block
        except soundfile.LibsndfileError as err:
            reason = libsndfile.reason_of(err)
        rest = b""
        while data := os.read(end, 1 << 16):
            rest = rest[-_TAG_BYTES:] + data.strip(b"\0")
    if reason and (not n_blocks or rest):
        raise BrokenOffError(reason)
    if b"APETAGEX" not in rest[-_APE_FOOTER_BYTES:]:
        _check_rest(len(rest))


def _check_rest(n_bytes: int) -> None:
    """Reject a sound if a large part of its file was not decoded."""
    if n_bytes > _TAG_BYTES:
        raise BrokenOffError("damage, or another sound: libsndfile does not decode what follows")


@contextmanager
def _piped(path: Path) -> Iterator[int]:
    """Give the file descriptor of a pipe with the bytes of ``path``."""
    read_end, write_end = os.pipe()

    def feed() -> None:
        with suppress(OSError), open(write_end, "wb") as sink, open(path, "rb") as source:
            shutil.copyfileobj(source, sink)

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    try:
        yield read_end
    finally:
        os.close(read_end)
        feeder.join()
