"""Replace or add a sound of a video with ffmpeg. The picture and the subtitles are copied."""

from pathlib import Path
from typing import Any

from ..errors import InputError, OutputError
from . import ffmpeg
from .sound_info import VIDEO_SUFFIXES

_CODECS = {"mp4": "aac", "mov": "aac", "mkv": "flac"}
_AAC_BITRATE = "256k"
_NAME = "Karaoke"  # of the sound, in the menus of players
_MUXERS = {"mp4": "mp4", "mov": "mov", "mkv": "matroska"}
_TEXT_SUBTITLES = ("mov_text", "subrip", "ass", "webvtt", "text")
_COVERS = ("mjpeg", "png")  # codecs of the covers of MP4
_FIELDS = "format=start_time:stream=index,codec_type,codec_name,start_time:stream_disposition=attached_pic,default"


def container_of(path: Path) -> str:
    """Return the container for the name of a video, "mp4", "mov" or "mkv"; empty for other names."""
    suffix = path.suffix.lower()
    if suffix in (".mp4", ".m4v"):
        return "mp4"
    # QuickTime and Matroska support picture codecs that MP4 does not.
    return "mov" if suffix == ".mov" else "mkv" if suffix in VIDEO_SUFFIXES else ""


def has_picture(path: Path) -> bool:
    """Return whether a file contains a moving picture; a cover is not one.

    Raises
    ------
    InputError
        If ffprobe cannot read the file.
    """
    return bool(_pictures(_probe(path)))


def n_sounds(path: Path) -> int:
    """Return the number of sounds in a video.

    Raises
    ------
    InputError
        If ffprobe cannot read the file.
    """
    return len(_sounds(_probe(path)))


def write(video: Path, stream: str, sound: Path, target: Path, container: str, title: str, keep: bool = False) -> None:
    """Write a video with the picture, subtitles and cover of one file and the sound of another.

    Parameters
    ----------
    video : Path
    stream : str
        The sound to replace, as in `SoundInfo`. If it begins after the picture, so does the new sound.
    sound : Path
    target : Path
    container : {"mp4", "mov", "mkv"}
        The new sound is FLAC in Matroska, AAC at 256 kbit/s in the others.
    title : str
    keep : bool
        Copy the sounds of the video too, before the new one. Players begin with the one they began with before.

    Raises
    ------
    InputError
        If ffprobe cannot read the video.
    OutputError
        If ffmpeg cannot write the target.
    """
    found = _probe(video)
    subtitles = [entry for entry in found["streams"] if _fits_as_subtitle(entry, container)]
    sounds = _sounds(found)
    replaced = [entry for entry in found["streams"] if str(entry["index"]) == stream] + sounds
    starts_s = _seconds(found["format"])
    begins_s = max(_first_time_s(video, replaced[0]), starts_s) if replaced else starts_s
    kept = sounds if keep else []
    sources = [f"0:{entry['index']}" for entry in _pictures(found) + kept] + ["1:a:0"]
    sources += [f"0:{entry['index']}" for entry in subtitles + _extras(found, container)]
    options = [part for source in sources for part in ("-map", source)]
    options += ["-map_metadata", "0", "-metadata", f"title={title}", "-c", "copy", *_sound_options(kept, container)]
    for number, subtitle in enumerate(subtitles):
        options += [f"-c:s:{number}", _subtitle_codec(subtitle, container)]
    # In broadcasts and on discs the times do not begin at 0, and by itself ffmpeg counts from the first stream that it
    # copies. MPEG programs do not give each picture its time, and Matroska needs it.
    options += ["-copyts", "-output_ts_offset", f"{-starts_s:.6f}"]
    inputs = {video: ["-fflags", "+genpts"], sound: ["-itsoffset", f"{begins_s:.6f}"]}
    try:
        ffmpeg.write(inputs, [*options, "-f", _MUXERS[container]], target)
    except ffmpeg.BrokenOffError as err:
        raise OutputError(
            f"{target}: ffmpeg cannot write the video ({err}); --format wav writes the sound alone"
        ) from None


def _sound_options(kept: list[dict[str, Any]], container: str) -> list[str]:
    """Return the options of the new sound, which follows those that are kept."""
    codec, number = _CODECS[container], len(kept)
    options = [f"-c:a:{number}", codec, *([f"-b:a:{number}", _AAC_BITRATE] if codec == "aac" else [])]
    options += ["-movflags", "+faststart"] if container != "mkv" else []
    # Matroska names a stream by its title, and MP4 by its handler.
    options += [f"-metadata:s:a:{number}", f"title={_NAME}", f"-metadata:s:a:{number}", f"handler_name={_NAME}"]
    options += [f"-disposition:a:{number}", "0" if kept else "default"]
    # Not every container says which sound comes first.
    is_told = any(entry.get("disposition", {}).get("default") for entry in kept)
    return [*options, *(["-disposition:a:0", "+default"] if kept and not is_told else [])]


def _probe(path: Path) -> dict[str, Any]:
    if not ffmpeg.is_there():
        raise InputError(f"{path}: is a video, and needs ffmpeg on the PATH")
    try:
        return {"streams": [], "format": {}} | ffmpeg.ask(path, _FIELDS)
    except ffmpeg.BrokenOffError as err:
        raise InputError(f"{path}: cannot be read ({err})") from None


def _sounds(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [stream for stream in found["streams"] if stream.get("codec_type") == "audio"]


def _extras(found: dict[str, Any], container: str) -> list[dict[str, Any]]:
    """Return the cover, or the fonts of the subtitles. ffmpeg makes a moving picture of a cover in Matroska."""
    if container == "mkv":
        return [stream for stream in found["streams"] if stream.get("codec_type") == "attachment"]
    return [stream for stream in found["streams"] if _is_cover(stream) and stream.get("codec_name") in _COVERS]


def _is_cover(stream: dict[str, Any]) -> bool:
    return bool(stream.get("disposition", {}).get("attached_pic"))


def _pictures(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [stream for stream in found["streams"] if stream.get("codec_type") == "video" and not _is_cover(stream)]


def _fits_as_subtitle(stream: dict[str, Any], container: str) -> bool:
    return stream.get("codec_type") == "subtitle" and (
        container == "mkv" or stream.get("codec_name") in _TEXT_SUBTITLES
    )


def _subtitle_codec(stream: dict[str, Any], container: str) -> str:
    """Return the codec of a subtitle: MP4 has its own, which Matroska does not support."""
    if container != "mkv":
        return "mov_text"
    return "srt" if stream.get("codec_name") == "mov_text" else "copy"


def _first_time_s(path: Path, stream: dict[str, Any]) -> float:
    """Return the time of the first samples that are decoded from a stream, s; some codecs drop their first packets."""
    some_packets = ("-select_streams", str(stream["index"]), "-read_intervals", "%+#20")
    try:
        frames = ffmpeg.ask(path, "frame=pts_time", *some_packets).get("frames", [])
    except ffmpeg.BrokenOffError:
        frames = []
    times = [frame["pts_time"] for frame in frames[:1] if "pts_time" in frame]
    return float(times[0]) if times else _seconds(stream)


def _seconds(entry: dict[str, Any]) -> float:
    try:
        return float(entry["start_time"])
    except (KeyError, ValueError):  # not every container has a start time
        return 0.0
