"""UltraStar song files, with and without lyrics beside the song."""

from itertools import pairwise

import numpy as np
import pytest

from karaoke_sep.files import lyrics, ultrastar
from karaoke_sep.files.ultrastar import Song, encode
from karaoke_sep.types import Note

SONG = Song("A\nsong ", "Somebody", "song.ogg")


def notes_at(*onsets_s, length_s=0.4):
    return [Note(onset_s, onset_s + length_s, 60, 60.0, 64) for onset_s in onsets_s]


def body(text):
    """Return the lines of notes and of line ends."""
    return [line for line in text.splitlines() if line[0] in ":-"]


def words(text):
    return [line.split(" ", 4)[4] for line in body(text) if line[0] == ":"]


def test_a_file_has_beats_of_50_ms_semitones_from_middle_c_and_the_headers_of_both_versions():
    notes = [Note(1.05, 1.5, 64, 64.0, 64), Note(1.55, 1.56, 59, 59.0, 64), Note(2.55, 3.0, 65, 65.0, 64)]
    assert encode(notes, SONG) == (
        "#VERSION:1.1.0\n#TITLE:A song\n#ARTIST:Somebody\n#MP3:song.ogg\n#AUDIO:song.ogg\n#BPM:300\n#GAP:0\n"
        ": 20 10 4 ~\n: 30 1 -1 ~\n- 31\n: 50 10 5 ~\nE\n"
    )


def test_a_note_begins_30_ms_early_with_its_consonant_and_never_before_the_song():
    starts = [line.split()[1] for line in body(encode(notes_at(0.01, 1.05, 2.06), SONG)) if line[0] == ":"]
    assert starts == ["0", "20", "41"]


@pytest.mark.parametrize(
    ("keys", "written"),
    [
        ((63, 65, 50), (3, 5, -10)),
        ((62, 64, 50), (14, 16, 2)),
        ((40, 45, 50), (4, 9, 14)),
        ((80, 81, 82), (20, 21, 22)),
    ],
)
def test_low_voices_are_written_octaves_higher_until_half_of_the_singing_is_above_d4(keys, written):
    notes = [Note(on_s, on_s + 0.4, key, float(key), 64) for on_s, key in zip((1.0, 2.0, 3.0), keys, strict=True)]
    assert [int(line.split()[3]) for line in body(encode(notes, SONG)) if line[0] == ":"] == list(written)


def test_files_that_are_not_there_have_no_header():
    text = encode([], Song("t", "a", "a.mp3", vocals="a [VOC].mp3", cover="a [CO].jpg", year="1999"))
    headers = dict(line[1:].split(":", 1) for line in text.splitlines() if line[0] == "#")
    assert headers["VOCALS"] == "a [VOC].mp3"
    assert headers["COVER"] == "a [CO].jpg"
    assert headers["YEAR"] == "1999"
    assert not {"INSTRUMENTAL", "VIDEO", "GENRE"} & headers.keys()


def line_lengths_s(text):
    lengths_s, first, last = [], None, 0
    for kind, start, *more in (line.split(" ", 3) for line in [*body(text), "- 0"]):
        if kind == "-":
            lengths_s.append((last - first) * 0.05)
            first = None
        else:
            first, last = int(start) if first is None else first, int(start) + int(more[0])
    return lengths_s


@pytest.mark.parametrize("words_of", [None, "la", "lala"])
def test_no_line_is_longer_than_the_games_show_and_lines_end_at_the_longest_rests(words_of):
    onsets_s = np.arange(0, 60, 0.5)
    rests_s = np.where(np.arange(120) % 10 == 9, 0.2, 0.05)  # the longest is after each tenth note
    notes = [Note(on, on + 0.5 - rest_s, 60, 60.0, 64) for on, rest_s in zip(onsets_s, rests_s, strict=True)]
    n_words = 120 if words_of == "la" else 60
    text = encode(notes, SONG, words_of and lyrics.parse(" ".join([words_of] * n_words)))
    lengths_s = line_lengths_s(text)
    assert max(lengths_s) <= 6
    assert np.mean(np.isclose(np.array(lengths_s) % 5, 4.8, atol=0.06)) > 0.9
    texts = " ".join(words(text))
    assert words_of is None or texts.count(words_of) == n_words
    starts = [row.split(" ", 4)[4] for before, row in pairwise(body(text)) if before[0] == "-"]
    assert words_of is None or all(start.startswith(words_of) for start in starts)


