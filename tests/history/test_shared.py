"""Several brains on one Redis, a real one: who has the newest, and what becomes of the others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from brain.dialogue.history import Said
from brain.dialogue.memory import Claim, Kept
from brain.history import shared
from brain.history.records import BadRecord, decode
from brain.history.shared import SharedKeeper
from brain.history.shared_database import SharedDatabase
from brain.history.shared_record import PREFIX
from tests.history.redis_server import PASSWORD, RedisServer, a_redis

ANNA = Kept((Said("user", "My name is Anna.", turn=3),), 53, 54)
BEN = Kept((Said("user", "My name is Ben.", turn=4),), 104, 105)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with a_redis(tmp_path / "redis") as server:
        yield server


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "POLL_S", 0.05)
    monkeypatch.setattr(shared, "RETRY_S", 0.05)
    monkeypatch.setattr(shared, "CLAIM_S", 0.3)


@asynccontextmanager
async def a_keeper(redis: RedisServer | str, age_s: float = 1800):
    keeper = SharedKeeper(redis if isinstance(redis, str) else redis.url, age_s=age_s)
    assert await keeper.start() == ()
    try:
        yield keeper
    finally:
        await keeper.close()


async def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def in_redis(redis: RedisServer, robot: str = "r1") -> Kept | None:
    """As another brain would find it, without claiming it."""
    found = {row.robot: row for row in SharedDatabase(redis.url).rows()}
    if (row := found.get(robot)) is None:
        return None
    try:
        return Kept(decode(row.messages), row.last_turn, row.last_reply)
    except BadRecord:
        return None


def test_all_robots_of_a_brain_that_has_died_find_theirs_at_once(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "CLAIM_S", 30.0)

    async def main() -> None:
        robots = [f"robot-{number}" for number in range(300)]
        async with a_keeper(redis) as first, a_keeper(redis) as second:
            await asyncio.gather(*(first.claim(robot) for robot in robots))
            for robot in robots:
                first.keep(robot, ANNA, connected=True)
            await until(lambda: in_redis(redis, robots[-1]) == ANNA)
            claims = await asyncio.gather(*(second.claim(robot) for robot in robots))
            assert [claim.kept for claim in claims] == [ANNA] * len(robots)
            assert second.reason == ""

    asyncio.run(main())


def test_a_robot_that_comes_to_another_brain_finds_its_conversation(redis: RedisServer) -> None:
    async def main() -> None:
        async with a_keeper(redis) as one, a_keeper(redis) as other:
            assert await one.claim("r1") == Claim(None, ours=False)
            one.keep("r1", ANNA, connected=True)
            await until(lambda: in_redis(redis) == ANNA)
            assert await other.claim("r1") == Claim(ANNA, ours=False)
            other.keep("r1", BEN, connected=True)
            await until(lambda: in_redis(redis) == BEN)
            assert await one.claim("r1") == Claim(BEN, ours=False)
            assert (one.kind, one.reason, one.note) == ("redis", "", "")

    asyncio.run(main())


def test_the_older_brain_writes_nothing_over_the_newer_ones(redis: RedisServer) -> None:
    async def main() -> None:
        async with a_keeper(redis) as one, a_keeper(redis) as other:
            taken: list[str] = []
            one.taken = taken.append
            await one.claim("r1")
            await one.claim("r2")
            for robot in ("r1", "r2"):
                one.keep(robot, Kept((), 1, 1), connected=True)
            await other.claim("r1")
            other.keep("r1", BEN, connected=True)
            await until(lambda: in_redis(redis) == BEN)
            one.keep("r1", ANNA, connected=True)  # its session hasn't heard of it yet
            await until(lambda: taken)
            one.keep("r1", ANNA, connected=False)  # now it ends
            one.keep("r2", ANNA, connected=True)
            await until(lambda: in_redis(redis, "r2") == ANNA)
            assert in_redis(redis) == BEN
            assert taken == ["r1"]
            assert await one.claim("r1") == Claim(BEN, ours=False)

    asyncio.run(main())


def test_a_brain_that_says_nothing_hears_that_its_robot_has_gone_over(redis: RedisServer) -> None:
    async def main() -> None:
        async with a_keeper(redis) as one, a_keeper(redis) as other:
            taken: list[str] = []
            one.taken = taken.append
            await one.claim("r1")
            one.keep("r1", ANNA, connected=True)
            await until(lambda: in_redis(redis) == ANNA)
            await other.claim("r1")
            await until(lambda: taken == ["r1"])
            assert other.reason == one.reason == ""

    asyncio.run(main())


def test_a_write_that_was_under_way_as_its_robot_was_claimed_anew(redis: RedisServer) -> None:
    """Its fence is the earlier session's."""

    async def main() -> None:
        async with a_keeper(redis) as one:
            taken: list[str] = []
            one.taken = taken.append
            await one.claim("r1")
            one.keep("r1", ANNA, connected=False)
            assert one._redis is not None
            redis.freeze()
            writing = asyncio.ensure_future(one._write(one._redis, ["r1"]))
            await asyncio.sleep(0)
            claiming = asyncio.ensure_future(one.claim("r1"))
            await asyncio.sleep(0.05)
            redis.thaw()
            await writing
            assert await claiming in (Claim(ANNA, ours=True), Claim(ANNA, ours=False))
            one.keep("r1", BEN, connected=True)
            await until(lambda: in_redis(redis) == BEN)
            assert taken == []

    asyncio.run(main())


