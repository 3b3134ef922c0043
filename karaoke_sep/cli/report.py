"""`karaoke-sep report`."""

from pathlib import Path
from typing import Any

import click

from ..errors import KaraokeSepError
from ..settings.catalogue import STEMS
from .messages import log, result_line
from .options import PATH, quiet_option

LARGE_PAGE_MB = 20  # many mail services reject larger attachments


@click.command()
@click.argument("folder", type=PATH, metavar="DIR")
@click.option(
    "-o", "--output", type=PATH, metavar="FILE", help="Write the page to this file.  [default: DIR/report.html]"
)
@click.option(
    "--references", type=PATH, metavar="DIR", help="Compare with the reference stems in this folder: figures, pictures."
)
@click.option(
    "--embed",
    is_flag=True,
    help="Put sounds, as MP3, and pictures into the page, to send it: about 4 MB for each minute of a song.",
)
@click.option("--title", help="Set the title of the page.  [default: the name of DIR]")
@quiet_option
def report(
    folder: Path, output: Path | None, references: Path | None, embed: bool, title: str | None, quiet: bool
) -> None:
    """Write a page to listen to the tracks in DIR, a folder of separate or karaoke.

    The page plays mixture, vocals, accompaniment and backing tracks in step, and shows the pitch of --save-pitch and
    the pictures of --plots. It needs no network. It links to the sounds and pictures, so keep it beside them, or embed
    them.
    """
    from .. import batch
    from ..report import addresses, page
    from ..report.references import find_references

    output = output or folder / "report.html"
    page.check_place(output)
    results, errors = batch.results(folder)
    figures: dict[Any, Any] = {}
    if references:
        figures, more = _compare(results, find_references(results, folder, references), quiet)
        errors += more
    size_mb = addresses.embedded_mb(results) if embed else 0
    if size_mb > LARGE_PAGE_MB and not quiet:
        log(f"--embed: the page will have about {size_mb:.0f} MB; without --embed it links to the sounds")
    errors += page.write(output, results, title or folder.absolute().name, folder, figures, embed=embed)
    for line in errors:
        log(line)
    result_line(output)
    click.get_current_context().exit(1 if errors else 0)


def _compare(results: list, references: list, quiet: bool) -> tuple[dict[Any, Any], list[str]]:
    """Return figures of tracks by their places, and a line for each track that cannot be compared."""
    from ..files import atomic, foreign
    from ..report.references import compare, comparison_path

    figures, errors = {}, []
    for result, reference in zip(results, references, strict=True):
        if not result.files.keys() & set(STEMS):  # backing tracks have no stems to compare
            continue
        if reference is None:
            if not quiet:
                log(f"{result.source.name}: no reference stems of this name; the track is shown without figures")
            continue
        try:
            figures[result.place], picture = compare(result, reference)
            if picture:
                place = comparison_path(result)
                foreign.check_replaceable(place, foreign.is_own_picture, "rename it")
                with atomic.whole_file(place) as part:
                    part.write_bytes(picture)
        except KaraokeSepError as err:
            errors.append(str(err))
    return figures, errors
