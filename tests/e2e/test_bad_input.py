"""Everything that a robot can do wrong, over a real socket: a clear error, and nothing lost."""

from __future__ import annotations

import asyncio
import json
import socket
from base64 import b64encode
from typing import Any
from urllib.parse import urlparse

import pytest

from brain.dialogue.config import HouseRules
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneLanguageModel, LaneSynthesizer, LaneTranscriber
from brain.engines.ports import EngineFailed, ToolCall
from tests.e2e.sockets import Robot, a_brain, a_robot, quiet, tone
from tests.pictures import picture
from tests.scripted_engines import Hang, ScriptedMind, ScriptedMouth, ScriptedTranscriber


def _tool(parameters: str) -> str:
    return '{"type": "session", "tools": [{"name": "x", "parameters": ' + parameters + "}]}"


DEEP_TOOL = _tool('{"properties": {"a": ' * 200 + "{}" + "}}" * 200)
WIDE_TOOL = _tool(
    '{"properties": {' + ", ".join(f'"p{i}": {{"type": "string"}}' for i in range(15_000)) + "}}"
)
PICTURE = b64encode(picture()).decode()


async def still_works(robot: Robot) -> None:
    await robot.send(type="text", text="hello")
    done = await robot.next("reply_done")
    assert done["reason"] == "completed"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", "bad_json"),
        ("[1, 2]", "bad_json"),
        ('{"type": 3}', "bad_json"),
        ('{"type": "text"}', "bad_json"),
        ('{"type": "text", "text": 7}', "bad_json"),
        ('{"type": "played", "reply_id": "one", "ms": 1}', "bad_json"),
        ('{"type": "adio", "data": ""}', "unknown_type"),
        ('{"type": "audio"}', "bad_audio"),
        ('{"type": "audio", "data": 5}', "bad_audio"),
        ('{"type": "audio", "data": "%%%"}', "bad_audio"),
        (json.dumps({"type": "audio", "data": b64encode(b"abc").decode()}), "bad_audio"),
        (json.dumps({"type": "audio", "data": b64encode(bytes(40_000)).decode()}), "bad_audio"),
        (b"abc", "bad_audio"),
        (b"", "bad_audio"),
        ('{"type": "session", "input_sample_rate": 44100}', "bad_session"),
        ('{"type": "session", "tools": [{"name": "x", "parameters": {"type": 5}}]}', "bad_session"),
        ('{"type": "session", "tools": [{"name": "no spaces"}]}', "bad_session"),
        ('{"type": "tool_result", "call_id": "call_9_9", "output": "ok"}', "unknown_call_id"),
        ('{"type": "image", "data": "/9j/"}', "bad_image"),
        ('{"type": "image", "data": "no base64!"}', "bad_image"),
        (f'{{"type": "image", "data": "{PICTURE}"}}', "vision_unavailable"),
        (f'{{"type": "image", "data": "{PICTURE}", "call_id": "no"}}', "unknown_call_id"),
        ('{"type": "end_utterance"}', "not_understood"),
        ('{"type": "ping", "t": "\\ud800"}', "bad_json"),
        ('{"type": "ping", "t": ' + "[" * 300 + "]" * 300 + "}", "bad_json"),
        ('{"type": "ping", "t": "' + "x" * 5_000 + '"}', "bad_json"),
        (DEEP_TOOL, "bad_json"),
        (WIDE_TOOL, "bad_json"),
    ],
)
def test_a_bad_message_is_told_and_the_session_goes_on(frame: str | bytes, code: str) -> None:
    async def main() -> None:
        async with a_brain() as address, a_robot(address) as robot:
            await robot.next("ready")
            await robot.connection.send(frame)
            error = await robot.next("error")
            assert error["code"] == code
            assert error["message"]
            assert not error["fatal"]
            await still_works(robot)

    asyncio.run(main())


def test_a_turn_detection_that_names_only_its_type_changes_nothing() -> None:
    async def main() -> None:
        async with a_brain() as address, a_robot(address) as robot:
            await robot.send(type="session", turn_detection={"type": "server_vad"})
            updated = await robot.next("session_updated")
            assert updated["turn_detection"]["silence_ms"] == 500
            await robot.send(type="session", echo_cancellation=True)
            await robot.next("session_updated")
            await robot.speak(tone(500))
            await robot.speak(quiet(800))
            await robot.next("transcript_user")

    asyncio.run(main())


