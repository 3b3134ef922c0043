"""`karaoke-sep karaoke`."""

import click

from .options import (
    PATH,
    Number,
    check_contours,
    config_options,
    contours_option,
    format_options,
    inputs_argument,
    load_settings,
    running_options,
)
from .running import run_jobs

_STRENGTHS_DB = {"gentle": -6.0, "normal": 0.0, "hard": 6.0}


def _parse_strength(ctx, param, text: str | None) -> float | None:
    if text is None:  # the config decides
        return None
    if text in _STRENGTHS_DB:
        return _STRENGTHS_DB[text]
    try:
        strength_db = float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not one of {', '.join(_STRENGTHS_DB)}, nor a number of dB") from None
    if not -40 <= strength_db <= 40:
        raise click.BadParameter(f"{text} dB is not within -40 to 40 dB")
    return strength_db


@click.command()
@inputs_argument
@click.option("-o", "--output", default="karaoke", show_default=True, type=PATH, help="Folder of all backing tracks.")
@config_options
@contours_option
@click.option("--vocals-level", "level_db", type=Number(-60, 0), metavar="DB", help="Keep the voice, so much softer.")
@click.option(
    "--strength",
    "strength_db",
    callback=_parse_strength,
    metavar="HOW",
    help="gentle spares the music, hard leaves less voice, normal is between; or dB to count the voice louder by "
    "(-6, 6 and 0).  [default: wiener.voice_db of the config]",
)
@click.option("--key", "key_semitones", default=0.0, type=Number(-12, 12), help="Semitones higher, below 0 lower.")
@click.option("--tempo", "tempo_ratio", default=1.0, type=Number(0.5, 2), help="Times as fast, below 1 slower.")
@click.option("--name", default="{parent}/{track} ({stem})", show_default=True, help="Name of the track; also {file}.")
@format_options
@running_options
def karaoke(
    inputs,
    output,
    source,
    backend,
    overrides,
    contours,
    level_db,
    strength_db,
    key_semitones,
    tempo_ratio,
    name,
    container,
    subtype,
    clip,
    **run,
):
    """Write a backing track of each INPUT, to sing to: OUTPUT/<track> (karaoke).wav.

    INPUT is a sound file, or a folder that is searched for sound files. Tags are kept. --key and --tempo need the extra
    [stretch].
    """
    from ..backing import Params
    from ..batch import Order

    check_contours(contours)
    config, _ = load_settings(source, backend, overrides, strength_db)
    params = Params(level_db, key_semitones, tempo_ratio)
    order = Order(output, ("karaoke",), name, container, subtype, clip, contours=contours, karaoke=params)
    run_jobs(inputs, order, config, **run)
