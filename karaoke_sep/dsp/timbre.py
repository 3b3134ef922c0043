"""What the song's singer sounds like, learned from the song itself.

Cepstra of each frame tell spectral shapes apart; the frames that the gate's other evidence holds for sung, and those
that it does not, train a linear discriminant (Fisher 1936) on this one recording, which then judges every frame. No
label and no other recording is used.
"""

import numpy as np
import scipy.fft
import scipy.ndimage

N_BANDS, N_CEPSTRA = 24, 13  # the field's usual numbers (Davis & Mermelstein 1980)
MIN_HZ = 80.0
HEARD_DB = -50.0  # against the loud moments: what is softer has no timbre to learn from
BLOCK_FRAMES = 1 << 15  # so that hours of frames are never copied whole


def cepstra(S_TF: np.ndarray, bin_hz: float) -> np.ndarray:
    """Shape of each frame's spectrum, as mel-frequency cepstra.

    Parameters
    ----------
    S_TF : ndarray, shape (T, F), >= 0
        Magnitudes.
    bin_hz : float
        Distance of the bins.

    Returns
    -------
    ndarray, shape (T, N_CEPSTRA), float32
    """
    top_mel, low_mel = (1127 * np.log1p(f / 700) for f in ((S_TF.shape[1] - 1) * bin_hz, MIN_HZ))
    edges_hz = 700 * np.expm1(np.linspace(low_mel, top_mel, N_BANDS + 1) / 1127)
    edges = np.maximum.accumulate(np.rint(edges_hz / bin_hz).astype(int) + np.arange(N_BANDS + 1) // N_BANDS)
    power = np.add.reduceat(S_TF[:, : edges[-1]] ** 2, edges[:-1], axis=1) / np.maximum(np.diff(edges), 1)
    log_power = np.log(power + 1e-8 * power.mean() + 1e-12)  # 80 dB of range: numerical dust has no timbre
    return scipy.fft.dct(log_power, norm="ortho", axis=1)[:, :N_CEPSTRA]


def evidence(C_TD: np.ndarray, sung_T: np.ndarray, heard_T: np.ndarray, smoothing_frames: float) -> np.ndarray:
    """Log-odds that each frame's timbre is that of the sung frames, shape (T,).

    Parameters
    ----------
    C_TD : ndarray, shape (T, D)
        Cepstra.
    sung_T : ndarray, shape (T,), 0..1
        How much each frame counts as sung; the rest of it counts as not.
    heard_T : ndarray, shape (T,), bool
        False where there is silence: such frames teach nothing and get 0.
    smoothing_frames : float
        Standard deviation of the Gaussian that the result is smoothed with.
    """
    n_features = C_TD.shape[1]
    sung, rest = sung_T * heard_T, (1 - sung_T) * heard_T
    if min(sung.sum(), rest.sum()) < n_features:
        return np.zeros(len(C_TD))  # too little of one kind to learn from
    blocks = [slice(start, start + BLOCK_FRAMES) for start in range(0, len(C_TD), BLOCK_FRAMES)]

    def average(weight_T, values):
        return sum(weight_T[block] @ values(block) for block in blocks) / weight_T.sum()

    centre = average(heard_T, lambda block: C_TD[block].astype(float))
    spread = np.sqrt(average(heard_T, lambda block: (C_TD[block] - centre) ** 2)) + 1e-9

    def standard(block):
        return (C_TD[block] - centre) / spread

    mean_sung, mean_rest = average(sung, standard), average(rest, standard)
    scatter_DD = np.zeros((n_features, n_features))
    for mean, weight in ((mean_sung, sung), (mean_rest, rest)):
        for block in blocks:
            from_mean = standard(block) - mean
            scatter_DD += from_mean.T @ (from_mean * weight[block, None])
    # The ridge keeps short recordings, with hardly more frames than features, from being learned by heart.
    direction = np.linalg.solve(scatter_DD / heard_T.sum() + 0.01 * np.eye(n_features), mean_sung - mean_rest)
    middle = (mean_sung + mean_rest) / 2
    log_odds = np.where(heard_T, np.concatenate([(standard(block) - middle) @ direction for block in blocks]), 0)
    return scipy.ndimage.gaussian_filter1d(log_odds, smoothing_frames, mode="nearest")
