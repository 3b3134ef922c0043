"""Clips of MIR-1K, mixtures of their sources, and labels."""

import numpy as np
import pytest
import soundfile
from evaluations import NAMES, RATE_HZ, mono, write_dataset

from karaoke_sep.datasets import mir1k
from karaoke_sep.errors import ConfigError, InputError


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("MIR-1K"))


def test_the_published_split_is_two_singers_and_the_others(dataset):
    names = {split: [clip.name for clip in mir1k.find_clips(dataset, split)] for split in ("dev", "test", "all")}
    assert names == {"dev": list(NAMES[:2]), "test": list(NAMES[2:]), "all": list(NAMES)}


def test_clips_are_chosen_by_singer_then_by_every_k_th_then_by_number(dataset):
    assert [c.name for c in mir1k.find_clips(dataset, singers=("zoe", "amy"))] == list(NAMES[1:])
    assert [c.name for c in mir1k.find_clips(dataset, singers=("zoe", "amy"), every=2)] == [NAMES[1], NAMES[3]]
    assert [c.name for c in mir1k.find_clips(dataset, singers=("zoe", "amy"), every=2, limit=2)] == [NAMES[1], NAMES[3]]


def test_a_folder_of_clips_without_labels_is_accepted(dataset, tmp_path):
    (tmp_path / f"{NAMES[0]}.wav").write_bytes((dataset / "Wavfile" / f"{NAMES[0]}.wav").read_bytes())
    [clip] = mir1k.find_clips(tmp_path)
    assert clip.pitch_path is None
    assert mir1k.load(clip).pitch is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"singers": ("bob",)}, r"none of its 4 clips is of .*bob; the singers here are abjones, amy, zoe"),
        ({"split": "dev", "singers": ("zoe",)}, "split 'dev'"),
    ],
)
def test_no_clip_left_is_an_error_that_names_what_there_is(dataset, arguments, message):
    with pytest.raises(ConfigError, match=message):
        mir1k.find_clips(dataset, **arguments)


def test_a_folder_without_clips_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"no \.wav files"):
        mir1k.find_clips(tmp_path)
    with pytest.raises(ConfigError, match="no such folder"):
        mir1k.find_clips(tmp_path / "gone")


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 5.0])
def test_the_mixture_is_the_sum_of_sources_at_the_energy_ratio_asked_for(dataset, snr_db):
    track = mir1k.load(mir1k.find_clips(dataset)[0], snr_db)
    voice, music, mixture = (mono(x).astype(float) for x in (track.vocals, track.accompaniment, track.mixture))
    assert 10 * np.log10(np.sum(voice**2) / np.sum(music**2)) == pytest.approx(snr_db, abs=1e-3)
    np.testing.assert_allclose(mixture, voice + music, atol=1e-6)
    assert np.abs(mixture).max() == pytest.approx(0.9, abs=1e-6)


def test_the_left_channel_is_the_accompaniment(dataset):
    clip = mir1k.find_clips(dataset)[0]
    left = soundfile.read(clip.path)[0][:, 0]
    assert np.corrcoef(left, mono(mir1k.load(clip).accompaniment))[0, 1] == pytest.approx(1, abs=1e-6)


def test_a_clip_with_one_channel_is_refused(tmp_path):
    soundfile.write(tmp_path / "amy_1_01.wav", np.zeros(1000), RATE_HZ)
    with pytest.raises(InputError, match=r"amy_1_01\.wav: 1 channel, but a MIR-1K clip has 2"):
        mir1k.load(mir1k.find_clips(tmp_path)[0])
