"""Sounds to check hearing with: noises, non-speech, rooms and mixing. Pure numpy, no I/O.

Every generator takes a `numpy.random.Generator`, a length in samples and a sample rate in Hz, and
returns float32 [samples], mono, of unit RMS unless it says otherwise, so that the caller chooses
the level. The same seed gives the same sound. The recipe that uses them is
`brain/pocket/evaluation/ears.toml`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]
Generator = np.random.Generator
Maker = Callable[[Generator, int, int], Sound]

_QUIET = 1e-9


def _f32(samples: NDArray[np.floating]) -> Sound:
    return np.asarray(samples, dtype=np.float32)


def rms(samples: Sound) -> float:
    """Root mean square of `samples`, 0.0 for an empty array."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if samples.size else 0.0


def unit(samples: NDArray[np.floating]) -> Sound:
    """`samples` without DC and at unit RMS; what is all but silent stays as it is."""
    centred = np.asarray(samples - np.mean(samples), dtype=np.float32)
    level = rms(centred)
    return centred if level < _QUIET else _f32(centred / level)


def silence(rng: Generator, samples: int, rate: int) -> Sound:  # noqa: ARG001
    """Near-silence: zeros, or the dither of a 16-bit converter. Not of unit RMS."""
    if rng.random() < 0.3:
        return np.zeros(samples, dtype=np.float32)
    level = 10.0 ** (rng.uniform(-96.0, -66.0) / 20.0)
    return _f32(rng.standard_normal(samples) * level)