def test_a_reader_that_breaks_costs_its_own_session_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(frame: str) -> None:
        raise ZeroDivisionError(frame)

    async def main() -> None:
        async with a_brain(max_sessions=1) as address:
            async with a_robot(address, "?robot_id=a") as robot:
                await robot.next("ready")
                with monkeypatch.context() as patch:
                    patch.setattr("brain.api.wire_in.parse", broken)
                    await robot.send(type="cancel")
                    assert await robot.close_code() is not None
            async with a_robot(address, "?robot_id=b") as robot:
                await still_works(robot)

    asyncio.run(main())


def test_an_unknown_type_is_ignored() -> None:
    async def main() -> None:
        async with a_brain() as address, a_robot(address) as robot:
            await robot.send(type="servo_temperature", celsius=40)
            await robot.send(type="audi" * 100_000)
            await still_works(robot)
            assert not [message for message in robot.seen if message["type"] == "error"]

    asyncio.run(main())


def test_a_refused_session_message_changes_nothing() -> None:
    async def main() -> None:
        async with a_brain() as address, a_robot(address) as robot:
            await robot.send(type="session", output_sample_rate=24_000, input_sample_rate=1)
            assert (await robot.next("error"))["code"] == "bad_session"
            await robot.send(type="session")
            updated = await robot.next("session_updated")
            assert (updated["input_sample_rate"], updated["output_sample_rate"]) == (16_000, 16_000)

    asyncio.run(main())


@pytest.mark.parametrize("binary", [False, True])
def test_a_message_of_2_mib_closes_and_a_new_session_works(binary: bool) -> None:
    async def main() -> None:
        async with a_brain() as address:
            async with a_robot(address) as robot:
                big = bytes(2 << 20)
                await robot.connection.send(big if binary else b64encode(big).decode())
                assert await robot.close_code() == 4413
            async with a_robot(address) as robot:
                await still_works(robot)

    asyncio.run(main())


def test_ten_minutes_without_a_pause_as_fast_as_they_can_be_sent() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["a lot"], seconds=0.001)
        async with a_brain(ears=ears) as address, a_robot(address) as robot:
            second = tone(1_000).tobytes()

            async def talk() -> None:
                for _ in range(600):
                    await robot.connection.send(second)

            talking = asyncio.ensure_future(talk())
            await robot.next("speech_stopped", seconds=60)
            while not talking.done():
                await robot.receive()
            await asyncio.sleep(0.5)
            await robot.speak(quiet(1_500))
            await robot.next("reply_done", seconds=60)
            assert ears.heard
            assert max(ears.heard) <= 30 * 16_000 + 512
            await still_works(robot)

    asyncio.run(main())


def test_a_client_that_vanishes_in_mid_word_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with a_brain() as address:
            for _ in range(5):
                async with a_robot(address) as robot:
                    await robot.speak(tone(300))
                    robot.connection.transport.abort()
            async with a_robot(address) as robot:
                assert (await robot.next("ready"))["resumed"]
                await still_works(robot)

    asyncio.run(main())


