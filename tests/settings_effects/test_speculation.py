"""What SPECULATION does, on scripted engines in virtual time."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from brain.dialogue import outputs
from brain.engines.ports import Priority, Text, Ticket
from brain.engines.recipes.minds import _in_its_lane
from brain.settings import Settings
from tests.dialogue.house import a_session, silence, speech
from tests.scripted_engines import ScriptedMind
from tests.settings_effects.test_turns import house
from tests.virtual_time import run_virtual

SAID = np.concatenate((speech(800), silence(2_000)))


@pytest.mark.setting("SPECULATION")
@pytest.mark.parametrize(("choice", "ahead"), [("on", True), ("idle", True), ("off", False)])
def test_whether_answers_are_made_ahead(choice: str, ahead: bool) -> None:
    async def main() -> None:
        async with a_session(house=house(speculation=choice)) as robot:
            await robot.speak(SAID)
            done = await robot.until(outputs.ReplyDone)
            assert (done.timings.ahead is not None) == ahead

    run_virtual(main())


@pytest.mark.setting("SPECULATION")
@pytest.mark.parametrize(("choice", "answers"), [("on", 2), ("idle", 1)])
def test_a_guess_beside_an_answer(choice: str, answers: int) -> None:
    """Where the language model has room for two."""

    async def main() -> None:
        engine = ScriptedMind(["Yes."])
        settings = Settings(speculation=choice, llm_max_inflight=2)
        lane = _in_its_lane(engine, settings, lambda reason: None)  # type: ignore[arg-type]

        async def asked(ticket: Ticket) -> list[object]:
            return [item async for item in lane.stream([], ticket=ticket)]

        said = await asyncio.gather(
            asked(Ticket("a")),
            asked(Ticket("b", Priority.SPECULATION)),
            return_exceptions=True,
        )
        assert said.count([Text("Yes.")]) == answers

    run_virtual(main())
