"""Training of the pocket mind: by steps, seeded, resumable."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tools.pocket.mind.batches import Batch, Batches
from tools.pocket.mind.model import Mind


@dataclass(frozen=True)
class Recipe:
    """How it is trained. Rates are for the matrices (Muon) and for the rest (AdamW)."""

    steps: int = 3100
    tokens: int = 4096
    seed: int = 20261120
    rate: float = 4e-3
    rest_rate: float = 4e-3
    weight_decay: float = 0.05
    warmup: int = 40
    decay_share: float = 0.45
    dropout: float = 0.0
    save_every: int = 100


def train(mind: Mind, batches: Batches, recipe: Recipe, checkpoint: Path, *, resume: bool) -> None:
    """Train `mind` in place, saving to `checkpoint` as it goes."""
    mind.dropout = recipe.dropout
    optimizers = _optimizers(mind, recipe)
    step = 0
    if resume and checkpoint.exists():
        state: dict[str, Any] = torch.load(checkpoint, weights_only=True)
        mind.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        step = state["step"]
    torch.manual_seed(recipe.seed + step)
    mind.train()
    began, first, seen = time.monotonic(), step, 0.0
    for batch in batches.starting_at(step):
        if step >= recipe.steps:
            break
        factor = schedule(step, recipe)
        for optimizer, rate in zip(optimizers, (recipe.rate, recipe.rest_rate), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        loss = _loss(mind, batch)
        loss.backward()
        nn.utils.clip_grad_norm_(mind.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step += 1
        seen = 0.95 * seen + 0.05 * loss.item() if seen else loss.item()
        if step % 20 == 0:
            each = (time.monotonic() - began) / (step - first)
            left = (recipe.steps - step) * each / 60
            print(
                f"step {step}/{recipe.steps} loss {seen:.4f}, {each:.2f} s/step, "
                f"{left:.0f} min left",
                flush=True,
            )
        if step % recipe.save_every == 0 or step == recipe.steps:
            save(mind, optimizers, step, checkpoint)
    mind.eval()


def save(mind: Mind, optimizers: list[torch.optim.Optimizer], step: int, path: Path) -> None:
    """Write a checkpoint, whole or not at all."""
    state = {
        "model": mind.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "step": step,
    }
    beside = path.with_suffix(".new")
    torch.save(state, beside)
    beside.replace(path)


def schedule(step: int, recipe: Recipe) -> float:
    """Warm up, hold, and fall linearly to nothing at the end."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    fall = int(recipe.steps * recipe.decay_share)
    left = recipe.steps - step
    return min(1.0, max(0.01, left / fall))


def _loss(mind: Mind, batch: Batch) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        hidden = mind.hidden(batch.inputs)
        wanted = batch.weights > 0
        logits = F.linear(hidden[wanted], mind.token_embd.weight)
    each = F.cross_entropy(logits.float(), batch.targets[wanted], reduction="none")
    weights = batch.weights[wanted]
    return (each * weights).sum() / weights.sum()


def _optimizers(mind: Mind, recipe: Recipe) -> list[torch.optim.Optimizer]:
    matrices = [p for name, p in mind.named_parameters() if p.ndim == 2 and "embd" not in name]
    rest = [p for name, p in mind.named_parameters() if p.ndim != 2 or "embd" in name]
    return [
        torch.optim.Muon(
            matrices,
            lr=recipe.rate,
            weight_decay=recipe.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(rest, lr=recipe.rest_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]
