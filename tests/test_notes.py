"""Notes from contours that are known, and files that are read back byte by byte."""

import tracemalloc
from dataclasses import astuple, replace

import mir_eval
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from karaoke_sep import demo_song, separate
from karaoke_sep.cli.main import main
from karaoke_sep.files import midi, ultrastar
from karaoke_sep.notes import Params, segment
from karaoke_sep.types import Audio, Note, PitchTrack

RATE_HZ = 8000


def track_of(semitones, hop_s=0.005):
    """A contour; NaN is silence."""
    semitones = np.asarray(semitones, float)
    f0_hz = 440 * 2 ** ((semitones - 69) / 12)
    return PitchTrack(np.arange(len(f0_hz)) * hop_s, f0_hz, np.isfinite(f0_hz).astype(float))


def line(*parts, hop_s=0.005):
    """Contour of (seconds, semitones) held one after the other."""
    return np.concatenate([np.full(round(seconds / hop_s), float(pitch)) for seconds, pitch in parts])


def sound(*parts):
    """Noise of (seconds, level in dB) one after the other."""
    noise = np.random.default_rng(0).standard_normal(sum(round(seconds * RATE_HZ) for seconds, _ in parts))
    gain = np.concatenate([np.full(round(seconds * RATE_HZ), 0.1 * 10 ** (db / 20)) for seconds, db in parts])
    return Audio((noise * gain)[None], RATE_HZ)


def f_measure(notes, true_notes):
    """Onset within 50 ms, pitch within 50 cents."""
    true_onset_s, true_offset_s, true_pitch = np.array(true_notes).T
    return mir_eval.transcription.precision_recall_f1_overlap(
        np.stack([true_onset_s, true_offset_s], axis=1),
        440 * 2 ** ((true_pitch - 69) / 12),
        np.array([(note.onset_s, note.offset_s) for note in notes]),
        440 * 2 ** ((np.array([note.pitch for note in notes]) - 69) / 12),
        offset_ratio=None,
    )[2]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_true_contour_of_the_demo_song_gives_its_notes(seed):
    song = demo_song.make(RATE_HZ, 40.0, seed)
    assert f_measure(segment(song.track), song.notes) >= 0.95
    assert f_measure(segment(song.track, song.vocals), song.notes) >= 0.95


def test_held_pitches_are_notes_with_their_times_keys_and_pitches():
    notes = segment(track_of(line((0.3, np.nan), (0.4, 60), (0.2, 62.1), (0.3, np.nan), (0.5, 59))))
    assert [note.key for note in notes] == [60, 62, 59]
    np.testing.assert_allclose([note.pitch for note in notes], [60, 62.1, 59])
    np.testing.assert_allclose([note.onset_s for note in notes], [0.3, 0.7, 1.2], atol=0.005)
    np.testing.assert_allclose([note.offset_s for note in notes], [0.7, 0.9, 1.7], atol=0.005)


@pytest.mark.parametrize("depth", [0.3, 0.7, 1.0])
def test_a_vibrato_is_one_note(depth):
    swing = depth * np.sin(2 * np.pi * 5.5 * np.arange(300) * 0.005)
    (note,) = segment(track_of(64 + swing))
    assert note.key == 64
    assert note.pitch == pytest.approx(64, abs=0.1)


@pytest.mark.parametrize("interval", [2, 5, 12, -7])
def test_a_glide_joins_two_notes_in_its_middle_and_makes_none_of_its_own(interval):
    glide = 60 + interval * (0.5 - 0.5 * np.cos(np.pi * np.arange(20) / 20))
    first, second = segment(track_of(np.concatenate([line((0.4, 60)), glide, line((0.4, 60 + interval))])))
    assert (first.key, second.key) == (60, 60 + interval)
    assert first.offset_s == second.onset_s == pytest.approx(0.45, abs=0.02)


def test_a_sharp_singer_gets_the_keys_meant_and_the_pitches_sung():
    tune = line((0.4, 60), (0.4, 64), (0.4, 67))
    sharp = segment(track_of(tune + 0.4))
    assert [note.key for note in sharp] == [60, 64, 67]
    np.testing.assert_allclose([note.pitch for note in sharp], [60.4, 64.4, 67.4])
    uneven = segment(track_of(line((0.6, 60.4), (0.4, 64.6), (0.6, 67.3))))
    assert [note.key for note in uneven] == [60, 64, 67]


def test_notes_do_not_depend_on_the_spacing_of_the_frames():
    parts = ((0.192, np.nan), (0.48, 60), (0.32, 63), (0.16, np.nan), (0.64, 58))
    fine, coarse = (segment(track_of(line(*parts, hop_s=hop_s), hop_s)) for hop_s in (0.004, 0.016))
    assert [note.key for note in fine] == [note.key for note in coarse] == [60, 63, 58]
    np.testing.assert_allclose(
        [(note.onset_s, note.offset_s) for note in fine], [(note.onset_s, note.offset_s) for note in coarse], atol=0.016
    )


