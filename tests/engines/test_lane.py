"""Lanes are fair, let the urgent go first, and outlive engines that hang. On virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest

from brain.engines.admission import AdmissionLimits
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneLanguageModel, LaneSynthesizer, LaneTranscriber
from brain.engines.ports import (
    Cancelled,
    EngineBusy,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    LanguageModel,
    Priority,
    Synthesizer,
    Text,
    Ticket,
    Transcriber,
)
from tests.scripted_engines import (
    Hang,
    Pause,
    ScriptedMind,
    ScriptedMouth,
    ScriptedTranscriber,
    Step,
)
from tests.virtual_time import run_virtual

SILENCE = np.zeros(160, np.float32)


def now() -> float:
    return round(asyncio.get_running_loop().time(), 6)


def ears(seconds: float = 1.0, **limits: Any) -> LaneTranscriber:
    engine: Transcriber = ScriptedTranscriber(["heard"], seconds)
    return LaneTranscriber(Lane(engine, LaneLimits(AdmissionLimits(**limits))))


def mind(
    script: list[Step] | str, limits: LaneLimits | None = None, **more: Any
) -> LaneLanguageModel:
    engine: LanguageModel = ScriptedMind([script], first_seconds=1.0, token_seconds=1.0)
    return LaneLanguageModel(Lane(engine, limits, **more))


async def served(lane: LaneTranscriber, ticket: Ticket) -> tuple[str, float | str]:
    """Who was served when, or why not."""
    try:
        await lane.transcribe(SILENCE, language=None, ticket=ticket)
    except (EngineBusy, Cancelled) as error:
        return ticket.robot, f"{type(error).__name__} {now()}"
    return ticket.robot, now()


async def after(seconds: float, work: Coroutine[Any, Any, Any]) -> Any:
    await asyncio.sleep(seconds)
    return await work


async def spoken(lane: LaneLanguageModel, ticket: Ticket) -> list[tuple[str, float]]:
    stream = lane.stream([], ticket=ticket)
    return [(item.text, now()) async for item in stream if isinstance(item, Text)]


def test_robots_take_turns() -> None:
    async def main() -> list[Any]:
        lane = ears(queue_s=100)
        robots = ["a", "a", "a", "b", "b", "c"]
        return await asyncio.gather(*(served(lane, Ticket(robot)) for robot in robots))

    assert run_virtual(main()) == [
        ("a", 1.0), ("a", 2.0), ("a", 5.0), ("b", 3.0), ("b", 6.0), ("c", 4.0),
    ]  # fmt: skip


def test_several_at_once() -> None:
    async def main() -> list[Any]:
        lane = ears(inflight=2)
        return await asyncio.gather(*(served(lane, Ticket(robot)) for robot in "abc"))

    assert run_virtual(main()) == [("a", 1.0), ("b", 1.0), ("c", 2.0)]


def test_replies_queue_for_five_seconds() -> None:
    async def main() -> list[Any]:
        lane = ears(seconds=6.0)
        outcome = await asyncio.gather(*(served(lane, Ticket(robot)) for robot in "ab"))
        assert (lane.lane.counters.shed, lane.lane.counters.completed) == (1, 1)
        assert lane.lane.counters.queue_s == pytest.approx(5.0)
        assert lane.lane.counters.busy_s == pytest.approx(6.0)
        return outcome

    assert run_virtual(main()) == [("a", 6.0), ("b", "EngineBusy 5.0")]


def test_the_queue_is_bounded() -> None:
    async def main() -> list[Any]:
        lane = ears(queue_length=1)
        return await asyncio.gather(*(served(lane, Ticket(robot)) for robot in "abc"))

    assert run_virtual(main()) == [("a", 1.0), ("b", 2.0), ("c", "EngineBusy 0.0")]


def test_a_plan_is_shed_at_once() -> None:
    async def main() -> Any:
        lane = ears()
        plan = Ticket("b", Priority.PLAN)
        return await asyncio.gather(served(lane, Ticket("a")), after(0.1, served(lane, plan)))

    assert run_virtual(main()) == [("a", 1.0), ("b", "EngineBusy 0.1")]


def test_a_speculation_that_has_come_true_is_a_reply() -> None:
    async def main() -> Any:
        lane = ears()
        guess = Ticket("a", Priority.SPECULATION)

        async def confirmed() -> Any:
            guess.confirmation.give()
            return await served(lane, Ticket("b"))

        outcome = await asyncio.gather(served(lane, guess), after(0.25, confirmed()))
        # What it asks for next waits its turn, as a reply does.
        more = await asyncio.gather(served(lane, Ticket("b")), served(lane, guess))
        return [*outcome, *more]

    assert run_virtual(main()) == [("a", 1.0), ("b", 2.0), ("b", 3.0), ("a", 4.0)]


def test_a_reply_evicts_speculation() -> None:
    async def main() -> Any:
        lane = ears()
        guess = Ticket("a", Priority.SPECULATION)
        outcome = await asyncio.gather(served(lane, guess), after(0.25, served(lane, Ticket("b"))))
        counters = lane.lane.counters
        assert (counters.cancelled, counters.evicted, counters.completed) == (1, 1, 1)
        assert not guess.cancel.cancelled  # it was the lane that ended it, not its caller
        return outcome

    assert run_virtual(main()) == [("a", "Cancelled 0.25"), ("b", 1.25)]


def test_a_plan_evicts_speculation_too_but_goes_after_a_reply() -> None:
    async def main() -> Any:
        lane = ears(eviction_s=3.0)
        return await asyncio.gather(
            served(lane, Ticket("a", Priority.SPECULATION)),
            after(0.5, served(lane, Ticket("b", Priority.PLAN))),
        )

    assert run_virtual(main()) == [("a", "Cancelled 0.5"), ("b", 1.5)]

    async def both() -> Any:
        lane = ears(eviction_s=3.0)
        guess = asyncio.ensure_future(served(lane, Ticket("a", Priority.SPECULATION)))
        await asyncio.sleep(0.5)
        plan = asyncio.ensure_future(served(lane, Ticket("b", Priority.PLAN)))
        reply = asyncio.ensure_future(served(lane, Ticket("c")))
        return await asyncio.gather(guess, plan, reply)

    assert run_virtual(both()) == [("a", "Cancelled 0.5"), ("b", 2.5), ("c", 1.5)]


def test_speculation_never_queues() -> None:
    async def main() -> Any:
        lane = ears()
        guess = Ticket("b", Priority.SPECULATION)
        return await asyncio.gather(served(lane, Ticket("a")), served(lane, guess))

    assert run_virtual(main()) == [("a", 1.0), ("b", "EngineBusy 0.0")]


def test_of_two_speculations_the_later_one_goes() -> None:
    async def main() -> Any:
        lane = ears(inflight=2)
        return await asyncio.gather(
            served(lane, Ticket("a", Priority.SPECULATION)),
            after(0.1, served(lane, Ticket("b", Priority.SPECULATION))),
            after(0.2, served(lane, Ticket("c"))),
        )

    assert run_virtual(main()) == [("a", 1.0), ("b", "Cancelled 0.2"), ("c", 1.2)]


@pytest.mark.parametrize(
    ("alone", "guess_at_s", "reply_at_s", "guessed"),
    [
        # There is room for two.
        (False, 0.1, 0.0, 1.1),
        (False, 0.0, 0.25, 1.0),
        # Nobody who is answered is slowed down by a guess.
        (True, 0.1, 0.0, "EngineBusy 0.1"),
        (True, 0.0, 0.25, "Cancelled 0.25"),
        (True, 0.0, 1.5, 1.0),
    ],
)
def test_a_guess_may_be_for_an_engine_that_is_idle(
    alone: bool, guess_at_s: float, reply_at_s: float, guessed: float | str
) -> None:
    async def main() -> Any:
        lane = ears(inflight=2, speculates_alone=alone)
        return await asyncio.gather(
            after(guess_at_s, served(lane, Ticket("a", Priority.SPECULATION))),
            after(reply_at_s, served(lane, Ticket("b"))),
        )

    assert run_virtual(main()) == [("a", guessed), ("b", reply_at_s + 1.0)]


def test_a_guess_that_has_come_true_needs_not_be_alone() -> None:
    async def main() -> Any:
        lane = ears(inflight=2, speculates_alone=True)
        guess = Ticket("a", Priority.SPECULATION)

        async def confirmed() -> Any:
            guess.confirmation.give()
            return await served(lane, Ticket("b"))

        return await asyncio.gather(served(lane, guess), after(0.25, confirmed()))

    assert run_virtual(main()) == [("a", 1.0), ("b", 1.25)]


NOW = "EngineBusy 0.0"


@pytest.mark.parametrize(
    ("limits", "outcome"),
    [
        # One may be at the engine; what needn't wait is sent away while it is.
        ({}, [1.0, NOW, NOW, NOW]),
        ({"shed_beyond": 0}, [1.0, NOW, NOW, NOW]),
        # So many others may be here; they take turns.
        ({"shed_beyond": 1}, [1.0, 2.0, NOW, NOW]),
        ({"shed_beyond": 2}, [1.0, 2.0, 3.0, NOW]),
        # An engine for two that is to be left alone as soon as it has one.
        ({"inflight": 2, "shed_beyond": 0}, [1.0, NOW, NOW, NOW]),
        ({"inflight": 2}, [1.0, 1.0, NOW, NOW]),
        ({"inflight": 2, "shed_beyond": 2}, [1.0, 1.0, 2.0, NOW]),
    ],
)
def test_what_does_not_wait_is_shed_at_once(limits: dict[str, Any], outcome: list[Any]) -> None:
    async def main(waits: bool, **more: Any) -> list[Any]:
        lane = ears(**limits, **more)
        tickets = [Ticket(robot, Priority.PLAN, waits=waits) for robot in "abcd"]
        return [when for _, when in await asyncio.gather(*(served(lane, t) for t in tickets))]

    assert run_virtual(main(waits=False)) == outcome
    assert run_virtual(main(waits=True, sheds_all=True)) == outcome


def test_a_conversation_waits_behind_what_does_not() -> None:
    async def main() -> list[Any]:
        lane = ears(shed_beyond=0)
        return await asyncio.gather(
            served(lane, Ticket("a", waits=False)),
            after(0.1, served(lane, Ticket("b"))),
            after(0.2, served(lane, Ticket("c"))),
            after(0.3, served(lane, Ticket("d", waits=False))),
            # The queue is before it as well: it can't starve those that wait.
            after(1.5, served(lane, Ticket("e", waits=False))),
        )

    assert run_virtual(main()) == [
        ("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", "EngineBusy 0.3"), ("e", "EngineBusy 1.5"),
    ]  # fmt: skip


def test_a_place_that_is_being_left_is_as_good_as_free() -> None:
    """Who cancels and asks again at once isn't sent away because of itself."""

    async def main() -> Any:
        lane = ears(shed_beyond=0)
        first = Ticket("a", waits=False)
        ending = asyncio.ensure_future(served(lane, first))
        await asyncio.sleep(0.25)
        first.cancel.cancel()
        return await asyncio.gather(ending, served(lane, Ticket("a", waits=False)))

    assert run_virtual(main()) == [("a", "Cancelled 0.25"), ("a", 1.25)]


