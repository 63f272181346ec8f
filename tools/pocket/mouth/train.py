"""Two stages: first the features, then end to end on the sound.

Progress goes by steps, not by the clock, with a fixed seed; every checkpoint resumes.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .batches import Batch, batches
from .features import HOP, Utterance
from .losses import SpectralLoss, feature_loss
from .net import Acoustic, Features
from .source import SourceFilter

SEED = 20_261
CORPUS_SEED = 7
AVERAGE = 0.998
"""Decay of the running average of the weights, which is what is exported."""
CLIP = 1.0
REPORT_EVERY = 25
SAVE_EVERY = 100


@dataclass(frozen=True)
class Stage:
    """A part of the schedule. `frames` is the size of a batch, in network frames."""

    name: str
    steps: int
    frames: int
    rate: float
    """Learning rate at its highest; it falls along a cosine to a twentieth."""
    end_to_end: bool


STAGES = (
    Stage("features", 2200, 2600, 2.5e-3, end_to_end=False),
    Stage("sound", 2400, 1300, 1.0e-3, end_to_end=True),
)


@dataclass
class State:
    """All that a run needs to go on."""

    net: Acoustic
    average: Acoustic
    optimiser: torch.optim.AdamW
    stage: int = 0
    step: int = 0

    def save(self, path: Path) -> None:
        partial = path.with_suffix(".partial")
        torch.save(
            {
                "net": self.net.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "stage": self.stage,
                "step": self.step,
            },
            partial,
        )
        partial.replace(path)

    def load(self, path: Path) -> None:
        kept: dict[str, Any] = torch.load(path, weights_only=True)
        self.net.load_state_dict(kept["net"])
        self.average.load_state_dict(kept["average"])
        self.optimiser.load_state_dict(kept["optimiser"])
        self.stage, self.step = kept["stage"], kept["step"]


def new_state() -> State:
    """A fresh network."""
    torch.manual_seed(SEED)
    net = Acoustic()
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)
    return State(net, copy.deepcopy(net), optimiser)


def _rate(stage: Stage, step: int) -> float:
    warm = min(1.0, (step + 1) / 60)
    return stage.rate * warm * (0.05 + 0.475 * (1 + math.cos(math.pi * step / stage.steps)))


def _losses(
    net: Acoustic, batch: Batch, source: SourceFilter, spectral: SpectralLoss, stage: Stage
) -> dict[str, Tensor]:
    with torch.autocast("cpu", torch.bfloat16):  # half as fast again as float32
        states, log_durations = net.encode(batch.ids, batch.lengths)
        rough = net.decode(states.float(), batch.durations, batch.centres, batch.frame_mask)
    said = Features(
        rough.envelope.float(),
        rough.aperiodicity.float(),
        rough.log_f0.float(),
        rough.voice_logit.float(),
    )
    losses = feature_loss(said, log_durations.float(), batch)
    if not stage.end_to_end:
        return losses
    # The reference's pitch drives the pulses, so that harmonics lie on harmonics; what the
    # network says of the pitch is learnt from the features alone.
    sound = source(
        said.envelope,
        said.aperiodicity,
        batch.log_f0,
        torch.sigmoid(said.voice_logit),
        torch.randn_like(batch.samples),
    )
    sound = sound * batch.fine_mask.repeat_interleave(HOP, dim=1)
    compared = spectral(sound, batch.samples)
    kept = {name: value * 0.3 for name, value in losses.items() if name in ("envelope", "bands")}
    return {**losses, **kept, **compared}


def train(utterances: list[Utterance], state: State, checkpoint: Path) -> Iterator[str]:
    """Run what is left of the schedule; yields lines of progress."""
    source, spectral = SourceFilter(), SpectralLoss()
    while state.stage < len(STAGES):
        stage = STAGES[state.stage]
        feed = batches(utterances, stage.frames, SEED + state.stage, state.step)
        began, first = time.monotonic(), state.step
        sums: dict[str, float] = {}
        while state.step < stage.steps:
            torch.manual_seed(SEED + 1000 * state.stage + state.step)
            for group in state.optimiser.param_groups:
                group["lr"] = _rate(stage, state.step)
            losses = _losses(state.net, next(feed), source, spectral, stage)
            total = torch.stack(list(losses.values())).sum()
            state.optimiser.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(state.net.parameters(), CLIP)
            state.optimiser.step()
            state.step += 1
            decay = min(AVERAGE, 1.0 - 1.0 / (state.step + 1)) if state.stage == 0 else AVERAGE
            with torch.no_grad():
                for kept, now in zip(
                    state.average.parameters(), state.net.parameters(), strict=True
                ):
                    kept.lerp_(now, 1.0 - decay)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value.item()
            if state.step % REPORT_EVERY == 0:
                pace = (time.monotonic() - began) / (state.step - first)
                left = pace * (stage.steps - state.step)
                parts = " ".join(f"{k} {v / REPORT_EVERY:.3f}" for k, v in sums.items())
                yield (
                    f"mouth: {stage.name} {state.step}/{stage.steps} {parts} "
                    f"| {pace:.2f} s a step, {left / 60:.1f} min left in this stage"
                )
                sums = {}
            if state.step % SAVE_EVERY == 0:
                state.save(checkpoint)
        state.stage, state.step = state.stage + 1, 0
        state.save(checkpoint)
        state.save(checkpoint.with_name(f"after_{stage.name}.pt"))
