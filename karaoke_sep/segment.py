"""The voice of one segment: spectrum, harmonic mask, accompaniment, joint model and gain."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from . import accompaniment
from .activity import FrameFeatures
from .config import Config
from .dsp import timbre
from .dsp.stft import istft, stft
from .recording import Samples, channel_groups, samples_of
from .steps import accompaniment_views, consonants, dense_mixture, harmonic_mask, joint_model, wiener
from .steps.melody_enhancement import odd_count
from .types import Audio, PitchTrack, Spectrum

_KEPT_CHANNELS = 2  # the spectra of more are computed twice


def separate_segment(
    song: Samples, track: PitchTrack, config: Config, rng: np.random.Generator
) -> tuple[Iterator[tuple[slice, np.ndarray]], FrameFeatures]:
    """Return the voice estimate of a segment, not yet gated, and the features of its frames for the gate.

    The voice is computed while it is iterated over: the channels of a group, and their samples, shape (G, N).
    """
    spectra = Spectra(song, config)
    spectrum, X_TF = spectra.mean()
    bin_hz = spectrum.rate_hz / spectrum.n_fft
    if accompaniment.needs_pitch(config.accompaniment):
        lead_TF, G_TF = gain_along_pitch(X_TF, track, spectrum, config, rng)
    else:
        lead_TF = G_TF = gain_by_bases(X_TF, bin_hz, config, rng)
    V_TF = lead_TF * X_TF  # with the doublings, instruments would open the gate
    # Half precision changes the timbre by 0.1 %. These features take most of the memory of a recording of eight hours.
    cepstra_TD = np.hstack([timbre.cepstra(X_TF, bin_hz), timbre.cepstra(V_TF, bin_hz)]).astype(np.float16)
    features = FrameFeatures(spectrum.times_s, band_level_db(V_TF, spectrum), cepstra_TD)
    return spectra.filtered(G_TF), features


class Spectra:
    """The spectra of the channels of a segment, one after the other: those of eight at 192 kHz take 500 MB."""

    def __init__(self, song: Samples, config: Config):
        self._song, self._config, self._kept = song, config, None
        if song.n_channels <= _KEPT_CHANNELS:
            self._kept = list(self)

    def __iter__(self) -> Iterator[Spectrum]:
        """Return an iterator over the spectra, values (1, F, T)."""
        if self._kept:
            yield from self._kept
            return
        for channels in channel_groups(self._song):
            yield from map(self._spectrum, samples_of(self._song, channels))

    def filtered(self, G_TF: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the channels of a group, and their samples after a gain of each bin, shape (G, N)."""
        spectra = iter(self)
        for channels in channel_groups(self._song):
            samples = np.empty((channels.stop - channels.start, self._song.n_samples), np.float32)
            for row, spectrum in zip(samples, spectra, strict=False):  # the next group takes the others
                row[:] = istft(replace(spectrum, values=spectrum.values * G_TF.T)).samples[0]
            yield channels, samples

    def mean(self) -> tuple[Spectrum, np.ndarray]:
        """Return one spectrum, for its frames and bins, and the root of the mean power of all, shape (T, F)."""
        spectra = iter(self)
        one = next(spectra)
        if self._song.n_channels == 1:
            return one, np.ascontiguousarray(one.magnitude.T)
        power_FT = _power(one)
        for spectrum in spectra:
            power_FT += _power(spectrum)
        return one, np.ascontiguousarray(np.sqrt(power_FT / np.float32(self._song.n_channels)).T)

    def _spectrum(self, samples: np.ndarray) -> Spectrum:
        settings = self._config.stft
        channel = Audio(samples[None], self._song.rate_hz)
        return stft(channel, settings.window_ms, settings.hop_ms, self._config.harmonic_mask.top_hz)


def _power(spectrum: Spectrum) -> np.ndarray:
    values_FT = spectrum.values[0]
    return values_FT.real**2 + values_FT.imag**2


