"""`karaoke-sep separate`."""

from pathlib import Path
from typing import Any

import click

from ..settings.catalogue import STEMS
from .options import ConfigChoice, layout_option
from .running import run_jobs
from .sounds import Sounds, sound_options


@click.command()
@sound_options(
    "separate",
    "Write all stems below this folder.",
    "{parent}/{track}/{stem}",
    layout_option,
    click.option("--stem", type=click.Choice(STEMS), help="Write this stem only.  [default: both]"),
)
def separate(
    inputs: tuple[Path, ...], chosen: ConfigChoice, sounds: Sounds, layout: str, stem: str | None, **run: Any
) -> None:
    """Write the vocals and the accompaniment of each INPUT.

    INPUT is a sound file, or a folder that is searched for sound files. The stems go to
    OUTPUT/<track>/vocals.wav and accompaniment.wav; sub-folders are kept. Outputs that are up to date are not made
    again. The paths of all outputs are printed to stdout.
    """
    config, _ = chosen.load()
    run_jobs(inputs, sounds.order((stem,) if stem else STEMS, layout=layout), config, **run)
