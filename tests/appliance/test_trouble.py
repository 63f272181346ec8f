"""What may befall an installed brain, each time with a robot that wants to be answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.appliance.guest import INSIDE, Guest

MODELS = "/var/lib/brain/models"
SETTINGS = "/etc/brain/brain.env"
POCKET_MIND = "/opt/robot-brain/current/venv/lib/python3*/site-packages/brain/pocket/mind.gguf"
HANGS = 3  # brain/engines/hangs.py: more is for a new process


def answered(guest: Guest, robot: str = "appliance") -> None:
    told = guest.talk("--robot", robot, "--text", "Hello robot.")
    assert told["reason"] == "completed", told
    assert told["sound_s"] > 0.2, told


@contextmanager
def settings(guest: Guest, *lines: str) -> Iterator[None]:
    """These lines at the end of brain.env, and the brain started with them; then as before."""
    file = guest.root / SETTINGS[1:]
    before = file.read_text()
    file.write_text("\n".join([before.rstrip(), *lines, ""]))
    try:
        guest.systemctl("restart", "brain.service")
        yield
    finally:
        file.write_text(before)
        guest.systemctl("reset-failed", "brain.service", check=False)
        guest.systemctl("restart", "brain.service")


@pytest.fixture
def sabotaged(guest: Guest) -> Iterator[Guest]:
    """The same brain with `inside/saboteur.py`, a mind of its own beside the embedded one, and less
    patience everywhere."""
    script = guest.put(INSIDE / "saboteur.py")
    guest.shell(f"chmod 755 {Path(script).parent}; cp {POCKET_MIND} {MODELS}/mind.gguf")
    guest.drop_in(
        "90-saboteur.conf",
        "[Service]\nWatchdogSec=6\nExecStart=\n"
        f"ExecStart=/opt/robot-brain/current/venv/bin/python -P {script} serve\n",
    )
    try:
        with settings(guest, "LLM_MODEL_PATH=mind.gguf", "LLM_TIMEOUT_S=2"):
            guest.until_whole()
            yield guest
            guest.drop_in("90-saboteur.conf", "")
    finally:
        guest.drop_in("90-saboteur.conf", "")
        guest.shell(f"rm -f {MODELS}/mind.gguf")


def order(guest: Guest, what: str) -> None:
    guest.shell(f"touch /run/brain/{what}; chown brain: /run/brain/{what}")


def test_kill_9_costs_a_robot_no_more_than_a_moment(guest: Guest) -> None:
    guest.talk("--robot", "anna", "--text", "My name is Anna.")
    pid = guest.show("MainPID")
    guest.shell(f"kill -9 {pid}")
    guest.restarted(pid)
    told = guest.talk("--robot", "anna", "--text", "What is my name?")
    assert told["resumed"]
    assert "Anna" in told["said"]
    assert "Anna" not in guest.journal()


def test_a_lane_that_hangs_is_replaced_and_in_the_end_the_process(sabotaged: Guest) -> None:
    guest = sabotaged
    answered(guest)
    pid = guest.show("MainPID")
    for count in range(1, HANGS + 1):
        order(guest, "hang-mind")
        told = guest.talk("--text", "What is your name?")
        # First of all, nobody is left waiting: the call is cancelled, the robot told.
        assert told["reason"] != "completed", told
        assert told["seconds"] < 15, told
        if count < HANGS:
            # Then another lane is in its place, the embedded mind's if need be, within the process.
            answered(guest, f"other-{count}")
            guest.until_whole()
            assert guest.show("MainPID") == pid
    said = guest.journal("brain.service")
    assert said.count("llm: llamacpp is out of service") >= HANGS - 1, said[-5_000:]
    # Each left a thread behind: now only a new process helps, and the watchdog sees to it.
    guest.restarted(pid)
    said = guest.journal("brain.service")
    assert f"an engine hung {HANGS} times" in said
    assert "Watchdog timeout" in said
    guest.until_whole()
    answered(guest)


def test_an_event_loop_that_hangs_is_ended_by_the_watchdog(sabotaged: Guest) -> None:
    guest = sabotaged
    pid = guest.show("MainPID")
    order(guest, "hang-loop")
    guest.run(
        "/opt/robot-brain/current/venv/bin/python", "-I", guest.put(INSIDE / "talk.py"),
        "--text", "Hello robot.", check=False,
    )  # fmt: skip
    guest.restarted(pid)
    said = guest.journal("brain.service")
    assert "saboteur: hang-loop" in said
    # The stacks of all threads say where it was.
    assert "blocking_stream" in said
    guest.until_whole()
    answered(guest)


@pytest.mark.parametrize(
    "damage",
    ["truncate --size=100000 {}", "head -c 4000 /dev/zero | dd of={} bs=1 seek=500 conv=notrunc"],
    ids=["cut off", "overwritten"],
)
def test_a_corrupted_model_is_stood_in_for_until_it_is_mended(guest: Guest, damage: str) -> None:
    file = f"{MODELS}/mind.gguf"
    guest.shell(f"cp {POCKET_MIND} {file}; {damage.format(file)}")
    try:
        with settings(guest, "LLM_MODEL_PATH=mind.gguf"):
            status = guest.show("StatusText")
            assert status.startswith("degraded: llm ("), status
            assert "mind.gguf" in status
            llm = guest.ready()["engines"]["llm"]
            assert llm["degraded"]
            assert "mind.gguf" in llm["reason"]
            assert llm["model"] == "pocket"
            answered(guest)
            guest.shell(f"cp {POCKET_MIND} {file}.new; mv {file}.new {file}")
            guest.until("StatusText", "ready; ", 90)  # by itself
            assert guest.ready()["engines"]["llm"]["model"] == "mind.gguf"
            assert guest.show("NRestarts") == "0"
            answered(guest)
    finally:
        guest.shell(f"rm -f {file}")


def test_one_line_changes_the_profile_both_ways(guest: Guest) -> None:
    def toggled(old: str, new: str) -> None:
        guest.shell(f"sed -i 's/^BRAIN_PROFILE={old}$/BRAIN_PROFILE={new}/' {SETTINGS}")
        guest.systemctl("restart", "brain.service")

    toggled("pocket", "laptop")
    now = guest.ready()
    assert now["profile"] == "laptop"
    # Its models were never brought here: it says so, and answers all the same.
    assert now["ready"]
    assert {kind for kind, engine in now["engines"].items() if engine["degraded"]} == {
        "stt", "llm", "tts",
    }  # fmt: skip
    assert guest.show("StatusText").startswith("degraded: ")
    answered(guest)

    toggled("laptop", "pocket")
    now = guest.ready()
    assert now["profile"] == "pocket"
    assert not now["degraded"]
    answered(guest)


def test_a_typo_in_the_settings_stops_nobody(guest: Guest) -> None:
    with settings(guest, "VAD_SILENCE_MS=half a second", "MUMBLE"):
        assert guest.show("ActiveState") == "active"
        problems = "\n".join(guest.ready()["problems"])
        assert "VAD_SILENCE_MS" in problems
        assert f"{SETTINGS}:" in problems
        answered(guest)
