"""Models of the accompaniment: one file for each method. The config chooses a method by its name.

A method is a module of this folder with

- ``Params``: a frozen dataclass of its settings, each with a default, among them ``n_starts``.
- ``fit(X_TF, covered_TF, bin_hz, params, rng)``: return activations (T, K) and bases (K, F) of the accompaniment,
  from the bins that the harmonic mask does not cover. The mean of the models of ``n_starts`` calls is used.
- if it models the voice as well, ``refine_voice(V, X_TF, bins, bin_hz, params, rng)``: return the voice at the bins
  of the harmonic mask, shape (S,).
- if it can separate without a pitch, ``is_alone(params)``: return whether it does; if so,
  ``voice_and_accompaniment(X_TF, bin_hz, params, rng)``: return both magnitudes, shape (T, F).
- if it can fail before any work, ``check(params, config)``: raise ConfigError.
- if it uses files, ``model_files(params)``: return their paths.
"""

from typing import Any

import numpy as np


def needs_pitch(section: Any) -> bool:
    """Return whether the chosen method separates along a pitch."""
    return not (hasattr(section.method, "is_alone") and section.method.is_alone(section.params))


def refine_voice(
    section: Any, V: np.ndarray, X_TF: np.ndarray, bins: np.ndarray, bin_hz: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the voice at the bins of the mask, shape (S,), refined if the chosen method models the voice."""
    refine = getattr(section.method, "refine_voice", None)
    return refine(V, X_TF, bins, bin_hz, section.params, rng) if refine else V
