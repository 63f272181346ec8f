"""`POST /plan` through ASGI, in front of scripted minds: what is asked, told, and refused."""

from __future__ import annotations

import json
import re
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from brain.api import plan as plan_api
from brain.api.token import Tokens
from brain.engines.ports import EngineBusy, EngineFailed, EngineTimeout, EngineUnavailable
from brain.planner.options import PlanOptions
from brain.planner.schema import PlanRequest
from brain.planner.service import Planner
from tests.planner.minds import PlanMind, emote
from tests.planner.test_schema import SEED, SEED_ACTIONS
from tests.scripted_engines import Hang

HAPPY = emote("happy", 0.9)
JSON = {"Content-Type": "application/json"}


def quick(*answers: Any) -> PlanMind:
    return PlanMind(*(answers or (SEED_ACTIONS,)), seconds=0)


def post(
    mind: PlanMind,
    body: str | bytes,
    *,
    headers: dict[str, str] = JSON,
    query: str = "",
    token: str = "",
    times: int = 1,
    **options: Any,
) -> httpx.Response:
    """The last answer of `times`."""
    app = FastAPI()
    app.include_router(
        plan_api.router(Planner(mind, PlanOptions(**options)), tokens=Tokens([token]))
    )

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://brain") as client:
            for _ in range(times):
                answer = await client.post(f"/plan{query}", content=body, headers=headers)
            return answer

    return anyio.run(ask)


