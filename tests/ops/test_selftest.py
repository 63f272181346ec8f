"""The self-test: what is said of each outcome, and of a brain that can't be talked to.
A real brain is talked to in tests/e2e/test_field_tech.py."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from brain.ops.doctor.facts import RunningBrain
from brain.ops.doctor.findings import exit_status
from brain.ops.selftest.run import loaded
from brain.ops.selftest.talk import CLIP_SAYS, RATE, Outcome, clip, talk
from brain.ops.selftest.verdict import targets, verdict
from brain.settings.layers import profile_names
from tests.e2e.sockets import a_brain

ENGINE = {"name": "whisper", "model": "pocket", "degraded": False}
WELL = Outcome(
    heard=CLIP_SAYS,
    said="My name is Robo.",
    reason="completed",
    profile="pocket",
    heard_ms=530.0,
    first_sound_ms=640.0,
    whole_ms=1_700.0,
    sound_s=1.1,
    loudest=0.3,
    stages={"endpoint": 512.0, "stt": 12.0, "llm_first_token": 14.0, "first_clause": 30.0,
            "tts_first_audio": 30.0},
    engines={"stt": ENGINE, "tts": {**ENGINE, "name": "piper"}},
)  # fmt: skip


def judged(outcome: Outcome, profile: str = "pocket") -> tuple[int, str]:
    found = verdict(outcome, targets().get(profile), silence_ms=500)
    return exit_status(found), "\n".join(one.found for one in found)


def test_all_is_well() -> None:
    status, told = judged(WELL)
    assert status == 0
    for part in ("heard 'What is your name?'", "answered 'My name is Robo.'", "1.1 s of sound",
                 "12 ms (should be 11)", "640 ms (should be 667)"):  # fmt: skip
        assert part in told


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"heard": ""}, 2, "nothing"),
        ({"heard": "Watch is for lame?"}, 2, "heard 'Watch is for lame?'"),
        ({"heard": "what is your game"}, 0, "what is your game"),
        ({"said": ""}, 2, "no whole answer"),
        ({"reason": "failed"}, 2, "no whole answer (failed)"),
        ({"sound_s": 0.0}, 2, "no sound came"),
        ({"loudest": 0.001}, 2, "all silence"),
        ({"first_sound_ms": 1_600.0}, 1, "1600 ms (should be 667)"),
        ({"stages": {"stt": 300.0}}, 1, "300 ms (should be 11)"),
        ({"stages": {"stt": None}}, 0, "answered"),
        ({"errors": ["llm_busy: later"]}, 2, "llm_busy"),
        ({"trouble": "the brain hung up: 4401"}, 2, "4401"),
        ({"engines": {"stt": {**ENGINE, "degraded": True}, "tts": ENGINE}}, 2, "stt"),
        ({"engines": {"tts": {**ENGINE, "name": "off"}}, "sound_s": 0.0}, 0, "text only"),
    ],
)
def test_each_failing_is_told(changes: dict[str, Any], status: int, says: str) -> None:
    found, told = judged(replace(WELL, **changes))
    assert says in told
    assert found == status, told


def test_every_profile_has_figures_and_says_where_they_are_from() -> None:
    known = targets()
    assert set(known) == set(profile_names())
    assert all(target.basis for target in known.values())
    assert [name for name, target in known.items() if "not measured" not in target.basis] == [
        "pocket"
    ]
    assert judged(WELL, "own")[0] == 0


def test_the_clip_ends_with_its_speech() -> None:
    sound, end = clip()
    assert 0.05 * RATE < len(sound) - end < 0.3 * RATE


def test_a_brain_that_hangs_up_is_told() -> None:
    async def main() -> Outcome:
        async with a_brain(token="secret") as address:
            return await talk(address.removesuffix("/ws"), "wrong")

    assert "4401" in asyncio.run(main()).trouble


def test_a_brain_that_is_not_there_is_told() -> None:
    assert "can't be reached" in asyncio.run(talk("ws://127.0.0.1:9", "")).trouble


def test_it_waits_for_the_profiles_engines_and_not_for_ever() -> None:
    """Until they are loaded, the pocket brain would answer, and all would look well."""
    states = [["llm", "stt"], ["llm"], []]
    slept: list[float] = []

    def look() -> RunningBrain:
        return RunningBrain("", "brain", ready={"loading": states[min(len(slept), 2)]})

    assert loaded(look, pause=slept.append)
    assert len(slept) == 2
    states[2] = ["llm"]
    assert not loaded(look, pause=slept.append)
    assert sum(slept) > 600
