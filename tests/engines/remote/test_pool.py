"""Several servers as one, on virtual time; the servers are scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from brain.engines.looking import PROBE_AGAIN_S, PROBE_S
from brain.engines.ports import (
    Cancelled,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    Ticket,
)
from brain.engines.remote.breaker import STRIKES
from brain.engines.remote.choice import AFFINITY_MARGIN
from brain.engines.remote.pool import Pool
from tests.engines.remote.scripted_servers import (
    Asking,
    Behaviour,
    Scripted,
    answers,
    fails,
    hangs,
    slow,
)
from tests.virtual_time import run_virtual

FIRST_S = 20.0


def run(
    main: Callable[[Pool[Asking], list[Scripted]], Awaitable[None]], count: int = 3
) -> list[Scripted]:
    """`main` with a pool of servers a, b, c; afterwards nothing of it is left."""
    servers = [Scripted("abcdefgh"[at]) for at in range(count)]

    async def whole() -> None:
        pool = await Pool.load(
            [one.server for one in servers], first_s=FIRST_S, sticks=True, chance=lambda: 0.5
        )
        await main(pool, servers)
        await pool.close()
        assert all(server.open == 0 for server in servers)
        assert len(asyncio.all_tasks()) == 1

    run_virtual(whole())
    return servers


async def ask(pool: Pool[Asking], robot: str = "r", into: list[str] | None = None) -> str:
    said = [] if into is None else into
    async for item in pool.stream(Ticket(robot), lambda engine, ticket: engine.stream(ticket)):
        said.append(item)
    return "".join(said)


def now() -> float:
    return asyncio.get_running_loop().time()


def up(pool: Pool[Asking]) -> str:
    return "".join(one.place for one in pool.endpoints if one.up)


def test_equally_loaded_servers_take_turns_and_robots_stay() -> None:
    async def main(pool: Pool[Asking], _: list[Scripted]) -> None:
        first = [await ask(pool, robot) for robot in "xyz"]
        assert sorted(first) == ["a.", "b.", "c."]
        for _ in range(3):
            assert [await ask(pool, robot) for robot in "xyz"] == first

    run(main)


def test_the_least_loaded_is_asked() -> None:
    async def main(pool: Pool[Asking], servers: list[Scripted]) -> None:
        for server in servers:
            server.says = slow(1.0)
        said = await asyncio.gather(*(ask(pool, str(robot)) for robot in range(9)))
        assert sorted(said) == [*"aaabbbccc"]

    run(main)


def test_a_robot_leaves_its_server_when_that_is_much_more_loaded() -> None:
    async def main(pool: Pool[Asking], servers: list[Scripted]) -> None:
        mine = await ask(pool, "mine")
        for server in servers:
            server.says = slow(1.0)
        # Each of these would rather stay at that server, too.
        said = await asyncio.gather(*(ask(pool, "mine") for _ in range(2 + AFFINITY_MARGIN)))
        assert said.count(mine[0]) == 1 + AFFINITY_MARGIN

    run(main)


@pytest.mark.parametrize(
    "error", [EngineUnavailable("Gone."), EngineFailed("It broke."), EngineBusy("Busy.")]
)
def test_what_fails_before_its_first_item_is_answered_by_another_at_once(
    error: EngineError,
) -> None:
    async def main(pool: Pool[Asking], servers: list[Scripted]) -> None:
        servers[0].says = servers[1].says = fails(error)
        for robot in "xyz":
            assert await ask(pool, robot) == "c."
        assert now() == 0

    run(main)


def test_what_was_said_is_never_said_again() -> None:
    async def main(pool: Pool[Asking], servers: list[Scripted]) -> None:
        for server in servers:
            server.says = fails(EngineFailed("It broke off."), after=["Hel"])
        said: list[str] = []
        with pytest.raises(EngineFailed, match="broke off"):
            await ask(pool, into=said)
        assert said == ["Hel"]
        assert sum(len(server.asked) for server in servers) == 1

    run(main)


def test_one_that_hangs_costs_a_third_of_the_time_once_and_is_out_until_it_is_well() -> None:
    async def main(pool: Pool[Asking], servers: list[Scripted]) -> None:
        servers[0].says, servers[0].ill = hangs, True
        for robot in "xyz":
            await ask(pool, robot)
        took = now()
        assert took == pytest.approx(FIRST_S * 0.9 / 3)
        assert up(pool) == "bc"
        assert servers[0].left == 1, "its stream was closed"
        for _ in range(9):
            assert await ask(pool, "x") in ("b.", "c.")
        assert now() == took
        servers[0].says, servers[0].ill = answers, False
        await asyncio.sleep(40)
        assert up(pool) == "abc"

    run(main)


def test_all_that_hang_end_before_the_lane_gives_up() -> None:
    async def main(pool: Pool[Asking], servers: list[Scripted]) -> None:
        for server in servers:
            server.says = hangs
        with pytest.raises(EngineTimeout):
            await ask(pool)
        assert now() == pytest.approx(FIRST_S * 0.9)
        assert up(pool) == "abcdef", "it may have been the question"

    run(main, 6)


def test_failures_count_when_another_could_answer() -> None:
    async def main(pool: Pool[Asking], servers: list[Scripted]) -> None:
        servers[0].says, servers[0].ill = fails(EngineFailed("It broke.")), True
        for at in range(3 * STRIKES):
            assert await ask(pool, str(at)) == "b."
        assert len(servers[0].asked) == STRIKES
        assert up(pool) == "b"

    run(main, 2)


def test_a_question_that_nobody_can_answer_puts_nobody_out() -> None:
    async def main(pool: Pool[Asking], servers: list[Scripted]) -> None:
        for server in servers:
            server.says = fails(EngineFailed("Too long."))
        for _ in range(5 * STRIKES):
            with pytest.raises(EngineFailed, match="Too long"):
                await ask(pool)
        assert up(pool) == "abc"

    run(main)


def test_all_busy_is_busy_and_nobody_is_out() -> None:
    async def main(pool: Pool[Asking], servers: list[Scripted]) -> None:
        for server in servers:
            server.says = fails(EngineBusy("Busy."))
        with pytest.raises(EngineBusy):
            await ask(pool)
        assert up(pool) == "abc"

    run(main)


def test_one_that_goes_is_noticed_with_nobody_asking_and_back_soon() -> None:
    async def main(pool: Pool[Asking], servers: list[Scripted]) -> None:
        servers[1].there = False
        await asyncio.sleep(PROBE_S * 1.25 + PROBE_AGAIN_S + 0.1)
        assert up(pool) == "ac"
        (out,) = (one for one in pool.endpoints if not one.up)
        assert (out.place, out.reason) == ("b", "b can't be reached.")
        assert await ask(pool) in ("a.", "c.")
        assert servers[1].asked == []
        await asyncio.sleep(600)
        servers[1].there = True
        await asyncio.sleep(PROBE_S * 1.25)
        assert up(pool) == "abc"
        assert servers[1].builds == 2, "it may serve another model now"
        assert servers[1].closed == 1

    run(main)


def test_a_blip_is_no_outage() -> None:
    async def main(pool: Pool[Asking], servers: list[Scripted]) -> None:
        await asyncio.sleep(PROBE_S - 0.1)
        servers[1].there = False
        await asyncio.sleep(0.3)
        servers[1].there = True
        await asyncio.sleep(20)
        assert up(pool) == "abc"
        assert servers[1].builds == 1

    run(main)


def test_a_call_goes_on_at_a_server_that_came_back_meanwhile() -> None:
    async def main(pool: Pool[Asking], servers: list[Scripted]) -> None:
        async def long(server: Scripted) -> AsyncGenerator[str, None]:
            yield "begun"
            await asyncio.sleep(60)
            yield " and ended"

        servers[0].says = long
        call = asyncio.ensure_future(ask(pool))
        await asyncio.sleep(0.1)
        servers[0].there = False
        await asyncio.sleep(10)
        assert up(pool) == ""
        servers[0].there = True
        await asyncio.sleep(10)
        assert (up(pool), servers[0].builds, servers[0].closed) == ("a", 2, 0)
        assert await call == "begun and ended"
        await asyncio.sleep(0)
        assert servers[0].closed == 1

    run(main, 1)


def test_all_gone_says_so_and_of_each_why() -> None:
    async def main(pool: Pool[Asking], servers: list[Scripted]) -> None:
        for server in servers:
            server.there = False
        for _ in range(2):
            with pytest.raises(EngineUnavailable) as raised:
                await ask(pool)
            assert str(raised.value).startswith("None of the 3 servers serves.")
            assert all(f"{name} can't be reached" in str(raised.value) for name in "abc")
        assert now() == 0

    run(main)


def test_one_server_is_enough_to_begin() -> None:
    async def main() -> None:
        servers = [Scripted(name) for name in "abc"]
        servers[0].there = servers[1].there = False
        places = [server.server for server in servers]
        pool = await Pool.load(places, first_s=FIRST_S, chance=lambda: 0.5)
        assert await ask(pool) == "c."
        servers[0].there = True
        await asyncio.sleep(10)
        assert up(pool) == "ac"
        await pool.close()
        servers[0].there = servers[2].there = False
        with pytest.raises(EngineUnavailable, match="None of the 3"):
            await Pool.load(places, first_s=FIRST_S)

    run_virtual(main())


@pytest.mark.parametrize("says", [hangs, slow(5), answers])
def test_a_cancel_ends_the_call_and_asks_nobody_else(says: Behaviour) -> None:
    async def main(pool: Pool[Asking], servers: list[Scripted]) -> None:
        for server in servers:
            server.says = says
        ticket = Ticket("r")
        items = pool.stream(ticket, lambda engine, inner: engine.stream(inner))
        if says is answers:
            await anext(items)
        asyncio.get_running_loop().call_later(1.0, ticket.cancel.cancel)
        await asyncio.sleep(1.0 if says is answers else 0)
        with pytest.raises(Cancelled):
            async for _ in items:
                pass
        assert now() == pytest.approx(1.0)
        assert sum(len(server.asked) for server in servers) == 1
        assert up(pool) == "abc"

    run(main)


def test_what_is_counted() -> None:
    async def main(pool: Pool[Asking], servers: list[Scripted]) -> None:
        servers[0].says = fails(EngineBusy("Busy."))
        assert await ask(pool) == "b."
        counted = pool.counters()
        assert counted["a"]["refused"] == counted["a"]["started"] == 1
        assert (counted["b"]["completed"], counted["b"]["up"]) == (1, True)

    run(main, 2)
