"""`karaoke-sep karaoke`."""

from pathlib import Path
from typing import Any

import click

from ..errors import ConfigError
from ..settings.catalogue import STEMS
from .options import ConfigChoice, Number, choice_option, complete_words, is_given
from .running import run_jobs
from .sounds import Sounds, sound_options

_STRENGTHS_DB = {"gentle": -6.0, "normal": 0.0, "hard": 6.0}
_MAX_STRENGTH_DB = 40.0


def _parse_strength(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    if text is None:  # the config decides
        return None
    if text in _STRENGTHS_DB:
        return _STRENGTHS_DB[text]
    try:
        strength_db = float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not one of {', '.join(_STRENGTHS_DB)}, nor a number of dB") from None
    if not abs(strength_db) <= _MAX_STRENGTH_DB:  # also true for NaN
        raise click.BadParameter(f"{text} dB is not within -{_MAX_STRENGTH_DB:g} to {_MAX_STRENGTH_DB:g} dB")
    return strength_db


def _variant(
    key_semitones: float,
    tempo_ratio: float,
    level_db: float | None,
    strength_db: float | None,
    loudness_lufs: float | None,
) -> str:
    """Return the part of the name that distinguishes backing tracks of one song: the settings that are not defaults."""
    words = [f"key {key_semitones:+g}"] if key_semitones else []
    words += [f"tempo {tempo_ratio:g}"] if tempo_ratio != 1 else []
    words += [f"voice {level_db:g} dB"] if level_db is not None else []
    if strength_db:
        names = {value: name for name, value in _STRENGTHS_DB.items()}
        words.append(names.get(strength_db, f"strength {strength_db:+g} dB"))
    words += [f"{loudness_lufs:g} LUFS"] if loudness_lufs is not None else []
    return "".join(f", {word}" for word in words)


def _video_of(sound: str, tempo_ratio: float, is_whole: bool) -> str:
    """Return `Order.video`: a picture keeps its tempo and its length, and a sound format has none."""
    if not is_given("container") and tempo_ratio == 1 and is_whole:
        return sound
    if is_given("video_sound"):
        raise ConfigError("--video-sound: has no effect with --format, --tempo, --start or --duration; leave these out")
    return ""


@click.command()
@sound_options(
    "karaoke",
    "Write all backing tracks to this folder.",
    "{parent}/{track} ({stem})",
    click.option(
        "--vocals-level",
        "level_db",
        type=Number(-60, 0),
        metavar="DB",
        help="Keep the voice as a guide, at this level below the original, -60 to 0 dB.  [default: remove it]",
    ),
    click.option(
        "--strength",
        "strength_db",
        callback=_parse_strength,
        shell_complete=complete_words(lambda: _STRENGTHS_DB),
        metavar="HOW",
        help="Choose between more music and less voice: gentle, normal or hard, or a number of dB by which the voice "
        "is assumed to be louder than estimated (gentle is -6, normal 0, hard 6).  [default: wiener.voice_db of the "
        "config]",
    ),
    click.option(
        "--key",
        "key_semitones",
        default=0.0,
        type=Number(-12, 12),
        metavar="SEMITONES",
        help="Transpose up, or down if negative, -12 to 12 (needs [stretch]).",
    ),
    click.option(
        "--tempo",
        "tempo_ratio",
        default=1.0,
        type=Number(0.5, 2),
        metavar="RATIO",
        help="Play faster by this ratio, or slower if below 1, 0.5 to 2 (needs [stretch]).",
    ),
    click.option(
        "--loudness",
        "loudness_lufs",
        type=Number(-40, -5),
        metavar="LUFS",
        help="Set the loudness of the backing track, -40 to -5 LUFS (EBU R 128), by one gain that does not clip (needs "
        "ffmpeg).  [default: that of the song without its voice]",
    ),
    choice_option(
        "--video-sound",
        ["replace", "add"],
        "replace",
        "Replace the sounds of a video with the backing track, or add the backing track to them as another sound.",
    ),
)
def karaoke(
    inputs: tuple[Path, ...],
    chosen: ConfigChoice,
    sounds: Sounds,
    level_db: float | None,
    strength_db: float | None,
    key_semitones: float,
    tempo_ratio: float,
    loudness_lufs: float | None,
    video_sound: str,
    **run: Any,
) -> None:
    """Write a backing track of each INPUT, to sing to: OUTPUT/<track> (karaoke).wav.

    INPUT is a sound file or a video, or a folder that is searched for them. Tags are kept. The backing track of a video
    is a video: the picture is copied and the sound replaced (see --video-sound). With --format, --tempo, --start or
    --duration it is a sound file. Another key, tempo, voice level or strength is part of the name, such as "song
    (karaoke, key +2).wav". The paths of all outputs are printed to stdout.
    """
    from ..backing import Params

    config, _ = chosen.load(strength_db)
    order = sounds.order(
        ("karaoke", *(STEMS if "ultrastar" in sounds.extras.products else ())),
        variant=_variant(key_semitones, tempo_ratio, level_db, strength_db, loudness_lufs),
        video=_video_of(video_sound, tempo_ratio, sounds.span.is_whole),
        karaoke=Params(level_db, key_semitones, tempo_ratio, loudness_lufs),
    )
    run_jobs(inputs, order, config, **run)
