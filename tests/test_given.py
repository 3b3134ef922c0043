"""Contour files: written contours are read back, and unreadable files are named."""

import os
import subprocess
import sys

import numpy as np
import pytest

from karaoke_sep.errors import ConfigError, InputError, KaraokeSepError, OutputError
from karaoke_sep.files import contours
from karaoke_sep.pitch import given
from karaoke_sep.types import PitchTrack

HEADER = b"time_s,f0_hz,voicing\n"


@pytest.fixture
def contour():
    rng = np.random.default_rng(0)
    voicing = np.where(np.arange(200) % 50 < 30, rng.uniform(0.01, 1, 200), 0)
    return PitchTrack(0.016 * np.arange(200), np.where(voicing > 0, rng.uniform(80, 900, 200), np.nan), voicing)


def write_bytes(path, content):
    path.write_bytes(content)
    return path


def test_a_csv_holds_the_whole_track(tmp_path, contour):
    contours.write(tmp_path / "a.csv", contour)
    again = contours.read(tmp_path / "a.csv")
    np.testing.assert_allclose(again.times_s, contour.times_s, atol=1e-6)
    np.testing.assert_allclose(again.f0_hz, contour.f0_hz, atol=1e-4)
    np.testing.assert_allclose(again.voicing, contour.voicing, atol=1e-6)


def test_a_track_that_was_read_is_written_to_the_same_bytes(tmp_path, contour):
    contours.write(tmp_path / "a.csv", contour)
    contours.write(tmp_path / "b.csv", contours.read(tmp_path / "a.csv"))
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()


def test_row_i_of_a_pv_file_is_the_semitone_at_i_plus_1_times_20_ms(tmp_path):
    track = contours.read(write_bytes(tmp_path / "a.pv", b"69\n0\n57.5\n\n"))
    np.testing.assert_allclose(track.times_s, [0.02, 0.04, 0.06])
    np.testing.assert_allclose(track.f0_hz, [440, np.nan, 440 * 2 ** (-11.5 / 12)])
    np.testing.assert_array_equal(track.voicing, [1, 0, 1])


def test_a_pv_file_keeps_the_frames_that_are_more_likely_sung_than_not(tmp_path):
    track = PitchTrack(0.02 * np.arange(1, 5), np.array([220, 330, np.nan, 440.0]), np.array([0.9, 0.4, 0, 0.5]))
    contours.write(tmp_path / "a.pv", track)
    assert (tmp_path / "a.pv").read_text().split() == ["57.0000", "0.0000", "0.0000", "69.0000"]


def test_a_pv_file_that_was_read_is_written_to_the_same_rows(tmp_path):
    rows = "".join(f"{semitone:.4f}\n" for semitone in (0, 57, 57.25, 0, 0, 61.1234, 60))
    track = contours.read(write_bytes(tmp_path / "a.pv", rows.encode()))
    contours.write(tmp_path / "b.pv", track)
    assert (tmp_path / "b.pv").read_text() == rows


@pytest.mark.parametrize(
    "content",
    [
        HEADER + b"0,220,1\n0.01,0,0\n0.02,230,0.5\n",
        b"\xef\xbb\xbf" + HEADER + b"0,220,1\r\n0.01,,1\r\n0.02,230,0.5\r\n",
        b"time_s, f0_hz, voicing\n0, 220, 1\n\n0.01, 220, 0\n0.02, 230, 0.5\n",
    ],
    ids=["plain", "as a spreadsheet writes it", "with spaces and blank lines"],
)
def test_csv_files_of_different_forms_hold_the_same_contour(tmp_path, content):
    track = contours.read(write_bytes(tmp_path / "a.CSV", content))
    np.testing.assert_array_equal(track.times_s, [0, 0.01, 0.02])
    np.testing.assert_array_equal(track.f0_hz, [220, np.nan, 230])
    np.testing.assert_array_equal(track.voicing, [1, 0, 0.5])


def test_without_a_voicing_column_every_pitch_is_sung(tmp_path):
    track = contours.read(write_bytes(tmp_path / "a.csv", b"time_s,f0_hz\n0,220\n0.01,0\n"))
    np.testing.assert_array_equal(track.voicing, [1, 0])


