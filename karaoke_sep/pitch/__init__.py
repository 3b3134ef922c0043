"""Estimation of the sung pitch: one file for each method. The config chooses a method by its name.

A method is a module of this folder with

- ``Params``: a frozen dataclass of its settings, each with a default. Where the frames lie on a grid, ``Params.hop_ms``
  is its step.
- ``track(melody, params)``: return the `PitchTrack` of an excerpt, a mono `Audio` after melody enhancement, with times
  from its start. Long recordings are estimated in parts, so the pitch of a frame must not depend on sound more
  than 16 s away. If the track has a ``salience``, its voicing is computed again from the salience of the whole
  recording; otherwise its voicing is kept.
- or instead of ``track``, ``known(params)``: return the `PitchTrack` of the whole recording without estimating it.
- if it can fail before any work, ``check(params, config)``: raise ConfigError.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from ..types import PitchTrack, Salience
from ._salience import judged


def known(section: Any) -> PitchTrack | None:
    """Return the pitch of the whole recording if the chosen method has ``known``; otherwise None."""
    return section.method.known(section.params) if hasattr(section.method, "known") else None


def joined(tracks: list[PitchTrack], hop_ms: float | None) -> PitchTrack:
    """Join the tracks of the parts of a recording, and compute the voicing from all of them.

    Parameters
    ----------
    tracks : list of PitchTrack
        In order of time, without overlap.
    hop_ms : float, optional
        Step of their frames.
    """
    times_s, f0_hz, voicing = (
        np.concatenate([getattr(track, name) for track in tracks]) for name in ("times_s", "f0_hz", "voicing")
    )
    saliences = [track.salience for track in tracks if track.salience]
    evidences = [track.evidence_T for track in tracks if track.evidence_T is not None]
    evidence_T = np.concatenate(evidences) if len(evidences) == len(tracks) else None
    if len(saliences) < len(tracks) or hop_ms is None:
        return PitchTrack(times_s, f0_hz, voicing, evidence_T=evidence_T)
    track = judged(times_s, f0_hz, Salience(*map(np.concatenate, zip(*saliences, strict=True))), hop_ms)
    return replace(track, evidence_T=evidence_T)
