"""What `brain.service` forbids, the brain can do without: a real turn under its system calls."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.deploy.confined import allowed
from tests.e2e.pocket import a_pocket_brain, spoken
from tests.e2e.sockets import a_robot


def test_it_hears_thinks_and_speaks(tmp_path: Path) -> None:
    async def turn(address: str) -> None:
        async with a_robot(address, "?robot_id=confined") as robot:
            await robot.next("ready")
            await robot.speak(spoken("What is your name?"), paced=True)
            assert (await robot.next("reply_done", seconds=30))["reason"] == "completed"
            assert any(message["type"] == "audio_delta" for message in robot.seen)

    with a_pocket_brain(tmp_path, module="tests.deploy.confined") as brain:
        brain.until_ready()
        assert not brain.get("/ready")[1]["degraded"]
        asyncio.run(turn(brain.address))


def test_the_confinement_is_one() -> None:
    """What the unit doesn't allow fails, or the test above would prove nothing."""
    assert "read" in allowed()
    assert "reboot" not in allowed()
    code = (
        "import os, time; from tests.deploy.confined import confine; confine()\n"
        "for call in (lambda: time.clock_settime(0, 0), lambda: os.chroot('/'), "
        "lambda: os.setuid(1)):\n"
        "    try: call()\n"
        "    except PermissionError: print('denied')\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.stdout.split() == ["denied"] * 3, told.stderr
