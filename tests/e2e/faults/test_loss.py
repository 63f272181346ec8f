"""The whole product on a network that loses packets: one in twenty, or all from some moment on."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator

import pytest

from robot_client import requests
from robot_client.connection import Disconnected
from robot_client.messages import AudioDelta, Ready
from tests.e2e.faults.brain_inside import BrainInside, a_brain_inside
from tests.e2e.faults.namespace import Namespace
from tests.e2e.faults.robot import Robot, same
from tests.e2e.pocket import spoken

ONE_IN = 20
LOSSY, DEAD = "127.0.0.2", "127.0.0.3"
WORDS = range(5, 15)
LIMIT_S = 10.0 + 2.0  # for a machine that has much else to do


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrainInside]:
    folder = tmp_path_factory.mktemp("brain")
    with (
        Namespace() as network,
        a_brain_inside(network, folder, "--set", "MAX_SESSIONS=20") as running,
    ):
        running.until_ready()
        yield running


def test_one_packet_in_twenty_is_lost_and_the_conversation_goes_on(brain: BrainInside) -> None:
    network = brain.network
    network.lose(ONE_IN, LOSSY)

    async def main() -> None:
        with network.dialled_from():
            async with Robot(f"ws://{LOSSY}:{brain.port}/ws?robot_id=lossy") as robot:
                await robot.next(Ready, 0)
                for said, answer in (("My name is Anna.", ""), ("What is my name?", "Anna")):
                    heard, reply = await robot.ask(spoken(said))
                    assert same(heard, said), heard
                    assert answer in reply
                assert robot.connection.sockets == 1
                assert robot.connection.shed_samples == 0

    asyncio.run(main())
    assert network.dropped(LOSSY) >= 10  # (a busy machine sends fewer and larger ones)


def test_a_network_that_has_died_is_noticed_at_both_ends_within_ten_seconds(
    brain: BrainInside,
) -> None:
    """The brain's replies to the robots end at different fillings of its send buffers."""
    network = brain.network

    def sessions() -> int:
        robots = brain.get("/health")[1]["converse_sessions"]["robots"]
        return len([robot for robot in robots if robot.startswith("dead-")])

    async def until_none() -> float:
        while await asyncio.to_thread(sessions):  # noqa: ASYNC110 (another process is asked)
            await asyncio.sleep(0.1)
        return time.monotonic()

    async def main() -> tuple[float, float]:
        url = f"ws://{DEAD}:{brain.port}/ws?robot_id=dead-"
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(network.dialled_from())
            talker = await stack.enter_async_context(Robot(f"{url}talker"))
            listeners = [await stack.enter_async_context(Robot(f"{url}{n}")) for n in WORDS]
            for robot in (talker, *listeners):
                await robot.next(Ready, 0)
            for robot, words in zip(listeners, WORDS, strict=True):
                robot.connection.send(requests.say(" ".join(["one"] * words)))
            for robot in listeners:
                await robot.next(AudioDelta, 0)
            assert sessions() == 1 + len(listeners)
            network.lose(1, DEAD)
            died_at = time.monotonic()
            brain_noticed = asyncio.create_task(until_none())
            lost = await talker.next(Disconnected, 0)
            robot_noticed_at = time.monotonic()
            assert "doesn't answer" in lost.reason
            brain_noticed_at = await asyncio.wait_for(brain_noticed, 2 * LIMIT_S)
            return robot_noticed_at - died_at, brain_noticed_at - died_at

    robot_s, brain_s = asyncio.run(main())
    assert network.dropped(DEAD) > 0
    assert robot_s < LIMIT_S
    assert brain_s < LIMIT_S
