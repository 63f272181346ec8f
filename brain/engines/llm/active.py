"""The replies under way in a batcher, and what of each goes into the next batch."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, field

from brain.engines.llm.native import Entry
from brain.engines.llm.request import Prepared, Request
from brain.engines.llm.sequences import Slot

SHARED_PIECE = 64
"""A newcomer's prompt goes in smaller pieces while others are being answered, not to stall them."""


@dataclass
class Active:
    """A reply under way. `tokens`: the cells of its prompt and what has been made; those of them
    that are in the context's memory are the slot's. The logits after the last one make the next
    one."""

    request: Request
    ready: Prepared
    slot: Slot
    budget: int
    tokens: list[int]
    text: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    @property
    def made(self) -> int:
        return len(self.tokens) - len(self.ready.prompt)

    @property
    def answers(self) -> bool:
        """Whether a reply is wanted, or the prompt alone."""
        return self.budget > 0

    @property
    def missing(self) -> int:
        return len(self.tokens) - len(self.slot.tokens)

    @property
    def missing_text(self) -> int:
        """Of `missing`, how many tokens come before the next picture."""
        here = len(self.slot.tokens)
        return self.ready.patches.text_until(here, len(self.tokens)) - here

    def where(self, index: int) -> int:
        """The position of the cell at `index`."""
        return self.ready.patches.position(index)


@dataclass(frozen=True)
class Share:
    """What a batch holds of one reply: `size` tokens; `asked` is the entry with logits, if any."""

    active: Active
    size: int
    asked: int | None


def filled(under_way: Sequence[Active], batch: int) -> tuple[list[Entry], list[Share]]:
    """The next batch, of at most `batch` tokens: the newest token of each reply, then pieces of
    prompts. What is next of a prompt may be a picture: that goes elsewhere.

    In the order of their sequences: of those with cells of their own llama.cpp computes together
    only what stands in a row so (`split_equal` in its llama-batch.cpp).
    """
    speaking = [active for active in under_way if active.missing == 1 and active.answers]
    reading = [a for a in under_way if a not in speaking and a.missing_text > 0]
    sizes = [(active, 1) for active in speaking[:batch]]
    room = batch - len(sizes)
    if sizes:
        room = min(room, SHARED_PIECE)
    for count, active in enumerate(reading):
        size = min(active.missing_text, room // (len(reading) - count))
        room -= size
        if size:
            sizes.append((active, size))
    entries: list[Entry] = []
    shares: list[Share] = []
    for active, size in sorted(sizes, key=lambda each: each[0].slot.sequence):
        _add(active, size, entries, shares)
    return entries, shares


def _add(active: Active, size: int, entries: list[Entry], shares: list[Share]) -> None:
    start, sequence = len(active.slot.tokens), active.slot.sequence
    last = len(active.tokens) - 1 if active.answers else -1
    position = active.where(start)
    entries += [
        Entry(active.tokens[index], position + index - start, sequence, index == last)
        for index in range(start, start + size)
    ]
    asked = len(entries) - 1 if entries[-1].wants_logits else None
    shares.append(Share(active, size, asked))
