"""Every backend that estimates a pitch estimates known pitches within some cents."""

from dataclasses import fields
from functools import cache
from importlib import import_module

import numpy as np
import pytest
from sounds import cents, partials_of, voice

from karaoke_sep import load_config
from karaoke_sep.pipeline import find_pitch
from karaoke_sep.types import Audio

LISTENING = [f.name for f in fields(load_config().pitch) if f.name not in ("backend", "given")]
SECONDS = 1.0

# Pitch over time, and the amplitudes of the partials.
PITCHES = {
    "sine": (lambda t: 220 + 0 * t, [1.0]),
    "low voice": (lambda t: 110 + 0 * t, 0.2 / np.arange(1, 21)),
    "voice between the steps": (lambda t: 331.7 + 0 * t, 0.2 / np.arange(1, 21)),
    "high voice": (lambda t: 700 + 0 * t, 0.2 / np.arange(1, 11)),
    "no fundamental": (lambda t: 150 + 0 * t, [0, 0, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1]),
    "glide up an octave": (lambda t: 200 * 2**t, 0.2 / np.arange(1, 21)),
    "glide down an octave": (lambda t: 500 * 2**-t, 0.2 / np.arange(1, 21)),
    "vibrato": (lambda t: 300 * 2 ** (0.05 * np.sin(2 * np.pi * 5.5 * t)), 0.2 / np.arange(1, 21)),
}
# One partial decides less than many; a vibrato of 60 cents moves within the window.
TOLERANCE_CENTS = dict.fromkeys(PITCHES, 10.0) | {"sine": 20.0, "vibrato": 30.0}


@cache
def heard(backend, name):
    """Track of a sound and the true pitch at its times, without the first and last 100 ms."""
    pitch_hz, amplitudes = PITCHES[name]
    module = import_module(f"karaoke_sep.pitch.{backend}")
    track = module.track(partials_of(pitch_hz, SECONDS, 16000, amplitudes), module.Params())
    inner = (track.times_s > 0.1) & (track.times_s < SECONDS - 0.1)
    return track.times_s[inner], track.f0_hz[inner], track.voicing[inner]


@pytest.mark.parametrize("name", PITCHES)
@pytest.mark.parametrize("backend", LISTENING)
def test_a_known_pitch_is_found(backend, name):
    times_s, f0_hz, voicing = heard(backend, name)
    true_hz = PITCHES[name][0](times_s)
    np.testing.assert_allclose(cents(f0_hz, true_hz), 0, atol=TOLERANCE_CENTS[name])
    assert np.median(voicing) > 0.5


@pytest.mark.parametrize("name", PITCHES)
def test_the_backends_agree(name):
    tracks = [heard(backend, name) for backend in LISTENING]
    one = tracks[0]
    for other in tracks[1:]:
        agreed_hz = np.exp(np.interp(one[0], other[0], np.log(other[1])))
        assert np.median(np.abs(cents(agreed_hz, one[1]))) < TOLERANCE_CENTS[name]


@pytest.mark.parametrize("rate_hz", [8000, 22050, 48000, 96000])
def test_the_pitch_does_not_depend_on_the_sample_rate(rate_hz):
    track = find_pitch(voice(lambda t: 220 * 2 ** (t / 2), 1.0, rate_hz))
    inner = (track.times_s > 0.1) & (track.times_s < 0.9)
    np.testing.assert_allclose(cents(track.f0_hz, 220 * 2 ** (track.times_s / 2))[inner], 0, atol=6)


@pytest.mark.parametrize("backend", LISTENING)
def test_silence_after_a_tone_has_no_pitch(backend):
    module = import_module(f"karaoke_sep.pitch.{backend}")
    tone = voice(220, 0.5, 16000).samples
    track = module.track(Audio(np.hstack([tone, np.zeros((1, 6400))]), 16000), module.Params())
    assert np.isfinite(track.f0_hz[track.times_s < 0.4]).all()
    assert np.isnan(track.f0_hz[track.times_s > 0.7]).all()
    assert (track.voicing[track.times_s > 0.7] == 0).all()


@pytest.mark.parametrize("backend", LISTENING)
def test_no_pitch_lies_outside_the_range_asked_for(backend):
    module = import_module(f"karaoke_sep.pitch.{backend}")
    low, high = (voice(f0_hz, 0.4, 16000).samples for f0_hz in (150, 600))
    params = module.Params(min_hz=200, max_hz=500)
    f0_hz = module.track(Audio(np.hstack([low, high]), 16000), params).f0_hz
    sung = np.isfinite(f0_hz)
    assert sung.any()
    assert cents(f0_hz[sung].min(), 200) > -params.step_cents
    assert cents(f0_hz[sung].max(), 500) < params.step_cents
