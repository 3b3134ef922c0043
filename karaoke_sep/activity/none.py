"""No gate: the vocals are the voice estimate at all times, as in the published scheme."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..types import Audio
from . import GateInputs


@dataclass(frozen=True)
class Params:
    """No settings."""


class OpenGate:
    """A gate that is always open."""

    context_s = 0.0

    def apply(self, mixture: Audio, voice: Audio, start: int) -> np.ndarray:
        """Return the voice unchanged, shape (C, n)."""
        return voice.samples


def gate(inputs: GateInputs, section: Any, span_s: tuple[float, float]) -> OpenGate:
    """Return a gate that is always open."""
    return OpenGate()
