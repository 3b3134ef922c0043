"""Videos with another sound, read back with ffprobe and ffmpeg."""

import hashlib
import json
import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from karaoke_sep.errors import InputError, OutputError
from karaoke_sep.files import video

pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg on the PATH")
RATE_HZ = 44100


def run(*command):
    return subprocess.run(list(map(str, command)), capture_output=True, check=True).stdout


def make_video(path, *, sound_delay_s=0.0, seconds=3):
    """Write a video of moving bars with a tone that begins after a delay, and subtitles."""
    (path.parent / "words.srt").write_text("1\n00:00:00,500 --> 00:00:01,500\nla la\n")
    run(
        *("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc=size=64x48:rate=10:duration={seconds}"),
        *("-itsoffset", sound_delay_s, "-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds - sound_delay_s}"),
        *("-i", path.parent / "words.srt", "-map", "0", "-map", "1", "-map", "2", "-c:v", "mpeg4", "-c:a", "aac"),
        *("-c:s", "srt" if path.suffix == ".mkv" else "mov_text", "-metadata", "artist=Somebody", path),
    )
    return path


def make_sound(path, seconds=3):
    samples = np.zeros((round(seconds * RATE_HZ), 2))
    samples[RATE_HZ // 2 : RATE_HZ // 2 + 441] = 0.5  # a click at 0.5 s
    soundfile.write(path, samples, RATE_HZ)
    return path


def streams(path):
    fields = "stream=codec_type,codec_name,nb_read_packets:format_tags:format=duration"
    return json.loads(run("ffprobe", "-v", "error", "-count_packets", "-show_entries", fields, "-of", "json", path))


def picture_hash(path):
    return hashlib.sha256(run("ffmpeg", "-v", "error", "-i", path, "-map", "0:v", "-f", "rawvideo", "-")).hexdigest()


def decoded(path):
    data = run("ffmpeg", "-v", "error", "-i", path, "-map", "0:a", "-ac", "1", "-ar", RATE_HZ, "-f", "f32le", "-")
    return np.frombuffer(data, "<f4")


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "aac"), (".mov", "aac"), (".mkv", "flac")])
@pytest.mark.parametrize("source_suffix", [".mp4", ".mkv"])
def test_picture_and_subtitles_are_copied_and_the_sound_is_replaced(tmp_path, suffix, source_suffix, codec):
    clip, sound = make_video(tmp_path / f"clip{source_suffix}"), make_sound(tmp_path / "sound.wav")
    video.write(clip, "a:0", sound, tmp_path / f"new{suffix}", suffix[1:], "A title")
    found = streams(tmp_path / f"new{suffix}")
    kinds = {stream["codec_type"]: stream["codec_name"] for stream in found["streams"]}
    assert len(found["streams"]) == 3
    assert (kinds["audio"], kinds["video"]) == (codec, "mpeg4")
    assert "subtitle" in kinds
    tags = {name.lower(): value for name, value in found["format"]["tags"].items()}
    assert (tags["title"], tags["artist"]) == ("A title", "Somebody")
    assert picture_hash(tmp_path / f"new{suffix}") == picture_hash(clip)
    samples = decoded(tmp_path / f"new{suffix}")
    assert np.argmax(np.abs(samples)) / RATE_HZ == pytest.approx(0.5, abs=0.012)


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "aac"), (".mkv", "flac")])
def test_an_added_sound_is_the_second_and_named_and_the_first_stays_as_it_was(tmp_path, suffix, codec):
    clip, sound = make_video(tmp_path / f"clip{suffix}"), make_sound(tmp_path / "sound.wav")
    new = tmp_path / f"new{suffix}"
    video.write(clip, "a:0", sound, new, suffix[1:], "A title", keep=True)
    fields = "stream=codec_name:stream_disposition=default:stream_tags=title,handler_name"
    select = ("-select_streams", "a", "-show_entries", fields, "-of", "json")
    first, second = json.loads(run("ffprobe", "-v", "error", *select, new))["streams"]
    assert (first["codec_name"], second["codec_name"]) == ("aac", codec)
    assert (first["disposition"]["default"], second["disposition"]["default"]) == (1, 0)
    assert "Karaoke" in second["tags"].values()
    assert "Karaoke" not in first.get("tags", {}).values()
    packets = ("-map", "0:a:0", "-c", "copy", "-f", "md5", "-")
    assert len({run("ffmpeg", "-v", "error", "-i", path, *packets) for path in (clip, new)}) == 1
    samples = np.frombuffer(
        run("ffmpeg", "-v", "error", "-i", new, "-map", "0:a:1", "-ac", "1", "-ar", RATE_HZ, "-f", "f32le", "-"), "<f4"
    )
    assert np.argmax(np.abs(samples)) / RATE_HZ == pytest.approx(0.5, abs=0.012)
    assert picture_hash(new) == picture_hash(clip)
    assert "subtitle" in {stream["codec_type"] for stream in streams(new)["streams"]}


def test_a_sound_that_begins_after_the_picture_does_so_in_the_new_video(tmp_path):
    clip, sound = make_video(tmp_path / "late.mkv", sound_delay_s=1.0), make_sound(tmp_path / "sound.wav", 2)
    both = ("-map", "0:v", "-map", "1:a", "-map", "0:a", "-c", "copy")
    run("ffmpeg", "-v", "error", "-i", clip, "-i", sound, *both, tmp_path / "two.mkv")
    fields = ("-select_streams", "a:0", "-show_entries", "stream=start_time", "-of", "csv=p=0")
    for name, stream, begin_s in (("late.mkv", "a:0", 1.0), ("two.mkv", "1", 0.0), ("two.mkv", "2", 1.0)):
        video.write(tmp_path / name, stream, sound, tmp_path / "new.mkv", "mkv", "t")
        found_s = float(run("ffprobe", "-v", "error", *fields, tmp_path / "new.mkv"))
        assert found_s == pytest.approx(begin_s, abs=0.03)


