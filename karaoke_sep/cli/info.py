"""`karaoke-sep info`."""

import os
from pathlib import Path

import click

from .. import __version__
from ..settings.catalogue import EXTRAS, LIBRARIES, configs
from .messages import result_line
from .options import FILE


@click.command()
@click.argument("model", required=False, type=FILE)
def info(model: Path | None) -> None:
    """Print versions, codecs and threads, or the contents of a trained MODEL.

    Add the output to a bug report.
    """
    if model:
        from ..trained import models

        _print_rows(models.describe(models.read(model)))
        return
    from importlib.metadata import PackageNotFoundError, version
    from platform import platform, python_version

    from ..files import sound_info
    from ..trained.models import shipped_names

    rows = {"karaoke-sep": __version__, "python": python_version(), "platform": platform()}
    rows |= {name: version(name) for name in (*LIBRARIES, "joblib", "threadpoolctl")} | sound_info.codecs()
    for extra, library in EXTRAS.items():
        try:
            rows[library] = version(library)
        except PackageNotFoundError:
            rows[library] = f"not installed (extra [{extra}])"
    rows |= {"processors": str(os.cpu_count()), "threads": "1 in each process"}
    _print_rows([*rows.items(), ("configs", ", ".join(configs())), ("models", ", ".join(shipped_names()) or "none")])


def _print_rows(rows: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows) + 1
    for name, value in rows:
        result_line(f"{name:{width}}{value}")
