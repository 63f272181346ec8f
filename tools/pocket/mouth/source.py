"""From features to sound: a pulse train and noise through a minimum-phase envelope.

The same arithmetic serves training (with torch's FFT) and the exported graph (with the DFT
written as two matrix products, which every ONNX runtime knows). Shapes: B sentences, T feature
frames of HOP samples.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from .features import (
    BAND_CENTRES,
    BINS,
    FFT,
    HOP,
    RATE,
    bin_hertz,
    interpolation,
    knot_hertz,
)

BLOCKS = FFT // HOP


def minimum_phase(log_amplitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Phase [n, BINS] of the minimum-phase filter with this log amplitude [n, BINS].

    The imaginary part of the folded cepstrum's spectrum (Oppenheim and Schafer): linear in the
    log amplitude, which is why the graph holds it as one matrix.
    """
    cepstrum = np.fft.irfft(log_amplitude, FFT, axis=-1)
    fold = np.zeros(FFT)
    fold[0] = fold[FFT // 2] = 1.0
    fold[1 : FFT // 2] = 2.0
    phase: NDArray[np.float64] = np.fft.rfft(cepstrum * fold, axis=-1).imag
    return phase


class SourceFilter(nn.Module):
    """Turns an envelope, aperiodicity, pitch and noise into samples. Nothing here is learnt."""

    spread: Tensor
    phase: Tensor
    bands: Tensor
    window: Tensor
    ramp: Tensor
    times: Tensor
    bins: Tensor
    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        spread = interpolation(bin_hertz(), knot_hertz())
        bands = interpolation(bin_hertz(), np.array(BAND_CENTRES))
        weights = np.full(BINS, 2.0 / FFT)
        weights[0] = 0.0  # no DC
        weights[1] = 1.0 / FFT
        weights[-1] = 0.0
        ramp = np.arange(HOP) / HOP
        for name, table in {
            "spread": spread.T,
            "phase": minimum_phase(spread.T),
            "bands": bands.T,
            "window": np.sin(np.pi * np.arange(2 * HOP) / (2 * HOP)) ** 2,
            "ramp": ramp,
            "times": np.arange(FFT),
            "bins": np.arange(BINS),
            "weights": weights,
        }.items():
            tensor = torch.tensor(np.ascontiguousarray(table), dtype=torch.float32)
            self.register_buffer(name, tensor)

    def pulses(self, log_f0: Tensor) -> Tensor:
        """Band-limited pulse train [B, T * HOP] of unit power, from log Hz [B, T].

        The sum of the cosines of all harmonics below Nyquist, in closed form (Dirichlet's
        kernel). The phase is summed in float64: in float32 it drifts within seconds.
        """
        f0 = torch.exp(log_f0)
        after = torch.cat([f0[:, 1:], f0[:, -1:]], dim=1)
        pitch = (f0.unsqueeze(2) + (after - f0).unsqueeze(2) * self.ramp).flatten(1)
        turns = torch.cumsum(pitch.double() / RATE, dim=1)
        turn = (turns - torch.floor(turns + 0.5)).float()
        harmonics = torch.floor(0.47 * RATE / f0)
        count = harmonics.unsqueeze(2).expand(-1, -1, HOP).flatten(1)
        below = torch.sin(math.pi * turn)
        near = (torch.abs(below) < 1e-4).float()
        kernel = torch.sin((2.0 * count + 1.0) * math.pi * turn) / (2.0 * (below + near))
        kernel = kernel * (1.0 - near) + (count + 0.5) * near - 0.5
        return kernel * torch.sqrt(2.0 / count)

    def frames(self, signal: Tensor) -> Tensor:
        """Windowed frames [B, T, 2 HOP] of [B, T * HOP]; frame t is centred at sample t * HOP."""
        blocks = functional.pad(signal, (HOP, 0)).view(signal.shape[0], -1, HOP)
        return torch.cat([blocks[:, :-1], blocks[:, 1:]], dim=2) * self.window

    def _angles(self, samples: int) -> Tensor:
        product = self.times[:samples].unsqueeze(1) * self.bins
        return (product - FFT * torch.floor(product / FFT)) * (2.0 * math.pi / FFT)

    def spectrum(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Real and imaginary parts [B, T, BINS] of the DFT of [B, T, 2 HOP]."""
        if torch.onnx.is_in_onnx_export():
            angles = self._angles(2 * HOP)
            return frames @ torch.cos(angles), -(frames @ torch.sin(angles))
        spectrum = torch.fft.rfft(frames, FFT)
        return spectrum.real, spectrum.imag

    def inverse(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Real signals [B, T, FFT] of half spectra [B, T, BINS], without DC."""
        if torch.onnx.is_in_onnx_export():
            angles = self._angles(FFT).transpose(0, 1)
            real, imaginary = real * self.weights, imaginary * self.weights
            return real @ torch.cos(angles) - imaginary @ torch.sin(angles)
        scale = self.weights * (FFT / 2.0)
        sound: Tensor = torch.fft.irfft(torch.complex(real * scale, imaginary * scale), FFT)
        return sound

    def forward(
        self,
        envelope: Tensor,
        aperiodicity: Tensor,
        log_f0: Tensor,
        voiced: Tensor,
        noise: Tensor,
    ) -> Tensor:
        """Samples [B, T * HOP].

        envelope [B, T, KNOTS] log amplitude; aperiodicity [B, T, BANDS] 0..1; log_f0 [B, T] log
        Hz; voiced [B, T] 0..1; noise [B, T * HOP] of unit power.
        """
        breath = 1.0 - voiced.unsqueeze(2) * (1.0 - aperiodicity)
        noisy = breath @ self.bands
        tonal = torch.sqrt(torch.clamp(1.0 - noisy * noisy, min=1e-6))
        pulse_real, pulse_imag = self.spectrum(self.frames(self.pulses(log_f0)))
        noise_real, noise_imag = self.spectrum(self.frames(noise))
        real = pulse_real * tonal + noise_real * noisy
        imaginary = pulse_imag * tonal + noise_imag * noisy
        amplitude = torch.exp(envelope @ self.spread)
        phase = envelope @ self.phase
        cosine, sine = amplitude * torch.cos(phase), amplitude * torch.sin(phase)
        sound = self.inverse(real * cosine - imaginary * sine, real * sine + imaginary * cosine)
        parts = [
            functional.pad(sound[:, :, j * HOP : (j + 1) * HOP], (0, 0, j, BLOCKS - 1 - j))
            for j in range(BLOCKS)
        ]
        whole = torch.stack(parts).sum(dim=0).flatten(1)
        return whole[:, HOP : HOP + noise.shape[1]]
