"""`karaoke-sep info`."""

import os

import click

from .. import __version__
from .messages import result_line
from .options import PATH


@click.command()
@click.argument("model", required=False, type=PATH)
def info(model):
    """Versions, codecs and threads, for a report of a fault; or what a trained MODEL holds."""
    if model:
        from ..trained import models

        rows = models.describe(models.read(model))
        width = max(len(name) for name, _ in rows) + 1
        for name, value in rows:
            result_line(f"{name:{width}}{value}")
        return
    from importlib.metadata import PackageNotFoundError, version
    from platform import platform, python_version

    from ..catalogue import configs
    from ..files import sound_info

    rows = {"karaoke-sep": __version__, "python": python_version(), "platform": platform()}
    libraries = ("numpy", "scipy", "librosa", "numba", "soundfile", "soxr", "joblib", "threadpoolctl")
    rows |= {name: version(name) for name in libraries} | sound_info.codecs()
    extras = {"plots": "matplotlib", "stretch": "python-stretch", "dask": "distributed", "ray": "ray"}
    for extra, library in extras.items():
        try:
            rows[library] = version(library)
        except PackageNotFoundError:
            rows[library] = f"not installed (extra [{extra}])"
    rows |= {"processors": str(os.cpu_count()), "threads": "1 in each process", "cache": "none"}
    rows["configs"] = ", ".join(configs())
    for name, value in rows.items():
        result_line(f"{name:15}{value}")
