"""Store the voice and the pitch of a song below the output folder, so that further products need no new separation.

Their names do not depend on the names of the outputs, so that each command finds the voices of the other.

The notes are stored, too, so that notes and contours need neither the voice nor the song. The tags are stored because
ffprobe takes a tenth of a second to read them.

The voice is rounded to the bits of the song, 16 for lossy formats, before any product is made. So each product has the
same bytes whether the voice was just separated or comes from the store. Stems of the same bits do not change by it. A
song with more than 24 bits is not rounded, and its voice is not stored.
"""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import __version__
from ..files import atomic, libsndfile, writing
from ..files.adaptation import adaptation
from ..files.sample_formats import INTEGER_BITS
from ..files.samples_on_disk import SampleFile
from ..files.sound_info import SoundInfo
from ..files.tags import Tags
from ..recording import Samples, Storage, blocks
from ..types import Audio, Note, PitchTrack
from . import record
from .jobs import Job, Order

VOICE, TRACK = "voice", "track"
FORMAT = 6  # of the stored files; those of another format are not read
_SUFFIXES = {VOICE: ".flac", TRACK: ".npz"}
_MAX_SEPARATIONS = 3  # of a song: one for each strength that has a name
MAX_S = 1800.0  # of a song; the voice takes about 2 MB a minute
_BLOCK_FRAMES = 1 << 17  # at once; for fewer, reading takes up to a quarter longer


class Kept(NamedTuple):
    """What is stored of a separation, except the voice.

    Attributes
    ----------
    track : PitchTrack, (T,)
    notes : tuple of Note
    seconds : float
        Length of the song.
    warnings : tuple of str
        Messages for the user, without the name of the song.
    about : Tags or None
        Tags of the song; None if they were read without ffmpeg, which reads more of them.
    """

    track: PitchTrack
    notes: tuple[Note, ...]
    seconds: float
    warnings: tuple[str, ...]
    about: Tags | None


def paths(output: Path, job: Job, of_input: Mapping[str, str | int]) -> dict[str, Path]:
    """Return the files of a separation below an output folder.

    Parameters
    ----------
    of_input : mapping
        Identity of the input, from `record.identity`.
    """
    parts = (os.path.realpath(job.source), json.dumps([of_input, __version__]))
    song, origin = (hashlib.sha256(os.fsencode(part)).hexdigest()[:16] for part in parts)
    folder = output / record.FOLDER / "voices" / song
    return {name: folder / f"{origin}-{job.separation}{suffix}" for name, suffix in _SUFFIXES.items()}


def find(job: Job, order: Order, of_input: Mapping[str, str | int]) -> dict[str, Path]:
    """Return the stored files of a separation, the nearest ones first; empty if there are none, or damaged ones."""
    found = (paths(output, job, of_input) for output in (order.output, *order.shared_stores))
    return next(filter(_are_whole, found), {})


def keep(parts: Mapping[str, Path], files: Mapping[str, Path]) -> None:
    """Move new files to their places, if they were written, and remove all but the latest separations of the song."""
    if not files or not all(parts[name].exists() for name in files):
        return
    with suppress(OSError):  # the products are there; only the next ones take longer
        for name, path in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(parts[name], path)
        tracks = sorted(path.parent.glob("*.npz"), key=lambda track: track.stat().st_mtime_ns, reverse=True)
        origin = path.name.partition("-")[0]
        current = [track for track in tracks if track.name.partition("-")[0] == origin]
        for track in set(tracks) - set(current[:_MAX_SEPARATIONS]):
            for suffix in _SUFFIXES.values():
                track.with_suffix(suffix).unlink(missing_ok=True)


def _are_whole(files: Mapping[str, Path]) -> bool:
    """Return whether both files are there and undamaged, and the voice is the one that belongs to the pitch."""
    try:
        with np.load(files[TRACK], allow_pickle=False) as arrays:
            values = dict(arrays)  # the checksum of each is checked
        return json.loads(str(values["text"]))["voice"] == record.content_of(files[VOICE]).sha256
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return False


