"""Check the pages of an Ogg file, and rewrite the pages of a new one.

libsndfile gives each Ogg stream a random serial number, and supports few tags. Here the serial number is constant, so
that the same sound gives the same bytes, and the comment header is replaced. No library on PyPI with a permissive
licence does this.

References
----------
Pfeiffer (2003). The Ogg encapsulation format. RFC 3533.
The Xiph.Org Foundation. Vorbis I specification, section 4.2; Terriberry et al. (2016). Ogg Opus. RFC 7845, section 5.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .libsndfile import Handle

_SERIAL = 1
_HEADER_BYTES = 27
_CONTINUED, _FIRST_PAGE = 1, 2
_NO_POSITION = b"\xff" * 8  # no packet ends on the page
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_N_HEADERS = {b"\x01vorbis": 3, b"OpusHead": 2}
_COMMENT_MARKS = {b"\x01vorbis": (b"\x03vorbis", b"\x01"), b"OpusHead": (b"OpusTags", b"")}


def is_one_whole_stream(path: Path) -> bool:
    """Return whether an Ogg file contains exactly one complete stream without damage."""
    serial, position = b"", 0
    with open(path, "rb") as file:
        while head := file.read(_HEADER_BYTES):
            if len(head) < _HEADER_BYTES or head[:4] != b"OggS":
                return False
            sizes = file.read(head[26])
            body = file.read(sum(sizes))
            if len(sizes) < head[26] or len(body) < sum(sizes) or serial not in (b"", head[14:18]):
                return False
            if _checksum(head[:22] + bytes(4) + head[26:] + sizes + body) != int.from_bytes(head[22:26], "little"):
                return False
            is_first, serial = not serial, head[14:18]
            if bool(head[5] & _FIRST_PAGE) != is_first:
                return False
            if head[6:14] == _NO_POSITION:
                continue
            position, before = int.from_bytes(head[6:14], "little", signed=True), position
            if position < before:  # libsndfile would leave out what lies behind it
                return False
    return True


class OggHandle(Handle):
    """A file object that rewrites the pages of an Ogg stream while libsndfile writes it.

    Parameters
    ----------
    comment : bytes
        The tags, as `tags.vorbis_comment` gives them.
    """

    def __init__(self, file: BinaryIO, comment: bytes):
        super().__init__(file)
        self._comment = comment
        self._waiting = b""  # less than a page
        self._codec = b""
        self._segments: list[bytes] = []  # of the headers after the first
        self._n_bytes = 0
        self._n_added_pages = 0
        self._are_headers_done = False

    def tell(self) -> int:
        """Return the number of bytes that libsndfile has written."""
        return self._n_bytes

    def seek(self, offset: int, whence: int = 0) -> int:
        """Return the position; an Ogg stream is written sequentially."""
        return self._n_bytes

    def write(self, data: bytes) -> int:
        """Take a part of the stream, and write the complete pages."""
        self._n_bytes += len(data)
        self._waiting += bytes(data)
        for page in self._whole_pages():
            for rewritten in self._rewrite(page):
                if not super().write(rewritten):
                    return 0
        return len(data)

    def _whole_pages(self) -> Iterator[bytes]:
        while len(self._waiting) >= _HEADER_BYTES:
            n_segments = self._waiting[26]
            sizes = self._waiting[_HEADER_BYTES : _HEADER_BYTES + n_segments]
            n_bytes = _HEADER_BYTES + n_segments + sum(sizes)
            if len(sizes) < n_segments or len(self._waiting) < n_bytes:
                return
            page, self._waiting = self._waiting[:n_bytes], self._waiting[n_bytes:]
            yield page

    def _rewrite(self, page: bytes) -> list[bytes]:
        number = int.from_bytes(page[18:22], "little")
        if not self._codec:
            body = page[_HEADER_BYTES + page[26] :]
            self._codec = next((mark for mark in _N_HEADERS if body.startswith(mark)), b"?")
            self._are_headers_done = self._codec == b"?"
        elif not self._are_headers_done:
            return self._collect(page, number)
        return [_sealed(page[:14], number + self._n_added_pages, page[26:])]

    def _collect(self, page: bytes, number: int) -> list[bytes]:
        """Collect the pages of the headers; return all of them when they are complete."""
        at = _HEADER_BYTES + page[26]
        for size in page[_HEADER_BYTES:at]:
            self._segments.append(page[at : at + size])
            at += size
        packets = [b""]
        for segment in self._segments:
            packets[-1] += segment
            if len(segment) < 255:
                packets.append(b"")
        if len(packets) - 1 < _N_HEADERS[self._codec] - 1:
            return []
        before, after = _COMMENT_MARKS[self._codec]
        pages = list(_pages([before + self._comment + after, *packets[1:-1]]))
        self._n_added_pages = len(pages) - number
        self._are_headers_done = True
        return [_sealed(head, i, rest) for i, (head, rest) in enumerate(pages, 1)]


def _pages(packets: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Divide header packets into pages; return the bytes before the serial number and after the checksum of each."""
    segments = [packet[at : at + 255] for packet in packets for at in range(0, len(packet) + 1, 255)]
    is_continued = False
    for start in range(0, len(segments), 255):
        on_page = segments[start : start + 255]
        ends_packet = any(len(segment) < 255 for segment in on_page)
        position = bytes(8) if ends_packet else b"\xff" * 8
        head = b"OggS\x00" + bytes([_CONTINUED if is_continued else 0]) + position
        yield head, bytes([len(on_page), *map(len, on_page)]) + b"".join(on_page)
        is_continued = len(on_page[-1]) == 255


def _sealed(head: bytes, number: int, rest: bytes) -> bytes:
    """Return a page with its serial number, page number and checksum."""
    head += _SERIAL.to_bytes(4, "little") + number.to_bytes(4, "little")
    return head + _checksum(head + bytes(4) + rest).to_bytes(4, "little") + rest


def _checksum(page: bytes) -> int:
    """Return the CRC-32 with the highest bit first and without inversions: zlib's of the bits in reverse order."""
    register = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{register:032b}"[::-1], 2)
