"""Run the ffmpeg on the PATH: it reads what libsndfile does not know, and decodes on after damage.

ffmpeg opens the one local file that it is given and nothing else. Playlists and scripts, which name other files and
addresses (HLS, DASH, concat and the like), are refused by their format before they are read.
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
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from ..errors import InputError

BLOCK_FRAMES = 1 << 12
_WITHOUT_PROGRESS_S = 60.0
_ALLOCATION_BYTES = 500_000_000  # at once; more than any sound or cover needs
# Formats that hold their sound themselves.
_FORMATS = (
    "3gp,aa,aac,ac3,act,adts,adx,aea,aiff,amr,amrnb,amrwb,ape,aptx,asf,asf_o,ast,au,avi,brstm,caf,daud,dff,dsf,dts,"
    "dtshd,dv,eac3,ea,flac,flv,g722,g726,gsm,gxf,hca,iff,ircam,kux,latm,loas,live_flv,m4a,matroska,mlp,mmf,mov,mp3,mp4,"
    "mpc,mpc8,mpeg,mpegts,mxf,nistsphere,nsv,nut,nuv,ogg,oma,pvf,qcp,rm,rso,sds,shn,sox,spdif,swf,tak,truehd,tta,voc,"
    "vqf,w64,wav,webm,wsd,wtv,wv,xwma"
)
# ffmpeg says these of sound files that are whole, or says once more what it has said before.
_NOISE = re.compile("non monotonically increasing dts|Error while decoding stream|Last message repeated|fuzzy seeking")
_PR_SET_PDEATHSIG = 1


class BrokenOffError(InputError):
    """A sound cannot be read further. The message is the reason alone."""


def is_there() -> bool:
    """Return whether ffmpeg and ffprobe are on the PATH."""
    return bool(shutil.which("ffmpeg") and shutil.which("ffprobe"))


def ask(path: Path, fields: str) -> dict[str, Any]:
    """Return what ffprobe says of a file: the ``fields`` in the form of its option -show_entries.

    Raises
    ------
    BrokenOffError
        When it knows nothing of the file.
    """
    command = ["ffprobe", *_input_arguments(path), "-show_entries", fields, "-of", "json"]
    with _running(command) as (process, said, progress):
        answer = cast(IO[bytes], process.stdout).read()
    if progress.is_killed:
        raise BrokenOffError(f"ffprobe found nothing within {_WITHOUT_PROGRESS_S:.0f} s")
    if process.returncode:
        raise BrokenOffError(_why(said))
    return cast(dict[str, Any], json.loads(answer.decode(errors="replace")))


def decode(
    path: Path, stream: str, rate_hz: int, n_channels: int, dtype: str, complaints: list[str]
) -> Iterator[np.ndarray]:
    """Yield a sound in blocks of shape (C, n), at one rate with one number of channels, whatever changes midway.

    Parameters
    ----------
    stream : str
        As ffmpeg names it, such as ``a:0``.
    dtype : {"float32", "float64"}
    complaints : list of str
        What ffmpeg says of damage is added to it.

    Raises
    ------
    BrokenOffError
        When ffmpeg stops with an error.
    """
    letter, size = {"float32": ("f32le", 4), "float64": ("f64le", 8)}[dtype]
    command = ["ffmpeg", "-nostdin", *_input_arguments(path), "-map", f"0:{stream}", "-ar", str(rate_hz)]
    command += ["-ac", str(n_channels), "-c:a", f"pcm_{letter}", "-f", letter, "-flags", "+bitexact", "pipe:1"]
    with _running(command) as (process, said, progress):
        while data := cast(IO[bytes], process.stdout).read(size * n_channels * BLOCK_FRAMES):
            progress.waits = False
            whole = len(data) - len(data) % (size * n_channels)
            yield np.frombuffer(data[:whole], f"<f{size}").reshape(-1, n_channels).T
            progress.waits = True
    if progress.is_killed:
        raise BrokenOffError(f"ffmpeg decoded nothing for {_WITHOUT_PROGRESS_S:.0f} s")
    if process.returncode:
        raise BrokenOffError(_why(said))
    complaints += dict.fromkeys(_plain(line) for line in said if not _NOISE.search(line))


def extract(path: Path, stream: str, max_bytes: int) -> bytes:
    """Return the packets of a stream as they are, such as a cover picture; empty when it is larger or not there."""
    command = ["ffmpeg", "-nostdin", *_input_arguments(path), "-map", f"0:{stream}", "-c", "copy"]
    with _running([*command, "-frames:v", "1", "-f", "image2pipe", "pipe:1"]) as (process, _, _):
        data = cast(IO[bytes], process.stdout).read(max_bytes + 1)
    return data if len(data) <= max_bytes else b""


def write(inputs: Mapping[Path, Sequence[str]], options: Sequence[str], target: Path) -> None:
    """Write a file that ffmpeg makes of others.

    Parameters
    ----------
    inputs : mapping of sequences of str
        The options of each input.
    options : sequence of str
        Those of the output.

    Raises
    ------
    BrokenOffError
        If ffmpeg stops with an error.
    """
    command = ["ffmpeg", "-nostdin", "-y"]
    for path, own in inputs.items():
        command += [*own, *_input_arguments(path)]
    # Without bitexact a file names the version of ffmpeg, and a Matroska file has random numbers.
    command += [*options, "-flags", "+bitexact", "-fflags", "+bitexact", f"file:{target.absolute()}"]
    with _running(command) as (process, said, progress):
        progress.waits = False  # a long video is written without a word
        cast(IO[bytes], process.stdout).read()
    if process.returncode:
        raise BrokenOffError(_why(said))


def version() -> str:
    """Return the version of the ffmpeg on the PATH; empty when there is none."""
    path = shutil.which("ffmpeg")
    said = subprocess.run([path, "-version"], capture_output=True, check=False).stdout.decode() if path else ""
    return said.partition(" Copyright")[0].removeprefix("ffmpeg version ")


def _input_arguments(path: Path) -> list[str]:
    """Return arguments that let ffmpeg open this local file and nothing else, whatever its name looks like."""
    limits = ["-v", "error", "-max_alloc", str(_ALLOCATION_BYTES)]
    return [*limits, "-protocol_whitelist", "file", "-format_whitelist", _FORMATS, "-i", f"file:{path.absolute()}"]


class _Progress:
    """Whether a process is waited for, and since when."""

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
        return self._waits and time.monotonic() - self._since_s > _WITHOUT_PROGRESS_S


@contextmanager
def _running(command: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], deque[str], _Progress]]:
    """Run ffmpeg until the block ends or it makes no progress; what it says is collected line by line."""
    said: deque[str] = deque(maxlen=100)
    progress, is_over = _Progress(), threading.Event()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
    )

    def listen() -> None:
        for line in cast(IO[bytes], process.stderr):
            said.append(line.decode(errors="replace").strip())

    def watch() -> None:
        while not is_over.wait(0.5):
            if progress.is_stuck:
                progress.is_killed = True
                process.kill()
                return

    threads = [threading.Thread(target=listen, daemon=True), threading.Thread(target=watch, daemon=True)]
    for thread in threads:
        thread.start()
    finished = False
    try:
        yield process, said, progress
        finished = True
    finally:
        if not finished or cast(IO[bytes], process.stdout).read(1):
            process.kill()
        process.wait()
        is_over.set()
        for thread in threads:
            thread.join()
        cast(IO[bytes], process.stdout).close()
        cast(IO[bytes], process.stderr).close()


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """Ask Linux to end this process when its parent ends; elsewhere a closed pipe ends ffmpeg at its next write."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _why(said: deque[str]) -> str:
    """Return the reason for which ffmpeg stopped."""
    for line in said:
        if "not on whitelist" in line:
            return f"a playlist, or a format that is not read here: {_plain(line.partition(' @ ')[0]).lstrip('[')}"
    return _plain(said[-1]) if said else "ffmpeg does not say why"


def _plain(line: str) -> str:
    """Return a line of ffmpeg's without the part of ffmpeg or the file that it names first."""
    return re.sub(r"^\[[^\]]*\] ", "", line).rsplit(": ", 1)[-1]
