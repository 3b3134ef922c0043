"""The untrained gate opens for a voice and closes for other sounds."""

import numpy as np
import pytest
from scipy.special import expit, logit

from karaoke_sep.activity import song
from karaoke_sep.activity.song import Params

HOP_MS = 16.0
LOUD_DB = -20.0


def activity(level_db, voicing, hop_ms, params):
    """The gate of a song whose every frame has the same timbre."""
    return song.gains(level_db, voicing, np.zeros((len(level_db), 1)), hop_ms, params)


def song_levels(*parts):
    """Level in dB of each frame, from (level_db, n_frames) parts."""
    return np.concatenate([np.full(n, float(level_db)) for level_db, n in parts])


def test_the_gate_is_closed_on_digital_silence_and_open_on_loud_sung_frames():
    level_db = song_levels((LOUD_DB, 100), (-np.inf, 100), (LOUD_DB, 100))
    voicing = np.where(np.isfinite(level_db), 0.95, 0.0)
    gate = activity(level_db, voicing, HOP_MS, Params())
    assert gate[20:80].min() > 0.95
    assert gate[120:180].max() < 1e-6
    assert np.isfinite(gate).all()


@pytest.mark.parametrize("below_db", [np.inf, 120.0, 65.0])
def test_frames_below_the_floor_are_never_a_voice(below_db):
    level_db = song_levels((LOUD_DB, 50), (LOUD_DB - below_db, 50))
    assert (activity(level_db, np.ones(100), HOP_MS, Params())[60:] == 0).all()


def test_the_log_odds_of_level_and_pitch_add():
    params = Params(smoothing_ms=0, section_weight=0, section_s=36_000)
    rng = np.random.default_rng(0)
    level_db, voicing = rng.uniform(-60, -10, 200), rng.uniform(0.01, 0.99, 200)
    below_midpoint_db = level_db - np.percentile(level_db, 95) - params.level_midpoint_db
    expected = expit(params.level_weight * below_midpoint_db + logit(voicing))
    np.testing.assert_allclose(activity(level_db, voicing, HOP_MS, params), expected, rtol=1e-5)


def test_only_the_level_relative_to_the_loud_frames_counts():
    level_db = -30 + 10 * np.sin(np.arange(300) / 20)
    voicing = np.full(300, 0.5)
    gate = activity(level_db, voicing, HOP_MS, Params())
    np.testing.assert_allclose(activity(level_db - 80, voicing, HOP_MS, Params()), gate, atol=1e-9)


@pytest.mark.parametrize("more", ["level", "voicing"])
def test_more_evidence_never_closes_the_gate(more):
    level_db = song_levels((-50, 100), (LOUD_DB, 100))
    voicing = np.full(200, 0.3)
    louder, surer = level_db.copy(), voicing.copy()
    if more == "level":
        louder[:100] += 10
    else:
        surer[:100] += 0.3
    before, after = activity(level_db, voicing, HOP_MS, Params()), activity(louder, surer, HOP_MS, Params())
    assert (after >= before - 1e-12).all()
    assert after[:90].min() > 1.5 * before[:90].max()


def test_smoothing_spans_the_same_time_at_every_hop():
    """Half of a long step is reached where the step is; one standard deviation later 84 % of it, in dB."""
    for hop_ms in (4.0, 20.0):
        times_ms = hop_ms * (np.arange(round(2000 / hop_ms)) + 0.5) - 1000
        params = Params(level_weight=0.01, smoothing_ms=100, section_weight=0)
        gate = activity(np.where(times_ms < 0, -60.0, -20.0), np.full(len(times_ms), 0.5), hop_ms, params)
        level_db = (logit(gate) - logit(gate)[-1]) / 0.01
        np.testing.assert_allclose(np.interp([-100, 0, 100], times_ms, level_db), [-33.65, -20, -6.35], atol=0.3)


def test_weak_evidence_for_half_a_minute_closes_a_section_and_a_short_rest_does_not():
    """25 dB under the singer: each frame alone is open by a seventh."""
    for rest_s, closed in ((30, True), (2, False)):
        n_rest = round(1000 * rest_s / HOP_MS)
        sung = song_levels((LOUD_DB, 2000), (LOUD_DB - 25, n_rest), (LOUD_DB, 2000))
        middle = activity(sung, np.full(len(sung), 0.8), HOP_MS, Params())[2000 + n_rest // 2]
        alone = activity(sung, np.full(len(sung), 0.8), HOP_MS, Params(section_weight=0))[2000 + n_rest // 2]
        assert 0.1 < alone < 0.2
        assert middle < 1e-3 if closed else middle > 0.9 * alone


def test_frames_with_the_timbre_of_the_sung_ones_are_opened_and_the_others_closed():
    """Level and pitch classify half of the frames; the other half is uncertain."""
    rng = np.random.default_rng(0)
    sung = np.tile([True, False], 500)
    voicing = np.where(sung, 0.95, 0.05)
    voicing[500:] = 0.5
    level_db = np.full(1000, LOUD_DB)
    cepstra_TD = np.where(sung, 1.0, -1.0)[:, None] + rng.normal(0, 0.3, (1000, 4))
    hop_ms = 2000.0  # far apart, so that no smoothing mixes them
    params = Params(section_weight=0, section_s=36_000, level_weight=0, timbre_weight=0.8)
    gate = song.gains(level_db, voicing, cepstra_TD, hop_ms, params)
    assert gate[500:][sung[500:]].min() > 0.6
    assert gate[500:][~sung[500:]].max() < 0.4
