"""The connection against a scripted brain on real sockets; only the waiting is shortened."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from client_tests.scripted import Visit, scripted
from robot_client import requests
from robot_client.address import brain_url
from robot_client.connection import Connection, Disconnected, Stopped
from robot_client.messages import Ready, SessionUpdated, TranscriptUser
from robot_client.reconnect import Backoff
from robot_client.requests import Session


class Sleeps:
    """Doesn't sleep, and remembers for how long it was asked to."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        await asyncio.sleep(0)


def test_addresses() -> None:
    assert brain_url("10.0.0.2", 8100) == "ws://10.0.0.2:8100/ws"
    assert brain_url("::1", 8000, "a b/c", tls=True) == "wss://[::1]:8000/ws?robot_id=a%20b%2Fc"


@pytest.mark.parametrize("binary", [True, False])
def test_says_its_session_first_then_keeps_the_order(run: Any, binary: bool) -> None:
    async def brain_says(visit: Visit) -> None:
        await visit.until("session")
        await visit.ready()
        await visit.until("end_utterance")
        await visit.send("transcript_user", text="hi", turn=1)
        await visit.until_gone()

    async def main() -> None:
        async with scripted(brain_says) as brain:
            session = Session(output_sample_rate=24_000)
            async with Connection(
                brain.url, session=session, binary_audio=binary, token="t"
            ) as connection:
                heard = None
                async for arrival in connection.events():
                    if isinstance(arrival.event, Ready):
                        connection.send_audio(b"\x01\x02" * 16_500)
                        assert connection.send(requests.end_utterance())
                    elif isinstance(arrival.event, TranscriptUser):
                        heard = arrival.event.text
                        await connection.close()
                assert heard == "hi"
                assert not connection.send(requests.cancel())
                connection.send_audio(b"\x01\x02")
                await connection.close()
            (visit,) = brain.visits
        first, *_, last = visit.messages
        assert first == {"type": "session", "output_sample_rate": 24_000}
        assert last == {"type": "end_utterance"}
        # Never more than a second a chunk, no sample lost beyond the second that is kept.
        assert bytes(visit.sound) == b"\x01\x02" * 16_000
        assert any(isinstance(frame, bytes) for frame in visit.frames) == binary
        assert visit.socket.request.headers["Authorization"] == "Bearer t"
        assert visit.path == "/ws?robot_id=r"
        assert visit.socket.close_code == 1000

    run(main())


def test_comes_back_for_ever_and_brings_the_last_second(run: Any) -> None:
    async def goes_down(visit: Visit) -> None:
        await visit.until("session")
        await visit.ready()
        await visit.until("say")
        await visit.socket.close(1001, "restart")

    async def refuses(visit: Visit) -> None:
        visit.socket.transport.abort()

    async def is_back(visit: Visit) -> None:
        await visit.until("session")
        await visit.ready(resumed=True)
        while len(visit.sound) < 32_000:
            await visit.receive()
        await visit.send("transcript_user", text="heard it", turn=2)
        await visit.until_gone()

    sleeps = Sleeps()
    seen: list[str] = []

    async def main() -> None:
        async with scripted(goes_down, refuses, refuses, is_back) as brain:
            connection = Connection(
                brain.url,
                sleep=sleeps,
                backoff=Backoff(first_s=1, limit_s=2, rng=random.Random(0)),
            )
            async with connection:
                async for arrival in connection.events():
                    seen.append(type(arrival.event).__name__)
                    if isinstance(arrival.event, Ready) and not arrival.event.resumed:
                        connection.send(requests.say("bye"))
                    elif seen == ["Ready", "Disconnected"]:
                        assert not connection.send(requests.played(1, 200))
                        connection.send_audio(b"\x00\x00" * 8_000 + b"\x07\x00" * 16_000)
                    elif isinstance(arrival.event, TranscriptUser):
                        break
            assert connection.shed_samples == 8_000
            last = brain.visits[-1]
            assert bytes(last.sound) == b"\x07\x00" * 16_000
            assert [m["type"] for m in last.messages] == ["session"]  # the stale mark is not sent

    run(main())
    assert seen == ["Ready", *["Disconnected"] * 3, "Ready", "TranscriptUser"]
    # After the brain had answered the first delay is the shortest, then they grow.
    assert [round(s, 2) for s in sleeps.asked] == [
        round(d, 2) for d in _delays(random.Random(0), [1, 2, 2])
    ]


def _delays(rng: random.Random, grown: list[float]) -> list[float]:
    return [full * rng.uniform(0.5, 1) for full in grown]


def test_no_brain_at_all_is_news_and_not_an_exception(run: Any) -> None:
    sleeps = Sleeps()

    async def main() -> None:
        async with Connection("ws://127.0.0.1:9/ws", sleep=sleeps) as connection:
            lost = 0
            async for arrival in connection.events():
                assert isinstance(arrival.event, Disconnected)
                assert "no brain at ws://127.0.0.1:9/ws" in arrival.event.reason
                lost += 1
                if lost == 5:
                    break

    run(main())
    assert len(sleeps.asked) >= 4


