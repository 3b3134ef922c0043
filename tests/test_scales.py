"""Mel and MIDI scales against known values."""

import librosa
import numpy as np
import pytest

from karaoke_sep.dsp.scales import cents, hz_to_mel, hz_to_midi, mel_to_hz, midi_to_hz

FREQS_HZ = np.array([20.0, 80.0, 440.0, 1000.0, 8000.0])


def test_midi_semitones_are_those_of_librosa_and_are_inverted():
    np.testing.assert_allclose(hz_to_midi(FREQS_HZ), librosa.hz_to_midi(FREQS_HZ))
    np.testing.assert_allclose(midi_to_hz(hz_to_midi(FREQS_HZ)), FREQS_HZ)
    assert hz_to_midi(440.0) == 69


def test_mel_is_that_of_librosa_within_its_rounding_and_is_inverted():
    np.testing.assert_allclose(hz_to_mel(FREQS_HZ), librosa.hz_to_mel(FREQS_HZ, htk=True), rtol=1e-4)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(FREQS_HZ)), FREQS_HZ)


def test_an_octave_has_1200_cents_and_an_unknown_pitch_no_distance():
    assert cents(880.0, 440.0) == pytest.approx(1200)
    assert np.isnan(cents(np.array([np.nan]), 440.0)).all()
