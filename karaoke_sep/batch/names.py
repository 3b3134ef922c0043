"""Name the outputs of each input, and reject names that collide or lead outside the output folder."""

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from ..errors import ConfigError, InputError
from ..files import video
from .answers import Answers
from .jobs import SOUNDS, Order
from .record import Place

FIELDS = ("parent", "folder", "track", "file", "artist", "title", "album", "stem")
_TAGS = ("artist", "title", "album")
_MAX_TAG_CHARACTERS = 80
_FIELD = re.compile(r"\{(\w*)\}")
# Characters that are not allowed in names on Windows, and control characters.
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
# Templates that distinguish more and more inputs. An error proposes the first one that suffices.
_HINTS = (
    "{{parent}}/{{file}}{0}",
    "{{folder}}/{{track}}{0}",
    "{{folder}}/{{file}}{0}",
    "{{parent}}/{{folder}}/{{file}}{0}",
)


# Files of an UltraStar song in its own folder, after the song's name, named as by the tools of the games.
_ULTRASTAR_NAMES = {
    "ultrastar": "",
    "song": "",
    "cover": " [CO]",
    "vocals": " [VOC]",
    "accompaniment": " [INSTR]",
}


@dataclass(frozen=True)
class Names:
    """Path of each product of an input, and their folder."""

    targets: dict[str, Path]
    place: Place


def check_name(name: str, n_products: int) -> None:
    """Raise ConfigError for a name template that cannot tell the outputs apart."""
    fields = set(_FIELD.findall(name))
    if unknown := [field for field in _FIELD.findall(name) if field not in FIELDS]:
        raise ConfigError(f"--name {name!r}: unknown field {{{unknown[0]}}}; there are {', '.join(FIELDS)}")
    if re.search(r"[{}]", _FIELD.sub("", name)):
        raise ConfigError(f"--name {name!r}: expected fields such as {{track}}, and no other braces")
    if not fields & {"track", "file", "title"} or (n_products > 1 and "stem" not in fields):
        raise ConfigError(f"--name {name!r}: needs {{stem}}, and {{track}} or {{file}}, to tell the outputs apart")
    if "\0" in name:
        raise ConfigError(f"--name {name!r}: holds a null character")
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
        raise ConfigError(f"--name {name!r}: leads outside the output folder; write it relative, without '..'")


def uses_tags(name: str) -> bool:
    """Return whether a name template has a field that is a tag of the input."""
    return not set(_TAGS).isdisjoint(_FIELD.findall(name))


def names_of(source: Path, parent: PurePath, order: Order, tags: Mapping[str, str], answers: Answers) -> Names:
    """Return the path of each product, and their folder.

    Raises
    ------
    InputError
        If a path leads outside the output folder, or is too long for the file system.
    """
    fields = {
        "parent": "" if parent == PurePath() else parent.as_posix(),
        "folder": source.absolute().parent.name,
        "track": source.stem,
        "file": source.name,
        **{tag: _from_tag(tags.get(tag, "")) or (source.stem if tag == "title" else "unknown") for tag in _TAGS},
    }

    def below(stem: str) -> PurePath:
        return PurePath(_filled(order.name, fields | {"stem": stem}).lstrip("/"))

    suffixes, targets = _suffixes(source, order, answers), {}
    for product in order.products:
        if product not in suffixes:  # the song has no cover
            continue
        variant = _variant(order, suffixes[product]) if product == "karaoke" else ""
        path = below(product + variant)
        if variant and "{stem}" not in order.name:
            path = path.with_name(f"{path.name} ({variant.removeprefix(', ')})")
        if "karaoke" in order.products and product in _ULTRASTAR_NAMES:
            track = " ".join(source.stem.split()) or "song"  # the text cannot name a file that begins with a space
            path = below("UltraStar") / f"{track}{_ULTRASTAR_NAMES[product]}"
        if not path.name or ".." in path.parts or source.stem in (".", ".."):
            raise InputError(f"{source}: {str(path)!r} cannot be its name; rename the file, or give another --name")
        targets[product] = order.output / path.with_name(path.name + suffixes[product])
    place = _place(order.output, below("{stem}"))
    _check_lengths(source, [*targets.values(), *(place.parts / p / t.name for p, t in targets.items())])
    for target in targets.values():
        check_inside(target, order.output)
    return Names(targets, place)


def _variant(order: Order, suffix: str) -> str:
    """Return what tells a backing track from others of the song."""
    is_added = order.video == "add" and suffix != f".{order.container}"
    return order.variant + ", second sound" * is_added


