"""The seeds' own examples against a running brain of the profile pocket."""

from __future__ import annotations

import asyncio
import json
import uuid
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import numpy as np
import pytest

from tests.e2e.pocket import Brain, a_pocket_brain, spoken
from tests.e2e.sockets import Robot, a_robot
from tests.seed_examples import AUDIO_IN, BRAIN_SAYS, HEALTH, PLAN_REQUEST, PLAN_RESPONSE


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brain]:
    with a_pocket_brain(tmp_path_factory.mktemp("seed")) as running:
        running.until_ready()
        yield running


def shape(value: Any) -> Any:
    """Keys and types; whole numbers and fractions are one type, as in JSON."""
    if isinstance(value, Mapping):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, bool | str):
        return type(value).__name__
    return "number" if isinstance(value, int | float) else type(value).__name__


def within(example: Mapping[str, Any], actual: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of `actual` what `example` has, on every level."""
    return {
        key: within(item, actual[key]) if isinstance(item, Mapping) else actual[key]
        for key, item in example.items()
    }


def test_the_plan_of_the_example(brain: Brain) -> None:
    answer = httpx.post(f"http://127.0.0.1:{brain.port}/plan", json=PLAN_REQUEST, timeout=30)
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    assert shape(plan) == shape(PLAN_RESPONSE)
    for echoed in ("robot_id", "seq", "monotonic_ts_ms"):
        assert plan[echoed] == PLAN_REQUEST[echoed]
    assert uuid.UUID(hex=plan["plan_id"]).hex == plan["plan_id"]
    assert 500 <= plan["ttl_ms"] <= 5000
    forms = {action["action"]: frozenset(action) for action in PLAN_RESPONSE["actions"]}
    for action in plan["actions"]:
        assert set(action) == forms[action["action"]] or (
            action["action"] == "gesture" and "name" in action
        )
    looks = [action for action in plan["actions"] if action.get("name") == "look_at"]
    assert looks, "a ball was seen"
    assert looks[0]["params"]["bearing"] == pytest.approx(15.2, abs=0.5)


def test_the_health_of_the_example(brain: Brain) -> None:
    status, health = brain.get("/health")
    assert status == 200
    assert shape(within(HEALTH, health)) == shape(HEALTH)
    for same in ("status", "ollama", "resource_profile", "performance_mode", "llm_engine_loaded"):
        assert health[same] == HEALTH[same]
    assert health["gpu_budget"]["cap"] == 0.8


def test_the_five_messages_of_the_example(brain: Brain) -> None:
    """A robot that sends nothing but `audio` gets the four answers, with the fields it knows."""

    async def say(robot: Robot, text: str) -> None:
        sound = spoken(text)
        for start in range(0, len(sound), 320):
            chunk = b64encode(sound[start : start + 320].astype("<i2").tobytes()).decode()
            await robot.send(**{**AUDIO_IN, "data": chunk})
            await asyncio.sleep(0.02)

    async def main() -> None:
        async with a_robot(brain.address, "") as robot:
            await say(robot, "What is your name?")
            await robot.next("reply_done", seconds=30)
            await asyncio.sleep(0.5)  # the tail in which a half-duplex brain is deaf
            await say(robot, "Dance for me.")
            await robot.next("tool_call", seconds=30)
            for example in BRAIN_SAYS:
                message = next(m for m in robot.seen if m["type"] == example["type"])
                assert set(example) <= set(message)
                assert shape({key: message[key] for key in example}) == shape(example)
            call = next(m for m in robot.seen if m["type"] == "tool_call")
            assert call["name"] == "dance"
            assert isinstance(json.loads(call["args"]), dict)
            sound = next(m for m in robot.seen if m["type"] == "audio_delta")["data"]
            assert len(np.frombuffer(b64decode(sound), "<i2"))

    asyncio.run(main())
