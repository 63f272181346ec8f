"""The settings of Kokoro, with tones in its network's place."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from brain.engines import onnx_network as network
from brain.engines.ladder import EngineState, Ladder
from brain.engines.ladder_ports import LadderSynthesizer
from brain.engines.ports import Priority, Ticket
from brain.engines.recipes import synthesizer_rungs
from brain.settings import Settings
from tests.engines.tts.tiny_kokoro import write_kokoro


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with Kokoro's files by their default names."""
    models = tmp_path_factory.mktemp("models")
    write_kokoro(models / "kokoro")
    return models


def chosen(folder: Path, **changes: Any) -> Settings:
    values = {"models_dir": str(folder), "cpu_threads": 1, **changes}
    return Settings(tts_backend="kokoro", **values)


def run(settings: Settings, main: Callable[[LadderSynthesizer], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        ladder = Ladder("tts", synthesizer_rungs(settings))
        try:
            await ladder.start()
            await ladder.climb()
            return await main(LadderSynthesizer(ladder))
        finally:
            await ladder.close()

    return asyncio.run(whole())


async def state(mouth: LadderSynthesizer) -> EngineState:
    return mouth.ladder.state


@pytest.mark.setting("TTS_BACKEND", "KOKORO_MODEL_PATH", "KOKORO_VOICES_PATH", "MODELS_DIR")
def test_kokoro_speaks_if_its_two_files_are_there(folder: Path, tmp_path: Path) -> None:
    there = run(chosen(folder), state)
    assert (there.active, there.model, there.reason) == ("kokoro", "kokoro-v1.0", "")
    other, voices = tmp_path / "another.onnx", tmp_path / "own.npz"
    other.symlink_to(folder / Settings().kokoro_model_path)
    voices.symlink_to(folder / Settings().kokoro_voices_path)
    own = chosen(folder, kokoro_model_path=str(other), kokoro_voices_path=str(voices))
    assert run(own, state).model == "another"
    for name in ("kokoro_model_path", "kokoro_voices_path"):
        gone = run(chosen(folder, **{name: str(tmp_path / "absent")}), state)
        assert (gone.wanted, gone.active) == ("kokoro", "piper")
        assert name.upper() in gone.reason
        gone = run(chosen(folder, **{name: str(tmp_path / "absent")}, piper_voice=""), state)
        assert (gone.wanted, gone.active) == ("kokoro", "espeak")


def test_it_climbs_back_when_its_files_come(tmp_path: Path) -> None:
    write_kokoro(tmp_path / "elsewhere")
    [rung, *_] = synthesizer_rungs(chosen(tmp_path))
    assert rung.files is not None
    assert rung.files() == (
        tmp_path / "kokoro" / "kokoro-v1.0.onnx", tmp_path / "kokoro" / "voices-v1.0.bin",
    )  # fmt: skip
    assert [one.name for one in synthesizer_rungs(chosen(tmp_path, piper_voice="own.onnx"))] == [
        "kokoro", "piper", "piper", "espeak",
    ]  # fmt: skip


def test_without_its_package_piper_speaks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("kokoro_onnx")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "brain.engines.tts.kokoro", raising=False)
    monkeypatch.setitem(sys.modules, "kokoro_onnx", None)
    gone = run(chosen(folder), state)
    assert (gone.wanted, gone.active) == ("kokoro", "piper")
    assert "kokoro-onnx" in gone.reason
    assert "extra tts" in gone.reason


@pytest.mark.setting("KOKORO_VOICE")
def test_the_voice(folder: Path) -> None:
    async def main(mouth: LadderSynthesizer) -> tuple[str, ...]:
        return mouth.voices

    assert run(chosen(folder), main)[0] == "af_heart"
    voices = run(chosen(folder, kokoro_voice="bf_high"), main)
    assert voices == ("bf_high", "af_heart", "am_low", "ef_tenor")


@pytest.mark.setting("KOKORO_DEVICE")
@pytest.mark.parametrize(("device", "on_gpu"), [("cpu", False), ("cuda", True)])
def test_the_gpu_is_asked_for_where_onnxruntime_has_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, device: str, on_gpu: bool
) -> None:
    """There is none here: what onnxruntime is asked for is seen, and where it really computes."""
    asked: list[list[Any]] = []
    session = network.onnxruntime.InferenceSession

    def spy(path: str, *, sess_options: Any, providers: list[Any]) -> Any:
        asked.append(providers)
        return session(path, sess_options=sess_options, providers=[network.CPU])

    monkeypatch.setattr("brain.engines.tts.kokoro.cuda_there", lambda: True)
    monkeypatch.setattr(network.onnxruntime, "InferenceSession", spy)
    found = run(chosen(folder, kokoro_device=device, piper_voice=""), state)
    assert (found.active, found.device) == ("kokoro", "cpu")
    [providers] = asked
    assert (providers[0] != network.CPU) is on_gpu
    assert providers[-1] == network.CPU


@pytest.mark.setting("CPU_THREADS")
@pytest.mark.parametrize(("threads", "of_the_voice"), [(1, 1), (4, 2), (5, 3)])
def test_it_has_half_of_the_threads(folder: Path, threads: int, of_the_voice: int) -> None:
    async def main(mouth: LadderSynthesizer) -> int:
        engine: Any = mouth.ladder.engine
        options = engine.lane.engine._network._session.get_session_options()
        return int(options.intra_op_num_threads)

    assert run(chosen(folder, cpu_threads=threads), main) == of_the_voice


@pytest.mark.setting("TTS_BUSY_QUEUE_THRESHOLD")
def test_what_need_not_wait_goes_to_the_next_voice(folder: Path) -> None:
    async def main(mouth: LadderSynthesizer) -> list[int]:
        async def rate() -> int:
            ticket = Ticket("a", Priority.PLAN, waits=False)
            return {b.sample_rate async for b in mouth.stream("Yes.", ticket=ticket)}.pop()

        return list(await asyncio.gather(*(rate() for _ in range(4))))

    threshold = chosen(folder, piper_voice="", tts_busy_queue_threshold=1)
    assert run(threshold, main)[:2] == [24_000] * 2
    assert set(run(threshold, main)[2:]) == {22_050}
