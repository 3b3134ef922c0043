"""What the multiplicative updates of the Kullback-Leibler divergence ask for: the mixture over its model.

The updates (Lee & Seung 2001) multiply this ratio with one of the factors and need nothing else of the plane. So it is
made of a few frames at a time, which stay in the cache: the same figures in half the time of whole planes.
"""

from collections.abc import Iterator

import numpy as np

EPS = np.float32(1e-12)
BLOCK_FRAMES = 64  # of 1500 bins: 400 kB; 32 and 128 are 10 and 30 % slower


def ratios(X_TF, H_TK, B_KF, V_TF=None) -> Iterator[tuple[slice, np.ndarray]]:
    """X / (H B + V) of a block of frames after the other.

    Parameters
    ----------
    X_TF : ndarray, shape (T, F), float32, >= 0
    H_TK, B_KF : ndarray, float32, >= 0
        The rows of H may be changed once their block is there.
    V_TF : ndarray, shape (T, F), float32, >= 0, optional

    Yields
    ------
    block : slice of frames
    R_TF : ndarray, shape (T of the block, F), float32
        Overwritten by the next.
    """
    n_frames, n_bins = X_TF.shape
    buffer_TF = np.empty((min(BLOCK_FRAMES, n_frames), n_bins), np.float32)
    for start in range(0, n_frames, BLOCK_FRAMES):
        block = slice(start, min(n_frames, start + BLOCK_FRAMES))
        L_TF = np.matmul(H_TK[block], B_KF, out=buffer_TF[: block.stop - start])
        if V_TF is not None:
            L_TF += V_TF[block]
        L_TF += EPS
        yield block, np.divide(X_TF[block], L_TF, out=L_TF)
