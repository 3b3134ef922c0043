"""Open sound files with libsndfile.

Every file is opened through a `Handle`, because libsndfile by itself reports a full disk as "system error", needs names
in UTF-8, and reads every ``.raw`` file as samples without a header.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import soundfile

from ..errors import InputError
from ..processes.signals import undisturbed
from .sample_formats import from_16_bits

_AFTER_TAG = (b"RIFF", b"RIFX", b"RF64", b"FORM", b"caff")
_LENGTH_UNKNOWN = b"\xff\xff\xff\xff"
# Channels of WAV files in the order of Vorbis and Opus, by their number. libsndfile does not convert one to the other.
_OGG_ORDERS = {
    3: (0, 2, 1),
    5: (0, 2, 1, 3, 4),
    6: (0, 2, 1, 4, 5, 3),
    7: (0, 2, 1, 5, 6, 4, 3),
    8: (0, 2, 1, 6, 7, 4, 5, 3),
}


class Handle:
    """A file object for libsndfile that keeps the last error of the operating system.

    Attributes
    ----------
    file : binary file
    error : OSError or None
        The last error.
    """

    def __init__(self, file: BinaryIO):
        self.file = file
        self.error: OSError | None = None
        self._patch_at = _unwritten_length(file) if file.readable() else None

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position in the file."""
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position in the file."""
        return self.file.tell()

    def read(self, n_bytes: int) -> bytes:
        """Read up to so many bytes; none after an error."""
        try:
            data = self.file.read(n_bytes)
        except OSError as err:
            self.error = err
            return b""
        if self._patch_at is not None:
            at = self._patch_at - (self.file.tell() - len(data))
            if 0 <= at <= len(data) - 4:
                return data[:at] + _LENGTH_UNKNOWN + data[at + 4 :]
        return data

    def write(self, data: bytes) -> int:
        """Write all bytes; return their number, 0 after an error."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self.file.write(rest) :]
        except OSError as err:
            self.error = err
            return 0
        return len(data)


