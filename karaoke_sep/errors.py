"""The few ways in which a user's input can be wrong.

Each message says where, what (with the numbers) and how to mend it, on one line.
"""


class KaraokeSepError(Exception):
    """Any expected failure; its text is meant for the user."""


class InputError(KaraokeSepError):
    """A sound or contour file that cannot be used. The other inputs go on."""


class NoSoundError(InputError):
    """A file without any sound, such as a silent film."""


class OutputError(KaraokeSepError):
    """A stem that cannot be written."""


class ConfigError(KaraokeSepError):
    """A setting or option that makes no sense. Nothing is started."""


def how_to_install(extra: str) -> str:
    """Return what a user does to install an extra of this package."""
    return f"pip install '.[{extra}]' in the checkout of karaoke-sep"


def unexpected(where: object, err: Exception) -> str:
    """Return the line for a failure that nobody thought of."""
    return f"{where}: {type(err).__name__}: {err}; this is a mistake in karaoke-sep, please report it"
