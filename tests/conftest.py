"""Songs that several files of tests use, made and separated once a session."""

import signal
from functools import cache

import pytest
import report_pages

from karaoke_sep import demo_song, separate

# A shell has its jobs in the background ignore Ctrl-C, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def demo():
    """The demo song of a rate and a length: ``demo(rate_hz, seconds)``."""
    return cache(demo_song.make)


@pytest.fixture(scope="session")
def separated(demo):
    """The default config's stems of the demo song: ``separated(rate_hz, seconds)``."""
    return cache(lambda rate_hz, seconds: separate(demo(rate_hz, seconds).mixture))


@pytest.fixture(scope="session")
def made(tmp_path_factory, demo):
    """Separated songs for the report in ``out``, their inputs in ``in``, reference stems of one in ``true``."""
    return report_pages.make_results(tmp_path_factory.mktemp("made"), demo(report_pages.RATE_HZ, report_pages.SECONDS))


@pytest.fixture
def tracks(tmp_path):
    """Stems of two singers."""
    from stem_folders import write_tracks

    return write_tracks(tmp_path)
