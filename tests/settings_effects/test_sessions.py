"""How many robots may be connected, and what is kept of those who were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from brain.app import sessions_of
from brain.dialogue.common import Engines
from brain.dialogue.sessions import Full, Sessions
from brain.house import house_rules
from brain.settings import Settings
from tests.dialogue.test_sessions import Caller
from tests.scripted_engines import (
    ScriptedDetector,
    ScriptedMind,
    ScriptedMouth,
    ScriptedTranscriber,
)
from tests.virtual_time import run_virtual


def sessions(clock: Callable[[], float], **changes: Any) -> Sessions:
    settings = Settings(**changes)
    engines = Engines(
        ScriptedDetector(), ScriptedTranscriber(["hi"]), ScriptedMind(["Yes."]), ScriptedMouth()
    )
    return sessions_of(settings, engines, house_rules(settings), clock=clock)


@pytest.mark.setting("MAX_SESSIONS")
@pytest.mark.parametrize("most", [1, 3])
def test_one_robot_too_many_is_refused(most: int) -> None:
    async def main() -> None:
        caller = Caller(sessions(lambda: 0.0, max_sessions=most))
        for number in range(most):
            await caller.call(f"r{number}")
        with pytest.raises(Full):
            await caller.call("one more")
        await caller.end()

    run_virtual(main())


@pytest.mark.setting("HISTORY_MINUTES")
@pytest.mark.parametrize(("minutes", "away_s", "found"), [(1, 59, True), (1, 61, False)])
def test_how_long_a_conversation_is_kept(minutes: float, away_s: float, found: bool) -> None:
    async def main() -> None:
        now = 0.0
        caller = Caller(sessions(lambda: now, history_minutes=minutes))
        await caller.hang_up(await caller.call("r1"))
        now = away_s
        assert (await caller.call("r1")).resumed == found
        await caller.end()

    run_virtual(main())


@pytest.mark.setting("HISTORY_ROBOTS")
@pytest.mark.parametrize(("robots", "found"), [(2, True), (1, False)])
def test_of_how_many_robots_a_conversation_is_kept(robots: int, found: bool) -> None:
    async def main() -> None:
        caller = Caller(sessions(lambda: 0.0, history_robots=robots))
        for robot in ("r1", "r2"):
            await caller.hang_up(await caller.call(robot))
        assert (await caller.call("r1")).resumed == found
        await caller.end()

    run_virtual(main())
