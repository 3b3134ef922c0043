"""`karaoke-sep demo`."""

import click

from ..errors import KaraokeSepError
from .messages import result_line
from .options import PATH, config_options, load_settings


@click.command()
@click.option("-o", "--output", default="demo", show_default=True, type=PATH, help="Folder of the song and its stems.")
@config_options
def demo(output, source, backend, overrides):
    """Make a song, separate it, and say how well that went.

    The song comes with its true stems and pitch, so the gain in SDR (signal-to-distortion ratio) is known.
    """
    from .. import batch, demo_song
    from ..batch import STEMS, Order
    from ..evaluation.bss_eval import usdr_db
    from ..files import atomic, contours, reading, writing

    config, _ = load_settings(source, backend, overrides)
    song = demo_song.make()
    truth = {"vocals": song.vocals, "accompaniment": song.accompaniment}
    mixture = output / "demo_song.wav"
    for path, sound in {mixture: song.mixture, **{output / "true" / f"{s}.wav": truth[s] for s in STEMS}}.items():
        writing.write(path, sound.samples, sound.rate_hz, "wav", "FLOAT")
    with atomic.whole_file(output / "true" / "pitch.csv") as part:
        contours.write(part, song.track)
    order = Order(output, (*STEMS, "pitch"))
    [outcome] = batch.run(batch.plan([mixture], order, config, overwrite=True), order, config)
    if outcome.status == "failed":
        raise KaraokeSepError(outcome.message)
    result_line(mixture)
    for stem, path in zip(STEMS, outcome.paths, strict=False):
        found = reading.read(path)[0].samples
        gain_db = usdr_db(truth[stem].samples, found) - usdr_db(truth[stem].samples, song.mixture.samples)
        result_line(f"{path}\tSDR gain {gain_db:.1f} dB")