def n_bits(info: SoundInfo, order: Order) -> int | None:
    """Return the bits to which the voice of a song is rounded; None if the song or the ordered stems have more."""
    bits = max(16, INTEGER_BITS.get(writing.output_subtype(info, "wav"), 32))
    ordered = ({"FLOAT": 32, "DOUBLE": 64} | INTEGER_BITS).get(order.subtype or "", 0)
    return bits if bits <= 24 and ordered <= bits else None


def round_voice(voice: Storage, job: Job, order: Order) -> int | None:
    """Round a voice in place; return the number of bits, or None if it is not rounded or exceeds full scale."""
    bits = n_bits(job.info, order)
    if bits is None:
        return None
    scale = np.float32(2.0 ** (bits - 1))
    if any(np.abs(voice.excerpt(*block).samples).max(initial=0) > 1 - 1 / scale for block in blocks(voice)):
        return None
    for start, stop in blocks(voice):
        voice.put(start, np.rint(voice.excerpt(start, stop).samples * scale) / scale)
    return bits


def write(job: Job, voice: Samples, kept: Kept, bits: int | None) -> None:
    """Write what a job is to store, if the voice is rounded and a FLAC file can hold it."""
    if bits is None or kept.seconds > MAX_S:
        return
    subtype = f"PCM_{bits}"
    if adaptation(voice.rate_hz, voice.n_channels, "flac", subtype).note:
        return
    shape = (voice.n_channels, voice.n_samples)
    with writing.opened(job.targets[VOICE], shape, voice.rate_hz, "flac", subtype) as add:
        for start, stop in blocks(voice):
            add(np.rint(voice.excerpt(start, stop).samples * 2.0**31).astype(np.int32))
    track, tags = kept.track, kept.about
    text = {
        "seconds": kept.seconds,
        "warnings": kept.warnings,
        "tags": dict(tags.text) if tags else None,
        "notes": [astuple(note) for note in kept.notes],
        "voice": record.content_of(job.targets[VOICE]).sha256,
    }
    arrays: dict[str, Any] = {"times_s": track.times_s, "f0_hz": track.f0_hz, "voicing": track.voicing}
    arrays |= {"text": np.array(json.dumps(text)), "cover": np.frombuffer(tags.cover if tags else b"", np.uint8)}
    with atomic.whole_file(job.targets[TRACK]) as part, open(part, "wb") as file:
        np.savez(file, **arrays)


def read(files: Mapping[str, Path]) -> Kept:
    """Read what is stored, except the voice."""
    with np.load(files[TRACK], allow_pickle=False) as arrays:
        text = json.loads(str(arrays["text"]))
        track = PitchTrack(arrays["times_s"], arrays["f0_hz"], arrays["voicing"])
        notes = tuple(Note(*values) for values in text["notes"])
        about = None if text["tags"] is None else Tags(text["tags"], arrays["cover"].tobytes())
    return Kept(track, notes, text["seconds"], tuple(text["warnings"]), about)


def read_voice(files: Mapping[str, Path], folder: Path | None) -> Audio | SampleFile:
    """Return a stored voice, in memory or on the disk in ``folder``."""
    with libsndfile.opened(files[VOICE]) as (file, _):
        if folder is None:
            blocks = list(libsndfile.read_blocks(file, _BLOCK_FRAMES, "float32"))
            return Audio(np.concatenate(blocks, axis=1), file.samplerate)
        dtype = "int16" if file.subtype == "PCM_16" else "float32"
        voice = SampleFile(folder, file.samplerate, file.channels, dtype)
        try:
            for samples in libsndfile.read_blocks(file, _BLOCK_FRAMES, dtype):
                voice.append(samples)
        except BaseException:
            voice.__exit__()
            raise
        return voice
