"""A robot that sends pictures faster than they can be looked at keeps its session."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode

import pytest

from brain.api.pace import Share
from tests.e2e.sockets import a_brain, a_robot
from tests.pictures import picture


def test_so_much_at_once_and_a_share_of_the_time_over_a_while() -> None:
    now = 0.0
    share = Share(0.5, 1.0, lambda: now)
    looked = 0.0
    while share.left():
        share.spend(0.3)
        looked += 0.3
    assert looked == pytest.approx(1.2), "what is begun is ended"
    now = 0.3
    assert not share.left()
    now = 0.5
    assert share.left()
    share.spend(0.3)
    looked = 0.0
    for _ in range(1000):
        now += 0.1
        if share.left():
            share.spend(0.4)
            looked += 0.4
    assert looked == pytest.approx(50, abs=2)


def test_pictures_that_come_too_fast_are_left_out_and_hold_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Large ones on a slow machine: all of them would take longer than a ping may wait."""
    large = picture()

    def slowly(data: bytes, max_edge: int) -> bytes:
        time.sleep(0.3)
        return data

    monkeypatch.setattr("brain.pictures.fitted", slowly)

    async def main() -> None:
        async with a_brain() as address, a_robot(address) as robot:
            await robot.next("ready")
            for _ in range(60):
                await robot.send(type="image", data=b64encode(large).decode())
            await robot.send(type="ping", t="after")
            await robot.next("pong", t="after")
            told = [m for m in robot.seen if m.get("code") == "image_overflow"]
            assert [m["message"] for m in told if "faster" in m["message"]], told
            assert len(told) < 10, "told once, not for each"
            await robot.send(type="text", text="hello")
            assert (await robot.next("reply_done"))["reason"] == "completed"

    asyncio.run(main())
