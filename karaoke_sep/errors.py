"""The few ways in which a user's input can be wrong.

Each message says where, what (with the numbers) and how to mend it, on one line.
"""


class KaraokeSepError(Exception):
    """Any expected failure; its text is meant for the user."""


class InputError(KaraokeSepError):
    """A sound or contour file that cannot be used. The other inputs go on."""


class OutputError(KaraokeSepError):
    """A stem that cannot be written."""


class ConfigError(KaraokeSepError):
    """A setting or option that makes no sense. Nothing is started."""
