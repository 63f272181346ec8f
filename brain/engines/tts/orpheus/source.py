"""What a voice of Orpheus is made of: a source of tokens, and a decoder that makes them sound."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from brain.engines.ports import CancelToken, EngineInfo
from brain.engines.tts.orpheus.frames import Frame

SAMPLING: Mapping[str, Any] = MappingProxyType(
    {"temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.1}
)
"""As on the model's card (without the penalty it repeats itself), in vLLM's names."""


class TokenSource(Protocol):
    """Runs the model of Orpheus, for several callers at once. Used from the event loop."""

    @property
    def info(self) -> EngineInfo:
        """`model` and `device`; the name is Orpheus's whatever runs it."""

    async def tokenize(self, text: str) -> list[int]:
        """Ids of plain text, and nothing around them. Raises `EngineUnavailable`,
        `EngineFailed`."""

    def stream(
        self, prompt: Sequence[int], *, max_tokens: int, cancel: CancelToken
    ) -> AsyncGenerator[Sequence[int], None]:
        """What the model writes after `prompt`, as it is made, some ids at a time.

        Ends before the end-of-speech token, or after `max_tokens`. Never waits for its consumer.
        Closing the iterator cancels. Raises `Cancelled`, `EngineUnavailable`, `EngineFailed`.
        """

    async def reset(self) -> None:
        """Free the model with its memory and load it anew; what is under way fails.

        Raises `EngineUnavailable` or `EngineFailed` if it can't; another reset may.
        """

    async def close(self) -> None:
        """As `Transcriber.close`."""


class SoundDecoder(Protocol):
    """Makes sound of frames. Used from the event loop."""

    async def decode(self, frames: Sequence[Frame]) -> NDArray[np.float32]:
        """float32 [n * 2048] in -1..1 at 24 kHz, of n frames. Raises `EngineFailed`."""

    async def close(self) -> None:
        """As `Transcriber.close`."""
