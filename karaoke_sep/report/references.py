"""Compare separated tracks with their reference stems."""

from dataclasses import asdict, dataclass
from pathlib import Path

from ..batch import Result
from ..datasets import stems
from ..errors import InputError
from ..evaluation import scoring
from ..evaluation.melody import melody_figures
from ..files import contours
from ..settings.catalogue import STEMS


@dataclass(frozen=True, eq=False)
class Reference:
    """Reference stems of a track, and the file of its reference pitch if there is one."""

    stems: stems.StemFiles
    pitch: Path | None


def find_references(results: list[Result], folder: Path, references: Path) -> list[Reference | None]:
    """Find the reference of each track.

    A reference belongs to a track if it lies at the same place below its folder, or has the track's name. A
    ``pitch.csv`` or ``pitch.pv`` beside the stems is the reference pitch.

    Parameters
    ----------
    results : list of Result
    folder : Path
        The folder of the results.
    references : Path
        The folder of the reference stems.

    Returns
    -------
    list of Reference or None
        One for each result.

    Raises
    ------
    ConfigError
        If the folder holds no reference stems.
    """
    tracks = stems.find_tracks(references)
    by_name = {Path(name).name: files for name, files in tracks.items()}
    found = []
    for result in results:
        place = result.place.folder.relative_to(folder).as_posix()
        files = tracks.get(place) or by_name.get(result.source.stem)
        if len(tracks) == len(results) == 1:
            files = next(iter(tracks.values()))
        pitches = [files.vocals[0].parent / f"pitch{suffix}" for suffix in (".csv", ".pv")] if files else []
        found.append(Reference(files, next(filter(Path.is_file, pitches), None)) if files else None)
    return found


def compare(result: Result, reference: Reference) -> tuple[dict[str, float | None], bytes | None]:
    """Compare a track with its reference.

    Returns
    -------
    dict of float or None
        Figures of `evaluation.scoring`, and of `evaluation.melody` if both pitches are known.
    bytes or None
        A picture of the comparison as PNG; None without matplotlib.

    Raises
    ------
    InputError
        If a stem is missing, or the stems differ in sample rate, length or channels.
    """
    missing = [stem for stem in STEMS if stem not in result.files]
    if missing:
        raise InputError(f"{result.source}: no {' and no '.join(missing)} to compare with the reference stems")
    estimate = stems.StemFiles(*((result.files[stem],) for stem in STEMS))
    true_vocals, true_rest, *estimates = stems.load(stems.Pair(str(result.source), reference.stems, estimate))
    if true_vocals.samples.shape != estimates[0].samples.shape or true_vocals.rate_hz != estimates[0].rate_hz:
        raise InputError(
            f"{result.source}: the reference stems differ in sample rate, length or number of channels; "
            "export them again in the form of the song"
        )
    prepared = scoring.prepare(true_vocals, true_rest, ("v2",))
    figures: dict[str, float | None] = dict(scoring.figures(prepared, *estimates))
    track = contours.read(result.files["pitch"]) if "pitch" in result.files else None
    pitch = contours.read(reference.pitch) if reference.pitch else None
    if track and pitch:
        figures |= asdict(melody_figures(pitch, track))
    try:
        from .. import plots
    except ImportError:
        return figures, None
    title = f"{result.source.stem}: compared with the true stems"
    drawing = plots.comparison((estimates[0], estimates[1]), (true_vocals, true_rest), track, pitch, title=title)
    return figures, plots.png(drawing)


def comparison_path(result: Result) -> Path:
    """Return the path of the comparison picture: beside the stems, named alike."""
    return result.place.folder / (result.place.name.replace("{stem}", "comparison") + ".png")
