"""The stated properties of the demo song, checked on its sound."""

import numpy as np
import pytest
from scipy import signal

from karaoke_sep import demo_song
from karaoke_sep.errors import ConfigError

RATE_HZ = 16000
ROOM_S = 0.4  # its sound is over by then


@pytest.fixture(scope="module")
def song():
    return demo_song.make(RATE_HZ)


@pytest.fixture(scope="module")
def wide_song():
    return demo_song.make(44100)


def power_db(samples, rate_hz, low_hz, high_hz):
    """Power of a band relative to the whole sound."""
    power = np.abs(np.fft.rfft(samples * np.hanning(samples.size))) ** 2
    freqs_hz = np.fft.rfftfreq(samples.size, 1 / rate_hz)
    return 10 * np.log10(power[(freqs_hz >= low_hz) & (freqs_hz < high_hz)].sum() / power.sum())


def excerpt(audio, start_s, end_s):
    return audio.samples[0, round(start_s * audio.rate_hz) : round(end_s * audio.rate_hz)]


def below_1_khz(audio):
    """The left channel without its higher frequencies, at 8 kHz."""
    low = signal.sosfiltfilt(signal.butter(6, 1000, fs=audio.rate_hz, output="sos"), audio.samples[0])
    shared_hz = np.gcd(audio.rate_hz, 8000)
    return signal.resample_poly(low, 8000 // shared_hz, audio.rate_hz // shared_hz)


def pitch_by_autocorrelation_hz(samples, rate_hz):
    """The first of the highest peaks; the autocorrelation is freed from the window's own, and interpolated."""
    windowed = samples * np.hanning(samples.size)
    own = signal.correlate(np.hanning(samples.size), np.hanning(samples.size))
    half = slice(samples.size - 1, samples.size + samples.size // 2)
    similarity = signal.correlate(windowed, windowed)[half] / own[half]
    lags = np.arange(round(rate_hz / 700), round(rate_hz / 180))
    around = similarity[lags[0] - 1 : lags[-1] + 2]
    is_peak = (around[1:-1] > around[:-2]) & (around[1:-1] >= around[2:])
    lag = lags[np.flatnonzero(is_peak & (around[1:-1] > 0.9 * around[1:-1].max()))[0]]
    left, middle, right = similarity[lag - 1 : lag + 2]
    return rate_hz / (lag + 0.5 * (left - right) / (left - 2 * middle + right))


def test_the_same_arguments_give_the_same_bytes(song):
    again = demo_song.make(RATE_HZ)
    assert again.mixture.samples.tobytes() == song.mixture.samples.tobytes()
    assert again.vocals.samples.tobytes() == song.vocals.samples.tobytes()
    assert again.track.f0_hz.tobytes() == song.track.f0_hz.tobytes()


def test_another_seed_is_another_performance_of_the_same_tune(song):
    other = demo_song.make(RATE_HZ, seed=1)
    assert [pitch for *_, pitch in other.notes] == [pitch for *_, pitch in song.notes]
    onsets_s, other_onsets_s = (np.array([onset for onset, *_ in x.notes]) for x in (song, other))
    assert 0.001 < np.abs(onsets_s - other_onsets_s).max() < 0.06
    assert np.corrcoef(other.mixture.samples[0], song.mixture.samples[0])[0, 1] < 0.9


def test_the_mixture_is_the_sum_of_the_stems_and_does_not_clip(wide_song):
    np.testing.assert_array_equal(wide_song.mixture.samples, wide_song.vocals.samples + wide_song.accompaniment.samples)
    assert wide_song.mixture.samples.shape == (2, 12 * 44100)
    for audio in (wide_song.mixture, wide_song.vocals, wide_song.accompaniment):
        assert 0.2 < np.abs(audio.samples).max() < 0.9


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 7.5])
def test_voice_and_band_have_the_energy_ratio_asked_for(snr_db):
    song = demo_song.make(8000, 5.0, snr_db=snr_db)
    ratio = np.sum(song.vocals.samples**2) / np.sum(song.accompaniment.samples**2)
    assert 10 * np.log10(ratio) == pytest.approx(snr_db, abs=1e-6)
    assert np.abs(song.mixture.samples).max() < 0.9


def test_the_true_pitch_is_the_pitch_that_sounds(wide_song):
    track, rate_hz = wide_song.track, wide_song.vocals.rate_hz
    half_s = 0.02
    errors_cents = []
    for onset_s, offset_s, _ in wide_song.notes:
        for centre_s in np.arange(onset_s + 0.1, offset_s - 0.1, 0.02):
            heard_hz = pitch_by_autocorrelation_hz(
                excerpt(wide_song.vocals, centre_s - half_s, centre_s + half_s), rate_hz
            )
            errors_cents.append(1200 * np.log2(heard_hz / np.interp(centre_s, track.times_s, track.f0_hz)))
    assert len(errors_cents) > 150
    assert abs(np.median(errors_cents)) < 2
    assert np.mean(np.abs(errors_cents) < 15) > 0.95


