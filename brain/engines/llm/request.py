"""What is asked of a batcher, and what it counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from brain.engines.llm.patches import Patches
from brain.engines.llm.sampling import Sampler
from brain.engines.ports import CancelToken, EngineError


@dataclass(frozen=True)
class Prepared:
    """A request made ready on the engine's thread. `patches`: the pictures in its prompt."""

    prompt: list[int]
    sampler: Sampler
    ends: Callable[[int], bool]
    shown: Callable[[int], bytes]
    patches: Patches = field(default_factory=Patches)


@dataclass
class Request:
    """One reply that is wanted.

    `prepare` makes the prompt (it is called on the engine's thread and may raise `EngineError`).
    `emit` gets the text as it is made, then None at the end or the error; also on that thread.
    `take`, if any, gets each token, before its text and on that thread; the token that ends a reply
    is not among them. `over` once the end has been. `max_tokens` 0: the prompt is computed, for one
    to come, and nothing is made.
    """

    prepare: Callable[[], Prepared]
    emit: Callable[[str | EngineError | None], None]
    cancel: CancelToken
    max_tokens: int
    over: bool = False
    take: Callable[[int], None] | None = None

    def finish(self, outcome: EngineError | None) -> None:
        """Tell the end: None if all went well."""
        self.over = True
        self.emit(outcome)


@dataclass
class BatchCounters:
    """Since the start: tokens of prompts (and cells of pictures) that were computed and that were
    found in the cache, tokens that were made, batches that were run and those of them that were
    aborted."""

    prefilled: int = 0
    reused: int = 0
    generated: int = 0
    batches: int = 0
    aborted: int = 0
