"""What a robot does about what the brain says: over real sockets, on the test's own clock."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from client_tests.scripted import Visit, scripted, tone
from robot_client import requests
from robot_client.connection import Arrival, Connection
from robot_client.conversation import Conversation, Flushed, ToolUsed
from robot_client.messages import AudioDelta, Pong, Ready, ReplyDone
from robot_client.playback import Playback
from robot_client.requests import ToolSpec
from robot_client.tools import Tool, ToolBox

RATE = 16_000


async def converse(
    url: str, tools: ToolBox, react: Callable[[Conversation, Any], bool | None]
) -> list[Any]:
    """Talk until `react` returns True; everything that was seen."""
    seen: list[Any] = []
    async with Connection(url) as connection:

        def watch(event: Arrival | ToolUsed | Flushed) -> None:
            plain = event.event if isinstance(event, Arrival) else event
            seen.append(plain)
            if react(conversation, plain):
                over.set()

        over = asyncio.Event()
        conversation = Conversation(connection, partial(Playback, RATE), tools, watch)
        task = asyncio.create_task(conversation.run())
        await over.wait()
        await connection.close()
        await task
    return seen


def of(**functions: Any) -> ToolBox:
    return ToolBox.of(Tool(ToolSpec(n, "", {}), f, 5.0) for n, f in functions.items())


def test_an_interruption_empties_the_queue_and_the_mark_says_what_was_heard(run: Any) -> None:
    async def brain_says(visit: Visit) -> None:
        await visit.ready()
        await visit.send("reply_started", turn=1, reply_id=1)
        for seq in range(5):
            await visit.audio(1, tone(100), seq)
        assert (await visit.until("played"))["ms"] == 200
        await visit.send("speech_started", turn=2)
        await visit.send("reply_done", reply_id=1, reason="interrupted", timings_ms={})
        assert await visit.until("played") == {"type": "played", "reply_id": 1, "ms": 220}
        await visit.send("pong", t=1)
        await visit.until_gone()

    def react(conversation: Conversation, event: Any) -> bool:
        if isinstance(event, AudioDelta) and event.seq == 4:
            for _ in range(11):
                assert np.any(conversation.playback.pull(320))
        if isinstance(event, ReplyDone):
            assert conversation.playback.empty
        return isinstance(event, Pong)

    async def main() -> list[Any]:
        async with scripted(brain_says) as brain:
            return await converse(brain.url, ToolBox(), react)

    assert Flushed(280) in run(main())


def test_marks_from_a_devices_thread_reach_the_brain_in_order(run: Any) -> None:
    async def brain_says(visit: Visit) -> None:
        await visit.ready()
        await visit.audio(3, tone(1000))
        await visit.send("reply_done", reply_id=3, reason="completed", timings_ms={})
        marks = [(await visit.until("played"))["ms"] for _ in range(5)]
        assert marks == [200, 400, 600, 800, 1000]
        await visit.send("pong", t=1)
        await visit.until_gone()

    def device(conversation: Conversation) -> None:
        while not conversation.playback.empty:
            conversation.playback.pull(160)

    def react(conversation: Conversation, event: Any) -> bool:
        if isinstance(event, ReplyDone):
            threading.Thread(target=device, args=[conversation]).start()
        return isinstance(event, Pong)

    async def main() -> list[Any]:
        async with scripted(brain_says) as brain:
            return await converse(brain.url, ToolBox(), react)

    run(main())


def test_tools_run_beside_and_a_late_result_is_marked_interrupted(run: Any) -> None:
    let_go = asyncio.Event()

    async def slow(_arguments: Any) -> dict[str, bool]:
        await let_go.wait()
        return {"slow": True}

    async def brain_says(visit: Visit) -> None:
        await visit.ready()
        await visit.send("tool_call", name="slow", args="{}", call_id="a", reply_id=1)
        await visit.send("tool_call", name="quick", args="{}", call_id="b", reply_id=1)
        first = await visit.until("tool_result")  # the slow one holds up neither tools nor events
        assert (first["call_id"], first["output"]) == ("b", {"quick": True})
        assert not first["interrupted"]
        await visit.send("reply_done", reply_id=1, reason="interrupted", timings_ms={})
        second = await visit.until("tool_result")
        assert (second["call_id"], second["output"]) == ("a", {"slow": True})
        assert second["interrupted"]
        await visit.send("pong", t=1)
        await visit.until_gone()

    def react(_conversation: Conversation, event: Any) -> bool:
        if isinstance(event, ReplyDone):
            let_go.set()
        return isinstance(event, Pong)

    async def main() -> list[Any]:
        async with scripted(brain_says) as brain:
            return await converse(brain.url, of(slow=slow, quick=lambda _a: {"quick": True}), react)

    used = [event for event in run(main()) if isinstance(event, ToolUsed)]
    assert [(u.call.call_id, u.interrupted, u.sent) for u in used] == [
        ("b", False, True),
        ("a", True, True),
    ]


def test_a_picture_goes_as_an_image_and_one_too_large_as_an_error(run: Any) -> None:
    async def brain_says(visit: Visit) -> None:
        await visit.ready()
        await visit.send("tool_call", name="camera", args="{}", call_id="a", reply_id=1)
        image = await visit.until("image")
        assert (image["data"], image["call_id"]) == ("/9g=", "a")
        assert (await visit.until("tool_result"))["output"] == {"width": 2}
        await visit.send("tool_call", name="huge", args="{}", call_id="b", reply_id=1)
        result = await visit.until("tool_result")
        assert "can't be sent" in result["output"]["error"]
        await visit.send("pong", t=1)
        await visit.until_gone()

    async def main() -> list[Any]:
        async with scripted(brain_says) as brain:
            tools = of(
                camera=lambda _a: {"b64_im": "/9g=", "width": 2}, huge=lambda _a: "x" * (1 << 20)
            )
            return await converse(brain.url, tools, lambda _c, event: isinstance(event, Pong))

    run(main())


def test_tools_that_still_run_at_the_end_are_ended(run: Any) -> None:
    ended: list[bool] = []

    async def hangs(_arguments: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def brain_says(visit: Visit) -> None:
        await visit.ready()
        await visit.send("tool_call", name="hangs", args="{}", call_id="a", reply_id=1)
        await visit.send("pong", t=1)
        await visit.send("pong", t=2)
        await visit.until_gone()

    def react(conversation: Conversation, event: Any) -> bool:
        return isinstance(event, Pong) and event.t == 2 and conversation.tools_running == 1

    async def main() -> list[Any]:
        async with scripted(brain_says) as brain:
            return await converse(brain.url, of(hangs=hangs), react)

    run(main())
    # Whether the call had begun when it was cancelled or not, nothing of it is left.
    assert ended in ([], [True])


def test_the_result_of_a_call_from_before_a_drop_isnt_sent_to_the_next_brain(run: Any) -> None:
    """It may mean another call by the same id."""
    finish = asyncio.Event()
    used: list[ToolUsed] = []

    async def slow(_arguments: Any) -> dict[str, Any]:
        await finish.wait()
        return {}

    async def drops(visit: Visit) -> None:
        await visit.ready()
        await visit.send("tool_call", name="slow", args="{}", call_id="a", reply_id=1)

    async def another(visit: Visit) -> None:
        await visit.ready(session_id="s2")
        await visit.until("ping")
        assert not [m for m in visit.messages if m["type"] == "tool_result"]
        await visit.send("pong", t=2)
        await visit.until_gone()

    def react(conversation: Conversation, event: Any) -> bool:
        if isinstance(event, Ready) and event.session_id == "s2":
            finish.set()
        elif isinstance(event, ToolUsed):
            used.append(event)
            conversation.connection.send(requests.ping(0))
        return isinstance(event, Pong)

    async def main() -> list[Any]:
        async with scripted(drops, another) as brain:
            return await converse(brain.url, of(slow=slow), react)

    run(main())
    assert [use.sent for use in used] == [False]
