"""The handler's core in an app whose parts fail, are not there, or call it at odd moments."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from client_tests.reachy_parts import Robot, ScriptedApp, at, greet, running, say
from client_tests.scripted import Visit, scripted, tone

Run = Callable[[Awaitable[Any]], Any]


class Broken:
    """A part of the body that fails at whatever it is asked to do."""

    def __getattr__(self, name: str) -> Any:
        def fails(*_arguments: Any) -> Any:
            raise RuntimeError(f"{name} is stuck")

        return fails


@pytest.mark.parametrize("part", [Broken(), None])
def test_a_body_that_fails_or_is_not_there_does_not_end_the_conversation(
    run: Run, part: Any, caplog: pytest.LogCaptureFixture
) -> None:
    interrupt, hush = asyncio.Event(), asyncio.Event()

    async def brain_side(visit: Visit) -> None:
        await greet(visit)
        for turn in range(1, 4):
            await visit.send("speech_started", turn=turn)
            await visit.send("speech_stopped", turn=turn)
        await visit.send("reply_started", reply_id=1, turn=3)
        await say(visit, 1, tone(900))
        await visit.send("tool_call", name="camera", args="{}", call_id="c", reply_id=1)
        await visit.until("tool_result")
        await interrupt.wait()
        await visit.send("speech_started", turn=4)
        await visit.until("played")
        hush.set()
        await visit.until_gone()

    async def main() -> None:
        async with scripted(brain_side) as brain:
            robot = Robot(at(brain), ScriptedApp({"camera": lambda _a: {"b64_im": "/9g="}}))
            for name in ("movement_manager", "head_wobbler", "camera_worker"):
                setattr(robot.deps, name, part)
            robot.core = robot.another_core()
            robot._clear_queue = Broken().clear
            robot.core.reactions.last_activity_time -= 3600  # idle, if the body could say so
            async with running(robot):
                await robot.until(lambda: len(robot.frames) >= 3)
                interrupt.set()
                await asyncio.wait_for(hush.wait(), 5)
            assert len(brain.visits) == 1

    run(main())
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == len(set(told)), "once, not once a frame"


@pytest.mark.parametrize(
    "frame",
    [None, (), (1, 2, 3), "sound", (None, np.zeros(3)), ("fast", np.zeros(3)), (16_000, None),
     (16_000, object()), (float("nan"), np.zeros(3)), (16_000, [[1], [1, 2]]),
     (16_000, np.zeros((2, 2, 2))), (16_000, np.zeros(0))],
)  # fmt: skip
def test_no_frame_of_the_apps_raises(run: Run, frame: Any) -> None:
    async def brain_side(visit: Visit) -> None:
        await greet(visit)
        while len(visit.sound) < 320:
            await visit.receive()
        await visit.send("transcript_user", text="heard", turn=1)
        await visit.until_gone()

    async def main() -> None:
        async with scripted(brain_side) as brain:
            robot = Robot(at(brain))
            async with running(robot):
                await robot.until(lambda: robot.core.connected)
                await robot.core.receive(frame)
                await robot.core.receive((16_000, np.zeros(160, np.int16)))
                await robot.until(lambda: {"role": "user", "content": "heard"} in robot.messages)

    run(main())


def test_a_tool_that_cannot_be_offered_takes_none_of_the_others_along(run: Run) -> None:
    told: list[dict[str, Any]] = []

    async def brain_side(visit: Visit) -> None:
        told.append(await greet(visit))
        await visit.until_gone()

    class Odd(ScriptedApp):
        def tool_specs(self) -> Any:
            bad = [{}, {"name": "set", "parameters": {"enum": {1, 2}}}, {"name": "\ud800"}, None]
            return [*bad, *super().tool_specs()]

    async def main() -> None:
        async with scripted(brain_side) as brain:
            robot = Robot(at(brain), Odd({"dance": lambda _a: {}}))
            async with running(robot):
                await robot.until(lambda: told)

    run(main())
    assert [tool["name"] for tool in told[0]["tools"]] == ["dance"]


def test_starting_twice_is_one_conversation(run: Run) -> None:
    async def brain_side(visit: Visit) -> None:
        await greet(visit)
        await visit.until_gone()

    async def main() -> None:
        async with scripted(brain_side) as brain:
            robot = Robot(at(brain))
            async with running(robot):
                again = asyncio.create_task(robot.core.start_up())
                await robot.until(lambda: robot.core.connected)
                assert not again.done()
            await asyncio.wait_for(again, 5)
            await robot.core.start_up()
            await robot.core.shutdown()
            assert len(brain.visits) == 1

    run(main())


@pytest.mark.parametrize("steps", range(12))
def test_shut_down_at_any_step_of_starting(run: Run, steps: int) -> None:
    async def brain_side(visit: Visit) -> None:
        await greet(visit)
        await visit.until_gone()

    async def main() -> None:
        async with scripted(brain_side) as brain:
            robot = Robot(at(brain))
            async with running(robot):
                for _ in range(steps * 3):
                    await asyncio.sleep(0)
                await asyncio.gather(robot.core.shutdown(), robot.core.shutdown())
                assert await robot.core.emit() is None
                await robot.core.receive((16_000, np.zeros(160, np.int16)))

    # A socket that was left open would hold the scripted brain up for 10 s.
    run(asyncio.wait_for(main(), 5))


def test_a_personality_too_large_for_the_wire_is_refused(run: Run) -> None:
    async def brain_side(visit: Visit) -> None:
        await greet(visit)
        await visit.until_gone()

    class Verbose(ScriptedApp):
        def instructions(self) -> str:
            return "talk " * 300_000 if self.chosen == "verbose" else super().instructions()

    async def main() -> None:
        async with scripted(brain_side) as brain:
            robot = Robot(at(brain), Verbose())
            async with running(robot):
                await robot.until(lambda: robot.core.connected)
                assert "Failed" in await robot.core.apply_personality("verbose")
                assert robot.app.chosen is None

    run(main())
