"""A synthetic song with known stems, for the demo and the tests.

A voice sings over keys, guitar, bass and drums. Words and melody were written for this package. First the performance
is computed (onsets, notes, loudness, vowels), on a grid of 5 ms that does not depend on the sample rate. So one seed
gives one performance at every rate. Then the sound is synthesised:

- voice: a sum of partials, each as strong as the glottal pulse and the vocal tract make it at its frequency; partials
  end below half the sample rate, so there is no aliasing. Consonants are noise in their own bands.
- strings: damped, slightly stretched partials. Drums: a falling sine, ringing modes, and noise.

References
----------
Klatt, D. H. (1980). Software for a cascade/parallel formant synthesizer. JASA 67, 971-995.
    Formants of consonants (Table III), bandwidths.
Klatt, D. H. & Klatt, L. C. (1990). Analysis, synthesis, and perception of voice quality variations among female and
    male talkers. JASA 87, 820-857. The glottal pulse.
Peterson, G. E. & Barney, H. L. (1952). Control methods used in a study of the vowels. JASA 24, 175-184.
    Formants of vowels (Table II, women).
Joliveau, E., Smith, J. & Wolfe, J. (2004). Vocal tract resonances in singing: the soprano voice. JASA 116, 2434-2439.
    The first formant follows the pitch where the pitch would pass it.
Lehiste, I. & Peterson, G. E. (1959). Vowel amplitude and phonemic stress in American English. JASA 31, 428-435.
Jongman, A., Wayland, R. & Wong, S. (2000). Acoustic characteristics of English fricatives. JASA 108, 1252-1263.
Prame, E. (1994). Measurements of the vibrato rate of ten singers. JASA 96, 1979-1984.
Fletcher, H. (1964). Normal vibration frequencies of a stiff piano string. JASA 36, 203-209.
Fletcher, N. H. & Rossing, T. D. (1998). The Physics of Musical Instruments, 2nd ed. Springer. Plucked strings (2.7).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy import signal

from .dsp.scales import midi_to_hz
from .errors import ConfigError
from .types import Audio, PitchTrack

_FRAME_S = 0.005  # grid of the controls and of the pitch track: 35 points on each cycle of the vibrato
_BEAT_S = 0.625
_SWING_BEATS = 0.06  # off-beat quavers come late, so onsets sit on no even grid
_TIMING_S = 0.008  # standard deviation of a good player's onsets
_PEAK = 0.85  # of the loudest of the three sounds
_SECONDS = (2.5, 3600.0)  # the first sung note ends at 1.9 s
_RELEASE_S = 0.3  # a note must end this long before the song does


@dataclass(frozen=True, eq=False)
class DemoSong:
    """A synthetic song, and its true stems, pitch and notes.

    Attributes
    ----------
    vocals, accompaniment, mixture : Audio, stereo
        ``mixture`` is the sum of the two, to the last bit.
    track : PitchTrack
        The sung pitch, every 5 ms; voicing is 0 or 1.
    notes : tuple of (onset_s, offset_s, midi_pitch)
        The notes as written: a note begins with its vowel, and vibrato and glides lie around ``midi_pitch``.
    sung : tuple of (start_s, end_s)
        Phrases, from the first consonant to the last vowel. Between them there is only reverberation.
    """

    vocals: Audio
    accompaniment: Audio
    mixture: Audio
    track: PitchTrack
    notes: tuple[tuple[float, float, float], ...]
    sung: tuple[tuple[float, float], ...]


def make(rate_hz: int = 44100, seconds: float = 12.0, seed: int = 0, snr_db: float = 0.0) -> DemoSong:
    """Synthesise the song; the same arguments give the same bytes.

    Parameters
    ----------
    rate_hz : int, 8000..192000
    seconds : float, 2.5..3600
        The melody takes 20 s and is then repeated. Sung notes that would last beyond the end are left out.
    seed : int, >= 0
        Selects a performance of the melody: timing, drift of the pitch, vibrato, loudness, noises.
    snr_db : float
        Energy of the voice over that of the accompaniment, over the whole song.

    Raises
    ------
    ConfigError
        When ``rate_hz`` or ``seconds`` is out of its range.
    """
    if not 8000 <= rate_hz <= 192000:
        raise ConfigError(f"demo song: a rate of {rate_hz} Hz cannot be made; choose 8000 to 192000 Hz")
    if not _SECONDS[0] <= seconds <= _SECONDS[1]:
        raise ConfigError(
            f"demo song: a length of {seconds:g} s cannot be made; choose {_SECONDS[0]:g} to {_SECONDS[1]:g} s"
        )
    n_samples = round(seconds * rate_hz)
    player, noise = np.random.default_rng(seed).spawn(2)  # how much noise is drawn depends on the rate
    phrases = _perform_melody(seconds, player)
    line = _sing(phrases, seconds, player)
    hits = _perform_band(seconds, player)

    vocals = _in_a_room({"voice": _voice(line, phrases, n_samples, rate_hz, noise)}, rate_hz, noise)
    played = {name: _SOUNDS[name](hits[name], n_samples, rate_hz, noise) for name in hits}
    accompaniment = _in_a_room(played, rate_hz, noise)
    fade = np.clip((n_samples - 1 - np.arange(n_samples)) / (0.03 * rate_hz), 0, 1)  # strings still ring at the end
    vocals, accompaniment = vocals * fade, accompaniment * fade
    accompaniment *= np.sqrt(np.sum(vocals**2) / np.sum(accompaniment**2)) / 10 ** (snr_db / 20)
    loudest = max(np.abs(x).max() for x in (vocals, accompaniment, vocals + accompaniment))
    vocals, accompaniment = vocals * (_PEAK / loudest), accompaniment * (_PEAK / loudest)
    return DemoSong(
        vocals=Audio(vocals, rate_hz),
        accompaniment=Audio(accompaniment, rate_hz),
        mixture=Audio(vocals + accompaniment, rate_hz),
        track=line.track,
        notes=tuple((note.onset_s, note.offset_s, float(note.pitch)) for phrase in phrases for note in phrase),
        sung=tuple(_span(phrase) for phrase in phrases),
    )


# --- The score -------------------------------------------------------------------------------------------------------

_LOOP_BEATS = 32
_MELODY = (  # phrases of (beat, length in beats, MIDI pitch, consonant and vowel)
    ((2, 1, 64, "sa"), (3, 0.5, 67, "lo"), (3.5, 0.5, 69, "ti"), (4, 1.5, 65, "ma"), (5.5, 0.5, 64, "ke"),
     (6, 1.5, 62, "nu")),
    ((10, 0.5, 62, "to"), (10.5, 0.5, 67, "na"), (11, 1, 71, "she"), (12, 1.5, 72, "la"), (13.5, 0.5, 71, "a"),
     (14, 0.5, 67, "mi"), (14.5, 0.5, 69, "pa"), (15, 0.5, 67, "fo"), (15.5, 0.5, 64, "lu"), (16, 1.75, 69, "sa")),
    ((20, 1, 65, "ne"), (21, 0.5, 69, "ka"), (21.5, 0.5, 69, "ta"), (22, 0.5, 67, "a"), (22.5, 0.5, 65, "shi"),
     (23, 1, 64, "lo"), (24, 1.5, 62, "ma")),
    ((27, 0.5, 59, "fi"), (27.5, 0.5, 62, "lo"), (28, 1.5, 64, "sa"), (29.5, 0.5, 62, "nu"), (30, 1.5, 60, "la")),
)  # fmt: skip
_CHORDS = ((45, (57, 60, 64, 67)), (38, (57, 62, 65, 69)), (43, (55, 59, 62, 67)), (36, (55, 60, 64, 67)))
_BAR = {  # (beat, degree, loudness) within a bar; degrees of the chord, of the bass: semitones over its root
    "keys": tuple((beat, degree, v) for beat, v in ((0, 1.0), (1.5, 0.7), (3, 0.85)) for degree in range(4)),
    "guitar": tuple((i / 2, degree, 0.8) for i, degree in enumerate((0, 2, 1, 3, 2, 1, 3, 2))),
    "bass": ((0, 0, 1.0), (1.5, 0, 0.7), (2, 7, 0.9), (3.5, 12, 0.7)),
    "kick": ((0, 0, 1.0), (1.5, 0, 0.6), (2.5, 0, 0.9)),
    "snare": ((1, 0, 1.0), (3, 0, 1.0), (3.75, 0, 0.3)),
    "hat": tuple((i / 2, 0, 1.0 if i % 2 else 0.6) for i in range(8)),
}
# From -1, left, to 1, right.
_PANS = {"voice": 0.0, "keys": -0.4, "guitar": 0.55, "bass": 0.0, "kick": 0.0, "snare": 0.1, "hat": 0.35}


class _Note(NamedTuple):
    onset_s: float
    offset_s: float
    pitch: int  # MIDI
    level: float
    consonant: str
    vowel: str


class _Hit(NamedTuple):
    onset_s: float
    pitch: int  # drums have none
    level: float


def _clock(beat: float) -> float:
    """Return the time of a beat in s: quavers off the beat are late by the swing, whole beats are not."""
    return _BEAT_S * (beat + _SWING_BEATS * math.sin(math.pi * beat) ** 2)


def _perform_melody(seconds: float, rng: np.random.Generator) -> list[list[_Note]]:
    """Return the phrases that end before the song does. A voiceless consonant shortens the note before it."""
    phrases = []
    for loop in range(int(seconds / (_LOOP_BEATS * _BEAT_S)) + 1):
        for written in _MELODY:
            beats, lengths, pitches, syllables = zip(*written, strict=True)
            consonants, vowels = zip(*((s[:-1], s[-1]) for s in syllables), strict=True)
            late_s = rng.normal(0, _TIMING_S, len(beats)).tolist()
            onsets_s = [_clock(loop * _LOOP_BEATS + beat) + t for beat, t in zip(beats, late_s, strict=True)]
            levels = (10 ** (rng.normal(0, 1.5, len(beats)) / 20)).tolist()  # 1.5 dB from note to note
            ends_s = [t - _CONSONANTS[c].stolen_s for t, c in zip(onsets_s[1:], consonants[1:], strict=True)]
            ends_s.append(_clock(loop * _LOOP_BEATS + beats[-1] + lengths[-1]))
            notes = map(_Note, onsets_s, ends_s, pitches, levels, consonants, vowels)
            phrases.append([note for note in notes if note.offset_s + _RELEASE_S <= seconds])
    return [phrase for phrase in phrases if phrase]


def _perform_band(seconds: float, rng: np.random.Generator) -> dict[str, list[_Hit]]:
    """Return the notes of each instrument, bar by bar."""
    hits: dict[str, list[_Hit]] = {name: [] for name in _BAR}
    for bar in range(int(seconds / (4 * _BEAT_S)) + 1):
        root, chord = _CHORDS[bar % len(_CHORDS)]
        for name, pattern in _BAR.items():
            for beat, degree, loudness in pattern:
                pitch = root + degree if name == "bass" else chord[degree]
                onset_s = max(_clock(4 * bar + beat) + rng.normal(0, _TIMING_S), 0)
                hits[name].append(_Hit(onset_s, pitch, loudness * 10 ** (rng.normal(0, 1) / 20)))
    return {name: [hit for hit in played if hit.onset_s < seconds - _FRAME_S] for name, played in hits.items()}


# --- The singer ------------------------------------------------------------------------------------------------------

_VOWELS_HZ = {  # F1, F2, F3: Peterson & Barney (1952)
    "a": (850, 1220, 2810),
    "e": (610, 2330, 2990),
    "i": (310, 2790, 3310),
    "o": (590, 920, 2710),
    "u": (370, 950, 2670),
}
# F4 and up: a tube of 15 cm, a woman's vocal tract, resonates at odd multiples of 350 m/s / (4 * 15 cm) = 583 Hz.
_HIGHER_FORMANTS_HZ = 583.0 * np.arange(7, 23, 2)
_BANDWIDTHS_HZ = np.array([130, 120, 170] + [250] * len(_HIGHER_FORMANTS_HZ), float)  # typical values of Klatt (1980)
_HIGHEST_PARTIAL_HZ = 12000.0  # above it, breath and consonants outweigh the partials of a voice
_OPEN_QUOTIENT = 0.6  # of a cycle, the middle of what Klatt & Klatt (1990) measure
_TILT_HZ = 5000.0  # the closing of the glottis is rounded: 6 dB per octave more above this
_PORTAMENTO_S = 0.1
_SCOOP_SEMITONES = 1.0  # phrases begin from below
_DRIFT_CENTS = ((0.4, 8.0), (0.02, 3.0))  # (time over which it changes in s, standard deviation): aim, and flutter
_VIBRATO_HZ = 5.8  # Prame (1994): 6.0 on average in opera; popular singing is slower and shallower
_VIBRATO_SEMITONES = 0.45
_VIBRATO_DELAY_S, _VIBRATO_RISE_S, _VIBRATO_FALL_S = 0.25, 0.3, 0.1
_EVENNESS = 0.7  # of 13 dB between notes sung with one effort; singers keep what Lehiste & Peterson find, 5
_BREATH = 0.3  # noise over partial, at 4 kHz and above


class _Consonant(NamedTuple):
    """Onset of a note: noise, after a silent closure if the noise is shorter than the consonant."""

    length_s: float
    voice_gain: float  # level of the voice during the consonant; 0 if voiceless
    formants_hz: tuple[float, float, float]  # Klatt (1980), Table III; the vowels around it bend towards them
    noise_s: float = 0.0
    noise_hz: tuple[float, float] = (0.0, 0.0)  # around the spectral peaks of Jongman et al. (2000)
    noise_db: float = 0.0  # over the mean level of the voice

    @property
    def stolen_s(self) -> float:
        """Time by which the note before it is shortened."""
        return 0.0 if self.voice_gain else self.length_s


_CONSONANTS = {
    "": _Consonant(0.0, 1.0, (0, 0, 0)),  # the note before it continues
    "m": _Consonant(0.08, 0.4, (480, 1270, 2130)),
    "n": _Consonant(0.07, 0.4, (480, 1340, 2470)),
    "l": _Consonant(0.06, 0.5, (310, 1050, 2880)),
    "s": _Consonant(0.11, 0.0, (320, 1390, 2530), 0.11, (5000, 10000), -6),
    "sh": _Consonant(0.12, 0.0, (300, 1840, 2750), 0.12, (2500, 7000), -6),
    "f": _Consonant(0.09, 0.0, (340, 1100, 2080), 0.09, (1500, 11000), -18),
    "p": _Consonant(0.08, 0.0, (400, 1100, 2150), 0.025, (400, 2500), -9),
    "t": _Consonant(0.08, 0.0, (400, 1600, 2600), 0.03, (3000, 9000), -5),
    "k": _Consonant(0.09, 0.0, (300, 1990, 2850), 0.035, (1500, 4500), -5),
}


class _Line(NamedTuple):
    """Controls of the singer on the 5 ms grid: gain (T,), formants (T, 3), pitch (T,), and the true track."""

    gain: np.ndarray
    formants_hz: np.ndarray
    f0_hz: np.ndarray
    track: PitchTrack


def _span(phrase: list[_Note]) -> tuple[float, float]:
    return phrase[0].onset_s - _CONSONANTS[phrase[0].consonant].length_s, phrase[-1].offset_s


def _glide(times_s: np.ndarray, steps: list[tuple[float, Any]], width_s: float) -> np.ndarray:
    """Hold values and move between them along a raised cosine, shape (T, ...).

    ``steps`` are (time in s, new value), at least ``width_s`` apart; the first value holds from the beginning.
    """
    changes_s = np.array([time_s for time_s, _ in steps])
    values = np.array([value for _, value in steps], float)
    step = np.maximum(np.searchsorted(changes_s - width_s / 2, times_s, side="right") - 1, 1)  # the last one begun
    rise = 0.5 - 0.5 * np.cos(np.pi * np.clip((times_s - changes_s[step]) / width_s + 0.5, 0, 1))
    return (values[step - 1].T + rise * (values[step] - values[step - 1]).T).T


def _sing(phrases: list[list[_Note]], seconds: float, rng: np.random.Generator) -> _Line:
    """Return the notes as a singer takes them."""
    gains: list[tuple[float, Any]] = [(0.0, 0.0)]
    mouths: list[tuple[float, Any]] = [(0.0, _VOWELS_HZ[phrases[0][0].vowel])]
    pitches: list[tuple[float, Any]] = [(0.0, phrases[0][0].pitch)]
    for phrase in phrases:
        start_s, end_s = _span(phrase)
        pitches.append((start_s - _PORTAMENTO_S, phrase[0].pitch - _SCOOP_SEMITONES))
        for note in phrase:
            consonant = _CONSONANTS[note.consonant]
            if consonant.length_s:
                gains.append((note.onset_s - consonant.length_s, consonant.voice_gain * note.level))
                mouths.append((note.onset_s - consonant.length_s, consonant.formants_hz))
            gains.append((note.onset_s, note.level))
            mouths.append((note.onset_s, _VOWELS_HZ[note.vowel]))
            pitches.append((note.onset_s, note.pitch))
        gains.append((end_s, 0.0))
    times_s = np.arange(int(seconds / _FRAME_S) + 1) * _FRAME_S
    gain = _glide(times_s, gains, 0.03)
    formants_hz = _glide(times_s, mouths, 0.06)
    semitones = _glide(times_s, pitches, _PORTAMENTO_S) - 69
    f0_hz = 440 * 2 ** ((semitones + _vibrato(times_s, phrases, rng) + _drift(times_s.size, rng)) / 12)
    formants_hz[:, 0] = np.maximum(formants_hz[:, 0], f0_hz)  # Joliveau et al. (2004)
    voiced = gain > 0.01  # 40 dB under a note
    return _Line(gain, formants_hz, f0_hz, PitchTrack(times_s, np.where(voiced, f0_hz, np.nan), voiced.astype(float)))


def _vibrato(times_s: np.ndarray, phrases: list[list[_Note]], rng: np.random.Generator) -> np.ndarray:
    """Return the vibrato, semitones; it begins late in a note, and short notes have none."""
    notes = [note for phrase in phrases for note in phrase]
    onsets_s, offsets_s = np.array([(note.onset_s, note.offset_s) for note in notes]).T
    rates_hz = rng.normal(_VIBRATO_HZ, 0.2, len(notes))
    at = np.maximum(np.searchsorted(onsets_s, times_s, side="right") - 1, 0)
    since_s, left_s = times_s - onsets_s[at], offsets_s[at] - times_s
    depth = np.minimum((since_s - _VIBRATO_DELAY_S) / _VIBRATO_RISE_S, left_s / _VIBRATO_FALL_S)
    return _VIBRATO_SEMITONES * np.clip(depth, 0, 1) * np.sin(2 * np.pi * rates_hz[at] * since_s)


def _drift(n_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return random deviations of the pitch, semitones, shape (T,): slow drift and fast flutter."""
    drift = np.zeros(n_frames)
    for time_s, cents in _DRIFT_CENTS:
        kernel = np.hanning(2 + round(2 * time_s / _FRAME_S))
        kernel /= np.sqrt(np.sum(kernel**2))
        drift += cents / 100 * np.convolve(rng.standard_normal(n_frames + kernel.size - 1), kernel, "valid")
    return drift


