"""Songs that several files of tests use, made and separated once a session."""

from functools import cache

import pytest

from karaoke_sep import demo_song, separate


@pytest.fixture(scope="session")
def demo():
    """The demo song of a rate and a length: ``demo(rate_hz, seconds)``."""
    return cache(demo_song.make)


@pytest.fixture(scope="session")
def separated(demo):
    """The default config's stems of the demo song: ``separated(rate_hz, seconds)``."""
    return cache(lambda rate_hz, seconds: separate(demo(rate_hz, seconds).mixture))
