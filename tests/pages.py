"""Commands and claims of README.md and docs/*.md, and short inputs to run them on.

A page can be followed from top to bottom in one folder. Its ``sh`` blocks are command lines. A comment
``# -> FILE and FILE`` after a command claims that the command writes these files.
"""

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from karaoke_sep import demo_song
from karaoke_sep.cli.main import main
from karaoke_sep.files import contours
from karaoke_sep.types import Audio

ROOT = Path(__file__).parent.parent
# An installed package has no pages beside it.
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if page.exists()]
# These would install the package again, or start this very test.
NOT_RUN = re.compile(r"(pip |apt |brew |git |scripts/|source scripts/|eval )")
# Options that shorten a command. The page shows the command for real data.
SHORTER = {
    "train nmf": ["--bases", "4", "--steps", "2", "--remixes", "0"],
    "train spectra": ["--bases", "4", "--epochs", "1"],
    "train activity": ["--steps", "2", "--remixes", "0", "--gaussians", "1"],
}
# These need a cluster, which tests/test_batch.py starts, or ffmpeg.
PARSED_ONLY = ("--engine", *(() if shutil.which("ffmpeg") else ("--loudness",)))
_NUMBER = r"(-?\d+(?:\.\d+)?)"
RATE_HZ = 8000
SECONDS = 2.5


@dataclass(frozen=True)
class Line:
    """A command line of a page, and the files that its comment claims."""

    text: str
    claims: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """Words after the name of the program."""
        return shlex.split(self.text)[1:]

    @property
    def is_ours(self) -> bool:
        """Whether the line is one call of the program, which can be run in this process."""
        return self.text.startswith("karaoke-sep ") and not re.search(r"[|<>;&$`*]", self.text)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return language and text of the fenced blocks of a page, in their order."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


def command_lines(block: str) -> list[Line]:
    """Return the command lines of an ``sh`` block."""
    lines = []
    for text in block.splitlines():
        command, _, comment = text.partition(" #")
        if command.strip() and not command.startswith("#"):
            _, arrow, files = comment.partition("-> ")
            lines.append(Line(command.strip(), tuple(files.split(" and ")) if arrow else ()))
    return lines


def all_command_lines(page: Path) -> list[Line]:
    """Return every command line of the program on a page, those in running text included."""
    in_blocks = [line for language, block in blocks(page) if language == "sh" for line in command_lines(block)]
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    in_text = [Line(" ".join(call.split())) for call in re.findall(r"`(karaoke-sep [^`]+)`", text)]
    return [line for line in in_blocks + in_text if line.is_ours]


def parse(line: Line) -> click.Context:
    """Return the context of the command that a line calls. The command itself does not run."""
    arguments, command, path = line.arguments, main, ["karaoke-sep"]
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        path.append(arguments.pop(0))
        command = command.get_command(click.Context(command), path[-1])
    return command.make_context(" ".join(path), arguments, resilient_parsing=not arguments)


def run(line: Line) -> None:
    """Run a line in the current folder, and check that it succeeds and writes what its comment claims."""
    before = {claim: modified(claim) for claim in line.claims}
    if line.is_ours:
        if any(option in line.text for option in PARSED_ONLY):
            parse(line)
            return
        shorter = [option for start, options in SHORTER.items() for option in options if start in line.text]
        result = CliRunner().invoke(main, line.arguments + shorter)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, f"{line.text}: {result.output}"
    elif not NOT_RUN.match(line.text):
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        command = [
            shutil.which("bash"),
            "-euo",
            "pipefail",
            "-c",
            line.text,
        ]  # Windows has another bash outside the PATH
        done = subprocess.run(command, env=os.environ | {"PATH": programs}, capture_output=True, text=True)
        assert done.returncode == 0, f"{line.text}: {done.stderr}"
    for claim in line.claims:
        assert modified(claim) not in (None, before[claim]), f"{line.text} does not write {claim}"


def modified(file: str) -> int | None:
    """Return when a file was written, in ns, or None where there is none."""
    return Path(file).stat().st_mtime_ns if Path(file).exists() else None


def follow(page: Path, folder: Path) -> None:
    """Run every block of a page in its order. ``folder`` is the current folder."""
    make_inputs(folder)
    names, printed = {"__name__": "__main__"}, ""
    for language, block in blocks(page):
        if language == "sh":
            for line in command_lines(block):
                run(line)
        elif language == "yaml":
            (folder / "my.yaml").write_text(block, encoding="utf-8")
        elif language == "python":
            with redirect_stdout(io.StringIO()) as output:
                exec(compile(block, page.name, "exec"), names)
            printed = output.getvalue()
        elif language == "text":
            assert_printed(block, printed)


def assert_printed(shown: str, printed: str) -> None:
    """Check that a page shows what a block prints; other versions of the libraries may change the last digit."""
    words, found = (re.split(_NUMBER, text) for text in (shown, printed))
    assert words[::2] == found[::2]
    assert list(map(float, words[1::2])) == pytest.approx(list(map(float, found[1::2])), rel=0.02, abs=0.11)


@cache
def _inputs() -> tempfile.TemporaryDirectory:
    folder = tempfile.TemporaryDirectory(prefix="karaoke-sep-pages-")
    _write_inputs(Path(folder.name))
    return folder


def make_inputs(folder: Path) -> None:
    """Write the inputs that the pages name: songs, a folder of songs, true stems, and a small MIR-1K."""
    shutil.copytree(_inputs().name, folder, dirs_exist_ok=True)


def _write_inputs(folder: Path) -> None:
    song = demo_song.make(RATE_HZ, SECONDS)
    for name in ("song.mp3", "song.wav", "karaoke version.wav"):
        sound = song.accompaniment if name.startswith("karaoke") else song.mixture
        write(folder / name, sound)
    for name in ("vocals", "accompaniment"):
        write(folder / "references" / "song" / f"{name}.wav", getattr(song, name))
    for seed, name in enumerate(("one.mp3", "Album/two.flac"), 1):
        write(folder / "Music" / name, demo_song.make(RATE_HZ, SECONDS, seed).mixture)
    for seed, singer in enumerate(("abjones", "amy", "khair")):
        make_clip(folder / "MIR-1K", f"{singer}_1_01", demo_song.make(16000, SECONDS, seed))
    shutil.copytree(folder / "MIR-1K", folder / "MIR-1K-dev")


def make_clip(dataset: Path, name: str, song) -> None:
    """Write a clip in the form of MIR-1K, with its labels."""
    channels = [sound.samples.mean(axis=0) for sound in (song.accompaniment, song.vocals)]
    write(dataset / "Wavfile" / f"{name}.wav", Audio(np.stack(channels), song.mixture.rate_hz))
    (dataset / "PitchLabel").mkdir(exist_ok=True)
    (dataset / "vocal-nonvocalLabel").mkdir(exist_ok=True)
    contours.write(dataset / "PitchLabel" / f"{name}.pv", song.track)
    voiced = np.loadtxt(dataset / "PitchLabel" / f"{name}.pv") > 0
    sung = np.convolve(voiced, np.ones(11), "same") > 0  # consonants before and after a pitch
    np.savetxt(dataset / "vocal-nonvocalLabel" / f"{name}.vocal", sung, fmt="%d")


def write(path: Path, sound: Audio) -> None:
    """Write a sound, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound.samples.T, sound.rate_hz)
