"""Three copies of espeak-ng in one process: ours, Piper's and that of Kokoro's phonemes.

Each is full of variables that are one for the library, so none may be another's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from brain.engines.ports import Synthesizer, Ticket
from brain.engines.recipes import POCKET
from brain.engines.tts.espeak import EspeakOptions, EspeakSynthesizer
from brain.engines.tts.kokoro import KokoroOptions, KokoroSynthesizer
from brain.engines.tts.piper import PiperSynthesizer
from tests.engines.tts.tiny_kokoro import write_kokoro

TEXTS = (
    "Hello, I am glad that you came by today.",
    "One, two, three, four.",
    "Well, what does a cow say?",
)
TIMES = 3


async def lengths(mouth: Synthesizer, voice: str | None) -> list[int]:
    """Samples of each text."""
    found = []
    for text in TEXTS:
        blocks = [b async for b in mouth.stream(text, voice=voice, ticket=Ticket("a"))]
        found.append(sum(len(block.samples) for block in blocks))
    return found


def test_none_disturbs_another(tmp_path: Path) -> None:
    async def main() -> None:
        kokoro = KokoroOptions(*write_kokoro(tmp_path))
        mouths: Mapping[str, Synthesizer] = {
            "espeak": await EspeakSynthesizer.load(EspeakOptions()),
            "german": await EspeakSynthesizer.load(EspeakOptions("de")),
            "piper": PiperSynthesizer(POCKET / "voice.onnx"),
            "american": KokoroSynthesizer(kokoro),
            "spanish": KokoroSynthesizer(kokoro),
        }
        voices = {"spanish": "ef_tenor"}
        alone = {name: await lengths(mouth, voices.get(name)) for name, mouth in mouths.items()}
        assert len({tuple(found) for found in alone.values()}) == len(mouths)

        async def again(name: str) -> list[list[int]]:
            return [await lengths(mouths[name], voices.get(name)) for _ in range(TIMES)]

        together = await asyncio.gather(*(again(name) for name in mouths))
        for name, found in zip(mouths, together, strict=True):
            for several in found:
                # (espeak-ng's own sound differs by some ms each time.)
                near = all(
                    abs(a - b) <= 0.03 * b for a, b in zip(several, alone[name], strict=True)
                )
                assert near if name in ("espeak", "german") else several == alone[name], name
        for mouth in mouths.values():
            await mouth.close()

    asyncio.run(main())
