"""Names of backends, configs, formats and libraries, found without importing the modules.

The command line derives its choices, help texts and completions from here, so `karaoke-sep --help` imports no
numerical library.
"""

import pkgutil
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
CONTAINERS = ("wav", "flac", "mp3", "ogg")  # formats of the sound files that are written
STEMS = ("vocals", "accompaniment")

# Libraries whose versions can change a number or a file, and the libraries of the extras.
LIBRARIES = ("numpy", "scipy", "librosa", "numba", "scikit-learn", "soundfile", "soxr")
EXTRAS = {"plots": "matplotlib", "stretch": "python-stretch", "dask": "distributed", "ray": "ray"}


def backends(kind: str) -> list[str]:
    """Return the names of the backends of a kind: the public modules of its folder.

    Parameters
    ----------
    kind : {"pitch", "accompaniment", "activity"}
    """
    modules = pkgutil.iter_modules([str(PACKAGE / kind)])
    return sorted(module.name for module in modules if not module.name.startswith("_"))


def config_folder() -> Path:
    """Return the folder of the shipped configs."""
    installed = PACKAGE / "configs"
    return installed if installed.is_dir() else PACKAGE.parent / "configs"  # beside the package in a checkout


def configs() -> list[str]:
    """Return the names of the shipped configs."""
    return sorted(path.stem for path in config_folder().glob("*.yaml"))
