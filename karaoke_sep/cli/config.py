"""`karaoke-sep config`."""

import click

from .messages import result_line
from .options import ConfigChoice, config_options


@click.group()
def config() -> None:
    """Show the settings."""


@config.command()
@config_options
@click.option("--yaml", "as_yaml", is_flag=True, help="Print a YAML file with comments, to edit and use as --config.")
def show(chosen: ConfigChoice, as_yaml: bool) -> None:
    """Print every effective setting, with its unit and its origin."""
    from ..config import describe, to_yaml

    settings, origins = chosen.load()
    if as_yaml:
        for line in to_yaml(settings).splitlines():
            result_line(line)
        return
    rows = [row._replace(value=row.value or "''") for row in describe(settings, origins)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        result_line("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row.origin]))
