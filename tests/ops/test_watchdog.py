"""When the watchdog is fed, and what the manager is told meanwhile. On virtual time."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field

import pytest

from brain.engines.ladder import EngineState
from brain.ops import notify, starting
from brain.ops.watchdog import keep_fed
from tests.virtual_time import run_virtual


@dataclass(frozen=True)
class Listener(notify.Notifier):
    """A service manager's end: what it was told, and when. `deaf`: how many it doesn't take."""

    told: list[tuple[float, str]] = field(default_factory=list)
    deaf: list[str] = field(default_factory=list)

    def _send(self, *lines: str) -> bool:
        if self.deaf:
            self.deaf.pop()
            return False
        self.told.append((asyncio.get_running_loop().time(), "\n".join(lines)))
        return True

    def times(self, message: str) -> list[float]:
        return [at for at, told in self.told if told == message]

    def said(self, name: str) -> list[str]:
        return [told for _, told in self.told if told.startswith(name)]


async def run_for(seconds: float, *work: asyncio.Future[None]) -> None:
    await asyncio.sleep(seconds)
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)


def test_it_is_fed_at_once_and_then_at_its_interval() -> None:
    async def main() -> None:
        manager = Listener()
        await run_for(61, asyncio.ensure_future(keep_fed(manager, 15.0, lambda: "")))
        assert manager.times("WATCHDOG=1") == [0, 15, 30, 45, 60]

    run_virtual(main())


def test_where_nobody_watches_nothing_is_said() -> None:
    async def main() -> None:
        manager = Listener()
        await keep_fed(manager, None, lambda: "hung")
        assert not manager.told

    run_virtual(main())


def test_it_is_not_fed_while_something_is_stuck_and_a_person_is_told_why() -> None:
    async def main() -> None:
        manager = Listener()
        trouble = [""]
        feeding = asyncio.ensure_future(keep_fed(manager, 15.0, lambda: trouble[0]))
        await asyncio.sleep(20)
        trouble[0] = "llm: hangs"
        await asyncio.sleep(40)
        trouble[0] = ""
        await run_for(20, feeding)
        assert manager.times("WATCHDOG=1") == [0, 15, 60, 75]
        assert manager.said("STATUS=") == ["STATUS=stalled: llm: hangs"]

    run_virtual(main())


def test_a_feed_that_got_lost_is_sent_again_before_it_is_missed() -> None:
    async def main() -> None:
        manager = Listener()
        manager.deaf.extend(["full"] * 3)
        await run_for(10, asyncio.ensure_future(keep_fed(manager, 15.0, lambda: "")))
        assert manager.times("WATCHDOG=1") == [1.5]

    run_virtual(main())


def test_a_question_that_fails_counts_as_stuck(caplog: pytest.LogCaptureFixture) -> None:
    def stalled() -> str:
        raise ZeroDivisionError

    async def main() -> None:
        manager = Listener()
        await run_for(40, asyncio.ensure_future(keep_fed(manager, 15.0, stalled)))
        assert not manager.times("WATCHDOG=1")

    run_virtual(main())
    assert "ZeroDivisionError" in caplog.text


class Engines:
    """One engine, which is on its way for `seconds`; `moving` says how far, every ten of them."""

    def __init__(self, seconds: float, *, moving: bool = False, reason: str = "") -> None:
        self.seconds, self.moving, self.reason = seconds, moving, reason

    async def wait_settled(self, seconds: float | None = None) -> bool:
        left = self.seconds - asyncio.get_running_loop().time()
        assert seconds is not None
        await asyncio.sleep(max(0.0, min(left, seconds)))
        return asyncio.get_running_loop().time() >= self.seconds

    def states(self) -> tuple[EngineState, ...]:
        now = asyncio.get_running_loop().time()
        loading = now < self.seconds
        progress = f"{now // 10:.0f}0 s" if self.moving and loading else ""
        reason = "" if loading else self.reason
        return (EngineState("llm", "big", "pocket", "mind", loading, reason, progress),)


async def told_of(engines: Engines, seconds: float) -> Listener:
    manager = Listener()
    await run_for(seconds, asyncio.ensure_future(starting.tell(engines, manager, "orin-nx")))
    return manager


def ready_at(manager: Listener) -> float:
    (at,) = (at for at, told in manager.told if told.startswith("READY=1"))
    return at


def test_the_start_is_extended_until_the_engines_are_there() -> None:
    manager = run_virtual(told_of(Engines(1_000, moving=True), 1_100))
    extended = manager.times("EXTEND_TIMEOUT_USEC=15000000")
    assert extended[0] == 0
    gaps = [b - a for a, b in itertools.pairwise(extended)]
    assert max(gaps) <= starting.EXTENDED_S / 3
    assert "STATUS=loading: llm (400 s); until then: llm pocket (mind)" in manager.said("STATUS=")
    assert ready_at(manager) == 1_000
    assert manager.said("READY=1") == ["READY=1\nSTATUS=ready; llm pocket (mind)"]


def test_a_loading_that_stands_still_holds_the_start_up_for_so_long_and_no_longer() -> None:
    manager = run_virtual(told_of(Engines(10_000), 2_000))
    assert starting.NO_PROGRESS_S < ready_at(manager) <= starting.NO_PROGRESS_S + starting.LOOK_S
    (ready,) = manager.said("READY=1")
    assert "degraded: llm (still loading); meanwhile: llm pocket (mind)" in ready


def test_what_is_degraded_is_told_with_its_reason_also_later() -> None:
    engines = Engines(10, reason="no such file: big.gguf")

    async def main() -> Listener:
        telling = asyncio.ensure_future(told_of(engines, 100))
        await asyncio.sleep(50)
        engines.reason = ""
        return await telling

    manager = run_virtual(main())
    (ready,) = manager.said("READY=1")
    assert "STATUS=degraded: llm (no such file: big.gguf); meanwhile: llm pocket (mind)" in ready
    assert manager.said("STATUS=")[-1] == "STATUS=ready; llm pocket (mind)"