def test_notes_never_overlap():
    rng = np.random.default_rng(0)
    edges_s = np.cumsum(rng.uniform(0.01, 0.2, 101))
    notes = [Note(on, off, 60, 60.0, 64) for on, off in pairwise(edges_s)]
    lines = [line.split() for line in body(encode(notes, SONG)) if line[0] == ":"]
    starts, lengths = np.array([(int(words[1]), int(words[2])) for words in lines]).T
    assert len(starts) == 100
    assert (lengths >= 1).all()
    assert (starts[1:] >= starts[:-1] + lengths[:-1]).all()


def test_lines_of_an_lrc_file_go_to_the_notes_of_their_time():
    found = lyrics.parse("[ti:Song]\n[offset:0]\n[00:01.00]Hello world\n[00:05.00]one <00:06.00>two three\n")
    text = encode(notes_at(1, 2, 3, 5, 6), SONG, found)
    assert words(text) == ["Hello ", "world", "~ ", "one two ", "three "]
    assert [line[0] for line in body(text)] == [*":::", "-", *"::"]


def test_words_without_times_are_spread_over_all_notes_in_order():
    text = encode(notes_at(*range(1, 7)), SONG, lyrics.parse("a b\n\nc\n"))
    assert words(text) == ["a", "~ ", "b", "~ ", "c", "~ "]
    assert [line[0] for line in body(text)] == [*"::::", "-", *"::"]


@pytest.mark.parametrize("n_notes", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("times", [True, False])
def test_all_words_are_kept_even_with_few_notes(n_notes, times):
    rows = [f"[00:{10 * i:02}.00]{i}a {i}b {i}c" if times else f"{i}a {i}b {i}c" for i in range(4)]
    text = encode(notes_at(*np.linspace(3, 20, n_notes)), SONG, lyrics.parse("\n".join(rows)))
    assert " ".join(words(text)).replace("~", "").split() == [f"{i}{letter}" for i in range(4) for letter in "abc"]


def test_japanese_is_laid_over_the_notes_character_by_character():
    text = encode(notes_at(1, 2, 3, 4), SONG, lyrics.parse("[00:01.00]夜のきゃっと"))
    assert words(text) == ["夜", "の", "きゃっ", "と"]


def test_an_ultrastar_file_keeps_its_notes_and_words_and_gets_the_files_of_the_song():
    theirs = "#TITLE:Song\n#ARTIST:Us\n#MP3:old.mp3\n#COVER:old.jpg\n#BPM:280,5\n: 0 3 7 Hel\n: 4 3 5 lo \n- 9\nE\n"
    text = encode(notes_at(1, 2), Song("x", "y", "new.mp3", vocals="new [VOC].mp3"), lyrics.parse(theirs))
    assert body(text) == [": 0 3 7 Hel", ": 4 3 5 lo ", "- 9"]
    assert {"#TITLE:Song", "#ARTIST:Us", "#MP3:new.mp3", "#AUDIO:new.mp3", "#BPM:280,5"} <= set(text.splitlines())
    assert "old" not in text


def test_an_ultrastar_file_gets_the_lines_that_games_require():
    rows = encode([], Song("x", "y", "new.mp3"), lyrics.parse("#BPM:280\n: 0 3 7 Hel\n")).splitlines()
    assert {"#TITLE:x", "#ARTIST:y"} <= set(rows)
    assert rows[-1] == "E"
    complete = "#TITLE:a\n#ARTIST:b\n#BPM:280\n: 0 3 7 Hel\nE\n"
    kept = encode([], SONG, lyrics.parse(complete)).splitlines()
    assert [kept.count(row) for row in complete.splitlines()] == [1] * 5


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("#BPM:280,5\n#GAP:1\nP1\n: 0 3 -7 Hel\n* 4 1 5\nF 6 2 0 lo\n- 9\nP2\nR 0 1 0 x\nG 2 1 0 y\nE\n", ""),
        (": 0 3 7 Hel\nE\n", "no #BPM, or one that is not a number"),
        ("#BPM:fast\n: 0 3 7 Hel\nE\n", "no #BPM, or one that is not a number"),
        ("#BPM:0\n: 0 3 7 Hel\nE\n", "no #BPM, or one that is not a number"),
        ("#BPM:300\nE\n", "no notes"),
        ("#BPM:300\n: 0 3 7 Hel\n: 4 x 5 lo\nE\n", "the line ': 4 x 5 lo', which is not a note"),
    ],
)
def test_it_is_said_why_games_cannot_load_an_ultrastar_file(text, fault):
    assert ultrastar.obstacle(text) == fault


