"""In dense mixtures, what exceeds the accompaniment beside the partials of the lead belongs to the voice."""

import numpy as np
import pytest
from sounds import sdr_db

from karaoke_sep import Audio, load_config, separate
from karaoke_sep.steps import dense_mixture, wiener
from karaoke_sep.steps.dense_mixture import Params

HOP_MS = 16.0
FREQS_HZ = np.array([100.0, 400.0, 600.0, 1000.0, 3000.0])
N_FRAMES = 6


def planes(lead_gain):
    """Return gain of the lead, mixture, accompaniment and coverage: partials at 100, 400 and 3000 Hz."""
    X_TF = np.ones((N_FRAMES, 5), np.float32)
    A_TF = np.tile(np.array([0.0, 0.0, 0.0, 1.0, 0.0], np.float32), (N_FRAMES, 1))
    covered_TF = np.tile([True, True, False, False, True], (N_FRAMES, 1))
    return np.where(covered_TF, np.float32(lead_gain), np.float32(0)), X_TF, A_TF, covered_TF


def gain(G_TF, X_TF, A_TF, covered_TF, **settings):
    return dense_mixture.gain(G_TF, X_TF, A_TF, covered_TF, FREQS_HZ, HOP_MS, Params(**settings), wiener.Params())


def test_the_density_falls_with_the_share_of_the_lead_from_1_to_0():
    X_TF = np.ones((4, 10), np.float32)
    params = Params(midpoint_db=-4, range_db=2)
    gains = 10 ** (np.array([-60.0, -4.5, -4.0, -3.5, 0.0]) / 20)
    found = [dense_mixture.density(np.full_like(X_TF, g), X_TF, HOP_MS, params)[0] for g in gains]
    np.testing.assert_allclose(found, [1, 0.75, 0.5, 0.25, 0], atol=1e-4)


def test_the_density_does_not_depend_on_the_level_and_silence_has_one():
    rng = np.random.default_rng(0)
    G_TF, X_TF = rng.random((2, 50, 30)).astype(np.float32)
    loud, soft = (dense_mixture.density(G_TF, X_TF * np.float32(k), HOP_MS, Params(range_db=20)) for k in (1, 1e-4))
    np.testing.assert_allclose(loud, soft, atol=1e-4)
    assert np.isfinite(dense_mixture.density(G_TF, 0 * X_TF, HOP_MS, Params())).all()


def test_where_the_lead_is_most_of_the_sound_its_gain_is_left_alone():
    G_TF, *others = planes(1.0)
    X_TF = others[0]
    X_TF[:, [2, 3]] = 0.01
    np.testing.assert_array_equal(gain(G_TF, *others), G_TF)


def test_in_a_dense_mixture_the_excess_goes_to_the_voice_and_the_bass_to_the_accompaniment():
    G_TF, *others = planes(0.2)
    voice_TF = gain(G_TF, *others, share_between=0.9, share_within=0.5, bass_gain=0.25, top_hz=2500)
    # 100 Hz is bass; 400 Hz lies within a band, 600 Hz between two; at 1000 Hz nothing exceeds; 3000 Hz is above.
    np.testing.assert_allclose(voice_TF, np.tile([0.05, 0.6, 0.9, 0, 0.2], (N_FRAMES, 1)), atol=1e-6)


def test_frames_without_a_partial_hold_no_voice():
    G_TF, X_TF, A_TF, covered_TF = planes(0.2)
    covered_TF[2] = False
    G_TF[2] = 0
    voice_TF = gain(G_TF, X_TF, A_TF, covered_TF)
    assert voice_TF[2].max() == 0
    assert voice_TF[1].max() > 0


def test_the_gain_of_the_lead_is_not_changed_in_place():
    G_TF, *others = planes(0.2)
    before = G_TF.copy()
    assert not np.array_equal(gain(G_TF, *others), before)
    np.testing.assert_array_equal(G_TF, before)


def test_a_doubled_voice_in_a_dense_mixture_is_separated_better(demo):
    """The second voice sings the same melody 30 cents higher, 6 dB softer."""
    song = demo(16000, 8.0)
    n = song.mixture.n_samples
    positions = np.minimum(np.arange(n) * 2 ** (30 / 1200), n - 1)
    lead = song.vocals.samples[0]
    voices = lead + 0.5 * np.interp(positions, np.arange(n), lead).astype(np.float32)
    accompaniment = (song.mixture.samples - song.vocals.samples) * np.float32(1.5)
    mixture = Audio(voices[None] + accompaniment, 16000)
    without, with_it = (
        sdr_db(voices, separate(mixture, config=load_config(None, [f"dense_mixture.enabled={on}"])).vocals.samples[0])
        for on in ("false", "true")
    )
    assert with_it > without + 0.1


@pytest.mark.parametrize("name", ["share_between", "share_within", "bass_gain"])
def test_a_share_above_1_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 1.5; it must be 0 to 1"):
        Params(**{name: 1.5})
