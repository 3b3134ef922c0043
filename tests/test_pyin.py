"""The backend pyin: frames, silence, and sounds shorter than its window."""

import numpy as np
import pytest
from sounds import cents, noise, voice

from karaoke_sep.pitch import pyin
from karaoke_sep.pitch.pyin import Params


@pytest.mark.parametrize("hop_ms", [16.0, 32.0])
def test_frames_are_a_hop_apart(hop_ms):
    track = pyin.track(voice(220, 0.4, 16000), Params(hop_ms=hop_ms))
    np.testing.assert_allclose(track.times_s, hop_ms / 1000 * np.arange(len(track.times_s)))
    assert abs(track.times_s[-1] - 0.4) <= hop_ms / 1000


def test_a_sound_shorter_than_the_window_has_a_track():
    track = pyin.track(voice(220, 0.03, 16000), Params())
    assert len(track.times_s) == len(track.f0_hz) == len(track.voicing) > 0


def test_noise_keeps_a_pitch_at_a_low_voicing():
    """An interpolated pitch is better than an empty comb, so only silence has none."""
    track = pyin.track(noise(0.5, 16000), Params())
    assert np.isfinite(track.f0_hz).all()
    assert np.median(track.voicing) < 0.3


def test_a_moved_sound_has_a_moved_track():
    glide = voice(lambda t: 200 * 2**t, 0.8, 16000)
    later = type(glide)(np.pad(glide.samples, ((0, 0), (1600, 0))), 16000)
    one, other = pyin.track(glide, Params()), pyin.track(later, Params())
    moved_hz = np.exp(np.interp(one.times_s + 0.1, other.times_s, np.log(np.nan_to_num(other.f0_hz, nan=1.0))))
    inner = (one.times_s > 0.1) & (one.times_s < 0.7)
    np.testing.assert_allclose(cents(moved_hz, one.f0_hz)[inner], 0, atol=10)
