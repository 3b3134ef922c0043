"""Name the outputs of each input, and refuse names that collide."""

import os
import string
from pathlib import Path, PurePath

from ..errors import ConfigError, InputError
from .inputs import real_path
from .jobs import SOUNDS, Order
from .sidecar import SIDECAR

NAME_FIELDS = ("parent", "track", "file", "stem")


_MAX_NAME_BYTES = 255  # on Linux; elsewhere it is as much or more


def check_name(name: str, n_products: int) -> None:
    """Raise ConfigError for a name template that cannot tell the outputs apart."""
    try:
        used = [(key, bool(spec or conversion)) for _, key, spec, conversion in string.Formatter().parse(name) if key]
    except ValueError as err:
        raise ConfigError(f"--name {name!r}: {err}") from None
    for key, is_formatted in used:
        if key not in NAME_FIELDS or is_formatted:
            raise ConfigError(f"--name {name!r}: unknown field {{{key}}}; there are {', '.join(NAME_FIELDS)}")
    fields = {key for key, _ in used}
    if not fields & {"track", "file"} or (n_products > 1 and "stem" not in fields):
        raise ConfigError(f"--name {name!r}: needs {{stem}}, and {{track}} or {{file}}, to tell the outputs apart")
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
        raise ConfigError(f"--name {name!r}: leads outside the output folder; write it relative, without '..'")


def targets_of(source: Path, parent: PurePath, order: Order) -> tuple[dict[str, Path], Path]:
    """Path of each product, and of the sidecar."""

    def place(stem, suffix):
        fields = {"parent": parent, "track": source.stem, "file": source.name, "stem": stem}
        below = PurePath(order.name.format(**fields).lstrip("/"))
        return order.output / below.with_name(below.name + suffix)

    if source.stem in (".", ".."):
        raise InputError(f"{source}: {source.stem!r} cannot name a folder; rename the file")
    suffixes = {"pitch": order.contour_suffix, "notes": ".mid", "ultrastar": ".txt", "picture": ".png"}
    suffixes |= dict.fromkeys(SOUNDS, f".{order.container}")
    targets = {product: place(product, suffixes[product]) for product in order.products}
    sidecar = place(SIDECAR, ".json")
    for path in (*targets.values(), sidecar):
        n_bytes = max(len(os.fsencode(part)) for part in path.parts)
        if n_bytes > _MAX_NAME_BYTES:
            raise InputError(
                f"{source}: its output {path} would have a name of {n_bytes} bytes; file systems take "
                f"{_MAX_NAME_BYTES}; rename the file, or give a --name with less around {{track}}"
            )
    return targets, sidecar


def collisions(named: dict[Path, tuple[dict[str, Path], Path]]) -> list[str]:
    """A line for each input whose outputs would be written over another input or its outputs."""
    owners: dict[Path, Path] = {}
    inputs = {real_path(source) for source in named}
    lines = {}
    for source, (targets, _) in named.items():
        for target in targets.values():
            other = owners.setdefault(target, source)
            if real_path(target) in inputs:
                lines[source] = f"{source}: its output {target} is itself an input; choose another --output"
            elif other is not source:
                lines[source] = (
                    f"{other} and {source} would both be written to {target}; rename one, or tell them apart by "
                    "--name '{parent}/{file}/{stem}'"
                )
    return list(lines.values())