def test_a_redis_that_is_down_costs_nobody_anything_and_gets_it_all_when_it_is_back(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with a_keeper(redis) as one:
            await one.claim("r1")
            one.keep("r1", ANNA, connected=True)
            await until(lambda: in_redis(redis) == ANNA)
            redis.kill()
            await until(lambda: one.reason)
            assert one.reason.startswith(f"{redis.place}: ")
            assert "111" in one.reason
            one.keep("r1", ANNA, connected=True)
            one.keep("r1", BEN, connected=False)  # of several, the newest
            begun = await one.claim("r2")
            assert begun.kept is None
            assert begun.above > 28_000_000  # seconds since 2026
            one.keep("r2", ANNA, connected=True)
            back = await one.claim("r1")
            assert (back.kept, back.ours) == (BEN, True)
            redis.start()
            await until(lambda: not one.reason)
            assert in_redis(redis) == BEN
            assert in_redis(redis, "r2") == ANNA
        errors = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert len(errors) == 1  # not one a retry
        assert "Anna" not in caplog.text

    with caplog.at_level(logging.INFO):
        asyncio.run(main())


def test_a_redis_that_has_lost_everything_is_told_again_of_who_is_there(
    redis: RedisServer,
) -> None:
    async def main() -> None:
        async with a_keeper(redis) as one:
            await one.claim("r1")
            one.keep("r1", ANNA, connected=True)
            await until(lambda: in_redis(redis) == ANNA)
            redis.client().flushall()
            await until(lambda: in_redis(redis) == ANNA)

    asyncio.run(main())


def test_a_redis_that_does_not_answer_holds_a_robot_up_for_a_moment_only(
    redis: RedisServer,
) -> None:
    async def main() -> None:
        async with a_keeper(redis) as one, a_keeper(redis) as other:
            taken: list[str] = []
            one.taken = taken.append
            await other.claim("r1")
            other.keep("r1", ANNA, connected=False)
            await until(lambda: in_redis(redis) == ANNA)
            redis.freeze()
            before = time.monotonic()
            assert (await one.claim("r1")).above
            assert time.monotonic() - before < 1.0
            one.keep("r1", BEN, connected=True)
            assert "doesn't answer" in one.reason
            redis.thaw()
            await until(lambda: in_redis(redis) == BEN)
            await until(lambda: not one.reason)
            assert taken == []  # what it had asked for at last came to pass; it was itself

    asyncio.run(main())


def test_of_two_brains_that_had_a_robot_while_redis_was_away_the_later_one_keeps_it(
    redis: RedisServer,
) -> None:
    async def main() -> None:
        async with a_keeper(redis) as one, a_keeper(redis) as other:
            taken: list[str] = []
            one.taken = taken.append
            redis.kill()
            await one.claim("r1")
            one.keep("r1", ANNA, connected=True)
            await other.claim("r1")
            other.keep("r1", BEN, connected=True)
            redis.start()
            await until(lambda: taken)
            await until(lambda: in_redis(redis) == BEN)
            assert other._held["r1"].connected

    asyncio.run(main())


def test_a_robot_that_is_there_does_not_age_and_one_that_is_gone_does(redis: RedisServer) -> None:
    async def main() -> None:
        async with a_keeper(redis, age_s=60) as one:
            for robot in ("there", "gone"):
                await one.claim(robot)
                one.keep(robot, ANNA, connected=robot == "there")
            await until(lambda: in_redis(redis, "gone") and in_redis(redis, "there"))
            client = redis.client()
            for robot in ("there", "gone"):
                assert client.pexpire(PREFIX + robot, 30_000)
            await until(lambda: client.pttl(PREFIX + "there") > 50_000)
            assert client.pttl(PREFIX + "gone") <= 30_000

    asyncio.run(main())


def test_a_robot_is_forgotten_by_command(redis: RedisServer) -> None:
    async def main() -> None:
        async with a_keeper(redis) as one:
            forgotten: list[str] = []
            one.forgotten = forgotten.append
            for robot in ("here", "gone"):
                await one.claim(robot)
                one.keep(robot, ANNA, connected=robot == "here")
            await until(lambda: in_redis(redis, "gone") and in_redis(redis, "here"))
            database = SharedDatabase(redis.url)
            assert [database.forget(robot, time.time()) for robot in ("here", "gone", "x")] == [
                True, True, False,
            ]  # fmt: skip
            assert not database.forget("gone", time.time())
            await until(lambda: forgotten == ["here"])
            one.keep("here", Kept((), 53, 54), connected=True)
            await until(lambda: in_redis(redis, "here") == Kept((), 53, 54))
            assert in_redis(redis, "gone") is None
            assert await one.claim("gone") == Claim(None, ours=False)
            database.close()

    asyncio.run(main())


def test_what_was_forgotten_while_a_write_waited_is_forgotten(redis: RedisServer) -> None:
    async def main() -> None:
        async with a_keeper(redis) as one:
            forgotten: list[str] = []
            one.forgotten = forgotten.append
            await one.claim("r1")
            one.keep("r1", ANNA, connected=False)
            assert not SharedDatabase(redis.url).forget("r1", time.time())  # not there yet
            await until(lambda: forgotten == ["r1"])
            assert in_redis(redis) is None

    asyncio.run(main())


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda client, key: client.set(key, "garbage"), None),
        (lambda client, key: client.hset(key, "messages", b"\xff{"), Kept((), 53, 54)),
        (lambda client, key: client.hset(key, "messages", "[[[["), Kept((), 53, 54)),
        (lambda client, key: client.hset(key, "last_turn", "-1e9"), None),
        (lambda client, key: client.hset(key, "fence", "soon"), Kept(ANNA.messages, 53, 54)),
        (lambda client, key: client.hset(key, "messages", "x" * (5 << 20)), None),
        (lambda client, key: client.rpush(key + "2", 1), Kept(ANNA.messages, 53, 54)),
    ],
)
def test_garbage_costs_one_robot_its_history_at_most(
    redis: RedisServer, caplog: pytest.LogCaptureFixture, spoil: Callable, found: Kept | None
) -> None:
    async def main() -> None:
        async with a_keeper(redis) as one, a_keeper(redis) as other:
            await one.claim("r1")
            one.keep("r1", ANNA, connected=False)
            await until(lambda: in_redis(redis) == ANNA)
            client = redis.client()
            if client.type(PREFIX + "r1") == b"hash":
                try:
                    spoil(client, PREFIX + "r1")
                except ResponseError:  # of another kind: in its place
                    client.delete(PREFIX + "r1")
                    spoil(client, PREFIX + "r1")
            assert SharedDatabase(redis.url).rows()[-1].robot.startswith("r1")
            assert (await other.claim("r1")).kept == found
            other.keep("r1", BEN, connected=True)
            await until(lambda: in_redis(redis) == BEN)
            assert other.reason == ""
            assert "Anna" not in caplog.text

    asyncio.run(main())