OTHER_TOOLS = {
    "crepe.csv": b"time,frequency,confidence\n0.00,220.000,1.0\n0.01,98.0,0.0\n0.02,230.000,0.5\n",
    "sonic_visualiser.csv": b"0.00,220,\n0.01,0,\n0.02,230,\n",
    "tony.csv": b"0.000000,220.000\n0.010000,-185.3\n0.020000,230.000\n",
    "mir_eval.txt": b"0.000\t220.000\n0.010\t0.000\n0.020\t230.000\n",
    "spaces.txt": b"# by hand\n% in MATLAB\n0.00  220.0\n0.01    0.0\n0.02  230.0\n",
    "librosa.csv": b"time,f0,voiced_flag,voiced_prob\n0,220,True,1\n0.01,nan,False,0.1\n0.02,230,True,0.5\n",
    "praat.tsv": b"Time (s)\tF0 (Hz)\n0.00\t220\n0.01\t--undefined--\n0.02\t230\n",
    "excel.csv": "time_s;f0_hz;voicing\r\n0,00;220,0;1,0\r\n0,01;0;0\r\n0,02;230,0;0,5\r\n".encode("utf-8-sig"),
    "unicode.csv": "time_s,f0_hz,voicing\r\n0,220,1\r\n0.01,,0\r\n0.02,230,0.5\r\n".encode("utf-16"),
    "big_endian.txt": "0,00\t220\n0,01\t0\n0,02\t230\n".encode("utf-16-be"),
    "other order.csv": b"voicing,f0_hz,time_s\n1,220,0\n0,0,0.01\n0.5,230,0.02\n",
}


@pytest.mark.parametrize("name", OTHER_TOOLS)
def test_contours_of_other_tools_are_read(tmp_path, name):
    track = contours.read(write_bytes(tmp_path / name, OTHER_TOOLS[name]))
    np.testing.assert_array_equal(track.times_s, [0, 0.01, 0.02])
    np.testing.assert_array_equal(track.f0_hz, [220, np.nan, 230])
    has_voicing = any(word in OTHER_TOOLS[name].replace(b"\0", b"") for word in (b"voicing", b"confidence", b"_prob"))
    np.testing.assert_array_equal(track.voicing, [1, 0, 0.5 if has_voicing else 1])


@pytest.mark.parametrize("suffix", ["", ",", ",New Point"])
def test_where_rows_have_been_left_out_nobody_sings(tmp_path, suffix):
    rows = "".join(f"{t:.6f},220{suffix}\n" for t in np.arange(0.5, 3, 0.0058) if not 1 < t < 2)
    track = contours.read(write_bytes(tmp_path / "tony.csv", rows.encode()))
    local = track.at(np.array([0, 0.4, 0.6, 0.99, 1.02, 1.5, 1.98, 2.01, 2.9, 3.1, 9]))
    np.testing.assert_array_equal(local.voicing, [0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0])
    np.testing.assert_array_equal(np.isfinite(local.f0_hz), local.voicing == 1)


def test_a_table_with_unvoiced_rows_holds_its_first_and_last_row_and_has_gaps_where_rows_are_missing(tmp_path):
    rows = "".join(f"{t:.6f},220,{0.5 if t < 0.6 else 0.9}\n" for t in np.arange(0.5, 3, 0.01) if not 1 < t < 2)
    track = contours.read(write_bytes(tmp_path / "crepe.csv", ("time,frequency,confidence\n" + rows).encode()))
    np.testing.assert_allclose(track.at(np.array([0, 0.55, 0.8, 1.5, 2.5, 9])).voicing, [0.5, 0.5, 0.9, 0, 0.9, 0.9])


def test_a_table_of_few_rows_with_steps_of_different_length_has_no_gaps(tmp_path):
    track = contours.read(write_bytes(tmp_path / "hand.csv", b"0,220\n1,230\n1.8,240\n4,250\n"))
    np.testing.assert_array_equal(track.voicing, np.ones(4))


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is measured as Linux tells it")
@pytest.mark.parametrize(("name", "row"), [("a.csv", "{t:.3f},{f:.3f}\n"), ("a.pv", "{s:.1f}\n")])
def test_a_long_contour_takes_little_memory(tmp_path, name, row):
    path = tmp_path / name
    with path.open("w") as file:
        file.writelines(row.format(t=0.005 * i, f=200 + i % 100, s=50 + i % 10) for i in range(300_000))
    # The peak of getrusage includes that of the process that started this one; that of /proc does not.
    code = f"""
from karaoke_sep.files import contours
def peak_kb():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before_kb = peak_kb()
contours.read({str(path)!r})
print(peak_kb() - before_kb)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 40_000  # kB: 130 bytes a frame, where a list of tuples takes 200


def layer(points, rate_hz=44100, units="Hz", dimensions=2):
    """A layer as Sonic Visualiser writes it."""
    rows = "".join(f'      <point frame="{frame}" value="{value}" label="" />\n' for frame, value in points)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE sonic-visualiser>
<sv><data>
    <model id="3" sampleRate="{rate_hz}" type="sparse" dimensions="{dimensions}" resolution="256"
      dataset="2" units="{units}" />
    <dataset id="2" dimensions="{dimensions}">
{rows}    </dataset>
  </data><display><layer id="4" type="timevalues" /></display>
</sv>
""".encode()


