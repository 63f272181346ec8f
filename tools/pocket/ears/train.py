"""Trains the ears: one thread, a schedule by steps, checkpoints that resume."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from tools.pocket import speech
from tools.pocket.ears.batches import Example, Mixer, batches
from tools.pocket.ears.network import POSITIONS, Ears, Size
from tools.pocket.ears.tokens import encode

_CTC = 0.3
_WHOLE_WINDOW, _SHORT_AFTER = 0.5, 50
_AVERAGE = 0.998
_SKIPPED = -100


@dataclass(frozen=True)
class Schedule:
    """Steps and rates: a short warm-up, a level, then a straight line to nought."""

    steps: int = 4500
    warm_up: int = 150
    decay_from: float = 0.2
    matrix_rate: float = 0.016
    other_rate: float = 1.6e-3
    mouth_from: float = 0.7

    def factor(self, step: int) -> float:
        """Learning rate at `step` relative to the level."""
        left = (self.steps - step) / (self.steps * (1.0 - self.decay_from))
        return max(0.0, min(1.0, (step + 1) / self.warm_up, left))


@dataclass(frozen=True)
class Symbols:
    """Numbers of the text tokens that training needs, and of the phonemes (0 is the blank)."""

    tokenizer: Tokenizer
    phonemes: dict[str, int]

    @classmethod
    def of(cls, tokenizer: Tokenizer, texts: Sequence[str]) -> Symbols:
        """Phonemes are all those that espeak-ng uses for `texts`, plus those of joined texts."""
        known = sorted({sound for text in texts for sound in sounds(text)})
        return cls(tokenizer, {sound: i + 1 for i, sound in enumerate(known)})

    def token(self, name: str) -> int:
        """Id of a special token."""
        return int(self.tokenizer.token_to_id(name))


def sounds(text: str) -> list[str]:
    """Phonemes of `text` in plain en-us, without stress, length and spaces."""
    return [s for s in speech.phonemes(text) if s not in " ˈˌː\u0329\u0361-\n"]


@dataclass(frozen=True)
class Batch:
    """Tensors of one step: features [n, frames, 80]; tokens in and out [n, length];
    phonemes end to end with their lengths; encoder steps of each clip."""

    features: Tensor
    given: Tensor
    wanted: Tensor
    phonemes: Tensor
    phoneme_lengths: Tensor
    steps: Tensor


def collate(examples: list[Example], symbols: Symbols) -> Batch:
    """Pad a batch with zeros, which is what faster-whisper pads with."""
    frames = max(len(e.features) for e in examples)
    features = np.zeros((len(examples), frames + frames % 2, 80), np.float32)
    texts = [encode(symbols.tokenizer, e.text) for e in examples]
    length = max(len(t) for t in texts) + 2
    end, start = symbols.token("<|endoftext|>"), symbols.token("<|startoftranscript|>")
    plain, nothing = symbols.token("<|notimestamps|>"), symbols.token("<|nospeech|>")
    given = np.full((len(examples), length), end)
    wanted = np.full((len(examples), length), _SKIPPED)
    spoken: list[list[int]] = []
    for row, (example, text) in enumerate(zip(examples, texts, strict=True)):
        features[row, : len(example.features)] = example.features
        given[row, : len(text) + 2] = [start, plain, *text]
        # After the start the model says whether there is speech: faster-whisper's no_speech_prob.
        wanted[row, : len(text) + 2] = [plain if text else nothing, *text, end]
        spoken.append([symbols.phonemes[s] for s in sounds(example.text) if s in symbols.phonemes])
    return Batch(
        torch.from_numpy(features),
        torch.from_numpy(given),
        torch.from_numpy(wanted),
        torch.tensor([s for row in spoken for s in row], dtype=torch.long),
        torch.tensor([len(row) for row in spoken]),
        torch.tensor([(len(e.features) + 1) // 2 for e in examples]),
    )


def loss_of(ears: Ears, batch: Batch) -> tuple[Tensor, float]:
    """Training loss, and the cross-entropy of the text alone, in nats a token."""
    with torch.autocast("cpu", torch.bfloat16):
        steps = batch.features.shape[1] // 2
        # The brain's adapter cuts the window a second after the sound; faster-whisper pads to 30 s.
        window = POSITIONS if bool(torch.rand(()) < _WHOLE_WINDOW) else steps + _SHORT_AFTER
        memory, bias = ears.encode(batch.features, window=window)
        logits = ears.decode(batch.given, memory, bias).float()
        heard = ears.phonemes(memory[:, :steps]).float().log_softmax(-1)
    text = functional.cross_entropy(
        logits.flatten(0, 1), batch.wanted.flatten(), ignore_index=_SKIPPED
    )
    aligned = functional.ctc_loss(
        heard.transpose(0, 1),
        batch.phonemes,
        batch.steps,
        batch.phoneme_lengths,
        zero_infinity=True,
        reduction="sum",
    ) / max(1, len(batch.phonemes))
    return text + _CTC * aligned, float(text.detach())


def optimisers(ears: Ears, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for everything else."""
    matrices, others = [], []
    for name, parameter in ears.named_parameters():
        if parameter.requires_grad:
            inner = parameter.ndim == 2 and ".layers." in name
            (matrices if inner else others).append(parameter)
    return [
        torch.optim.Muon(matrices, lr=schedule.matrix_rate, weight_decay=0.02),
        torch.optim.AdamW(others, lr=schedule.other_rate, betas=(0.9, 0.98), weight_decay=0.01),
    ]