def test_an_engine_that_does_not_let_go_is_not_waited_for() -> None:
    async def main() -> float:
        lane = mind([Hang(deaf=True)], LaneLimits(grace_s=5.0))
        first = Ticket("a", waits=False)
        hung = asyncio.ensure_future(spoken(lane, first))
        await asyncio.sleep(2.0)
        first.cancel.cancel()
        with pytest.raises(EngineBusy):
            await spoken(lane, Ticket("b", waits=False))
        with pytest.raises(Cancelled):
            await hung
        return now()

    assert run_virtual(main()) == 3.0


def test_speculation_does_not_queue_within_the_threshold_either() -> None:
    async def main() -> Any:
        lane = ears(shed_beyond=3, sheds_all=True)
        guess = Ticket("b", Priority.SPECULATION)
        return await asyncio.gather(served(lane, Ticket("a")), served(lane, guess))

    assert run_virtual(main()) == [("a", 1.0), ("b", NOW)]


def test_cancel_in_the_queue_and_at_the_engine() -> None:
    async def main() -> Any:
        lane = ears()
        loop = asyncio.get_running_loop()
        first, second, third = (Ticket(robot) for robot in "abc")
        loop.call_later(0.3, second.cancel.cancel)
        loop.call_later(0.5, first.cancel.cancel)
        outcome = await asyncio.gather(*(served(lane, t) for t in (first, second, third)))
        assert lane.lane.inflight == 0
        return outcome

    assert run_virtual(main()) == [("a", "Cancelled 0.5"), ("b", "Cancelled 0.3"), ("c", 1.5)]


