"""Read an ``.npz`` file that may be damaged or malicious, in bounded time and memory.

`numpy.load` allocates whatever the header of an array declares. Here all headers are read first, and an array is read
only on demand, if it has the size that its header declares.
"""

import lzma
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np

MAX_BYTES = 200_000_000  # of the file, and of its arrays; fifty times what training makes by default
MAX_ARRAYS = 1000
# Exceptions of zipfile, zlib and the header parser of NumPy for damaged files.
DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    tokenize.TokenError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    MemoryError,
    OverflowError,
    RuntimeError,  # encrypted; too deeply nested; not implemented
)


class Header(NamedTuple):
    """Header of an array in the file."""

    shape: tuple[int, ...]
    dtype: np.dtype
    order: Literal["C", "F"]


@contextmanager
def open_npz(path: Path) -> Iterator[tuple[dict[str, Header], Callable[[str], np.ndarray]]]:
    """Give the headers of the arrays by name, and a function that reads an array.

    Raises
    ------
    OSError
        If the file cannot be read.
    One of `DAMAGES`
        If it is damaged, too large, or contains anything but arrays of numbers and text.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES / 1e6:.0f} MB")
    with zipfile.ZipFile(path) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        if len(members) > MAX_ARRAYS or sum(member.file_size for member in members.values()) > MAX_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_BYTES / 1e6:.0f} MB, or {MAX_ARRAYS} arrays")

        def read(name: str) -> np.ndarray:
            with archive.open(members[name]) as file:
                shape, dtype, order = _read_header(file)
                data = file.read()
            if len(data) != prod(shape) * dtype.itemsize:
                raise ValueError(f"its array {name} is cut off or too long")
            return np.frombuffer(data, dtype).reshape(shape, order=order).copy(order="K")

        headers = {}
        for name, member in members.items():
            with archive.open(member) as file:
                headers[name] = _read_header(file)
        yield headers, read


def _read_header(file: IO[bytes]) -> Header:
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("its arrays are of another version of NumPy's format")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in "fU" or any(n < 0 for n in shape):
        raise ValueError(f"it holds an array of type {dtype.kind}; numbers or text are needed")
    return Header(shape, dtype, "F" if is_fortran else "C")
