"""Stop in order at the signals that ask a program to end, as at Ctrl-C: workers are stopped and parts removed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# A supervisor, `kill` and a shutdown send the first, a terminal that is closed the second.
_STOPS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(KeyboardInterrupt):
    """A signal asks the program to end.

    Attributes
    ----------
    exit_code : int
        128 and the number of the signal, as shells have it.
    """

    def __init__(self, number: int):
        super().__init__()
        self.exit_code = 128 + number


def stop_in_order() -> None:
    """Have the signals that end this process raise `Stopped` in its main thread.

    A signal that is ignored, as under nohup, stays so.
    """
    if threading.current_thread() is threading.main_thread():  # where alone signals can be handled
        for number in _STOPS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    # A second signal raises again: an exception that is raised within a callback from C is lost.
    raise Stopped(number)


@contextmanager
def held_back() -> Iterator[None]:
    """Delay the signals that end this process while it starts another one, which delays them as well.

    Otherwise a signal that comes right after a fork would run the handlers of this process in the new one.
    `leave_stopping_to_the_parent` ends the delay there.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows, which does not fork
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, *_STOPS])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_stopping_to_the_parent() -> None:
    """Have a worker end at once when its parent ends it, and ignore Ctrl-C, which the parent handles for both."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in _STOPS:
        signal.signal(number, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, *_STOPS])