def _voice(
    line: _Line, phrases: list[list[_Note]], n_samples: int, rate_hz: int, rng: np.random.Generator
) -> np.ndarray:
    """Synthesise the voice, shape (N,), with a mean power of 1 while it is voiced."""
    voice = np.zeros(n_samples)
    for phrase in phrases:
        start_s, end_s = _span(phrase)
        start, sound = _vowels(line, slice(int(start_s / _FRAME_S) - 5, int(end_s / _FRAME_S) + 7), rate_hz, rng)
        voice[start : start + sound.size] = sound
    voice /= np.sqrt(np.sum(voice**2) / (np.mean(line.track.voicing) * n_samples))
    for note in (note for phrase in phrases for note in phrase):
        consonant = _CONSONANTS[note.consonant]
        noise = _consonant_noise(consonant, rate_hz, rng)
        start = round((note.onset_s - consonant.noise_s) * rate_hz)
        voice[start : start + noise.size] += noise
    return voice


def _vowels(line: _Line, frames: slice, rate_hz: int, rng: np.random.Generator) -> tuple[int, np.ndarray]:
    """Return the first sample and the sound, shape (N,), of a run of frames: the sum of its partials."""
    f0_hz = line.f0_hz[frames]
    amplitude_KT = line.gain[frames] * _partials(f0_hz, line.formants_hz[frames], rate_hz, rng)
    frame_samples = _FRAME_S * rate_hz
    start = int(np.ceil(frames.start * frame_samples))
    at_frame = np.arange(start, int((frames.stop - 1) * frame_samples)) / frame_samples - frames.start
    frame = at_frame.astype(int)
    part = at_frame - frame  # of the way to the next frame
    rise_hz = np.diff(f0_hz)
    cycles = np.concatenate([[0.0], np.cumsum(f0_hz[:-1] + rise_hz / 2)])  # the integral of a pitch linear in a frame
    turn = np.exp(2j * np.pi * _FRAME_S * (cycles[frame] + part * (f0_hz[frame] + part / 2 * rise_hz[frame])))
    sound, oscillation = np.zeros(frame.size), np.ones(frame.size, complex)
    for amplitude_T in amplitude_KT:
        oscillation *= turn
        sound += ((amplitude_T[frame] + part * np.diff(amplitude_T)[frame]) * oscillation).real
    return start, sound


