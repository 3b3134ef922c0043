"""The sung pitch of a song: mono mix, melody enhancement, pitch, whitening, refined pitch, evidence of singing."""

from dataclasses import replace

import numpy as np
import soxr

from . import accompaniment, parts, pitch
from .config import Config
from .recording import Samples, mono_between, peak_of, shifted
from .steps import melody_enhancement, pitch_refinement, singing_presence, whitening
from .types import Audio, PitchTrack, Progress

ANALYSIS_RATE_HZ = 8_000  # instead of 16 kHz: vocals +0.05 dB, songs +0.15 dB
NO_PITCH_HOP_S = 0.1


def estimate(song: Samples, config: Config, progress: Progress) -> PitchTrack:
    """Estimate the sung melody of a song, part by part; parameters and errors as for `pipeline.find_pitch`."""
    peak, duration_s = peak_of(song), song.n_samples / song.rate_hz
    if not accompaniment.needs_pitch(config.accompaniment):
        return no_pitch(duration_s)
    if known := pitch.known(config.pitch):
        return known
    tracks = []
    for from_s, begin_s, end_s, to_s in parts.part_bounds_s(duration_s, alignment_s(config), config.parts):
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


def analysis_signal(audio: Audio, peak: float) -> Audio:
    """Return the mono mix of a part, shape (1, N), at the analysis rate, divided by the peak of the whole song."""
    samples = audio.samples.mean(axis=0, dtype=np.float32)
    if audio.rate_hz != ANALYSIS_RATE_HZ:
        samples = soxr.resample(samples, audio.rate_hz, ANALYSIS_RATE_HZ)
    return Audio(samples[None] / np.float32(peak), ANALYSIS_RATE_HZ)


def alignment_s(config: Config) -> int:
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
