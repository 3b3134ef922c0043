"""Write sound files. They keep the sample rate, channels and length of the samples if the format supports them."""

import io
import math
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile

from ..errors import ConfigError
from ..types import Audio
from . import libsndfile
from .adaptation import Adapter, adaptation
from .atomic import whole_file
from .libsndfile import GapHandle, Handle
from .ogg_pages import OggHandle
from .sample_formats import EVEN, KEPT, is_lossy, is_uneven, sample_bytes
from .sound_info import WAV_LIMIT_BYTES, SoundInfo
from .stem_rounding import check_finite
from .tags import OF_WAV, Tags, flac_blocks, id3, remove_second_flac_comment, vorbis_comment, wav_chunk

FORMATS = {"wav": "WAV", "flac": "FLAC", "mp3": "MP3", "ogg": "OGG"}
# Demucs and audio-separator also write MP3 files at 320 kbit/s; Vorbis needs less for the same quality.
DEFAULT_KBPS = {"mp3": 320, "ogg": 256}
HIGHEST_KBPS = {"mp3": 320, "ogg": 500}
# Nominal bit rates of Vorbis qualities 0 to 10, in steps of 1, for stereo at 44.1 kHz (libvorbis, setup_44.h).
_VORBIS_KBPS = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 500)
# Lowest and highest bit rates of MP3 by sample rate, kbit/s (ISO 11172-3, 13818-3, and LAME for the lowest rates).
_MP3_KBPS = ((32000, (32, 320)), (16000, (8, 160)), (0, (8, 64)))
_FLAC_STREAMINFO_BYTES = 42
_WRITTEN_VALUES = 1 << 18  # samples of all channels at once; each call takes as long as converting some thousands
_ENCODED_FRAMES = 1 << 14  # at once; the bytes that libvorbis writes depend on it


def output_subtype(info: SoundInfo, container: str, subtype: str | None = None) -> str:
    """Return the sample format in which the stems of a sound are written.

    Parameters
    ----------
    info : SoundInfo
        Header of the input.
    container : {"wav", "flac", "mp3", "ogg"}
    subtype : str, optional
        The choice of the user; by default the format of the input, or the nearest one that the container supports.
        For lossy inputs it is 16-bit integers, which exceed the precision of their codec.

    Raises
    ------
    ConfigError
        If the container has no such sample format.
    """
    known = soundfile.available_subtypes(FORMATS[container])
    if subtype is None:
        kept = KEPT.get(info.subtype, info.subtype)
        if container in ("mp3", "ogg"):
            return soundfile.default_subtype(FORMATS[container])
        if is_lossy(kept) or is_uneven(kept):
            return "PCM_16"
        if container == "flac":
            return {"PCM_U8": "PCM_S8", "PCM_16": "PCM_16"}.get(kept, "PCM_24")
        return kept
    if subtype not in known or (container == "wav" and subtype not in EVEN):
        choices = [name for name in known if container != "wav" or name in EVEN]
        raise ConfigError(f"{container} cannot hold {subtype} samples; it can hold {', '.join(choices)}")
    return subtype


def write(
    path: Path,
    samples: np.ndarray,
    rate_hz: int,
    container: str,
    subtype: str,
    tags: Tags | None = None,
    bitrate_kbps: int | None = None,
) -> None:
    """Write a sound file, which appears under its name when it is complete.

    Parameters
    ----------
    samples : ndarray, shape (C, N), from `stem_rounding.fit_stems`
    container : {"wav", "flac", "mp3", "ogg"}
    tags : Tags, optional
        Tags that the container does not support are left out.
    bitrate_kbps : int, optional
        Bit rate of MP3 and Vorbis, kbit/s; by default `DEFAULT_KBPS`.

    Raises
    ------
    OutputError
    """
    with opened(path, samples.shape, rate_hz, container, subtype, tags, bitrate_kbps) as add:
        add(samples)


@contextmanager
def opened(
    path: Path,
    shape: tuple[int, ...],
    rate_hz: int,
    container: str,
    subtype: str,
    tags: Tags | None = None,
    bitrate_kbps: int | None = None,
) -> Iterator[Callable[[np.ndarray], None]]:
    """Give a function that adds a block of shape (C, n) to a sound file.

    Parameters
    ----------
    path, rate_hz, container, subtype, tags, bitrate_kbps
        As for `write`.
    shape : (C, N)
        Shape of all blocks together.
    """
    tags = tags or Tags()
    form = adaptation(rate_hz, shape[0], container, subtype)
    n_bytes = math.prod(shape) * sample_bytes(subtype)
    too_long = container == "wav" and n_bytes > WAV_LIMIT_BYTES
    last_chunk = wav_chunk(tags) if container == "wav" else b""
    with whole_file(path) as part:
        with libsndfile.created(
            part,
            form.rate_hz,
            form.n_channels,
            "RF64" if too_long else FORMATS[container],
            subtype,
            _handle(container, tags),
            **_quality(container, subtype, form.rate_hz, bitrate_kbps),
        ) as file:
            if container == "wav":
                _set_wav_tags(file, tags, n_bytes + len(last_chunk))
            adapter = Adapter(rate_hz, shape[0], form)
            yield lambda samples: _add(file, adapter.convert(samples), subtype)
            _add(file, adapter.rest(), subtype)
        if container == "wav":
            _remove_time(part)
            _add_chunk(part, last_chunk)
        elif container == "flac":
            remove_second_flac_comment(part)


