"""Orders, jobs and outcomes of a batch."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from .. import backing
from ..files.sound_info import SoundInfo
from ..settings.catalogue import STEMS
from ..types import PitchTrack
from .answers import Answers
from .record import Place

SOUNDS = (*STEMS, "karaoke")
ULTRASTAR = ("ultrastar", "song", "cover")  # the text, a copy of the input, and its cover if it has one


@dataclass(frozen=True)
class Span:
    """The part of every song that is processed.

    Attributes
    ----------
    start_s : float, >= 0
    duration_s : float or None
        None means up to the end.
    """

    start_s: float = 0.0
    duration_s: float | None = None

    @property
    def is_whole(self) -> bool:
        """Return whether it is the whole song."""
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
    """What to make from every input, and where to write it.

    Attributes
    ----------
    output : Path
        Folder of all outputs.
    products : tuple of str
        Any of "vocals", "accompaniment", "karaoke" (the backing track), "pitch" (the contour), "notes" (MIDI),
        "picture" (PNG), and those in `ULTRASTAR`.
    name : str
        Path below ``output``, without suffix, with the fields of `names.FIELDS`.
    container : {"wav", "flac", "mp3", "ogg"}
    subtype : str, optional
        Sample format; by default that of the input.
    bitrate_kbps : int, optional
        Bit rate of MP3 and OGG, kbit/s; see `writing.DEFAULT_KBPS`.
    stream : int, optional
        Number of the sound to use in files that hold several, from 1; by default the one that players choose.
    clip : {"clamp", "rescale", "float"}
        See `stem_rounding.fit_stems`.
    layout : {"mixture", "mir1k"}
        "mir1k": accompaniment left, voice right; their sum is separated.
    contour_suffix : {".csv", ".pv"}
    contours : Path, optional
        A contour file, or a folder of contours named after the tracks. It corrects the estimated pitch, or replaces it
        with the pitch backend "given".
    variant : str
        Text after "karaoke" in the name, which distinguishes several backing tracks of one song.
    bends : bool
        Whether MIDI notes follow the contour with pitch bends.
    video : {"", "replace", "add"}
        The backing track of a video is a video with the same picture. It replaces the other sounds, or is added to
        them. If empty, the backing track is a sound file.
    karaoke : backing.Params
        Settings of the backing track.
    span : Span
        The part of each song to process.
    store : bool
        Whether voice and pitch are stored for further products; see `stored`.
    shared_stores : tuple of Path
        Other output folders whose stored voices may be used.
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
    video: str = ""
    variant: str = ""
    karaoke: backing.Params = field(default_factory=backing.Params)
    bitrate_kbps: int | None = None
    stream: int | None = None
    span: Span = field(default_factory=Span)
    store: bool = True
    shared_stores: tuple[Path, ...] = ()

    @property
    def sounds(self) -> tuple[str, ...]:
        """Products that are sound files."""
        return tuple(product for product in self.products if product in SOUNDS)


@dataclass(frozen=True)
class Job:
    """One checked input, and the files to make from it.

    Attributes
    ----------
    source : Path
    info : SoundInfo
    targets : dict of Path
        Path of each product.
    place : Place
        Folder of the products, and their record.
    output : Path
        Folder that contains all of them.
    settings : dict of str
        By product, a digest of everything except the input that its content depends on.
    wav_settings : dict of str
        By product of an order for FLAC files, the ``settings`` of a WAV file with the same samples.
    separation : str
        Digest of everything except the input that the voice and the pitch depend on.
    stored : dict of Path
        The stored voice and pitch of this separation; empty if it has to be done.
    as_wav : dict of Path
        By product, a WAV file with the same samples that is there and up to date.
    header : SoundInfo, optional
        What `sound_info.probe` returned for the input; None if the input was changed since then.
    identity : dict
        Identity of the input at that time, from `record.identity`.
    song_files : dict of str
        By product, the files of an UltraStar song as its text names them.
    track : PitchTrack, optional
        Contour to follow.
    overwrite : bool
        Make everything again, and replace files that this package did not make.
    state : str
        "new", "stale" (made from another input or with other settings) or "done".
    reason : str
        Why it is stale, or why nothing is made.
    """

    source: Path
    info: SoundInfo
    targets: dict[str, Path]
    place: Place
    output: Path
    settings: dict[str, str]
    wav_settings: dict[str, str] = field(default_factory=dict)
    separation: str = ""
    stored: dict[str, Path] = field(default_factory=dict)
    as_wav: dict[str, Path] = field(default_factory=dict)
    header: SoundInfo | None = None
    identity: dict[str, str | int] = field(default_factory=dict)
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
    """Jobs in the order of the inputs, an error for each unusable input, and a message for each skipped file.

    ``answers`` are kept when the work begins.
    """

    jobs: list[Job]
    errors: list[tuple[Path, str]]
    notes: list[str] = field(default_factory=list)
    answers: Answers | None = None

    @property
    def todo(self) -> list[Job]:
        """Jobs whose outputs do not exist yet."""
        return [job for job in self.jobs if job.state != "done"]


@dataclass(frozen=True)
class Outcome:
    """Result of the work on one input.

    Attributes
    ----------
    status : {"done", "skipped", "failed"}
    paths : tuple of Path
        Files that were written or exist already.
    seconds, wall_s, cpu_s : float
        Length of the sound, elapsed time and processor time.
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
