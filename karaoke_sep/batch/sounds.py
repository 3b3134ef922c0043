"""Write the sounds of a track: its stems and its backing track. The backing track of a video is a video."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from .. import backing
from ..files import atomic, stem_rounding, tags, video, writing
from ..files.adaptation import adaptation
from ..files.stem_rounding import Fit
from ..files.tags import Tags
from ..recording import blocks
from ..settings.catalogue import STEMS
from .jobs import Job, Order
from .separation import Separated
from .silence import VocalsCheck

_Pairs = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]  # mixture and vocals, each (C, n), block by block


def write(job: Job, order: Order, separated: Separated) -> tuple[dict[str, float], list[str]]:
    """Write the sounds block by block; return their RMS levels, dB re full scale, and notes for the user."""
    check, about, song = VocalsCheck(), tags.read(job.source, job.info.tags), separated.song
    subtype = writing.output_subtype(job.info, order.container, order.subtype)
    levels_db: dict[str, float] = {}
    told: dict[str, None] = {}  # without repetitions
    for names, pairs in ((STEMS, _stem_pairs(separated)), (("karaoke",), _backing_pairs(separated, order))):
        asked = [name for name in names if name in job.targets]
        if not asked:
            continue
        fit = stem_rounding.fit_for(pairs(), subtype, order.clip)
        for name in asked:
            source = partial(_checked, pairs, check) if name == asked[0] in STEMS else pairs
            levels_db[name] = _write_one(job, order, name, source, fit, separated, about)
        written = adaptation(song.rate_hz, song.n_channels, order.container, fit.subtype)
        told |= dict.fromkeys((fit.note, written.note))
    told[check.warning] = None
    return levels_db, [note for note in told if note]


def _write_one(job: Job, order: Order, name: str, pairs: _Pairs, fit: Fit, separated: Separated, about: Tags) -> float:
    """Write one sound; return its RMS level, dB re full scale."""
    song, target, squares = separated.song, job.targets[name], 0.0
    is_backing = name == "karaoke"

    def pieces() -> Iterator[np.ndarray]:
        nonlocal squares
        for mixture, vocals in pairs():
            samples = fit.stems(mixture, vocals)["accompaniment" if is_backing else name]
            squares += _energy(samples)
            yield samples

    if is_backing:
        title = f"{about.text.get('title', job.source.stem)} (karaoke)"
        about = replace(about, text={**about.text, "title": title})
    shape = (song.n_channels, round(song.n_samples / (order.karaoke.tempo_ratio if is_backing else 1)))
    sound = target.with_suffix(f".{order.container}")
    form = (order.container, fit.subtype, about, order.bitrate_kbps)
    writing.write_blocks(sound, pieces(), shape, song.rate_hz, *form)
    if sound != target:
        with atomic.whole_file(target) as part:
            whole = (target.suffix[1:], about.text["title"], order.video == "add")
            video.write(job.source, job.info.stream, sound, part, *whole)
        sound.unlink()
    return float(10 * np.log10(squares / max(math.prod(shape), 1) + 1e-20))


def _stem_pairs(separated: Separated) -> _Pairs:
    """Return a function that yields mixture and vocals block by block."""
    song, voice = separated.song, separated.voice
    return lambda: (
        (song.excerpt(start, stop).samples, voice.excerpt(start, stop).samples) for start, stop in blocks(song)
    )


def _checked(pairs: _Pairs, check: VocalsCheck) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for mixture, vocals in pairs():
        check.add(mixture, vocals)
        yield mixture, vocals


def _backing_pairs(separated: Separated, order: Order) -> _Pairs:
    """Return a function that yields the backing track as a mixture without vocals, block by block."""
    song, voice = separated.song, separated.voice

    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        # Key and tempo are changed for the whole song at once: the library cannot continue from block to block.
        for start, stop in [(0, song.n_samples)] if order.karaoke.stretches else blocks(song):
            track = backing.make(song.excerpt(start, stop), voice.excerpt(start, stop), order.karaoke).samples
            yield track, np.zeros_like(track)

    return pairs


def _energy(samples: np.ndarray) -> float:
    """Sum of squares, full scale 1.0."""
    flat = samples.ravel().astype(np.float64) / (2.0**31 if samples.dtype == np.int32 else 1.0)
    return float(np.dot(flat, flat))
