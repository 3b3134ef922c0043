"""Model files: written models are read back, and damaged files are errors of one line in bounded time and memory."""

import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from sounds import activity_model, nmf_model, spectra_model

from karaoke_sep.errors import ConfigError
from karaoke_sep.trained import model_schema, models


def members_of(path):
    """Return the members of a model file, by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def with_about(path, **changes):
    """Change the description of a model; None removes an entry."""
    members = members_of(path)
    about = json.loads(str(np.load(io.BytesIO(members["about.npy"]))))
    about = {name: value for name, value in {**about, **changes}.items() if value is not None}
    write_members(path, members | {"about.npy": npy(np.array(json.dumps(about)))})


def with_text(path, text):
    write_members(path, members_of(path) | {"about.npy": npy(np.array(text))})


def with_array(path, name, array):
    write_members(path, members_of(path) | {f"{name}.npy": npy(array)})


def with_header(path, name, old, new):
    """Change the header of an array, which keeps its length."""
    members = members_of(path)
    assert old in members[f"{name}.npy"]
    write_members(path, members | {f"{name}.npy": members[f"{name}.npy"].replace(old, new.ljust(len(old)))})


def bomb(path):
    """300 MB of zeros in 300 kB."""
    with_array(path, "accompaniment_KF", np.zeros((50_000, 1500), np.float32))


@pytest.mark.parametrize("make", [nmf_model, spectra_model, activity_model])
def test_a_model_is_read_as_it_was_written(tmp_path, make):
    path = make(tmp_path / "m.npz")
    model = models.read(path)
    with np.load(path) as archive:
        for name, values in model.arrays.items():
            np.testing.assert_array_equal(values, archive[name])
            assert values.dtype == archive[name].dtype
    path.write_bytes(models.to_bytes(model))
    assert models.to_bytes(models.read(path)) == path.read_bytes()
    assert model.singers == ("anna",)
    assert set(model.arrays) == set(model_schema.KINDS[model.kind])


WRONG = (None, True, "16000", [16000], {"a": 1}, -1, 0, 10**400, float("nan"), float("inf"))


@pytest.mark.parametrize("name", ["format", "rate_hz", "window_ms", "hop_ms"])
@pytest.mark.parametrize("value", WRONG, ids=lambda value: str(value)[:9])
def test_a_number_of_the_description_that_is_no_number_in_range_is_an_error(tmp_path, name, value):
    path = spectra_model(tmp_path / "m.npz")
    with_about(path, **{name: value})
    with pytest.raises(ConfigError, match=name) as caught:
        models.read(path)
    assert len(str(caught.value)) < 300 + len(str(path))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": ["nmf"]}, "kind"),
        ({"kind": "other"}, "its kind is none of nmf, spectra, activity"),
        ({"seed": 1.5}, "seed"),
        ({"versions": ["1"]}, "versions"),
        ({"versions": {"numpy": 2}}, "versions"),
        ({"singers": "anna"}, "singers"),
        ({"singers": [1]}, "singers"),
        ({"singers": ["\ud800"]}, "description is damaged"),
        ({"singers": ["\x1b[31mred"]}, "description is damaged"),
        ({"more": {"a\n": 1}}, "description is damaged"),
    ],
)
def test_a_description_of_wrong_types_or_unprintable_text_is_an_error(tmp_path, changes, says):
    path = spectra_model(tmp_path / "m.npz")
    with_about(path, **changes)
    with pytest.raises(ConfigError, match=says):
        models.read(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: with_text(path, "[" * 50_000 + "]" * 50_000),
        lambda path: with_text(path, '{"a":' * 900 + "1" + "}" * 900),
        lambda path: with_text(path, "[1]"),
        lambda path: with_text(path, "x" * (model_schema.MAX_TEXT + 1)),
        lambda path: with_array(path, "about", np.zeros(3)),
        lambda path: with_array(path, "accompaniment_KF", np.zeros((2, 1537), int)),
        lambda path: with_array(path, "accompaniment_KF", np.full((2, 1537), np.inf)),
        lambda path: with_array(path, "accompaniment_KF", np.full((2, 1537), -1.0)),
        lambda path: with_array(path, "accompaniment_KF", np.zeros((2, 1536))),
        lambda path: with_array(path, "accompaniment_KF", np.zeros(1537)),
        lambda path: with_array(path, "accompaniment_KF", np.zeros((5000, 1537), np.float32)),
        lambda path: with_array(path, "accompaniment_KF", np.array([["a"]])),
        lambda path: with_header(path, "accompaniment_KF", b"(6, 1537), } ", b"(9, 1537), }"),
        lambda path: with_header(path, "accompaniment_KF", b"(6, 1537), } ", b"(-6, 1537), }"),
        lambda path: with_header(path, "accompaniment_KF", b"'<f4'", b"'|O8'"),
        lambda path: with_header(path, "accompaniment_KF", b"(6, 1537), } ", b"((((((((("),
        lambda path: write_members(path, {n: d for n, d in members_of(path).items() if n != "accompaniment_KF.npy"}),
        lambda path: write_members(path, members_of(path) | {f"{i}.npy": b"" for i in range(2000)}),
        lambda path: write_members(path, members_of(path) | {"x.npy": b"no array"}),
        lambda path: np.savez(path, about=np.array([{"kind": "nmf"}], dtype=object)),
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: path.write_bytes(path.read_bytes()[:3000]),
        lambda path: path.write_bytes(b""),
        bomb,
    ],
)
def test_a_damaged_file_is_an_error_of_one_line(tmp_path, damage):
    path = spectra_model(tmp_path / "m.npz")
    damage(path)
    with pytest.raises(ConfigError) as caught:
        models.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_giant_shape_in_a_header_allocates_nothing(tmp_path):
    path = spectra_model(tmp_path / "m.npz")
    members = members_of(path)
    header = members["accompaniment_KF.npy"]
    end = header.index(b"\n")
    giant = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1537), }"
    write_members(path, members | {"accompaniment_KF.npy": header[:10] + giant.ljust(end - 10) + header[end:]})
    with pytest.raises(ConfigError, match="an axis has 1000000000 entries; at most 4096"):
        models.read(path)


def test_any_byte_that_is_changed_gives_a_model_or_an_error_of_one_line(tmp_path):
    rng = np.random.default_rng(0)
    whole = activity_model(tmp_path / "m.npz").read_bytes()
    messages = []
    for number in range(300):
        data = bytearray(whole)
        for position in rng.integers(len(data), size=rng.integers(1, 4)):
            data[position] = rng.integers(256)
        path = tmp_path / f"{number}.npz"
        path.write_bytes(data)
        try:
            models.read(path)
        except ConfigError as error:
            messages.append(str(error))
        path.unlink()
    assert len(messages) > 250
    assert not any("\n" in message for message in messages)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("edges_E", lambda edges: edges[::-1], "its bands are not in order"),
        ("edges_E", lambda edges: edges[:-1], "edges of"),
        ("penalty_LK", lambda penalty: penalty[:1], "is needed"),
        ("bases_LKB", lambda bases: -bases, "out of range"),
    ],
)
def test_bases_that_do_not_fit_their_bands_are_an_error(tmp_path, name, change, says):
    path = nmf_model(tmp_path / "m.npz")
    with_array(path, name, change(models.read(path).arrays[name]))
    with pytest.raises(ConfigError, match=says):
        models.read(path)


def test_spectra_of_both_sides_from_an_earlier_version_are_refused_in_a_line_that_says_what_to_do(tmp_path):
    path = spectra_model(tmp_path / "m.npz")
    with_about(path, format=6, kind="nmf")
    with pytest.raises(ConfigError, match="it has format 6, and this version reads format 7; train it again with kar"):
        models.read(path)


def test_trees_that_lead_in_a_circle_are_an_error(tmp_path):
    path = activity_model(tmp_path / "m.npz")
    model = models.read(path)
    nodes = {f"{name}_MN": np.zeros((1, 2)) for name in ("feature", "threshold", "value")}
    nodes |= {"left_MN": np.array([[1.0, 0.0]]), "right_MN": np.array([[1.0, 0.0]])}
    path.write_bytes(models.to_bytes(models.Model("activity", model.about, model.arrays | nodes)))
    with pytest.raises(ConfigError, match="its trees refer to"):
        models.read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of Unix")
def test_a_folder_and_a_pipe_are_errors_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "folder.npz").mkdir()
    for name in ("pipe.npz", "folder.npz"):
        with pytest.raises(ConfigError, match="is not a file"):
            models.read(tmp_path / name)
    with pytest.raises(ConfigError, match="cannot be read"):
        models.read(tmp_path / "gone.npz")


@pytest.mark.skipif(sys.platform != "linux", reason="memory limits are of Linux")
def test_a_zip_bomb_is_rejected_in_little_memory(tmp_path):
    path = spectra_model(tmp_path / "m.npz")
    bomb(path)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "from karaoke_sep.trained import models; models.read(sys.argv[1])"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, env=environment)
    assert "unpacks to more than" in done.stderr or "is damaged" in done.stderr
