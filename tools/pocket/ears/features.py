"""Log-mel features in two halves, so that sounds can be mixed after the Fourier transform.

`mel_power` is faster-whisper's `FeatureExtractor` up to and including the mel filters (25 ms Hann
window, 10 ms hop, 80 Slaney mels at 16 kHz); `finished` is the rest (log10, floor of 8 decades
under the maximum, scaling). Adding mel powers adds uncorrelated sounds.
"""

from __future__ import annotations

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
HOP = 160
WINDOW = 400
MELS = 80
FLOOR = 1e-10

_FILTERS = np.asarray(FeatureExtractor.get_mel_filters(SAMPLE_RATE, WINDOW, MELS), np.float32)
_HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)


def mel_power(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mel power [frames, 80] of mono 16 kHz `samples`, frames = 1 + len // 160 (centred)."""
    around = np.pad(samples, WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(around, WINDOW)[::HOP] * _HANN
    spectrum = np.fft.rfft(frames, axis=-1)
    power = spectrum.real**2 + spectrum.imag**2
    return np.asarray(power @ _FILTERS.T, np.float32)


def finished(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Whisper's features of a whole clip from its mel power, both [frames, 80]."""
    log = np.log10(np.maximum(power, FLOOR))
    return np.asarray((np.maximum(log, log.max() - 8.0) + 4.0) / 4.0, np.float32)
