"""Peaks are linked to contours, and contours are selected as the melody."""

import numpy as np
import pytest
from sounds import cents, noise, partials_of, voice

from karaoke_sep.pitch import peaks
from karaoke_sep.pitch.peaks import Params
from karaoke_sep.types import Audio


def joined(*sounds):
    return Audio(np.hstack([sound.samples for sound in sounds]), 16000)


def mixed(*sounds):
    return Audio(sum(sound.samples for sound in sounds), 16000)


@pytest.mark.parametrize("step_cents", [10.0, 25.0, 50.0])
def test_a_pitch_between_two_steps_is_estimated_between_them(step_cents):
    """A quarter of a step off the grid, or less: the parabola through three saliences."""
    track = peaks.track(voice(331.7, 0.6, 16000), Params(step_cents=step_cents))
    np.testing.assert_allclose(cents(track.f0_hz, 331.7)[8:-8], 0, atol=step_cents / 4 + 1)


def test_the_stronger_one_of_two_overlapping_voices_is_followed():
    leader = voice(lambda t: 330 * 2 ** (0.1 * np.sin(2 * np.pi * t)), 1.5, 16000)
    other = partials_of(196, 1.5, 16000, 0.03 / np.arange(1, 11))
    track = peaks.track(mixed(leader, other), Params())
    inner = (track.times_s > 0.1) & (track.times_s < 1.4)
    true_hz = 330 * 2 ** (0.1 * np.sin(2 * np.pi * track.times_s))
    np.testing.assert_allclose(cents(track.f0_hz, true_hz)[inner], 0, atol=25)


def test_a_contour_that_is_too_short_is_dropped():
    """150 ms of another note inside a long one counts only as long as contours may be so short."""
    audio = joined(voice(220, 0.5, 16000), voice(300, 0.15, 16000), voice(220, 0.5, 16000))
    dropped = peaks.track(audio, Params(min_contour_ms=300))
    kept = peaks.track(audio, Params(min_contour_ms=0))
    assert np.nanmax(np.abs(cents(dropped.f0_hz, 220))) < 20
    assert cents(np.interp(0.575, kept.times_s, kept.f0_hz), 300) == pytest.approx(0, abs=20)


def test_a_frame_without_a_contour_gets_the_pitch_between_its_neighbours():
    audio = joined(voice(200, 0.5, 16000), noise(0.3, 16000), voice(400, 0.5, 16000))
    track = peaks.track(audio, Params(min_contour_ms=300))
    gap = (track.times_s > 0.57) & (track.times_s < 0.73)
    assert np.all(np.diff(track.f0_hz[gap]) > 0)
    assert cents(track.f0_hz[gap].min(), 200) > -50
    assert cents(track.f0_hz[gap].max(), 400) < 50


@pytest.mark.parametrize(("max_step_cents", "n_contours"), [(30.0, 2), (150.0, 1)])
def test_a_contour_steps_no_further_than_allowed(max_step_cents, n_contours):
    frames = [[(100.0, 1.0)]] * 10 + [[(110.0, 1.0)]] * 10
    contours = peaks.link(frames, Params(max_step_cents=max_step_cents))
    assert len(contours) == n_contours
    assert sum(len(contour.frames) for contour in contours) == 20


@pytest.mark.parametrize(("max_gap_ms", "n_contours"), [(16.0, 2), (80.0, 1)])
def test_a_contour_survives_as_long_as_allowed_without_a_peak(max_gap_ms, n_contours):
    frames = [[(100.0, 1.0)]] * 10 + [[]] * 3 + [[(100.0, 1.0)]] * 10
    assert len(peaks.link(frames, Params(max_gap_ms=max_gap_ms))) == n_contours


def test_every_peak_belongs_to_one_contour():
    rng = np.random.default_rng(0)
    frames = [[(s, 1.0) for s in rng.choice(400, rng.integers(0, 6), replace=False).astype(float)] for _ in range(80)]
    contours = peaks.link(frames, Params())
    linked = sorted((t, s) for c in contours for t, s in zip(c.frames, c.states, strict=True))
    assert linked == sorted((t, s) for t, frame in enumerate(frames) for s, _ in frame)
    for contour in contours:
        assert np.all(np.diff(contour.frames) > 0)
