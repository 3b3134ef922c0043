"""Stems that are rounded to a sample format add up to the input."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from karaoke_sep.files import reading, sample_formats, sound_info, stem_rounding, writing

INTEGERS = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}


def noise(n_channels=2, n_samples=4000, level=0.2, seed=0):
    return level * np.random.default_rng(seed).standard_normal((n_channels, n_samples))


def write_stems(folder, mixture, vocals, info, clip="clamp", container="wav", subtype=None):
    """Both stems, written as the batch does it and read again; and the note."""
    subtype = writing.output_subtype(info, container, subtype)
    stems, subtype, note = stem_rounding.fit_stems(mixture, vocals, subtype, clip)
    for stem, samples in stems.items():
        writing.write(folder / f"{stem}.{container}", samples, info.rate_hz, container, subtype)
    return {stem: reading.read(folder / f"{stem}.{container}")[0] for stem in stems}, note


@pytest.mark.parametrize("subtype", [*INTEGERS, "FLOAT", "DOUBLE"])
@pytest.mark.parametrize(("n_channels", "rate_hz"), [(1, 8000), (2, 44100), (6, 192000)])
def test_stems_add_up_to_the_input_and_keep_its_form(tmp_path, subtype, n_channels, rate_hz):
    path = tmp_path / "song.wav"
    soundfile.write(path, np.clip(noise(n_channels).T, -1, 1 - 2**-7), rate_hz, subtype)
    audio, warnings = reading.read(path)
    vocals = 0.6 * audio.samples + noise(n_channels, level=0.01, seed=1)
    stems, _ = write_stems(tmp_path, audio.samples, vocals, sound_info.probe(path))
    for stem, sound in stems.items():
        assert sound.samples.shape == audio.samples.shape
        assert sound_info.probe(tmp_path / f"{stem}.wav").subtype == subtype
        assert sound.rate_hz == rate_hz
    rounding = {"FLOAT": 2**-23, "DOUBLE": 2**-52}.get(subtype, 0)  # full scale
    total = stems["vocals"].samples + stems["accompaniment"].samples
    np.testing.assert_allclose(total, audio.samples, rtol=0, atol=rounding)
    assert warnings == ()


@pytest.mark.parametrize("subtype", INTEGERS)
def test_vocals_are_rounded_to_the_nearest_step(tmp_path, subtype):
    info = sound_info.SoundInfo(16000, 1, 4000, subtype, "libsndfile")
    mixture, vocals = noise(1), 0.5 * noise(1)
    stems, _ = write_stems(tmp_path, mixture, vocals, info)
    step = 2.0 ** (1 - INTEGERS[subtype])
    assert np.abs(stems["vocals"].samples - vocals).max() <= step / 2 + 1e-12


@pytest.mark.parametrize("subtype", INTEGERS)
def test_clamped_stems_stay_within_full_scale_and_add_up(tmp_path, subtype):
    info = sound_info.SoundInfo(16000, 1, 4000, subtype, "libsndfile")
    step = 2.0 ** (1 - INTEGERS[subtype])
    mixture = np.rint(np.clip(noise(1, level=0.5), -1, 1 - step) / step) * step
    stems, note = write_stems(tmp_path, mixture, mixture + noise(1, level=0.8, seed=2), info)
    np.testing.assert_array_equal(stems["vocals"].samples + stems["accompaniment"].samples, mixture)
    assert "clamped" in note


def test_rescaled_stems_add_up_to_the_scaled_mixture(tmp_path):
    info = sound_info.SoundInfo(16000, 1, 4000, "PCM_16", "libsndfile")
    mixture, vocals = noise(1, level=0.3), 2.5 * noise(1, level=0.3)
    stems, note = write_stems(tmp_path, mixture, vocals, info, "rescale")
    peak = max(np.abs(mixture).max(), np.abs(vocals).max(), np.abs(mixture - vocals).max())
    total = stems["vocals"].samples + stems["accompaniment"].samples
    np.testing.assert_allclose(total, mixture * (1 - 2**-15) / peak, atol=2**-15)  # one step
    assert "scaled down" in note


def test_the_float_rule_keeps_samples_beyond_full_scale(tmp_path):
    info = sound_info.SoundInfo(16000, 1, 4000, "PCM_16", "libsndfile")
    mixture = noise(1, level=0.3)
    stems, note = write_stems(tmp_path, mixture, 4 * mixture, info, "float")
    np.testing.assert_allclose(stems["vocals"].samples, 4 * mixture, rtol=1e-6)
    assert sound_info.probe(tmp_path / "vocals.wav").subtype == "FLOAT"
    assert "float" in note


@pytest.mark.parametrize("clip", ["clamp", "rescale", "float"])
def test_nothing_is_done_about_clipping_where_nothing_clips(tmp_path, clip):
    info = sound_info.SoundInfo(16000, 1, 4000, "PCM_16", "libsndfile")
    mixture = noise(1, level=0.1)
    stems, note = write_stems(tmp_path, mixture, 0.5 * mixture, info, clip)
    np.testing.assert_allclose(stems["vocals"].samples, 0.5 * mixture, atol=2**-16)  # half a step
    assert (note, sound_info.probe(tmp_path / "vocals.wav").subtype) == ("", "PCM_16")


@settings(max_examples=60, deadline=None)
@given(
    n_channels=st.integers(1, 3),
    n_samples=st.integers(0, 70),
    subtype=st.sampled_from([*INTEGERS, "FLOAT", "DOUBLE"]),
    clip=st.sampled_from(("clamp", "rescale", "float")),
    mixture_level=st.sampled_from([0, 1e-9, 0.1, 1, 30]),
    vocals_level=st.sampled_from([0, 1e-9, 0.1, 1, 30]),
)
def test_stems_of_any_sound_fit_the_format_and_add_up_as_the_clip_rule_says(
    n_channels, n_samples, subtype, clip, mixture_level, vocals_level
):
    mixture = noise(n_channels, n_samples, mixture_level)
    vocals = noise(n_channels, n_samples, vocals_level, seed=1)
    stems, written, _ = stem_rounding.fit_stems(mixture, vocals, subtype, clip)
    total = sum(stem.astype(float) / sample_formats.full_scale_of(stem.dtype) for stem in stems.values())
    step = 2.0 ** (1 - INTEGERS[written]) if written in INTEGERS else 1e-5
    assert all(stem.shape == mixture.shape for stem in stems.values())
    if clip == "rescale" and written in INTEGERS:
        peak = max((np.abs(x).max(initial=0) for x in (mixture, vocals, mixture - vocals)), default=0)
        expected = mixture * min(1, (1 - step) / max(peak, 1e-30))
    else:
        expected = np.clip(mixture, -1, 1 - step) if written in INTEGERS else mixture
    np.testing.assert_allclose(total, expected, rtol=0, atol=1.01 * step)


@pytest.mark.parametrize("subtype", [*INTEGERS, "VORBIS"])
@pytest.mark.parametrize("clip", ["clamp", "rescale", "float"])
def test_clipping_is_noted_the_same_whether_a_recording_is_rounded_at_once_or_in_blocks(subtype, clip):
    mixture, vocals = noise(n_samples=3000, level=0.4), noise(n_samples=3000, level=0.5, seed=1)
    blocks = [(mixture[:, i : i + 500], vocals[:, i : i + 500]) for i in range(0, 3000, 500)]
    stems, written, note = stem_rounding.fit_stems(mixture, vocals, subtype, clip)
    fit = stem_rounding.fit_for(blocks, subtype, clip)
    rounded = [fit.stems(*block) for block in blocks]
    assert (fit.subtype, fit.note) == (written, note)
    assert "exceeds full scale" in note
    for stem, samples in stems.items():
        np.testing.assert_array_equal(np.concatenate([block[stem] for block in rounded], axis=1), samples)


@pytest.mark.parametrize(("n_over", "text"), [(1, "at 1 sample;"), (2, "at 2 samples;")])
@pytest.mark.parametrize("clip", ["clamp", "rescale", "float"])
def test_a_message_about_clipping_counts_one_sample_in_the_singular(n_over, text, clip):
    mixture = noise(1, 100, 0.01)
    mixture[0, :n_over] = 1.5
    assert text in stem_rounding.fit_stems(mixture, 0 * mixture, "PCM_16", clip)[2]
