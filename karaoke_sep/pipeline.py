"""The method, from top to bottom.

For the whole song  (`song_pitch`)
    song -> mono mix at 8 kHz -> melody enhancement -> pitch -> whitening -> refined pitch -> evidence of singing,
for each segment  (`segment`)
    spectrum -> harmonic mask -> accompaniment -> joint model -> gain -> voice estimate,
and for the whole song again  (`activity`)
    voice estimate -> vocal activity, presence of singing -> vocals; accompaniment = mixture - vocals.

A song is any `recording.Samples`: an array in memory or a file on the disk. It is read in parts and segments
(`parts`), so that memory does not grow with its length.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from . import parts, song_pitch
from .activity import FrameFeatures, Gate, GateInputs, LimitedGate, on_grid
from .config import Config, as_config
from .processes.threads import one_thread
from .recording import Buffer, Excerpt, Samples, Storage, as_recording, as_track, blocks, shifted
from .segment import separate_segment
from .steps import singing_presence
from .types import Audio, PitchTrack, Progress, Separation, silent


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
    track = None if track is None else as_track(track)
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
    return song_pitch.estimate(as_recording(audio, rate_hz), as_config(config), progress)


def estimate_voice(
    song: Samples, voice: Storage, track: PitchTrack, config: Config, progress: Progress = silent
) -> FrameFeatures:
    """Write the voice along a pitch to ``voice``, whether or not somebody sings; return the features for the gate."""
    rng = np.random.default_rng(0)
    segments = list(parts.segment_bounds(song.n_samples, song.rate_hz))
    found = []
    for number, (start, stop) in enumerate(segments):
        start_s = start / song.rate_hz
        groups, features = separate_segment(Excerpt(song, start, stop), shifted(track, -start_s), config, rng)
        fade_N = parts.fade(number, segments, song.rate_hz)
        for channels, samples in groups:
            voice.add(start, np.multiply(samples, fade_N, out=samples), channels)
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
