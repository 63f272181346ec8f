"""The acoustic network: phoneme ids to durations, and with durations to features.

Durations are real numbers of frames, never rounded: a frame knows how far into its phoneme it
lies, so the coarse frame (11.6 ms) costs no sharpness in time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .features import BANDS, KNOTS

SYMBOLS = 256
EMBEDDING = 112
HIDDEN = 64
CHANNELS = 160
DILATIONS = (1, 2, 4, 8, 4, 1)
PLACES = 9
OUTPUTS = KNOTS + BANDS + 2
MEAN_LOG_F0 = 4.6
MEAN_LOG_AMPLITUDE = -6.0
SHORTEST = 0.1
"""Frames added before taking the logarithm of a duration: stress marks last 0."""


@dataclass(frozen=True)
class Features:
    """What the network says about each feature frame; shapes [B, T, ...], T = 2 frames."""

    envelope: Tensor
    aperiodicity: Tensor
    log_f0: Tensor
    voice_logit: Tensor


class TokenBlock(nn.Module):
    """A residual convolution over tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(EMBEDDING)
        self.conv = nn.Conv1d(EMBEDDING, EMBEDDING, 5, padding=2)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = self.conv((self.norm(x) * mask).transpose(1, 2)).transpose(1, 2)
        summed: Tensor = x + functional.gelu(y)
        return summed


class FrameBlock(nn.Module):
    """A gated, dilated residual convolution over frames."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(CHANNELS)
        self.conv = nn.Conv1d(CHANNELS, 2 * CHANNELS, 3, padding=dilation, dilation=dilation)
        self.out = nn.Linear(CHANNELS, CHANNELS)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = self.conv((self.norm(x) * mask).transpose(1, 2)).transpose(1, 2)
        value, gate = y.chunk(2, dim=2)
        summed: Tensor = x + self.out(value * torch.sigmoid(gate))
        return summed


class Acoustic(nn.Module):
    """Phonemes to features."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(SYMBOLS, EMBEDDING)
        self.token_blocks = nn.ModuleList(TokenBlock() for _ in range(3))
        self.recurrent = nn.GRU(EMBEDDING, HIDDEN, batch_first=True, bidirectional=True)
        self.duration = nn.Linear(2 * HIDDEN + EMBEDDING, 1)
        self.entry = nn.Linear(2 * HIDDEN + EMBEDDING + PLACES, CHANNELS)
        self.frame_blocks = nn.ModuleList(FrameBlock(d) for d in DILATIONS)
        self.norm = nn.LayerNorm(CHANNELS)
        self.head = nn.Linear(CHANNELS, 2 * OUTPUTS)

    def encode(self, ids: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Token states [B, N, ...] and log(duration in frames + SHORTEST) [B, N] of ids [B, N].

        `lengths` [B] for a padded batch; None when every id counts.
        """
        x = self.embedding(ids)
        if lengths is None:
            mask = torch.ones_like(x[:, :, :1])
        else:
            mask = (torch.arange(ids.shape[1])[None] < lengths[:, None]).float().unsqueeze(2)
        for block in self.token_blocks:
            x = block(x, mask)
        x = x * mask
        if lengths is None:
            context, _ = self.recurrent(x)
        else:
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            context, _ = pad_packed_sequence(
                self.recurrent(packed)[0], batch_first=True, total_length=ids.shape[1]
            )
        states = torch.cat([context, x], dim=2)
        return states, self.duration(states).squeeze(2)

    def decode(self, states: Tensor, durations: Tensor, centres: Tensor, mask: Tensor) -> Features:
        """Features of the frames at `centres`.

        states [B, N, S]; durations [B, N] frames, 0 for padding; centres [B, F] times of the
        frames' centres, in frames; mask [B, F, 1] of the frames that count.
        """
        ends = torch.cumsum(durations, dim=1)
        passed = (centres.unsqueeze(2) >= ends.unsqueeze(1)).long().sum(dim=2)
        index = torch.clamp(passed, max=durations.shape[1] - 1)
        here = torch.gather(states, 1, index.unsqueeze(2).expand(-1, -1, states.shape[2]))
        length = torch.gather(durations, 1, index)
        left = torch.gather(ends, 1, index) - centres
        done = length - left
        part = torch.clamp(done / (length + 1e-3), 0.0, 1.0)
        places = torch.stack(
            [
                part,
                part * part,
                torch.sin(part * torch.pi),
                torch.cos(part * torch.pi),
                torch.sin(part * (2.0 * torch.pi)),
                torch.clamp(done, 0.0, 2.0) * 0.5,
                torch.clamp(left, 0.0, 2.0) * 0.5,
                torch.log(torch.clamp(done, min=0.0) + 1.0),
                torch.log(torch.clamp(length, min=0.0) + 1.0),
            ],
            dim=2,
        )
        x = self.entry(torch.cat([here, places], dim=2))
        for block in self.frame_blocks:
            x = block(x, mask)
        out = self.head(self.norm(x)).unflatten(2, (2, OUTPUTS)).flatten(1, 2)
        envelope, bands, pitch, voice = out.split([KNOTS, BANDS, 1, 1], dim=2)
        return Features(
            envelope=torch.clamp(envelope * 2.0 + MEAN_LOG_AMPLITUDE, -14.0, 3.0),
            aperiodicity=torch.sigmoid(bands),
            log_f0=torch.clamp(pitch.squeeze(2) * 0.3 + MEAN_LOG_F0, 4.0, 5.6),
            voice_logit=voice.squeeze(2),
        )
