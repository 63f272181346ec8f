"""A ladder goes down for a reason, says which, and comes up again. On virtual time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from brain.engines.admission import AdmissionLimits
from brain.engines.ladder import GivenUp, Ladder, Rung
from brain.engines.ladder_ports import LadderLanguageModel, LadderSynthesizer, LadderTranscriber
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneLanguageModel, LaneSynthesizer, LaneTranscriber
from brain.engines.ports import (
    Cancelled,
    CannotSee,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineInfo,
    EngineTimeout,
    EngineUnavailable,
    LanguageModel,
    Priority,
    Synthesizer,
    Text,
    Ticket,
    Transcriber,
    Transcript,
)
from brain.engines.worker import Worker
from tests.scripted_engines import Hang, Pause, ScriptedMind, ScriptedMouth, Step
from tests.virtual_time import run_virtual

Script = str | Sequence[Step] | Exception


class Workshop:
    """Builds minds by rung from lists of scripts, one a build; an exception instead of one is
    raised. The last entry is built for ever."""

    def __init__(self, **plans: Sequence[Sequence[Script] | Exception]) -> None:
        self._plans = {name: list(plan) for name, plan in plans.items()}
        self.built: list[tuple[str, float]] = []
        self.engines: list[ScriptedMind] = []
        self.given_up: list[GivenUp] = []
        """What each build was given, in the order of `engines`."""
        self.check_error: Exception | None = None

    def rung(
        self, name: str, *, embedded: bool = False, seconds: float = 1.0
    ) -> Rung[LanguageModel]:
        async def build(given_up: GivenUp) -> LanguageModel:
            await asyncio.sleep(seconds)
            self.built.append((name, asyncio.get_running_loop().time()))
            plan = self._plans[name]
            entry = plan.pop(0) if len(plan) > 1 else plan[0]
            if isinstance(entry, Exception):
                raise entry
            engine = ScriptedMind(entry, first_seconds=0.5, token_seconds=0.5)
            self.engines.append(engine)
            port: LanguageModel = engine
            limits = LaneLimits(first_s=4.0, next_s=4.0, grace_s=1.0)
            self.given_up.append(given_up)
            return LaneLanguageModel(Lane(port, limits, given_up=given_up))

        return Rung(name, build, self._check, embedded)

    async def _check(self, engine: LanguageModel) -> None:
        if self.check_error is not None:
            raise self.check_error


async def say(mind: LanguageModel, ticket: Ticket | None = None) -> str:
    stream = mind.stream([], ticket=ticket or Ticket("a"))
    return "".join([item.text async for item in stream if isinstance(item, Text)])


def ladder(shop: Workshop) -> tuple[Ladder[LanguageModel], LadderLanguageModel]:
    made = Ladder("llm", [shop.rung("big", seconds=10.0), shop.rung("pocket", embedded=True)])
    return made, LadderLanguageModel(made)


def test_the_embedded_rung_serves_while_the_wanted_one_loads() -> None:
    async def main() -> None:
        shop = Workshop(big=[["big"]], pocket=[["small"]])
        made, mind = ladder(shop)
        with pytest.raises(EngineUnavailable, match="loading"):
            await say(mind)
        await made.start()
        assert (made.state.active, made.state.loading, made.state.wanted) == (
            "scripted", True, "big",
        )  # fmt: skip
        climbing = asyncio.ensure_future(made.climb())
        assert await say(mind) == "small"
        await climbing
        assert await say(mind) == "big"
        assert (made.state.loading, made.state.reason) == (False, "")
        await made.close()
        assert [engine.closed for engine in shop.engines] == [1, 1]
        with pytest.raises(EngineUnavailable):
            await say(mind)

    run_virtual(main())


def test_a_missing_engine_is_told_and_tried_again_with_growing_waits() -> None:
    async def main() -> list[float]:
        missing = EngineUnavailable("There is no such model.")
        shop = Workshop(big=[missing, missing, missing, ["big"]], pocket=[["small"]])
        made, mind = ladder(shop)
        await made.start()
        await made.climb()
        made.watch()
        assert made.state.reason == "There is no such model."
        assert not made.state.loading
        assert await say(mind) == "small"
        await asyncio.sleep(200)
        assert await say(mind) == "big"
        assert made.state.reason == ""
        await made.close()
        return [at for name, at in shop.built if name == "big"]

    # Each build takes 10 s: retries after 5, 15 and 60 s of waiting.
    assert run_virtual(main()) == [11.0, 26.0, 51.0, 121.0]


def test_a_failure_before_the_first_word_is_answered_by_the_next_rung() -> None:
    async def main() -> None:
        shop = Workshop(big=[[[EngineFailed("bad luck")], "big"]], pocket=[["small"]])
        made, mind = ladder(shop)
        await made.start()
        await made.climb()
        assert await say(mind) == "small"
        assert made.state.reason == ""  # one failure lowers one call only
        assert await say(mind) == "big"

    run_virtual(main())


def test_a_reply_that_has_begun_is_not_begun_again() -> None:
    async def main() -> None:
        shop = Workshop(big=[[["I", EngineFailed("bad luck")]]], pocket=[["small"]])
        made, mind = ladder(shop)
        await made.start()
        await made.climb()
        stream = mind.stream([], ticket=Ticket("a"))
        assert await stream.__anext__() == Text("I")
        with pytest.raises(EngineFailed, match="bad luck"):
            await stream.__anext__()

    run_virtual(main())


def test_when_all_fail_the_best_ones_reason_is_told() -> None:
    async def main() -> None:
        shop = Workshop(
            big=[[[EngineFailed("big failed")]]], pocket=[[[EngineFailed("small failed")]]]
        )
        made, mind = ladder(shop)
        await made.start()
        await made.climb()
        with pytest.raises(EngineFailed, match="big failed"):
            await say(mind)

    run_virtual(main())


@pytest.mark.parametrize(
    ("found", "serving"),
    [(EngineFailed("it is ill"), "small"), (EngineBusy("at work"), "big"), (None, "big")],
)
def test_one_that_fails_again_and_again_is_examined(found: Exception | None, serving: str) -> None:
    """Three failures may be three bad questions: only a failed check takes the engine out."""

    async def main() -> None:
        fails: list[Script] = [[EngineFailed("too long")]] * 3
        shop = Workshop(big=[[*fails, "big"]], pocket=[["small"]])
        made, mind = ladder(shop)
        await made.start()
        await made.climb()
        shop.check_error = found
        for _ in range(3):
            assert await say(mind) == "small"
        await asyncio.sleep(1.0)
        assert made.state.reason == ("it is ill" if serving == "small" else "")
        assert await say(mind) == serving

    run_virtual(main())


def test_a_hung_engine_is_replaced() -> None:
    async def main() -> list[tuple[str, float]]:
        shop = Workshop(big=[["big", [Hang(deaf=True)]], ["big again"]], pocket=[["small"]])
        made, mind = ladder(shop)
        await made.start()
        await made.climb()
        made.watch()
        assert await say(mind) == "big"
        with pytest.raises(EngineTimeout):
            await say(mind)
        await asyncio.sleep(1.5)  # the grace time is over
        assert "hung" in made.state.reason
        assert await say(mind) == "small"
        await asyncio.sleep(15.0)
        assert made.state.reason == ""
        assert await say(mind) == "big again"
        return [built for built in shop.built if built[0] == "big"]

    # Up at 11 s, spoke for 0.5 s, hung for 4 s and 1 s of grace; the next one is built at once.
    assert [at for _, at in run_virtual(main())] == pytest.approx([11.0, 26.5])


@pytest.mark.parametrize("error", [EngineBusy("full"), Cancelled("cancelled")])
def test_neither_busy_nor_cancelled_is_a_failure(error: Exception) -> None:
    async def main() -> None:
        shop = Workshop(big=[[[error], "big"]], pocket=[["small"]])
        made, mind = ladder(shop)
        await made.start()
        await made.climb()
        with pytest.raises(type(error)):
            await say(mind)
        assert made.state.reason == ""
        assert await say(mind) == "big"

    run_virtual(main())


async def mouths(
    wanted: AdmissionLimits,
    below: AdmissionLimits,
    *,
    delay: float = 1.0,
    failure: Exception | None = None,
    late: Exception | None = None,
) -> tuple[LadderSynthesizer, list[ScriptedMouth]]:
    """A slow mouth above a fast one (a tenth of its time), either of which may fail."""
    engines = [
        ScriptedMouth(delay=delay, failures=[late]),
        ScriptedMouth(delay=delay / 10, failures=[failure]),
    ]

    def rung(admission: AdmissionLimits, engine: ScriptedMouth) -> Rung[Synthesizer]:

        async def build(given_up: GivenUp) -> Synthesizer:
            port: Synthesizer = engine
            return LaneSynthesizer(Lane(port, LaneLimits(admission), given_up=given_up))

        return Rung("mouth", build, _well, embedded=True)

    made = Ladder("tts", [rung(wanted, engines[0]), rung(below, engines[1])])
    await made.start()
    return LadderSynthesizer(made), engines


async def _well(_: Synthesizer) -> None: ...


async def heard(mouth: Synthesizer, ticket: Ticket) -> float | str:
    """When the first sound came, or why none did, and when."""
    clock = asyncio.get_running_loop().time
    at: float | None = None
    try:
        async for _ in mouth.stream("Hello.", ticket=ticket):
            at = round(clock(), 6) if at is None else at
    except EngineError as error:
        return f"{type(error).__name__} {clock():g}"
    return at or "silence"


ONE, MANY = AdmissionLimits(), AdmissionLimits(inflight=16)


def test_a_busy_mouth_sheds_to_the_next() -> None:
    async def main() -> list[float | str]:
        mouth, engines = await mouths(ONE, MANY)
        tickets = [Ticket(robot, waits=False) for robot in "abc"]
        outcome = await asyncio.gather(*(heard(mouth, ticket) for ticket in tickets))
        assert [len(engine.said) for engine in engines] == [1, 2]
        assert mouth.ladder.state.reason == ""  # busy is not ill
        return outcome

    assert run_virtual(main()) == [1.0, 0.1, 0.1]


def test_a_conversation_keeps_its_voice_and_queues() -> None:
    async def main() -> list[float | str]:
        mouth, engines = await mouths(ONE, MANY)
        outcome = await asyncio.gather(*(heard(mouth, Ticket(robot)) for robot in "abc"))
        assert [len(engine.said) for engine in engines] == [3, 0]
        return outcome

    assert run_virtual(main()) == [1.0, 2.0, 3.0]


def test_but_not_for_longer_than_it_may_queue() -> None:
    """Another voice is better than none."""

    async def main() -> list[float | str]:
        mouth, _ = await mouths(ONE, MANY, delay=7.0)
        return await asyncio.gather(*(heard(mouth, Ticket(robot)) for robot in "ab"))

    assert run_virtual(main()) == [7.0, 5.7]


def test_an_engine_that_always_sheds_makes_no_conversation_wait() -> None:
    async def main() -> list[float | str]:
        mouth, _ = await mouths(
            AdmissionLimits(inflight=8, shed_beyond=0, sheds_all=True), AdmissionLimits(inflight=16)
        )
        return await asyncio.gather(*(heard(mouth, Ticket(robot)) for robot in "abc"))

    assert run_virtual(main()) == [1.0, 0.1, 0.1]


def test_a_late_mouth_sheds_to_the_next() -> None:
    async def main() -> None:
        mouth, engines = await mouths(MANY, MANY, late=EngineTimeout("late"))
        assert await heard(mouth, Ticket("a")) == 1.1
        assert [len(engine.said) for engine in engines] == [1, 1]
        guess = Ticket("a", Priority.SPECULATION)
        assert str(await heard(mouth, guess)).startswith("EngineTimeout"), "no guess is worth that"

    run_virtual(main())


def test_when_all_are_busy_it_is_said_at_once() -> None:
    async def main() -> list[float | str]:
        mouth, _ = await mouths(ONE, MANY)
        tickets = [Ticket(f"r{i}", waits=False) for i in range(50)]
        return await asyncio.gather(*(heard(mouth, ticket) for ticket in tickets))

    assert run_virtual(main()) == [1.0] + 16 * [0.1] + 33 * ["EngineBusy 0"]


def test_busy_is_what_is_told_even_if_the_next_one_fails() -> None:
    async def main() -> list[float | str]:
        mouth, _ = await mouths(ONE, MANY, failure=EngineFailed("ill"))
        tickets = [Ticket(robot, waits=False) for robot in "ab"]
        return await asyncio.gather(*(heard(mouth, ticket) for ticket in tickets))

    assert run_virtual(main()) == [1.0, "EngineBusy 0.1"]


def test_a_guess_is_not_spoken_in_the_voice_of_a_lower_rung() -> None:
    async def main() -> list[float | str]:
        mouth, _ = await mouths(ONE, MANY)
        guess = Ticket("b", Priority.SPECULATION)
        return await asyncio.gather(heard(mouth, Ticket("a")), heard(mouth, guess))

    assert run_virtual(main()) == [1.0, "EngineBusy 0"]


def test_a_cancelled_ticket_reaches_the_engine() -> None:
    async def main() -> float:
        shop = Workshop(big=[[[Pause(3.0), "big"]]], pocket=[["small"]])
        made, mind = ladder(shop)
        await made.start()
        await made.climb()
        start = asyncio.get_running_loop().time()
        ticket = Ticket("a")
        asyncio.get_running_loop().call_later(1.0, ticket.cancel.cancel)
        with pytest.raises(Cancelled):
            await say(mind, ticket)
        return asyncio.get_running_loop().time() - start

    assert run_virtual(main()) == pytest.approx(1.0)


def test_whatever_a_build_raises_the_brain_goes_on() -> None:
    async def main() -> None:
        shop = Workshop(big=[ZeroDivisionError("x")], pocket=[["small"]])
        made, mind = ladder(shop)
        await made.start()
        await made.climb()
        assert "ZeroDivisionError" in made.state.reason
        assert await say(mind) == "small"

    run_virtual(main())


def test_a_ladder_has_a_rung() -> None:
    rungs: list[Rung[LanguageModel]] = []
    with pytest.raises(ValueError, match="at least one"):
        Ladder("llm", rungs)


def test_a_hung_thread_is_left_behind_and_another_engine_serves() -> None:
    """The same with a real thread that really hangs, in real time."""
    release = threading.Event()

    class Ears:
        """Hears by a blocking call; the first one never comes back."""

        def __init__(self, *, hangs: bool) -> None:
            self._worker = Worker("hanging" if hangs else "sound")
            self._hangs = hangs

        @property
        def info(self) -> EngineInfo:
            return EngineInfo("ears", "hanging" if self._hangs else "sound")

        async def transcribe(
            self, samples: NDArray[np.float32], *, language: str | None, ticket: Ticket
        ) -> Transcript:
            return await self._worker.run(self._hear)

        def _hear(self) -> Transcript:
            if self._hangs:
                release.wait(60)
            return Transcript("heard")

        async def close(self) -> None:
            await self._worker.close(patience=0.05)

    async def main() -> None:
        fates = iter([True, False])
        rebuilding = asyncio.Event()

        async def build(given_up: GivenUp) -> Transcriber:
            engine: Transcriber = Ears(hangs=(hangs := next(fates)))
            if not hangs:
                rebuilding.set()
            limits = LaneLimits(first_s=0.1, next_s=0.1, grace_s=0.05)
            return LaneTranscriber(Lane(engine, limits, given_up=given_up))

        async def check(_: Transcriber) -> None: ...

        made = Ladder("stt", [Rung("ears", build, check)], retries_s=(0.0,))
        ears = LadderTranscriber(made)
        await made.start()
        made.watch()
        silence = np.zeros(1600, np.float32)
        with pytest.raises(EngineTimeout):
            await ears.transcribe(silence, language=None, ticket=Ticket("a"))
        await rebuilding.wait()
        await made.climb()  # returns when the rebuilding is done
        heard = await ears.transcribe(silence, language=None, ticket=Ticket("a"))
        assert heard.text == "heard"
        await made.close()
        assert [t.name for t in threading.enumerate() if t.name in {"hanging", "sound"}] == [
            "hanging"
        ]

    try:
        asyncio.run(main())
    finally:
        release.set()


def test_why_each_better_one_does_not_serve_is_told() -> None:
    async def main() -> None:
        gone = [EngineUnavailable(f"{name} is missing.") for name in ("Best", "Good")]
        shop = Workshop(best=[gone[0]], good=[gone[1]], pocket=[["small"]])
        made = Ladder(
            "llm", [shop.rung("best"), shop.rung("good"), shop.rung("pocket", embedded=True)]
        )
        await made.start()
        await made.climb()
        assert made.state.reason == "Best is missing. Good is missing."
        await made.close()

    run_virtual(main())


def test_a_rung_that_cannot_see_says_so_for_a_better_one_that_failed() -> None:
    async def main() -> None:
        shop = Workshop(big=[[EngineFailed("broken")]], pocket=[[[CannotSee("no eyes")]]])
        made, mind = ladder(shop)
        await made.start()
        await made.climb()
        with pytest.raises(CannotSee):
            await say(mind)
        assert not any(engine.closed for engine in shop.engines)
        await made.close()

    run_virtual(main())


def test_one_whose_own_process_died_is_down_unasked_and_soon_built_anew() -> None:
    async def main() -> None:
        shop = Workshop(big=[["big"]], pocket=[["small"]])
        made, mind = ladder(shop)
        await made.start()
        await made.climb()
        made.watch()
        assert await say(mind) == "big"
        for _ in range(4):  # more often than an engine may hang
            shop.given_up[-1].died("It has died.")
            shop.given_up[-1]("It hangs.")  # Only the first word counts.
            assert made.state.reason == "It has died."
            assert await say(mind) == "small"
            await asyncio.sleep(10.5)
            assert await say(mind) == "big"
            assert made.state.reason == ""
        assert made.hopeless() == ""
        await made.close()
        assert all(engine.closed == 1 for engine in shop.engines)

    run_virtual(main())


def test_what_is_on_its_way_out_is_closed_when_all_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that frees a process or a GPU takes its time."""

    async def main() -> None:
        shop = Workshop(big=[["big"]], pocket=[["small"]])
        made, _ = ladder(shop)
        await made.start()
        await made.climb()
        big = shop.engines[-1]
        close = big.close

        async def slowly() -> None:
            await asyncio.sleep(5.0)
            await close()

        monkeypatch.setattr(big, "close", slowly)
        shop.given_up[-1].died("It has died.")
        await asyncio.sleep(1.0)
        await made.close()
        assert [engine.closed for engine in shop.engines] == [1, 1]

    run_virtual(main())
