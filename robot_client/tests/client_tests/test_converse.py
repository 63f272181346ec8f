"""The supervisor's conversation over real sockets, against a scripted brain."""

from __future__ import annotations

import asyncio
import base64
import random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from client_tests.scripted import Visit, scripted
from robot_client.converse import Converse
from robot_client.converse_messages import (
    AssistantText,
    Done,
    FirstAudio,
    Gestures,
    Listening,
    Mood,
    Speech,
    ToolCall,
    Transcription,
    Trouble,
    Unknown,
    parse,
)
from robot_client.link import Disconnected, Stopped
from robot_client.parsing import MessageError
from robot_client.reconnect import Backoff
from robot_client.supervisor import SupervisorClient


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


def query(visit: Visit) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(visit.path).query).items()}


def test_a_spoken_turn(run: Any) -> None:
    async def brain_says(visit: Visit) -> None:
        await visit.send("listening")
        await visit.until("end_utterance")
        await visit.send("transcription", text="What is your name?", turn_id=1)
        await visit.send("emotion", emotion="happy", intensity=0.7, turn_id=1)
        await visit.send("gestures", names=["nod", "blink"], turn_id=1)
        await visit.send("assistant_text", text="Robo.", turn_id=1)
        await visit.send("first_audio", first_audio_ms=120.5, turn_id=1)
        data = base64.b64encode(b"\x01\x02").decode()
        await visit.send("audio", data=data, sample_rate=16000, chunk_index=0, turn_id=1)
        await visit.send("tool_call", name="wink", args='{"eye": "l"}', call_id="c", turn_id=1)
        await visit.send("mood_reason", text="a later brain's", turn_id=1)
        await visit.send("done", turn_id=1)
        await visit.send("listening")
        await visit.until("cancel")
        await visit.send("error", message="No audio received", turn_id="t-2")
        await visit.until_gone()

    async def main() -> list[object]:
        events: list[object] = []
        async with scripted(brain_says) as brain:
            client = SupervisorClient(f"http://127.0.0.1:{brain.port}", "robot 1", "secret")
            async with client, client.converse(vad=False) as talk:
                async for heard in talk.events():
                    events.append(heard.event)
                    if events == [Listening()]:
                        assert talk.connected
                        # More than a second at once: a recorded utterance.
                        assert talk.send_audio(b"\x05\x00" * 40_000)
                        assert talk.end_utterance()
                    elif isinstance(heard.event, Listening):
                        assert talk.text("hello")
                        assert talk.profile({"name": "Mia"})
                        assert talk.cancel()
                    elif isinstance(heard.event, Trouble):
                        break
            assert not talk.connected
            assert not talk.text("too late")
            assert not talk.send_audio(b"\x05\x00")
            (visit,) = brain.visits
            assert bytes(visit.sound) == b"\x05\x00" * 40_000
            others = [m for m in visit.messages if m["type"] != "audio"]
            assert others == [
                {"type": "end_utterance"}, {"type": "text", "text": "hello"},
                {"type": "profile", "profile": {"name": "Mia"}}, {"type": "cancel"},
            ]  # fmt: skip
            assert urlsplit(visit.path).path == "/converse"
            asked = query(visit)
            assert asked.pop("session_monotonic_ts_ms").isdigit()
            assert asked == {"robot_id": "robot 1", "session_seq": "0", "vad": "0"}
            assert visit.socket.request.headers["Authorization"] == "Bearer secret"
            await visit.socket.wait_closed()
            assert visit.socket.close_code == 1000
        return events

    assert run(main()) == [
        Listening(),
        Transcription("What is your name?", 1),
        Mood("happy", 0.7, 1),
        Gestures(("nod", "blink"), 1),
        AssistantText("Robo.", 1),
        FirstAudio(120.5, 1),
        Speech(b"\x01\x02", 16000, 0, 1),
        ToolCall("wink", {"eye": "l"}, "c", 1),
        Unknown("mood_reason", {"text": "a later brain's", "turn_id": 1}),
        Done(1),
        Listening(),
        Trouble("No audio received", "t-2"),
    ]


