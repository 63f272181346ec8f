"""Every way in which a model's file can be broken, with the real engines: each is a reason for a
person, and none costs more than this one engine."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from brain.engines import room
from brain.engines.ladder import Rung
from brain.engines.ports import EngineError
from brain.engines.recipes import (
    POCKET,
    end_of_turn_rungs,
    language_model_rungs,
    synthesizer_rungs,
    transcriber_rungs,
)
from brain.engines.room import available_bytes
from brain.settings import Settings
from tests.engines.endpointing.tiny_smart_turn import write_network

GB = 1_000_000_000


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _garbage(file: Path) -> None:
    file.write_bytes(bytes(range(256)) * 64)


def _truncated(file: Path) -> None:
    os.truncate(file, file.stat().st_size * 2 // 3)


def _headless(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[4:24] = b"\xff" * 20
    file.write_bytes(data)


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


WAYS = [_empty, _garbage, _truncated, _headless, _folder, _loop, _pipe]


def reason_of(rungs: Sequence[Rung[Any]]) -> str:
    async def main() -> str:
        with pytest.raises(EngineError) as caught:
            await asyncio.wait_for(rungs[0].build(lambda _: None), 30)
        return str(caught.value)

    return asyncio.run(main())


def checked(reason: str, path: Path) -> None:
    assert str(path) in reason
    assert "\n" not in reason
    assert len(reason) < 700


def own_mind(folder: Path) -> Path:
    return Path(shutil.copy(POCKET / "mind.gguf", folder / "own.gguf"))


def mind_of(file: Path, **changes: Any) -> Sequence[Rung[Any]]:
    settings = Settings(llm_backend="llamacpp", llm_model_path=str(file), cpu_threads=1, **changes)
    return language_model_rungs(settings)


@pytest.mark.parametrize("breaks", WAYS)
def test_a_broken_gguf(tmp_path: Path, breaks: Callable[[Path], None]) -> None:
    file = own_mind(tmp_path)
    breaks(file)
    checked(reason_of(mind_of(file)), file)


@pytest.mark.parametrize("breaks", WAYS)
def test_a_broken_whisper_model(tmp_path: Path, breaks: Callable[[Path], None]) -> None:
    folder = shutil.copytree(POCKET / "ears", tmp_path / "own")
    breaks(folder / "model.bin")
    checked(reason_of(transcriber_rungs(Settings(stt_model_size=str(folder)))), folder)


@pytest.mark.parametrize("which", [".onnx", ".onnx.json"])
@pytest.mark.parametrize("breaks", WAYS)
def test_a_broken_voice(tmp_path: Path, breaks: Callable[[Path], None], which: str) -> None:
    voice = shutil.copy(POCKET / "voice.onnx", tmp_path / "own.onnx")
    shutil.copy(POCKET / "voice.onnx.json", tmp_path / "own.onnx.json")
    breaks(tmp_path / f"own{which}")
    checked(reason_of(synthesizer_rungs(Settings(piper_voice=str(voice)))), voice)


@pytest.mark.parametrize("breaks", WAYS)
def test_a_broken_end_of_turn_model(tmp_path: Path, breaks: Callable[[Path], None]) -> None:
    file = write_network(tmp_path / "turn.onnx")
    breaks(file)
    settings = Settings(endpointing="adaptive", endpointing_model=str(file))
    checked(reason_of(end_of_turn_rungs(settings)), file)


def test_a_cut_gguf_says_what_llama_cpp_found(tmp_path: Path) -> None:
    file = own_mind(tmp_path)
    _truncated(file)
    assert "not within the file bounds" in reason_of(mind_of(file))


def test_a_gguf_whose_weights_are_no_numbers(tmp_path: Path) -> None:
    file = own_mind(tmp_path)
    weights = bytearray(file.read_bytes())
    weights[-100_000:] = b"\xff" * 100_000
    file.write_bytes(weights)
    assert "what isn't a number" in reason_of(mind_of(file))


def test_a_model_that_is_too_large_says_both_numbers(tmp_path: Path) -> None:
    file = own_mind(tmp_path)
    os.truncate(file, 1_000 * GB)  # sparse
    reason = reason_of(mind_of(file))
    checked(reason, file)
    there = available_bytes()
    assert there is not None
    assert f"needs 1000.0 GB of memory, and {there / GB:.0f}"[:-1] in reason
    assert "LLM_MODEL_PATH" in reason


def test_a_context_that_is_too_large_says_both_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "available_bytes", lambda: GB)
    reason = reason_of(mind_of(own_mind(tmp_path), llm_context=1_048_576))
    assert reason == (
        "A context of 1048576 tokens needs 3.2 GB of memory, and 1.0 GB are free: "
        "lower LLM_CONTEXT."
    )


def test_ears_that_are_too_large_say_both_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "available_bytes", lambda: 1_000_000)
    folder = shutil.copytree(POCKET / "ears", tmp_path / "own")
    reason = reason_of(transcriber_rungs(Settings(stt_model_size=str(folder))))
    checked(reason, folder)
    assert "0.0 GB are free" in reason


def test_where_nobody_knows_what_is_free_it_is_tried(tmp_path: Path) -> None:
    assert available_bytes(tmp_path / "missing") is None
    (tmp_path / "odd").write_text("MemAvailable: many\n")
    assert available_bytes(tmp_path / "odd") is None