def test_a_caller_whose_task_dies_leaves_no_place_taken() -> None:
    async def main() -> Any:
        lane = ears()
        dying = [asyncio.ensure_future(served(lane, Ticket(robot))) for robot in "ab"]
        await asyncio.sleep(0.5)
        for task in dying:
            task.cancel()
        outcome = await served(lane, Ticket("c"))
        assert lane.lane.inflight == 0
        return outcome

    assert run_virtual(main()) == ("c", 1.5)


def test_the_engine_is_free_before_a_slow_consumer_is_done() -> None:
    async def main() -> float:
        engine: Synthesizer = ScriptedMouth(delay=0.1)
        lane = LaneSynthesizer(Lane(engine))
        slow = lane.stream("a sentence of some length", ticket=Ticket("a"))
        async with aclosing(slow):  # type: ignore[type-var]
            await slow.__anext__()
            assert [b async for b in lane.stream("other", ticket=Ticket("b"))]
            return now()

    assert run_virtual(main()) == 0.2


@pytest.mark.parametrize("seconds", [1.5, 10.0])
def test_what_was_made_ahead_does_not_come_after_a_cancel(seconds: float) -> None:
    """Whether the engine is still at work, or has long been done."""

    async def main() -> None:
        lane = mind("one two three")
        ticket = Ticket("a")
        stream = lane.stream([], ticket=ticket)
        assert await stream.__anext__() == Text("one")
        await asyncio.sleep(seconds)
        ticket.cancel.cancel()
        with pytest.raises(Cancelled):
            await stream.__anext__()
        await asyncio.sleep(0.01)
        assert lane.lane.inflight == 0

    run_virtual(main())


