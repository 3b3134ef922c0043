"""What is to be made of the inputs, and what became of it."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from .. import backing
from ..files.sound_info import SoundInfo
from ..types import PitchTrack
from .record import Place

STEMS = ("vocals", "accompaniment")


SOUNDS = (*STEMS, "karaoke")
ULTRASTAR = ("ultrastar", "song", "cover")  # the text, a copy of the input, and its cover if it has one


@dataclass(frozen=True)
class Span:
    """The part of every song that is processed.

    Attributes
    ----------
    start_s : float, >= 0
    duration_s : float or None
        None is up to the end.
    """

    start_s: float = 0.0
    duration_s: float | None = None

    @property
    def is_whole(self) -> bool:
        """Tell whether it is the whole song."""
        return self == Span()

    @property
    def label(self) -> str:
        """Return the part in words, such as "10-30 s"; empty for the whole song."""
        if self.is_whole:
            return ""
        return f"from {self.start_s:g} s" if self.duration_s is None else f"{self.start_s:g}-{self.stop_s:g} s"

    @property
    def stop_s(self) -> float:
        """Return the end of the part, s."""
        return math.inf if self.duration_s is None else self.start_s + self.duration_s


@dataclass(frozen=True)
class Order:
    """What is to be made of every input, and where.

    Attributes
    ----------
    output : Path
        Folder of all outputs.
    products : tuple of str
        Out of "vocals", "accompaniment", "karaoke" (the backing track), "pitch" (the contour), "notes" (MIDI),
        "picture" (PNG), and those in `ULTRASTAR`.
    name : str
        Path below ``output``, without suffix, with the fields of `names.FIELDS`.
    container : {"wav", "flac", "mp3", "ogg"}
    subtype : str, optional
        Sample format; that of the input by default.
    bitrate_kbps : int, optional
        Of MP3 and OGG, kbit/s; see `writing.DEFAULT_KBPS`.
    stream : int, optional
        Number of the sound that is taken from each file that holds several, from 1; the default one otherwise.
    clip : {"clamp", "rescale", "float"}
        See `stem_rounding.fit_stems`.
    layout : {"mixture", "mir1k"}
        "mir1k": accompaniment left, voice right; their sum is separated.
    contour_suffix : {".csv", ".pv"}
    contours : Path, optional
        A contour file, or a folder of them named after the tracks: a correction of the pitch that is found, or with
        the pitch backend "given", instead of it.
    variant : str
        What tells this backing track from others of the song; it follows "karaoke" in its name.
    bends : bool
        MIDI notes follow the contour; else they are in tune.
    video : bool
        The backing track of a video is a video with the same picture.
    karaoke : backing.Params
        Of the backing track.
    span : Span
        The part of each song to process.
    """

    output: Path
    products: tuple[str, ...] = STEMS
    name: str = "{parent}/{track}/{stem}"
    container: str = "wav"
    subtype: str | None = None
    clip: str = "clamp"
    layout: str = "mixture"
    contour_suffix: str = ".csv"
    contours: Path | None = None
    bends: bool = True
    video: bool = False
    variant: str = ""
    karaoke: backing.Params = field(default_factory=backing.Params)
    bitrate_kbps: int | None = None
    stream: int | None = None
    span: Span = field(default_factory=Span)

    @property
    def sounds(self) -> tuple[str, ...]:
        """Products that are sound files."""
        return tuple(product for product in self.products if product in SOUNDS)


@dataclass(frozen=True)
class Job:
    """One input, checked, and the files to make of it.

    Attributes
    ----------
    source : Path
    info : SoundInfo
    targets : dict of Path
        Where each product belongs.
    place : Place
        Where all of them lie, and their record.
    output : Path
        Folder that none of them lies outside of.
    settings : dict of str
        Digest, by product, of all that decides about its content, beside the input.
    song_files : dict of str
        Files of an UltraStar song by product, as the text names them.
    track : PitchTrack, optional
        Contour to follow.
    overwrite : bool
        Make everything again, and replace what is not ours.
    state : str
        "new", "stale" (made, but not of this input with these settings) or "done".
    reason : str
        Why it is stale or left alone.
    """

    source: Path
    info: SoundInfo
    targets: dict[str, Path]
    place: Place
    output: Path
    settings: dict[str, str]
    song_files: dict[str, str] = field(default_factory=dict)
    track: PitchTrack | None = None
    overwrite: bool = False
    state: str = "new"
    reason: str = ""

    @property
    def folder(self) -> Path:
        """Folder of the outputs."""
        return next(iter(self.targets.values())).parent


@dataclass(frozen=True)
class Plan:
    """Jobs in the order of the inputs, a line for each input that cannot be used, and lines about those left out."""

    jobs: list[Job]
    faults: list[tuple[Path, str]]
    notes: list[str] = field(default_factory=list)

    @property
    def todo(self) -> list[Job]:
        """Jobs whose outputs are not there yet."""
        return [job for job in self.jobs if job.state != "done"]


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes
    ----------
    status : {"done", "skipped", "failed"}
    paths : tuple of Path
        What was written, or is there already.
    seconds, wall_s, cpu_s : float
        Length of the sound, and what it cost.
    levels_db : dict
        RMS level of each stem, dB re full scale; -200 for silence.
    """

    source: Path
    status: str
    message: str = ""
    warnings: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    seconds: float = 0.0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    levels_db: dict[str, float] = field(default_factory=dict)
    details: str = ""
