"""Which of several brains a robot goes to, and when it goes elsewhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from websockets.asyncio.server import serve

from robot_client.address import BrainAddress, Locator, brain_address
from robot_client.fleet import AVOID_S, SOON_S, Fleet, Place, in_order

BRAINS = [Place(f"brain-{n}", 8100, f"ws://brain-{n}:8100/ws") for n in range(5)]


class Brains:
    """`down`: they take no connection. `now`: seconds."""

    def __init__(self, robot_id: str | None = "r1") -> None:
        self.down: set[Place] = set()
        self.asked: list[Place] = []
        self.now = 1_000.0
        self.fleet = Fleet(BRAINS, robot_id, answers=self.answers, clock=lambda: self.now)

    async def answers(self, place: Place) -> bool:
        self.asked.append(place)
        return place not in self.down


def test_robots_spread_evenly_and_each_has_its_own_order() -> None:
    robots = [f"robot-{n}" for n in range(2_000)]
    first = Counter(in_order(BRAINS, robot)[0] for robot in robots)
    assert set(first) == set(BRAINS)
    assert all(330 < count < 470 for count in first.values()), first
    second = Counter(in_order(BRAINS, robot)[1] for robot in robots)
    assert all(330 < count < 470 for count in second.values()), second


def test_a_brain_that_goes_moves_its_own_robots_alone() -> None:
    for robot in (f"robot-{n}" for n in range(200)):
        before = in_order(BRAINS, robot)
        assert in_order(BRAINS[::-1], robot) == before  # however the list is written
        after = in_order([brain for brain in BRAINS if brain != before[0]], robot)
        assert after == before[1:]


def test_without_an_id_chance_decides() -> None:
    assert len({in_order(BRAINS, None)[0] for _ in range(200)}) == len(BRAINS)


def test_it_goes_to_the_next_and_back_at_a_later_reconnect(run: Any) -> None:
    async def main() -> None:
        own, second, *_ = in_order(BRAINS, "r1")
        brains = Brains()
        assert await brains.fleet() == own
        brains.now += 600
        brains.down = {own}
        assert await brains.fleet() == second
        brains.down = set()
        brains.now += 60
        assert await brains.fleet() == own

    run(main())


def test_one_that_takes_connections_and_serves_nobody_is_left_alone_for_a_while(run: Any) -> None:
    async def main() -> None:
        own, second, third, *_ = in_order(BRAINS, "r1")
        brains = Brains()
        assert await brains.fleet() == own
        brains.now += SOON_S - 1
        assert await brains.fleet() == second
        brains.now += 1
        assert await brains.fleet() == third
        brains.now += SOON_S + 1
        assert await brains.fleet() == third
        brains.now += AVOID_S
        assert await brains.fleet() == own
        # All are avoided: better one of those than none.
        for _ in range(2 * len(BRAINS)):
            assert await brains.fleet() in BRAINS

    run(main())


def test_where_none_answers_its_own_is_named(run: Any) -> None:
    async def main() -> None:
        brains = Brains()
        brains.down = set(BRAINS)
        for _ in range(3):
            assert await brains.fleet() == in_order(BRAINS, "r1")[0]
        assert brains.asked == 3 * in_order(BRAINS, "r1")

    run(main())


def test_several_addresses_are_read() -> None:
    given = brain_address("a:1, wss://b ,[::1]:3", robot_id="r", token="t0")
    assert given == BrainAddress(
        "a", 1, False, "r", "t0",
        (BrainAddress("b", None, True, "r", "t0"), BrainAddress("::1", 3, False, "r", "t0")),
    )  # fmt: skip
    for bad in ("a,", ",a", "a,auto", "a,http//b", "a,b c"):
        with pytest.raises(ValueError, match=r"empty|auto|neither|port"):
            brain_address(bad)


def test_real_brains_are_found_over_real_sockets(run: Any) -> None:
    async def main() -> None:
        said: list[str] = []
        async with (
            serve(lambda visitor: visitor.wait_closed(), "127.0.0.1", 0) as one,
            serve(lambda visitor: visitor.wait_closed(), "127.0.0.1", 0) as other,
        ):
            ports = [server.sockets[0].getsockname()[1] for server in (one, other)]
            where = ",".join(f"127.0.0.1:{port}" for port in ports)
            robots = [
                Locator(brain_address(where, robot_id=f"r{n}"), said.append) for n in range(20)
            ]
            urls = [await locate() for locate in robots]
            homes = Counter(url.split("/")[2] for url in urls)
            assert set(homes) == {f"127.0.0.1:{port}" for port in ports}
            assert all(url.endswith(f"?robot_id=r{n}") for n, url in enumerate(urls))
            one.close()
            await one.wait_closed()
            gone = f"127.0.0.1:{ports[0]}"
            for locate in robots:
                assert gone not in await locate()
            assert len(said) == homes[gone]
            assert said[0] == f"goes over to the brain at 127.0.0.1 port {ports[1]}"
            await asyncio.sleep(0)

    run(main())
