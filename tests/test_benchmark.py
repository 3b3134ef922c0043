"""The cost of a separation relative to one STFT round trip of its signal."""

import statistics
import time

import librosa
import numpy as np
import pytest

from karaoke_sep import load_config, separate
from karaoke_sep.processes.threads import one_thread

N_RUNS = 3


def cpu_s(function, *args, **kwargs):
    start_s = time.process_time()
    function(*args, **kwargs)
    return time.process_time() - start_s


def round_trip(samples):
    librosa.istft(librosa.stft(samples, n_fft=2048, hop_length=512), hop_length=512, length=samples.shape[1])


# Measured: 20 and 5 times the round trip by default, 5 and 1.4 with `fast`. The limits are four times that, so that no
# neighbour on the machine, but a slow-down of five to ten times, fails the test.
@pytest.mark.parametrize(
    ("config", "rate_hz", "n_channels", "limit"),
    [("default", 16_000, 1, 80), ("default", 44_100, 2, 23), ("fast", 16_000, 1, 22), ("fast", 44_100, 2, 6)],
)
def test_a_separation_costs_no_more_round_trips_than_it_should(demo, config, rate_hz, n_channels, limit):
    sound, settings = demo(rate_hz, 12.0).mixture, load_config(config)
    samples = np.ascontiguousarray(sound.samples[:n_channels], np.float32)
    with one_thread():
        for function, args in ((round_trip, ()), (separate, (rate_hz, settings))):  # imports, plans of transforms
            function(samples[:, :rate_hz], *args)
        ratios = [
            cpu_s(separate, samples, rate_hz, settings) / cpu_s(lambda: [round_trip(samples) for _ in range(4)]) * 4
            for _ in range(N_RUNS)
        ]
    assert statistics.median(ratios) < limit