def _partials(f0_hz: np.ndarray, formants_hz: np.ndarray, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Return the complex amplitudes of the partials, shape (K, T).

    Breath is noise on these amplitudes: drawn every 5 ms, it fills a band of +-100 Hz around each partial with the
    colour of the vowel.
    """
    top_hz = min(_HIGHEST_PARTIAL_HZ, 0.45 * rate_hz)
    number_K1 = np.arange(1, int(top_hz / f0_hz.min()) + 1)[:, None]
    freqs_KT = number_K1 * f0_hz
    fade_KT = np.clip((top_hz - freqs_KT) / (0.1 * top_hz), 0, 1)  # partials come and go at the top without a click
    noise_KT = rng.standard_normal(freqs_KT.shape) + 1j * rng.standard_normal(freqs_KT.shape)
    breath_KT = 1 + _BREATH * np.minimum(freqs_KT / 4000, 1) * noise_KT
    source_KT = _glottal_pulse(number_K1) / (1 + 1j * freqs_KT / _TILT_HZ)
    voice_KT = source_KT * _tract(freqs_KT, formants_hz) * fade_KT
    return voice_KT * breath_KT / np.sum(np.abs(voice_KT) ** 2, axis=0) ** (_EVENNESS / 2)


def _glottal_pulse(number: np.ndarray) -> np.ndarray:
    """Return the Fourier coefficients of one cycle of the derivative of the flow.

    The flow is x^2 - x^3 while the glottis is open, x running from 0 to 1 (Klatt & Klatt 1990, Eq. 1); its derivative
    2x - 3x^2 contains the radiation from the lips.
    """
    a = -2j * np.pi * _OPEN_QUOTIENT * number
    first = np.exp(a) * (1 / a - 1 / a**2) + 1 / a**2  # integral of x exp(ax)
    second = np.exp(a) * (1 / a - 2 / a**2 + 2 / a**3) - 2 / a**3  # of x^2 exp(ax)
    return 2 * first - 3 * second


def _tract(freqs_KT: np.ndarray, formants_hz: np.ndarray) -> np.ndarray:
    """Return the transfer function of the vocal tract, resonances in cascade (Klatt 1980)."""
    gain_KT = np.ones_like(freqs_KT, dtype=complex)
    for formant_hz, bandwidth_hz in zip([*formants_hz.T, *_HIGHER_FORMANTS_HZ], _BANDWIDTHS_HZ, strict=True):
        gain_KT *= formant_hz**2 / (formant_hz**2 - freqs_KT**2 + 1j * bandwidth_hz * freqs_KT)
    return gain_KT


def _consonant_noise(consonant: _Consonant, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Return the noise before a vowel, shape (N,): a hiss that swells and fades, or a burst after a closure."""
    n = round(consonant.noise_s * rate_hz)
    x = np.arange(n) / max(n, 1)
    is_hiss = consonant.noise_s == consonant.length_s
    envelope = np.sin(np.pi * x) if is_hiss else np.minimum(20 * x, 1) * np.exp(-4 * x)
    return 10 ** (consonant.noise_db / 20) * envelope * _band_noise(n, *consonant.noise_hz, rate_hz, rng)


def _band_noise(n: int, low_hz: float, high_hz: float, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise of mean power 1; lower sample rates hold only a part of its band."""
    nyquist_hz = rate_hz / 2
    if n == 0 or low_hz >= 0.9 * nyquist_hz:
        return np.zeros(n)
    band_hz = (low_hz, min(high_hz, 0.95 * nyquist_hz))
    white = rng.standard_normal(n) * np.sqrt(nyquist_hz / (high_hz - low_hz))
    return signal.sosfilt(signal.butter(2, band_hz, "bandpass", fs=rate_hz, output="sos"), white)


# --- The band --------------------------------------------------------------------------------------------------------


class _String(NamedTuple):
    """A struck or plucked string: partial n starts at |sin(pi n place)| / n^slope (Fletcher & Rossing 1998)."""

    level: float
    place: float  # where it is struck, as a part of its length
    slope: float
    stretch: float  # B of f_n = n f0 sqrt(1 + B n^2), Fletcher (1964)
    decay_s: float  # time constant of the first partial at 220 Hz


# Levels of the instruments and consonants give the stems the long-term spectra that MIR-1K and DSD100 stems have:
# within about 5 dB in each band of an octave or less, 250 Hz to 8 kHz for the voice and 60 Hz to 8 kHz for the band.
_KEYS = _String(0.15, 0.12, 1.0, 3e-4, 0.9)
_GUITAR = _String(0.25, 0.18, 1.1, 5e-5, 0.5)
_BASS = _String(0.28, 0.25, 1.5, 1e-4, 0.6)
_N_PARTIALS = 24
_ROOM_DELAY_S, _ROOM_T60_S, _ROOM_DB, _ROOM_DARK_HZ = 0.012, 0.35, -18.0, 5000.0  # a small treated room


def _strings(string: _String, hits: list[_Hit], n_samples: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Synthesise one instrument, shape (N,)."""
    sound = np.zeros(n_samples)
    number = np.arange(1, _N_PARTIALS + 1)
    for pitch in sorted({hit.pitch for hit in hits}):
        f0_hz = midi_to_hz(pitch)
        freqs_hz = number * f0_hz * np.sqrt(1 + string.stretch * number**2)
        amplitudes = string.level * np.abs(np.sin(np.pi * number * string.place)) / number**string.slope
        decays_s = string.decay_s * np.sqrt(220 / f0_hz) / (1 + 0.2 * (number - 1))  # high partials die first
        stroke = _ring(freqs_hz, amplitudes * (freqs_hz < 0.45 * rate_hz), decays_s, 6 * decays_s[0], rate_hz)
        sound += _repeat(stroke, [hit for hit in hits if hit.pitch == pitch], n_samples, rate_hz)
    return sound


def _ring(
    freqs_hz: np.ndarray, amplitudes: np.ndarray, decays_s: np.ndarray, seconds: float, rate_hz: int
) -> np.ndarray:
    """Sum of K damped sines, shape (N,).

    exp(s (i B + j)) = exp(s i B) exp(s j): two short tables and their products instead of N K exponentials.
    """
    n = round(seconds * rate_hz)
    block = int(np.ceil(np.sqrt(n)))
    steps = np.arange(block)[:, None]
    s_K = (2j * np.pi * freqs_hz - 1 / decays_s) / rate_hz
    coarse, fine = amplitudes * np.exp(steps * block * s_K), np.exp(steps * s_K)
    # The imaginary part of the product. einsum, for BLAS rounds differently with another number of threads.
    left, right = np.hstack([coarse.real, coarse.imag]), np.hstack([fine.imag, fine.real])
    return np.einsum("ik,jk->ij", left, right).ravel()[:n]


def _repeat(stroke: np.ndarray, hits: list[_Hit], n_samples: int, rate_hz: int) -> np.ndarray:
    """Repeat a stroke at each hit, as loud as the hit; shape (N,)."""
    sound = np.zeros(n_samples + stroke.size)
    for hit in hits:
        start = int(hit.onset_s * rate_hz)
        sound[start : start + stroke.size] += hit.level * stroke
    return sound[:n_samples]


def _dying(hits: list[_Hit], decay_s: float, n_samples: int, rate_hz: int) -> np.ndarray:
    """Return an envelope, shape (N,), that jumps at each hit and decays."""
    envelope = np.zeros(n_samples)
    np.add.at(envelope, [int(hit.onset_s * rate_hz) for hit in hits], [hit.level for hit in hits])
    return signal.lfilter([1.0], [1.0, -np.exp(-1 / (decay_s * rate_hz))], envelope)


def _kick(hits: list[_Hit], n_samples: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Synthesise a bass drum, whose pitch falls from 180 to 50 Hz within 30 ms."""
    t_s = np.arange(round(0.5 * rate_hz)) / rate_hz
    stroke = np.sin(2 * np.pi * (50 * t_s - 130 * 0.03 * np.expm1(-t_s / 0.03))) * np.exp(-t_s / 0.1)
    return _repeat(0.7 * stroke, hits, n_samples, rate_hz)


def _snare(hits: list[_Hit], n_samples: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Synthesise a snare drum: two modes of the skin, and the wires."""
    skin = _ring(np.array([185.0, 330.0]), np.array([0.5, 0.3]), np.array([0.06, 0.04]), 0.3, rate_hz)
    wires = _dying(hits, 0.07, n_samples, rate_hz) * _band_noise(n_samples, 1200, 9000, rate_hz, rng)
    return _repeat(skin, hits, n_samples, rate_hz) + 0.2 * wires


def _hat(hits: list[_Hit], n_samples: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Synthesise closed cymbals."""
    return 0.1 * _dying(hits, 0.03, n_samples, rate_hz) * _band_noise(n_samples, 6500, 15000, rate_hz, rng)


_SOUNDS: dict[str, Callable[[list[_Hit], int, int, np.random.Generator], np.ndarray]] = {
    "keys": partial(_strings, _KEYS),
    "guitar": partial(_strings, _GUITAR),
    "bass": partial(_strings, _BASS),
    "kick": _kick,
    "snare": _snare,
    "hat": _hat,
}


def _in_a_room(sounds: dict[str, np.ndarray], rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Mix all sounds in stereo, each at its position, with the reverberation of one room; shape (2, N)."""
    angles = (np.array([_PANS[name] for name in sounds]) + 1) * np.pi / 4  # the same power at every position
    dry = np.einsum("ci,in->cn", [np.cos(angles), np.sin(angles)], list(sounds.values()))
    n = round(_ROOM_T60_S * rate_hz)
    tail = rng.standard_normal((2, n)) * 10 ** (-3 * np.arange(n) / n)
    dark_hz = min(_ROOM_DARK_HZ, 0.45 * rate_hz)
    tail = signal.sosfilt(signal.butter(1, dark_hz, fs=rate_hz, output="sos"), tail)
    tail *= 10 ** (_ROOM_DB / 20) / np.sqrt(np.sum(tail**2, axis=1, keepdims=True))
    delayed = np.pad(tail, ((0, 0), (round(_ROOM_DELAY_S * rate_hz), 0)))
    wet = signal.oaconvolve(np.sum(list(sounds.values()), axis=0, keepdims=True), delayed, axes=1)
    return dry + wet[:, : dry.shape[1]]
