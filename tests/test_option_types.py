"""Values of options that no command can use are rejected by the option."""

import click
import pytest
from click.testing import CliRunner
from commands import all_commands

from karaoke_sep.cli.main import main

NUMBERS = [
    (path, option)
    for path, command in all_commands()
    for option in command.params
    if isinstance(option.type, click.types.FloatParamType) or option.name == "strength_db"
]


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(("path", "option"), NUMBERS, ids=lambda value: getattr(value, "name", None))
def test_every_number_option_rejects_what_is_not_finite(path, option, text):
    result = CliRunner().invoke(main, [*path, f"{option.opts[-1]}={text}"])
    assert result.exit_code == 2
    assert f"Invalid value for '{option.opts[-1]}'" in result.stderr


def test_there_are_number_options():
    assert len(NUMBERS) >= 7


@pytest.mark.parametrize("arguments", [["separate", ""], ["separate", "song.wav", "--output", ""], ["report", ""]])
def test_an_empty_name_is_an_error_and_never_the_current_folder(arguments):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "is empty" in result.stderr
