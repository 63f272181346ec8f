"""Models that are missing, broken, too large or deadly: a real brain answers its robot, says why it
isn't as it should be, and climbs by itself when they have been put right."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.e2e import damage
from tests.e2e.pocket import Brain, a_pocket_brain, spoken
from tests.e2e.sockets import a_robot

CLIMBS_WITHIN_S = 15.0
"""Two looks at the files and a load, on a machine that has much else to do."""

KINDS = ("llm", "stt", "tts")
GB = 1_000_000_000
HASTE = "tests.e2e.in_haste"

Engines = Mapping[str, Mapping[str, Any]]


def answered(brain: Brain, *, to_the_end: bool = False) -> None:
    """The robot says something, and hears an answer; its first sound will do."""

    async def main() -> None:
        async with a_robot(brain.address) as robot:
            await robot.next("ready")
            await robot.speak(spoken("What is your name?"))
            heard = await robot.next("transcript_user", seconds=30)
            assert "your name" in heard["text"].lower()
            await robot.next("audio_delta", seconds=30)
            if to_the_end:
                said = await robot.next("transcript_assistant", seconds=30)
                assert "robo" in said["text"].lower()
                assert (await robot.next("reply_done", seconds=30))["reason"] == "completed"

    asyncio.run(main())


def engines(brain: Brain) -> Engines:
    status, ready = brain.get("/ready")
    assert status == 200
    assert ready["degraded"] == any(engine["degraded"] for engine in ready["engines"].values())
    found: Engines = ready["engines"]
    return found


def until(brain: Brain, true: Callable[[Engines], bool]) -> Engines:
    deadline = time.monotonic() + CLIMBS_WITHIN_S
    while not true(now := engines(brain)):
        assert time.monotonic() < deadline, f"{now}\n{brain.log.read_text()}"
        time.sleep(0.1)
    return now


def warnings(brain: Brain, start: str) -> list[str]:
    lines = brain.log.read_text().splitlines()
    return [line for line in lines if f" {start}" in line and "INFO" not in line]


def own_models(folder: Path) -> tuple[str, ...]:
    settings = {
        "MODELS_DIR": str(folder),
        "LLM_MODEL_PATH": "own.gguf",
        "STT_MODEL_SIZE": damage.EARS_NAME,
        "PIPER_VOICE": "own.onnx",
    }
    return tuple(word for name, value in settings.items() for word in ("--set", f"{name}={value}"))


def test_all_models_missing_then_damaged_then_whole(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    with a_pocket_brain(
        tmp_path, *own_models(models), module=HASTE, environ={"HF_HUB_OFFLINE": "1"}
    ) as brain:
        brain.until_ready()
        missing = engines(brain)
        for kind, name in (("llm", "own.gguf"), ("stt", damage.EARS_NAME), ("tts", "own.onnx")):
            assert missing[kind]["degraded"]
            assert missing[kind]["model"] == "pocket"
            assert name in missing[kind]["reason"]
            assert "brain models pull" in missing[kind]["reason"]
            assert len(warnings(brain, f"{kind}: ")) == 1, brain.log.read_text()
        answered(brain, to_the_end=True)

        for file in (damage.mind(models), damage.voice(models), damage.ears(models) / "model.bin"):
            os.truncate(file, file.stat().st_size * 2 // 3)
        damaged = until(
            brain,
            lambda now: all(
                now[k]["reason"] != missing[k]["reason"] for k in ("llm", "stt", "tts")
            ),
        )
        for kind in ("llm", "stt", "tts"):
            assert str(models) in damaged[kind]["reason"]
        answered(brain)

        damage.mind(models), damage.voice(models), damage.ears(models)
        whole = until(brain, lambda now: not any(engine["degraded"] for engine in now.values()))
        assert [whole[kind]["model"] for kind in KINDS] == [
            "own.gguf",
            damage.EARS_NAME,
            "own",
        ]
        answered(brain)


def test_a_model_that_ends_the_process_is_loaded_once_and_left_be(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    damage.deadly(models)
    asked = ("--set", f"MODELS_DIR={models}", "--set", "LLM_MODEL_PATH=own.gguf")
    with a_pocket_brain(tmp_path, *asked, module=HASTE) as brain:
        assert brain.process.wait(60) == -signal.SIGABRT
    with a_pocket_brain(tmp_path, *asked, module=HASTE) as brain:
        brain.until_ready()
        llm = engines(brain)["llm"]
        assert llm["degraded"]
        assert "own.gguf ended the whole brain the last time" in llm["reason"]
        assert "brain models verify" in llm["reason"]
        assert len(warnings(brain, "llm: ")) == 1
        answered(brain)

        os.truncate(damage.mind(models), 1_000 * GB)  # it has holes
        llm = until(brain, lambda now: " GB are free" in now["llm"]["reason"])["llm"]
        assert "needs 1000.0 GB of memory, and" in llm["reason"]
        answered(brain)

        damage.mind(models)
        until(brain, lambda now: now["llm"]["model"] == "own.gguf")
        answered(brain)
