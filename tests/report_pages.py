"""Separated songs for the report, and a reader of its page."""

import base64
import json
from html.parser import HTMLParser
from pathlib import Path

import soundfile
from click.testing import CliRunner

from karaoke_sep import batch
from karaoke_sep.cli.main import main
from karaoke_sep.files import contours, writing

RATE_HZ, SECONDS = 16000, 12.0
NASTY = """<img src=x onerror="alert(1)"> & 'q' #1 50% ö"""
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")


def call(*arguments):
    """Return the exit code, the lines on stdout and the lines on stderr."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout.splitlines(), result.stderr.splitlines()


def make_results(folder, song):
    """Separate a song under two names, one of them with markup in name and tags; the other has reference stems."""
    (folder / "in").mkdir()
    for name in ("a song", NASTY):
        with soundfile.SoundFile(folder / "in" / f"{name}.flac", "w", RATE_HZ, 2, "PCM_16") as file:
            if name == NASTY:
                file.title = file.artist = NASTY
            file.write(song.mixture.samples.T)
    products = ["--save-pitch", "--save-midi", "--config", "fast", "--set", "wiener.exponent=1.5"]
    assert call("separate", folder / "in", "--output", folder / "out", *products)[0] == 0
    for stem in batch.STEMS:
        writing.write(folder / "true" / "a song" / f"{stem}.wav", getattr(song, stem).samples, RATE_HZ, "wav", "FLOAT")
    contours.write(folder / "true" / "a song" / "pitch.csv", song.track)
    for result in batch.results(folder / "out")[0]:
        (result.place.folder / "picture.png").write_bytes(PNG)
        record = json.loads(result.place.record.read_text())
        record["files"]["picture.png"] = record["files"]["vocals.wav"] | {"product": "picture"}
        result.place.record.write_text(json.dumps(record))
    return folder


class Page(HTMLParser):
    """Elements with their attributes, and the text of the page outside of scripts and styles."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.text, self.path, self.inside = [], "", path, ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.inside not in ("script", "style"):
            self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    def sounds(self):
        """Return for each track the address of each sound by its name."""
        return [
            {sound["name"]: sound["src"] for sound in json.loads(article["data-sounds"])}
            for article in self.all("article")
        ]

    def addresses(self):
        """Return every address on the page."""
        sounds = [address for track in self.sounds() for address in track.values()]
        return sounds + [image["src"] for image in self.all("img")] + [link["href"] for link in self.all("a")]


def page_of(folder, *options):
    """Write the page of a folder without a complaint, and read it."""
    code, out, err = call("report", folder, *options)
    assert (code, err) == (0, [])
    return Page(Path(out[0]))
