"""Help texts, version and shell completion of the commands."""

import pkgutil
import shutil
import subprocess
import sys
from importlib import import_module

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from commands import all_commands, call, make_song

from karaoke_sep import __version__, cli
from karaoke_sep.cli.main import COMMANDS as COMMAND_LIST
from karaoke_sep.cli.main import main


@pytest.fixture
def song(tmp_path):
    return make_song(tmp_path)


COMMANDS = dict(all_commands())


IMPERATIVES = {
    *("Add", "Augment", "Begin", "Change", "Check", "Choose", "Compare", "Connect", "Draw", "Handle", "Keep", "Leave"),
    *("Make", "Mix", "Name", "Play", "Print", "Process", "Put", "Read", "Repeat", "Replace", "Resample", "Resume"),
    *(
        "Run",
        "Score",
        "Seed",
        "Separate",
        "Set",
        "Show",
        "Stop",
        "Synthesise",
        "Train",
        "Transpose",
        "Update",
        "Use",
        "Write",
    ),
}


def texts(path):
    """The help texts of a command and of its options, without the notes on defaults."""
    command = COMMANDS[path]
    yield " ".join(path), command.help.partition("\n\n")[0]
    for option in command.params:
        if option.param_type_name == "option":
            yield f"{' '.join(path)} {option.opts[-1]}", (option.help or "").partition("  [default")[0]


def test_the_walk_over_the_commands_finds_them():
    assert {(), ("separate",), ("config", "show"), ("evaluate", "mir1k"), ("train", "nmf")} <= set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_help_text_is_a_sentence_that_begins_with_a_verb_in_the_imperative(path):
    wrong = [(name, text) for name, text in texts(path) if text.split(" ")[0] not in IMPERATIVES or text[-1] != "."]
    assert wrong == []
    code, out, _ = call(*path, "--help")
    assert code == 0
    assert out[0].startswith("Usage:")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_is_quick_and_imports_no_heavy_library(path):
    heavy = {"numpy", "scipy", "librosa", "numba", "soundfile", "yaml", "tqdm"}
    code = f"""if True:
        import sys, time
        from karaoke_sep.cli.main import main
        try:
            main({[*path, "--help"]!r})
        except SystemExit:
            print(sorted({heavy} & set(sys.modules)), time.process_time())"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    modules, _, cpu_s = run.stdout.splitlines()[-1].rpartition(" ")
    assert modules == "[]"
    assert float(cpu_s) < 0.3  # 0.1 s on a machine of its own


def test_the_list_of_commands_names_each_module_that_holds_a_command_of_its_name():
    names = [module.name for module in pkgutil.iter_modules(cli.__path__) if module.name != "main"]
    found = [getattr(import_module(f"{cli.__name__}.{name}"), name, None) for name in names]
    assert [command.name for command in found if isinstance(command, click.Command)] == list(COMMAND_LIST)


def test_version_is_the_packages():
    assert call("--version")[1] == [f"karaoke-sep, version {__version__}"]


def test_a_file_instead_of_a_command_gets_a_proposal_of_separate(song, tmp_path):
    code, out, err = call(song)
    assert (code, out) == (2, [])
    assert err[-1] == f"Error: {str(song)!r} is not a command; to separate it: karaoke-sep separate {song}"
    assert call("absent.mp3")[2][-1].endswith("to separate it: karaoke-sep separate absent.mp3")
    assert call("my song.mp3")[2][-1].endswith("to separate it: karaoke-sep separate 'my song.mp3'")
    assert call("seperate")[2][-1] == "Error: No such command 'seperate'; did you mean 'separate'?"
    assert "No such command" in call("nonsense")[2][-1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("separate --config ", ["best", "classic", "default", "fast", "trained"]),
        ("separate --config fa", ["fast"]),
        ("pitch --pitch ", ["given", "hmm", "peaks", "pyin"]),
        ("karaoke --strength ", ["gentle", "normal", "hard"]),
        ("separate --set wiener.r", ["wiener.rule="]),
        ("separate --set wiener.rule=s", ["wiener.rule=subtract"]),
        ("separate --set consonants.enabled=", ["consonants.enabled=true", "consonants.enabled=false"]),
        ("separate --format f", ["flac"]),
    ],
)
def test_the_shell_completes_values(words, expected):
    *arguments, incomplete = f"karaoke-sep {words}".split(" ")
    found = ShellComplete(main, {}, "karaoke-sep", "_COMPLETE").get_completions(arguments[1:], incomplete)
    assert [item.value for item in found] == expected


def test_config_files_are_completed_by_the_shell():
    [item] = ShellComplete(main, {}, "karaoke-sep", "_COMPLETE").get_completions(["separate", "--config"], "./mine")
    assert (item.type, item.value) == ("file", "./mine")


@pytest.mark.parametrize("word", ["a" * 3000, "ab/" * 1000])
@pytest.mark.parametrize("before", [["--{0}"], ["{0}"], ["separate", "--{0}"], ["config", "{0}"]])
def test_a_long_unknown_option_or_command_is_shown_cut(before, word):
    done = call(*(part.format(word) for part in before))
    assert done[0] == 2
    assert max(map(len, done[2])) < 250
    assert word[:30] in done[2][-1]


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--set", "pitch.backend", "="], ["given", "hmm", "peaks", "pyin"]),
        (["--set", "pitch.backend", "=", "p"], ["peaks", "pyin"]),
        (["--set", "wiener.vo"], ["wiener.voice_db="]),
        (["--config", "=", "f"], ["fast"]),
        (["--config", "f"], ["fast"]),
    ],
)
def test_bash_which_splits_words_at_equals_signs_completes_values(words, expected):
    source = CliRunner().invoke(main, prog_name="karaoke-sep", env={"_KARAOKE_SEP_COMPLETE": "bash_source"}).stdout
    words = ["karaoke-sep", "separate", *words]
    script = f"""compopt() {{ echo "compopt $1 $2"; }}
karaoke-sep() {{ :; }}
{source}
COMP_WORDS=({" ".join(words)}) COMP_CWORD={len(words) - 1}
_karaoke_sep_completion '{sys.executable} -m karaoke_sep'
printf '%s\n' "${{COMPREPLY[@]}}"
"""
    # The first argument of the function is the command, which may be several words here.
    script = script.replace("bash_complete $1", f"bash_complete {sys.executable} -m karaoke_sep")
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    assert found == ["compopt -o nospace"] * expected[0].endswith("=") + expected
