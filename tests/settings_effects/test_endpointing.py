"""What the settings of end-pointing do: to a turn, on scripted engines; and to what is loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from brain.dialogue import outputs
from brain.dialogue.config import HouseRules
from brain.engines.ladder import EngineState
from brain.engines.loader import EngineSet
from brain.engines.ports import EngineError, Ticket
from brain.engines.recipes import end_of_turn_rungs
from brain.house import ConfigError, house_rules, with_usable_files
from brain.ops.health import ready
from brain.settings import Settings
from tests.dialogue.house import a_session, silence, speech
from tests.engines.endpointing.tiny_smart_turn import write_network
from tests.scripted_engines import ScriptedTranscriber
from tests.virtual_time import run_virtual


def ended_after(text: str, **values: Any) -> float:
    """ms of silence with which a turn of these words ended."""
    rules: HouseRules = house_rules(Settings(**values))

    async def main() -> float:
        async with a_session(house=rules, ears=ScriptedTranscriber([text], 0.02)) as robot:
            await robot.speak(np.concatenate((speech(800), silence(3_000))), chunk_ms=32)
            done = await robot.until(outputs.ReplyDone)
            assert done.timings.endpoint is not None
            return done.timings.endpoint

    return run_virtual(main())


@pytest.mark.setting("ENDPOINTING")
@pytest.mark.parametrize(
    ("endpointing", "whole_ms", "open_ms"), [("fixed", 512, 512), ("adaptive", 320, 1_216)]
)
def test_words_count_where_it_adapts(endpointing: str, whole_ms: int, open_ms: int) -> None:
    assert ended_after("Tell me a joke.", endpointing=endpointing) == pytest.approx(whole_ms, abs=1)
    assert ended_after("Tell me a", endpointing=endpointing) == pytest.approx(open_ms, abs=1)
    assert ended_after("I had a bad day.", endpointing=endpointing) == pytest.approx(512, abs=1)


@pytest.mark.setting("ENDPOINTING_MIN_MS", "ENDPOINTING_MAX_MS")
@pytest.mark.parametrize(("shortest", "longest"), [(200, 800), (400, 2_000)])
def test_the_bounds(shortest: int, longest: int) -> None:
    bounds = {"endpointing_min_ms": shortest, "endpointing_max_ms": longest}
    for text, ms in (("Tell me a joke.", shortest), ("Tell me a", longest)):
        ended = ended_after(text, endpointing="adaptive", **bounds)
        assert ms <= ended <= ms + 32  # to the next frame


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"tentative_silence_ms": 0}, "TENTATIVE_SILENCE_MS=0 hears nothing before"),
        ({"tentative_silence_ms": 500}, "VAD_SILENCE_MS=500"),
        ({"endpointing_min_ms": 900, "endpointing_max_ms": 800}, "exchange them"),
    ],
)
def test_what_does_not_go_together_is_refused_and_under_systemd_done_without(
    values: dict[str, int], told: str
) -> None:
    settings = Settings(endpointing="adaptive", **values)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=f"ENDPOINTING=adaptive.*{told}"):
        with_usable_files(settings, lenient=False)
    usable = with_usable_files(settings, lenient=True)
    assert house_rules(usable).endpointing is None
    [problem] = ready(usable, [], version="1").body["problems"]
    assert told in problem
    assert problem.endswith("fixed holds instead")
    fixed = Settings(**values)  # type: ignore[arg-type]
    assert with_usable_files(fixed, lenient=False) == fixed


def loaded(
    settings: Settings, use: Callable[[EngineSet], Awaitable[Any]] | None = None
) -> tuple[EngineState | None, Any]:
    """How the model of the settings stands, and what `use` makes of the engines."""

    async def main() -> tuple[EngineState | None, Any]:
        engines = EngineSet(settings)
        try:
            await engines.start()
            await engines.wait_settled(60)
            states = {state.kind: state for state in engines.states()}
            report = ready(settings, engines.states(), version="1")
            assert (report.status, report.body["missing"]) == (200, [])
            return states.get("eot"), await use(engines) if use is not None else None
        finally:
            await engines.close()

    return asyncio.run(main())


async def over(engines: EngineSet) -> float | None:
    """What the model makes of half a second of silence."""
    assert engines.end_of_turn is not None
    try:
        silent = np.zeros(8_000, np.float32)
        return await engines.end_of_turn.probability(silent, ticket=Ticket("a"))
    except EngineError:
        return None


@pytest.mark.setting("ENDPOINTING_MODEL", "MODELS_DIR")
def test_the_model_is_a_file_or_a_name_of_the_catalogue(tmp_path: Path) -> None:
    base: dict[str, Any] = {"tts_backend": "off", "endpointing": "adaptive", "cpu_threads": 1,
                            "stt_model_size": "pocket", "llm_backend": "llamacpp",
                            "models_dir": str(tmp_path)}  # fmt: skip
    write_network(tmp_path / "smart-turn" / "smart-turn-v3.2-cpu.onnx")
    named, probability = loaded(Settings(endpointing_model="smart-turn", **base), over)
    assert named is not None
    assert (named.active, named.model, named.device, named.reason) == (
        "smart-turn", "smart-turn-v3.2-cpu", "cpu", "",
    )  # fmt: skip
    assert probability > 0.5
    gone, probability = loaded(Settings(endpointing_model="gone.onnx", **base), over)
    assert gone is not None
    assert gone.active == ""
    assert str(tmp_path / "gone.onnx") in gone.reason
    assert probability is None


def test_no_model_is_loaded_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert end_of_turn_rungs(Settings(endpointing="adaptive")) == []
    assert end_of_turn_rungs(Settings(endpointing_model="smart-turn")) == []
    own = Settings(endpointing="adaptive", endpointing_model="own.onnx", models_dir=str(tmp_path))
    [rung] = end_of_turn_rungs(own)
    assert rung.files is not None
    assert rung.files() == (tmp_path / "own.onnx",)  # when it comes, it is loaded
