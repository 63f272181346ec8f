"""The scripts cost what they say, to the millisecond, and let go when cancelled."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from brain.engines.ports import (
    Cancelled,
    LanguageModel,
    Message,
    Synthesizer,
    Text,
    Ticket,
    ToolCall,
    Transcriber,
    VoiceDetector,
)
from tests.scripted_engines import (
    Hang,
    Pause,
    ScriptedDetector,
    ScriptedMind,
    ScriptedMouth,
    ScriptedTranscriber,
)
from tests.virtual_time import run_virtual


def test_they_are_ports() -> None:
    transcriber: Transcriber = ScriptedTranscriber(["hello"])
    mind: LanguageModel = ScriptedMind(["hello"])
    mouth: Synthesizer = ScriptedMouth()
    detector: VoiceDetector = ScriptedDetector()
    assert {x.info.name for x in (transcriber, mind, mouth, detector)} == {"scripted"}


def test_mind_keeps_its_times() -> None:
    call = ToolCall("dance", "{}")

    async def main() -> list[tuple[float, Text | ToolCall]]:
        now = asyncio.get_running_loop().time
        mind = ScriptedMind([["one", Pause(1.0), " two", call]])
        stream = mind.stream([Message("user", "hi")], ticket=Ticket("a"))
        return [(round(now(), 6), item) async for item in stream]

    assert run_virtual(main()) == [(0.2, Text("one")), (1.225, Text(" two")), (1.25, call)]


def test_mind_lets_go_within_its_wait() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        mind = ScriptedMind(["a b c"], token_seconds=10)
        ticket = Ticket("a")
        loop.call_later(0.5, ticket.cancel.cancel)
        stream = mind.stream([], ticket=ticket)
        assert await stream.__anext__() == Text("a")
        with pytest.raises(Cancelled):
            await stream.__anext__()
        assert mind.active == 0
        return loop.time()

    assert run_virtual(main()) == pytest.approx(0.5)


def test_hung_transcriber_honours_cancel() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        ears = ScriptedTranscriber([Hang(), "ok"])
        ticket = Ticket("a")
        loop.call_later(3.0, ticket.cancel.cancel)
        with pytest.raises(Cancelled):
            await ears.transcribe(np.zeros(16, np.float32), language=None, ticket=ticket)
        return loop.time()

    assert run_virtual(main()) == pytest.approx(3.0)


def test_mouth_says_as_long_as_it_should() -> None:
    async def main() -> tuple[float, list[int]]:
        mouth = ScriptedMouth(seconds_per_char=0.05, sample_rate=16000)
        blocks = [len(b.samples) async for b in mouth.stream("abcde", ticket=Ticket("a"))]
        assert [b async for b in mouth.stream("?!", ticket=Ticket("a"))] == []
        return sum(blocks) / 16000, blocks

    seconds, blocks = run_virtual(main())
    assert seconds == pytest.approx(0.25)
    assert blocks == [1600, 1600, 800]


def test_detector_hears_loudness() -> None:
    detector = ScriptedDetector()
    frames = np.stack([np.zeros(512), np.full(512, 0.1)]).astype(np.float32)
    streams = [detector.new_stream(), detector.new_stream()]
    assert detector.probabilities(streams, frames).tolist() == pytest.approx([0.02, 0.98])


def test_a_deadlock_is_told() -> None:
    from tests.virtual_time import VirtualTimeLoop

    loop = VirtualTimeLoop(patience=0.01)
    with pytest.raises(RuntimeError, match="deadlock"):
        loop.run_until_complete(asyncio.Event().wait())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.close()
