"""Inputs of the trained models for a clip, for their training and their evaluation."""

import numpy as np

from ..activity import GateInputs
from ..activity.trained import clip_inputs
from ..config import Config
from ..pipeline import estimate_voice, find_pitch
from ..recording import Buffer
from ..trained.band_gains import NetworkInputs
from ..types import Audio


def trained_inputs(mixture: Audio, config: Config) -> tuple[np.ndarray, NetworkInputs, Audio]:
    """Return the features of the frame classes, (T, D), the inputs of the network, and the voice estimate, (C, N)."""
    track = find_pitch(mixture, config=config)
    voice = Buffer.like(mixture)
    features = estimate_voice(mixture, voice, track, config)
    inputs = GateInputs(mixture, voice, features, track, config.stft.hop_ms)
    return *clip_inputs(inputs, config.activity), voice
