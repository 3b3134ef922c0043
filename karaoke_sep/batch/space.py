"""Check that there is enough disk space and memory for the inputs."""

import math
import os
import shutil
from pathlib import Path

from ..config import Config
from ..errors import ConfigError
from ..files import sample_formats, writing
from ..files.sound_info import SoundInfo
from .jobs import Job, Order

_MAX_VALUES = 1 << 25  # in memory: 130 MB, twice; 90 s of stereo at 186 kHz
_BYTES_PER_SAMPLE = 32  # at the peak, measured with a stereo song of 5 minutes


def max_samples(job: Job, order: Order, config: Config) -> tuple[float, str]:
    """Return the longest sound of that many channels that this machine can separate, and what limits it."""
    if is_long(job, config) and not order.karaoke.stretches:  # the key and the tempo are changed in memory
        there = next(folder for folder in (order.output, *order.output.absolute().parents) if folder.exists())
        n_bytes = scratch_bytes(job.info, order) + stem_bytes(job, order)
        return shutil.disk_usage(there).free / n_bytes / job.info.n_channels, "on the disk"
    try:
        memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError):  # not on every system
        return math.inf, ""
    return memory_bytes / _BYTES_PER_SAMPLE / job.info.n_channels, "into memory"


def stem_bytes(job: Job, order: Order) -> int:
    """Return the largest size of a sample in all stems together."""
    subtype = writing.output_subtype(job.info, order.container, order.subtype)
    return len(order.sounds) * (2 if order.container in ("mp3", "ogg") else sample_formats.sample_bytes(subtype))


def scratch_bytes(info: SoundInfo, order: Order) -> int:
    """Return the size of a sample in the temporary files of a long recording: the song and the voice."""
    return max(4, sample_formats.sample_bytes(info.subtype)) + (4 if order.sounds else 0)


def n_values(info: SoundInfo) -> int:
    """Return the number of samples of all channels."""
    return (info.n_samples or 0) * info.n_channels


def check_room(output: Path, needed_bytes: int) -> None:
    """Reject an output that is not a folder, is read-only, or is on a disk without enough space."""
    try:
        there = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
    except OSError as err:
        raise ConfigError(f"--output {output}: cannot be created ({(err.strerror or '').lower()})") from None
    if not there.is_dir():
        raise ConfigError(f"--output {output}: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"--output {output}: nothing can be written in {there}; permission denied")
    free_bytes = shutil.disk_usage(there).free
    if needed_bytes > free_bytes:
        raise ConfigError(
            f"--output {output}: the stems and the temporary files need up to {_size(needed_bytes)}, and "
            f"{_size(free_bytes)} are free there; choose another disk, or --format mp3"
        )


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


def is_long(job: Job, config: Config) -> bool:
    """Return whether the samples of an input are kept on the disk during the separation."""
    return (job.info.duration_s or math.inf) > config.parts.from_s or n_values(job.info) > _MAX_VALUES