def test_a_client_that_stops_reading_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr("brain.api.socket_session._STOPPED_READING_S", 0.5)
        mind = ScriptedMind(["word " * 4_000], first_seconds=0, token_seconds=0)
        # Much sound, far ahead: it fills the buffers on the way within a moment.
        house = HouseRules(lead_ms=3_600_000)
        mouth = ScriptedMouth(seconds_per_char=2.0, delay=0)
        async with a_brain(mind=mind, mouth=mouth, house=house) as address:
            where = urlparse(address)
            reader, writer = await asyncio.open_connection(where.hostname, where.port, limit=1024)
            # Little room in the kernel, so that little is enough.
            raw: socket.socket = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            writer.write(
                b"GET /ws?robot_id=deaf HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                b"Sec-WebSocket-Version: 13\r\n\r\n"
            )
            await reader.readuntil(b"\r\n\r\n")
            text = b'{"type":"text","text":"talk"}'
            writer.write(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            async with a_robot(address, "?robot_id=deaf") as robot:
                # Replacing it would wait for it: that this opens at all shows that it has ended.
                await robot.next("ready", seconds=20)
            writer.close()

    asyncio.run(main())


def test_two_hundred_connections_at_once() -> None:
    async def main() -> None:
        async with a_brain(max_sessions=50) as address:

            async def open_and_drop(i: int) -> None:
                async with a_robot(address, f"?robot_id=r{i}", open_timeout=30) as robot:
                    if i % 2:
                        robot.connection.transport.abort()

            await asyncio.gather(*(open_and_drop(i) for i in range(200)))
            async with a_robot(address, "?robot_id=after") as robot:
                await still_works(robot)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("query", "code"),
    [("?robot_id=", 4400), (f"?robot_id={'x' * 65}", 4400), ("?robot_id=a%0Ab", 4400)],
)
def test_a_robot_id_that_cannot_be(query: str, code: int) -> None:
    async def main() -> None:
        async with a_brain() as address, a_robot(address, query) as robot:
            assert await robot.close_code() == code

    asyncio.run(main())


def test_full_says_when_to_come_back() -> None:
    async def main() -> None:
        async with (
            a_brain(max_sessions=1) as address,
            a_robot(address, "?robot_id=a"),
            a_robot(address, "?robot_id=b") as robot,
        ):
            assert await robot.close_code() == 4429
            assert "retry_after_s=" in (robot.connection.close_reason or "")

    asyncio.run(main())


def test_the_token() -> None:
    async def main() -> None:
        async with a_brain(token="s3cret") as address:
            for query in ("", "?token=wrong"):
                async with a_robot(address, query) as robot:
                    assert await robot.close_code() == 4401
            async with a_robot(address, "?token=s3cret") as robot:
                await still_works(robot)
            shown = {"Authorization": "Bearer s3cret"}
            async with a_robot(address, "", additional_headers=shown) as robot:
                await still_works(robot)

    asyncio.run(main())


def test_a_robot_without_a_word_is_hung_up_on() -> None:
    async def main() -> None:
        async with a_brain(idle_limit_s=0.3) as address, a_robot(address) as robot:
            assert await robot.close_code() == 4408

    asyncio.run(main())


def test_a_newer_session_replaces_the_older() -> None:
    async def main() -> None:
        async with (
            a_brain() as address,
            a_robot(address) as older,
            a_robot(address) as newer,
        ):
            assert await older.close_code() == 4001
            await still_works(newer)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("ears", "mind", "code"),
    [
        (None, [EngineFailed("broken"), "Fine."], "llm_failed"),
        (None, [RuntimeError("a bug"), "Fine."], "internal"),
        ([EngineFailed("broken"), "hello"], None, "stt_failed"),
        ([RuntimeError("a bug"), "hello"], None, "internal"),
    ],
)
def test_an_engine_that_raises(ears: Any, mind: Any, code: str) -> None:
    async def main() -> None:
        engines: dict[str, Any] = {}
        if ears:
            engines["ears"] = ScriptedTranscriber(ears, seconds=0.01)
        if mind:
            engines["mind"] = ScriptedMind(mind, first_seconds=0.01)
        async with a_brain(**engines) as address, a_robot(address) as robot:
            await robot.speak(tone(500))
            await robot.speak(quiet(800))
            assert (await robot.next("error"))["code"] == code
            done = await robot.next("reply_done")
            assert done["reason"] == "failed"
            kinds = [message["type"] for message in robot.seen]
            assert "audio_delta" in kinds, "an apology is heard"
            await still_works(robot)

    asyncio.run(main())


