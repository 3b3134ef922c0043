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
from ..recording import Samples, Storage, blocks
from ..types import PitchTrack
from .jobs import Job, Order

VOICE, TRACK = "voice", "track"
PRODUCTS = (VOICE, TRACK)
MAX_S = 1800.0  # of a song; the voice takes about 2 MB a minute
_BLOCK_FRAMES = 1 << 18


def round_voice(voice: Storage, job: Job, order: Order) -> int | None:
    """Round a voice in place to the bits of its song; return their number, or None if it is not rounded.

    It is not rounded if it passes full scale, or if the outputs have more bits.
    """
    n_bits = _n_bits(job, order)
    if n_bits is None:
        return None
    scale = np.float32(2.0 ** (n_bits - 1))
    if any(np.abs(voice.excerpt(*block).samples).max(initial=0) > 1 - 1 / scale for block in blocks(voice)):
        return None
    for start, stop in blocks(voice):
        voice.put(start, np.rint(voice.excerpt(start, stop).samples * scale) / scale)
    return n_bits


def _n_bits(job: Job, order: Order) -> int | None:
    n_bits = max(16, INTEGER_BITS.get(writing.output_subtype(job.info, "wav"), 32))
    asked = {"FLOAT": 32, "DOUBLE": 64} | INTEGER_BITS
    return n_bits if max(n_bits, asked.get(order.subtype or "", 0)) <= n_bits <= 24 else None


def write(job: Job, voice: Samples, track: PitchTrack, n_bits: int | None) -> None:
    """Write what a job is to store, if the voice is rounded and a FLAC file can hold it."""
    if VOICE not in job.targets or n_bits is None or voice.n_samples > MAX_S * voice.rate_hz:
        return
    subtype = f"PCM_{n_bits}"
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
