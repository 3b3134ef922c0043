"""Training-free singing-voice separation.

>>> import karaoke_sep
>>> result = karaoke_sep.separate("song.wav")                     # doctest: +SKIP
>>> result = karaoke_sep.separate(samples, 44100, "fast")         # doctest: +SKIP
>>> result.vocals.samples, result.accompaniment.samples           # doctest: +SKIP
>>> track = karaoke_sep.find_pitch("song.wav")                    # doctest: +SKIP
>>> track.times_s, track.f0_hz, track.voicing                     # doctest: +SKIP
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what the lazy imports below give
    from .config import load_config
    from .correction import separate_corrected
    from .errors import ConfigError, InputError, KaraokeSepError
    from .pipeline import find_pitch, separate
    from .types import Audio, PitchTrack, Separation

__version__ = "0.1.0"

# The names of the public interface and the module that holds each. They are imported on first use, so that
# `karaoke-sep --help` does not wait for the numerical libraries.
_HOMES = {
    "Audio": "types",
    "PitchTrack": "types",
    "Separation": "types",
    "KaraokeSepError": "errors",
    "InputError": "errors",
    "ConfigError": "errors",
    "find_pitch": "pipeline",
    "load_config": "config",
    "separate": "pipeline",
    "separate_corrected": "correction",
}

__all__ = [
    "Audio",
    "ConfigError",
    "InputError",
    "KaraokeSepError",
    "PitchTrack",
    "Separation",
    "__version__",
    "find_pitch",
    "load_config",
    "separate",
    "separate_corrected",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
