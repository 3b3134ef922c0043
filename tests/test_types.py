"""The axes of the values, and a pitch track read at other times."""

import numpy as np
import pytest
from sounds import cents

from karaoke_sep.types import Audio, PitchTrack, Spectrum

NAN = np.nan


def track(f0_hz, voicing=None, hop_s=0.01):
    f0_hz = np.array(f0_hz, float)
    voicing = np.isfinite(f0_hz).astype(float) if voicing is None else np.array(voicing, float)
    return PitchTrack(hop_s * np.arange(len(f0_hz)), f0_hz, voicing)


def test_a_sound_has_the_axes_channels_and_samples():
    audio = Audio(np.zeros((2, 24000)), 48000)
    assert (audio.n_channels, audio.n_samples, audio.duration_s) == (2, 24000, 0.5)


def test_the_magnitude_is_the_root_of_the_mean_power_over_channels():
    values = np.array([[[3 + 4j, 1j]], [[0j, 1]]])
    np.testing.assert_allclose(Spectrum(values, 8000, 2, 1, 2).magnitude, [[np.sqrt(25 / 2), 1]])
    np.testing.assert_allclose(Spectrum(values[:1], 8000, 2, 1, 2).magnitude, [[5, 1]])


def test_a_track_read_at_its_own_times_is_itself():
    one = track([NAN, 220, 230, NAN, 400], [0, 0.2, 0.9, 0, 1])
    again = one.at(one.times_s)
    np.testing.assert_allclose(again.f0_hz, one.f0_hz, rtol=1e-12)
    np.testing.assert_array_equal(again.voicing, one.voicing)


def test_halfway_between_two_frames_lies_half_the_interval():
    middle = track([220, 440], [0.2, 0.6]).at(np.array([0.0025, 0.005]))
    np.testing.assert_allclose(cents(middle.f0_hz, 220), [300, 600])
    np.testing.assert_allclose(middle.voicing, [0.3, 0.4])


def test_a_time_is_unvoiced_where_the_nearest_frame_is():
    read = track([200, NAN, 300]).at(np.array([0.004, 0.006, 0.014, 0.016]))
    np.testing.assert_array_equal(np.isnan(read.f0_hz), [False, True, True, False])
    np.testing.assert_array_equal(read.voicing > 0, [True, False, False, True])


@pytest.mark.parametrize("times_s", [[-1.0], [5.0], [-1.0, 0.0, 5.0]])
def test_before_and_after_its_frames_a_track_holds_its_ends(times_s):
    read = track([200, 300], [0.5, 1]).at(np.array(times_s))
    np.testing.assert_allclose(read.f0_hz, np.where(np.array(times_s) < 5, 200, 300))


def test_a_track_without_pitch_has_none_anywhere():
    read = track([NAN, NAN]).at(np.linspace(0, 1, 7))
    assert np.isnan(read.f0_hz).all()
    assert (read.voicing == 0).all()
