"""The event loop is never held up for long, whatever the engines are doing."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
import pytest

from brain.dialogue import events, outputs
from brain.dialogue.common import Engines, common
from brain.dialogue.config import HouseRules
from brain.dialogue.history import History
from brain.dialogue.memory import RobotMemory
from brain.dialogue.session import Session
from brain.engines.loader import EngineSet
from brain.settings import load
from tests.e2e.pocket import spoken

# CPU time of the loop's own thread in one callback, so that other processes don't count. Sound is
# the longest piece of work that it has: a second in one message is judged eight frames at a time.
LONGEST_MS = 25


def test_with_the_real_engines_at_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    longest: list[tuple[float, str]] = []
    run = asyncio.Handle._run

    def timed(self: asyncio.Handle) -> None:
        began = time.thread_time()
        run(self)
        longest.append((1000 * (time.thread_time() - began), repr(self)))

    async def main() -> None:
        engines = EngineSet(load(environ={"BRAIN_PROFILE": "pocket"}, config_dir=tmp_path))
        await engines.start()
        await engines.wait_settled()
        try:
            serving = Engines(engines.detector, engines.transcriber, engines.mind, engines.mouth)
            house = HouseRules()
            shared = common(serving, house)
            session = Session("s", "r", shared, house, RobotMemory(History()))
            running = asyncio.ensure_future(session.run())
            monkeypatch.setattr(asyncio.Handle, "_run", timed)
            sound = np.concatenate((spoken("Hello robot."), np.zeros(8_000, np.int16)))
            for start in range(0, len(sound), 16_000):
                session.hear(sound[start : start + 16_000])
            while not isinstance(await session.outputs.get(), outputs.ReplyDone):
                pass
            session.post(events.Typed("Tell me a story."))
            while not isinstance(await session.outputs.get(), outputs.ReplyDone):
                pass
            monkeypatch.undo()
            session.hang_up(1000, "")
            await running
        finally:
            await engines.close()

    asyncio.run(main())
    assert len(longest) > 100, "the loop was watched"
    worst = max(longest)
    assert worst[0] < LONGEST_MS, f"{worst[0]:.1f} ms of CPU in {worst[1]}"