def _add(file: soundfile.SoundFile, samples: np.ndarray, subtype: str) -> None:
    check_finite(samples)
    if samples.dtype == np.int32 and subtype == "PCM_16":  # libsndfile would convert them 4 KB at a time
        samples = (samples >> 16).astype(np.int16)
    n_frames = _ENCODED_FRAMES if is_lossy(subtype) else _WRITTEN_VALUES // len(samples)
    for start in range(0, samples.shape[1], n_frames):
        file.write(samples[:, start : start + n_frames].T)


def mp3(audio: Audio) -> bytes:
    """Return a sound as an MP3 file, with a bit rate for listening in a page."""
    form = adaptation(audio.rate_hz, audio.n_channels, "mp3", "MPEG_LAYER_III")
    file = io.BytesIO()
    with libsndfile.SequentialFile(
        Handle(file), "w", form.rate_hz, form.n_channels, "MPEG_LAYER_III", format="MP3"
    ) as sound:
        adapter = Adapter(audio.rate_hz, audio.n_channels, form)
        for samples in (adapter.convert(audio.samples), adapter.rest()):
            sound.write(np.clip(samples, -1, 1).T)
    return file.getvalue()


def _handle(container: str, tags: Tags) -> Callable[[BinaryIO], Handle]:
    """Return a function that makes the handle which inserts the tags while a file is written."""
    if container == "mp3":
        return lambda file: GapHandle(file, 0, id3(tags))
    if container == "flac":
        return lambda file: GapHandle(file, _FLAC_STREAMINFO_BYTES, flac_blocks(tags))
    if container == "ogg":
        return lambda file: OggHandle(file, vorbis_comment(tags))
    return Handle


def _set_wav_tags(file: soundfile.SoundFile, tags: Tags, n_bytes: int) -> None:
    if tags.software:
        file.software = f"{tags.software}, {n_bytes} bytes of samples and tags"
    for name, text in tags.text.items():
        if name in OF_WAV:
            name = "tracknumber" if name == "track" else name
            with suppress(soundfile.LibsndfileError):
                setattr(file, name, text.encode(errors="replace").decode())  # file names need not be UTF-8


def _quality(container: str, subtype: str, rate_hz: int, bitrate_kbps: int | None) -> dict[str, Any]:
    """Return the compression level of libsndfile, from 0 (best) to 1, for a bit rate."""
    if container not in DEFAULT_KBPS or subtype not in ("MPEG_LAYER_III", "VORBIS"):
        return {}
    kbps = bitrate_kbps or DEFAULT_KBPS[container]
    if subtype == "VORBIS":
        return {"compression_level": 1 - float(np.interp(kbps, _VORBIS_KBPS, np.arange(11))) / 10}
    low, high = _mp3_limits_kbps(rate_hz)
    level = (high - min(max(kbps, low), high)) / (high - low)
    return {"bitrate_mode": "CONSTANT", "compression_level": level}


def _add_chunk(path: Path, chunk: bytes) -> None:
    """Add a chunk of even length to the end of a WAV or RF64 file."""
    if not chunk:
        return
    with open(path, "r+b") as file:
        is_riff = file.read(4) == b"RIFF"
        end = file.seek(0, os.SEEK_END)
        file.write(bytes(end % 2) + chunk)
        size = file.tell() - 8
        file.seek(4 if is_riff else 20)  # the chunk ds64 of an RF64 file begins at 12
        file.write(struct.pack("<I" if is_riff else "<Q", size))


def bitrate_note(container: str, rate_hz: int, bitrate_kbps: int | None) -> str:
    """Return a message about a bit rate of the user that MP3 files of a sample rate cannot have; otherwise nothing."""
    if container != "mp3" or bitrate_kbps is None:
        return ""
    highest = _mp3_limits_kbps(rate_hz)[1]
    return f"--bitrate {bitrate_kbps}: MP3 has at most {highest} kbit/s at {rate_hz} Hz" * (bitrate_kbps > highest)


def _mp3_limits_kbps(rate_hz: int) -> tuple[int, int]:
    return next(limits for from_hz, limits in _MP3_KBPS if rate_hz >= from_hz)


def _remove_time(path: Path) -> None:
    """Erase the time of day in the PEAK chunk of float files, so that the same sound gives the same bytes."""
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