@pytest.mark.parametrize("delay_s", [0.0, 0.7])
@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("disc.mpg", ("mpeg2video", "mp2")),
        ("broadcast.ts", ("libx264", "aac")),
        ("old.wmv", ("wmv2", "wmav2")),
        ("web.webm", ("libvpx", "libopus")),
        ("phone.mp4", ("libx264", "aac")),
    ],
)
def test_the_sound_keeps_its_place_beside_the_picture_in_every_container(tmp_path, name, codecs, delay_s):
    sound, clip, new = make_sound(tmp_path / "sound.wav"), tmp_path / name, tmp_path / "new.mkv"
    bars = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=3")
    codecs = ("-pix_fmt", "yuv420p", "-c:v", codecs[0], "-c:a", codecs[1])
    run("ffmpeg", "-v", "error", "-bitexact", *bars, "-itsoffset", delay_s, "-i", sound, *codecs, clip)
    heard = tmp_path / "heard.wav"  # as `karaoke` reads it
    run("ffmpeg", "-v", "error", "-i", clip, heard)
    container = "mp4" if name.endswith("mp4") else "mkv"
    video.write(clip, "a:0", heard, new, container, "t")
    assert click_after_picture_s(new) == pytest.approx(click_after_picture_s(clip), abs=0.005)
    assert streams(new)["streams"][0]["nb_read_packets"] == "75"


def click_after_picture_s(path):
    """Return the time of the loudest sample on the time line of players, from the first picture on."""
    fields = ("-select_streams", "v:0", "-show_entries", "packet=pts_time", "-of", "json")
    packets = json.loads(run("ffprobe", "-v", "error", *fields, path))["packets"]
    in_time = ("-af", "aresample=async=1:first_pts=0", "-ac", "1", "-ar", RATE_HZ, "-f", "f32le", "-")
    samples = np.frombuffer(run("ffmpeg", "-v", "error", "-copyts", "-i", path, "-map", "0:a:0", *in_time), "<f4")
    times_s = [float(packet["pts_time"]) for packet in packets if "pts_time" in packet]
    return np.argmax(np.abs(samples)) / RATE_HZ - min(times_s)


def test_a_video_keeps_its_cover_and_the_fonts_of_its_subtitles(tmp_path):
    clip, sound = make_video(tmp_path / "clip.mp4"), make_sound(tmp_path / "sound.wav")
    subtitled, font = make_video(tmp_path / "clip.mkv"), tmp_path / "font.ttf"
    font.write_bytes(b"a font")
    run("ffmpeg", "-v", "error", "-i", clip, "-frames:v", 1, "-an", "-sn", tmp_path / "cover.png")
    cover = ("-map", "0", "-map", "1", "-c", "copy", "-disposition:v:1", "attached_pic")
    run("ffmpeg", "-v", "error", "-i", clip, "-i", tmp_path / "cover.png", *cover, tmp_path / "covered.mp4")
    attached = ("-attach", font, "-metadata:s:t", "mimetype=font/ttf")
    run("ffmpeg", "-v", "error", "-i", subtitled, "-map", "0", "-c", "copy", *attached, tmp_path / "fonts.mkv")
    for name in ("covered.mp4", "fonts.mkv"):
        new = tmp_path / f"new{name}"
        video.write(tmp_path / name, "a:0", sound, new, new.suffix[1:], "t")
        extra = streams(new)["streams"][-1]
        assert (extra["codec_type"], len(streams(new)["streams"])) == (
            "video" if name == "covered.mp4" else "attachment",
            len(streams(tmp_path / name)["streams"]),
        )
        assert picture_hash(new) == picture_hash(tmp_path / name)


def test_the_same_input_gives_the_same_bytes(tmp_path):
    clip, sound = make_video(tmp_path / "clip.mp4"), make_sound(tmp_path / "sound.wav")
    for suffix in (".mp4", ".mkv"):
        for name in ("one", "two"):
            video.write(clip, "a:0", sound, tmp_path / f"{name}{suffix}", suffix[1:], "t")
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_a_cover_is_no_picture(tmp_path):
    clip, sound = make_video(tmp_path / "clip.mp4"), make_sound(tmp_path / "sound.wav")
    run("ffmpeg", "-v", "error", "-i", clip, "-frames:v", 1, "-an", "-sn", tmp_path / "cover.png")
    cover = ("-map", "0:a", "-map", "1:v", "-c:v", "copy", "-disposition:v:0", "attached_pic")
    run("ffmpeg", "-v", "error", "-i", sound, "-i", tmp_path / "cover.png", *cover, tmp_path / "song.m4a")
    assert video.has_picture(clip)
    assert not video.has_picture(tmp_path / "song.m4a")


def test_errors_of_ffmpeg_are_errors_of_one_line(tmp_path):
    (tmp_path / "clip.mp4").write_text("no video")
    with pytest.raises(InputError, match=r"clip\.mp4: cannot be read"):
        video.has_picture(tmp_path / "clip.mp4")
    clip, sound = make_video(tmp_path / "real.mp4"), make_sound(tmp_path / "sound.wav")
    with pytest.raises(OutputError, match="--format wav writes the sound alone"):
        video.write(clip, "a:0", sound, tmp_path / "absent" / "new.mp4", "mp4", "t")
