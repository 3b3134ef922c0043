"""Expected errors, caused by the inputs or settings of a user.

Each message is one line: where the error is, what is wrong (with numbers), and how to correct it.
"""


class KaraokeSepError(Exception):
    """An expected error; its text is shown to the user."""


class InputError(KaraokeSepError):
    """A sound or contour file that cannot be used. The other inputs are still processed."""


class NoSoundError(InputError):
    """A file without any sound, such as a silent film."""


class OutputError(KaraokeSepError):
    """A stem that cannot be written."""


class ConfigError(KaraokeSepError):
    """A setting or option that is not valid. No work is started."""


def counted(count: int, noun: str) -> str:
    """Return a number with its noun in the singular or plural: "1 file", "2 files"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def how_to_install(extra: str) -> str:
    """Return the command that installs an extra of this package."""
    return f"pip install '.[{extra}]' in the checkout of karaoke-sep"


def unexpected(where: object, err: Exception) -> str:
    """Return the message for an unexpected error; those of the operating system, such as a full disk, are named so."""
    if isinstance(err, OSError) and err.strerror:
        return f"{where}: the system fails ({err.strerror.lower()})"
    return f"{where}: {type(err).__name__}: {err}; this is an error in karaoke-sep; please report it"
