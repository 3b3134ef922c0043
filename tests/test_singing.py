"""Vocal activity from the network and from boosted trees."""

import numpy as np
import pytest
from sounds import activity_model

from karaoke_sep.errors import ConfigError
from karaoke_sep.trained import band_gains, boosted_trees, models, singing
from karaoke_sep.training import singing as training
from karaoke_sep.training.band_gains import Example


def inputs(n_frames, seed=0):
    """Random inputs."""
    rng = np.random.default_rng(seed)
    return band_gains.NetworkInputs(
        rng.standard_normal((6, n_frames, band_gains.N_BANDS)).astype(np.float32),
        rng.uniform(100, 400, n_frames),
        rng.random(n_frames),
        rng.standard_normal((n_frames, 9)),
    )


def example(seed):
    """An example: the voice estimate is loud above band 20 while somebody sings; the first 9 frames have no label."""
    gate_inputs = inputs(200, seed)
    sung_T = np.arange(200) // 25 % 2
    gate_inputs.level_6TB[1, :, 20:] += 3 * sung_T[:, None]
    return Example(
        gate_inputs, np.ones((6, 200, band_gains.N_BANDS), np.float32), np.where(np.arange(200) < 9, -1, sung_T)
    )


@pytest.mark.parametrize("n_frames", [1, 7, 300])
def test_the_trees_get_as_many_features_as_a_model_expects(n_frames):
    X_TD = singing.features(inputs(n_frames))
    assert X_TD.shape == (n_frames, singing.n_features())
    assert X_TD.dtype == np.float32


def test_the_features_of_a_frame_depend_on_the_second_around_it():
    still, moving = inputs(300), inputs(300)
    moving.gate_T[200:] = 0.9
    moved = np.any(singing.features(still) != singing.features(moving), axis=1)
    assert moved[150:].all()
    assert not moved[:149].any()


def test_trained_trees_recognise_singing_in_another_recording():
    trees = singing.trees_of(training.train([example(seed) for seed in range(6)], 0))
    assert boosted_trees.are_valid(trees, singing.n_features())
    unseen = example(7)
    log_odds_T = boosted_trees.predict(singing.features(unseen.inputs), trees)
    labelled = unseen.sung_T >= 0
    assert np.mean((log_odds_T > 0) == unseen.sung_T, where=labelled) > 0.95


def test_the_log_odds_add_up_the_network_its_level_and_the_trees():
    gate_inputs = inputs(40)
    rng = np.random.default_rng(1)
    weights = {name: 0.1 * rng.standard_normal(shape).astype(np.float32) for name, shape in band_gains.shapes().items()}
    trees = {f"{name}_MN": np.zeros((1, 1)) for name in boosted_trees.FIELDS}
    without_trees = singing.log_odds(weights | trees, gate_inputs)
    activity_T2 = band_gains.predict(weights, gate_inputs).activity_T2
    np.testing.assert_allclose(without_trees, activity_T2[:, 0] + singing.LEVEL_WEIGHT * activity_T2[:, 1], rtol=1e-5)
    with_trees = singing.log_odds(weights | trees | {"value_MN": np.ones((1, 1))}, gate_inputs)
    np.testing.assert_allclose(with_trees - without_trees, singing.TREES_WEIGHT, rtol=1e-5)


def test_a_model_whose_trees_refer_to_missing_nodes_is_rejected(tmp_path):
    path = activity_model(tmp_path / "a.npz")
    model = models.read(path)
    path.write_bytes(
        models.to_bytes(models.Model(model.kind, model.about, model.arrays | {"left_MN": np.ones((1, 1))}))
    )
    with pytest.raises(ConfigError, match="its trees refer to features or nodes that do not exist"):
        models.read(path)
