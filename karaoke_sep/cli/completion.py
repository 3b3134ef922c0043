"""Complete values behind an equals sign in bash, which takes the sign as a word of its own."""

from typing import Any

from click.shell_completion import BashComplete, CompletionItem

_EQUALS = "="
_PLAIN = "COMPREPLY+=($value)"


class EqualsBashComplete(BashComplete):
    """Completion for bash in which ``--set pitch.backend=h`` is one word."""

    # A key that ends in an equals sign is followed by its value, not by a space.
    source_template = BashComplete.source_template.replace(
        _PLAIN, f"{_PLAIN}\n            [[ $value == *= ]] && compopt -o nospace"
    )
    _key = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the complete words and the incomplete one."""
        args, incomplete = super().get_completion_args()
        if incomplete == _EQUALS and args:
            args, incomplete = [*args, _EQUALS], ""
        if args[-1:] == [_EQUALS] and len(args) > 1:
            self._key = f"{args[-2]}{_EQUALS}"
            args, incomplete = args[:-2], f"{self._key}{incomplete}"
        return args, incomplete

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Return a line for bash, which replaces the word after the equals sign alone."""
        return f"{item.type},{str(item.value).removeprefix(self._key)}"
