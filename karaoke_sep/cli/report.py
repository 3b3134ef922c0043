"""`karaoke-sep report`."""

import click

from ..errors import KaraokeSepError
from .messages import log, result_line
from .options import PATH


@click.command()
@click.argument("folder", type=PATH, metavar="DIR")
@click.option("-o", "--output", type=PATH, metavar="FILE", help="The page; DIR/report.html if missing.")
@click.option("--references", type=PATH, metavar="DIR", help="True stems of the tracks, for figures and a picture.")
@click.option("--embed", is_flag=True, help="Put sounds, as MP3, and pictures into the page, to send it.")
@click.option("--title", help="Of the page; the name of DIR if missing.")
def report(folder, output, references, embed, title):
    """Write a page to listen to the tracks that were separated into DIR.

    It switches between mixture, vocals and accompaniment while they play, and shows what --save-pitch and --plots
    wrote. It needs no network; sounds and pictures are linked from where they are, unless they are embedded.
    """
    from .. import batch
    from ..report import page as listening

    results, faults = batch.results(folder)
    figures = {}
    if references:
        truths = listening.find_truths(results, folder, references)
        figures, more = _compared(results, truths)
        faults += more
    output = output or folder / "report.html"
    faults += listening.write(output, results, title or folder.absolute().name, figures, embed=embed)
    for line in faults:
        log(line)
    result_line(output)
    click.get_current_context().exit(1 if faults else 0)


def _compared(results, truths):
    """Figures of tracks by their sidecars, with pictures beside those, and a line for each that cannot be compared."""
    from ..files import atomic
    from ..report import page as listening

    figures, faults = {}, []
    for result, truth in zip(results, truths, strict=True):
        if truth is None:
            continue
        try:
            figures[result.sidecar], picture = listening.compare(result, truth)
            if picture:
                with atomic.whole_file(listening.comparison_path(result)) as part:
                    part.write_bytes(picture)
        except KaraokeSepError as err:
            faults.append(str(err))
    return figures, faults
