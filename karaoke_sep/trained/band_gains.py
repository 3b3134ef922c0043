"""Time-frequency gate: gains per band for the voice estimate and for the residual, from a small U-Net.

The vocals are g u + h (x - u). Here x is the mixture, u is the voice estimate (the voice along the pitch, before any
gate), and x - u is the residual. The gains g and h of each band and frame come from a convolutional network that was
trained on other recordings. Its input features are the levels of mixture, voice estimate and residual in two windows,
and the features of the untrained gate. The gain of the untrained gate is the starting point of g.

The network is a U-Net (Ronneberger, Fischer & Brox 2015; for singing Jansson et al. 2017). It halves the frames and the
groups of four bands twice, combines all bands at the coarsest resolution, and adds the finer maps on the way back.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy

from ..dsp.stft import istft, stft
from ..types import Audio, PitchTrack, Spectrum
from .network import Tape

RATE_HZ = 16_000
WINDOWS_MS, HOP_MS = (64.0, 128.0), 20.0  # the gains act in the first
MIN_HZ, STEP_HZ, EVEN_TO_HZ, TOP_HZ = 62.5, 15.625, 625.0, 8000.0  # centres: evenly spaced, then by a ratio of 2.4 %
N_BANDS = 144
# The residual is used from here on. Using it in all bands gains 0.1 dB for `abjones`, and costs 0.8 dB for `amy`.
RESIDUAL_FROM_HZ = 1900.0
MAX_GAIN = 1.1  # above 1, because a partly masked voice is estimated too low; other values were not tried
POWER_FLOOR = 1e-3  # power that counts as silence in a band, for a mixture with a mean power of 1
N_BAND_FEATURES, N_FRAME_FEATURES, N_GATE_FEATURES = 8, 11, 9
N_TOGETHER = 4  # neighbouring bands are channels of one cell, and share its computation
N_CELLS = N_BANDS // N_TOGETHER
N_FINE, N_MIDDLE, N_COARSE, N_HIDDEN, N_FEW = 24, 32, 32, 32, 8  # channels of the layers
# Frames of a block, and its context on each side, multiples of 4. No output depends on an input 42 frames away.
BLOCK_FRAMES, REACH_FRAMES = 1024, 44


class NetworkInputs(NamedTuple):
    """Inputs of the network for a recording, every 20 ms.

    Attributes
    ----------
    level_6TB : ndarray, shape (6, T, B)
        From `levels`.
    f0_hz : ndarray, shape (T,), Hz, finite
    gate_T : ndarray, shape (T,), 0..1
        Gain of the untrained gate.
    features_TD : ndarray, shape (T, 9)
        From `frame_classes.gate_features`.
    """

    level_6TB: np.ndarray
    f0_hz: np.ndarray
    gate_T: np.ndarray
    features_TD: np.ndarray

    def at(self, frames: np.ndarray | slice) -> "NetworkInputs":
        """Return the inputs of some frames, given by their numbers or as a slice."""
        return NetworkInputs(self.level_6TB[:, frames], *(values[frames] for values in self[1:]))


def layers() -> dict[str, tuple[int, int, int, int]]:
    """Return the shape of each kernel by layer name: frames, bands, input channels, output channels."""
    fine, middle, coarse, hidden = N_FINE, N_MIDDLE, N_COARSE, N_HIDDEN
    return {
        "evidence1": (5, 1, N_FRAME_FEATURES, hidden),
        "evidence2": (5, 1, hidden, fine),
        "maps": (3, 3, N_TOGETHER * N_BAND_FEATURES, fine),
        "down1": (3, 3, fine, middle),
        "middle1_a": (3, 3, middle, middle),
        "middle1_b": (3, 3, middle, middle),
        "down2": (3, 3, middle, coarse),
        "coarse_a": (3, 3, coarse, coarse),
        "coarse_b": (3, 3, coarse, coarse),
        "all1": (1, 1, coarse * N_CELLS // 4, hidden),
        "all2": (5, 1, hidden, hidden),
        "all3": (1, 1, hidden, coarse),
        "up2": (1, 1, coarse, middle),
        "middle2_a": (3, 3, middle, middle),
        "middle2_b": (3, 3, middle, middle),
        "up1": (1, 1, middle, fine),
        "gains": (3, 3, fine, 2 * N_TOGETHER),
        "few": (1, 1, fine, N_FEW),
        "sung1": (5, 1, N_FEW * N_CELLS, hidden),
        "sung2": (5, 1, hidden, 2),
    }


def shapes() -> dict[str, tuple[int, ...]]:
    """Return the shape of each array that the gains need, by name: a kernel and a bias for each layer, and the trust.

    ``trust_2`` is the share of the network's log-odds that is added to those of the untrained gate, 0..1, below
    `RESIDUAL_FROM_HZ` and above.
    """
    kernels: dict[str, tuple[int, ...]] = {f"{name}_kernel": shape for name, shape in layers().items()}
    return kernels | {f"{name}_bias": shape[3:] for name, shape in layers().items()} | {"trust_2": (2,)}


@lru_cache(maxsize=1)
def centres_hz() -> np.ndarray:
    """Return the centre frequency of each band, shape (B,), Hz.

    Below `EVEN_TO_HZ` the spacing is what the window resolves, so that each partial of a low voice has its own bands;
    above, it grows with the frequency.
    """
    low_hz = np.arange(MIN_HZ, EVEN_TO_HZ + STEP_HZ, STEP_HZ)
    n_above = N_BANDS - len(low_hz)
    return np.concatenate([low_hz, EVEN_TO_HZ * (TOP_HZ / EVEN_TO_HZ) ** (np.arange(1, n_above + 1) / n_above)])


@lru_cache(maxsize=8)
def band_weights(n_bins: int, bin_hz: float) -> np.ndarray:
    """Return the weight of each bin in each band, shape (B, F): triangles that add up to 1 up to `TOP_HZ`.

    Bins below the first centre belong to the first band alone.
    """
    freqs_hz = np.arange(n_bins) * bin_hz
    place = np.interp(freqs_hz, centres_hz(), np.arange(N_BANDS))
    weights_BF = np.maximum(1 - np.abs(np.arange(N_BANDS)[:, None] - place), 0)
    return (weights_BF * (freqs_hz <= TOP_HZ)).astype(np.float32)


def uses_residual() -> np.ndarray:
    """Return which bands lie at `RESIDUAL_FROM_HZ` or above, shape (B,), bool."""
    return centres_hz() >= RESIDUAL_FROM_HZ


def interpolated_pitch(track: PitchTrack, times_s: np.ndarray) -> np.ndarray:
    """Return a pitch at every time, shape (T,), Hz, interpolated between voiced frames; 200 Hz if there are none."""
    voiced = np.isfinite(track.f0_hz)
    if not voiced.any():
        return np.full(len(times_s), 200.0)
    return np.exp(np.interp(times_s, track.times_s[voiced], np.log(track.f0_hz[voiced])))


def normalising_factor(power: float) -> np.float32:
    """Return the factor that gives a mixture of a mean power ``power`` a mean power of 1."""
    return np.float32(1 / np.sqrt(power + 1e-12))


def levels(mixture: Audio, voice: Audio, factor: np.float32 | None = None) -> np.ndarray:
    """Return the natural logarithm of the power of mixture, voice estimate and residual in each band.

    Parameters
    ----------
    mixture, voice : Audio, (1, N)
        At `RATE_HZ`.
    factor : float, optional
        From `normalising_factor` of the whole recording; by default that of these samples.

    Returns
    -------
    ndarray, shape (6, T, B), float32
        The three levels in the first of `WINDOWS_MS`, then in the second.
    """
    if factor is None:
        factor = normalising_factor(np.mean(mixture.samples**2, dtype=float))
    sounds = [Audio(factor * samples, RATE_HZ) for samples in (mixture.samples, voice.samples)]
    sounds.append(Audio(sounds[0].samples - sounds[1].samples, RATE_HZ))
    planes = [
        band_sums(np.abs(spectrum.values[0].T) ** 2, spectrum)
        for window_ms in WINDOWS_MS
        for spectrum in (stft(sound, window_ms, HOP_MS) for sound in sounds)
    ]
    return np.log(np.stack(planes) + np.float32(POWER_FLOOR))


def band_sums(power_TF: np.ndarray, spectrum: Spectrum) -> np.ndarray:
    """Return the sum over each band, shape (T, B)."""
    return power_TF @ band_weights(power_TF.shape[1], spectrum.rate_hz / spectrum.n_fft).T


def band_features(
    level_6TB: np.ndarray,
    f0_hz: np.ndarray,
    offset_B: np.ndarray | float = 0.0,
    mean_2: Sequence[float] | np.ndarray | None = None,
) -> np.ndarray:
    """Return the input features of each frame and band, shape (T, B, `N_BAND_FEATURES`), float32, about -1..1.

    The features are the level of the mixture relative to its mean, the levels of voice estimate and residual relative
    to the mixture (each in both windows), the centre of the band, and its distance from the pitch.

    Parameters
    ----------
    level_6TB : ndarray, shape (6, T, B)
    f0_hz : ndarray, shape (T,), Hz, finite
    offset_B : ndarray, shape (B,), optional
        Added to the levels of the mixture: a random tone of the recording, for training.
    mean_2 : sequence of two float, optional
        Mean level of the mixture in each of `WINDOWS_MS` over the whole recording; by default over these frames.
    """
    level_6TB = level_6TB.astype(np.float32, copy=False)
    height_B = np.log2(centres_hz() / 1000).astype(np.float32)
    planes = []
    for number, (mixture_TB, voice_TB, residual_TB) in enumerate((level_6TB[:3], level_6TB[3:])):
        mean = mixture_TB.mean() if mean_2 is None else mean_2[number]
        planes += [(mixture_TB - mean + offset_B) / 4, (voice_TB - mixture_TB) / 3]
        planes += [(residual_TB - mixture_TB) / 3]
    planes += [np.broadcast_to(height_B / 2, level_6TB.shape[1:])]
    planes += [np.tanh(height_B - np.log2(f0_hz / 1000).astype(np.float32)[:, None])]
    return np.stack(planes, axis=-1, dtype=np.float32)


def frame_features(inputs: NetworkInputs) -> np.ndarray:
    """Return the input features of each frame, shape (T, `N_FRAME_FEATURES`), float32, about -1..1."""
    scale_D = np.array([4, 20, 4, 4, 50, 50, 200, 200, 1000])
    pitch_T = np.log2(inputs.f0_hz / 200)
    return np.hstack([inputs.features_TD / scale_D, pitch_T[:, None], inputs.gate_T[:, None]]).astype(np.float32)


def network(
    tape: Tape,
    weights: Mapping[str, np.ndarray],
    bands_TBC: np.ndarray,
    frames_TD: np.ndarray,
    dropout_C: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the outputs of the network for a number of frames that is a multiple of 4.

    Parameters
    ----------
    tape : Tape
    weights : mapping of ndarray
        Those of `shapes`.
    bands_TBC, frames_TD : ndarray
        From `band_features` and `frame_features`.
    dropout_C : ndarray, shape (`N_COARSE`,), optional
        Dropout mask: factors on the coarsest maps, for training.

    Returns
    -------
    gains_TB2 : ndarray, shape (T, B, 2)
        For `gains_from_outputs`.
    activity_T12 : ndarray, shape (T, 1, 2)
        Log-odds that somebody sings, and the level of the true voice (see `training.band_gains`).
    """

    def conv(name: str, x: np.ndarray, from_data: bool = False) -> np.ndarray:
        return tape.conv(x, weights[f"{name}_kernel"], weights[f"{name}_bias"], from_data)

    def residual_block(name: str, x: np.ndarray) -> np.ndarray:
        return tape.add(x, conv(f"{name}_b", tape.relu(conv(f"{name}_a", x))))

    n_frames = len(bands_TBC)
    cells = bands_TBC.reshape(n_frames, N_CELLS, N_TOGETHER * N_BAND_FEATURES)
    per_frame = conv("evidence2", tape.relu(conv("evidence1", frames_TD[:, None], True)))
    fine = tape.relu(tape.add(conv("maps", cells, True), per_frame))
    middle = residual_block("middle1", tape.relu(conv("down1", tape.average_pool(fine))))
    coarse = residual_block("coarse", tape.relu(conv("down2", tape.average_pool(middle))))
    if dropout_C is not None:
        coarse = tape.scale(coarse, dropout_C)
    all_bands = tape.relu(conv("all1", tape.reshape(coarse, (n_frames // 4, 1, -1))))
    all_bands = tape.relu(tape.add(all_bands, conv("all2", all_bands)))
    coarse = tape.relu(tape.add(coarse, conv("all3", all_bands)))
    middle = residual_block("middle2", tape.relu(tape.add(tape.upsample(conv("up2", coarse)), middle)))
    fine = tape.relu(tape.add(tape.upsample(conv("up1", middle)), fine))
    few = tape.reshape(tape.relu(conv("few", fine)), (n_frames, 1, -1))
    gains_TB2 = tape.reshape(conv("gains", fine), (n_frames, N_BANDS, 2))
    return gains_TB2, conv("sung2", tape.relu(conv("sung1", few)))


def gains_from_outputs(output_TB2: np.ndarray, gate_T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return gains of the voice estimate, 0..`MAX_GAIN`, and of the residual, 0..1, both of shape (T, B)."""
    from_gate_T1 = 0.7 * scipy.special.logit(np.clip(gate_T, 0.005, 0.995))[:, None]
    voice_TB = np.float32(MAX_GAIN) * scipy.special.expit(from_gate_T1.astype(np.float32) + output_TB2[..., 0])
    residual_TB = scipy.special.expit(output_TB2[..., 1] - 4) * uses_residual()
    return voice_TB, residual_TB.astype(np.float32)


class Prediction(NamedTuple):
    """What the network predicts for some frames.

    Attributes
    ----------
    voice_TB, residual_TB : ndarray, shape (T, B), float32
        Gains of the voice estimate, 0..`MAX_GAIN`, and of the residual, 0..1.
    activity_T2 : ndarray, shape (T, 2), float32
        Log-odds that somebody sings, and the level of the true voice.
    """

    voice_TB: np.ndarray
    residual_TB: np.ndarray
    activity_T2: np.ndarray


def predict(weights: Mapping[str, np.ndarray], inputs: NetworkInputs) -> Prediction:
    """Predict the gains and the vocal activity of a whole recording; ``weights`` as for `predict_blocks`."""
    means = [float(inputs.level_6TB[plane].mean(dtype=np.float32)) for plane in (0, 3)]
    blocks = list(predict_blocks(weights, len(inputs.f0_hz), inputs.at, means))
    return Prediction(*(np.concatenate(values) for values in zip(*blocks, strict=True)))


def predict_blocks(
    weights: Mapping[str, np.ndarray],
    n_frames: int,
    read: Callable[[np.ndarray], NetworkInputs],
    mean_2: Sequence[float],
    first: int = 0,
) -> Iterator[Prediction]:
    """Yield predictions for one block of frames after the other.

    The network changes the log-odds of the untrained gate. A share of the change is used, because the network was
    trained on few singers.

    Parameters
    ----------
    weights : mapping of ndarray
        Those of `shapes`; it may hold more.
    n_frames : int
        Number of frames of the recording.
    read : callable
        Returns the `NetworkInputs` of frames, given by their numbers.
    mean_2 : sequence of two float
        As for `band_features`.
    first : int
        Number of the first frame.
    """
    share_B = np.where(uses_residual(), *weights["trust_2"][::-1]).astype(np.float32)
    for start in range(first, n_frames, BLOCK_FRAMES):
        stop = min(start + BLOCK_FRAMES, n_frames)
        padding = -(stop - start) % 4
        frames = np.clip(np.arange(start - REACH_FRAMES, stop + REACH_FRAMES + padding), 0, n_frames - 1)
        inputs = read(frames)
        bands_TBC = band_features(inputs.level_6TB, inputs.f0_hz, mean_2=mean_2)
        output_TB2, activity_T12 = network(Tape(), weights, bands_TBC, frame_features(inputs))
        output_TB2[..., 0] *= share_B
        inner = slice(REACH_FRAMES, REACH_FRAMES + stop - start)
        yield Prediction(*gains_from_outputs(output_TB2[inner], inputs.gate_T[inner]), activity_T12[inner, 0])


def apply(mixture: Audio, voice: Audio, voice_TB: np.ndarray, residual_TB: np.ndarray, start_s: float = 0.0) -> Audio:
    """Return the vocals g u + h (x - u), (C, N) float32, at any sample rate.

    Parameters
    ----------
    mixture, voice : Audio, (C, N)
        x, and the voice estimate u.
    voice_TB, residual_TB : ndarray, shape (T, B)
        The gains g and h of the whole song, equal for all channels.
    start_s : float, s
        Time in the song at which the two sounds begin.
    """
    X, U = (stft(sound, WINDOWS_MS[0], HOP_MS, TOP_HZ) for sound in (mixture, voice))
    weights_BF = band_weights(U.values.shape[1], U.rate_hz / U.n_fft)
    upper = slice(np.argmax(residual_TB.any(axis=0) @ weights_BF > 0), None)  # bins with a residual
    rows = np.clip(np.rint((U.times_s + start_s) * 1000 / HOP_MS).astype(int), 0, len(voice_TB) - 1)
    R_CFT, V_CFT = X.values[:, upper], U.values
    R_CFT -= V_CFT[:, upper]
    R_CFT *= (residual_TB[rows] @ weights_BF[:, upper]).T
    V_CFT *= (voice_TB[rows] @ weights_BF).T
    V_CFT[:, upper] += R_CFT
    return istft(U)
