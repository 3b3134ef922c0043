"""Handle termination signals like Ctrl-C: stop the workers and remove temporary files."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Supervisors, `kill` and shutdowns send SIGTERM. A terminal that is closed sends SIGHUP.
_STOPS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(KeyboardInterrupt):
    """A termination signal was received.

    Attributes
    ----------
    exit_code : int
        128 plus the number of the signal, as in shells.
    """

    def __init__(self, number: int):
        super().__init__()
        self.exit_code = 128 + number


def stop_in_order() -> None:
    """Have termination signals raise `Stopped` in the main thread.

    A signal that is ignored, as with nohup, remains ignored.
    """
    if threading.current_thread() is threading.main_thread():  # signals can only be handled there
        for number in _STOPS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    # A second signal raises again, because an exception that is raised in a callback from C is lost.
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
    """Have a worker end at once at a termination signal, and ignore Ctrl-C, which its parent handles."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in _STOPS:
        signal.signal(number, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, *_STOPS])