def gain_along_pitch(
    X_TF: np.ndarray, track: PitchTrack, spectrum: Spectrum, config: Config, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gains of the lead (partials, and consonants between them) and of the voice, each (T, F), 0..1."""
    n_bins = X_TF.shape[1]
    freqs_hz = spectrum.freqs_hz[:n_bins]
    mask = harmonic_mask.harmonic_mask(track, spectrum, n_bins, config.harmonic_mask)
    V, A_TF = voice_and_accompaniment(X_TF, mask, spectrum, config, rng)
    gain = wiener.gain(X_TF.ravel()[mask.bins], V, A_TF.ravel()[mask.bins], config.wiener)
    lead_TF = mask.spread(gain)
    if config.consonants.enabled:
        above = int(np.searchsorted(freqs_hz, config.consonants.min_hz))
        lead_TF[:, above:] += consonants.gain(
            X_TF[:, above:], A_TF[:, above:], mask.covered_TF[:, above:], config.consonants, config.wiener
        )
    hop_ms = 1000 * spectrum.hop / spectrum.rate_hz
    voice_TF = dense_mixture.gain(
        lead_TF, X_TF, A_TF, mask.covered_TF, freqs_hz, hop_ms, config.dense_mixture, config.wiener
    )
    return lead_TF, voice_TF


def gain_by_bases(X_TF: np.ndarray, bin_hz: float, config: Config, rng: np.random.Generator) -> np.ndarray:
    """Return the gain of each bin, shape (T, F), 0..1, from an accompaniment method that needs no pitch."""
    section = config.accompaniment
    V_TF, A_TF = section.method.voice_and_accompaniment(X_TF, bin_hz, section.params, rng)
    G_TF = wiener.gain(X_TF, V_TF, A_TF, config.wiener)
    G_TF[:, : int(np.ceil(config.harmonic_mask.min_hz / bin_hz))] = 0
    return G_TF


def voice_and_accompaniment(
    X_TF: np.ndarray, mask: harmonic_mask.HarmonicMask, spectrum: Spectrum, config: Config, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the magnitudes of the voice at the bins of the mask, (S,), and of the accompaniment, (T, F)."""
    hop_ms = 1000 * spectrum.hop / spectrum.rate_hz
    bin_hz = spectrum.rate_hz / spectrum.n_fft
    n_apart = max(1, round(config.joint_model.hop_ms / hop_ms))
    few_TF = accompaniment_magnitude(
        np.ascontiguousarray(X_TF[::n_apart]), mask.every(n_apart), n_apart * hop_ms, bin_hz, config, rng
    )
    A_TF = between_frames(few_TF, n_apart, len(X_TF))
    n_smooth = odd_count(config.joint_model.smoothing_ms / hop_ms)
    V = joint_model.fit_voice(X_TF, A_TF, mask, config.joint_model, n_smooth)
    return accompaniment.refine_voice(config.accompaniment, V, X_TF, mask.bins, bin_hz, rng), A_TF


def accompaniment_magnitude(
    X_TF: np.ndarray,
    mask: harmonic_mask.HarmonicMask,
    hop_ms: float,
    bin_hz: float,
    config: Config,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the magnitude of the accompaniment, (T, F).

    It is the mean of the models from several random starts, then the median of three estimates.
    """
    method, params = config.accompaniment.method, config.accompaniment.params
    n_smooth = odd_count(config.joint_model.smoothing_ms / hop_ms)
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


def between_frames(few_TF: np.ndarray, n_apart: int, n_frames: int) -> np.ndarray:
    """Interpolate between frames with a distance of ``n_apart``; (ceil(T / n), F) to (T, F)."""
    next_TF = np.vstack([few_TF[1:], few_TF[-1:]])
    values_TF = np.empty((n_frames, few_TF.shape[1]), np.float32)
    for k in range(n_apart):
        rows = values_TF[k::n_apart]
        share = np.float32(k / n_apart)
        rows[:] = (1 - share) * few_TF[: len(rows)] + share * next_TF[: len(rows)]
    return values_TF


def band_level_db(S_TF: np.ndarray, spectrum: Spectrum) -> np.ndarray:
    """Return the level of each frame between 80 and 4000 Hz, shape (T,), dB against a full-scale sine."""
    freqs_hz = spectrum.freqs_hz[: S_TF.shape[1]]
    band = (freqs_hz >= 80) & (freqs_hz <= 4000)
    power = np.sum(S_TF[:, band] ** 2, axis=1)
    # A full-scale sine has the power 3/32 n_fft^2 summed over the three bins of the Hann window's main lobe.
    return 10 * np.log10(power / (3 / 32 * spectrum.n_fft**2) + 1e-30)
