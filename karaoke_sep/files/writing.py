"""Write sound files. They keep the rate, the channels and the length of what they are given."""

import math
import os
import struct
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import numpy as np
import soundfile
import soxr

from ..errors import ConfigError, InputError
from ..types import Audio
from .atomic import whole_file
from .sample_formats import EVEN, LOSSY, is_uneven, sample_bytes
from .sound_info import WAV_LIMIT_BYTES, SequentialFile, SoundInfo, libsndfile_name

FORMATS = {"wav": "WAV", "flac": "FLAC", "mp3": "MP3", "ogg": "OGG"}
_KEPT = {"PCM_S8": "PCM_U8", "ALAC_16": "PCM_16", "ALAC_20": "PCM_24", "ALAC_24": "PCM_24", "ALAC_32": "PCM_32"}
_MP3_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_OPUS_RATES_HZ = (8000, 12000, 16000, 24000, 48000)
_MAX_CHANNELS = {"wav": 1024, "flac": 8, "mp3": 2, "ogg": 255}
_WRITTEN_FRAMES = 1 << 14  # at once


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
            subtype = {"PCM_U8": "PCM_S8", "PCM_16": "PCM_16"}.get(kept, "PCM_16" if is_uneven(kept) else "PCM_24")
        else:
            subtype = "FLOAT" if LOSSY.search(kept) else "PCM_16" if is_uneven(kept) else kept
    elif subtype not in known or (container == "wav" and subtype not in EVEN):
        choices = [name for name in known if container != "wav" or name in EVEN]
        raise ConfigError(f"{container} cannot hold {subtype} samples; it can hold {', '.join(choices)}")
    rates_hz = {"MPEG_LAYER_III": _MP3_RATES_HZ, "OPUS": _OPUS_RATES_HZ}.get(subtype)
    if rates_hz and info.rate_hz not in rates_hz:
        raise InputError(f"{container} cannot hold {info.rate_hz} Hz, only {', '.join(map(str, rates_hz))}; use wav")
    if info.n_channels > _MAX_CHANNELS[container]:
        raise InputError(
            f"{container} cannot hold {info.n_channels} channels, only up to {_MAX_CHANNELS[container]}; use wav"
        )
    return subtype


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
    too_long = container == "wav" and math.prod(shape) * sample_bytes(subtype) > WAV_LIMIT_BYTES
    name = "RF64" if too_long else FORMATS[container]
    with whole_file(path) as part:
        with SequentialFile(libsndfile_name(part), "w", rate_hz, shape[0], subtype, format=name) as file:
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
