"""The whole product behind a network that is slow, stands still, and breaks for a moment.

What a cut of 10 s does is shown through the Reachy Mini's handler: robot_client/tests/reachy_tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from robot_client.connection import Disconnected
from robot_client.messages import Ready
from robot_client.reconnect import Backoff
from tests.e2e.faults.proxy import Proxy
from tests.e2e.faults.robot import Robot, same
from tests.e2e.pocket import Brain, a_pocket_brain, spoken

DELAY_S = 0.1


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brain]:
    with a_pocket_brain(tmp_path_factory.mktemp("brain")) as running:
        running.until_ready()
        yield running
        assert running.process.poll() is None, "the brain died under the tests"


def test_what_is_said_during_a_short_cut_is_heard(brain: Brain) -> None:
    async def main() -> None:
        async with Proxy(brain.port, delay_s=DELAY_S) as proxy:
            url = f"ws://127.0.0.1:{proxy.port}/ws?robot_id=short"
            async with Robot(url, backoff=Backoff(first_s=0.05)) as robot:
                await robot.next(Ready, 0)
                since = len(robot.happened)
                proxy.cut()
                robot.say(spoken("What is your name?"))
                await robot.next(Disconnected, since)
                proxy.mend()
                heard, said = await robot.answer(since)
                assert same(heard, "What is your name?"), heard
                assert "robo" in said.lower()
                assert robot.connection.shed_samples == 0

    asyncio.run(main())


def test_a_stall_delays_what_is_said_and_loses_nothing_of_it(brain: Brain) -> None:
    async def main() -> None:
        async with (
            Proxy(brain.port, delay_s=DELAY_S) as proxy,
            Robot(f"ws://127.0.0.1:{proxy.port}/ws?robot_id=stall") as robot,
        ):
            await robot.next(Ready, 0)
            since = len(robot.happened)
            robot.say(spoken("What is your name?"))
            await asyncio.sleep(0.5)
            proxy.stall()
            await asyncio.sleep(0.6)  # after 1 s without sound the brain would take it for over
            proxy.flow()
            heard, said = await robot.answer(since)
            assert same(heard, "What is your name?"), heard
            assert "robo" in said.lower()
            assert robot.connection.sockets == 1

    asyncio.run(main())