@pytest.mark.parametrize("own", ["#VERSION:2.0.0", "#VERSION:1.0.0", "#RELATIVE:yes", "#DUETSINGERP1:Us"])
def test_an_ultrastar_file_keeps_the_version_by_which_its_lines_are_read(own):
    theirs = f"#TITLE:Song\n{own}\n#VIDEOGAP:2\n#MP3:old.mp3\n#BPM:280\n: 0 3 7 Hel\nE\n"
    rows = encode([], Song("x", "y", "new.mp4", video="new.mp4"), lyrics.parse(theirs)).splitlines()
    assert own in rows
    assert [row for row in rows if row.startswith("#VERSION")] == [row for row in [own] if row.startswith("#VERSION")]
    assert "#VIDEO:new.mp4" in rows
    assert "#VIDEOGAP:2" not in rows  # the picture and the sound are of one file now


def test_an_ultrastar_file_in_a_code_page_is_written_in_utf_8(tmp_path):
    theirs = "#TITLE:Píseň\n#ENCODING:CP1250\n#BPM:280\n: 0 3 7 Řek\nE\n"
    (tmp_path / "song.txt").write_bytes(theirs.encode("cp1250"))
    text = encode([], SONG, lyrics.beside(tmp_path / "song.mp3"))
    assert "#TITLE:Píseň" in text
    assert ": 0 3 7 Řek" in text
    assert "ENCODING" not in text
    (tmp_path / "song.txt").write_bytes("#TITLE:é\n#ENCODING:CP1259\n".encode("cp1252"))  # there is no such code page
    assert "#TITLE:é" in encode([], SONG, lyrics.beside(tmp_path / "song.mp3"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_lyrics_beside_a_song_are_read_in_the_encodings_of_such_files(tmp_path, encoding):
    (tmp_path / "song.txt").write_bytes("été".encode(encoding))
    (tmp_path / "song.lrc").write_text("[00:01.00]other")
    assert lyrics.beside(tmp_path / "song.mp3").lines == (lyrics.Line(None, "été"),)
    (tmp_path / "song.txt").unlink()
    assert lyrics.beside(tmp_path / "song.mp3").lines == (lyrics.Line(1.0, "other"),)
    assert lyrics.beside(tmp_path / "another.mp3") is None


@pytest.mark.parametrize("mark", ".,:")
def test_the_fraction_of_a_second_in_an_lrc_file_has_any_of_the_usual_marks(mark):
    text = f"[00:02{mark}50]two <00:02{mark}70>words\n"
    assert lyrics.parse(text).lines == (lyrics.Line(2.5, "two words"),)


def test_a_repeated_line_of_an_lrc_file_comes_at_each_of_its_times_and_the_offset_shows_it_earlier():
    found = lyrics.parse("[offset:+500]\n[00:02.00][01:00.50]again\n[00:30]once\n[00:40.00]\n")
    assert found.lines == (lyrics.Line(1.5, "again"), lyrics.Line(29.5, "once"), lyrics.Line(60.0, "again"))
