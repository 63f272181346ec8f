"""Batches of token ids made on the fly: a pure function of the seed and the step's pool."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from brain.engines.llm.chat_prompt import ChatTemplate
from tools.pocket.mind.dialogues import Dialogues
from tools.pocket.mind.plans import planning
from tools.pocket.mind.tokens import Tokens

# Of what users and tools say the mind learns a little too: it knows words better for it.
_OTHERS_WEIGHT = 0.08
_PLAN_SHARE = 0.16
_DRILL_SHARE = 0.40
_NOISE = 0.02
_POOL = 12
_LONGEST = 1200


@dataclass(frozen=True)
class Batch:
    """Inputs and targets int64 [batch, time], weights float32 of each target (0 is padding)."""

    inputs: Tensor
    targets: Tensor
    weights: Tensor


class Batches:
    """An endless stream of batches of about `tokens` tokens, bucketed by length."""

    def __init__(
        self, dialogues: Dialogues, template: ChatTemplate, codec: Tokens, tokens: int, seed: int
    ) -> None:
        self._dialogues, self._template, self._codec = dialogues, template, codec
        self._tokens, self._seed = tokens, seed
        self._opening = [codec.start, *codec.text("assistant\n")]

    def starting_at(self, step: int) -> Iterator[Batch]:
        """The batches from `step` on; the same whether or not training was interrupted before."""
        pool = step // _POOL
        skip = step % _POOL
        while True:
            batches = self._pool(pool)
            yield from batches[skip:]
            pool, skip = pool + 1, 0

    def _pool(self, index: int) -> list[Batch]:
        """`_POOL` batches: conversations sorted by length, cut by tokens, shuffled."""
        rng = random.Random(f"{self._seed}-{index}")
        rows: list[tuple[list[int], list[float]]] = []
        size = 0
        while size < self._tokens * _POOL:
            row = self._row(rng)
            if len(row[0]) <= _LONGEST:
                rows.append(row)
                size += len(row[0])
        rows.sort(key=lambda row: len(row[0]))
        batches: list[Batch] = []
        start, share = 0, size / _POOL
        for number in range(_POOL):
            end = start
            while end < len(rows) and (
                number == _POOL - 1 or sum(len(row[0]) for row in rows[start:end]) < share
            ):
                end += 1
            if end > start:
                batches.append(_padded(rows[start:end]))
            start = end
        while len(batches) < _POOL:
            batches.append(batches[-1])
        rng.shuffle(batches)
        return batches

    def _row(self, rng: random.Random) -> tuple[list[int], list[float]]:
        dice = rng.random()
        if dice < _PLAN_SHARE:
            segments = self._template.segments(planning(rng), open_reply=False)
        else:
            drill = dice < _PLAN_SHARE + _DRILL_SHARE
            talk = self._dialogues.drill(rng) if drill else self._dialogues.conversation(rng)
            segments = self._template.segments(talk.messages, talk.tools, open_reply=False)
        ids = self._codec.prompt(segments)
        weights = self._weights(ids)
        for place, weight in enumerate(weights):
            # A wrong token now and then in what others say: no single word may be relied on.
            if weight < 1.0 and ids[place] > 8 and rng.random() < _NOISE:
                ids[place] = rng.randrange(16, 1536)
        return ids, weights

    def _weights(self, ids: list[int]) -> list[float]:
        """1 for each token of a reply and its end, little for the rest."""
        weights = [_OTHERS_WEIGHT] * len(ids)
        opening = self._opening
        place = 0
        while place < len(ids):
            if ids[place : place + len(opening)] == opening:
                place += len(opening)
                while place < len(ids):
                    weights[place] = 1.0
                    if ids[place] == self._codec.end:
                        break
                    place += 1
            place += 1
        return weights


def _padded(rows: list[tuple[list[int], list[float]]]) -> Batch:
    length = max(len(ids) for ids, _ in rows) - 1
    inputs = torch.zeros(len(rows), length, dtype=torch.int64)
    targets = torch.zeros(len(rows), length, dtype=torch.int64)
    weights = torch.zeros(len(rows), length)
    for row, (ids, weight) in enumerate(rows):
        n = len(ids) - 1
        inputs[row, :n] = torch.tensor(ids[:-1])
        targets[row, :n] = torch.tensor(ids[1:])
        weights[row, :n] = torch.tensor(weight[1:])
    return Batch(inputs, targets, weights)
