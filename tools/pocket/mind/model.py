"""A small Qwen3 in plain PyTorch, to be trained on a CPU and run by llama.cpp.

Architecture (Qwen3 as llama.cpp runs it): RMS norm before attention and feed-forward, a norm of
each head's queries and keys, rotary positions in the half-split form, grouped queries, SwiGLU, tied
embeddings, no biases.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """The sizes of the model. Rows of every matrix are multiples of 32, as Q8_0 wants them."""

    vocab: int = 1536
    width: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    head: int = 64
    hidden: int = 704
    rope_base: float = 10_000.0
    epsilon: float = 1e-6
    context: int = 2048

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


class RMSNorm(nn.Module):
    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        x32 = x.float()
        scale = torch.rsqrt(x32.square().mean(-1, keepdim=True) + self.epsilon)
        return (x32 * scale * self.weight).to(x.dtype)


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        s = shape
        self.shape = s
        self.attn_norm = RMSNorm(s.width, s.epsilon)
        self.attn_q = nn.Linear(s.width, s.heads * s.head, bias=False)
        self.attn_k = nn.Linear(s.width, s.kv_heads * s.head, bias=False)
        self.attn_v = nn.Linear(s.width, s.kv_heads * s.head, bias=False)
        self.attn_output = nn.Linear(s.heads * s.head, s.width, bias=False)
        self.attn_q_norm = RMSNorm(s.head, s.epsilon)
        self.attn_k_norm = RMSNorm(s.head, s.epsilon)
        self.ffn_norm = RMSNorm(s.width, s.epsilon)
        self.ffn_gate = nn.Linear(s.width, s.hidden, bias=False)
        self.ffn_up = nn.Linear(s.width, s.hidden, bias=False)
        self.ffn_down = nn.Linear(s.hidden, s.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, dropout: float) -> Tensor:
        s = self.shape
        b, t, _ = x.shape
        y = self.attn_norm(x)
        q = self.attn_q_norm(self.attn_q(y).view(b, t, s.heads, s.head)).transpose(1, 2)
        k = self.attn_k_norm(self.attn_k(y).view(b, t, s.kv_heads, s.head)).transpose(1, 2)
        v = self.attn_v(y).view(b, t, s.kv_heads, s.head).transpose(1, 2)
        q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
        # Grouped queries: the heads of a group are stacked along time, so no key is copied.
        group = s.heads // s.kv_heads
        q = q.reshape(b, s.kv_heads, group * t, s.head)
        scores = (q @ k.transpose(-1, -2)).float() * s.head**-0.5
        scores = scores.view(b, s.kv_heads, group, t, t) + mask
        weights = F.softmax(scores, dim=-1).to(v.dtype).view(b, s.kv_heads, group * t, t)
        heads = (weights @ v).view(b, s.heads, t, s.head).transpose(1, 2).reshape(b, t, -1)
        x = x + F.dropout(self.attn_output(heads), dropout, self.training)
        y = self.ffn_norm(x)
        y = self.ffn_down(F.silu(self.ffn_gate(y)) * self.ffn_up(y))
        return x + F.dropout(y, dropout, self.training)


class Mind(nn.Module):
    """Token ids int64 [batch, time] to logits float [batch, time, vocab] (or hidden states)."""

    def __init__(self, shape: Shape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape, self.dropout = shape, dropout
        self.token_embd = nn.Embedding(shape.vocab, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = RMSNorm(shape.width, shape.epsilon)
        nn.init.normal_(self.token_embd.weight, std=0.02)
        for name, weight in self.named_parameters():
            if weight.ndim == 2 and "embd" not in name:
                scale = (2 * shape.layers) ** -0.5 if "output" in name or "down" in name else 1.0
                nn.init.normal_(weight, std=scale * weight.shape[1] ** -0.5)

    def hidden(self, ids: Tensor) -> Tensor:
        """The normed hidden states [batch, time, width]."""
        t = ids.shape[1]
        cos, sin = _angles(t, self.shape, ids.device)
        mask = torch.full((t, t), float("-inf")).triu(1)
        x = self.token_embd(ids)
        for block in self.blk:
            x = block(x, cos, sin, mask, self.dropout)
        return self.output_norm(x)

    def forward(self, ids: Tensor) -> Tensor:
        return F.linear(self.hidden(ids), self.token_embd.weight)


def _angles(length: int, shape: Shape, device: torch.device) -> tuple[Tensor, Tensor]:
    steps = torch.arange(0, shape.head, 2, device=device).float() / shape.head
    angles = torch.outer(torch.arange(length, device=device).float(), shape.rope_base**-steps)
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
    return (x.float() * cos + turned.float() * sin).to(x.dtype)