def _suffixes(source: Path, order: Order, answers: Answers) -> dict[str, str]:
    suffixes = {"pitch": order.contour_suffix, "notes": ".mid", "picture": ".png"}
    suffixes |= {"ultrastar": ".txt", "song": source.suffix}
    if "cover" in order.products and (suffix := answers.cover_suffix(source)):
        suffixes["cover"] = suffix
    suffixes |= dict.fromkeys(SOUNDS, f".{order.container}")
    container = video.container_of(source)
    if order.video and container and answers.has_picture(source):
        suffixes["karaoke"] = f".{container}"
    return suffixes


def song_files(targets: Mapping[str, Path]) -> dict[str, str]:
    """Return the files of an UltraStar song by product, relative to the folder of its text."""
    if "ultrastar" not in targets:
        return {}
    folder = targets["ultrastar"].parent
    named = {product: targets[product] for product in _ULTRASTAR_NAMES if product in targets}
    return {product: Path(os.path.relpath(path, folder)).as_posix() for product, path in named.items()}


def _filled(name: str, fields: Mapping[str, str]) -> str:
    """Fill in the fields of a template; a value that looks like a field stays as it is."""
    return _FIELD.sub(lambda match: fields[match[1]], name)


def _place(output: Path, below: PurePath) -> Place:
    """Return the nearest folder of all products, and their name below it."""
    parts = below.parts
    n_above = next((i for i, part in enumerate(parts) if "{stem}" in part), len(parts) - 1)
    return Place(output.joinpath(*parts[:n_above]), "/".join(parts[n_above:]))


def _from_tag(text: str) -> str:
    """Return a tag as a part of a path; empty for a missing one."""
    return _UNSAFE.sub("_", unicodedata.normalize("NFC", text))[:_MAX_TAG_CHARACTERS].strip(" .")


def check_inside(path: Path, output: Path) -> None:
    """Raise InputError if a path leads outside the output folder, also through a link."""
    inside = os.path.realpath(output)
    if os.path.commonpath([inside, os.path.realpath(path.parent)]) != inside:
        raise InputError(f"{path}: leads outside the output folder {output}; give another --name, or remove the link")


def _check_lengths(source: Path, paths: Iterable[Path]) -> None:
    for path in paths:
        there = next(folder for folder in path.absolute().parents if os.path.isdir(folder))
        limit = _name_limit(there)
        n_bytes = max(len(os.fsencode(part)) for part in path.parts)
        if n_bytes > limit:
            raise InputError(
                f"{source}: its output {path} would have a name of {n_bytes} bytes; the file system takes {limit}; "
                "rename the file, or give a --name with less around {track}"
            )
        try:
            os.lstat(path)
        except FileNotFoundError:
            pass
        except OSError as err:
            raise InputError(f"{source}: its outputs cannot be created ({(err.strerror or '').lower()})") from None


def _name_limit(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # not on Windows
        return 255


def collisions(named: Mapping[Path, Names], parents: Mapping[Path, PurePath], order: Order) -> dict[Path, str]:
    """Return an error for each input whose outputs would overwrite another input or its outputs.

    Of several inputs with one name, the first keeps it.
    """
    same = _as_written if ignores_case(order.output) else str
    owners: dict[str, Path] = {}
    inputs = {os.path.realpath(source): source for source in named}
    lines = {}
    for source, names in named.items():
        for target in names.targets.values():
            if os.path.realpath(target) in inputs:
                lines[source] = f"{source}: its output {target} is itself an input; choose another --output"
                continue
            other = owners.get(same(str(target)), source)
            if other != source:
                hint = _hint(other, source, parents, order)
                lines[source] = f"{source}: would be written to {target}, as {other} is; {hint}"
        if source not in lines:
            owners |= dict.fromkeys((same(str(target)) for target in names.targets.values()), source)
    return lines


def _hint(first: Path, second: Path, parents: Mapping[Path, PurePath], order: Order) -> str:
    """Return advice that gives two inputs different names; each proposal is tried first."""
    rest = " ({stem})" if "karaoke" in order.products else "/{stem}" if "{stem}" in order.name else ""
    for hint in _HINTS:
        name = hint.format(rest)
        outputs = set()
        for source in (first, second):
            fields = {"parent": parents[source].as_posix(), "folder": source.absolute().parent.name}
            fields |= {"track": source.stem, "file": source.name, "stem": "stem"}
            outputs.add(_as_written(os.path.normpath(_filled(name, fields))))
        if len(outputs) == 2:
            return f"give them different names with --name '{name}', or give it another --output"
    return "give it another --output"


def _as_written(path: str) -> str:
    """Return a key that is equal for two paths that the file system treats as the same."""
    return unicodedata.normalize("NFC", path).casefold()


def ignores_case(folder: Path) -> bool:
    """Return whether the file system of a folder, which need not exist yet, ignores the case of names."""
    for there in (folder.absolute(), *folder.absolute().parents):
        other = there.with_name(there.name.swapcase()) if there.name else there
        if there.exists() and other != there:
            return other.exists() and os.path.samefile(there, other)
    return False
