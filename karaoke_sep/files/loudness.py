"""Measure the loudness of a sound by EBU R 128 (ITU-R BS.1770), with the filter `ebur128` of ffmpeg."""

import math
import re
import subprocess
from collections.abc import Iterable

import numpy as np

from ..errors import OutputError

_SILENT_LUFS = -70.0  # the absolute gate of the standard
_WAIT_S = 60.0


def measure(blocks: Iterable[np.ndarray], rate_hz: int, n_channels: int) -> tuple[float, float]:
    """Return the integrated loudness and the peak of a sound.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (C, n), float
    rate_hz, n_channels : int

    Returns
    -------
    loudness_lufs : float
        In steps of 0.1; minus infinity for silence.
    peak : float
        Highest absolute sample.

    Raises
    ------
    OutputError
        If ffmpeg cannot measure the sound.
    """
    command = ["ffmpeg", "-hide_banner", "-nostats", "-v", "info", "-f", "f32le", "-ar", str(rate_hz)]
    command += ["-ac", str(n_channels), "-i", "pipe:0", "-af", "ebur128=framelog=verbose", "-f", "null", "-"]
    # ffmpeg writes a few lines at the end, which fit into the pipe, so it never waits for this process to read them.
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    peak = 0.0
    with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload]
        try:
            for samples in blocks:
                peak = max(peak, float(np.abs(samples).max(initial=0)))
                process.stdin.write(np.ascontiguousarray(samples.T, "<f4").tobytes())
            _, said = process.communicate(timeout=_WAIT_S)
        except (OSError, subprocess.TimeoutExpired):
            process.kill()
            raise OutputError("ffmpeg cannot measure the loudness; leave out --loudness") from None
        except BaseException:
            process.kill()
            raise
    found = re.search(r"Integrated loudness:\s+I:\s+(-?[\d.]+) LUFS", said.decode(errors="replace"))
    if process.returncode or not found:
        raise OutputError("ffmpeg cannot measure the loudness; leave out --loudness")
    lufs = float(found[1])
    return (lufs if lufs > _SILENT_LUFS else -math.inf), peak
