"""A small config for the tests of reading and writing configs."""

import re
from dataclasses import dataclass, field
from typing import Literal

import pytest

from karaoke_sep.errors import ConfigError


@dataclass(frozen=True)
class Mask:
    kind: Literal["binary", "soft", "off"] = "soft"
    width_hz: float = 50.0
    top_hz: float = 8000
    n_partials: int = 60
    n_passes: Literal[1, 2] = 1
    enabled: bool = True
    note: str = "none"
    floor_db: float | None = None
    weights: tuple[float, ...] = (1.0, 0.5)
    range_cents: tuple[int, int] = (-50, 50)

    def __post_init__(self):
        if self.width_hz <= 0:
            raise ValueError(f"width_hz is {self.width_hz:g}; it must be positive")
        if self.top_hz <= self.width_hz:
            raise ValueError(f"top_hz is {self.top_hz:g}; it must be above width_hz, {self.width_hz:g}")


@dataclass(frozen=True)
class Gate:
    attack_ms: float = 20.0
    hold_s: float = 0.5


@dataclass(frozen=True)
class Tree:
    mask: Mask = field(default_factory=Mask)
    gate: Gate = field(default_factory=Gate)


def fault(load, *args, **kwargs) -> str:
    """The one line with which loading fails, without the folder of the file."""
    with pytest.raises(ConfigError) as caught:
        load(*args, **kwargs)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 500
    return re.sub(r"^/.*/(?=song\.yaml)", "", line)
