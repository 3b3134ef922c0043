"""`karaoke-sep info`."""

import os
from pathlib import Path
from typing import Any

import click

from .. import __version__
from ..errors import ConfigError, how_to_install
from ..settings.catalogue import EXTRAS, LIBRARIES, configs
from .messages import result_line
from .options import FILE


@click.command()
@click.argument("model", required=False, type=FILE)
@click.option(
    "--plot", type=FILE, metavar="FILE", help="Draw the bases of the MODEL as well, a PNG (needs the extra [plots])."
)
def info(model: Path | None, plot: Path | None) -> None:
    """Print versions, codecs and threads, or the contents of a trained MODEL.

    Add the output to a bug report.
    """
    if model:
        from ..trained import models

        found = models.read(model)
        if plot:
            _draw(found, plot)
        _print_rows(models.describe(found))
        return
    if plot:
        raise ConfigError("--plot: draws the bases of a model; name the MODEL as well")
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


def _draw(model: Any, place: Path) -> None:
    from ..files import atomic, foreign
    from ..trained import models

    try:
        from ..plots import bases
    except ImportError:
        raise ConfigError(f"--plot: matplotlib is missing; {how_to_install('plots')}") from None
    foreign.check_replaceable(place, foreign.is_own_picture, "give another --plot, or remove it")
    panels, edges_hz = models.bases_of(model)
    if len({len(B_KB) for B_KB in panels.values()}) == 1 and len(panels) > 1:
        chosen = bases.order(panels["voice"], panels["accompaniment"], edges_hz)
        panels = {title: B_KB[chosen] for title, B_KB in panels.items()}
    with atomic.whole_file(place) as part:
        part.write_bytes(bases.png(panels, edges_hz))


def _print_rows(rows: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows) + 1
    for name, value in rows:
        result_line(f"{name:{width}}{value}")
