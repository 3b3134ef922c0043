"""Folder for the code that numba compiles.

The import of librosa fails if numba can write neither to the folder of librosa nor to the cache of the user, as in many
containers. Then a folder among the temporary files is used.
"""

import importlib.util
import os
import stat
import sys
import tempfile
from pathlib import Path

from ..errors import ConfigError

_VARIABLE = "NUMBA_CACHE_DIR"


def prepare() -> None:
    """Set a folder for the cache of numba if the usual ones cannot be written to.

    Raises
    ------
    ConfigError
        If there is no folder that can be written to.
    """
    if any(map(_can_be_written, usual_folders())):
        return
    os.environ[_VARIABLE] = str(_private_folder())


def usual_folders() -> list[Path]:
    """Folders that numba tries, in its order."""
    folders = [Path(os.environ[_VARIABLE])] if os.environ.get(_VARIABLE) else []
    spec = importlib.util.find_spec("librosa")
    if spec and spec.origin:
        folders.append(Path(spec.origin).parent / "util" / "__pycache__")
    home = Path(os.path.expanduser("~"))
    if sys.platform == "darwin":
        return [*folders, home / "Library" / "Caches" / "numba"]
    if os.name == "nt":
        return [*folders, Path(os.environ.get("LOCALAPPDATA", home)) / "numba"]
    return [*folders, Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "numba"]


def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _private_folder() -> Path:
    """Return a folder that only this user can write to, because numba executes the files in it."""
    try:
        user = os.getuid() if hasattr(os, "getuid") else os.getlogin()
        folder = Path(tempfile.gettempdir(), f"karaoke-sep-numba-{user}")
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        is_ours = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o077)
        if stat.S_ISDIR(status.st_mode) and is_ours and _can_be_written(folder):
            return folder
    except OSError:
        pass
    raise ConfigError(f"no folder for code that numba compiles can be written to; set {_VARIABLE} to one")


prepare()
import librosa  # noqa: E402

__all__ = ["librosa", "prepare"]