def test_notes_of_any_contour_are_in_order_and_do_not_overlap():
    rng, n_notes = np.random.default_rng(0), 0
    for _ in range(20):
        walk = 60 + np.cumsum(rng.normal(0, 0.4, 600))
        walk[rng.random(600) < 0.1] = np.nan
        track = replace(track_of(walk), voicing=(0.4 + 0.6 * rng.random(600)) * np.isfinite(walk))
        notes = segment(track)
        times_s = np.array([(note.onset_s, note.offset_s) for note in notes]).ravel()
        assert (np.diff(times_s) >= 0).all()
        assert all(note.offset_s - note.onset_s >= 0.085 for note in notes)
        n_notes += len(notes)
    assert n_notes >= 50


def test_frames_without_a_pitch_give_no_note():
    assert segment(track_of(np.full(100, np.nan))) == ()
    assert segment(track_of([60.0])) == ()
    assert segment(track_of(line((1, 60))), sound((1, -200))) != ()  # silence has no level to compare with
    assert segment(replace(track_of(line((1, 60))), voicing=np.full(200, 0.01))) == ()


@pytest.mark.parametrize("level_db", [0, -10])
def test_a_dip_of_the_level_separates_two_notes_of_one_pitch(level_db):
    unsure = replace(track_of(line((0.8, 60), (0.4, 64))), voicing=np.full(240, 0.6))
    vocals = sound((0.36, level_db), (0.08, level_db - 22), (0.36, level_db), (0.4, 0))
    first, second, _ = segment(unsure, vocals)
    assert first.offset_s == pytest.approx(0.36, abs=0.03)
    assert second.onset_s == pytest.approx(0.44, abs=0.03)
    assert len(segment(unsure)) == len(segment(unsure, sound((1.2, 0)))) == 2


@pytest.mark.parametrize("hop_s", [0.005, 0.016])
@pytest.mark.parametrize("pitch", [60, 63])
def test_a_new_note_begins_where_the_level_rises_from_a_consonant_to_its_vowel(pitch, hop_s):
    track = track_of(line((0.6, 60), (0.6, pitch), hop_s=hop_s), hop_s)
    levels = sound((0.5, 0), (0.1, -9), (0.6, 0))
    first, second = segment(track, levels)
    assert second.onset_s == first.offset_s == pytest.approx(0.6, abs=0.02)
    assert len(segment(track, sound((1.2, 0)))) == len({60, pitch})


def test_a_swell_begins_no_note():
    swell = [(0.05, -12 + 12 * part / 20) for part in range(21)]
    assert len(segment(track_of(line((1.05, 60))), sound(*swell))) == 1


def test_a_loud_consonant_without_pitch_is_no_note():
    track = track_of(line((0.4, 60), (0.15, np.nan), (0.4, 60)))
    for vocals in (None, sound((0.95, 0))):
        first, second = segment(track, vocals)
        assert first.offset_s == pytest.approx(0.4, abs=0.01)
        assert second.onset_s == pytest.approx(0.55, abs=0.01)


def test_residues_of_the_band_in_the_vocals_are_no_notes():
    notes = segment(track_of(line((1, 60), (1, 64))), sound((1, 0), (1, -40)))
    assert [note.key for note in notes] == [60]


@pytest.mark.parametrize(("rest_s", "n_notes"), [(0.3, 3), (4.0, 2)])
def test_a_weak_note_is_kept_near_other_notes_and_dropped_far_from_them(rest_s, n_notes):
    parts = ((1, 60), (1, 62), (rest_s, np.nan), (0.5, 64))
    track = track_of(line(*parts))
    track = replace(track, voicing=np.where(track.times_s < 2 + rest_s / 2, track.voicing, 0.6 * track.voicing))
    assert len(segment(track, sound((2, 0), (rest_s, -60), (0.5, -12)))) == n_notes
    assert len(segment(track)) == 3


@pytest.mark.parametrize(("evidence", "kept"), [((6.0, 1.0), 2), ((6.0, 5.0), 4), ((1.0, 1.0), 4), (None, 4)])
def test_a_passage_with_much_less_evidence_of_singing_than_the_song_has_no_notes(evidence, kept):
    track = track_of(line((1, 60), (1, 62), (5, np.nan), (1, 60), (1, 62)))
    if evidence:
        track = replace(track, evidence_T=np.where(track.times_s < 4.5, *evidence).astype(np.float32))
    unsure = replace(track, voicing=0.7 * track.voicing)
    assert len(segment(unsure, sound((2, 0), (5, -60), (2, -3)))) == kept


