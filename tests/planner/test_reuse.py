"""Plans that are used again, lines that aren't, and what the settings do. On virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace

import pytest

from brain.planner.options import PlanOptions, plan_options
from brain.planner.schema import ALL_SKILLS, OFFERED_SKILLS
from brain.planner.service import PlanFailed, Planned, Planner
from brain.settings import Settings
from tests.virtual_time import run_virtual

from .minds import PlanMind, done, emote, error_of, gesture, one, planner, say, skill, world

HAPPY = emote("happy", 0.9)
HI = say("Hi!")


@pytest.mark.setting("PLAN_CACHE_ENTRIES")
@pytest.mark.parametrize("entries", [0, 8])
def test_no_line_twice_in_a_row_to_the_same_robot(entries: int) -> None:
    mind = PlanMind([HAPPY, HI])

    async def main() -> None:
        robots = planner(mind, cache_entries=entries)
        said = [done(await robots.plan(world(robot_id=name, trigger=trigger)))
                for name, trigger in ((("a", "x"), ("a", "x"), ("b", "x"), ("a", "y"), ("a", "x"))
                                      * 3)]  # fmt: skip
        assert said[:5] == [[HAPPY, HI], [HAPPY], [HAPPY, HI], [HAPPY], [HAPPY]]
        assert all(plan == [HAPPY] for plan in said[5:])

    run_virtual(main())
    # Without a cache each plan is a new one; with it the model is soon left alone.
    assert len(mind.asked) == (15 if entries == 0 else 7)


# -- the cache ---------------------------------------------------------------------------------


@pytest.mark.setting("PLAN_CACHE_ENTRIES")
def test_common_situations_are_answered_without_the_model() -> None:
    mind = PlanMind([HAPPY, gesture("look_at", bearing=15), HI], seconds=1.0)
    settings = Settings(plan_cache_entries=1)

    async def main() -> None:
        clock = asyncio.get_running_loop().time
        robots = Planner(mind, plan_options(settings), clock=clock)
        first = await robots.plan(world())
        second = await robots.plan(world(robot_id="r2", seq=7, ball_bearing_deg=41.5))
        assert (first.cached, second.cached) == (False, True)
        assert clock() == 1.0
        assert second.engine_s == 0
        assert done(second) == [HAPPY, gesture("look_at", bearing=41.5), HI]
        assert (second.response.robot_id, second.response.seq) == ("r2", 7)
        assert second.response.plan_id != first.response.plan_id
        # Room for one situation only: the other one drives it out.
        assert not (await robots.plan(world(robot_id="r3", trigger="heartbeat"))).cached
        assert not (await robots.plan(world(robot_id="r4"))).cached
        off = Planner(mind, plan_options(Settings(plan_cache_entries=0)), clock=clock)
        assert not (await off.plan(world())).cached
        assert not (await off.plan(world(robot_id="r2"))).cached

    run_virtual(main())


@pytest.mark.setting("PLAN_CACHE_S")
@pytest.mark.parametrize("seconds", [10, 30])
def test_a_plan_is_used_again_for_so_long(seconds: int) -> None:
    mind = PlanMind([HAPPY], seconds=0)

    async def main() -> None:
        clock = asyncio.get_running_loop().time
        robots = Planner(mind, plan_options(Settings(plan_cache_s=seconds)), clock=clock)
        await robots.plan(world())
        for _ in range(3):
            await asyncio.sleep(seconds / 3 - 0.01)
            assert (await robots.plan(world())).cached
        await asyncio.sleep(0.1)
        assert not (await robots.plan(world())).cached

    run_virtual(main())


def test_for_another_line_the_model_is_asked_with_some_temperature() -> None:
    mind = PlanMind([HI], [say("Hello!")], [say("Never asked.")])

    async def main() -> None:
        robots = planner(mind, cache_entries=4, varied_temperature=0.9)
        said = [done(await robots.plan(world())) for _ in range(5)]
        assert said == [[HI], [say("Hello!")], [HI], [say("Hello!")], [HI]]

    run_virtual(main())
    assert mind.temperatures == [None, 0.9]


def test_what_was_left_of_a_plan_is_not_kept() -> None:
    mind = PlanMind([HAPPY, say("You idiot!")])

    async def main() -> None:
        robots = planner(mind, cache_entries=4)
        for _ in range(2):
            planned = await robots.plan(world())
            assert done(planned) == [HAPPY]
            assert not planned.cached

    run_virtual(main())


def test_a_full_gate_does_not_keep_a_cached_plan_back() -> None:
    mind = PlanMind([HAPPY], seconds=1.0)

    async def main() -> None:
        robots = planner(mind, cache_entries=4)
        await robots.plan(world())
        other = asyncio.ensure_future(robots.plan(world(trigger="button_pressed")))
        await asyncio.sleep(0.5)
        assert (await robots.plan(world())).cached
        await other

    run_virtual(main())


# -- what the settings say ---------------------------------------------------------------------


@pytest.mark.setting("MAX_ACTIONS")
def test_a_plan_has_at_most_so_many_actions() -> None:
    three = [HAPPY, HI, gesture("nod")]
    for most, accepted in ((2, False), (3, True)):
        mind = PlanMind(three)
        options = plan_options(Settings(max_actions=most))

        async def main(mind: PlanMind = mind, options: PlanOptions = options) -> Planned:
            return await Planner(mind, options).plan(world())

        if accepted:
            assert done(run_virtual(main())) == three
        else:
            with pytest.raises(PlanFailed, match="at most 2"):
                run_virtual(main())
        assert f"at most {most}" in mind.asked[0][0][0].content
        assert f"'maxItems': {most}" in str(mind.schemas[0])


@pytest.mark.setting("PLAN_SKILLS")
@pytest.mark.parametrize(
    ("value", "offered"),
    [
        (Settings().plan_skills, OFFERED_SKILLS),
        ("all", ALL_SKILLS),
        ("avoid_obstacle, patrol_drift", ("patrol_drift", "avoid_obstacle")),
        ("retreat_and_recover", ("retreat_and_recover",)),
    ],
)
def test_only_the_skills_of_the_setting_are_offered(value: str, offered: tuple[str, ...]) -> None:
    options = plan_options(Settings(plan_skills=value))
    assert options.skills == offered
    for name in ALL_SKILLS:
        mind = PlanMind([skill(name)])
        if name in offered:
            assert done(one(mind, **asdict(options))) == [skill(name)]
            assert name in str(mind.schemas[0])
        else:
            assert isinstance(error_of(mind, **asdict(options)), PlanFailed)
            assert name not in str(mind.schemas[0])
            assert name not in mind.asked[0][0][0].content


def test_a_second_try_has_a_little_temperature_even_where_the_first_has_none() -> None:
    # (The embedded mind is greedy whatever LLM_TEMPERATURE is.)
    greedy = plan_options(Settings(llm_backend="llamacpp", llm_temperature=1.5))
    assert 0 < greedy.varied_temperature <= 0.5
    warm = plan_options(Settings(llm_backend="ollama", temperature=1.1, llm_temperature=0))
    assert warm.varied_temperature == 1.1
    assert replace(greedy, varied_temperature=1.1).inflight == greedy.inflight
