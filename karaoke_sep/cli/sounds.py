"""Options that `separate` and `karaoke` share, and the order that they give."""

import os
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ..errors import ConfigError
from ..settings import catalogue
from .options import (
    PATH,
    choice_option,
    config_options,
    inputs_argument,
    running_options,
    span_options,
    stream_option,
    together,
)

if TYPE_CHECKING:
    from ..batch import Order, Span


_ORDER_FIELDS = ("output", "name", "container", "subtype", "clip", "contours", "bitrate_kbps", "stream")
# Folders that the commands write to; each command also uses the voices that are stored in the folder of the other.
DEFAULT_OUTPUTS = {"separate": "separated", "karaoke": "karaoke"}
_NAME_HELP = (
    "Name the outputs by this template. Fields: {parent}, the sub-folders below INPUT; {folder}, the folder of the "
    "file; {track}, its name without suffix; {file}, with suffix; {stem}; and the tags {artist}, {album}, {title} "
    '(without these tags "unknown", for the title {track}).'
)

_contours_option = click.option(
    "--pitch-file",
    "contours",
    type=PATH,
    metavar="PATH",
    help="Use a corrected pitch contour (.csv, .svl, .pv), or a folder of contours named after the songs.",
)


_format_options = together(
    choice_option("--format container", catalogue.CONTAINERS, "wav", "Set the file format of the sounds."),
    click.option(
        "--bitrate",
        "bitrate_kbps",
        type=click.IntRange(32, 500),
        metavar="KBITS",
        help="Set the bit rate of MP3 (32 to 320) and OGG files (to 500), kbit/s.  [default: 320 for mp3, 256 for ogg]",
    ),
    click.option(
        "--subtype",
        metavar="NAME",
        help="Set the sample format, such as PCM_16 or FLOAT.  [default: that of the input]",
    ),
    choice_option(
        "--clip",
        ["clamp", "rescale", "float"],
        "clamp",
        "Handle clipping: clamp the peaks, rescale the whole track, or write 32-bit float. The stems still add up.",
    ),
)


class Extras(NamedTuple):
    """Outputs in addition to the sounds.

    Attributes
    ----------
    products : tuple of str
    bends : bool
        Whether MIDI notes follow the pitch contour.
    store : bool
        Whether the voice is stored for further products.
    """

    products: tuple[str, ...]
    bends: bool
    store: bool


def _extras_options(command: Callable) -> Callable:
    """Add the options of further products, and hand them to the command as ``extras``."""

    @together(
        click.option("--save-pitch", is_flag=True, help="Write the pitch contour as well, pitch.csv."),
        click.option("--save-midi", is_flag=True, help="Write the sung notes as MIDI as well, notes.mid."),
        click.option("--no-bends", is_flag=True, help="Leave the pitch bends out of the MIDI notes."),
        click.option(
            "--save-ultrastar",
            is_flag=True,
            help="Write an UltraStar song as well: a folder with text, song, vocals, accompaniment and cover.",
        ),
        click.option(
            "--plots",
            is_flag=True,
            help="Draw spectrograms, mask and pitch as well, picture.png (needs the extra [plots]).",
        ),
        click.option(
            "--no-store",
            is_flag=True,
            help="Leave out the stored voice, 2 MB a minute in the hidden folder .karaoke-sep of OUTPUT for each of "
            "the last three separations of a song. Further products of the song then need another separation.",
        ),
    )
    @wraps(command)
    def with_extras(
        *args: Any,
        save_pitch: bool,
        save_midi: bool,
        no_bends: bool,
        save_ultrastar: bool,
        plots: bool,
        no_store: bool,
        **others: Any,
    ) -> Any:
        if no_bends and not save_midi:
            raise ConfigError("--no-bends: has no effect without --save-midi; add --save-midi, or leave --no-bends out")
        asked = {"pitch": save_pitch, "notes": save_midi, "ultrastar": save_ultrastar, "picture": plots}
        products = tuple(product for product, is_asked in asked.items() if is_asked)
        products += ("song", "cover") if save_ultrastar else ()
        return command(*args, extras=Extras(products, bends=not no_bends, store=not no_store), **others)

    return with_extras


class Sounds(NamedTuple):
    """Outputs that the shared options ask for.

    Attributes
    ----------
    extras : Extras
    span : Span
        Part of each song to process.
    settings : dict
        Fields of the order by name.
    """

    extras: Extras
    span: "Span"
    settings: dict[str, Any]

    def order(self, products: Iterable[str], **more: Any) -> "Order":
        """Return the order of these products and the further ones."""
        from ..batch import Order

        products = (*products, *self.extras.products)
        return Order(
            products=products,
            bends=self.extras.bends,
            store=self.extras.store,
            shared_stores=tuple(Path(output) for output in DEFAULT_OUTPUTS.values()),
            span=self.span,
            **self.settings,
            **more,
        )


def sound_options(command_name: str, output_help: str, default_name: str, *own: Callable) -> Callable:
    """Return a decorator that adds all options of the command `separate` or `karaoke`.

    The command gets ``inputs``, the `ConfigChoice` ``chosen``, the `Sounds` ``sounds``, the values of its ``own``
    options, and the arguments of `running.run_jobs`.
    """
    output = DEFAULT_OUTPUTS[command_name]

    def decorate(command: Callable) -> Callable:
        @together(
            inputs_argument,
            click.option("-o", "--output", default=output, show_default=True, type=PATH, help=output_help),
            config_options,
            _contours_option,
            span_options,
            *own,
            _extras_options,
            click.option("--name", default=default_name, show_default=True, help=_NAME_HELP),
            stream_option,
            _format_options,
            running_options,
        )
        @wraps(command)
        def with_sounds(*args: Any, extras: Extras, span: "Span", **values: Any) -> Any:
            contours = values["contours"]
            if contours and not os.path.exists(contours):
                raise ConfigError(f"--pitch-file {contours}: there is no such file or folder")
            settings = {field: values.pop(field) for field in _ORDER_FIELDS}
            return command(*args, sounds=Sounds(extras, span, settings), **values)

        return with_sounds

    return decorate
