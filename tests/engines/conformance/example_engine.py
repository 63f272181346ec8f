"""A mouth that chirps, one tone a letter."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import numpy as np

from brain.audio.pcm import Audio, to_int16
from brain.engines.ports import CancelToken, Emotion, EngineInfo, Ticket
from brain.engines.tts.prosody import prosody
from brain.engines.tts.speakable import readable
from brain.engines.worker import Worker

RATE = 16_000
"""Hz."""
TONE_S = 0.06


class Chirper:
    """A `Synthesizer`. A letter is a tone of its own; what is between them is a rest."""

    def __init__(self) -> None:
        self._worker = Worker("chirper")

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("chirper", "one tone a letter", "cpu")

    @property
    def voices(self) -> tuple[str, ...]:
        return ("chirper", "low")

    async def stream(
        self, text: str, *, voice: str | None = None, emotion: Emotion | None = None, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        """As `Synthesizer.stream`."""
        ticket.cancel.raise_if_cancelled()
        pitch = prosody(emotion).pitch * (0.5 if voice == "low" else 1.0)
        # On a thread of its own: nothing may hold up the event loop for more than a few ms.
        tones = self._worker.iterate(lambda: _tones(text, pitch, ticket.cancel))
        async with aclosing(tones) as blocks:
            async for block in blocks:
                # What waits here was made before the cancel.
                ticket.cancel.raise_if_cancelled()
                yield block

    async def close(self) -> None:
        """As `Synthesizer.close`."""
        await self._worker.close()


def _tones(text: str, pitch: float, token: CancelToken) -> Iterator[Audio]:
    time = np.arange(int(RATE * TONE_S)) / RATE
    for letter in readable(text):
        token.raise_if_cancelled()
        hertz = pitch * (300.0 + 25.0 * (ord(letter.lower()) % 32)) if letter.isalnum() else 0.0
        fade = np.sin(np.pi * time / TONE_S)
        yield Audio(to_int16(0.3 * fade * np.sin(2 * np.pi * hertz * time)), RATE)
