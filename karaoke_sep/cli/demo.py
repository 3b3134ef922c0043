"""`karaoke-sep demo`."""

from pathlib import Path

import click

from ..errors import KaraokeSepError
from ..settings.catalogue import STEMS
from .messages import result_line
from .options import PATH, ConfigChoice, config_options


@click.command()
@click.option(
    "-o", "--output", default="demo", show_default=True, type=PATH, help="Write the song and its stems to this folder."
)
@config_options
def demo(output: Path, chosen: ConfigChoice) -> None:
    """Synthesise a song, separate it, and print how much each stem gains.

    The true stems and the true pitch of the song are known, so the gain in SDR (signal-to-distortion ratio) is exact.
    """
    from .. import batch, demo_song
    from ..batch import Order
    from ..evaluation.bss_eval import usdr_db
    from ..files import atomic, contours, reading, writing

    config, _ = chosen.load()
    song = demo_song.make()
    truth = {"vocals": song.vocals, "accompaniment": song.accompaniment}
    mixture = output / "demo_song.wav"
    for path, sound in {mixture: song.mixture, **{output / "true" / f"{s}.wav": truth[s] for s in STEMS}}.items():
        writing.write(path, sound.samples, sound.rate_hz, "wav", "FLOAT")
    with atomic.whole_file(output / "true" / "pitch.csv") as part:
        contours.write(part, song.track)
    order = Order(output, (*STEMS, "pitch"))
    [outcome] = batch.run(batch.plan([mixture], order, config), order, config)
    if outcome.status == "failed":
        raise KaraokeSepError(outcome.message)
    result_line(mixture)
    for stem, path in zip(STEMS, outcome.paths, strict=False):
        found = reading.read(path)[0].samples
        gain_db = usdr_db(truth[stem].samples, found) - usdr_db(truth[stem].samples, song.mixture.samples)
        result_line(f"{path}\tSDR gain {gain_db:.1f} dB")
