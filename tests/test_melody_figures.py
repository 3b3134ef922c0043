"""Pitch figures against values known by counting, and mir_eval."""

from dataclasses import astuple

import numpy as np
import pytest

from karaoke_sep.evaluation.melody import melody_figures
from karaoke_sep.types import PitchTrack

SILENT = np.nan


def track(f0_hz, voicing=None, hop_s=0.02):
    f0_hz = np.asarray(f0_hz, float)
    voicing = np.isfinite(f0_hz).astype(float) if voicing is None else np.asarray(voicing, float)
    return PitchTrack((np.arange(len(f0_hz)) + 1) * hop_s, f0_hz, voicing)


def cents(f0_hz, by):
    return np.asarray(f0_hz) * 2 ** (by / 1200)


def test_each_figure_is_the_fraction_that_counting_gives():
    truth = track([200, 200, 200, 200, SILENT, SILENT])
    estimate = track([cents(200, 49), cents(200, 51), 400, 200, 300, SILENT], [1, 1, 1, 0.2, 0.9, 0])
    got = melody_figures(truth, estimate)
    assert got.raw_pitch_accuracy == 2 / 4  # 49 cents off, and right though not called sung
    assert got.raw_chroma_accuracy == 3 / 4  # the octave too
    assert got.voicing_recall == 3 / 4
    assert got.voicing_false_alarm == 1 / 2
    assert got.overall_accuracy == 2 / 6


def test_a_melody_is_followed_at_any_frame_rate():
    sweep = 220 * 2 ** (np.arange(100) / 50)
    fine = PitchTrack(np.linspace(0.02, 2.0, 1500), 220 * 2 ** (np.linspace(0, 99, 1500) / 50), np.ones(1500))
    assert melody_figures(track(sweep), fine).raw_pitch_accuracy == 1.0


def test_figures_over_no_frames_are_nan():
    nobody, somebody = track([SILENT, SILENT]), track([100, 100])
    assert np.isnan(melody_figures(nobody, somebody).raw_pitch_accuracy)
    assert melody_figures(nobody, somebody).voicing_false_alarm == 1.0
    assert np.isnan(melody_figures(somebody, nobody).voicing_false_alarm)
    assert melody_figures(somebody, nobody).raw_pitch_accuracy == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_the_figures_are_those_of_mir_eval(seed):
    melody = pytest.importorskip("mir_eval.melody")
    rng = np.random.default_rng(seed)
    truth_hz = np.where(rng.random(300) < 0.7, rng.uniform(80, 800, 300), 0)
    errors = rng.choice([0, 30, -45, 55, 1200, -1210, 2400, 700], 300)
    estimate_hz = np.where(rng.random(300) < 0.9, cents(np.where(truth_hz > 0, truth_hz, 300), errors), 0)
    called = (rng.random(300) < 0.8) & (estimate_hz > 0)
    got = melody_figures(
        track(np.where(truth_hz > 0, truth_hz, np.nan)),
        track(np.where(estimate_hz > 0, estimate_hz, np.nan), called),
    )
    truth_cent, estimate_cent = melody.hz2cents(truth_hz), melody.hz2cents(estimate_hz)
    sung = truth_hz > 0
    expected = (
        melody.raw_pitch_accuracy(sung, truth_cent, called, estimate_cent),
        melody.raw_chroma_accuracy(sung, truth_cent, called, estimate_cent),
        *melody.voicing_measures(sung, called),
        melody.overall_accuracy(sung, truth_cent, called, estimate_cent),
    )
    np.testing.assert_allclose(astuple(got), expected, atol=1e-12)
