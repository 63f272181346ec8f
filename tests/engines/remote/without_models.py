"""Run by a test in a process of its own: a brain's engines where no engine library is installed.

Arguments: the address of a mind, and that of ears and mouth. Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from typing import Any

ABSENT = frozenset(
    {"llama_cpp", "faster_whisper", "ctranslate2", "piper", "espeakng_loader", "kokoro_onnx",
     "huggingface_hub", "jinja2", "torch", "transformers"}
)  # fmt: skip


class Absent(MetaPathFinder):
    """Nothing of `ABSENT` is installed."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> None:
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


async def main(mind_url: str, audio_url: str) -> dict[str, Any]:
    from brain.engines.loader import EngineSet
    from brain.engines.ports import EngineError, Message, Text, Ticket
    from brain.settings import Settings

    engines = EngineSet(
        Settings(
            llm_backend="openai",
            stt_backend="openai",
            tts_backend="openai",
            openai_url=mind_url,
            stt_openai_url=audio_url,
            tts_openai_url=audio_url,
        )
    )
    await engines.start()
    await engines.wait_settled(60)
    assert engines.mouth is not None
    found: dict[str, Any] = {"states": {s.kind: [s.active, s.reason] for s in engines.states()}}
    ticket = Ticket("r")
    try:
        blocks = [block async for block in engines.mouth.stream("Hello there.", ticket=ticket)]
        sound = [sample / 32768 for block in blocks for sample in block.samples[::3].tolist()]
        import numpy as np

        samples = np.array(sound * 2, np.float32)  # (8 kHz, said at double speed: it is some sound)
        await engines.transcriber.transcribe(samples, language="en", ticket=ticket)
        items = engines.mind.stream([Message("user", "Hello.")], ticket=ticket)
        said = [item.text async for item in items if isinstance(item, Text)]
        found |= {"sound": len(sound), "said": "".join(said)}
    except EngineError as error:
        found["error"] = type(error).__name__
    found["counters"] = engines.counters()
    found["imported"] = sorted(ABSENT & set(sys.modules))
    await engines.close()
    return found


if __name__ == "__main__":
    sys.meta_path.insert(0, Absent())
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