def test_the_voice_is_silent_between_the_phrases_after_the_reverberation(song):
    times_s = np.arange(song.vocals.n_samples) / RATE_HZ
    silent = np.ones(times_s.size, bool)
    for start_s, end_s in song.sung:
        silent &= (times_s < start_s - 0.02) | (times_s > end_s + ROOM_S)
    assert silent.sum() > 2 * RATE_HZ
    assert np.abs(song.vocals.samples[:, silent]).max() < 1e-9


def test_the_band_plays_alone_for_more_than_a_second_somewhere_within_the_song(song):
    gaps_s = [after - before for (_, before), (after, _) in zip(song.sung[:-1], song.sung[1:], strict=True)]
    assert max(gaps_s) > 1.0


def test_the_track_is_voiced_only_while_somebody_sings(song):
    track = song.track
    np.testing.assert_array_equal(np.isnan(track.f0_hz), track.voicing == 0)
    assert set(track.voicing) == {0.0, 1.0}
    assert np.ptp(np.diff(track.times_s)) < 1e-12
    voiced_s = track.times_s[track.voicing == 1]
    sung = np.zeros(voiced_s.size, bool)
    for start_s, end_s in song.sung:
        sung |= (voiced_s >= start_s - 0.02) & (voiced_s <= end_s + 0.02)
    assert sung.all()
    assert 0.4 < track.voicing.mean() < 0.8


def test_the_notes_follow_each_other_and_lie_on_the_track(song):
    times_s, semitones = song.track.times_s, 69 + 12 * np.log2(song.track.f0_hz / 440)
    previous_s = 0.0
    for onset_s, offset_s, pitch in song.notes:
        assert previous_s <= onset_s < offset_s
        previous_s = offset_s
        inside = semitones[(times_s > onset_s + 0.02) & (times_s < offset_s - 0.02)]
        assert np.isfinite(inside).all()
        assert abs(np.median(inside) - pitch) < 0.35  # semitones
    assert len(song.notes) == 16


def test_long_notes_have_a_vibrato_of_five_to_seven_hertz_that_sets_in_late(song):
    onset_s, offset_s, pitch = max(song.notes, key=lambda note: note[1] - note[0])
    times_s = song.track.times_s
    semitones = 69 + 12 * np.log2(song.track.f0_hz / 440) - pitch
    late = semitones[(times_s > onset_s + 0.5) & (times_s < offset_s - 0.1)]
    spectrum = np.abs(np.fft.rfft((late - late.mean()) * np.hanning(late.size), 4096))
    assert 5 < np.fft.rfftfreq(4096, 0.005)[spectrum.argmax()] < 7
    early = semitones[(times_s > onset_s + 0.1) & (times_s < onset_s + 0.25)]
    assert 0.5 < np.ptp(late) < 1.5
    assert np.ptp(early) < 0.5 * np.ptp(late)


@pytest.mark.parametrize("rate_hz", [8000, 22050, 96000])
def test_one_seed_is_one_performance_at_every_rate(song, rate_hz):
    other = demo_song.make(rate_hz)
    assert other.mixture.rate_hz == rate_hz
    assert other.mixture.n_samples == 12 * rate_hz
    assert other.notes == song.notes
    np.testing.assert_array_equal(other.track.f0_hz, song.track.f0_hz)
    for stem, reference in ((other.vocals, song.vocals), (other.accompaniment, song.accompaniment)):
        assert np.corrcoef(below_1_khz(stem), below_1_khz(reference))[0, 1] > 0.85  # rooms and snares are noise


@pytest.mark.parametrize(("rate_hz", "top_hz"), [(8000, 3700), (16000, 7400), (44100, 12500)])
def test_no_partial_of_the_voice_is_folded_back(rate_hz, top_hz):
    song = demo_song.make(rate_hz, 5.0)
    onset_s, offset_s, _ = max(song.notes, key=lambda note: note[1] - note[0])
    vowel = excerpt(song.vocals, onset_s + ROOM_S, offset_s - 0.05)  # the room has forgotten the consonant
    assert power_db(vowel, rate_hz, top_hz, rate_hz) < -65


def test_the_voice_falls_towards_high_frequencies_as_voices_do(wide_song):
    vocals = wide_song.vocals.samples[0]
    octaves_db = [power_db(vocals, 44100, low_hz, 2 * low_hz) for low_hz in (500, 1000, 2000, 4000)]
    assert (np.diff(octaves_db) < 0).all()
    assert 18 < octaves_db[0] - octaves_db[-1] < 40
    assert power_db(vocals, 44100, 0, 180) < -35  # the lowest note is 247 Hz


