"""Whether somebody sings, by the network and by trees."""

import numpy as np
import pytest
from sounds import activity_model

from karaoke_sep.errors import ConfigError
from karaoke_sep.trained import band_gains, boosted_trees, models, singing
from karaoke_sep.training import band_gains as lessons
from karaoke_sep.training import singing as training


def clues(n_frames, seed=0):
    """Of a song in which all is random."""
    rng = np.random.default_rng(seed)
    return band_gains.Clues(
        rng.standard_normal((6, n_frames, band_gains.N_BANDS)).astype(np.float32),
        rng.uniform(100, 400, n_frames),
        rng.random(n_frames),
        rng.standard_normal((n_frames, 9)),
    )


def lesson(seed):
    """Somebody sings where the voice that was found is loud in the bands from 20 on; the first frames have no label."""
    each = clues(200, seed)
    sung_T = np.arange(200) // 25 % 2
    each.level_6TB[1, :, 20:] += 3 * sung_T[:, None]
    return lessons.Lesson(
        each, np.ones((6, 200, band_gains.N_BANDS), np.float32), np.where(np.arange(200) < 9, -1, sung_T)
    )


@pytest.mark.parametrize("n_frames", [1, 7, 300])
def test_trees_hear_what_the_model_says_they_do(n_frames):
    X_TD = singing.features(clues(n_frames))
    assert X_TD.shape == (n_frames, singing.n_features())
    assert X_TD.dtype == np.float32


def test_a_frame_is_told_of_the_time_around_it():
    still, moving = clues(300), clues(300)
    moving.gate_T[200:] = 0.9
    moved = np.any(singing.features(still) != singing.features(moving), axis=1)
    assert moved[150:].all()
    assert not moved[:149].any()


def test_trees_learn_what_tells_singing_in_other_recordings():
    trees = singing.trees_of(training.train([lesson(seed) for seed in range(6)], 0))
    assert boosted_trees.are_sound(trees, singing.n_features())
    unseen = lesson(7)
    found_T = boosted_trees.predict(singing.features(unseen.clues), trees)
    labelled = unseen.sung_T >= 0
    assert np.mean((found_T > 0) == unseen.sung_T, where=labelled) > 0.95


def test_all_witnesses_are_heard(monkeypatch):
    """Log-odds and level of the network, and the trees."""
    each = clues(40)
    rng = np.random.default_rng(1)
    weights = {name: 0.1 * rng.standard_normal(shape).astype(np.float32) for name, shape in band_gains.shapes().items()}
    trees = {f"{name}_MN": np.zeros((1, 1)) for name in boosted_trees.FIELDS}
    silent = singing.says(weights | trees, each)
    *_, sung_T2 = band_gains.hear(weights, each)
    np.testing.assert_allclose(silent, sung_T2[:, 0] + singing.LEVEL_SAYS * sung_T2[:, 1], rtol=1e-5)
    speaking = singing.says(weights | trees | {"value_MN": np.ones((1, 1))}, each)
    np.testing.assert_allclose(speaking - silent, singing.TREES_SAY, rtol=1e-5)


def test_a_model_whose_trees_are_damaged_is_refused(tmp_path):
    path = activity_model(tmp_path / "a.npz")
    model = models.read(path)
    path.write_bytes(
        models.to_bytes(models.Model(model.kind, model.about, model.arrays | {"left_MN": np.ones((1, 1))}))
    )
    with pytest.raises(ConfigError, match="its trees point at what is not there"):
        models.read(path)
