"""Read with the ffmpeg on the PATH what libsndfile does not know: m4a, aac, wma, webm, video."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np

from ..errors import InputError

BLOCK_FRAMES = 1 << 12


class BrokenOffError(InputError):
    """A sound cannot be read further."""


def input_arguments(path: Path) -> list[str]:
    """Arguments that let ffmpeg open this local file and nothing else, whatever its name looks like."""
    return ["-v", "error", "-protocol_whitelist", "file,pipe", "-i", f"file:{path.absolute()}"]


def decode(path: Path, rate_hz: int, n_channels: int) -> Iterator[np.ndarray]:
    """Yield the sound in blocks of shape (C, n)."""
    command = ["ffmpeg", "-nostdin", *input_arguments(path), "-map", "0:a:0"]
    command += ["-ar", str(rate_hz), "-ac", str(n_channels), "-c:a", "pcm_f32le", "-f", "f32le", "pipe:1"]
    n_bytes = 4 * n_channels * BLOCK_FRAMES
    with (
        tempfile.TemporaryFile() as said,  # a pipe that nobody empties would stop ffmpeg
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said) as process,
    ):
        try:
            while data := cast(IO[bytes], process.stdout).read(n_bytes):
                whole = len(data) - len(data) % (4 * n_channels)
                yield np.frombuffer(data[:whole], "<f4").reshape(-1, n_channels).T
            failed = process.wait() != 0
        finally:
            process.kill()
        if failed:
            said.seek(0)
            raise BrokenOffError(f"{path}: breaks off ({last_line(said.read(), 'ffmpeg does not say why')})")


def last_line(stderr: bytes, otherwise: str) -> str:
    """What ffmpeg complained of last, without the file name in front."""
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1].rsplit(": ", 1)[-1] if lines else otherwise
