"""`karaoke-sep demo`."""

import filecmp
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import InputError, KaraokeSepError
from ..settings.catalogue import STEMS
from .messages import result_line
from .options import PATH, ConfigChoice, config_options

if TYPE_CHECKING:
    from ..types import Audio

_WAY_OUT = "give another --output, or remove it"


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
    from ..files import atomic, contours, foreign, reading, writing

    config, _ = chosen.load()
    song = demo_song.make()
    truth = {"vocals": song.vocals, "accompaniment": song.accompaniment}
    mixture = output / "demo_song.wav"
    sounds = {mixture: song.mixture, **{output / "true" / f"{stem}.wav": truth[stem] for stem in STEMS}}
    for path, sound in sounds.items():
        foreign.check_replaceable(path, partial(_has_samples, sound), _WAY_OUT)
    track = output / "true" / "pitch.csv"
    with atomic.whole_file(track) as part:
        contours.write(part, song.track)
        foreign.check_replaceable(track, partial(filecmp.cmp, part, shallow=False), _WAY_OUT)
    for path, sound in sounds.items():
        writing.write(path, sound.samples, sound.rate_hz, "wav", "FLOAT")
    order = Order(output, (*STEMS, "pitch"))
    [outcome] = batch.run(batch.plan([mixture], order, config), order, config)
    if outcome.status == "failed":
        raise KaraokeSepError(outcome.message)
    result_line(mixture)
    for stem, path in zip(STEMS, outcome.paths, strict=False):
        found = reading.read(path)[0].samples
        gain_db = usdr_db(truth[stem].samples, found) - usdr_db(truth[stem].samples, song.mixture.samples)
        result_line(f"{path}\tSDR gain {gain_db:.1f} dB")


def _has_samples(sound: "Audio", path: Path) -> bool:
    """Return whether a file holds a sound of the demo, from an earlier demo in the same folder."""
    import numpy as np

    from ..files import reading

    try:
        return np.array_equal(reading.read(path)[0].samples, sound.samples.astype(np.float32))
    except InputError:
        return False
