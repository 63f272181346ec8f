"""The ears' network: Hugging Face's Whisper modules, run so that the 30 s window costs little.

faster-whisper pads every clip with zeros to 3000 frames. Here the encoder sees the clip and a few
randomly placed frames of that padding, whose attention logits are raised by the logarithm of how
many each stands for: in expectation the same as the whole window, at a tenth of the cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import WhisperConfig, WhisperForConditionalGeneration

POSITIONS = 1500


@dataclass(frozen=True)
class Size:
    """Shape of the network; the feed-forward width is four times `width`."""

    width: int = 192
    heads: int = 3
    encoder_layers: int = 3
    decoder_layers: int = 2


class Ears(nn.Module):
    """A Whisper and a phoneme head on its encoder that only training uses."""

    def __init__(self, vocabulary: int, phonemes: int, end: int, start: int, size: Size) -> None:
        super().__init__()
        self.size = size
        self.whisper = WhisperForConditionalGeneration(
            WhisperConfig(
                vocab_size=vocabulary,
                d_model=size.width,
                encoder_layers=size.encoder_layers,
                decoder_layers=size.decoder_layers,
                encoder_attention_heads=size.heads,
                decoder_attention_heads=size.heads,
                encoder_ffn_dim=4 * size.width,
                decoder_ffn_dim=4 * size.width,
                num_mel_bins=80,
                pad_token_id=end,
                bos_token_id=end,
                eos_token_id=end,
                decoder_start_token_id=start,
                init_std=0.02,
            )
        )
        self.phonemes = nn.Linear(size.width, phonemes + 1)

    def encode(
        self, features: Tensor, pads: int = 14, window: int = POSITIONS
    ) -> tuple[Tensor, Tensor]:
        """Encode [batch, frames, 80] (frames even, zeros after each clip).

        pads: sampled frames of the padding that goes up to `window` (in encoder steps of 20 ms;
        more than frames / 2); 0 takes none. Returns the encoding [batch, frames / 2 + pads, width]
        and the bias of its keys [frames / 2 + pads].
        """
        encoder = self.whisper.model.encoder
        steps = features.shape[1] // 2
        # Four more frames of padding, so that the last kept output sees the padding's real edge.
        mel = functional.pad(features, (0, 0, 0, 6)).transpose(1, 2)
        hidden = functional.gelu(encoder.conv1(mel))
        hidden = functional.gelu(encoder.conv2(hidden)).transpose(1, 2)
        padding = hidden[:, steps + 1 : steps + 2]
        hidden = hidden[:, :steps]
        where = torch.arange(steps)
        bias = torch.zeros(steps + pads)
        if pads:
            where = torch.cat([where, torch.randint(steps, window, (pads,)).sort().values])
            bias[steps:] = math.log((window - steps) / pads)
            hidden = torch.cat([hidden, padding.expand(-1, pads, -1)], dim=1)
        hidden = hidden + encoder.embed_positions.weight[where]
        for layer in encoder.layers:
            normed = layer.self_attn_layer_norm(hidden)
            hidden = hidden + self._attend(layer.self_attn, normed, normed, bias)
            hidden = hidden + _feed_forward(layer, hidden)
        return encoder.layer_norm(hidden), bias

    def decode(self, tokens: Tensor, memory: Tensor, bias: Tensor) -> Tensor:
        """Logits [batch, length, vocabulary] after each of `tokens` [batch, length]."""
        decoder = self.whisper.model.decoder
        length = tokens.shape[1]
        hidden = decoder.embed_tokens(tokens) + decoder.embed_positions.weight[:length]
        causal = torch.full((length, length), -math.inf).triu(1)
        for layer in decoder.layers:
            normed = layer.self_attn_layer_norm(hidden)
            hidden = hidden + self._attend(layer.self_attn, normed, normed, causal)
            normed = layer.encoder_attn_layer_norm(hidden)
            hidden = hidden + self._attend(layer.encoder_attn, normed, memory, bias)
            hidden = hidden + _feed_forward(layer, hidden)
        return functional.linear(decoder.layer_norm(hidden), decoder.embed_tokens.weight)

    def _attend(self, attention: nn.Module, query: Tensor, memory: Tensor, bias: Tensor) -> Tensor:
        batch, length, width = query.shape
        heads = self.size.heads

        def split(x: Tensor) -> Tensor:
            return x.view(batch, -1, heads, width // heads).transpose(1, 2)

        q, k, v = (
            split(attention.q_proj(query)),
            split(attention.k_proj(memory)),
            split(attention.v_proj(memory)),
        )
        scores = q @ k.transpose(2, 3) * (width // heads) ** -0.5
        weights = (scores.float() + bias).softmax(-1).to(v.dtype)
        mixed = (weights @ v).transpose(1, 2).reshape(batch, length, width)
        return attention.out_proj(mixed)  # type: ignore[no-any-return, operator]


def _feed_forward(layer: nn.Module, hidden: Tensor) -> Tensor:
    inner = functional.gelu(layer.fc1(layer.final_layer_norm(hidden)))  # type: ignore[operator]
    return layer.fc2(inner)  # type: ignore[no-any-return, operator]
