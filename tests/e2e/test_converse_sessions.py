"""`/converse` over a real socket: what the query asks for, and who is connected."""

from __future__ import annotations

import asyncio
import contextlib

import numpy as np
import pytest

from tests.e2e.sockets import a_brain, a_robot, quiet, tone
from tests.e2e.supervisor import HOUSE, a_supervisor, ask, converse, names, settled, turn
from tests.scripted_engines import ScriptedMind, ScriptedTranscriber

# -- the query ---------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "?robot_id=", f"?robot_id={'x' * 65}", "?robot_id=a%00b"])
def test_a_robot_without_a_name(query: str) -> None:
    async def main() -> None:
        async with a_brain() as address, a_robot(converse(address), query) as robot:
            assert await robot.close_code() == 4400
            assert robot.connection.close_reason == "missing_robot_id"
            assert not robot.seen

    asyncio.run(main())


def test_the_token() -> None:
    async def main() -> None:
        async with a_brain(token="secret") as address:
            async with a_robot(converse(address), "?robot_id=r1&token=wrong") as robot:
                assert await robot.close_code() == 4401
            headers = {"Authorization": "Bearer secret"}
            async with a_robot(converse(address), additional_headers=headers) as robot:
                assert (await robot.receive())["type"] == "listening"

    asyncio.run(main())


def test_overrides_reach_the_model_and_junk_does_not() -> None:
    async def main() -> None:
        mind = ScriptedMind(["Hello."], first_seconds=0.01)
        async with a_brain(mind=mind) as address:
            for query in (
                "&override_temperature=0.2&override_max_output_tokens=40",
                "&override_temperature=nan&override_max_output_tokens=0",
                "&override_temperature=9&override_max_output_tokens=1e3",
                "&override_temperature=&override_max_output_tokens=&vad=perhaps",
            ):
                async with a_robot(converse(address), f"?robot_id=r1{query}") as robot:
                    await robot.next("listening")
                    await robot.send(type="text", text="hello")
                    await turn(robot)
        assert mind.options == [(0.2, 40)] + [(None, None)] * 3

    asyncio.run(main())


def test_who_speaks_is_told_to_the_model_and_can_be_forgotten() -> None:
    async def main() -> None:
        mind = ScriptedMind(["Hello."], first_seconds=0.01)
        async with a_supervisor(mind=mind) as robot:
            for profile in ({"name": "Anna"}, None):
                await robot.send(type="profile", profile=profile)
                await robot.send(type="text", text="hello")
                await turn(robot)
            first, second = (asked[0].content for asked, _ in mind.asked)
            assert first.endswith('"{\\"name\\": \\"Anna\\"}"')
            assert "Anna" not in second

    asyncio.run(main())


@pytest.mark.setting("CONVERSE_VAD")
@pytest.mark.parametrize(("vad", "query"), [(True, ""), (False, "&vad=1")])
def test_silence_ends_a_turn_where_it_shall(vad: bool, query: str) -> None:
    async def main() -> None:
        async with a_supervisor(f"?robot_id=r1{query}", converse_vad=vad) as robot:
            await robot.speak(np.concatenate((tone(600), quiet(700))))
            await robot.send(type="end_utterance")  # too late: silence was faster
            messages = await turn(robot)
            assert names(messages)[0] == "transcription"
            assert names(messages)[-2:] == ["done", "listening"]
            assert await settled(robot) == []

    asyncio.run(main())


@pytest.mark.setting("CONVERSE_VAD")
@pytest.mark.parametrize(("vad", "query"), [(False, ""), (True, "&vad=0")])
def test_silence_ends_no_turn_where_it_shall_not(vad: bool, query: str) -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["hello"], seconds=0.01)
        async with a_supervisor(f"?robot_id=r1{query}", converse_vad=vad, ears=ears) as robot:
            await robot.speak(np.concatenate((tone(600), quiet(2_000), tone(600))))
            assert await settled(robot) == []
            await robot.send(type="end_utterance")
            await turn(robot)
            assert ears.heard == [pytest.approx(3_200 * 16, abs=512)]  # one turn, all of it

    asyncio.run(main())


def test_end_utterance_is_faster_than_silence() -> None:
    async def main() -> None:
        async with a_supervisor("?robot_id=r1&vad=1") as robot:
            await ask(robot)
            assert names(await turn(robot))[0] == "transcription"
            await robot.speak(quiet(700))
            assert await settled(robot) == []

    asyncio.run(main())