@pytest.mark.parametrize(
    ("key", "voicing", "kept"), [(66, 0.6, True), (73, 0.6, False), (80, 1.0, True), (49, 0.6, True)]
)
def test_a_weak_note_far_above_the_others_is_dropped(key, voicing, kept):
    track = track_of(line((1, 60), (1, 62), (1, 61), (0.3, np.nan), (0.5, key)))
    track = replace(track, voicing=np.where(track.times_s < 3.1, 1, voicing) * track.voicing)
    notes = segment(track, sound((3, 0), (0.3, -60), (0.5, -6)))
    assert [note.key for note in notes] == [60, 62, 61] + [key] * kept


@pytest.mark.parametrize("seed", [4, 5])
def test_onsets_of_a_separated_song_are_right_within_100_ms(seed):
    song = demo_song.make(16000, 24.0, seed)
    result = separate(song.mixture)
    notes = segment(result.track, result.vocals)
    true_s = np.array(song.notes)[:, :2]
    times_s = np.array([(note.onset_s, note.offset_s) for note in notes])
    precision, recall, _ = mir_eval.transcription.onset_precision_recall_f1(true_s, times_s, onset_tolerance=0.1)
    assert min(precision, recall) >= 0.9
    pairs = mir_eval.transcription.match_note_onsets(true_s, times_s, onset_tolerance=0.1)
    late_s = np.median([times_s[found, 0] - true_s[true, 0] for true, found in pairs])
    assert abs(late_s) < 0.02
    octaves = [round((notes[found].pitch - song.notes[true][2]) / 12) for true, found in pairs]
    assert octaves.count(0) == len(pairs)


def test_velocities_follow_the_level_and_are_64_where_none_is_known():
    track = track_of(line((0.5, 60), (0.5, 64)))
    loud, soft = segment(track, sound((0.5, 0), (0.5, -6)))
    assert loud.velocity == 127
    assert soft.velocity == pytest.approx(127 * 10 ** (-6 / 40), abs=2)
    assert [note.velocity for note in segment(track)] == [64, 64]


@pytest.mark.parametrize(
    ("setting", "parts", "levels"),
    [
        ({"spread_semitones": 3.0}, ((0.5, 60), (0.2, 61), (0.5, 60)), ((1.2, 0),)),
        ({"change_ms": 2000.0}, ((0.5, 60), (0.2, 61), (0.5, 60)), ((1.2, 0),)),
        ({"shortest_ms": 300.0}, ((0.5, 60), (0.2, 61), (0.5, 60)), ((1.2, 0),)),
        ({"level_weight": 0.0}, ((1.2, 60),), ((0.6, 0), (0.1, -40), (0.5, 0))),
        ({"dip_db": 50.0}, ((1.2, 60),), ((0.6, 0), (0.1, -40), (0.5, 0))),
        ({"rise_db": 20.0}, ((1.2, 60),), ((0.6, -9), (0.6, 0))),
        ({"ms_per_db": 0.0}, ((1.2, 60),), ((0.6, -9), (0.6, 0))),
        ({"shortest_onset_ms": 120.0}, ((0.5, 60), (0.1, 64), (0.5, 60)), ((0.46, 0), (0.04, -12), (0.6, 0))),
        ({"quietest_db": 40.0}, ((2.4, 60), (1.2, 64)), ((2.4, 0), (1.2, -36))),
        ({"least_evidence": 9.0}, ((0.5, 60),), ((0.5, 0),)),
    ],
)
def test_each_setting_changes_the_notes(setting, parts, levels):
    track, vocals = track_of(line(*parts)), sound(*levels)
    changed, usual = (segment(track, vocals, params) for params in (Params(**setting), Params()))
    assert [note[:3] for note in map(astuple, changed)] != [note[:3] for note in map(astuple, usual)]


@pytest.mark.parametrize(
    ("name", "value"), [("spread_semitones", 0.0), ("change_ms", -1.0), ("shortest_ms", -1.0), ("dip_db", -0.1)]
)
def test_a_setting_out_of_its_range_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value:g}"):
        Params(**{name: value})


def test_a_midi_file_is_what_the_standard_says():
    """One second of A4: format 0, one track, 480 ticks in a quarter note, 120 of those a minute."""
    file = midi.encode([Note(onset_s=0.5, offset_s=1.5, key=69, pitch=69.0, velocity=100)])
    assert file == bytes.fromhex(
        "4D546864 00000006 0000 0001 01E0"  # MThd
        "4D54726B 00000030"  # MTrk
        "00 FF5103 07A120"  # 500000 us
        "00 C035"
        "00 B06500 00 B06400 00 B00602 00 B02600 00 B0657F 00 B0647F"
        "8360 904564"  # 480 = 3 * 128 + 96
        "8740 804500"  # 960 = 7 * 128 + 64
        "00 FF2F00"
    )


