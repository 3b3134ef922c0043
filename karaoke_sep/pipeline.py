"""The method, from top to bottom.

For the whole song
    song -> mono mix at 8 kHz -> melody enhancement -> pitch -> whitening -> refined pitch -> evidence of singing,
for each segment
    spectrum -> harmonic mask -> accompaniment -> joint model -> gain -> voice estimate  (`segment`),
and for the whole song again
    voice estimate -> vocal activity, presence of singing -> vocals; accompaniment = mixture - vocals.

A song is any `recording.Samples`: an array in memory or a file on the disk. It is read in parts and segments
(`parts`), so that memory does not grow with its length.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import soxr

from . import accompaniment, parts, pitch
from .activity import FrameFeatures, Gate, GateInputs, LimitedGate, on_grid
from .config import Config, as_config
from .processes.threads import one_thread
from .recording import Buffer, Samples, Storage, as_recording, as_track, blocks, mono_between, peak_of, shifted
from .segment import separate_segment
from .steps import melody_enhancement, pitch_refinement, singing_presence, whitening
from .types import Audio, PitchTrack, Separation

ANALYSIS_RATE_HZ = 8_000  # instead of 16 kHz: vocals +0.05 dB, songs +0.15 dB
NO_PITCH_HOP_S = 0.1

Progress = Callable[[str, float], None]


def silent(stage: str, done: float) -> None:
    """Report no progress."""


def separate(
    audio: Samples | np.ndarray | str | os.PathLike,
    rate_hz: int | None = None,
    config: Config | str | os.PathLike | Mapping | None = None,
    *,
    track: PitchTrack | None = None,
    progress: Progress = silent,
) -> Separation:
    """Separate a song into vocals and accompaniment, in memory.

    Parameters
    ----------
    audio : path, `Audio`, or ndarray of shape (N,) or (C, N), float, full scale 1.0
        A sound file is read into memory; `warnings.warn` tells if it is damaged.
    rate_hz : int
        Sample rate of an array; a file and an `Audio` have their own.
    config : Config, str, path or dict, optional
        From `load_config`, or what it takes, such as the name "fast"; by default the default config.
    track : PitchTrack, optional
        The sung pitch, if it is known; by default it is estimated.
    progress : callable, optional
        Called with the name of the stage, "pitch" or "separation", and the fraction of it that is done, 0..1.

    Returns
    -------
    Separation
        Stems with the rate, channels and length of the input; they add up to it.

    Raises
    ------
    InputError
        If a file cannot be read, the samples are too few or not finite, or a track has arrays of different lengths or
        values out of range.
    ConfigError
        If a setting is wrong, or a trained model is missing or does not fit the settings.
    """
    song = as_recording(audio, rate_hz)
    vocals = Buffer.like(song)
    track = as_track(track) if track else None
    track = separate_to(vocals, song, as_config(config), track=track, progress=progress)
    mixture = song.excerpt(0, song.n_samples).samples
    return Separation(Audio(vocals.samples, song.rate_hz), Audio(mixture - vocals.samples, song.rate_hz), track)


@one_thread()
def separate_to(
    vocals: Storage, song: Samples, config: Config, *, track: PitchTrack | None = None, progress: Progress = silent
) -> PitchTrack:
    """Write the vocals of a song to ``vocals``, which is silent or empty before; return the pitch in use.

    Parameters and errors as for `separate`.
    """
    check_models(config)
    track = track or find_pitch(song, config=config, progress=progress)
    features = estimate_voice(song, vocals, track, config, progress)
    inputs = GateInputs(song, vocals, features, track, config.stft.hop_ms)
    write_gated(song, vocals, vocals, gate_of(inputs, config))
    return track


@one_thread()
def find_pitch(
    audio: Samples | np.ndarray | str | os.PathLike,
    rate_hz: int | None = None,
    config: Config | str | os.PathLike | Mapping | None = None,
    *,
    progress: Progress = silent,
) -> PitchTrack:
    """Estimate the sung melody of a song, without separating it.

    Parameters
    ----------
    audio, rate_hz, config, progress
        As for `separate`.

    Returns
    -------
    PitchTrack
        In steps of the hop of the pitch backend, 16 ms by default.

    Raises
    ------
    InputError, ConfigError
        As `separate` does.
    """
    song, config = as_recording(audio, rate_hz), as_config(config)
    peak, duration_s = peak_of(song), song.n_samples / song.rate_hz
    if not accompaniment.needs_pitch(config.accompaniment):
        return no_pitch(duration_s)
    if known := pitch.known(config.pitch):
        return known
    tracks = []
    for from_s, begin_s, end_s, to_s in parts.part_bounds_s(duration_s, pitch_alignment_s(config), config.parts):
        mono = analysis_signal(mono_between(song, round(from_s * song.rate_hz), round(to_s * song.rate_hz)), peak)
        melody = melody_enhancement.enhance(mono, config.melody_enhancement)
        progress("pitch", (0.6 * begin_s + 0.4 * end_s) / duration_s)
        track = shifted(pitch_of_part(mono, melody, config), from_s)
        tracks.append(track.between(begin_s, end_s if end_s < to_s else np.inf))
        progress("pitch", end_s / duration_s)
    return pitch.joined(tracks, getattr(config.pitch.params, "hop_ms", None))


def pitch_of_part(mono: Audio, melody: Audio, config: Config) -> PitchTrack:
    """Estimate the sung melody of a part from its mono mix and its enhanced melody, times from its start."""
    track = config.pitch.method.track(melody, config.pitch.params)
    white = whitening.whiten(mono, track, config.harmonic_mask, config.whitening)
    track = pitch_refinement.refine(track, white, melody, config.pitch_refinement)
    if not config.pitch_refinement.enabled:  # on the grid of a backend the pitch moves in steps
        return track
    return replace(track, evidence_T=singing_presence.evidence(track, mono, config.singing_presence))


def estimate_voice(
    song: Samples, voice: Storage, track: PitchTrack, config: Config, progress: Progress = silent
) -> FrameFeatures:
    """Write the voice along a pitch to ``voice``, whether or not somebody sings; return the features for the gate."""
    rng = np.random.default_rng(0)
    segments = list(parts.segment_bounds(song.n_samples, song.rate_hz))
    found = []
    for number, (start, stop) in enumerate(segments):
        start_s = start / song.rate_hz
        part, features = separate_segment(song.excerpt(start, stop), shifted(track, -start_s), config, rng)
        np.multiply(part.samples, parts.fade(number, segments, song.rate_hz), out=part.samples)
        voice.add(start, part.samples)
        del part  # many channels at a high rate take as much as all else
        found.append(features._replace(times_s=features.times_s + start_s))
        progress("separation", (number + 1) / len(segments))
    features = FrameFeatures(*map(np.concatenate, zip(*found, strict=True)))
    del found  # 100 MB for eight hours, like each of the two sets of features below
    return on_grid(features, song.n_samples / song.rate_hz, config.stft.hop_ms)


def gate_of(inputs: GateInputs, config: Config, span_s: tuple[float, float] = (0, np.inf)) -> Gate:
    """Return the gate of a song, of which only the gains within a span of time are needed."""
    gate: Gate = config.activity.method.gate(inputs, config.activity, span_s)
    presence_T = singing_presence.presence(inputs.track, config.singing_presence)
    return gate if presence_T.min() == 1 else LimitedGate(gate, inputs.track.times_s, presence_T)


def write_gated(song: Samples, voice: Samples, vocals: Storage, gate: Gate) -> None:
    """Write the gated voice estimate to ``vocals``, which may be the same storage as ``voice``."""
    context = round(gate.context_s * song.rate_hz)
    before = np.zeros((song.n_channels, 0), np.float32)  # of the voice estimate, which may be overwritten by now
    for start, stop in blocks(song):
        low, high = start - before.shape[1], min(song.n_samples, stop + context)
        samples = np.concatenate([before, voice.excerpt(start, high).samples], axis=1)
        gated = gate.apply(song.excerpt(low, high), Audio(samples, song.rate_hz), low)
        before = samples[:, max(0, stop - context - low) : stop - low]
        vocals.put(start, gated[:, start - low : stop - low])


def analysis_signal(audio: Audio, peak: float) -> Audio:
    """Return the mono mix of a part, shape (1, N), at the analysis rate, divided by the peak of the whole song."""
    samples = audio.samples.mean(axis=0, dtype=np.float32)
    if audio.rate_hz != ANALYSIS_RATE_HZ:
        samples = soxr.resample(samples, audio.rate_hz, ANALYSIS_RATE_HZ)
    return Audio(samples[None] / np.float32(peak), ANALYSIS_RATE_HZ)


def pitch_alignment_s(config: Config) -> int:
    """Return the time whose multiples are frame centres of every step of the pitch analysis, s."""
    windows = config.melody_enhancement.long_window_ms, config.melody_enhancement.short_window_ms
    hops_ms = [window_ms / 4 for window_ms in windows] if config.melody_enhancement.enabled else []
    hops_ms += [config.whitening.hop_ms] if config.whitening.enabled else []
    hops_ms += [config.pitch.params.hop_ms] if hasattr(config.pitch.params, "hop_ms") else []
    return parts.alignment_s(hops_ms, ANALYSIS_RATE_HZ)


def no_pitch(duration_s: float) -> PitchTrack:
    """Return the track of a song that is separated without a pitch."""
    times_s = np.arange(0, duration_s + NO_PITCH_HOP_S, NO_PITCH_HOP_S)
    return PitchTrack(times_s, np.full(len(times_s), np.nan), np.zeros(len(times_s)))


def check_models(config: Config) -> None:
    """Raise ConfigError for trained models that are missing, damaged or do not fit the settings."""
    for section in (config.pitch, config.accompaniment, config.activity):
        if hasattr(section.method, "check"):
            section.method.check(section.params, config)


def model_marks(config: Config) -> list[str]:
    """Return the hashes of the trained models in use, because the stems depend on them."""
    paths: list[str] = []
    for section in (config.accompaniment, config.activity):
        paths += section.method.model_files(section.params) if hasattr(section.method, "model_files") else []
    return [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]
