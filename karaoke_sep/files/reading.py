"""Read sound files whole.

libsndfile reads what is not compressed, and OGG files whose pages are whole. FLAC, MP3 and the other OGG files go
through ffmpeg where it is on the PATH: it decodes on after damage, and it brings all of a file to one rate and one
number of channels where these change midway. Both decoders give the same samples at the same places, except that
ffmpeg drops up to 128 samples at the end of some OGG files. Where ffmpeg is absent, files that are damaged or joined
are refused. m4a, aac, wma, webm and video need ffmpeg.

Samples come out with full scale 1.0, in float32 where that holds every value of the file and in float64 where it does
not (32-bit integers, double).

An MP3 file without a LAME or Xing header does not tell by how much its encoder delayed the sound (often 1105 samples).
Nothing is cut from it then, as ffmpeg and mpg123 do.
"""

import math
import os
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
from .ffmpeg import BLOCK_FRAMES, BrokenOffError
from .ogg_pages import is_one_whole_stream
from .sample_formats import is_lossy, is_wide
from .samples_on_disk import SampleFile
from .sound_info import SoundInfo, probe

# libmpg123 and container headers are off by up to a few codec frames; that is no loss.
_LENGTH_SLACK_S = 0.1
_TAG_BYTES = 1 << 14  # tags may follow the sound
_APE_FOOTER_BYTES = 32 + 128  # with an older tag behind it


def read(path: Path, max_samples: float = math.inf, *, stream: int | None = None) -> tuple[Audio, tuple[str, ...]]:
    """Return the sound in ``path``, and what is to be said about it.

    The whole of what is there is read, in blocks, so that neither time nor memory depends on what a header claims.

    Parameters
    ----------
    max_samples : float
        Of one channel; a sound that has more is refused, even if its header does not tell.
    stream : int, optional
        As for `sound_info.probe`.

    Returns
    -------
    Audio
    tuple of str
        A warning for a file that is damaged, holds less than its header says, or holds several sounds; empty as a rule.

    Raises
    ------
    InputError
        When nothing can be read, too much, or not to the end. Samples are not judged here: no sound, or NaN, may come
        out.
    """
    info = probe(path, stream)
    blocks: list[np.ndarray] = []
    warnings = _read_into(blocks.append, path, info, max_samples)
    samples = np.concatenate(blocks, axis=1) if blocks else np.zeros((info.n_channels, 0), np.float32)
    return Audio(samples, info.rate_hz), warnings


def read_to_disk(
    path: Path, folder: Path, max_samples: float = math.inf, *, stream: int | None = None
) -> tuple[SampleFile, tuple[str, ...]]:
    """Read as `read` does, into a file in ``folder``; OutputError if there is no room."""
    info = probe(path, stream)
    samples = SampleFile(folder, info.rate_hz, info.n_channels, np.float64 if is_wide(info.subtype) else np.float32)
    try:
        return samples, _read_into(samples.append, path, info, max_samples)
    except BaseException:
        samples.__exit__()
        raise


def _read_into(take: Callable[[np.ndarray], None], path: Path, info: SoundInfo, max_samples: float) -> tuple[str, ...]:
    """Hand over all that is there, in blocks of shape (C, n); what is to be said about it."""
    n_samples = 0
    complaints: list[str] = []
    try:
        for block in _blocks(path, info, complaints):
            n_samples += block.shape[1]
            if n_samples > max_samples:
                raise InputError(
                    f"{path}: is longer than the {max_samples / info.rate_hz:.0f} s that there is room for"
                )
            take(block)
    except OSError as err:
        raise InputError(f"{path}: cannot be read any more ({(err.strerror or str(err)).lower()})") from None
    except BrokenOffError as err:
        cure = "repair or cut the file" if ffmpeg.is_there() else "install ffmpeg, which decodes on after damage"
        raise InputError(f"{path}: cannot be read beyond {_clock(n_samples / info.rate_hz)} ({err}); {cure}") from None
    seconds, claimed_s = n_samples / info.rate_hz, (info.claimed_samples or 0) / info.rate_hz
    is_flac = info.decoder == "ffmpeg" and info.stream == SoundInfo.stream and not is_lossy(info.subtype)
    if is_flac and info.claimed_samples and seconds - claimed_s > _LENGTH_SLACK_S:  # ffmpeg loses frames at the joins
        raise InputError(f"{path}: holds several sounds, one after the other; save each in a file of its own")
    warnings = [f"{path}: {note}" for note in info.notes]
    # Tags behind an MP3 file look like a frame without a header.
    is_tag = set(complaints) == {"Header missing"} and 0 <= seconds - claimed_s <= _LENGTH_SLACK_S
    if complaints and not is_tag:
        warnings.append(
            f"{path}: is damaged, or joined from several files ({complaints[0]}); ffmpeg decoded on after that, and "
            f"{seconds:.2f} s in all are used"
        )
    elif claimed_s - seconds > _LENGTH_SLACK_S:
        warnings.append(
            f"{path}: {seconds:.2f} s of {claimed_s:.2f} s that its header tells could be read and are used; "
            "the rest is damaged or missing"
        )
    return tuple(warnings)


def _clock(seconds: float) -> str:
    """Return a time as minutes and seconds."""
    return f"{int(seconds // 60)}:{seconds % 60:05.2f}"


def _blocks(path: Path, info: SoundInfo, complaints: list[str]) -> Iterator[np.ndarray]:
    """Yield the sound in blocks of shape (C, n)."""
    dtype = "float64" if is_wide(info.subtype) else "float32"
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
            yield from libsndfile.read_blocks(file, BLOCK_FRAMES, dtype)
        except soundfile.LibsndfileError as err:
            if handle.tell() < os.path.getsize(path):
                raise BrokenOffError(libsndfile.reason_of(err)) from None
        if handle.error is not None:
            raise BrokenOffError((handle.error.strerror or "the disk failed").lower())
        if file.format == "FLAC":
            _check_rest(os.path.getsize(path) - handle.tell())


def _blocks_from_pipe(path: Path, dtype: str) -> Iterator[np.ndarray]:
    """Read an MP3 file as from a pipe.

    libsndfile guesses the length of one without a header from its first frame. Where the bit rate falls later on it
    would stop far too soon, without a word; from a pipe, where it has no size to guess from, it reads to the end.
    """
    reason, n_blocks = "", 0
    with libsndfile.quiet_decoder(), _piped(path) as end:
        try:
            with libsndfile.SequentialFile(end, closefd=False) as file:
                for block in libsndfile.read_blocks(file, BLOCK_FRAMES, dtype):
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
    """Refuse a sound after which much of its file was not decoded."""
    if n_bytes > _TAG_BYTES:
        raise BrokenOffError("damage, or another sound: libsndfile does not decode what follows")


@contextmanager
def _piped(path: Path) -> Iterator[int]:
    """Give a file descriptor from which the bytes of ``path`` come as from a pipe."""
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
