"""Sound that neither the partials nor the accompaniment explain goes to the voice."""

import numpy as np
import pytest

from karaoke_sep.steps import consonants, wiener


def test_only_uncovered_bins_that_exceed_the_accompaniment_are_let_through():
    X_TF = np.array([[1.0, 1.0, 1.0, 0.5], [1.0, 1.0, 1.0, 1.0]], np.float32)
    A_TF = np.array([[0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 0.0, 0.0]], np.float32)
    covered_TF = np.array([[True, False, False, False], [False, False, False, False]])
    gain_TF = consonants.gain(X_TF, A_TF, covered_TF, consonants.Params(share=0.8), wiener.Params(exponent=2))
    np.testing.assert_allclose(gain_TF, [[0, 0.8, 0.4, 0], [0, 0, 0, 0]], atol=1e-6)


def test_a_hiss_while_somebody_sings_is_voice_and_the_same_hiss_otherwise_is_not(demo):
    """The hiss lies between the partials; without this step it stays in the accompaniment."""
    import karaoke_sep
    from karaoke_sep import load_config

    song = demo(16000, 6.0)
    before = karaoke_sep.separate(song.mixture, config=load_config(None, ["consonants.enabled=false"]))
    after = karaoke_sep.separate(song.mixture)
    high = np.abs(np.fft.rfftfreq(song.mixture.n_samples, 1 / 16000) - 5500) < 1500

    def energy(audio):
        return (np.abs(np.fft.rfft(audio.samples)[:, high]) ** 2).sum()

    assert energy(after.vocals) > 1.25 * energy(before.vocals)
    assert energy(after.vocals) < 2 * energy(song.vocals)


@pytest.mark.parametrize("min_hz", [-1.0])
def test_a_negative_frequency_is_refused(min_hz):
    with pytest.raises(ValueError, match="min_hz is -1; it must be 0 to 96000"):
        consonants.Params(min_hz=min_hz)
