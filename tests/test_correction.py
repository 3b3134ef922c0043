"""Corrections of the pitch change the corrected frames only."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from sounds import energy_db, sdr_db

from karaoke_sep import load_config, separate, separate_corrected
from karaoke_sep.cli.main import main
from karaoke_sep.correction import changed
from karaoke_sep.files import contours
from karaoke_sep.pipeline import find_pitch
from karaoke_sep.types import PitchTrack

RATE_HZ = 16000
DEAF = ["pitch.hmm.min_hz=73", "pitch.hmm.max_hz=200", "pitch_refinement.enabled=false"]  # the demo song is sung higher


def corrected(track, start_s, end_s, factor):
    """The track with another pitch, surely sung, for a while."""
    inside = (track.times_s >= start_s) & (track.times_s < end_s)
    f0_hz = np.where(inside, factor * track.f0_hz, track.f0_hz)
    return PitchTrack(track.times_s, f0_hz, np.where(inside, 1.0, track.voicing))


def without(samples, *places_s):
    """Samples outside the places, each with a hop of 16 ms on both sides."""
    keep = np.ones(samples.shape[1], bool)
    for start_s, end_s in places_s:
        keep[round((start_s - 0.016) * RATE_HZ) : round((end_s + 0.016) * RATE_HZ)] = False
    return samples[:, keep]


def test_the_loop_of_the_command_line_changes_two_seconds_and_nothing_else(demo, tmp_path):
    mixture = demo(RATE_HZ, 12.0).mixture
    soundfile.write(tmp_path / "song.wav", mixture.samples.T, RATE_HZ, "FLOAT")
    song, first, second = (str(tmp_path / name) for name in ("song.wav", "first", "second"))
    assert CliRunner().invoke(main, ["separate", song, "-o", first, "--save-pitch"]).exit_code == 0
    header, *rows = (tmp_path / "first" / "song" / "pitch.csv").read_text().splitlines()
    table = np.array([list(map(float, row.split(","))) for row in rows])
    inside = (table[:, 0] >= 7) & (table[:, 0] < 9)
    table[inside, 1] *= 1.5
    lines = [header, *(",".join(f"{number:.6f}" for number in row) for row in table)]
    (tmp_path / "corrected.csv").write_text("\n".join(lines))
    arguments = ["separate", song, "-o", second, "--pitch-file", str(tmp_path / "corrected.csv")]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    for stem in ("vocals", "accompaniment"):
        before, after = (soundfile.read(tmp_path / way / "song" / f"{stem}.wav")[0].T for way in ("first", "second"))
        changed = after - before
        level_db = energy_db(mixture.samples) - 10 * np.log10(mixture.samples.size)
        inside_db = energy_db(changed[:, 7 * RATE_HZ : 9 * RATE_HZ]) - 10 * np.log10(2 * 2 * RATE_HZ)
        assert inside_db - level_db > -20  # dB
        assert np.abs(without(changed, (7, 9))).max() < 1e-3 * np.abs(before).max()  # -60 dB
        assert not without(changed, (7, 9)).any()


def test_an_unchanged_contour_changes_nothing(demo, tmp_path):
    song, config = demo(RATE_HZ, 3.0).mixture, load_config("fast")
    result = separate(song, config=config)
    contours.write(tmp_path / "pitch.csv", result.track)
    again = separate_corrected(song, config=config, track=contours.read(tmp_path / "pitch.csv"))
    np.testing.assert_array_equal(again.vocals.samples, result.vocals.samples)
    np.testing.assert_array_equal(again.accompaniment.samples, result.accompaniment.samples)


def test_a_corrected_track_keeps_the_evidence_of_singing_of_the_estimate_where_they_agree(demo):
    song = demo(RATE_HZ, 3.0).mixture
    found = find_pitch(song)
    track = corrected(found, 1.0, 1.5, 1.5)
    same_T = ~changed(found, track)
    assert 10 < np.sum(~same_T) < 40
    evidence_T = separate_corrected(song, track=track).track.evidence_T
    np.testing.assert_array_equal(evidence_T[same_T], found.evidence_T[same_T])
    usual = np.average(found.evidence_T[same_T], weights=found.voicing[same_T])
    np.testing.assert_allclose(evidence_T[~same_T], usual, rtol=1e-4)
    assert separate_corrected(song, track=corrected(found, 0.0, 3.0, 1.5)).track.evidence_T is None


def test_the_sound_of_a_corrected_place_does_not_depend_on_the_others(demo):
    song, config = demo(RATE_HZ, 12.0).mixture, load_config("fast")
    found = find_pitch(song, config=config)
    first = corrected(found, 2.0, 3.0, 1.5)
    both = corrected(first, 8.0, 9.0, 0.75)
    one, other = (separate_corrected(song, config=config, track=track).vocals.samples for track in (first, both))
    assert not without(one - other, (8, 9)).any()
    assert (one - other)[:, 8 * RATE_HZ : 9 * RATE_HZ].any()


def test_the_true_pitch_corrects_the_wrong_place(demo):
    song, config = demo(RATE_HZ, 12.0), load_config("fast", DEAF)
    found = find_pitch(song.mixture, config=config)
    truth = song.track.at(found.times_s)
    inside = (found.times_s >= 7) & (found.times_s < 9)
    track = PitchTrack(
        found.times_s,
        np.where(inside, truth.f0_hz, found.f0_hz),
        np.where(inside, truth.voicing, found.voicing),
    )
    wrong, mended = separate(song.mixture, config=config), separate_corrected(song.mixture, config=config, track=track)
    middle = slice(round(7.1 * RATE_HZ), round(8.9 * RATE_HZ))
    true_db, wrong_db = (
        sdr_db(song.vocals.samples[:, middle], result.vocals.samples[:, middle]) for result in (mended, wrong)
    )
    assert true_db > wrong_db + 5


def test_a_voice_with_corrected_pitch_sounds_as_with_a_correct_estimate(demo, tmp_path):
    song = demo(RATE_HZ, 12.0)
    lost = (song.track.times_s >= 7) & (song.track.times_s < 9)
    half_sure = replace(song.track, voicing=np.where(lost, 0.5, song.track.voicing))
    contours.write(tmp_path / "lost.csv", replace(song.track, f0_hz=np.where(lost, np.nan, song.track.f0_hz)))
    path = f"pitch.given.path={tmp_path}/lost.csv"
    config = load_config("fast", ["pitch.backend=given", path, "pitch_refinement.enabled=false"])
    mended = separate_corrected(song.mixture, config=config, track=half_sure)
    whole = separate(song.mixture, config=config, track=half_sure)
    middle = slice(round(7.1 * RATE_HZ), round(8.9 * RATE_HZ))
    mended_db, whole_db = (
        sdr_db(song.vocals.samples[:, middle], result.vocals.samples[:, middle]) for result in (mended, whole)
    )
    assert mended_db == pytest.approx(whole_db, abs=0.5)
    assert mended_db > 6


def test_a_contour_that_differs_everywhere_is_used_unchanged(demo):
    song, config = demo(RATE_HZ, 3.0).mixture, load_config("fast")
    track = demo(RATE_HZ, 3.0).track
    np.testing.assert_array_equal(
        separate_corrected(song, config=config, track=track).vocals.samples,
        separate(song, config=config, track=track).vocals.samples,
    )


@pytest.mark.parametrize("change", [{"voicing": 0.0}, {"f0_hz": np.nan}])
def test_a_silenced_place_is_silent(demo, change):
    song, config = demo(RATE_HZ, 6.0).mixture, load_config("fast")
    result = separate(song, config=config)
    inside = (result.track.times_s >= 2) & (result.track.times_s < 3)
    named = {name: np.where(inside, value, getattr(result.track, name)) for name, value in change.items()}
    quiet = separate_corrected(song, config=config, track=replace(result.track, **named)).vocals.samples
    middle = slice(round(2.1 * RATE_HZ), round(2.9 * RATE_HZ))
    assert energy_db(quiet[:, middle]) < energy_db(result.vocals.samples[:, middle]) - 15
    assert not without(quiet - result.vocals.samples, (2, 3)).any()


def test_a_correction_of_a_single_frame_changes_that_place_only(demo):
    song, config = demo(RATE_HZ, 3.0).mixture, load_config()
    result = separate(song, config=config)
    number = int(np.searchsorted(result.track.times_s, 2.5))
    f0_hz = result.track.f0_hz.copy()
    f0_hz[number] *= 1.3
    again = separate_corrected(song, config=config, track=replace(result.track, f0_hz=f0_hz))
    at = np.flatnonzero((again.vocals.samples - result.vocals.samples).any(axis=0)) / RATE_HZ
    assert len(at) > 0
    assert np.abs(at - result.track.times_s[number]).max() <= 0.02  # s


def test_progress_is_reported_and_the_track_is_the_corrected_one(demo):
    song, told = demo(RATE_HZ, 3.0).mixture, []
    found = find_pitch(song, config=load_config("fast"))
    track = corrected(found, 1.5, 2.0, 1.1)
    result = separate_corrected(
        song, config=load_config("fast"), track=track, progress=lambda stage, done: told.append(done)
    )
    assert told[-1] == 1
    assert result.track is track


def rounded_rows(track, *, hz="%.0f", voicing=None, step_s=0.016):
    """The table of a tool that rounds, leaves the voicing out, or has other times."""
    track = track.at(np.arange(0, track.times_s[-1], step_s))
    columns = [track.times_s, np.nan_to_num(track.f0_hz), track.voicing]
    form = ["%.3f", hz, voicing][: 3 if voicing else 2]
    return "\n".join(",".join(form) % row for row in zip(*columns[: len(form)], strict=True))


@pytest.mark.parametrize("how", [{}, {"voicing": "%.1f"}, {"hz": "%.1f", "step_s": 0.0058}])
def test_rounding_by_other_tools_is_no_correction_and_their_corrections_are_counted(demo, tmp_path, how):
    found = find_pitch(demo(RATE_HZ, 12.0).mixture, config=load_config("fast"))
    (tmp_path / "rounded.csv").write_text(rounded_rows(found, **how))
    assert changed(found, contours.read(tmp_path / "rounded.csv")).mean() < 0.03
    (tmp_path / "mended.csv").write_text(rounded_rows(corrected(found, 7.0, 8.0, 1.5), **how))
    mended = changed(found, contours.read(tmp_path / "mended.csv"))
    assert mended[(found.times_s > 7.02) & (found.times_s < 7.98)].all()
    assert mended.mean() < 1 / 12 + 0.03


@pytest.mark.parametrize("step_s", [0.016, 0.0058])
def test_a_table_of_the_sung_frames_alone_does_not_change_them(demo, tmp_path, step_s):
    found = find_pitch(demo(RATE_HZ, 12.0).mixture, config=load_config("fast"))
    rows = found.at(np.arange(0, found.times_s[-1], step_s))
    sung = rows.voicing > 0.5
    table = np.stack([rows.times_s[sung], rows.f0_hz[sung]], axis=1)
    np.savetxt(tmp_path / "tony.csv", table, "%.9f", delimiter=",")
    changed_T = changed(found, contours.read(tmp_path / "tony.csv"))
    assert changed_T[found.voicing > 0.6].mean() < 0.03
    assert changed_T[(found.voicing > 0.1) & (found.voicing < 0.4)].mean() > 0.9  # nobody sings there now


def test_voicing_that_is_rounded_to_none_is_no_correction(demo, tmp_path):
    found = find_pitch(demo(RATE_HZ, 12.0).mixture, config=load_config("fast"))
    found = replace(found, voicing=np.where(found.times_s < 8, 0.004, found.voicing))
    (tmp_path / "rounded.csv").write_text(rounded_rows(found, hz="%.1f", voicing="%.2f"))
    assert not changed(found, contours.read(tmp_path / "rounded.csv"))[found.times_s < 7.9].any()


@pytest.mark.parametrize(
    ("start_s", "factor", "line"),
    [
        (3.1, 1.5, "changes no frame: it agrees with the estimated pitch"),
        (2.0, 1.5, "changes {n_changed} of 95 frames"),
        (0.0, 2.0, "differs from the estimated pitch in 95 of 95 frames, more than half: the whole file is followed"),
    ],
)
def test_the_command_line_says_how_many_frames_a_correction_changes(demo, tmp_path, start_s, factor, line):
    mixture = demo(RATE_HZ, 3.0).mixture
    soundfile.write(tmp_path / "song.wav", mixture.samples.T, RATE_HZ, "FLOAT")
    found = find_pitch(mixture, config=load_config("fast"))
    contours.write(tmp_path / "new.csv", corrected(found, start_s, 3.01, factor))
    arguments = ["separate", tmp_path / "song.wav", "-o", tmp_path / "out", "--config", "fast"]
    result = CliRunner().invoke(main, [*map(str, arguments), "--pitch-file", str(tmp_path / "new.csv")])
    assert result.exit_code == 0
    n_changed = np.count_nonzero(found.times_s >= start_s)
    assert f"song.wav: --pitch-file {line.format(n_changed=n_changed)}\n" in result.stderr