def test_leaving_early_cancels_the_engine() -> None:
    async def main() -> None:
        engine = ScriptedMind(["one two three"], first_seconds=1.0, token_seconds=1.0)
        port: LanguageModel = engine
        lane = LaneLanguageModel(Lane(port))
        stream = lane.stream([], ticket=Ticket("a"))
        assert await stream.__anext__() == Text("one")
        await stream.aclose()  # type: ignore[attr-defined]
        await asyncio.sleep(0.01)
        assert engine.active == 0
        assert lane.lane.inflight == 0

    run_virtual(main())


def test_no_progress_is_a_timeout_and_the_lane_goes_on() -> None:
    async def main() -> list[tuple[str, float]]:
        lane = mind(
            [Pause(9.0), "one", Pause(1.0), " two", Pause(5.0), " three"],
            LaneLimits(first_s=12.0, next_s=3.0),
        )
        stream = lane.stream([], ticket=Ticket("a"))
        assert await stream.__anext__() == Text("one")
        assert await stream.__anext__() == Text(" two")
        with pytest.raises(EngineTimeout):
            await stream.__anext__()
        assert now() == 15.0
        await asyncio.sleep(1.0)
        assert lane.lane.counters.timed_out == 1
        assert lane.lane.inflight == 0
        stream = lane.stream([], ticket=Ticket("a"))
        return [((await stream.__anext__()).text, now())]  # type: ignore[union-attr]

    assert run_virtual(main()) == [("one", 26.0)]


def test_an_engine_that_does_not_heed_its_cancel_is_given_up() -> None:
    async def main() -> list[str]:
        reasons: list[str] = []
        limits = LaneLimits(first_s=4.0, grace_s=2.0)
        lane = mind([Hang(deaf=True)], limits, given_up=reasons.append)
        waiting = asyncio.ensure_future(spoken(lane, Ticket("b")))
        stream = lane.stream([], ticket=Ticket("a"))
        await asyncio.sleep(0)
        with pytest.raises(EngineTimeout):
            await waiting
        assert now() == 4.0
        with pytest.raises(EngineUnavailable):
            await stream.__anext__()
        assert now() == 6.0  # it queued, and is told as soon as the engine is given up
        with pytest.raises(EngineUnavailable):
            await spoken(lane, Ticket("c"))
        return reasons

    assert len(run_virtual(main())) == 1