def test_a_wrong_password_is_said_and_never_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(redis: RedisServer) -> None:
        async with a_keeper(redis) as right:
            await right.claim("r1")
            right.keep("r1", ANNA, connected=True)
            await until(lambda: in_redis(redis) == ANNA)
        wrong = redis.url.replace("pl%40m", "pear")
        for url in (wrong, redis.place):
            async with a_keeper(url) as one:
                assert (await one.claim("r1")).above
                assert redis.place in one.reason
                assert "invalid" in one.reason or "Authentication required" in one.reason
                assert "pear" not in one.reason
            with pytest.raises(OSError, match=r"invalid|required") as said:
                SharedDatabase(url)
            assert "pear" not in str(said.value)

    with a_redis(tmp_path / "redis", password=PASSWORD) as redis:
        asyncio.run(main(redis))
    for secret in ("pear", "tree", "pl%40m"):
        assert secret not in caplog.text


def test_a_replica_that_only_reads_is_no_store(redis: RedisServer, tmp_path: Path) -> None:
    async def main(replica: RedisServer) -> None:
        async with a_keeper(replica) as one:
            await one.claim("r1")
            one.keep("r1", ANNA, connected=True)
            await until(lambda: "read only" in one.reason)
            replica.client().replicaof("no", "one")
            await until(lambda: not one.reason)
            assert in_redis(replica) == ANNA

    with a_redis(tmp_path / "replica", "--replicaof", "127.0.0.1", str(redis.port)) as replica:
        asyncio.run(main(replica))