def coloured(rng: Generator, samples: int, rate: int, slope: float) -> Sound:
    """Gaussian noise whose power falls with frequency as f**-slope (0 white, 1 pink, 2 brown)."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.maximum(np.fft.rfftfreq(samples, 1.0 / rate), 20.0)
    return unit(np.fft.irfft(spectrum * frequency ** (-slope / 2.0), samples))


def white(rng: Generator, samples: int, rate: int) -> Sound:
    """White noise."""
    return coloured(rng, samples, rate, 0.0)


def pink(rng: Generator, samples: int, rate: int) -> Sound:
    """Pink noise, 3 dB less an octave."""
    return coloured(rng, samples, rate, 1.0)


def brown(rng: Generator, samples: int, rate: int) -> Sound:
    """Brown noise, 6 dB less an octave: a rumble."""
    return coloured(rng, samples, rate, 2.0)


def hum(rng: Generator, samples: int, rate: int) -> Sound:
    """Mains hum: 50 or 60 Hz with falling harmonics and a little noise."""
    base = float(rng.choice([50.0, 60.0])) * rng.uniform(0.998, 1.002)
    time = np.arange(samples) / rate
    total = np.zeros(samples)
    for harmonic in range(1, int(rng.integers(3, 16))):
        level = rng.uniform(0.2, 1.0) / harmonic ** rng.uniform(0.5, 1.5)
        total += level * np.sin(2 * np.pi * (base * harmonic * time + rng.random()))
    return unit(unit(total) + rng.uniform(0.0, 0.1) * pink(rng, samples, rate))


def whine(rng: Generator, samples: int, rate: int) -> Sound:
    """A servo or a fan: gliding tones with harmonics over filtered noise."""
    knots = rng.uniform(150.0, 2500.0) * rng.uniform(0.7, 1.4, size=5)
    pitch = np.interp(np.linspace(0, 4, samples), np.arange(5), knots)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    tone = np.asarray(sum(np.sin(k * phase) / k for k in range(1, int(rng.integers(2, 6)))))
    swell = np.interp(np.linspace(0, 5, samples), np.arange(6), rng.uniform(0.0, 1.0, 6))
    noise = coloured(rng, samples, rate, rng.uniform(0.0, 2.0))
    return unit(tone * swell + rng.uniform(0.1, 1.0) * noise)


def clicks(rng: Generator, samples: int, rate: int) -> Sound:
    """Sparse clicks and knocks: short decaying bursts and resonances over silence."""
    total = np.zeros(samples)
    for _ in range(int(rng.integers(1, 2 + samples // (rate // 3 + 1) * 2))):
        length = int(rate * rng.uniform(0.001, 0.08))
        start = int(rng.integers(0, max(1, samples - length)))
        length = min(length, samples - start)
        time = np.arange(length) / rate
        burst = rng.standard_normal(length)
        if rng.random() < 0.6:
            burst = np.sin(2 * np.pi * rng.uniform(80.0, 3500.0) * time) + 0.3 * burst
        decay = np.exp(-time * rng.uniform(40.0, 1500.0))
        total[start : start + length] += rng.uniform(0.3, 1.0) * burst * decay
    return unit(total)


def music(rng: Generator, samples: int, rate: int) -> Sound:
    """Music-like: notes of a scale in chords or runs, harmonic timbres, sometimes a drum."""
    total = np.zeros(samples)
    root = rng.uniform(110.0, 330.0)
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])
    beat = rng.uniform(0.12, 0.6)
    timbre = rng.uniform(0.0, 1.0, size=8) / np.arange(1, 9) ** rng.uniform(0.3, 1.6)
    decay = rng.uniform(0.5, 8.0)
    drums = rng.random() < 0.4
    for start in np.arange(rng.uniform(0, 0.2), samples / rate, beat):
        first = int(start * rate)
        time = np.arange(min(samples - first, int(rate * beat * rng.uniform(0.8, 3.0)))) / rate
        if time.size == 0:
            continue
        envelope = np.minimum(1.0, time / 0.01) * np.exp(-decay * time)
        note = np.zeros(time.size)
        for degree in rng.choice(scale, size=int(rng.integers(1, 4)), replace=False):
            vibrato = 0.003 * np.sin(2 * np.pi * 5.5 * time) * (decay < 2.0)
            pitch = root * 2.0 ** (degree / 12.0) * (time + vibrato)
            for k, level in enumerate(timbre, start=1):
                note += level * np.sin(2 * np.pi * k * pitch)
        total[first : first + time.size] += note * envelope
        if drums:
            hit = rng.standard_normal(time.size) * np.exp(-60.0 * time)
            total[first : first + time.size] += rng.uniform(0.3, 2.0) * hit
    return unit(total)


def bells(rng: Generator, samples: int, rate: int) -> Sound:
    """Frequency-modulated bell strokes; kept out of training, to check that it generalises."""
    total = np.zeros(samples)
    for start in np.arange(0.0, samples / rate, rng.uniform(0.2, 0.8)):
        first = int(start * rate)
        time = np.arange(samples - first) / rate
        carrier = rng.uniform(200.0, 1500.0)
        swing = rng.uniform(1.0, 6.0) * np.exp(-3.0 * time)
        inner = swing * np.sin(2 * np.pi * carrier * 1.414 * time)
        total[first:] += np.exp(-rng.uniform(2.0, 6.0) * time) * np.sin(
            2 * np.pi * carrier * time + inner
        )
    return unit(total)


MAKERS: dict[str, Maker] = {
    "silence": silence,
    "white": white,
    "pink": pink,
    "brown": brown,
    "hum": hum,
    "whine": whine,
    "clicks": clicks,
    "music": music,
    "bells": bells,
}


def babble(rng: Generator, clips: Sequence[Sound], samples: int, voices: int = 6) -> Sound:
    """`voices` of `clips` at once, each repeated from a random point. Needs at least one clip."""
    total = np.zeros(samples, dtype=np.float32)
    for index in rng.integers(0, len(clips), size=voices):
        clip = unit(clips[int(index)])
        turned = np.roll(np.resize(clip, samples), int(rng.integers(0, samples)))
        total += turned * np.float32(rng.uniform(0.5, 1.0))
    return unit(total)


def mix_at_snr(speech: Sound, noise: Sound, snr_db: float) -> Sound:
    """`speech` plus `noise` (as long as `speech`) at `snr_db`, by the RMS of the whole of each."""
    level = rms(speech) * 10.0 ** (-snr_db / 20.0)
    return _f32(speech + unit(noise) * np.float32(level))


def gain(samples: Sound, db: float) -> Sound:
    """`samples` louder by `db`, clipped to -1..1 as a converter would."""
    return _f32(np.clip(samples * np.float32(10.0 ** (db / 20.0)), -1.0, 1.0))


def padded(samples: Sound, before_s: float, after_s: float, rate: int) -> Sound:
    """`samples` with digital silence before and after, in seconds."""
    return np.pad(samples, (int(before_s * rate), int(after_s * rate)))


def band_limited(samples: Sound, upper_hz: float, rate: int, lower_hz: float = 0.0) -> Sound:
    """`samples` with a steep brick-wall between `lower_hz` and `upper_hz` (telephone, 8 kHz)."""
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(samples.size, 1.0 / rate)
    spectrum[(frequency > upper_hz) | (frequency < lower_hz)] = 0.0
    return _f32(np.fft.irfft(spectrum, samples.size))


def in_room(rng: Generator, samples: Sound, rate: int, *, decay_s: float, distance: float) -> Sound:
    """`samples` in a synthetic small room: direct sound plus a diffuse, exponential tail.

    decay_s: RT60 in seconds; distance: energy of the tail relative to the direct sound (0.1 near,
    2 far). Length and RMS are kept.
    """
    count = max(1, int(decay_s * rate))
    time = np.arange(count) / rate
    tail = rng.standard_normal(count) * 10.0 ** (-3.0 * time / decay_s)
    tail[: int(0.002 * rate)] = 0.0
    for _ in range(6):
        tail[int(rng.integers(0, max(1, count // 6)))] += rng.uniform(-3.0, 3.0)
    tail *= np.sqrt(distance / max(_QUIET, float(np.sum(tail**2))))
    tail[0] = 1.0
    size = 1 << int(np.ceil(np.log2(samples.size + count)))
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(tail, size)
    wet = _f32(np.fft.irfft(spectrum, size)[: samples.size])
    return _f32(wet * np.float32(rms(samples) / max(_QUIET, rms(wet))))