def test_a_cancelled_caller_does_not_wait_for_a_deaf_engine() -> None:
    async def main() -> float:
        lane = mind([Hang(deaf=True)])
        ticket = Ticket("a")
        asyncio.get_running_loop().call_later(0.5, ticket.cancel.cancel)
        with pytest.raises(Cancelled):
            await spoken(lane, ticket)
        return now()

    assert run_virtual(main()) == 0.5


def test_what_an_engine_raises_is_told_in_the_ports_words() -> None:
    async def main() -> None:
        lane = mind(["one", ZeroDivisionError("x")])
        stream = lane.stream([], ticket=Ticket("a"))
        assert await stream.__anext__() == Text("one")
        with pytest.raises(EngineFailed, match="ZeroDivisionError"):
            await stream.__anext__()
        assert lane.lane.counters.failed == 1

    run_virtual(main())


def test_close_ends_what_is_under_way() -> None:
    async def main() -> None:
        engine = ScriptedMind([[Hang()]])
        port: LanguageModel = engine
        lane = LaneLanguageModel(Lane(port))
        caller = asyncio.ensure_future(spoken(lane, Ticket("a")))
        await asyncio.sleep(1.0)
        await lane.close()
        with pytest.raises(EngineUnavailable):  # the caller has not cancelled anything
            await caller
        assert (engine.active, engine.closed) == (0, 1)
        with pytest.raises(EngineUnavailable):
            await spoken(lane, Ticket("a"))

    run_virtual(main())


def test_random_traffic_never_loses_a_place() -> None:
    """Whatever comes and goes: no more than allowed at once, and all places free at the end."""

    async def main(seed: int) -> None:
        random = np.random.default_rng(seed)
        inflight = int(random.integers(1, 4))
        beyond = None if random.random() < 0.5 else int(random.integers(0, 4))
        lane = ears(
            0.3,
            inflight=inflight,
            queue_s=0.7,
            eviction_s=0.4,
            shed_beyond=beyond,
            sheds_all=bool(random.random() < 0.3),
        )

        async def one(robot: str, priority: Priority, start: float, leave: float | None) -> None:
            await asyncio.sleep(start)
            ticket = Ticket(robot, priority, waits=bool(random.random() < 0.5))
            task = asyncio.ensure_future(served(lane, ticket))
            if leave is not None:
                await asyncio.sleep(leave)
                if leave < 0.3:
                    ticket.cancel.cancel()
                else:
                    task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert lane.lane.inflight <= inflight

        await asyncio.gather(
            *(
                one(
                    f"r{random.integers(4)}",
                    Priority(int(random.integers(3))),
                    float(random.random() * 3),
                    float(random.random() * 0.8) if random.random() < 0.5 else None,
                )
                for _ in range(60)
            )
        )
        await asyncio.sleep(1.0)
        counters = lane.lane.counters
        assert lane.lane.inflight == 0
        assert counters.completed <= counters.started <= counters.completed + counters.cancelled
        await served(lane, Ticket("last"))
        assert lane.lane.counters.completed == counters.completed + 1

    for seed in range(40):
        run_virtual(main(seed))


def test_random_traffic_that_does_not_wait_never_waits() -> None:
    """Beside conversations that queue: an answer, or the way on to the next rung, at once."""

    async def main(seed: int) -> None:
        random = np.random.default_rng(seed)
        lane = ears(0.3, inflight=int(random.integers(1, 4)))
        waited: list[float] = []

        async def one(waits: bool, start: float) -> bool:
            await asyncio.sleep(start)
            _, when = await served(lane, Ticket(f"r{random.integers(4)}", waits=waits))
            if not waits:
                at = float(when.split()[1]) if isinstance(when, str) else when - 0.3
                waited.append(at - start)
            return not isinstance(when, str)

        # 60 calls in 12 s, each of 0.3 s: those that wait 5 s are all served.
        starts = np.sort(random.random(60)) * 12
        waiting = [bool(random.random() < 0.5) for _ in starts]
        outcomes = await asyncio.gather(
            *(one(waits, float(start)) for waits, start in zip(waiting, starts, strict=True))
        )
        assert max(waited) < 1e-5
        assert all(outcome for outcome, waits in zip(outcomes, waiting, strict=True) if waits)

    for seed in range(20):
        run_virtual(main(seed))
