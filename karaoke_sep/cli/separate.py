"""`karaoke-sep separate`."""

import click

from ..errors import ConfigError
from .options import (
    PATH,
    check_contours,
    config_options,
    contours_option,
    format_options,
    inputs_argument,
    layout_option,
    load_settings,
    running_options,
)
from .running import run_jobs


@click.command()
@inputs_argument
@click.option("-o", "--output", default="separated", show_default=True, type=PATH, help="Folder of all stems.")
@config_options
@contours_option
@layout_option
@click.option("--stem", type=click.Choice(["vocals", "accompaniment"]), help="Only this one.")
@click.option("--save-pitch", is_flag=True, help="Also write the pitch contour, pitch.csv.")
@click.option("--save-midi", is_flag=True, help="Also write the sung notes, notes.mid, bent as they are sung.")
@click.option("--no-bends", is_flag=True, help="MIDI notes in tune.")
@click.option("--save-ultrastar", is_flag=True, help="Also write the notes as an UltraStar song, ultrastar.txt.")
@click.option("--plots", is_flag=True, help="Also draw spectrograms, mask and pitch, picture.png (extra [plots]).")
@click.option("--name", default="{parent}/{track}/{stem}", show_default=True, help="Names of the stems; also {file}.")
@format_options
@running_options
def separate(
    inputs,
    output,
    source,
    backend,
    overrides,
    contours,
    layout,
    stem,
    save_pitch,
    save_midi,
    no_bends,
    save_ultrastar,
    plots,
    name,
    container,
    subtype,
    clip,
    **run,
):
    """Write the vocals and the accompaniment of each INPUT.

    INPUT is a sound file, or a folder that is searched for sound files. The stems go to
    OUTPUT/<track>/vocals.wav and accompaniment.wav; sub-folders are kept.
    """
    from ..batch import STEMS, Order

    check_contours(contours)
    config, _ = load_settings(source, backend, overrides)
    if no_bends and not save_midi:
        raise ConfigError("--no-bends: there is no MIDI file to leave them out of; give --save-midi too")
    more = {"pitch": save_pitch, "notes": save_midi, "ultrastar": save_ultrastar, "picture": plots}
    products = ((stem,) if stem else STEMS) + tuple(product for product, wanted in more.items() if wanted)
    order = Order(output, products, name, container, subtype, clip, layout, contours=contours, bends=not no_bends)
    run_jobs(inputs, order, config, **run)
