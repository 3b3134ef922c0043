"""`karaoke-sep pitch`."""

from pathlib import Path
from typing import Any

import click

from .options import (
    PATH,
    ConfigChoice,
    choice_option,
    config_options,
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
    "-o", "--output", default="pitch", show_default=True, type=PATH, help="Write all contours below this folder."
)
@config_options
@layout_option
@span_options
@choice_option(
    "--format suffix",
    ["csv", "pv"],
    "csv",
    "Set the file format. csv: time, frequency and voicing. pv: MIR-1K, one semitone number every 20 ms.",
)
@click.option(
    "--name", default="{parent}/{track}", show_default=True, help="Name the contours by this template; see separate."
)
@stream_option
@running_options
def pitch(
    inputs: tuple[Path, ...],
    output: Path,
    chosen: ConfigChoice,
    layout: str,
    span: Any,
    suffix: str,
    name: str,
    stream: int | None,
    **run: Any,
) -> None:
    """Write only the pitch contour of each INPUT, OUTPUT/<track>.csv.

    Correct a contour by hand and give it back with karaoke-sep separate --pitch-file. The paths of the contours are
    printed to stdout.
    """
    from ..batch import Order

    config, _ = chosen.load()
    order = Order(output, ("pitch",), name, layout=layout, contour_suffix=f".{suffix}", stream=stream, span=span)
    run_jobs(inputs, order, config, **run)
