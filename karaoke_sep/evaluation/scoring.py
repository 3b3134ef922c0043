"""Compute all separation figures of a pair of stems, by name.

``v2_vocals_nsdr_db`` is the normalised SDR of the vocals by BSS Eval 2.1: the SDR minus that of the unprocessed mixture
against the same source. uSDR uses all channels. BSS Eval is a mono measure, and uses the mean of the channels.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..settings.catalogue import STEMS
from ..types import Audio
from .bss_eval import N_TAPS, Subspaces, criteria, single_reference_sdr, subspaces, usdr_db


@dataclass(frozen=True, eq=False)
class Reference:
    """Reference stems, prepared once for any number of estimates.

    Attributes
    ----------
    vocals, accompaniment : Audio, (C, N)
    spaces : dict, from version to Subspaces
    mixture_sdr_db : dict, from version to ndarray of shape (2,)
        SDR of the unprocessed mixture against vocals and accompaniment.
    """

    vocals: Audio
    accompaniment: Audio
    spaces: dict[str, Subspaces]
    mixture_sdr_db: dict[str, np.ndarray]


def prepare(vocals: Audio, accompaniment: Audio, versions: Iterable[str] = tuple(N_TAPS)) -> Reference:
    """Return the reference for scoring estimates of these stems, both (C, N), in some versions of BSS Eval."""
    sources = _mono(vocals, accompaniment)
    spaces = {version: subspaces(sources, N_TAPS[version]) for version in versions}
    mixture_sdr_db = {version: single_reference_sdr(space, sources.sum(axis=0)) for version, space in spaces.items()}
    return Reference(vocals, accompaniment, spaces, mixture_sdr_db)


def figures(reference: Reference, vocals: Audio, accompaniment: Audio) -> dict[str, float]:
    """Return SDR, NSDR, SIR, SAR in each version, and uSDR, of estimated stems of the same shape, all in dB.

    ``sum_error_db`` is the error of the sum of the stems relative to the mixture; -300 if they add up to it.
    """
    estimates = _mono(vocals, accompaniment)
    found = {}
    for version, spaces in reference.spaces.items():
        got = criteria(spaces, estimates)
        nsdr_db = got.sdr_db - reference.mixture_sdr_db[version]
        for j, stem in enumerate(STEMS):
            found[f"{version}_{stem}_sdr_db"] = float(got.sdr_db[j])
            found[f"{version}_{stem}_nsdr_db"] = float(nsdr_db[j])
            found[f"{version}_{stem}_sir_db"] = float(got.sir_db[j])
            found[f"{version}_{stem}_sar_db"] = float(got.sar_db[j])
    found["vocals_usdr_db"] = usdr_db(reference.vocals.samples, vocals.samples)
    found["accompaniment_usdr_db"] = usdr_db(reference.accompaniment.samples, accompaniment.samples)
    mixture = reference.vocals.samples + reference.accompaniment.samples
    found["sum_error_db"] = -usdr_db(mixture, vocals.samples + accompaniment.samples)
    return found


def silences(reference: Reference, vocals: Audio, accompaniment: Audio) -> str:
    """Return a text that names the silent stems, which have no BSS Eval figures; empty if there are none."""
    named = {
        "true vocals": reference.vocals,
        "true accompaniment": reference.accompaniment,
        "estimated vocals": vocals,
        "estimated accompaniment": accompaniment,
    }
    return ", ".join(f"{name} silent" for name, stem in named.items() if not _mono(stem).any())


def _mono(*stems: Audio) -> np.ndarray:
    return np.stack([stem.samples.mean(axis=0, dtype=np.float64) for stem in stems])
