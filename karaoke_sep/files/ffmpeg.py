"""Run the ffmpeg on the PATH, which reads formats that libsndfile does not support, and continues after damage.

ffmpeg may open one local file and nothing else. Playlists and scripts, which refer to other files and addresses (such
as HLS, DASH and concat), are rejected by their format before they are read.
"""

import ctypes
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from ..errors import InputError
from ..processes.signals import undisturbed

_BLOCK_FRAMES = 1 << 14  # read at once; each read takes as long as decoding some hundred samples
WITHOUT_PROGRESS_S = 60.0
_ALLOCATION_BYTES = 500_000_000  # at once; more than any sound or cover needs
# Formats that contain their sound, instead of referring to other files.
_FORMATS = (
    "3gp,aa,aac,ac3,act,adts,adx,aea,aiff,amr,amrnb,amrwb,ape,aptx,asf,asf_o,ast,au,avi,brstm,caf,daud,dff,dsf,dts,"
    "dtshd,dv,eac3,ea,flac,flv,g722,g726,gsm,gxf,hca,iff,ircam,kux,latm,loas,live_flv,m4a,matroska,mlp,mmf,mov,mp3,mp4,"
    "mpc,mpc8,mpeg,mpegts,mxf,nistsphere,nsv,nut,nuv,ogg,oma,pvf,qcp,rm,rso,sds,shn,sox,spdif,swf,tak,truehd,tta,voc,"
    "vqf,w64,wav,webm,wsd,wtv,wv,xwma"
)
# Messages of ffmpeg about complete files, or repetitions of earlier messages.
_NOISE = re.compile("non monotonically increasing dts|Error while decoding stream|Last message repeated|fuzzy seeking")
_PR_SET_PDEATHSIG = 1


class BrokenOffError(InputError):
    """A sound cannot be read further. The message contains the reason only."""


def is_there() -> bool:
    """Return whether ffmpeg and ffprobe are on the PATH."""
    return bool(shutil.which("ffmpeg") and shutil.which("ffprobe"))


def ask(path: Path, fields: str, *options: str) -> dict[str, Any]:
    """Return the output of ffprobe for a file; ``fields`` are those of its option -show_entries.

    Raises
    ------
    BrokenOffError
        If ffprobe cannot read the file.
    """
    command = ["ffprobe", *_input_arguments(path), *options, "-show_entries", fields, "-of", "json"]
    with _running(command) as (process, said, progress):
        answer = cast(IO[bytes], process.stdout).read()
    if progress.is_killed:
        raise BrokenOffError(f"ffprobe found nothing within {WITHOUT_PROGRESS_S:.0f} s")
    if process.returncode:
        raise BrokenOffError(_why(said))
    return cast(dict[str, Any], json.loads(answer.decode(errors="replace")))


def decode(
    path: Path, stream: str, rate_hz: int, n_channels: int, dtype: str, complaints: list[str]
) -> Iterator[np.ndarray]:
    """Yield a sound in blocks of shape (C, n), at one rate and number of channels even if these change midway.

    Parameters
    ----------
    stream : str
        Name of the stream in ffmpeg, such as ``a:0``.
    dtype : {"float32", "float64"}
    complaints : list of str
        The messages of ffmpeg about damage are added to it.

    Raises
    ------
    BrokenOffError
        If ffmpeg stops with an error.
    """
    letter, size = {"float32": ("f32le", 4), "float64": ("f64le", 8)}[dtype]
    # Several threads lose more frames at a damaged place of a FLAC file, and need a tenth more processor time.
    command = ["ffmpeg", "-nostdin", "-threads", "1", *_input_arguments(path), "-map", f"0:{stream}"]
    command += ["-ar", str(rate_hz), "-ac", str(n_channels), "-c:a", f"pcm_{letter}", "-f", letter]
    # Otherwise ffmpeg wakes the reader for each packet of 26 ms.
    command += ["-flags", "+bitexact", "-flush_packets", "0", "pipe:1"]
    with _running(command) as (process, said, progress):
        while data := cast(IO[bytes], process.stdout).read(size * n_channels * _BLOCK_FRAMES):
            progress.waits = False
            whole = len(data) - len(data) % (size * n_channels)
            yield np.frombuffer(data[:whole], f"<f{size}").reshape(-1, n_channels).T
            progress.waits = True
    if progress.is_killed:
        raise BrokenOffError(f"ffmpeg decoded nothing for {WITHOUT_PROGRESS_S:.0f} s")
    if process.returncode:
        raise BrokenOffError(_why(said))
    complaints += dict.fromkeys(_plain(line) for line in said if not _NOISE.search(line))


