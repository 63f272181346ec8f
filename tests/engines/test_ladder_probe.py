"""An engine outside this process goes and comes back, and the ladder notices with nobody calling.

On virtual time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from brain.engines.ladder import GivenUp, Ladder, Progress, Rung
from brain.engines.ladder_ports import LadderLanguageModel
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneLanguageModel
from brain.engines.looking import PROBE_S
from brain.engines.ports import EngineUnavailable, LanguageModel, Text, Ticket
from tests.scripted_engines import Hang, ScriptedMind, Step
from tests.virtual_time import run_virtual

NEVER = 1_000.0


class Elsewhere:
    """A server that is there or not; `blips` more looks at it fail, `hangs` ones never end."""

    def __init__(self) -> None:
        self.there = True
        self.blips = 0
        self.hangs = False
        self.breaks: Exception | None = None
        self.builds: list[float] = []
        self.looks = 0
        self.progress = Progress()
        self.during = ""
        self.reply: Sequence[Step] = ["big"]

    async def build(self, _: GivenUp) -> LanguageModel:
        self.builds.append(asyncio.get_running_loop().time())
        self.progress("fetching")
        self.during = self.ladder.state.progress
        if not self.there or self.hangs:
            raise EngineUnavailable("It can't be reached.")
        mind: LanguageModel = ScriptedMind([self.reply])
        return LaneLanguageModel(Lane(mind, LaneLimits(first_s=NEVER, next_s=NEVER)))

    async def probe(self) -> None:
        self.looks += 1
        if self.breaks is not None:
            raise self.breaks
        if self.hangs:
            await asyncio.Event().wait()
        self.blips -= 1
        if not self.there or self.blips >= 0:
            raise EngineUnavailable("It can't be reached.")

    async def up(self) -> Ladder[LanguageModel]:
        async def pocket(_: GivenUp) -> LanguageModel:
            mind: LanguageModel = ScriptedMind(["small"])
            return mind

        async def check(_: LanguageModel) -> None: ...

        self.ladder = Ladder(
            "llm",
            [
                Rung("big", self.build, check, probe=self.probe, progress=self.progress),
                Rung("pocket", pocket, check, embedded=True),
            ],
            retries_s=(0.0, NEVER),
        )
        await self.ladder.start()
        await self.ladder.climb()
        self.ladder.watch()
        return self.ladder


def run(main: Callable[[Elsewhere, Ladder[LanguageModel]], Awaitable[None]]) -> None:
    async def whole() -> None:
        elsewhere = Elsewhere()
        ladder = await elsewhere.up()
        try:
            await main(elsewhere, ladder)
        finally:
            await ladder.close()

    run_virtual(whole())


async def until(told: Callable[[], bool], seconds: float) -> float:
    """How long it took, s."""
    clock = asyncio.get_running_loop().time
    start = clock()
    while not told():
        await asyncio.sleep(0.05)
        assert clock() - start <= seconds, "it took too long"
    return clock() - start


@pytest.mark.parametrize("begun", [False, True])
def test_whoever_waits_for_one_that_is_gone_is_answered_by_the_next(begun: bool) -> None:
    async def main() -> None:
        elsewhere = Elsewhere()
        elsewhere.reply = ["big", Hang()] if begun else [Hang()]
        ladder = await elsewhere.up()
        waiting = asyncio.ensure_future(say(LadderLanguageModel(ladder)))
        await asyncio.sleep(1.0)
        elsewhere.hangs = True
        await until(waiting.done, 15.0)
        if begun:
            assert isinstance(waiting.exception(), EngineUnavailable)
        else:
            assert await waiting == "small"
        await ladder.close()

    run_virtual(main())


async def say(mind: LanguageModel) -> str:
    stream = mind.stream([], ticket=Ticket("a"))
    return "".join([item.text async for item in stream if isinstance(item, Text)])


@pytest.mark.parametrize("how", ["refuses", "hangs"])
def test_it_is_out_of_service_within_moments_and_back_within_moments(how: str) -> None:
    async def main(elsewhere: Elsewhere, ladder: Ladder[LanguageModel]) -> None:
        assert ladder.remote
        await asyncio.sleep(10 * PROBE_S)
        assert ladder.state.reason == ""
        assert len(elsewhere.builds) == 1
        elsewhere.there, elsewhere.hangs = False, how == "hangs"
        await until(lambda: ladder.state.reason != "", 10.1)
        if how == "refuses":
            assert ladder.state.reason == "It can't be reached."
        else:
            assert "answer within" in ladder.state.reason
        # To build may be dear: while it isn't there nobody tries at every look.
        await asyncio.sleep(NEVER / 2)
        assert len(elsewhere.builds) == 1
        elsewhere.there, elsewhere.hangs = True, False
        await until(lambda: ladder.state.reason == "", PROBE_S + 2.6)
        assert len(elsewhere.builds) == 2

    run(main)


def test_whatever_a_look_raises_the_looks_go_on(caplog: pytest.LogCaptureFixture) -> None:
    async def main(elsewhere: Elsewhere, ladder: Ladder[LanguageModel]) -> None:
        elsewhere.breaks = RecursionError("too deep\n" + "\x1b" * 10_000)
        await until(lambda: ladder.state.reason != "", 10.1)
        assert ladder.state.reason.startswith("Looking for it failed: RecursionError: too deep")
        assert len(ladder.state.reason) < 400
        assert ladder.state.reason.isprintable()
        await asyncio.sleep(10 * PROBE_S)
        # One traceback tells it all.
        assert len([record for record in caplog.records if record.exc_info]) == 1
        elsewhere.breaks = None
        await until(lambda: ladder.state.reason == "", PROBE_S + 2.6)
        assert len(elsewhere.builds) == 2

    run(main)


def test_a_blip_is_no_outage() -> None:
    async def main(elsewhere: Elsewhere, ladder: Ladder[LanguageModel]) -> None:
        for _ in range(5):
            elsewhere.blips = 1
            await asyncio.sleep(2 * PROBE_S)
            assert ladder.state.reason == ""
        assert len(elsewhere.builds) == 1
        assert elsewhere.looks > 10

    run(main)


def test_one_that_is_there_and_cannot_be_built_is_not_tried_at_every_look() -> None:
    """The server answers, but the model doesn't fit, say: each try would load it again."""

    async def main() -> None:
        elsewhere = Elsewhere()
        elsewhere.there = False
        ladder = await elsewhere.up()
        elsewhere.there = True
        # It was gone when it was built, and has been there at every look since.
        await asyncio.sleep(NEVER / 2)
        assert len(elsewhere.builds) == 1
        assert elsewhere.looks > 20
        await until(lambda: ladder.state.reason == "", NEVER)
        await ladder.close()

    run_virtual(main())


def test_progress_is_told_while_it_is_built_and_no_longer() -> None:
    async def main(elsewhere: Elsewhere, ladder: Ladder[LanguageModel]) -> None:
        await asyncio.sleep(1.0)
        assert elsewhere.during == "fetching"
        assert ladder.state.progress == ""

    run(main)


def test_the_looks_end_with_the_ladder() -> None:
    async def main(elsewhere: Elsewhere, ladder: Ladder[LanguageModel]) -> None:
        await asyncio.sleep(PROBE_S * 1.5)
        await ladder.close()
        looks = elsewhere.looks
        await asyncio.sleep(PROBE_S * 3)
        assert elsewhere.looks == looks == 1

    run(main)
