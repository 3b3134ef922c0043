"""Standard MIDI files.

The bytes are written here because a format 0 file consists of a few kinds of messages. This takes less code than the
use of a library, and needs no dependency.

References
----------
MIDI Manufacturers Association (1996). The complete MIDI 1.0 detailed specification; Standard MIDI files 1.0.
"""

import struct
from collections.abc import Iterator, Sequence

import numpy as np

from ..dsp.scales import hz_to_midi
from ..types import Note, PitchTrack

_TICKS_PER_S = 960  # of a MIDI file: 480 in a quarter note, and 120 of those a minute
_BEND_SEMITONES = 2  # default range of synthesisers, which the file also sets
_VOICE_OOHS = 53  # General MIDI: a sustained sound, on which bends are audible


def encode(notes: Sequence[Note], track: PitchTrack | None = None) -> bytes:
    """Return the bytes of a standard MIDI file (format 0).

    Parameters
    ----------
    notes : sequence of Note
        In order of time.
    track : PitchTrack, optional
        If given, pitch bends follow the contour within each note, up to two semitones; otherwise notes are in tune.
    """
    setup = [bytes([0xC0, _VOICE_OOHS])]
    # Registered parameter 0 is the range of the bend in semitones and cents; 127, 127 closes it.
    setup += [
        bytes([0xB0, *pair]) for pair in ((101, 0), (100, 0), (6, _BEND_SEMITONES), (38, 0), (101, 127), (100, 127))
    ]
    body = bytearray(b"\x00\xff\x51\x03" + (500_000).to_bytes(3, "big"))  # us in a quarter note
    body += b"".join(b"\x00" + message for message in setup)
    now = 0
    for note in notes:
        # (tick, order among events at that tick, bytes): a note is bent before it begins.
        events = [(_tick(note.onset_s), 2, bytes([0x90, note.key, note.velocity]))]
        events.append((_tick(note.offset_s), 0, bytes([0x80, note.key, 0])))
        if track is not None:
            events += [(tick, 1, bend) for tick, bend in _bends(note, track)]
        for tick, _, message in sorted(events):
            body += _variable_length(tick - now) + message
            now = tick
    body += b"\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, _TICKS_PER_S // 2) + b"MTrk" + struct.pack(">I", len(body)) + body


def _tick(time_s: float) -> int:
    return round(time_s * _TICKS_PER_S)


def _bends(note: Note, track: PitchTrack) -> Iterator[tuple[int, bytes]]:
    """Yield ticks and messages: a bend at the onset, then one for each tick at which the bend changes."""
    inside = slice(*np.searchsorted(track.times_s, [note.onset_s, note.offset_s]))
    pitched = np.isfinite(track.f0_hz[inside])
    semitones = hz_to_midi(track.f0_hz[inside][pitched]) - note.key
    values = np.clip(np.rint(8192 + 8192 * semitones / _BEND_SEMITONES), 0, 16383).astype(int)
    ticks = np.rint(track.times_s[inside][pitched] * _TICKS_PER_S).astype(int)
    ticks[:1] = _tick(note.onset_s)
    last = np.diff(ticks, append=-1) != 0  # of the frames at one tick
    ticks, values = ticks[last], values[last]
    changed = np.diff(values, prepend=-1) != 0
    for tick, value in zip(ticks[changed].tolist(), values[changed].tolist(), strict=True):
        yield tick, bytes([0xE0, value & 127, value >> 7])


def _variable_length(number: int) -> bytes:
    """Encode a number with seven bits a byte, the highest first; all bytes but the last have the top bit set."""
    groups = [number & 127]
    while number := number >> 7:
        groups.append(number & 127 | 128)
    return bytes(reversed(groups))
