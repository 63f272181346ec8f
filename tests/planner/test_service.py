"""Making plans: admission, time, a second try, what is never passed on. On virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

import pytest

from brain.engines.admission import AdmissionLimits
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneLanguageModel
from brain.engines.ports import (
    Cancelled,
    CancelToken,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    Message,
    Priority,
    Text,
    Ticket,
)
from brain.planner.options import plan_options
from brain.planner.service import PlanFailed, Planner
from brain.settings import Settings
from tests.scripted_engines import Hang, Pause
from tests.virtual_time import run_virtual

from .minds import PlanMind, done, emote, error_of, gesture, one, plan, planner, say, skill, world
from .test_schema import SEED_ACTIONS

HAPPY = emote("happy", 0.9)
HI = say("Hi!")


def refused_at(mind: PlanMind) -> str:
    """What the model was told of its first answer."""
    told = mind.asked[1][0]
    assert [message.role for message in told] == ["system", "user", "assistant", "user"]
    return told[-1].content


# -- a plan ------------------------------------------------------------------------------------


def test_the_seeds_example() -> None:
    mind = PlanMind(SEED_ACTIONS, seconds=0.5)

    async def main() -> None:
        robots = planner(mind)
        await asyncio.sleep(3)
        first = await robots.plan(world())
        assert done(first) == SEED_ACTIONS
        response = first.response
        assert (response.robot_id, response.seq, response.ttl_ms) == ("robot-1", 42, 2000)
        assert response.monotonic_ts_ms == 123456789
        assert response.server_monotonic_ts_ms == 3500
        assert len(response.plan_id) == 32
        assert int(response.plan_id, 16)
        assert first.engine_s == pytest.approx(0.5)
        assert not first.cached
        second = await robots.plan(world(seq=43))
        assert second.response.plan_id != response.plan_id
        assert second.response.seq == 43

    run_virtual(main())
    assert mind.tickets[0].robot == "robot-1"
    assert mind.tickets[0].priority is Priority.PLAN
    assert mind.temperatures[0] is None


def test_the_schema_offers_what_the_state_allows_and_the_prompt_stays_the_same() -> None:
    for fields, there in (({}, True), ({"range_mm": 200}, False), ({"faults": ["TILT"]}, False)):
        mind = PlanMind([HAPPY])
        one(mind, world(**fields))
        assert ("patrol_drift" in str(mind.schemas[0])) is there
        assert "patrol_drift" in mind.asked[0][0][0].content


def test_a_look_at_the_ball_has_its_very_bearing() -> None:
    planned = one(PlanMind([gesture("look_at", bearing=15), gesture("look_at", bearing=-15)]))
    assert [action["params"]["bearing"] for action in done(planned)] == [15.2, -15]


def test_an_answer_ends_with_its_plan() -> None:
    mind = PlanMind([plan(HAPPY), " ", "Now", Hang()])
    assert done(one(mind, timeout_s=5)) == [HAPPY]
    assert mind.active == 0
    endless = PlanMind(["blah " * 2000, "{" * 4000] * 9)
    assert isinstance(error_of(endless), PlanFailed)


# -- refused answers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("I'd rather dance.", "no JSON object"),
        ("", "no JSON object"),
        (plan(emote("happy", 2)), "intensity"),
        (plan(skill("fly")), "skill"),
        (plan(HAPPY, ttl_ms=9000), "ttl_ms"),
        (plan(*[HAPPY] * 6), "at most 5"),
    ],
)
def test_an_invalid_answer_gets_a_second_try_with_the_reason(answer: str, why: str) -> None:
    mind = PlanMind(answer, [HAPPY])
    planned = one(mind)
    assert done(planned) == [HAPPY]
    assert planned.engine_s == pytest.approx(0.4)
    assert why in refused_at(mind)
    assert mind.temperatures == [None, 0.7]
    bad_twice = PlanMind(answer)
    assert why in str(error_of(bad_twice))
    assert len(bad_twice.asked) == 2


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"range_mm": 200}, skill("patrol_drift")),
        ({"ball_detected": False}, skill("investigate_ball")),
        ({"ball_detected": False}, say("A ball!")),
        ({"faults": ["TILT"]}, skill("patrol_drift")),
        ({"battery_mv": 6500}, gesture("spin")),
        ({}, say("You idiot!")),
        ({}, say("Where do you live?")),
    ],
)
def test_what_breaks_a_rule_is_never_passed_on(fields: dict[str, Any], wrong: Any) -> None:
    mind = PlanMind([HAPPY, wrong], [HAPPY, HI])
    assert done(one(mind, world(**fields))) == [HAPPY, HI]
    assert wrong["action"] in refused_at(mind)
    stubborn = PlanMind([HAPPY, wrong], [wrong, HI])
    assert done(one(stubborn, world(**fields))) == [HI]
    for failure in ("no plan", EngineFailed("broken"), [Hang()]):
        assert done(one(PlanMind([HAPPY, wrong], failure), world(**fields))) == [HAPPY]


def test_repeats_in_a_plan_are_left_out() -> None:
    mind = PlanMind([HAPPY, HI, HAPPY, say("hi")])
    assert done(one(mind)) == [HAPPY, HI]
    assert len(mind.asked) == 1


def test_a_line_may_come_again_after_another() -> None:
    mind = PlanMind([HI], [say("Hello!")])

    async def main() -> None:
        robots = planner(mind)
        said = [done(await robots.plan(world())) for _ in range(4)]
        assert said == [[HI], [say("Hello!")]] * 2

    run_virtual(main())


# -- who may come, and how long it may take ----------------------------------------------------


@pytest.mark.setting("PLAN_MAX_INFLIGHT")
@pytest.mark.parametrize("most", [1, 3])
def test_what_is_over_the_gate_is_sent_away_at_once(most: int) -> None:
    mind = PlanMind([HAPPY], seconds=1.0)
    options = plan_options(Settings(plan_max_inflight=most, plan_cache_entries=0))

    async def main() -> None:
        clock = asyncio.get_running_loop().time
        robots = Planner(mind, options, clock=clock)
        under_way = [asyncio.ensure_future(robots.plan(world())) for _ in range(most)]
        await asyncio.sleep(0.5)
        assert asdict(robots.admission) == {
            "max_inflight": most, "inflight": most, "admitted": most, "rejected": 0,
        }  # fmt: skip
        with pytest.raises(EngineBusy):
            await robots.plan(world())
        assert clock() == 0.5
        await asyncio.gather(*under_way)
        await robots.plan(world())
        assert asdict(robots.admission) == {
            "max_inflight": most, "inflight": 0, "admitted": most + 1, "rejected": 1,
        }  # fmt: skip

    run_virtual(main())


@pytest.mark.setting("LLM_MAX_INFLIGHT")
@pytest.mark.parametrize("most", [1, 2])
def test_a_plan_and_a_conversation_share_the_language_model(most: int) -> None:
    settings = Settings(plan_max_inflight=9, llm_max_inflight=most)
    mind = PlanMind([HAPPY], seconds=1.0)

    async def main() -> None:
        limits = LaneLimits(AdmissionLimits(inflight=settings.llm_max_inflight))
        shared = LaneLanguageModel(Lane(mind, limits))
        robots = Planner(shared, plan_options(settings))

        async def converse() -> list[Text]:
            stream = shared.stream([Message("user", "Hello")], ticket=Ticket("other"))
            return [piece async for piece in stream if isinstance(piece, Text)]

        talking = asyncio.ensure_future(converse())
        await asyncio.sleep(0.1)
        if most == 1:
            with pytest.raises(EngineBusy):
                await robots.plan(world())
            assert asyncio.get_running_loop().time() == pytest.approx(0.1)
        else:
            assert done(await robots.plan(world())) == [HAPPY]
        assert await talking
        assert done(await robots.plan(world(trigger="later"))) == [HAPPY]

    run_virtual(main())


@pytest.mark.setting("PLAN_TIMEOUT_S")
@pytest.mark.setting("VLLM_TIMEOUT_S")
@pytest.mark.setting("LLM_TIMEOUT_S")
@pytest.mark.parametrize(
    ("backend", "name"),
    [("ollama", "plan_timeout_s"), ("vllm", "vllm_timeout_s"), ("llamacpp", "llm_timeout_s"),
     ("openai", "llm_timeout_s")],
)  # fmt: skip
def test_the_time_limit_of_the_backend_is_for_the_whole_plan(backend: str, name: str) -> None:
    options = plan_options(Settings(**{"llm_backend": backend, name: 1.5}))
    minds = (
        PlanMind([Hang()]),
        PlanMind("not a plan", seconds=1.0),  # the second try would end at 2 s
        PlanMind(["{", *[Pause(0.4), " "] * 9]),  # never idle for long, and never done
    )

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for mind in minds:
            began = loop.time()
            with pytest.raises(EngineTimeout, match=r"1\.5 s"):
                await Planner(mind, options).plan(world())
            assert loop.time() - began == pytest.approx(1.5)
            assert mind.active == 0
        slow = PlanMind([HAPPY], seconds=1.4)
        assert done(await Planner(slow, options).plan(world())) == [HAPPY]

    run_virtual(main())


@pytest.mark.parametrize(
    "error", [EngineUnavailable("gone"), EngineFailed("broken"), EngineBusy("full")]
)
def test_the_engines_errors_are_the_callers(error: EngineError) -> None:
    assert error_of(PlanMind(error)) is error


def test_a_failed_plan_leaves_its_place() -> None:
    mind = PlanMind(EngineFailed("broken"), "no", "no", [Hang()], [HAPPY])

    async def main() -> None:
        robots = planner(mind, timeout_s=1)
        for expected in (EngineFailed, PlanFailed, EngineTimeout):
            with pytest.raises(expected):
                await robots.plan(world())
            assert robots.admission.inflight == 0
        assert done(await robots.plan(world())) == [HAPPY]

    run_virtual(main())


@pytest.mark.parametrize("by", ["token", "task"])
def test_a_robot_that_goes_away_stops_the_engine(by: str) -> None:
    mind = PlanMind([HAPPY], seconds=60)

    async def main() -> None:
        robots = planner(mind, timeout_s=100)
        cancel = CancelToken()
        waiting = asyncio.ensure_future(robots.plan(world(), cancel=cancel))
        await asyncio.sleep(1)
        assert mind.active == 1
        if by == "token":
            cancel.cancel()
        else:
            waiting.cancel()
        with pytest.raises((Cancelled, asyncio.CancelledError)):
            await waiting
        assert mind.active == 0
        assert robots.admission.inflight == 0
        assert asyncio.get_running_loop().time() == 1

    run_virtual(main())
