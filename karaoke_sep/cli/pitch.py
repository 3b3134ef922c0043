"""`karaoke-sep pitch`."""

import click

from .options import PATH, config_options, inputs_argument, layout_option, load_settings, running_options
from .running import run_jobs


@click.command()
@inputs_argument
@click.option("-o", "--output", default="pitch", show_default=True, type=PATH, help="Folder of all contours.")
@config_options
@layout_option
@click.option(
    "--format",
    "suffix",
    type=click.Choice(["csv", "pv"]),
    default="csv",
    show_default=True,
    help="pv: MIR-1K semitones.",
)
@running_options
def pitch(inputs, output, source, backend, overrides, layout, suffix, **run):
    """Write only the pitch contour of each INPUT, OUTPUT/<track>.csv.

    A contour can be corrected by hand and given back: karaoke-sep separate --pitch-file.
    """
    from ..batch import Order

    config, _ = load_settings(source, backend, overrides)
    order = Order(output, ("pitch",), "{parent}/{track}", layout=layout, contour_suffix=f".{suffix}")
    run_jobs(inputs, order, config, **run)
