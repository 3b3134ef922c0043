"""Store the voice and the pitch of a song beside its record, so that further products need no second separation.

The voice is rounded to the bits of the song, 16 for lossy formats, before any product is made. So each product has the
same bytes whether the voice was just separated or comes from the store. Stems of the same bits do not change by it. A
song with more than 24 bits is not rounded, and its voice is not stored.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ..files import atomic, libsndfile, writing
from ..files.adaptation import adaptation
from ..files.sample_formats import INTEGER_BITS
from ..files.sound_info import SoundInfo
from ..recording import Samples, Storage, blocks
from ..types import PitchTrack
from .jobs import Job, Order

VOICE, TRACK = "voice", "track"
MAX_S = 1800.0  # of a song; the voice takes about 2 MB a minute
_BLOCK_FRAMES = 1 << 18


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


def write(job: Job, voice: Samples, track: PitchTrack, bits: int | None) -> None:
    """Write what a job is to store, if the voice is rounded and a FLAC file can hold it."""
    if VOICE not in job.targets or bits is None or voice.n_samples > MAX_S * voice.rate_hz:
        return
    subtype = f"PCM_{bits}"
    if adaptation(voice.rate_hz, voice.n_channels, "flac", subtype).note:
        return

    def integers() -> Iterator[np.ndarray]:
        for start, stop in blocks(voice):
            yield np.rint(voice.excerpt(start, stop).samples * 2.0**31).astype(np.int32)

    shape = (voice.n_channels, voice.n_samples)
    writing.write_blocks(job.targets[VOICE], integers(), shape, voice.rate_hz, "flac", subtype)
    with atomic.whole_file(job.targets[TRACK]) as part, open(part, "wb") as file:
        np.savez(file, times_s=track.times_s, f0_hz=track.f0_hz, voicing=track.voicing)


def read(files: Mapping[str, Path], voice: Storage) -> PitchTrack:
    """Read a stored voice into ``voice``, and return its pitch."""
    with libsndfile.opened(files[VOICE]) as (file, _):
        start = 0
        while len(samples := file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
            voice.put(start, samples.T)
            start += len(samples)
    with np.load(files[TRACK], allow_pickle=False) as arrays:
        return PitchTrack(arrays["times_s"], arrays["f0_hz"], arrays["voicing"])