POINTS = [(256 * i, -1 if i == 3 else 220 + i) for i in (0, 1, 2, 3, 4, 20, 21)]


def test_a_layer_of_tony_has_its_times_in_samples_and_is_unvoiced_where_points_are_left_out(tmp_path):
    track = contours.read(write_bytes(tmp_path / "song.svl", layer(POINTS, rate_hz=22050)))
    step_s = 256 / 22050
    sung = track.voicing > 0
    np.testing.assert_allclose(track.times_s[sung], step_s * np.array([0, 1, 2, 4, 20, 21]))
    np.testing.assert_allclose(track.f0_hz[sung], [220, 221, 222, 224, 240, 241])
    np.testing.assert_array_equal(track.at(step_s * np.array([3.0, 5.0, 12.0, 19.0])).voicing, np.zeros(4))


def test_a_layer_in_utf_16_is_read_as_well(tmp_path):
    text = layer(POINTS).decode().replace("UTF-8", "UTF-16")
    plain = contours.read(write_bytes(tmp_path / "a.svl", layer(POINTS)))
    np.testing.assert_array_equal(
        contours.read(write_bytes(tmp_path / "b.svl", text.encode("utf-16"))).f0_hz, plain.f0_hz
    )


BAD_FILES = {
    "session.ton": (b"BZh9", r"ends in \.csv, .* or \.pv.*export the pitch as CSV from Tony"),
    "cut.svl": (layer(POINTS)[:-7], r"line \d+: is not a whole \.svl file \(no element found\)"),
    "table.svl": (b"0,220\n", r"line 1: is not a whole \.svl file"),
    "bomb.svl": (
        b"<!DOCTYPE sv [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><sv>&b;</sv>",
        r"declares XML entities",
    ),
    "long.svl": (b"<sv x='" + b"a" * 3_000_000, r"line 1: is not a \.svl file"),
    "notes.svl": (layer(POINTS, dimensions=3), r"is not a layer of time values"),
    "db.svl": (layer(POINTS, units="dB"), r"its values are in 'dB', not in Hz"),
    "no_rate.svl": (layer(POINTS, rate_hz="x"), r"line 5: an attribute is missing or is no number"),
    "no_points.svl": (layer([]), r"holds no frames"),
    "high.svl": (layer([(0, 22000)]), r"line 7: 22000 is not within -20000 to 20000"),
    "backwards.svl": (layer([(512, 220), (256, 220)]), r"times must increase; frame 2"),
    "labels.txt": (
        b"0.0\t0.5\tla\n0.5\t0.9\tlo\n",
        r"line 1: 0\.5 Hz is too low for a pitch; a contour has rows such as",
    ),
    "samples.csv": (b"0,220\n256,221\n512,222\n", r"frames are 256 s apart; the times must be in s, not in samples or"),
    "melody.mid": (b"0,220,1\n", r"ends in \.csv, .* or \.pv"),
    "empty.csv": (b"", r"holds no frames; a contour has rows such as"),
    "header.csv": (b"when,how high\n0,220\n", r"line 1: the header must be time_s,f0_hz"),
    "column.csv": (b"time_s,f0_hz,loudness\n0,220,1\n", r"line 1: the header must be time_s,f0_hz"),
    "no_rows.csv": (HEADER, r"holds no frames"),
    "no_rows.pv": (b"\n\n", r"holds no frames"),
    "short_row.csv": (HEADER + b"0,220,1\n0.01,220\n", r"line 3: 2 columns; the lines before have 3"),
    "word.csv": (HEADER + b"0,A4,1\n", r"line 2: 'A4' is not a number"),
    "word.pv": (b"57\nhello\n", r"line 2: 'hello' is not a number"),
    "nan.csv": (HEADER + b"nan,220,1\n", r"line 2: nan is not within 0 to 1e\+06"),
    "high.csv": (HEADER + b"0,22000,1\n", r"line 2: 22000 is not within -20000 to 20000"),
    "infinite.csv": (HEADER + b"inf,220,1\n", r"line 2: inf is not within 0 to 1e\+06"),
    "negative.pv": (b"-3\n", r"line 1: -3 is not within 0 to 140"),
    "hz.pv": (b"220\n", r"line 1: 220 is not within 0 to 140"),
    "voicing.csv": (HEADER + b"0,220,1.5\n", r"line 2: 1\.5 is not within 0 to 1"),
    "before_zero.csv": (HEADER + b"-1,220,1\n", r"line 2: -1 is not within 0"),
    "backwards.csv": (HEADER + b"0,220,1\n0.02,220,1\n0.01,220,1\n", r"times must increase; frame 3 is at 0\.01 s"),
    "twice.csv": (HEADER + b"0,220,1\n0,230,1\n", r"times must increase; frame 2 is at 0 s"),
    "sound.csv": (b"RIFF\xff\xfe\x00\x80WAVE", r"is not a text file"),
    "huge_field.csv": (HEADER + b'0,"' + b"1" * 200_000 + b'",1\n', r"is not a table: line 2 is longer than"),
    "four_columns.csv": (b"0,220,1,2\n", r"line 1: 4 columns and no header; a contour has rows such as"),
    "loud.csv": (b"0,220,70\n", r"line 1: 70 is not within 0 to 1"),
    "ms.csv": (b"0,220\n0.0001,220\n0.0002,230\n", r"10000 frames a second are too many"),
    "burst.csv": (
        b"".join(b"%d.%04d,220\n" % divmod(i, 10_000) for i in range(2001)) + b"900,220\n",
        r"10000 frames a second are too many",
    ),
    "utf16.csv": ("time_s,f0_hz\n0,A4\n".encode("utf-16"), r"line 2: 'A4' is not a number"),
    "nul.csv": (HEADER + b"0,\x00,1\n", r"line 2: '\\x00' is not a number"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_without_a_contour_is_an_error_of_one_line_with_its_name(tmp_path, name):
    content, message = BAD_FILES[name]
    with pytest.raises(InputError, match=message) as error:
        contours.read(write_bytes(tmp_path / name, content))
    assert str(error.value).startswith(f"{tmp_path / name}: ")
    assert len(str(error.value).splitlines()) == 1


def test_missing_files_and_pipes_do_not_block(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name, says in (
        ("missing.csv", "cannot be read: "),
        ("folder.csv", "is not a regular file"),
        ("pipe.csv", "is not a regular file"),
    ):
        with pytest.raises(InputError, match=f"{name}: {says}"):
            contours.read(tmp_path / name)


def test_a_file_far_too_large_for_a_contour_is_not_read(tmp_path):
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate(contours.MAX_BYTES + 1)  # sparse: takes no space
    with pytest.raises(InputError, match=r"large\.csv: 200 MB is too large"):
        contours.read(path)


@pytest.mark.parametrize("name", ["a.mid", "missing/a.csv"])
def test_a_contour_that_cannot_be_written_gives_one_line(tmp_path, contour, name):
    with pytest.raises(OutputError, match=rf"^{tmp_path / name}: [^\n]*$"):
        contours.write(tmp_path / name, contour)


def test_the_backend_needs_a_file():
    with pytest.raises(ConfigError, match=r"no contour is given; name its file with --pitch-file"):
        given.known(given.Params())


@pytest.mark.parametrize("seed", range(20))
def test_scrambled_bytes_are_read_or_refused(tmp_path, contour, seed):
    """Nothing but the package's own errors reaches the caller."""
    rng = np.random.default_rng(seed)
    content = bytearray("".join(contours.lines_of_csv(contour)).encode())
    for place in rng.integers(0, len(content), 3):
        content[place] = rng.integers(0, 256)
    outcome = read_or_error(write_bytes(tmp_path / "a.csv", bytes(content)))
    assert isinstance(outcome, PitchTrack | KaraokeSepError)


def read_or_error(path):
    try:
        return contours.read(path)
    except KaraokeSepError as error:
        return error