@pytest.mark.parametrize(
    ("code", "why"), [(4401, "refuses the token"), (4001, "replaced"), (4400, "can't serve")]
)
def test_stays_away_when_told_so(run: Any, code: int, why: str) -> None:
    async def refuses(visit: Visit) -> None:
        await visit.socket.close(code, "no such thing")

    async def main() -> list[object]:
        async with scripted(refuses) as brain:
            connection = Connection(brain.url)
            async with connection:
                events = [arrival.event async for arrival in connection.events()]
            assert len(brain.visits) == 1
            return events

    (stopped,) = run(main())
    assert isinstance(stopped, Stopped)
    assert why in stopped.reason
    assert "no such thing" in stopped.reason


def test_waits_as_long_as_a_full_brain_says(run: Any) -> None:
    sleeps = Sleeps()

    async def full(visit: Visit) -> None:
        await visit.socket.close(4429, "retry_after_s=30")

    async def free(visit: Visit) -> None:
        await visit.ready()
        await visit.until_gone()

    async def main() -> None:
        async with scripted(full, free) as brain, Connection(brain.url, sleep=sleeps) as connection:
            async for arrival in connection.events():
                if isinstance(arrival.event, Ready):
                    break

    run(main())
    assert len(sleeps.asked) == 1
    assert 30 <= sleeps.asked[0] <= 33


def test_rubbish_is_counted_and_the_talk_goes_on(run: Any) -> None:
    async def rambles(visit: Visit) -> None:
        for frame in ("{", "[]", '{"type": "reply_done"}', b"\x01"):
            await visit.socket.send(frame)
        await visit.ready()
        await visit.until_gone()

    async def main() -> None:
        async with scripted(rambles) as brain, Connection(brain.url) as connection:
            async for arrival in connection.events():
                assert isinstance(arrival.event, Ready)
                break
            assert connection.bad_messages == 4

    run(main())


def test_a_changed_session_is_told_now_and_again_after_a_drop(run: Any) -> None:
    async def first(visit: Visit) -> None:
        await visit.until("session")
        await visit.ready()
        changed = await visit.until("session")
        await visit.send("session_updated", **{k: v for k, v in changed.items() if k != "type"})
        await visit.socket.close(1001)

    async def second(visit: Visit) -> None:
        await visit.until("session")
        await visit.ready()
        await visit.until_gone()

    async def main() -> None:
        async with scripted(first, second) as brain:
            connection = Connection(brain.url, session=Session(voice="a"), sleep=Sleeps())
            readies = 0
            async with connection:
                async for arrival in connection.events():
                    if isinstance(arrival.event, Ready):
                        readies += 1
                        if readies == 2:
                            break
                        assert connection.update(Session(instructions="be kind"))
                    elif isinstance(arrival.event, SessionUpdated):
                        assert arrival.event.session == {"instructions": "be kind"}
            assert brain.visits[1].messages[0] == {
                "type": "session",
                "voice": "a",
                "instructions": "be kind",
            }

    run(main())


def test_a_muted_microphone_is_muted_at_the_next_brain_too(run: Any) -> None:
    async def first(visit: Visit) -> None:
        await visit.ready()
        await visit.until("mute")
        await visit.socket.close(1001)

    async def second(visit: Visit) -> None:
        await visit.until("session")
        await visit.ready()
        await visit.until("unmute")
        await visit.send("session_updated", muted=False)
        await visit.until_gone()

    async def main() -> None:
        async with scripted(first, second) as brain:
            connection, on = Connection(brain.url, sleep=Sleeps()), True
            async with connection:
                async for arrival in connection.events():
                    if isinstance(arrival.event, Ready):
                        assert connection.mute(on=on)
                        on = False
                    elif isinstance(arrival.event, SessionUpdated):
                        break
            assert brain.visits[1].messages[0] == {"type": "session", "muted": True}
            assert connection.session.muted is False

    run(main())


def test_a_session_over_the_limit_changes_nothing() -> None:
    async def main() -> None:
        connection = Connection("ws://127.0.0.1:9/ws", session=Session(voice="a"))
        with pytest.raises(ValueError, match="bytes"):
            connection.update(Session(voice="b", instructions="x" * (1 << 20)))
        assert connection.session == Session(voice="a")

    asyncio.run(main())


def test_a_message_over_the_limit_is_refused_here(run: Any) -> None:
    async def listens(visit: Visit) -> None:
        await visit.ready()
        await visit.until_gone()

    async def main() -> None:
        async with scripted(listens) as brain, Connection(brain.url) as connection:
            async for _arrival in connection.events():
                with pytest.raises(ValueError, match="1048576"):
                    connection.send(requests.image("A" * (1 << 20)))
                assert connection.send(requests.text("still here"))
                break

    run(main())


def test_closing_ends_every_task_and_twice_is_once(run: Any) -> None:
    async def listens(visit: Visit) -> None:
        await visit.ready()
        await visit.until_gone()

    async def main() -> None:
        async with scripted(listens) as brain:
            before = asyncio.all_tasks()
            connection = Connection(brain.url)
            async with connection:
                async for _arrival in connection.events():
                    break
                await asyncio.gather(connection.close(), connection.close())
                assert [arrival async for arrival in connection.events()] == []
            ours = {t for t in asyncio.all_tasks() - before if "robot-client" in t.get_name()}
            assert ours == set()
            await brain.visits[0].socket.wait_closed()
            assert brain.visits[0].socket.close_code == 1000
            with pytest.raises(RuntimeError):
                await connection.__aenter__()

    run(main())


def test_sound_frames_are_what_they_say() -> None:
    assert json.loads(requests.audio(b"\x01\x00"))["data"] == "AQA="