def refused(answer: httpx.Response, status: int, error: str) -> str:
    """The detail of a refusal of just this form."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error", "detail"}
    assert body["error"] == error
    assert body["detail"]
    return str(body["detail"])


def test_a_plan_in_the_contracts_form() -> None:
    answer = post(quick(), json.dumps(SEED))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert re.fullmatch("[0-9a-f]{32}", body.pop("plan_id"))
    assert body.pop("server_monotonic_ts_ms") > 0
    assert body == {
        "robot_id": "robot-1", "seq": 42, "monotonic_ts_ms": 123456789,
        "actions": SEED_ACTIONS, "ttl_ms": 2000,
    }  # fmt: skip


def test_server_timing_tells_the_engine_from_the_whole() -> None:
    answer = post(PlanMind([HAPPY], seconds=0.05), json.dumps(SEED))
    timing = re.fullmatch(
        r"engine;dur=([\d.]+), total;dur=([\d.]+)", answer.headers["server-timing"]
    )
    assert timing
    assert 50 <= float(timing[1]) <= float(timing[2])
    cached = post(quick(), json.dumps({**SEED, "trigger": "idle"}), times=3, cache_entries=9)
    assert cached.headers["server-timing"].startswith("engine;dur=")
    silent = post(quick([HAPPY]), json.dumps(SEED), times=2, cache_entries=9)
    assert re.fullmatch(
        r"engine;dur=0\.000, total;dur=[\d.]+, cache", silent.headers["server-timing"]
    )


@pytest.mark.parametrize(
    ("mind", "status", "error"),
    [
        (quick(EngineBusy("no place")), 429, "planner_busy"),
        (quick(EngineTimeout("too slow")), 504, "llm_timeout"),
        (quick([Hang()]), 504, "llm_timeout"),
        (quick(EngineUnavailable("not there")), 502, "llm_unreachable"),
        (quick(EngineFailed("broken")), 502, "llm_error"),
        (quick("no plan"), 502, "llm_error"),
        (quick('{"actions": [{"action": "explode"}]}'), 502, "llm_error"),
    ],
)
def test_what_goes_wrong_is_told_by_name(mind: PlanMind, status: int, error: str) -> None:
    answer = post(mind, json.dumps(SEED), timeout_s=0.05)
    refused(answer, status, error)
    assert answer.headers.get("retry-after") == ("1" if status == 429 else None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"robot_id": ""}, "robot_id"),
        ({"robot_id": "x" * 65}, "robot_id"),
        ({"robot_id": 7}, "robot_id"),
        ({"seq": -1}, "seq"),
        ({"seq": 1.5}, "seq"),
        ({"seq": 10**400}, "seq"),
        ({"seq": True}, "seq"),
        ({"seq": "1"}, "seq"),
        ({"monotonic_ts_ms": False}, "monotonic_ts_ms"),
        ({"monotonic_ts_ms": "12"}, "monotonic_ts_ms"),
        ({"monotonic_ts_ms": "soon"}, "monotonic_ts_ms"),
        ({"mode": None}, "mode"),
        ({"mode": "x" * 129}, "mode"),
        ({"range_mm": 2**31}, "range_mm"),
        ({"battery_mv": None}, "battery_mv"),
        ({"clear_confidence": 1.01}, "clear_confidence"),
        ({"clear_confidence": float("nan")}, "clear_confidence"),
        ({"ball_confidence": float("inf")}, "ball_confidence"),
        ({"ball_bearing_deg": float("-inf")}, "ball_bearing_deg"),
        ({"ball_bearing_deg": 1e9}, "ball_bearing_deg"),
        ({"speed_l_mm_s": [1]}, "speed_l_mm_s"),
        ({"faults": ["TILT"] * 10_000}, "faults"),
        ({"faults": "TILT"}, "faults"),
        ({"faults": ["x" * 129]}, "faults.0"),
        ({"recent_events": [None]}, "recent_events.0"),
        ({"power": {"voltage_mv": "full"}}, "power.voltage_mv"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_422_names_the_field_and_says_why(change: dict[str, Any], field: str) -> None:
    mind = quick()
    detail = refused(post(mind, json.dumps({**SEED, **change})), 422, "invalid_request")
    assert field in detail
    assert len(detail) < 300
    assert not mind.asked


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"42", b'"state"', b"[]", b"[" * 100_000, b"NaN", b"\xff\xfe", b"{}",
     b"robot_id=robot-1&seq=42", b'{"robot_id": "\\ud800"}', b"\x00" * 1000],
    ids=lambda body: str(body[:20]),
)  # fmt: skip
def test_what_is_no_state_is_refused(body: bytes) -> None:
    refused(post(quick(), body), 422, "invalid_request")


def test_a_body_that_is_far_too_long_is_not_read() -> None:
    state = json.dumps({**SEED, "notes": "x" * (1 << 20)})
    refused(post(quick(), state), 413, "request_too_large")
    padded = json.dumps({**SEED, "notes": "x" * (200 << 10)})
    assert post(quick(), padded).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_state_may_be_sent_as_anything(content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    assert post(quick(), json.dumps(SEED), headers=headers).status_code == 200


@pytest.mark.setting("BRAIN_TOKEN")
@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({}, "", 401),
        ({"Authorization": "Bearer wrong"}, "", 401),
        ({"Authorization": "Bearer s3cret"}, "", 200),
        ({}, "?token=s3cret", 200),
        ({}, "?token=", 401),
    ],
)
def test_the_token(headers: dict[str, str], query: str, status: int) -> None:
    mind = quick()
    answer = post(mind, json.dumps(SEED), headers={**JSON, **headers}, query=query, token="s3cret")
    assert answer.status_code == status
    if status == 401:
        refused(answer, 401, "unauthorized")
        assert not mind.asked


def test_other_methods_are_refused() -> None:
    app = FastAPI()
    app.include_router(plan_api.router(Planner(quick()), tokens=Tokens()))

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://brain") as client:
            return await client.get("/plan")

    assert anyio.run(get).status_code == 405


odd_values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.lists(st.text(max_size=5), max_size=3), st.dictionaries(st.text(max_size=3), st.integers()),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(PlanRequest.model_fields)), odd_values, max_size=6))
def test_no_state_breaks_the_brain(change: dict[str, Any]) -> None:
    answer = post(quick(), json.dumps({**SEED, **change}))
    assert answer.status_code in (200, 422)
    if answer.status_code == 422:
        refused(answer, 422, "invalid_request")
