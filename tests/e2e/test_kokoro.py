"""A brain that speaks with Kokoro, over real sockets: the real kokoro-onnx, tones for a network."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import wave
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from brain.audio.pcm import from_bytes, to_float
from brain.engines.ports import Emotion, Ticket
from brain.engines.tts.kokoro import KokoroOptions, KokoroSynthesizer
from tests.e2e.pocket import Brain, a_pocket_brain
from tests.e2e.sockets import a_robot
from tests.engines.tts.tiny_kokoro import RATE, write_kokoro

SENTENCE = "What is your name?"
WORDS = "xylophone zebra"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("brain")


@pytest.fixture(scope="module")
def brain(folder: Path) -> Iterator[Brain]:
    """One that has begun without Kokoro's files, which have come since. Its log is at DEBUG, as the
    environment says to whoever looks for it there."""
    chosen = ("--set", "TTS_BACKEND=kokoro", "--set", f"MODELS_DIR={folder / 'models'}")
    with a_pocket_brain(folder, *chosen, environ={"LOG_LEVEL": "debug"}) as running:
        running.until_ready()
        mouth = running.get("/ready")[1]["engines"]["tts"]
        assert (mouth["name"], mouth["wanted"]) == ("piper", "kokoro")
        assert "KOKORO_MODEL_PATH" in mouth["reason"]
        write_kokoro(folder / "models" / "kokoro")
        deadline = time.monotonic() + 30
        while running.get("/ready")[1]["engines"]["tts"]["name"] != "kokoro":
            assert time.monotonic() < deadline, running.get("/ready")
            time.sleep(0.1)
        yield running
        assert running.process.poll() is None, "the brain died under the tests"


def kokoro(
    folder: Path, text: str, voice: str | None = None, mood: Emotion | None = None
) -> NDArray[np.float32]:
    """What the adapter says by itself, at 24 kHz."""

    async def main() -> NDArray[np.float32]:
        files = (folder / "models" / "kokoro").iterdir()
        network, voices = sorted(files, key=lambda file: file.suffix, reverse=True)
        mouth = KokoroSynthesizer(KokoroOptions(network, voices))
        stream = mouth.stream(text, voice=voice, emotion=mood, ticket=Ticket("a"))
        blocks = [block async for block in stream]
        await mouth.close()
        return to_float(np.concatenate([block.samples for block in blocks]))

    return asyncio.run(main())


def alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """1 for the same sound, whatever its loudness."""
    most = min(len(one), len(other))
    return float(np.corrcoef(one[:most], other[:most])[0, 1])


@pytest.mark.parametrize("voice", [None, "bf_high"])
def test_tts(brain: Brain, folder: Path, voice: str | None) -> None:
    asked = {"text": SENTENCE, **({"voice": voice} if voice else {})}
    url = f"http://127.0.0.1:{brain.port}/tts"
    answer = httpx.post(url, json=asked, timeout=60, trust_env=False)
    assert answer.status_code == 200
    sound = to_float(from_bytes(answer.content))
    expected = soxr.resample(kokoro(folder, SENTENCE, voice), RATE, 16_000)
    assert len(sound) == pytest.approx(len(expected), abs=160)
    assert alike(sound, expected) > 0.98


def test_a_conversation(brain: Brain, folder: Path) -> None:
    async def main() -> list[dict[str, Any]]:
        async with a_robot(brain.address, "?robot_id=typist") as robot:
            await robot.send(type="session", output_sample_rate=RATE, voice="am_low")
            await robot.next("session_updated")
            await robot.send(type="text", text="What does a cow say?")
            done = await robot.next("reply_done", seconds=30)
            assert done["reason"] == "completed"
            return robot.seen

    seen = asyncio.run(main())
    said = " ".join(m["text"] for m in seen if m["type"] == "transcript_assistant")
    [mood] = [m for m in seen if m["type"] == "emotion"]
    sound = b"".join(b64decode(m["data"]) for m in seen if m["type"] == "audio_delta")
    expected = kokoro(folder, said, "am_low", Emotion(mood["name"], mood["intensity"]))
    assert "moo" in said
    assert alike(to_float(from_bytes(sound)), expected) > 0.98


def test_nobody_s_words_are_in_the_log(brain: Brain) -> None:
    url = f"http://127.0.0.1:{brain.port}/tts"
    answer = httpx.post(url, json={"text": f"{WORDS}, नमस्ते."}, timeout=60, trust_env=False)
    assert len(answer.content) > 32_000
    log = brain.log.read_text()
    assert "kokoro" in log
    for word in ("zebra", "zˈiːbɹə", "phoneme", "नमस्ते"):  # noqa: RUF001
        assert word not in log


def test_brain_say(brain: Brain, folder: Path) -> None:
    out = folder / "said.wav"
    chosen = ("--set", "TTS_BACKEND=kokoro", "--set", f"MODELS_DIR={folder / 'models'}")
    done = subprocess.run(
        [sys.executable, "-m", "brain", "say", SENTENCE, "--out", str(out), *chosen],
        capture_output=True, text=True, timeout=60, cwd=folder, check=False,
    )  # fmt: skip
    assert (done.returncode, "spoken by kokoro (kokoro-v1.0)" in done.stdout) == (0, True), done
    with wave.open(str(out)) as file:
        assert file.getframerate() == RATE
        assert file.getnframes() == len(kokoro(folder, SENTENCE))