class GapHandle(Handle):
    """A file object that inserts tags which libsndfile cannot write.

    Parameters
    ----------
    place : int
        Position of the tags, as libsndfile counts.
    tags : bytes
    """

    def __init__(self, file: BinaryIO, place: int, tags: bytes):
        super().__init__(file)
        self._place, self._tags = place, tags
        self._are_written = False

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position, as libsndfile counts."""
        if whence == os.SEEK_CUR:
            offset, whence = self.tell() + offset, os.SEEK_SET
        if whence == os.SEEK_SET and offset >= self._place:
            offset += len(self._tags)
        self.file.seek(offset, whence)
        return self.tell()

    def tell(self) -> int:
        """Return the position, as libsndfile counts."""
        at = self.file.tell()
        return max(self._place, at - len(self._tags)) if at > self._place else at

    def write(self, data: bytes) -> int:
        """Write all bytes, and the tags at their position; return the number of bytes, 0 after an error."""
        before = max(0, min(len(data), self._place - self.tell()))
        if before and super().write(data[:before]) != before:
            return 0
        if before == len(data):
            return before
        if not self._are_written:
            self._are_written = True
            self.file.seek(self._place)
            if self._tags and not super().write(self._tags):
                return 0
        elif self.file.tell() == self._place:
            self.file.seek(len(self._tags), os.SEEK_CUR)
        return len(data) if super().write(data[before:]) else 0


class SequentialFile(soundfile.SoundFile):
    """A sound file without the seek and the flush that soundfile does after each block.

    The seek fails if a header claims too many samples, and writes silence into an MP3 file. `whole_file` flushes the
    file to the disk once.

    Ctrl-C takes effect after the call of libsndfile during which it was pressed: libsndfile calls a `Handle`, and an
    exception there would be lost, and look like an error of the disk.
    """

    def __init__(self, *args: Any, **settings: Any):
        try:
            with undisturbed():
                super().__init__(*args, **settings)
        except KeyboardInterrupt:
            self.close()
            raise

    @undisturbed()
    def read(self, *args: Any, **how: Any) -> np.ndarray:
        """Read samples."""
        return super().read(*args, **how)

    @undisturbed()
    def write(self, data: np.ndarray) -> None:
        """Write samples with the channels in the order of WAV files."""
        order = _ogg_order(self)
        super().write(data[:, order] if order else data)

    @undisturbed()
    def close(self) -> None:
        """Write the remaining samples, and close the file."""
        super().close()

    def seekable(self) -> bool:
        """Return False, so that soundfile does not seek."""
        return False

    def flush(self) -> None:
        """Do nothing; closing the file writes the remaining samples."""


@contextmanager
def opened(path: Path) -> Iterator[tuple[SequentialFile, Handle]]:
    """Open a sound file for reading."""
    with quiet_decoder(), _open(path) as file:
        handle = Handle(behind_tag(file))
        with SequentialFile(handle) as sound:
            yield sound, handle


@contextmanager
def created(
    path: Path,
    rate_hz: int,
    n_channels: int,
    container: str,
    subtype: str,
    handle_of: Callable[[BinaryIO], Handle] = Handle,
    **settings: Any,
) -> Iterator[soundfile.SoundFile]:
    """Open a temporary file for writing; raise OSError with the reason if it cannot be written completely.

    Parameters
    ----------
    container : str
        Its name in libsndfile.
    handle_of : callable
        Return the handle through which libsndfile writes.
    **settings
        ``compression_level`` and ``bitrate_mode``, as soundfile takes them.
    """
    with open(path, "r+b", buffering=0) as file:
        file.truncate()
        handle = handle_of(cast(BinaryIO, file))
        try:
            with SequentialFile(handle, "w", rate_hz, n_channels, subtype, format=container, **settings) as sound:
                yield sound
        except (soundfile.SoundFileError, AssertionError):  # soundfile raises it if not everything was written
            if handle.error is None:
                raise
        if handle.error is not None:
            raise handle.error


def _open(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as err:
        raise InputError(f"{path}: {(err.strerror or 'cannot be read').lower()}") from None


def read_blocks(sound: soundfile.SoundFile, n_frames: int, dtype: str) -> Iterator[np.ndarray]:
    """Yield the sound in blocks of shape (C, n), with the channels in the order of WAV files."""
    order = _ogg_order(sound)
    places = np.argsort(order) if order else slice(None)
    # libsndfile converts samples 4096 at a time, each time through Python.
    is_short = sound.subtype == "PCM_16" and dtype == "float32"
    while len(block := sound.read(n_frames, dtype="int16" if is_short else dtype, always_2d=True)):
        yield (from_16_bits(block) if is_short else block).T[places]


def _ogg_order(sound: soundfile.SoundFile) -> list[int]:
    """Return the channels of WAV files in the order of an Ogg file; empty where the order is the same."""
    return list(_OGG_ORDERS.get(sound.channels, ())) if sound.format == "OGG" else []


def reason_of(err: soundfile.LibsndfileError) -> str:
    """Return the error of libsndfile in plain words."""
    # It says that an MP3 file without one whole frame does not exist.
    absent = err.error_string.startswith("File does not exist")
    return "no sound data" if absent else err.error_string.removeprefix("Error : ").rstrip(".")


@contextmanager
def quiet_decoder() -> Iterator[None]:
    """Keep libmpg123 from writing to stderr; its errors are also reported through libsndfile."""
    with suppress(AttributeError, ValueError, OSError):  # stderr may be None, or closed
        sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        kept = os.dup(2)
    except OSError:  # stderr is closed, and the next file to be opened would take its place
        kept = os.dup(nowhere)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class _Rest:
    """A file from a position on."""

    def __init__(self, file: BinaryIO, start: int):
        self._file, self._start = file, start

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._file.seek(offset + (self._start if whence == os.SEEK_SET else 0), whence)
        return self.tell()

    def tell(self) -> int:
        return self._file.tell() - self._start

    def read(self, n_bytes: int) -> bytes:
        return self._file.read(n_bytes)


def behind_tag(file: BinaryIO) -> BinaryIO:
    """Return a WAV, AIFF or CAF file without an ID3 tag in front, by whose size libsndfile cuts off the end."""
    head = file.read(10)
    start = 10 + sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=False))
    file.seek(start if head[:3] == b"ID3" else 0)
    is_behind = head[:3] == b"ID3" and file.read(4) in _AFTER_TAG
    rest = cast(BinaryIO, _Rest(file, start)) if is_behind else file
    rest.seek(0)
    return rest


def _unwritten_length(file: BinaryIO) -> int | None:
    """Return the position of the data length in a WAV file whose writer was stopped before it wrote the length.

    In such a file the length is 0, but samples follow. None for every other file.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        file.seek(0)
        return None
    at, place = 12, None
    while at + 8 <= end:
        file.seek(at)
        name, size = file.read(4), int.from_bytes(file.read(4), "little")
        if name == b"data":
            if size == 0 and at + 8 < end and not _chunks_follow(file, at + 8, end):
                place = at + 4
            break
        at += 8 + size + size % 2
    file.seek(0)
    return place


def _chunks_follow(file: BinaryIO, at: int, end: int) -> bool:
    """Return whether chunks fill a file from a position to its end."""
    while at + 8 <= end:
        file.seek(at)
        name, size = file.read(4), int.from_bytes(file.read(4), "little")
        if not (name.isascii() and name.decode().isprintable()):
            return False
        at += 8 + size + size % 2
    return end <= at <= end + 1
