"""Write the sounds of a track: its stems and its backing track. The backing track of a video is a video."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import backing
from ..files import atomic, foreign, libsndfile, loudness, stem_rounding, video, writing
from ..files.adaptation import adaptation
from ..files.sample_formats import full_scale_of
from ..files.tags import Tags
from ..recording import Samples
from ..settings.catalogue import STEMS
from ..types import Audio
from .jobs import Job, Order
from .separation import Separated
from .silence import VocalsCheck

_TOP = 1 - 2.0**-15  # of full scale, which 16 bits can hold
_BLOCK_VALUES = 1 << 18  # samples of all channels, 1 MB; larger blocks leave the cache, smaller ones cost more calls
_LEAST_BLOCK = 1 << 14  # each block is a multiple of it, as encoders take that many samples at once
_Sounds = Iterator[dict[str, np.ndarray]]  # by product, each (C, n)
_Blocks = Callable[[], Iterator[tuple[np.ndarray, ...]]]  # mixture and vocals, or one sound; each (C, n)


def write(job: Job, order: Order, separated: Separated) -> tuple[dict[str, float], list[str]]:
    """Write the sounds block by block; return their RMS levels, dB re full scale, and notes for the user."""
    about = replace(separated.about, software=foreign.MARK.decode())
    subtype = writing.output_subtype(job.info, order.container, order.subtype)
    if separated.song is None:
        return _convert(job, order, subtype, about)
    check, (song, _) = VocalsCheck(), separated.both
    levels_db: dict[str, float] = {}
    told: dict[str, None] = {}  # without repetitions
    for names, blocks_of in ((STEMS, _stem_blocks), (("karaoke",), _backing_blocks)):
        asked = [name for name in names if name in job.targets]
        if not asked:
            continue
        blocks = blocks_of(*separated.both, order)
        if order.karaoke.loudness_lufs is not None and names != STEMS:
            blocks, note = _at_loudness(blocks, song, order.karaoke.loudness_lufs)
            told[note] = None
        fit = stem_rounding.fit_for(blocks(), subtype, order.clip)
        if names == STEMS:
            sounds: _Sounds = (fit.stems(*block) for block in _checked(blocks, check))
        else:
            sounds = ({"karaoke": fit.sound(*block)} for block in blocks())
        shape = (song.n_channels, round(song.n_samples / (1 if names == STEMS else order.karaoke.tempo_ratio)))
        levels_db |= _write(job, order, asked, sounds, (shape, song.rate_hz, order.container, fit.subtype), about)
        written = adaptation(song.rate_hz, song.n_channels, order.container, fit.subtype)
        kbps = writing.bitrate_note(order.container, written.rate_hz, order.bitrate_kbps)
        told |= dict.fromkeys((fit.note, written.note, kbps))
    told[check.warning] = None
    return levels_db, [note for note in told if note]


def _convert(job: Job, order: Order, subtype: str, about: Tags) -> tuple[dict[str, float], list[str]]:
    """Write the sounds as `write` does, from WAV files with the same samples instead of from the song."""
    levels_db: dict[str, float] = {}
    told: dict[str, None] = {}
    for name, path in job.as_wav.items():
        with libsndfile.opened(path) as (file, _):
            form = ((file.channels, file.frames), file.samplerate, order.container, subtype)
            dtype = "int16" if file.subtype == "PCM_16" else "int32"
            blocks = libsndfile.read_blocks(file, _n_block(file.channels), dtype)
            levels_db |= _write(job, order, [name], ({name: block} for block in blocks), form, about)
            told[adaptation(file.samplerate, file.channels, order.container, subtype).note] = None
    return levels_db, [note for note in told if note]


def _write(
    job: Job, order: Order, names: list[str], sounds: _Sounds, form: tuple[tuple[int, int], int, str, str], about: Tags
) -> dict[str, float]:
    """Write one or more sounds at the same time; return their RMS levels, dB re full scale.

    ``form`` is the shape, the sample rate, the container and the sample format, as `writing.opened` takes them.
    """
    if names == ["karaoke"]:
        title = f"{about.text.get('title', job.source.stem)} (karaoke)"
        about = replace(about, text={**about.text, "title": title})
    shape, squares = form[0], dict.fromkeys(names, 0.0)
    with ExitStack() as files:
        adders = {
            name: files.enter_context(writing.opened(_sound(job, order, name), *form, about, order.bitrate_kbps))
            for name in names
        }
        for block in sounds:
            for name, add in adders.items():
                squares[name] += _energy(block[name])
                add(block[name])
    for name in names:
        target, sound = job.targets[name], _sound(job, order, name)
        if sound != target:
            with atomic.whole_file(target) as part:
                whole = (target.suffix[1:], about.text["title"], order.video == "add")
                video.write(job.source, job.info.stream, sound, part, *whole)
            sound.unlink()
    n_values = max(math.prod(shape), 1)
    return {name: float(10 * np.log10(total / n_values + 1e-20)) for name, total in squares.items()}


def _sound(job: Job, order: Order, name: str) -> Path:
    """Return the sound file that is written for a product, which may become a video."""
    return job.targets[name].with_suffix(f".{order.container}")


def _bounds(song: Samples) -> Iterator[tuple[int, int]]:
    """Yield the first sample, and the first sample after, of each block."""
    n_block = _n_block(song.n_channels)
    for start in range(0, song.n_samples, n_block):
        yield start, min(song.n_samples, start + n_block)


def _n_block(n_channels: int) -> int:
    return _LEAST_BLOCK * max(1, _BLOCK_VALUES // (_LEAST_BLOCK * n_channels))


def _stem_blocks(song: Samples, voice: Samples, order: Order) -> _Blocks:
    """Return a function that yields mixture and vocals block by block."""
    return lambda: (
        (song.excerpt(start, stop).samples, voice.excerpt(start, stop).samples) for start, stop in _bounds(song)
    )


def _checked(blocks: _Blocks, check: VocalsCheck) -> Iterator[tuple[np.ndarray, ...]]:
    for mixture, vocals in blocks():
        check.add(mixture, vocals)
        yield mixture, vocals


def _backing_blocks(song: Samples, voice: Samples, order: Order) -> _Blocks:
    """Return a function that yields the backing track block by block."""

    def make(start: int, stop: int) -> Audio:
        return backing.make(song.excerpt(start, stop), voice.excerpt(start, stop), order.karaoke)

    # Key and tempo are changed for the whole song at once: the library cannot continue from block to block.
    whole = make(0, song.n_samples) if order.karaoke.stretches else None
    return lambda: (((whole.excerpt if whole else make)(*pair).samples,) for pair in _bounds(whole or song))


def _at_loudness(blocks: _Blocks, song: Samples, target_lufs: float) -> tuple[_Blocks, str]:
    """Return the backing track with a gain that gives it a loudness, and a note if the gain is limited by its peaks."""
    lufs, peak = loudness.measure((track for (track,) in blocks()), song.rate_hz, song.n_channels)
    if lufs == -math.inf:
        why = "too short or too soft to measure" if peak else "silent"
        return blocks, f"the backing track is {why}, so --loudness has no effect"
    wanted, most = 10 ** ((target_lufs - lufs) / 20), _TOP / peak
    gain, note = np.float32(min(wanted, most)), ""
    if most < wanted:
        reached_lufs = lufs + 20 * math.log10(most)
        note = f"--loudness {target_lufs:g}: reduced to {reached_lufs:.1f} LUFS, because more would clip"
    return lambda: ((gain * track,) for (track,) in blocks()), note


def _energy(samples: np.ndarray) -> float:
    """Sum of squares, full scale 1.0."""
    flat = samples.ravel("K")
    flat = flat.astype(np.float32) if samples.dtype.kind == "i" else flat
    return float(np.dot(flat, flat)) / full_scale_of(samples.dtype) ** 2
