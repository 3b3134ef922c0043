"""The helper process."""

import os

import pytest

from karaoke_sep.processes import workers


@pytest.fixture(params=["as this system does", "without forking"])
def open_helper(request, monkeypatch):
    """Opened in either way."""
    if request.param == "without forking":
        monkeypatch.setattr(workers, "start_method", lambda: None)
    return workers.open_helper


def test_a_helper_is_one_other_process_that_ends_with_its_context(open_helper):
    with open_helper(os.getpid) as begin:
        found = begin()()
        assert found != os.getpid()
        assert begin()() == found
    with pytest.raises(ProcessLookupError):
        os.kill(found, 0)


def test_exceptions_in_a_helper_are_raised_in_the_caller_and_the_helper_continues(open_helper):
    with open_helper(int) as begin:
        with pytest.raises(ValueError, match="invalid literal"):
            begin("one")()
        assert begin("1")() == 1


def test_a_helper_that_dies_is_noticed(open_helper):
    with open_helper(os._exit) as begin:
        wait = begin(1)
        with pytest.raises((EOFError, OSError)):
            wait()
        with pytest.raises((EOFError, OSError)):
            begin(1)()
