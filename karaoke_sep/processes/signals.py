"""Handle Ctrl-C and termination signals: stop the workers and remove temporary files.

A handler ends the work with an exception. C code that calls Python functions prints such an exception and continues, so
that the signal is lost. `undisturbed` delays the handlers until the C code has returned. `raise_lost` is for the rest:
destructors, and callbacks of libraries.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# Ctrl-C sends SIGINT. Supervisors, `kill` and shutdowns send SIGTERM. A terminal that is closed sends SIGHUP.
_STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

_received: list[int] = []  # numbers of the signals that `_stop` has handled


class Stopped(KeyboardInterrupt):
    """Ctrl-C was pressed, or a termination signal was received.

    Attributes
    ----------
    exit_code : int
        128 plus the number of the signal, as in shells.
    """

    def __init__(self, number: int):
        super().__init__()
        self.exit_code = 128 + number


@contextmanager
def stop_in_order() -> Iterator[None]:
    """Have Ctrl-C and termination signals raise `Stopped` in the main thread.

    A signal that is ignored, as with nohup, remains ignored.
    """
    before = {}
    try:
        if threading.current_thread() is threading.main_thread():  # signals can only be handled there
            for number in _STOPS:
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    before[number] = signal.signal(number, _stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _received.clear()


def _stop(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise Stopped(number)


def raise_lost() -> None:
    """Raise `Stopped` if a signal was received, but its exception was lost: otherwise nobody would be here."""
    if _received:
        raise Stopped(_received[-1])


@contextmanager
def undisturbed() -> Iterator[None]:
    """Delay the handlers of signals until a call of C code that calls Python functions has returned."""
    received: list[int] = []
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # signals are only handled there
        handlers = {number: handler for number in _STOPS if callable(handler := signal.getsignal(number))}
    try:
        for number in handlers:
            signal.signal(number, lambda number, frame: received.append(number))
        yield
    finally:
        for number, handler in reversed(handlers.items()):  # Ctrl-C is the likeliest, and may come right now
            signal.signal(number, handler)
        for number in received:
            handlers[number](number, None)


@contextmanager
def held_back() -> Iterator[None]:
    """Delay the signals that end this process while it starts another one, which delays them as well.

    Otherwise a signal that comes right after a fork would run the handlers of this process in the new one.
    `leave_stopping_to_the_parent` ends the delay there.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows, which does not fork
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_stopping_to_the_parent() -> None:
    """Have a worker end at once at a termination signal, and ignore Ctrl-C, which its parent handles."""
    for number in _STOPS:
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
