"""What is said to ears and detectors."""

from __future__ import annotations

import asyncio
from functools import cache

import numpy as np
import soxr
from numpy.typing import NDArray

from brain.audio.pcm import to_float
from brain.engines.ports import Ticket
from brain.engines.recipes import POCKET
from brain.engines.tts.piper import PiperSynthesizer

RATE = 16_000
"""Hz, of all that is heard."""

Sound = NDArray[np.float32]


@cache
def phrase(text: str) -> Sound:
    """`text` by the pocket voice, which never says it otherwise; a little silence around it.

    For the first time it has to be called where no event loop runs.
    """

    async def main() -> list[NDArray[np.int16]]:
        mouth = PiperSynthesizer(POCKET / "voice.onnx")
        blocks = [block async for block in mouth.stream(text, ticket=Ticket("a"))]
        await mouth.close()
        return [block.samples for block in blocks]

    sound = to_float(np.concatenate(asyncio.run(main())))
    padded: Sound = np.pad(soxr.resample(sound, 22_050, RATE), RATE // 3).astype(np.float32)
    padded.flags.writeable = False
    return padded