def test_a_redis_without_room_says_so(redis: RedisServer) -> None:
    async def main() -> None:
        client = redis.client()
        async with a_keeper(redis) as one:
            await one.claim("r1")
            client.config_set("maxmemory", 1)
            one.keep("r1", ANNA, connected=True)
            await until(lambda: "maxmemory" in one.reason)
            client.config_set("maxmemory", 0)
            await until(lambda: not one.reason)
            assert in_redis(redis) == ANNA

    asyncio.run(main())


def test_while_redis_is_away_for_long_strangers_do_not_fill_the_memory(redis: RedisServer) -> None:
    async def main() -> None:
        redis.kill()
        async with a_keeper(redis) as one:
            await one.claim("there")
            one.keep("there", ANNA, connected=True)
            for number in range(3_000):
                one._hold(f"r{number}", number)
                one.keep(f"r{number}", BEN, connected=False)
            await until(lambda: len(one._held) == 1_001)
            assert {"there", "r2999"} <= set(one._held)
            redis.start()
            await until(lambda: in_redis(redis, "r2999") == BEN)

    asyncio.run(main())


def test_what_waits_is_written_as_the_brain_goes_down(redis: RedisServer) -> None:
    async def main() -> None:
        async with a_keeper(redis) as one:
            for number in range(200):
                await one.claim(f"r{number}")
                one.keep(f"r{number}", ANNA, connected=False)
        assert len(SharedDatabase(redis.url).rows()) == 200
        await one.close()  # twice is once

    asyncio.run(main())


def test_a_fault_of_our_own_does_not_end_the_task(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with a_keeper(redis) as one:
            await one.claim("r1")
            with monkeypatch.context() as patch:
                patch.setattr(shared, "encode", lambda messages: 1 / 0)
                one.keep("r1", ANNA, connected=True)
                await until(lambda: "fault" in one.reason)
            await until(lambda: not one.reason)
            assert in_redis(redis) == ANNA

    asyncio.run(main())
