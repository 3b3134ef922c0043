"""`karaoke-sep config`."""

import click

from .options import config_options, load_settings


@click.group()
def config():
    """The settings."""


@config.command()
@config_options
@click.option("--yaml", "as_yaml", is_flag=True, help="As a YAML file to edit.")
def show(source, backend, overrides, as_yaml):
    """Every effective setting, with its unit and where it came from."""
    from ..config import describe, to_yaml

    settings, origins = load_settings(source, backend, overrides)
    if as_yaml:
        click.echo(to_yaml(settings), nl=False)
        return
    rows = [row._replace(value=row.value or "''") for row in describe(settings, origins)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        click.echo("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row.origin]))