def test_there_is_no_listening_between_a_turn_and_the_one_that_replaces_it() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["hello", "robot"], seconds=0.3)
        async with a_supervisor("?robot_id=r1&vad=1", ears=ears) as robot:
            await ask(robot)
            await ask(robot)
            messages = await turn(robot)
            said = [message["text"] for message in messages if message["type"] == "transcription"]
            assert said == ["hello", "robot"]
            assert names(messages)[-2:] == ["done", "listening"]
            assert await settled(robot) == []

    asyncio.run(main())


def test_cancel_while_the_user_speaks_is_told_once() -> None:
    async def main() -> None:
        async with a_supervisor("?robot_id=r1&vad=1") as robot:
            await robot.speak(tone(600))
            await robot.send(type="cancel")
            assert await turn(robot) == [{"type": "listening"}]
            assert await settled(robot) == []

    asyncio.run(main())


# -- who is connected --------------------------------------------------------------------------


def test_the_newest_session_wins_on_both_wires_whatever_its_number() -> None:
    async def main() -> None:
        async with a_brain(house=HOUSE) as address:
            first_query = "?robot_id=r1&session_seq=41&session_monotonic_ts_ms=999999"
            async with a_robot(converse(address), first_query) as first:
                await first.next("listening")
                # Rebooted: it counts from 0 again.
                query = "?robot_id=r1&session_seq=0&session_monotonic_ts_ms=junk"
                async with a_robot(converse(address), query) as second:
                    await second.next("listening")
                    assert await first.close_code() == 4001
                    assert first.connection.close_reason == "replaced_by_newer_session"
                    async with a_robot(address, "?robot_id=r1") as third:
                        await third.next("ready")
                        assert await second.close_code() == 4001
                        async with a_robot(converse(address)) as fourth:
                            await fourth.next("listening")
                            assert await third.close_code() == 4001
                            assert third.connection.close_reason == "replaced_by_newer_session"

    asyncio.run(main())


def test_history_is_found_again_on_either_wire() -> None:
    async def main() -> None:
        mind = ScriptedMind(["[happy] Hello.", "Yes."], first_seconds=0.01)
        async with a_brain(house=HOUSE, mind=mind) as address:
            async with a_robot(converse(address)) as robot:
                await robot.next("listening")
                await robot.send(type="text", text="I am Anna.")
                await turn(robot)
            async with a_robot(address) as robot:
                assert (await robot.next("ready"))["resumed"]
            async with a_robot(converse(address), "?robot_id=r1&session_seq=0") as robot:
                await robot.next("listening")
                await robot.send(type="text", text="Who am I?")
                messages = await turn(robot)
                assert messages[-2]["turn_id"] == 2
            asked, _ = mind.asked[1]
            assert [message.content for message in asked[1:]] == [
                "I am Anna.",
                "[happy] Hello.",
                "Who am I?",
            ]

    asyncio.run(main())


def test_a_reply_that_is_cut_by_a_newer_session_is_told_to_be_over() -> None:
    async def main() -> None:
        mind = ScriptedMind(["A long story. " * 20], first_seconds=0.01)
        async with (
            a_brain(house=HOUSE, mind=mind) as address,
            a_robot(converse(address)) as older,
        ):
            await older.send(type="text", text="Tell me a story.")
            await older.next("audio")
            async with a_robot(converse(address)) as newer:
                await newer.next("listening")
                assert await older.close_code() == 4001
                assert older.seen[-1]["type"] == "done"
                assert older.seen[-1]["reason"] == "cancelled"
                assert mind.active == 0

    asyncio.run(main())


def test_one_that_says_nothing_is_kept() -> None:
    async def main() -> None:
        async with a_brain(idle_limit_s=0.05) as address, a_robot(converse(address)) as robot:
            await robot.next("listening")
            await asyncio.sleep(0.3)
            assert await settled(robot) == []

    asyncio.run(main())


def test_limits_are_those_of_the_other_wire() -> None:
    async def main() -> None:
        async with a_brain(max_sessions=1) as address, a_robot(converse(address)) as robot:
            await robot.next("listening")
            async with a_robot(converse(address), "?robot_id=r2") as other:
                assert await other.close_code() == 4429
            await robot.connection.send("x" * ((1 << 20) + 1))
            assert await robot.close_code() == 4413

    asyncio.run(main())


def test_going_down() -> None:
    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            async with a_brain() as address:
                robot = await stack.enter_async_context(a_robot(converse(address)))
                await robot.next("listening")
            assert await robot.close_code() == 1001

    asyncio.run(main())
