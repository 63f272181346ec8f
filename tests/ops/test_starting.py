"""What systemd is told of the start and of what is degraded, over a real datagram socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from brain.engines.ladder import EngineState
from brain.ops.notify import Notifier
from brain.ops.starting import EXTENDED_S, NO_PROGRESS_S, tell
from tests.virtual_time import run_virtual

LOADING = EngineState("llm", "llamacpp", "llamacpp", "pocket", loading=True)
FELL = EngineState("llm", "llamacpp", "llamacpp", "pocket", reason="There is no file x.gguf.")
WHOLE = EngineState("llm", "llamacpp", "llamacpp", "x.gguf")


class Engines:
    """On their way for `seconds`, then as `state`."""

    def __init__(self, seconds: float, state: EngineState) -> None:
        self._until = seconds
        self.now: EngineState = LOADING
        self._then = state

    async def wait_settled(self, seconds: float | None = None) -> bool:
        assert seconds is not None
        await asyncio.sleep(min(seconds, self._until))
        self._until -= min(seconds, self._until)
        if not self._until:
            self.now = self._then
        return not self._until

    def states(self) -> tuple[EngineState, ...]:
        return (self.now,)


def told(
    folder: Path,
    engines: Engines,
    seconds: float,
    besides: list[str],
    beside: Coroutine[Any, Any, None] | None = None,
) -> list[str]:
    """All messages within so many seconds (of virtual time). `besides` is emptied at half time;
    `beside` runs meanwhile."""
    (folder / "notify").unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        manager.setblocking(False)
        messages: list[str] = []

        async def main() -> None:
            notifier = Notifier(str(folder / "notify"))
            telling = asyncio.ensure_future(tell(engines, notifier, "test", lambda: besides))
            more = asyncio.ensure_future(beside) if beside is not None else None
            for moment in range(int(seconds)):
                await asyncio.sleep(1)
                if moment == int(seconds / 2):
                    besides.clear()
                with suppress(BlockingIOError):
                    while True:
                        messages.append(manager.recv(4096).decode())
            telling.cancel()
            if more is not None:
                await more

        run_virtual(main())
    return messages


def test_what_loads_and_then_what_fell_and_why(tmp_path: Path) -> None:
    messages = told(tmp_path, Engines(7, FELL), 60, ["history (the disk is full)"])
    extended = f"EXTEND_TIMEOUT_USEC={int(EXTENDED_S * 1e6)}"
    assert messages.count(extended) == 7
    assert [message for message in messages if message != extended] == [
        "STATUS=loading: llm; until then: llm llamacpp (pocket)",
        "READY=1\nSTATUS=degraded: llm (There is no file x.gguf.), history (the disk is full);"
        " meanwhile: llm llamacpp (pocket)",
        "STATUS=degraded: llm (There is no file x.gguf.); meanwhile: llm llamacpp (pocket)",
    ]


def test_who_asks_within_a_second_sees_what_is(tmp_path: Path) -> None:
    """What loads is told before the first look is over, a change within a second after it."""
    assert "STATUS=loading: llm; until then: llm llamacpp (pocket)" in told(
        tmp_path, Engines(30, WHOLE), 1, []
    )
    engines = Engines(1, FELL)

    async def mended() -> None:
        await asyncio.sleep(10.5)
        engines.now = WHOLE

    messages = told(tmp_path, engines, 12, [], mended())
    assert messages[-1] == "STATUS=ready; llm llamacpp (x.gguf)"


def test_all_is_well(tmp_path: Path) -> None:
    assert told(tmp_path, Engines(1, WHOLE), 20, [])[-1] == (
        "READY=1\nSTATUS=ready; llm llamacpp (x.gguf)"
    )


def test_a_load_that_never_ends_does_not_hold_the_start_for_ever(tmp_path: Path) -> None:
    messages = told(tmp_path, Engines(1e6, WHOLE), NO_PROGRESS_S + 60, [])
    assert messages[-1].startswith("READY=1\nSTATUS=degraded: llm (still loading)")