def extract(path: Path, stream: str, max_bytes: int) -> bytes:
    """Return the packets of a stream, such as a cover picture; empty if there is none, or if it is too large."""
    command = ["ffmpeg", "-nostdin", *_input_arguments(path), "-map", f"0:{stream}", "-c", "copy"]
    with _running([*command, "-frames:v", "1", "-f", "image2pipe", "pipe:1"]) as (process, _, _):
        data = cast(IO[bytes], process.stdout).read(max_bytes + 1)
    return data if len(data) <= max_bytes else b""


def write(inputs: Mapping[Path, Sequence[str]], options: Sequence[str], target: Path) -> None:
    """Write a file with ffmpeg, from other files.

    Parameters
    ----------
    inputs : mapping of sequences of str
        The options of each input.
    options : sequence of str
        Options of the output.

    Raises
    ------
    BrokenOffError
        If ffmpeg stops with an error.
    """
    command = ["ffmpeg", "-nostdin", "-y"]
    for path, own in inputs.items():
        command += [*own, *_input_arguments(path)]
    # Without bitexact the file contains the version of ffmpeg, and a Matroska file contains random numbers.
    command += [*options, "-flags", "+bitexact", "-fflags", "+bitexact", f"file:{target.absolute()}"]
    with _running(command) as (process, said, progress):
        progress.waits = False  # ffmpeg prints nothing while it writes a long video
        cast(IO[bytes], process.stdout).read()
    if process.returncode:
        raise BrokenOffError(_why(said))


def version() -> str:
    """Return the version of the ffmpeg on the PATH; empty if there is none."""
    path = shutil.which("ffmpeg")
    said = subprocess.run([path, "-version"], capture_output=True, check=False).stdout.decode() if path else ""
    return said.partition(" Copyright")[0].removeprefix("ffmpeg version ")


def _input_arguments(path: Path) -> list[str]:
    """Return arguments that let ffmpeg open only this local file, whatever its name is."""
    limits = ["-v", "error", "-max_alloc", str(_ALLOCATION_BYTES)]
    return [*limits, "-protocol_whitelist", "file", "-format_whitelist", _FORMATS, "-i", f"file:{path.absolute()}"]


class _Progress:
    """A timer for the time that ffmpeg is given to make progress."""

    def __init__(self) -> None:
        self.is_killed = False
        self._since_s = time.monotonic()
        self._waits = True

    @property
    def waits(self) -> bool:
        return self._waits

    @waits.setter
    def waits(self, value: bool) -> None:
        self._since_s, self._waits = time.monotonic(), value

    @property
    def is_stuck(self) -> bool:
        return self._waits and time.monotonic() - self._since_s > WITHOUT_PROGRESS_S


@contextmanager
def _running(command: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], deque[str], _Progress]]:
    """Run ffmpeg until the context ends or it makes no progress; collect its messages line by line."""
    said: deque[str] = deque(maxlen=100)
    progress, is_over = _Progress(), threading.Event()

    def listen() -> None:
        for line in cast(IO[bytes], process.stderr):
            said.append(line.decode(errors="replace").strip())

    def watch() -> None:
        while not is_over.wait(0.5):
            if progress.is_stuck:
                progress.is_killed = True
                process.kill()
                return

    def end() -> None:
        if not finished or cast(IO[bytes], process.stdout).read(1):
            process.kill()
        process.wait()
        is_over.set()
        for thread in threads:
            thread.join()
        cast(IO[bytes], process.stdout).close()
        cast(IO[bytes], process.stderr).close()

    threads = [threading.Thread(target=listen, daemon=True), threading.Thread(target=watch, daemon=True)]
    finished = False
    with ExitStack() as stack:
        with undisturbed():  # a fork calls Python functions, in this process and in the new one
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
            for thread in threads:
                thread.start()
            stack.callback(end)
        yield process, said, progress
        finished = True


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """Have Linux end this process with its parent; on other systems a closed pipe ends ffmpeg at its next write."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _why(said: deque[str]) -> str:
    """Return the reason why ffmpeg stopped."""
    for line in said:
        if "not on whitelist" in line:
            return f"a playlist, or a format that is not supported: {_plain(line.partition(' @ ')[0]).lstrip('[')}"
    return _plain(said[-1]) if said else "ffmpeg gives no reason"


def _plain(line: str) -> str:
    """Return a message of ffmpeg without the component or the file name at its beginning."""
    return re.sub(r"^\[[^\]]*\] ", "", line).rsplit(": ", 1)[-1]