def test_comes_back_with_a_higher_number_until_it_is_replaced(run: Any) -> None:
    async def goes_down(visit: Visit) -> None:
        await visit.send("listening")
        await visit.until("audio")
        await visit.socket.close(1001)

    async def replaced(visit: Visit) -> None:
        await visit.send("listening")
        await visit.until("end_utterance")
        await visit.socket.close(4001, "replaced_by_newer_session")

    async def main() -> None:
        events: list[object] = []
        seconds = iter(range(100, 200))
        async with scripted(goes_down, goes_down, replaced) as brain:
            async with Converse(
                f"http://127.0.0.1:{brain.port}", "r", sleep=no_sleep,
                backoff=Backoff(rng=random.Random(0)), clock=lambda: float(next(seconds)),
            ) as talk:  # fmt: skip
                async for heard in talk.events():
                    events.append(heard.event)
                    if isinstance(heard.event, Listening):
                        assert talk.send_audio(b"\x07\x00" * talk.session_seq + b"\x01\x00")
                        if talk.session_seq == 2:
                            assert talk.end_utterance()
                    elif isinstance(heard.event, Disconnected):
                        # Half an utterance is of no use to the next connection.
                        talk.send_audio(b"\x09\x00" * 100)
            assert len(brain.visits) == 3
            assert [query(visit)["session_seq"] for visit in brain.visits] == ["0", "1", "2"]
            stamps = [query(visit)["session_monotonic_ts_ms"] for visit in brain.visits]
            assert stamps == ["100000", "101000", "102000"]
            assert bytes(brain.visits[2].sound) == b"\x07\x00\x07\x00\x01\x00"
        kinds = [type(event).__name__ for event in events]
        assert kinds == ["Listening", "Disconnected"] * 2 + ["Listening", "Stopped"]
        assert isinstance(events[-1], Stopped)
        assert "replaced" in events[-1].reason

    run(main())


@pytest.mark.parametrize("code", [4400, 4401])
def test_what_cannot_be_served_is_not_asked_for_again(run: Any, code: int) -> None:
    async def refuses(visit: Visit) -> None:
        await visit.socket.close(code, "missing_robot_id")

    async def main() -> None:
        async with scripted(refuses) as brain:
            async with Converse(f"http://127.0.0.1:{brain.port}", "", sleep=no_sleep) as talk:
                events = [heard.event async for heard in talk.events()]
            assert len(brain.visits) == 1
        (stopped,) = events
        assert isinstance(stopped, Stopped)
        assert "missing_robot_id" in stopped.reason

    run(main())


def test_half_a_sample_is_refused_here() -> None:
    with pytest.raises(ValueError, match="odd"):
        Converse("http://127.0.0.1:9", "r").send_audio(b"\x00")


@pytest.mark.parametrize(
    "frame",
    [
        b"\x00\x01",
        "{",
        "[" * 100_000,
        "[]",
        '{"type": 1}',
        '{"type": "transcription"}',
        '{"type": "emotion", "emotion": "happy", "intensity": "much"}',
        '{"type": "gestures", "names": "nod"}',
        '{"type": "gestures", "names": [1]}',
        '{"type": "audio", "data": "!"}',
        '{"type": "audio", "data": "AQ=="}',
        '{"type": "audio", "data": "AQI=", "sample_rate": 0}',
        '{"type": "tool_call", "name": "x", "args": "{"}',
        '{"type": "tool_call", "name": "x", "args": "[]"}',
        '{"type": "first_audio"}',
        '{"type": "error"}',
    ],
)
def test_what_is_no_message(frame: str | bytes) -> None:
    with pytest.raises(MessageError):
        parse(frame)


def test_rubbish_is_counted_and_the_talk_goes_on(run: Any) -> None:
    async def rambles(visit: Visit) -> None:
        await visit.socket.send("{")
        await visit.socket.send(b"\x00\x00")
        await visit.send("listening", turn_id=True)
        await visit.until_gone()

    async def main() -> None:
        async with (
            scripted(rambles) as brain,
            Converse(f"http://127.0.0.1:{brain.port}", "r") as talk,
        ):
            async for heard in talk.events():
                assert heard.event == Listening(None)
                break
            assert talk.bad_messages == 2

    run(main())
