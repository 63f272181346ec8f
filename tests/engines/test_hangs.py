"""When only a new process can help: an engine that hangs is cancelled, then replaced, and only
what neither cures is hopeless. On virtual time, with engines that follow a script."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from brain.engines import hangs
from brain.engines.ladder import GivenUp, Ladder, Rung
from brain.engines.ladder_ports import LadderLanguageModel
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneLanguageModel
from brain.engines.ports import EngineError, EngineFailed, LanguageModel, Text, Ticket
from tests.scripted_engines import Hang, Pause, ScriptedMind, Step
from tests.virtual_time import run_virtual

Script = str | Sequence[Step]
DEAF: Script = [Hang(deaf=True)]
LIMITS = LaneLimits(first_s=4.0, next_s=4.0, grace_s=1.0)


def rung(*fates: Script | Exception | None, embedded: bool = True) -> Rung[LanguageModel]:
    """Built in 1 s with a script; None: its building hangs; the last fate is for ever."""
    left = list(fates)

    async def build(given_up: GivenUp) -> LanguageModel:
        fate = left.pop(0) if len(left) > 1 else left[0]
        await asyncio.sleep(1.0)
        if isinstance(fate, Exception):
            raise fate
        if fate is None:
            await asyncio.Event().wait()
        assert not isinstance(fate, (Exception, type(None)))
        engine: LanguageModel = ScriptedMind([fate], first_seconds=0.5, token_seconds=0.5)
        return LaneLanguageModel(Lane(engine, LIMITS, given_up=given_up))

    async def check(engine: LanguageModel) -> None:
        return None

    return Rung("big", build, check, embedded)


async def say(ladder: Ladder[LanguageModel]) -> str:
    stream = LadderLanguageModel(ladder).stream([], ticket=Ticket("a"))
    try:
        return "".join([item.text async for item in stream if isinstance(item, Text)])
    except EngineError as error:
        return type(error).__name__


def hopeless_at(
    ladder_of: Callable[[], Ladder[LanguageModel]],
    story: Callable[[Ladder[LanguageModel]], Awaitable[object]],
    until_s: float = 2_000,
) -> tuple[float | None, str]:
    """When the ladder is first without hope, to the second, and why."""

    async def main() -> tuple[float | None, str]:
        ladder = ladder_of()
        await ladder.start()
        await ladder.climb()
        ladder.watch()
        telling = asyncio.ensure_future(story(ladder))
        try:
            for second in range(int(until_s)):
                if reason := ladder.hopeless():
                    return float(second), reason
                await asyncio.sleep(1.0)
            return None, ""
        finally:
            telling.cancel()
            await ladder.close()

    return run_virtual(main())


async def talk_on(ladder: Ladder[LanguageModel], times: int = 100) -> None:
    for _ in range(times):
        await say(ladder)
        await asyncio.sleep(10)


def test_an_idle_engine_is_no_trouble() -> None:
    async def nothing(ladder: Ladder[LanguageModel]) -> None:
        return None

    assert hopeless_at(lambda: Ladder("llm", [rung("hello")]), nothing) == (None, "")


def test_a_slow_answer_is_no_trouble_as_long_as_it_goes_on() -> None:
    slowly: Script = ["one", *[step for _ in range(30) for step in (Pause(3.0), "more")]]
    assert hopeless_at(lambda: Ladder("llm", [rung(slowly)]), talk_on) == (None, "")


def test_an_engine_that_heeds_its_cancel_is_no_trouble() -> None:
    """Its calls fail, and it is there for the next one."""
    assert hopeless_at(lambda: Ladder("llm", [rung([Hang()])]), talk_on) == (None, "")


def test_one_that_hangs_once_is_replaced_and_nothing_ends() -> None:
    assert hopeless_at(lambda: Ladder("llm", [rung(DEAF, "hello")]), talk_on) == (None, "")


def test_one_that_hangs_time_and_again_takes_the_process_with_it() -> None:
    at, reason = hopeless_at(lambda: Ladder("llm", [rung(DEAF)]), talk_on)
    assert at is not None
    assert at < 60
    assert f"llm: an engine hung {hangs.MOST_HANGS} times" in reason


@pytest.mark.parametrize("fate", [None, EngineFailed("no GPU")])
def test_one_that_nothing_replaces(fate: Exception | None) -> None:
    at, reason = hopeless_at(
        lambda: Ladder("llm", [rung(DEAF, fate)], retries_s=(5.0,)), lambda x: talk_on(x, 1)
    )
    assert at is not None
    # 4 s for the answer, 1 s of grace, and then
    assert 5 + hangs.REPLACED_WITHIN_S <= at <= 5 + hangs.REPLACED_WITHIN_S + 3
    assert "none took its place" in reason


def test_while_another_serves_a_building_that_hangs_has_longer() -> None:
    at, reason = hopeless_at(
        lambda: Ladder("llm", [rung(DEAF, None, embedded=False), rung("small")]), talk_on
    )
    assert at is not None
    assert hangs.REBUILT_WITHIN_S < at < hangs.REBUILT_WITHIN_S + 15
    assert "building anew" in reason


def test_while_another_serves_a_building_that_fails_is_no_trouble() -> None:
    """Degrade, never die: a new process would get no further."""
    gone = EngineFailed("no such file")
    at, _ = hopeless_at(
        lambda: Ladder("llm", [rung(DEAF, gone, embedded=False), rung("small")]), talk_on
    )
    assert at is None


def test_a_hang_outside_this_process_is_not_cured_by_ending_it() -> None:
    async def there() -> None:
        return None

    def outside() -> Ladder[LanguageModel]:
        made = rung(DEAF, embedded=False)
        return Ladder("llm", [Rung(made.name, made.build, made.check, probe=there), rung("small")])

    assert hopeless_at(outside, talk_on) == (None, "")


class StuckLane(Lane[LanguageModel]):
    """Its supervision itself is stuck, which nothing else would notice."""

    async def _let_go(self, *args: object) -> EngineError:
        await asyncio.Event().wait()
        raise AssertionError


def test_a_call_that_neither_goes_on_nor_is_given_up_in_its_time() -> None:
    async def build(given_up: GivenUp) -> LanguageModel:
        engine: LanguageModel = ScriptedMind([DEAF])
        return LaneLanguageModel(StuckLane(engine, LIMITS, given_up=given_up))

    async def check(engine: LanguageModel) -> None:
        return None

    at, reason = hopeless_at(lambda: Ladder("llm", [Rung("big", build, check, True)]), talk_on)
    assert at is not None
    assert 4 + 2 * 1 <= at <= 4 + 2 * 1 + 2
    assert reason == "llm: a call of big neither goes on nor ends"
