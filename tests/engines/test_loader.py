"""The engines of real settings: what serves, what is told, and what is never imported."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from brain.audio.pcm import Audio
from brain.engines.ladder import EngineState
from brain.engines.loader import EngineSet
from brain.engines.ports import EngineUnavailable, Message, Synthesizer, Text, Ticket
from brain.settings import Settings

POCKET: dict[str, Any] = {
    "llm_backend": "llamacpp",
    "llm_model_path": "pocket",
    "stt_model_size": "pocket",
    "piper_voice": "pocket",
    "cpu_threads": 1,
}


def run(main: Callable[[EngineSet], Awaitable[Any]], **changes: Any) -> Any:
    async def whole() -> Any:
        engines = EngineSet(Settings(**{**POCKET, **changes}))
        try:
            await engines.start()
            return await main(engines)
        finally:
            await engines.close()
            await engines.close()

    return asyncio.run(whole())


async def say(mouth: Synthesizer | None, text: str) -> list[Audio]:
    assert mouth is not None
    return [block async for block in mouth.stream(text, ticket=Ticket("a"))]


def by_kind(engines: EngineSet) -> dict[str, EngineState]:
    return {state.kind: state for state in engines.states()}


def test_the_pocket_profile_serves_with_all_it_has() -> None:
    async def main(engines: EngineSet) -> None:
        await engines.wait_settled()
        assert [(s.kind, s.active, s.loading, s.reason) for s in engines.states()] == [
            ("vad", "silero", False, ""),
            ("stt", "whisper", False, ""),
            ("llm", "llamacpp", False, ""),
            ("tts", "piper", False, ""),
        ]
        assert await say(engines.mouth, "Hello there.")
        stream = engines.mind.stream([Message("user", "Hello.")], ticket=Ticket("a"))
        assert "".join([item.text async for item in stream if isinstance(item, Text)])
        counters = engines.counters()
        assert counters["llm"]["completed"] == 1  # the warm-up is no robot's
        assert counters["tts"]["completed"] == 1

    before = set(threading.enumerate())  # other tests keep a voice of their own
    run(main)
    left = set(threading.enumerate()) - before
    assert not [t for t in left if t.name in {"mind", "ears", "piper", "espeak"}]


@pytest.mark.parametrize(
    ("changes", "kind", "wanted", "reason"),
    [
        ({"llm_model_path": "/no/such/model.gguf"}, "llm", "llamacpp", "/no/such/model.gguf"),
        ({"llm_backend": "vllm"}, "llm", "vllm", "extra vllm"),
        ({"stt_model_size": "/no/such/ears"}, "stt", "whisper", "/no/such/ears"),
        ({"piper_voice": "/no/such/voice.onnx"}, "tts", "piper", "/no/such/voice.onnx"),
        ({"tts_backend": "orpheus"}, "tts", "orpheus", "TTS_BACKEND=orpheus"),
    ],
)
def test_what_is_missing_is_told_and_the_pocket_rung_serves(
    changes: dict[str, Any], kind: str, wanted: str, reason: str
) -> None:
    async def main(engines: EngineSet) -> None:
        assert by_kind(engines)[kind].loading
        await engines.wait_settled()
        state = by_kind(engines)[kind]
        assert (state.wanted, state.loading, state.model) == (wanted, False, "pocket")
        assert reason in state.reason
        assert "\n" not in state.reason

    run(main, **changes)


def test_text_only() -> None:
    async def main(engines: EngineSet) -> None:
        assert engines.mouth is None
        assert set(by_kind(engines)) == {"vad", "stt", "llm"}

    run(main, tts_backend="off")


@pytest.mark.parametrize("changes", [{"tts_backend": "espeak"}, {"piper_voice": ""}])
def test_espeak_alone(changes: dict[str, Any]) -> None:
    async def main(engines: EngineSet) -> None:
        await engines.wait_settled()
        assert by_kind(engines)["tts"].active == "espeak"
        assert by_kind(engines)["tts"].reason == ""
        assert await say(engines.mouth, "Hello there.")

    run(main, **changes)


def test_closing_while_it_loads() -> None:
    async def main() -> None:
        engines = EngineSet(Settings(**{**POCKET, "llm_model_path": "/no/such/model.gguf"}))
        await engines.start()
        await engines.close()
        with pytest.raises(EngineUnavailable):
            await say(engines.mouth, "Hello.")

    asyncio.run(main())


def test_what_is_not_chosen_is_not_imported(tmp_path: Path) -> None:
    code = """
import asyncio, sys
from brain.engines.loader import EngineSet
from brain.settings import Settings
heavy = ("llama_cpp", "faster_whisper", "ctranslate2", "piper", "torch", "vllm")
settings = Settings(llm_backend="vllm", tts_backend="espeak", stt_model_size="pocket")
engines = EngineSet(settings)
print([name for name in heavy if name in sys.modules])
async def main():
    await engines.start()
    await engines.close()
asyncio.run(main())
print([name for name in ("piper", "torch", "vllm") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"], done.stderr
