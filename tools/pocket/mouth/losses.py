"""What is compared: features in the first stage, spectra of the sound itself in the second."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .batches import Batch
from .features import RATE, interpolation, mel
from .net import SHORTEST, Features


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` where `mask` (broadcast) is 1."""
    return (values * mask).sum() / (mask.expand_as(values).sum() + 1e-6)


def feature_loss(said: Features, log_durations: Tensor, batch: Batch) -> dict[str, Tensor]:
    """L1 distances of all features, each with its weight already in it."""
    frames = batch.fine_mask
    voiced = frames * batch.voiced
    tokens = batch.token_mask
    target = torch.log(batch.durations + SHORTEST)
    # Loud frames count more: what is heard is there. The floor still pulls pauses to silence.
    weight = frames.unsqueeze(2) * (0.5 + torch.sigmoid(batch.envelope * 0.7 + 6.0))
    voice = functional.binary_cross_entropy_with_logits(
        said.voice_logit, batch.voiced, reduction="none"
    )
    return {
        "envelope": masked_mean((said.envelope - batch.envelope).abs(), weight),
        "bands": masked_mean((said.aperiodicity - batch.aperiodicity).abs(), voiced.unsqueeze(2)),
        "pitch": 4.0 * masked_mean((said.log_f0 - batch.log_f0).abs(), voiced),
        "voice": 0.5 * masked_mean(voice, frames),
        "duration": 0.5 * masked_mean((log_durations - target).abs(), tokens),
    }


def _mel_bank(size: int, bands: int, top: float) -> Tensor:
    """[size // 2 + 1, bands] triangular filters, evenly spaced in mel, each of unit sum."""
    edges = np.linspace(0.0, float(mel(np.array(top))), bands + 2)
    hertz = 700.0 * (10.0 ** (edges / 2595.0) - 1.0)
    bank = interpolation(np.linspace(0.0, RATE / 2, size // 2 + 1), hertz)[:, 1:-1]
    return torch.tensor(bank / (bank.sum(axis=0, keepdims=True) + 1e-8), dtype=torch.float32)


class SpectralLoss(nn.Module):
    """Multi-resolution STFT distance (Yamamoto et al. 2020) and a mel one as the ears see it.

    Windows are not shorter than two pitch periods: the phases of the pulses are free.
    """

    bank: Tensor
    SIZES = ((512, 128, 480), (1024, 256, 960), (2048, 480, 1920))
    FLOOR = 1e-3

    def __init__(self) -> None:
        super().__init__()
        for index, (_, _, window) in enumerate(self.SIZES):
            self.register_buffer(f"window{index}", torch.hann_window(window), persistent=False)
        self.register_buffer("bank", _mel_bank(1024, 80, 8000.0), persistent=False)

    def _magnitude(self, x: Tensor, index: int) -> Tensor:
        size, hop, length = self.SIZES[index]
        window = getattr(self, f"window{index}")
        spectrum = torch.stft(
            x, size, hop, length, window, return_complex=True, pad_mode="constant"
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.sqrt(power + 1e-8)

    def forward(self, said: Tensor, meant: Tensor) -> dict[str, Tensor]:
        """Distances between two batches of samples [B, N]."""
        near = said.new_zeros(())
        far = said.new_zeros(())
        heard = said.new_zeros(())
        for index in range(len(self.SIZES)):
            a, b = self._magnitude(said, index), self._magnitude(meant, index)
            near = near + (a - b).abs().sum() / (b.sum() + 1e-6)
            level = self.FLOOR * self.SIZES[index][2] * 0.1
            far = far + (torch.log(a + level) - torch.log(b + level)).abs().mean()
            if index == 1:
                mel_a, mel_b = a.transpose(1, 2) @ self.bank, b.transpose(1, 2) @ self.bank
                heard = (torch.log(mel_a + level) - torch.log(mel_b + level)).abs().mean()
        return {"near": near / 3.0, "far": far / 3.0, "heard": heard}