def messages(file):
    """(time in s, status, data) of the channel messages of a file with one track."""
    ticks_per_s = 2 * int.from_bytes(file[12:14], "big")
    data, now, found = list(file[22:]), 0, []
    assert len(data) == int.from_bytes(file[18:22], "big")
    while data:
        delta = 0
        while True:
            byte = data.pop(0)
            delta = 128 * delta + (byte & 127)
            if byte < 128:
                break
        now += delta
        status = data.pop(0)
        if status == 0xFF:
            n = data[1] + 2
        else:
            n = 1 if status >> 4 in (0xC, 0xD) else 2
            found.append((now / ticks_per_s, status, tuple(data[:n])))
        del data[:n]
    return found


def test_the_notes_can_be_read_back_from_the_midi_file_to_a_millisecond():
    song = demo_song.make(RATE_HZ)
    notes = segment(song.track, song.vocals)
    for track in (None, song.track):
        read = messages(midi.encode(notes, track))
        ons = [(time_s, *data) for time_s, status, data in read if status == 0x90]
        offs = [(time_s, data[0]) for time_s, status, data in read if status == 0x80]
        np.testing.assert_allclose(ons, [(note.onset_s, note.key, note.velocity) for note in notes], atol=0.001, rtol=0)
        np.testing.assert_allclose(offs, [(note.offset_s, note.key) for note in notes], atol=0.001, rtol=0)


def test_the_midi_file_of_the_demo_song_holds_its_notes(demo, tmp_path):
    song = demo(16000, 12.0)
    soundfile.write(tmp_path / "song.wav", song.mixture.samples.T, song.mixture.rate_hz, "FLOAT")
    arguments = ["separate", str(tmp_path / "song.wav"), "--output", str(tmp_path), "--save-midi"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    sounding, notes = {}, []
    for time_s, status, data in messages((tmp_path / "song" / "notes.mid").read_bytes()):
        if status == 0x90:
            sounding[data[0]] = (time_s, data[1])
        elif status == 0x80:
            onset_s, velocity = sounding.pop(data[0])
            notes.append(Note(onset_s, time_s, data[0], float(data[0]), velocity))
    assert f_measure(notes, song.notes) >= 0.9


def test_bends_follow_the_contour_within_two_semitones():
    track = track_of(np.concatenate([line((0.5, 60), (0.5, 61.0), (0.2, 66), (0.2, np.nan))]))
    note = Note(onset_s=0.0025, offset_s=1.3, key=60, pitch=60.0, velocity=64)
    read = messages(midi.encode([note], track))
    bends = [(time_s, data[0] + 128 * data[1]) for time_s, status, data in read if status == 0xE0]
    np.testing.assert_allclose(bends, [(0.0025, 8192), (0.5, 8192 + 4096), (1.0, 16383)], atol=0.001)
    assert [status for _, status, _ in read].index(0xE0) < [status for _, status, _ in read].index(0x90)
    assert not [status for _, status, _ in messages(midi.encode([note])) if status == 0xE0]


def test_a_bend_is_sent_once_a_tick_however_dense_the_contour_is():
    track = track_of(60 + 0.5 * np.sin(np.arange(4000) / 20), hop_s=0.0005)
    read = messages(midi.encode([Note(0.0, 2.0, 60, 60.0, 64)], track))
    times_s = [time_s for time_s, status, _ in read if status == 0xE0]
    assert len(times_s) > 1500
    assert min(np.diff(times_s)) >= 1 / 960 - 1e-9


def test_the_notes_of_a_long_contour_take_little_memory():
    track = track_of(np.repeat(np.random.default_rng(0).integers(36, 96, 200), 100))
    tracemalloc.start()
    found = segment(track)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) > 150
    assert peak_bytes < 300 * len(track.times_s)  # one score for each key in each frame takes 490 bytes


def test_one_note_ends_before_the_next_is_bent_and_begins():
    track = track_of(line((0.5, 60.5), (0.5, 62.5)))
    notes = [Note(0.0, 0.5, 60, 60.5, 64), Note(0.5, 1.0, 62, 62.5, 64)]
    at_change = [status for time_s, status, _ in messages(midi.encode(notes, track)) if time_s == 0.5]
    assert at_change == [0x80, 0xE0, 0x90]


def test_a_song_without_notes_gives_files_without_notes():
    assert [status for _, status, _ in messages(midi.encode([])) if status in (0x80, 0x90)] == []
    assert ultrastar.encode([], ultrastar.Song("t", "a", "s.wav")).splitlines()[-2:] == ["#GAP:0", "E"]
