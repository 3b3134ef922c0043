"""The path through the salience moves as a voice can."""

import numpy as np
import pytest
from sounds import cents, noise, voice

from karaoke_sep.pitch import hmm
from karaoke_sep.pitch.hmm import Params
from karaoke_sep.types import Audio


def two_tones(gap_cents, seconds=0.6):
    """A tone, then another one so many cents above it."""
    first, second = voice(200, seconds, 16000), voice(200 * 2 ** (gap_cents / 1200), seconds, 16000)
    return Audio(np.hstack([first.samples, second.samples]), 16000)


@pytest.mark.parametrize("max_jump_cents", [100.0, 120.0, 300.0])
def test_the_pitch_moves_no_further_in_a_frame_than_allowed(max_jump_cents):
    params = Params(max_jump_cents=max_jump_cents, jump_cost=0)
    steps_cents = np.abs(np.diff(1200 * np.log2(hmm.track(two_tones(700), params).f0_hz)))
    assert steps_cents.max() == pytest.approx(max_jump_cents, abs=1)


@pytest.mark.parametrize("step_cents", [5.0, 10.0, 20.0])
def test_a_steady_tone_is_within_half_a_step_of_the_grid(step_cents):
    track = hmm.track(voice(331.7, 0.6, 16000), Params(step_cents=step_cents))
    np.testing.assert_allclose(cents(track.f0_hz, 331.7)[8:-8], 0, atol=step_cents / 2 + 1)


def test_a_higher_step_cost_makes_a_smoother_path():
    audio = noise(1.0, 16000)
    travel_cents = [
        np.abs(np.diff(1200 * np.log2(hmm.track(audio, Params(jump_cost=cost)).f0_hz))).sum()
        for cost in (0.0, 0.0002, 0.01, 1.0)
    ]
    assert np.all(np.diff(travel_cents) <= 0)
    assert travel_cents[0] > 1000
    assert travel_cents[-1] == 0


def test_the_path_passes_through_a_pause_instead_of_leaving_it():
    """30 ms of noise between two notes: there is a pitch all along, on the way from one to the other."""
    audio = two_tones(300)
    audio.samples[:, 9360:9840] = 0.3 * noise(0.03, 16000).samples
    f0_hz = hmm.track(audio, Params()).f0_hz
    assert np.isfinite(f0_hz).all()
    assert cents(f0_hz, 200).min() > -20
    assert cents(f0_hz, 200).max() < 320


def test_quiet_frames_count_as_much_as_loud_ones():
    audio = noise(1.0, 16000)
    quiet = Audio(audio.samples * 0.01, 16000)
    loud_hz, quiet_hz = (hmm.track(a, Params()).f0_hz for a in (audio, quiet))
    assert np.mean(np.abs(cents(quiet_hz, loud_hz)) < 1) > 0.95
