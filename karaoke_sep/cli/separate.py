"""`karaoke-sep separate`."""

from pathlib import Path
from typing import Any

import click

from ..settings.catalogue import STEMS
from .options import (
    PATH,
    ConfigChoice,
    Extras,
    check_contours,
    config_options,
    contours_option,
    extras_options,
    format_options,
    inputs_argument,
    layout_option,
    running_options,
    span_options,
    stream_option,
)
from .running import run_jobs


@click.command()
@inputs_argument
@click.option(
    "-o", "--output", default="separated", show_default=True, type=PATH, help="Write all stems below this folder."
)
@config_options
@contours_option
@span_options
@layout_option
@click.option("--stem", type=click.Choice(STEMS), help="Write this stem only.  [default: both]")
@extras_options
@click.option(
    "--name",
    default="{parent}/{track}/{stem}",
    show_default=True,
    help="Name the outputs by this template. Fields: {parent}, the sub-folders below INPUT; {folder}, the folder of "
    "the file; {track}, its name without suffix; {file}, with suffix; {stem}; and the tags {artist}, {album}, {title}.",
)
@stream_option
@format_options
@running_options
def separate(
    inputs: tuple[Path, ...],
    output: Path,
    chosen: ConfigChoice,
    contours: Path | None,
    span: Any,
    layout: str,
    stem: str | None,
    extras: Extras,
    name: str,
    stream: int | None,
    container: str,
    bitrate_kbps: int | None,
    subtype: str | None,
    clip: str,
    **run: Any,
) -> None:
    """Write the vocals and the accompaniment of each INPUT.

    INPUT is a sound file, or a folder that is searched for sound files. The stems go to
    OUTPUT/<track>/vocals.wav and accompaniment.wav; sub-folders are kept. Outputs that are up to date are not made
    again. The paths of all outputs are printed to stdout.
    """
    from ..batch import Order

    check_contours(contours)
    config, _ = chosen.load()
    order = Order(
        output,
        ((stem,) if stem else STEMS) + extras.products,
        name,
        container,
        subtype,
        clip,
        layout,
        contours=contours,
        bends=extras.bends,
        bitrate_kbps=bitrate_kbps,
        stream=stream,
        span=span,
    )
    run_jobs(inputs, order, config, **run)
