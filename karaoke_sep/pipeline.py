"""The method, from top to bottom.

mixture -> mid at 8 kHz -> melody enhancement -> pitch -> whitening -> refined pitch, then for each segment
mixture -> spectrum -> harmonic mask -> accompaniment -> joint model -> gain, consonants -> voice, then for the song
voice -> vocal activity -> vocals; accompaniment = mixture - vocals.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr

from .accompaniment import trained_nmf
from .activity import song as vocal_activity
from .config import Config, load_config
from .dsp import timbre
from .dsp.stft import istft, stft
from .errors import ConfigError, InputError
from .processes.threads import one_thread
from .steps import (
    accompaniment_views,
    consonants,
    harmonic_mask,
    joint_model,
    melody_enhancement,
    pitch_refinement,
    whitening,
    wiener,
)
from .types import Audio, PitchTrack, Separation

ANALYSIS_RATE_HZ = 8_000  # the pitch is better found below 4 kHz than below 8 kHz: vocals +0.05 dB, songs +0.15 dB
MIN_S = 0.05
MAX_SAMPLE = 1e10  # times full scale: integers of 32 bits taken for floats pass, powers stay far from overflow
SEGMENT_S = 30.0  # one accompaniment model each; 10 s are 0.1 to 0.7 dB worse on songs
CONTEXT_S = 1.0  # heard on both sides of a segment and thrown away
FADE_S = 0.1

Progress = Callable[[str, float], None]


@one_thread()
def separate(
    audio: Audio | np.ndarray,
    rate_hz: int | None = None,
    config: Config | None = None,
    *,
    track: PitchTrack | None = None,
    progress: Progress | None = None,
) -> Separation:
    """Vocals and accompaniment of a song.

    Parameters
    ----------
    audio : Audio, or ndarray of shape (N,) or (C, N), float, full scale 1.0
    rate_hz : int
        Of an array; an Audio brings its own.
    config : Config, optional
        From `load_config`; the default config if missing.
    track : PitchTrack, optional
        The sung pitch, if it is known already; else it is estimated.
    progress : callable, optional
        Called with the stage's name and the fraction done.

    Returns
    -------
    Separation
        Stems with the rate, channels and length of the input; they add up to it.

    Raises
    ------
    InputError
        If the samples are too few or not finite.
    """
    audio, config = checked(audio, rate_hz), config or load_config()
    check_models(config)
    if seeks_pitch(config):
        track = track or find_pitch(audio, config=config, progress=progress)
    else:
        track = without_pitch(audio)
    voice, frames = ungated_voice(audio, track, config, progress)
    return stems(audio, gated(audio, voice, frames, track, config, out=voice), track)


def ungated_voice(
    audio: Audio, track: PitchTrack, config: Config, progress: Progress | None = None
) -> tuple[np.ndarray, "Frames"]:
    """Voice along a pitch, shape (C, N), whether or not somebody sings, and what the gate wants to know of the song."""
    voice = np.zeros(audio.samples.shape, np.float32)
    frames = []
    for start, samples, heard in voices(audio, track, config, progress):
        voice[:, start : start + samples.shape[1]] += samples
        frames.append(heard)
    return voice, Frames(*map(np.concatenate, zip(*frames, strict=True)))


def voices(audio, track: PitchTrack, config: Config, progress: Progress | None = None) -> Iterator[tuple]:
    """Of each segment the first sample, the voice, shape (C, n), faded so that all add up, and its frames.

    ``audio`` is anything with ``excerpt``, such as a sound on the disk.
    """
    rng = np.random.default_rng(0)
    segments = list(segment_bounds(audio.n_samples, audio.rate_hz))
    for number, (start, stop) in enumerate(segments):
        start_s = start / audio.rate_hz
        part, heard = separate_segment(audio.excerpt(start, stop), shifted(track, -start_s), config, rng)
        heard = heard._replace(times_s=heard.times_s + start_s)
        yield start, part.samples * fades(number, segments, audio.rate_hz), heard
        if progress:
            progress("separation", (number + 1) / len(segments))


def stems(audio: Audio, voice: np.ndarray, track: PitchTrack) -> Separation:
    """Voice, shape (C, N), and what is left of the mixture."""
    return Separation(Audio(voice, audio.rate_hz), Audio(audio.samples - voice, audio.rate_hz), track)


def find_pitch(
    audio: Audio | np.ndarray,
    rate_hz: int | None = None,
    config: Config | None = None,
    *,
    progress: Progress | None = None,
) -> PitchTrack:
    """The sung melody of a song; parameters and errors as for `separate`."""
    audio, config, progress = checked(audio, rate_hz), config or load_config(), progress or (lambda stage, done: None)
    backend = config.pitch.backend
    method = import_module(f".pitch.{backend}", __package__)
    params = getattr(config.pitch, backend)
    mid = mid_for_analysis(audio)
    melody = melody_enhancement.enhance(mid, config.melody_enhancement)
    progress("pitch", 0.4)
    track = method.track(melody, params)
    progress("pitch", 0.9)
    track = refined(track, mid, melody, config)
    progress("pitch", 1.0)
    return track


def refined(track: PitchTrack, mid: Audio, melody: Audio, config: Config) -> PitchTrack:
    """The track on the partials of the voice, in so far as they stand out of the accompaniment."""
    mid = whitening.whiten(mid, track, config.harmonic_mask, config.whitening)
    return pitch_refinement.refine(track, mid, melody, config.pitch_refinement)


def seeks_pitch(config: Config) -> bool:
    """Whether the voice is cut along a pitch, and not told apart by trained bases alone."""
    return not (config.accompaniment.backend == "trained_nmf" and config.accompaniment.trained_nmf.alone)


def check_models(config: Config) -> None:
    """Refuse trained models that are missing, damaged or do not fit the settings, before any work."""
    if config.accompaniment.backend == "trained_nmf":
        trained_nmf.read(config.accompaniment.trained_nmf, config.stft.window_ms)
    if config.vocal_activity.backend == "trained":
        from .trained import models

        if not seeks_pitch(config):
            raise ConfigError("vocal_activity.backend: trained goes with a pitch; leave it out, or accompaniment alone")
        if not config.vocal_activity.model:
            raise ConfigError("vocal_activity: no model is given; name one with --model (karaoke-sep train activity)")
        models.read(config.vocal_activity.model, "activity")


def model_marks(config: Config) -> list[str]:
    """Hashes of the trained models in use: stems of another model are other stems."""
    paths = [config.accompaniment.trained_nmf.model] if config.accompaniment.backend == "trained_nmf" else []
    paths += [config.vocal_activity.model] if config.vocal_activity.backend == "trained" else []
    return [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]


def without_pitch(audio: Audio) -> PitchTrack:
    """The track of a song in which no pitch was sought."""
    times_s = np.arange(0, audio.duration_s + FADE_S, FADE_S)
    return PitchTrack(times_s, np.full(len(times_s), np.nan), np.zeros(len(times_s)))


class Frames(NamedTuple):
    """What the gate wants to know of each frame: time, s, and level of the voice, dB, (T,); timbre, (T, D)."""

    times_s: np.ndarray
    level_db: np.ndarray
    cepstra_TD: np.ndarray


def separate_segment(audio: Audio, track: PitchTrack, config: Config, rng) -> tuple[Audio, Frames]:
    """Voice of a segment, not yet gated, and what the gate wants to know of it."""
    spectrum = stft(audio, config.stft.window_ms, config.stft.hop_ms, config.harmonic_mask.top_hz)
    X_TF = np.ascontiguousarray(spectrum.magnitude.T)
    bin_hz = spectrum.rate_hz / spectrum.n_fft
    if seeks_pitch(config):
        G_TF = gain_along_pitch(X_TF, track, spectrum, config, rng)
    else:
        G_TF = gain_by_bases(X_TF, bin_hz, config, rng)
    V_TF = G_TF * X_TF
    # In half precision, which is 0.1 % of a timbre: those of eight hours are the most that is kept in memory.
    cepstra_TD = np.hstack([timbre.cepstra(X_TF, bin_hz), timbre.cepstra(V_TF, bin_hz)]).astype(np.float16)
    frames = Frames(spectrum.times_s, band_level_db(V_TF, spectrum), cepstra_TD)
    return istft(replace(spectrum, values=spectrum.values * G_TF.T)), frames


def gain_along_pitch(X_TF, track: PitchTrack, spectrum, config: Config, rng) -> np.ndarray:
    """Share of the voice in each bin, shape (T, F), 0..1: its partials, and consonants between them."""
    n_bins = X_TF.shape[1]
    mask = harmonic_mask.harmonic_mask(track, spectrum, n_bins, config.harmonic_mask)
    V, A_TF = voice_and_accompaniment(X_TF, mask, spectrum, config, rng)
    gain = wiener.gain(X_TF.ravel()[mask.bins], V, A_TF.ravel()[mask.bins], config.wiener)
    G_TF = mask.spread(gain)
    if config.consonants.enabled:
        above = int(np.searchsorted(spectrum.freqs_hz[:n_bins], config.consonants.min_hz))
        G_TF[:, above:] += consonants.gain(X_TF[:, above:], A_TF[:, above:], mask.covered_TF[:, above:], config.wiener)
    return G_TF


def gain_by_bases(X_TF, bin_hz: float, config: Config, rng) -> np.ndarray:
    """Share of the voice in each bin, shape (T, F), 0..1, by trained bases alone."""
    V_TF, A_TF = trained_nmf.voice_and_accompaniment(X_TF, bin_hz, config.accompaniment.trained_nmf, rng)
    G_TF = wiener.gain(X_TF, V_TF, A_TF, config.wiener)
    G_TF[:, : int(np.ceil(config.harmonic_mask.min_hz / bin_hz))] = 0
    return G_TF


def voice_and_accompaniment(X_TF, mask, spectrum, config: Config, rng):
    """Magnitudes of the voice at the bins of the mask, (S,), and of the accompaniment, (T, F)."""
    hop_ms = 1000 * spectrum.hop / spectrum.rate_hz
    bin_hz = spectrum.rate_hz / spectrum.n_fft
    n_apart = max(1, round(config.joint_model.hop_ms / hop_ms))
    few_TF = accompaniment_magnitude(
        np.ascontiguousarray(X_TF[::n_apart]), mask.every(n_apart), n_apart * hop_ms, bin_hz, config, rng
    )
    A_TF = between_frames(few_TF, n_apart, len(X_TF))
    n_smooth = melody_enhancement.odd_count(config.joint_model.smoothing_ms / hop_ms)
    V = joint_model.fit_voice(X_TF, A_TF, mask, config.joint_model, n_smooth)
    if config.accompaniment.backend == "trained_nmf":
        V = trained_nmf.refined(V, X_TF, mask.bins, bin_hz, config.accompaniment.trained_nmf, rng)
    return V, A_TF


def accompaniment_magnitude(X_TF, mask, hop_ms: float, bin_hz: float, config: Config, rng) -> np.ndarray:
    """Magnitude of the accompaniment, (T, F): mean of the models from several starts, then median of three views."""
    method = import_module(f".accompaniment.{config.accompaniment.backend}", __package__)
    params = getattr(config.accompaniment, config.accompaniment.backend)
    n_smooth = melody_enhancement.odd_count(config.joint_model.smoothing_ms / hop_ms)
    A_TF = np.zeros_like(X_TF)
    for _ in range(params.n_starts):
        H_TK, B_KF = method.fit(X_TF, mask.covered_TF, bin_hz, params, rng)
        _, H_TK, B_KF = joint_model.fit(X_TF, mask, H_TK, B_KF, config.joint_model, n_smooth)
        A_TF += H_TK @ (B_KF / params.n_starts)
    if not config.accompaniment_views.enabled:
        return A_TF
    V_TF = mask.spread(joint_model.fit_voice(X_TF, A_TF, mask, config.joint_model, n_smooth))
    views = config.accompaniment_views
    return accompaniment_views.median_of_views(X_TF, V_TF, A_TF, mask.covered_TF, hop_ms, bin_hz, views)


def between_frames(few_TF, n_apart: int, n_frames: int) -> np.ndarray:
    """Frames that lie ``n_apart`` from each other with those between them, interpolated; (ceil(T / n), F) to (T, F)."""
    next_TF = np.vstack([few_TF[1:], few_TF[-1:]])
    values_TF = np.empty((n_frames, few_TF.shape[1]), np.float32)
    for k in range(n_apart):
        rows = values_TF[k::n_apart]
        share = np.float32(k / n_apart)
        rows[:] = (1 - share) * few_TF[: len(rows)] + share * next_TF[: len(rows)]
    return values_TF


def gated(audio: Audio, voice: np.ndarray, frames: Frames, track: PitchTrack, config: Config, out=None) -> np.ndarray:
    """The vocals, (C, N): the voice along the pitch where somebody sings, decided on the whole song.

    A trained model decides in each band, and finds what was missed above the lowest ones. ``out`` may be ``voice``.
    """
    heard = heard_by_gate(at_gate(frames, audio.duration_s, config), track, config)
    if config.vocal_activity.enabled and config.vocal_activity.backend == "trained":
        return trained_vocals(audio, voice, heard, track, config)
    gain = np.interp(np.arange(audio.n_samples) / audio.rate_hz, heard[0], heard[-1]).astype(np.float32)
    return np.multiply(voice, gain, out=out)


def at_gate(frames: Frames, duration_s: float, config: Config) -> Frames:
    """The nearest frame at each time of the gate; a step of its own, so that hours of frames need not be kept twice."""
    hop_s = config.stft.hop_ms / 1000
    times_s = np.arange(0, duration_s + hop_s, hop_s)
    order = np.argsort(frames.times_s, kind="stable")  # neighbouring segments overlap
    nearest = order[np.clip(np.searchsorted(frames.times_s[order], times_s - hop_s / 2), 0, len(order) - 1)]
    return Frames(times_s, frames.level_db[nearest], frames.cepstra_TD[nearest])


def heard_by_gate(frames: Frames, track: PitchTrack, config: Config) -> tuple[np.ndarray, ...]:
    """Times, s, level, dB, cepstra, voicing and gains of the vocal activity, all but the cepstra of shape (T,).

    ``frames`` are as `at_gate` gives them.
    """
    voicing = track.at(frames.times_s).voicing
    gains = vocal_activity.activity(
        frames.level_db, voicing, frames.cepstra_TD, config.stft.hop_ms, config.vocal_activity
    )
    return *frames, voicing, gains


def trained_vocals(audio: Audio, voice: np.ndarray, heard, track: PitchTrack, config: Config) -> np.ndarray:
    """The vocals, (C, N), by the gains of a trained model, segment after segment."""
    from .trained import band_gains, models

    model = models.read(config.vocal_activity.model, "activity")
    found = Audio(voice, audio.rate_hz)
    _, clues = activity_clues(audio, found, heard, track)
    voice_TB, rest_TB, _ = band_gains.hear(model.arrays, clues)
    vocals = np.zeros_like(voice)
    segments = list(segment_bounds(audio.n_samples, audio.rate_hz))
    for number, (start, stop) in enumerate(segments):
        both = audio.excerpt(start, stop), found.excerpt(start, stop)
        part = band_gains.apply(*both, voice_TB, rest_TB, start / audio.rate_hz)
        vocals[:, start:stop] += part.samples * fades(number, segments, audio.rate_hz)
    return vocals


def activity_clues(audio: Audio, found: Audio, heard, track: PitchTrack):
    """What a trained model hears of a song every 20 ms: features of the classes, (T, D), and `band_gains.Clues`."""
    from .trained import band_gains
    from .trained import frame_classes as trained_activity

    X_TD = trained_activity.features(mid_for_analysis(audio, trained_activity.RATE_HZ), track, *heard)
    times_s = np.arange(len(X_TD)) * trained_activity.HOP_MS / 1000
    return X_TD, band_gains.Clues(
        band_gains.levels(*(mono(sound, band_gains.RATE_HZ) for sound in (audio, found))),
        band_gains.pitch_everywhere(track, times_s),
        np.interp(times_s, heard[0], heard[-1]),
        trained_activity.evidence_of(X_TD),
    )


def hear_activity(audio: Audio, config: Config):
    """What a trained model hears of a song, as `activity_clues`, and the voice before any gate."""
    track = find_pitch(audio, config=config)
    voice, frames = ungated_voice(audio, track, config)
    found = Audio(voice, audio.rate_hz)
    heard = heard_by_gate(at_gate(frames, audio.duration_s, config), track, config)
    return *activity_clues(audio, found, heard, track), found


def band_level_db(S_TF, spectrum) -> np.ndarray:
    """Level of each frame between 80 and 4000 Hz, shape (T,), dB against a full-scale sine."""
    freqs_hz = spectrum.freqs_hz[: S_TF.shape[1]]
    band = (freqs_hz >= 80) & (freqs_hz <= 4000)
    power = np.sum(S_TF[:, band] ** 2, axis=1)
    # A full-scale sine has the power 3/32 n_fft^2 summed over the three bins of the Hann window's main lobe.
    return 10 * np.log10(power / (3 / 32 * spectrum.n_fft**2) + 1e-12)


def checked(audio: Audio | np.ndarray, rate_hz: int | None) -> Audio:
    """The input as Audio, if it can be separated."""
    if not isinstance(audio, Audio):
        if rate_hz is None:
            raise InputError("rate_hz is missing: an array does not know its sample rate")
        samples = np.asarray(audio)
        if samples.ndim not in (1, 2):
            raise InputError(f"the samples have {samples.ndim} axes; (N,) or (channels, N) is needed")
        audio = Audio(np.atleast_2d(samples), rate_hz)
    if audio.samples.dtype.kind != "f":
        raise InputError(f"the samples are {audio.samples.dtype}; float with full scale 1.0 is needed")
    check_form(audio)
    check_values(n_unusable(audio.samples))
    return audio


def n_unusable(samples: np.ndarray) -> int:
    """Number of samples that are NaN, or so large that their powers are not numbers any more."""
    return int(np.count_nonzero(~(np.abs(samples) <= MAX_SAMPLE)))


def check_values(n_bad: int) -> None:
    """Refuse a sound with so many unusable samples."""
    if n_bad:
        raise InputError(
            f"{n_bad} samples are NaN, infinite or beyond {MAX_SAMPLE:g} times full scale; mend the file, for example "
            "by writing it again as PCM"
        )


def check_form(audio) -> None:
    """Refuse channels, rates and lengths that cannot be separated; ``audio`` may be on the disk."""
    if audio.n_channels > 64:
        raise InputError(
            f"{audio.n_channels} channels; at most 64 (is the array (N, channels)? it must be (channels, N))"
        )
    if not 8000 <= audio.rate_hz <= 192_000:
        raise InputError(f"the sample rate is {audio.rate_hz} Hz; 8000 to 192000 Hz is needed")
    if audio.n_samples == 0:
        raise InputError("holds no samples")
    duration_s = audio.n_samples / audio.rate_hz
    if duration_s < MIN_S:
        raise InputError(f"{duration_s:.3f} s is too short; at least {MIN_S} s is needed")


def mid_for_analysis(audio: Audio, rate_hz: int = ANALYSIS_RATE_HZ) -> Audio:
    """Mean of the channels against its peak, at the rate for analysis."""
    peak = max(float(np.abs(audio.samples.mean(axis=0, dtype=np.float32)).max()), 1e-9)
    return Audio(mono(audio, rate_hz).samples / np.float32(peak), rate_hz)


def mono(audio: Audio, rate_hz: int) -> Audio:
    """Mean of the channels at another rate."""
    samples = audio.samples.mean(axis=0, dtype=np.float32)
    if audio.rate_hz != rate_hz:
        samples = soxr.resample(samples, audio.rate_hz, rate_hz)
    return Audio(samples[None], rate_hz)


def shifted(track: PitchTrack, seconds: float) -> PitchTrack:
    """The track with its clock moved."""
    return replace(track, times_s=track.times_s + seconds)


def segment_bounds(n_samples: int, rate_hz: int) -> Iterator[tuple[int, int]]:
    """Start and stop of each segment with its context, samples."""
    n_segments = max(1, round(n_samples / rate_hz / SEGMENT_S))
    edges = np.linspace(0, n_samples, n_segments + 1).astype(int)
    context = round(CONTEXT_S * rate_hz)
    for start, stop in pairwise(edges):
        yield max(0, start - context), min(n_samples, stop + context)


def fades(number: int, segments, rate_hz: int) -> np.ndarray:
    """Gain of a segment, shape (N,): neighbours cross-fade in the middle of their overlap, the rest is thrown away."""
    start, stop = segments[number]
    n = np.arange(start, stop) / (FADE_S * rate_hz)
    weight = np.ones(stop - start, np.float32)
    if number > 0:
        middle = (start + segments[number - 1][1]) / 2 / (FADE_S * rate_hz)
        weight *= np.clip(n - middle + 0.5, 0, 1)
    if number + 1 < len(segments):
        middle = (segments[number + 1][0] + stop) / 2 / (FADE_S * rate_hz)
        weight *= np.clip(middle - n + 0.5, 0, 1)
    return weight
