"""Things around the models go wrong: settings with typos, a full disk, no network, a mind that dies
and hangs, or none at all. The robot is answered, people are told why, and it climbs back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from brain.history.database import FILE
from tests.e2e.dying_mind import BROKEN, GONE
from tests.e2e.faults.brain_inside import a_brain_inside
from tests.e2e.full_disk import make_room
from tests.e2e.lan import a_lan
from tests.e2e.pocket import Brain, a_pocket_brain, spoken
from tests.e2e.sockets import Robot, a_robot

WITHIN_S = 15.0
"""To climb back, on a machine that has much else to do."""

HASTE = "tests.e2e.in_haste"
ENV = """\
BRAIN_PROFILE=orin-nxx
VAD_SILENCE_MS=half a second
TTS_BAKEND=piper
this is no assignment
PERSONA_FILE=/nowhere/persona.txt
"""


async def answered(robot: Robot, text: str) -> None:
    """With sound."""
    await robot.send(type="text", text=text)
    await robot.next("audio_delta", seconds=30)


def until(brain: Brain, true: Callable[[dict[str, Any]], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not true(ready := brain.get("/ready")[1]):
        assert time.monotonic() < deadline, f"{ready}\n{brain.log.read_text()}"
        time.sleep(0.1)


def test_settings_with_typos_and_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "brain.env").write_text(ENV)
    (tmp_path / "override.env").write_bytes(bytes(range(256)))
    state = tmp_path / "state"

    async def meet(brain: Brain) -> None:
        async with a_robot(brain.address, "?robot_id=anna") as robot:
            await answered(robot, "My name is Anna.")
            assert (await robot.next("reply_done", seconds=30))["reason"] == "completed"

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        # (The empty profile takes the other one back: as the unit, it names none.)
        with a_pocket_brain(
            tmp_path, "--profile", "", module="tests.e2e.full_disk", environ=environ
        ) as brain:
            while not (told := manager.recv(8_192).decode()).startswith("READY=1"):
                pass
            ready = brain.get("/ready")[1]
            assert ready["ready"]
            assert ready["degraded"]
            assert ready["profile"] == "pocket"
            problems = "\n".join(ready["problems"])
            for line in (
                "BRAIN_PROFILE='orin-nxx' ",
                "VAD_SILENCE_MS='half a second' ",
                "did you mean TTS_BACKEND?",
                "brain.env:4 isn't of the form NAME=VALUE",
                "override.env can't be read: it isn't UTF-8 text",
                "PERSONA_FILE=/nowhere/persona.txt: no such file",
            ):
                assert line in problems
                assert brain.log.read_text().count(line) == 1
            assert "restart the brain" in ready["advice"]
            assert ready["history"]["store"] == "memory"
            assert "full" in ready["history"]["reason"]
            assert "STATUS=degraded: settings (5 refused, first: BRAIN_PROFILE='orin-nxx'" in told
            assert "history (" in told
            asyncio.run(meet(brain))

            make_room(brain.process.pid, state)
            until(brain, lambda now: now["history"]["store"] == "sqlite")
            disk = Path(f"/proc/{brain.process.pid}/root{state}")
            kept = [file.read_bytes() for file in disk.glob(f"{FILE}*")]
            assert any(b"My name is Anna." in content for content in kept)
            log = brain.log.read_text()
            assert log.count("conversations are in memory alone") == 1
            assert log.count("conversations are kept on disk again") == 1


def test_the_network_comes_after_the_brain(tmp_path: Path) -> None:
    address = "10.9.0.1"

    async def meet(url: str) -> None:
        with machine.dialled_from():
            async with a_robot(url) as robot:
                await answered(robot, "What is your name?")

    with a_lan() as lan:
        machine = lan.add()
        with a_brain_inside(
            machine, tmp_path, host=address, module=HASTE, environ={"INVOCATION_ID": "1"}
        ) as brain:
            brain.until_ready()
            brain.until_said(f"SERVER_HOST={address} is no address of this machine")
            brain.until_said("this machine is on no network yet")
            machine.move(f"{address}/24")
            brain.until_said(f"at {address} port 8100")
            asyncio.run(meet(f"ws://{address}:8100/ws"))
            log = brain.log.read_text()
            assert log.count("WARNING") == 3, log  # these two, and that anybody may come in


def test_where_nothing_thinks_the_robot_says_so(tmp_path: Path) -> None:
    async def main(brain: Brain) -> None:
        async with a_robot(brain.address) as robot:
            await robot.speak(spoken("What is your name?", after_ms=1_500))
            heard = await robot.next("transcript_user", seconds=30)
            assert "your name" in heard["text"].lower()
            said = await robot.next("transcript_assistant", seconds=30)
            assert said["text"] == "Sorry, I can't think right now."
            await robot.next("reply_done", seconds=30)
            kinds = {message["type"] for message in robot.seen}
            assert {"error", "audio_delta"} <= kinds

    with a_pocket_brain(tmp_path, module="tests.e2e.no_mind") as brain:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                status, ready = brain.get("/ready")
                if not ready["loading"]:
                    break
            time.sleep(0.1)
        assert status == 503
        assert ready["missing"] == ["llm"]
        assert "/nowhere/mind.gguf" in ready["engines"]["llm"]["reason"]
        assert ready["engines"]["vad"]["name"] == "loudness"
        assert "silero-vad" in ready["engines"]["vad"]["reason"]
        asyncio.run(main(brain))


def test_a_mind_that_breaks_and_hangs_and_comes_back(tmp_path: Path) -> None:
    excuse = "Sorry, I can't think right now."

    async def said(robot: Robot) -> str:
        await robot.send(type="text", text="What is your name?")
        text = await robot.next("transcript_assistant", seconds=30)
        await robot.next("reply_done", seconds=30)
        return str(text["text"])

    async def main(brain: Brain) -> None:
        async with a_robot(brain.address) as robot:
            assert excuse in await said(robot)  # it broke off in the middle
            assert await said(robot) == excuse  # it hung
            until(brain, lambda now: now["engines"]["llm"]["reason"] == GONE)
            assert "robo" in (await said(robot)).lower()  # the embedded mind
            until(brain, lambda now: not now["degraded"])
            assert await said(robot) == "I am well again."

    # (Without a voice, so that nobody waits for it to have spoken.)
    mute = ("--set", "TTS_BACKEND=off")
    with a_pocket_brain(tmp_path, *mute, module="tests.e2e.dying_mind") as brain:
        brain.until_ready()
        asyncio.run(main(brain))
        log = brain.log.read_text()
        for line in (f"scripted failed (1): {BROKEN}", "is out of service", GONE):
            assert log.count(line) == 1, log
