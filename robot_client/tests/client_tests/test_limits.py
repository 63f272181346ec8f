"""A supervisor's limits, checked from outside: by the log of what was done."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from robot_client.limits import COOLDOWNS, Limits, Verdict, key
from robot_client.plans import Action, Emote, Gesture, Plan, Say, Skill


def a_plan(*actions: Action, at: int, ttl_ms: int = 2000) -> Plan:
    return Plan("p", 1, at, 0, actions, ttl_ms)


ACTIONS = st.one_of(
    st.builds(Say, st.sampled_from(["Hello!", "hello!", " Hello! ", "Oh! A ball!", "Bye."])),
    st.builds(Emote, st.sampled_from(["happy", "sad"]), st.floats(0, 1)),
    st.builds(Gesture, st.sampled_from(["nod", "look_at"])),
    st.builds(Skill, st.sampled_from(["patrol_drift", "avoid_obstacle"])),
)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 4000),  # ms since the last plan was asked for
        st.integers(0, 3000),  # ms until it came
        st.integers(500, 5000),
        st.lists(ACTIONS, max_size=5),
    ),
    max_size=30,
)


@given(steps=STEPS)
def test_nothing_is_done_too_late_or_too_soon_and_nothing_else_is_dropped(
    steps: list[tuple[int, int, int, list[Action]]],
) -> None:
    limits, now = Limits(), 0
    log: list[tuple[int, Action]] = []
    for since, late, ttl_ms, actions in steps:
        asked = now + since
        now = asked + late
        verdict = limits.admit(a_plan(*actions, at=asked, ttl_ms=ttl_ms), now)
        assert verdict.stale == (late > ttl_ms)
        assert not (verdict.stale and verdict.done)
        assert sorted(map(id, verdict.done + verdict.dropped)) == sorted(map(id, actions))
        if not verdict.stale:
            # In order: what is dropped must have had its like too shortly before.
            left = list(verdict.done)
            for action in actions:
                if left and left[0] is action:
                    log.append((now, left.pop(0)))
                    continue
                kind, same = COOLDOWNS[action.kind].kind_ms, COOLDOWNS[action.kind].key_ms
                assert any(
                    now - at < (same if key(done) == key(action) else kind)
                    for at, done in log
                    if done.kind == action.kind
                )
    for kind, cooldown in COOLDOWNS.items():
        alike = [(at, action) for at, action in log if action.kind == kind]
        assert all(b - a >= cooldown.kind_ms for (a, _), (b, _) in pairwise(alike))
        for name in {key(action) for _, action in alike}:
            times = [at for at, action in alike if key(action) == name]
            assert all(b - a >= cooldown.key_ms for a, b in pairwise(times))


def test_a_line_again_after_twelve_seconds_and_another_after_three() -> None:
    limits = Limits()
    assert limits.admit(a_plan(Say("Hi!"), at=0), 0).done == (Say("Hi!"),)
    assert limits.admit(a_plan(Say("Bye!"), at=2_999), 2_999).dropped == (Say("Bye!"),)
    assert limits.admit(a_plan(Say("Bye!"), at=3_000), 3_000).done == (Say("Bye!"),)
    assert limits.admit(a_plan(Say("hi! "), at=11_999), 11_999).dropped == (Say("hi! "),)
    assert limits.admit(a_plan(Say("hi! "), at=12_000), 12_000).done == (Say("hi! "),)


def test_a_late_plan_is_void_as_a_whole_and_starts_no_cooldown() -> None:
    limits = Limits()
    late = limits.admit(a_plan(Say("Hi!"), Skill("avoid_obstacle"), at=0, ttl_ms=500), 501)
    assert late == Verdict((), (Say("Hi!"), Skill("avoid_obstacle")), stale=True)
    assert limits.admit(a_plan(Say("Hi!"), at=502, ttl_ms=500), 1_002).done


def test_many_lines_are_not_remembered_for_ever() -> None:
    limits = Limits()
    for n in range(1_000):
        limits.admit(a_plan(Say(f"line {n}"), at=n * 3_000), n * 3_000)
    assert len(limits._last_of_key) <= 5