class Trainer:
    """The state of a training: network, running average of it, optimisers, step."""

    def __init__(self, symbols: Symbols, schedule: Schedule, seed: int, size: Size) -> None:
        torch.manual_seed(seed)
        self.symbols, self.schedule, self.seed, self.step = symbols, schedule, seed, 0
        self.ears = Ears(
            symbols.tokenizer.get_vocab_size(),
            len(symbols.phonemes),
            symbols.token("<|endoftext|>"),
            symbols.token("<|startoftranscript|>"),
            size,
        )
        self.average = deepcopy(self.ears)
        self.optimisers = optimisers(self.ears, schedule)

    def save(self, path: Path) -> None:
        """Write a checkpoint, swapped in whole."""
        state: dict[str, Any] = {
            "step": self.step,
            "ears": self.ears.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [o.state_dict() for o in self.optimisers],
        }
        part = path.with_suffix(".part")
        torch.save(state, part)
        part.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same size of network."""
        state = torch.load(path, weights_only=True)
        self.step = int(state["step"])
        self.ears.load_state_dict(state["ears"])
        self.average.load_state_dict(state["average"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)

    def run(self, folder: Path, until: int, extra: str | None = None) -> None:
        """Train up to step `until` on the shelves in `folder`, with a checkpoint every 100."""
        mixer = Mixer(folder, self.seed + self.step, extra)
        source = batches(mixer, self.seed + self.step)
        began, first, shown = time.monotonic(), self.step, [0.0, 0]
        rates = [
            [group["lr"] for group in o.param_groups] for o in optimisers(self.ears, self.schedule)
        ]
        while self.step < until:
            factor = self.schedule.factor(self.step)
            for optimiser, level in zip(self.optimisers, rates, strict=True):
                for group, rate in zip(optimiser.param_groups, level, strict=True):
                    group["lr"] = rate * factor
            self._one(collate(next(source), self.symbols), shown)
            if self.step % 50 == 0:
                pace = (time.monotonic() - began) / (self.step - first)
                left = pace * (self.schedule.steps - self.step) / 60
                print(
                    f"ears: step {self.step}/{self.schedule.steps}, text loss "
                    f"{shown[0] / shown[1]:.4f}, {pace:.2f} s a step, {left:.0f} min left",
                    flush=True,
                )
                shown = [0.0, 0]
            if self.step % 100 == 0 or self.step == until:
                self.save(folder / "checkpoint.pt")

    def _one(self, batch: Batch, shown: list[float]) -> None:
        loss, text = loss_of(self.ears, batch)
        if not math.isfinite(text):
            raise RuntimeError(f"the loss is {text} at step {self.step}")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.ears.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.step += 1
        shown[0] += text
        shown[1] += 1
        share = min(_AVERAGE, self.step / (self.step + 10))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.ears.parameters(), strict=True):
                mean.lerp_(now, 1.0 - share)
