"""BSS Eval and uSDR as in their papers, for comparison with the figures of the package.

Version 2.1 projects by least squares, version 3 is that of mir_eval.
"""

import numpy as np
import pytest


def ratio_db(part, rest):
    return 10 * np.log10(np.sum(part**2) / np.sum(rest**2))


def projected(signal, sources):
    """Projection of a signal onto the space of some sources, (S, N)."""
    return sources.T @ np.linalg.lstsq(sources.T, signal, rcond=None)[0]


def version_2(sources, estimates):
    """SDR, SIR and SAR of each estimate, shape (S, 3), dB; a source may only be scaled (Vincent et al. 2006)."""
    rows = []
    for number, estimate in enumerate(estimates):
        target, both = projected(estimate, sources[[number]]), projected(estimate, sources)
        rows.append(
            [ratio_db(target, estimate - target), ratio_db(target, both - target), ratio_db(both, estimate - both)]
        )
    return np.array(rows)


def version_3(sources, estimates):
    """SDR, SIR and SAR of each estimate, shape (S, 3), dB; a source may be filtered with 512 taps."""
    separation = pytest.importorskip("mir_eval.separation", reason="this mir_eval has no separation module")
    return np.stack(separation.bss_eval_sources(sources, estimates, compute_permutation=False)[:3], axis=1)


def nsdr_sir_sar(version, sources, estimates):
    """NSDR, SIR and SAR of each estimate, shape (S, 3), dB: the SDR is the gain over the mixture."""
    scores = {"v2": version_2, "v3": version_3}[version]
    found = scores(sources, estimates)
    mixture = sources.sum(axis=0, keepdims=True)
    found[:, 0] -= [scores(source[None], mixture)[0, 0] for source in sources]
    return found


def usdr_db(source, estimate):
    return ratio_db(source, source - estimate)
