"""Write the sounds of a track: its stems and its backing track. The backing track of a video is a video."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from .. import backing
from ..files import atomic, loudness, stem_rounding, tags, video, writing
from ..files.adaptation import adaptation
from ..files.stem_rounding import Fit
from ..files.tags import Tags
from ..recording import Samples, blocks
from ..settings.catalogue import STEMS
from ..types import Audio
from .jobs import Job, Order
from .separation import Separated
from .silence import VocalsCheck

_TOP = 1 - 2.0**-15  # of full scale, which 16 bits can hold
_Pairs = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]  # mixture and vocals, each (C, n), block by block


def write(job: Job, order: Order, separated: Separated) -> tuple[dict[str, float], list[str]]:
    """Write the sounds block by block; return their RMS levels, dB re full scale, and notes for the user."""
    check, about, song = VocalsCheck(), tags.read(job.source, job.info.tags), separated.song
    subtype = writing.output_subtype(job.info, order.container, order.subtype)
    levels_db: dict[str, float] = {}
    told: dict[str, None] = {}  # without repetitions
    for names, pairs_of in ((STEMS, _stem_pairs), (("karaoke",), _backing_pairs)):
        asked = [name for name in names if name in job.targets]
        if not asked:
            continue
        pairs = pairs_of(separated, order)
        if order.karaoke.loudness_lufs is not None and names != STEMS:
            pairs, note = _at_loudness(pairs, song, order.karaoke.loudness_lufs)
            told[note] = None
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


def _stem_pairs(separated: Separated, order: Order) -> _Pairs:
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

    def make(start: int, stop: int) -> Audio:
        return backing.make(song.excerpt(start, stop), voice.excerpt(start, stop), order.karaoke)

    # Key and tempo are changed for the whole song at once: the library cannot continue from block to block.
    whole = make(0, song.n_samples) if order.karaoke.stretches else None

    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start, stop in blocks(whole or song):
            track = (whole.excerpt if whole else make)(start, stop).samples
            yield track, np.zeros_like(track)

    return pairs


def _at_loudness(pairs: _Pairs, song: Samples, target_lufs: float) -> tuple[_Pairs, str]:
    """Return the backing track with a gain that gives it a loudness, and a note if the gain is limited by its peaks."""
    lufs, peak = loudness.measure((track for track, _ in pairs()), song.rate_hz, song.n_channels)
    if lufs == -math.inf:
        return pairs, "the backing track is silent, so --loudness has no effect"
    wanted, most = 10 ** ((target_lufs - lufs) / 20), _TOP / peak
    gain, note = np.float32(min(wanted, most)), ""
    if most < wanted:
        reached_lufs = lufs + 20 * math.log10(most)
        note = f"--loudness {target_lufs:g}: reduced to {reached_lufs:.1f} LUFS, because more would clip"
    return lambda: ((gain * track, vocals) for track, vocals in pairs()), note


def _energy(samples: np.ndarray) -> float:
    """Sum of squares, full scale 1.0."""
    flat = samples.ravel().astype(np.float64) / (2.0**31 if samples.dtype == np.int32 else 1.0)
    return float(np.dot(flat, flat))