@pytest.mark.parametrize("hangs", ["ears", "mind", "mouth"])
def test_an_engine_that_hangs_is_given_up_on_and_the_next_turn_works(hangs: str) -> None:
    limits = LaneLimits(first_s=0.3, next_s=0.3)
    ears = ScriptedTranscriber([Hang(), "hello"] if hangs == "ears" else ["hello"], seconds=0.01)
    mind = ScriptedMind([["Well, ", Hang()] if hangs == "mind" else "Yes.", "Yes."])
    mouth = ScriptedMouth(failures=[Hang(), None, None, None] if hangs == "mouth" else [None])
    codes = {"ears": "stt_failed", "mind": "llm_timeout", "mouth": "tts_unavailable"}

    async def main() -> None:
        async with (
            a_brain(
                ears=LaneTranscriber(Lane(ears, limits)),
                mind=LaneLanguageModel(Lane(mind, limits)),
                mouth=LaneSynthesizer(Lane(mouth, limits)),
            ) as address,
            a_robot(address) as robot,
        ):
            await robot.speak(tone(500))
            await robot.speak(quiet(800))
            assert (await robot.next("error"))["code"] == codes[hangs]
            assert (await robot.next("reply_done"))["reason"] == "failed"
            if hangs != "mouth":
                said = [m for m in robot.seen if m["type"] == "transcript_assistant"]
                assert "Sorry" in said[-1]["text"]
            await still_works(robot)

    asyncio.run(main())


def test_a_mind_that_hangs_can_be_cancelled() -> None:
    async def main() -> None:
        mind = ScriptedMind([[Hang()], "Fine."], first_seconds=0.01)
        async with a_brain(mind=mind) as address, a_robot(address) as robot:
            await robot.send(type="text", text="hello")
            await robot.next("reply_started")
            await robot.send(type="cancel")
            assert (await robot.next("reply_done"))["reason"] == "cancelled"
            await still_works(robot)

    asyncio.run(main())


def test_the_seeds_robot_sends_audio_and_knows_five_messages() -> None:
    async def main() -> None:
        mind = ScriptedMind([["Watch. ", ToolCall("dance", "{}")]], first_seconds=0.01)
        async with a_brain(mind=mind) as address, a_robot(address, "") as robot:
            await robot.speak(quiet(300))
            await robot.speak(tone(600))
            await robot.speak(quiet(800))
            await robot.next("reply_done")
            seen = {message["type"]: message for message in robot.seen}
            assert seen["transcript_user"]["text"] == "hello robot"
            assert seen["transcript_assistant"]["text"] == "Watch."
            assert json.loads(seen["tool_call"]["args"]) == {}
            assert seen["tool_call"]["name"] == "dance"
            assert len(seen["audio_delta"]["data"]) > 100

    asyncio.run(main())


def test_binary_sound_both_ways_at_other_rates() -> None:
    async def main() -> None:
        async with a_brain() as address, a_robot(address) as robot:
            await robot.send(type="session", output_sample_rate=24_000, audio="binary")
            updated = await robot.next("session_updated")
            assert updated["audio"] == "binary"
            await robot.connection.send(tone(600).tobytes())
            await robot.connection.send(quiet(800).tobytes())
            await robot.next("reply_done")
            seconds = 0.02 * len("Hello there.")
            assert len(robot.sound) / 2 / 24_000 == pytest.approx(seconds, abs=0.06)
            assert not [message for message in robot.seen if message["type"] == "audio_delta"]

    asyncio.run(main())


def test_ping() -> None:
    async def main() -> None:
        async with a_brain() as address, a_robot(address) as robot:
            await robot.send(type="ping", t={"any": [1, None]})
            assert (await robot.next("pong"))["t"] == {"any": [1, None]}

    asyncio.run(main())


def test_several_robots_at_once_have_histories_of_their_own() -> None:
    async def main() -> None:
        mind = ScriptedMind(["Yes."], first_seconds=0.01, token_seconds=0)
        async with a_brain(mind=mind) as address:

            async def chat(name: str) -> None:
                async with a_robot(address, f"?robot_id={name}") as robot:
                    for i in range(3):
                        await robot.send(type="text", text=f"{name} {i}")
                        await robot.next("reply_done")

            await asyncio.gather(*(chat(f"r{i}") for i in range(8)))
        for messages, _ in mind.asked:
            names = {m.content.split()[0] for m in messages if m.role == "user"}
            assert len(names) == 1, "one robot's words in another's history"

    asyncio.run(main())