def test_a_hissed_consonant_comes_before_the_first_vowel(wide_song):
    onset_s, start_s = wide_song.notes[0][0], wide_song.sung[0][0]
    hiss = excerpt(wide_song.vocals, start_s, onset_s - 0.03)
    vowel = excerpt(wide_song.vocals, onset_s + 0.1, onset_s + 0.4)
    assert power_db(hiss, 44100, 4000, 22050) > -1
    assert power_db(vowel, 44100, 4000, 22050) < -15
    assert 0.1 < np.std(hiss) / np.std(vowel) < 1
    times_s = wide_song.track.times_s
    assert np.isnan(wide_song.track.f0_hz[(times_s > start_s) & (times_s < onset_s - 0.03)]).all()


def test_the_notes_of_a_singer_have_similar_levels(song):
    levels_db = [20 * np.log10(np.std(excerpt(song.vocals, on + 0.03, off - 0.03))) for on, off, _ in song.notes]
    assert 2 < np.ptp(levels_db) < 9


def test_vowels_differ_in_colour(wide_song):
    """The third note is sung on /i/, the sixth on /u/: their second formants are two octaves apart."""
    bright, dark = (
        excerpt(wide_song.vocals, on + 0.05, off - 0.05) for on, off, _ in np.take(wide_song.notes, [2, 5], 0)
    )
    assert power_db(bright, 44100, 2200, 3500) - power_db(dark, 44100, 2200, 3500) > 10


def test_each_bar_has_a_chord_and_a_bass_note(wide_song):
    """A minor seventh, D minor, G, C: the pitches that ring in each bar stand out against the quarter tones beside."""
    chords = ((45, 57, 60, 64, 67), (38, 57, 62, 65, 69), (43, 55, 59, 62, 67), (36, 55, 60, 64, 67))
    for bar, chord in enumerate(chords):
        ringing = excerpt(wide_song.accompaniment, 2.5 * bar + 0.1, 2.5 * bar + 1.2)
        for pitch in chord:
            on_db, beside_db = (
                power_db(ringing, 44100, *(440 * 2 ** ((pitch + shift - 69 + np.array([-0.2, 0.2])) / 12)))
                for shift in (0, 0.5)
            )
            assert on_db - beside_db > 6


def test_the_voice_stands_in_the_middle_and_the_band_around_it(wide_song):
    def side_over_middle_db(audio):
        left, right = audio.samples
        return 10 * np.log10(np.sum((left - right) ** 2) / np.sum((left + right) ** 2))

    assert -30 < side_over_middle_db(wide_song.vocals) < -12
    assert -12 < side_over_middle_db(wide_song.accompaniment) < 0


def test_the_band_plays_across_the_partials_of_the_voice(song):
    """In MIR-1K the accompaniment lies 8 to 11 dB under the voice there, below 1 kHz."""
    freqs_hz, times_s, vocals_FT = signal.stft(song.vocals.samples.mean(axis=0), RATE_HZ, nperseg=2048)
    accompaniment_FT = signal.stft(song.accompaniment.samples.mean(axis=0), RATE_HZ, nperseg=2048)[2]
    f0_hz = np.interp(times_s, song.track.times_s, song.track.f0_hz)
    distance_FT = np.abs(freqs_hz[:, None] - f0_hz * np.maximum(np.round(freqs_hz[:, None] / f0_hz), 1))
    near_FT = (distance_FT < 25) & (freqs_hz[:, None] < 1000)
    ratio = np.sum(np.abs(vocals_FT[near_FT]) ** 2) / np.sum(np.abs(accompaniment_FT[near_FT]) ** 2)
    assert 8 < 10 * np.log10(ratio) < 14


def test_a_longer_song_goes_on_and_a_short_one_ends_with_its_last_whole_note():
    long, short = demo_song.make(8000, 45.0), demo_song.make(8000, 2.5)
    assert long.sung[-1][1] > 40
    assert [pitch for *_, pitch in long.notes[28:44]] == [pitch for *_, pitch in long.notes[:16]]
    assert np.abs(long.vocals.samples[:, 25 * 8000 :]).max() > 0.1
    assert len(short.notes) == 2
    assert short.notes[-1][1] <= 2.2


@pytest.mark.parametrize("rate_hz", [4000, 400000])
def test_a_rate_that_cannot_hold_a_song_is_refused(rate_hz):
    with pytest.raises(ConfigError, match=f"{rate_hz} Hz .* 8000 to 192000 Hz"):
        demo_song.make(rate_hz)


@pytest.mark.parametrize("seconds", [0.0, 2.4, float("inf"), float("nan")])
def test_a_length_that_holds_no_note_or_no_end_is_refused(seconds):
    with pytest.raises(ConfigError, match=r"2\.5 to 3600 s"):
        demo_song.make(8000, seconds)
