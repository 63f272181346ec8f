"""Tools run beside the event loop, each with its limit; whatever they do is a result."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_client.demo_tools import demo_tools
from robot_client.requests import ToolSpec
from robot_client.tools import MAX_THREADS, Tool, ToolBox, ToolFileError, ToolOutcome, read_specs


def box(function: Any, limit_s: float = 5.0) -> ToolBox:
    return ToolBox.of([Tool(ToolSpec("act", "", {}), function, limit_s)])


def returns(value: object) -> Any:
    return lambda _arguments: value


def test_results_of_sync_and_async_tools(run: Any) -> None:
    async def twice(arguments: Mapping[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"n": arguments["n"] * 2}

    assert run(box(twice).call("act", '{"n": 4}')) == ToolOutcome({"n": 8})
    assert run(box(lambda a: twice(a)).call("act", '{"n": 4}')) == ToolOutcome({"n": 8})
    assert run(box(returns({"ok": True})).call("act", "")) == ToolOutcome({"ok": True})
    assert run(box(returns("done")).call("act", "{}")) == ToolOutcome({"result": "done"})


def test_a_sync_tool_does_not_run_on_the_loops_thread(run: Any) -> None:
    here = threading.get_ident()
    outcome = run(box(lambda _a: {"thread": threading.get_ident()}).call("act", "{}"))
    assert outcome.output["thread"] != here


@pytest.mark.parametrize(
    ("function", "args", "error"),
    [
        (returns(1), "{", "not JSON"),
        (returns(1), "[" * 100_000, "not JSON"),
        (returns(1), "[1]", "not an object"),
        (returns({"x": object()}), "{}", "not JSON"),
        (returns({"x": float("nan")}), "{}", "not JSON"),
        (lambda a: a["absent"], "{}", "act failed: 'absent'"),
        (lambda a: exit(3), "{}", "SystemExit"),
    ],
)
def test_failures_are_results(run: Any, function: Any, args: str, error: str) -> None:
    outcome = run(box(function).call("act", args))
    assert error in outcome.output["error"]


def test_an_unknown_tool_is_a_result(run: Any) -> None:
    assert run(ToolBox().call("fly", "{}")).output == {"error": "this robot has no tool 'fly'"}


@given(st.text())
def test_any_arguments_give_a_result(args: str) -> None:
    outcome = asyncio.run(box(returns({"ok": 1})).call("act", args))
    assert set(outcome.output) <= {"ok", "error"}


def test_tools_that_hang_give_an_error_in_time_and_hold_up_nobody(run: Any) -> None:
    stuck = threading.Event()

    async def hangs(_arguments: Mapping[str, Any]) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        begun = time.monotonic()
        blocked = [box(lambda _a: stuck.wait(), 0.05).call("act", "{}") for _ in range(40)]
        outcomes = await asyncio.gather(*blocked, box(hangs, 0.05).call("act", "{}"))
        assert {o.output["error"] for o in outcomes} == {"act took more than 0.05 s"}
        # With all those still stuck another tool has a thread at once.
        assert (await box(returns({"ok": 1})).call("act", "{}")).output == {"ok": 1}
        assert time.monotonic() - begun < 5

    try:
        run(main())
    finally:
        stuck.set()


def test_an_async_tool_may_exit_or_be_cancelled_by_others(run: Any) -> None:
    async def exits(_arguments: Mapping[str, Any]) -> None:
        exit(3)

    async def is_cancelled(_arguments: Mapping[str, Any]) -> None:
        raise asyncio.CancelledError

    assert "SystemExit" in run(box(exits).call("act", "{}")).output["error"]
    assert run(box(is_cancelled).call("act", "{}")).output == {"error": "act was cancelled"}


def test_a_tool_that_does_not_take_its_cancelling_gives_an_error_in_time(run: Any) -> None:
    async def main() -> None:
        let_go = asyncio.Event()

        async def stays(_arguments: Mapping[str, Any]) -> None:
            while not let_go.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await let_go.wait()

        outcome = await asyncio.wait_for(box(stays, 0.05).call("act", "{}"), 5)
        assert "more than 0.05 s" in outcome.output["error"]
        let_go.set()

    run(main())


def test_tools_that_hang_do_not_use_up_all_threads(run: Any) -> None:
    stuck = threading.Event()

    async def main() -> None:
        before = threading.active_count()
        calls = [box(lambda _a: stuck.wait(), 0.2).call("act", "{}") for _ in range(1000)]
        outcomes = await asyncio.gather(*calls)
        assert threading.active_count() <= before + MAX_THREADS
        refused = [o for o in outcomes if "have not ended yet" in o.output["error"]]
        assert len(refused) >= 1000 - MAX_THREADS
        stuck.set()
        while threading.active_count() > before:  # noqa: ASYNC110  a thread's end is no event
            await asyncio.sleep(0.005)
        assert (await box(returns({"ok": 1})).call("act", "{}")).output == {"ok": 1}

    try:
        run(main())
    finally:
        stuck.set()


def test_a_picture_leaves_the_json(run: Any) -> None:
    result = {"b64_im": "/9g=", "width": 4}
    outcome = run(box(returns(result)).call("act", "{}"))
    assert outcome == ToolOutcome({"width": 4}, "/9g=")
    assert result == {"b64_im": "/9g=", "width": 4}


def test_a_tools_file() -> None:
    tools = [
        {"name": "wink", "description": "one eye", "parameters": {"type": "object"}},
        {"name": "bow"},
    ]
    wink, bow = read_specs(json.dumps(tools))
    assert wink == ToolSpec("wink", "one eye", {"type": "object"})
    assert bow.parameters == {"type": "object", "properties": {}}
    for bad in ("{", "{}", "[1]", '[{"name": 1}]', '[{"name": "a", "parameters": 3}]'):
        with pytest.raises(ToolFileError):
            read_specs(bad)


def test_demo_tools_say_what_a_body_would_do(run: Any) -> None:
    shown: list[str] = []
    tools = demo_tools(shown.append, [ToolSpec("wink", "", {})])
    assert run(tools.call("move_head", '{"direction": "left"}')).output == {
        "status": "looking left"
    }
    run(tools.call("wink", "{}"))
    assert shown == ["the robot turns its head (direction=left)", "the robot uses wink"]
    assert run(tools.call("dance", '{"repeat": 2}')).output == {"status": "queued", "repeat": 2}
    assert "isn't available" in run(tools.call("camera", "{}")).output["error"]
