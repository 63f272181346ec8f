"""The engine core is a process, and may be killed: the brain goes on, and brings it back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from brain.engines.hangs import GivenUpOnce
from brain.engines.ladder import Ladder
from brain.engines.ladder_ports import LadderLanguageModel
from brain.engines.llm.vllm import VllmMind
from brain.engines.ports import EngineUnavailable, LanguageModel, Message, Ticket
from brain.engines.recipes import language_model_rungs
from brain.settings import Settings
from tests.engines.conformance.bench import left_behind, threads
from tests.engines.conformance.every_engine import taken
from tests.engines.llm.pocket_mind import text_of

COW = [Message("user", "What does a cow say?")]
COUNT = {"type": "array", "items": {"type": "integer"}, "minItems": 400}
PATIENCE_S = 240.0


def settings(folder: Path) -> Settings:
    return Settings(
        llm_backend="vllm",
        vllm_model_name=str(folder),
        vllm_dtype="float32",
        vllm_max_model_len=2048,
        vllm_temperature=0.0,
        cpu_threads=1,
    )


def below() -> set[psutil.Process]:
    """Processes below this one, but for the keeper of shared memory, which ends with it."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "resource_tracker" not in " ".join(process.cmdline()):
                found.add(process)
    return found


async def until(held: Callable[[], bool], what: str) -> None:
    async def wait() -> None:
        while not held():  # noqa: ASYNC110 - a process tells nobody
            await asyncio.sleep(0.05)

    try:
        await asyncio.wait_for(wait(), PATIENCE_S)
    except asyncio.TimeoutError:
        pytest.fail(f"never: {what}")


def engine_of(ladder: Ladder[LanguageModel]) -> VllmMind:
    lane = ladder.engine.lane  # type: ignore[attr-defined]
    assert isinstance(lane.engine, VllmMind)
    return lane.engine


@pytest.mark.setting("VLLM_MODEL_NAME")
def test_a_core_that_is_killed_is_brought_back(pocket: Path) -> None:
    """In the midst of a reply, and again while nobody asks anything."""

    async def main() -> None:
        ladder: Ladder[LanguageModel] = Ladder("llm", language_model_rungs(settings(pocket)))
        mind = LadderLanguageModel(ladder)
        await ladder.start()
        await ladder.climb()
        assert (ladder.state.active, ladder.state.reason) == ("vllm", "")
        ladder.watch()
        first = engine_of(ladder)
        processes = below() - others
        right = text_of(await taken(mind.stream(COW, max_tokens=24, ticket=Ticket("a"))))

        came: list[object] = []
        with pytest.raises(EngineUnavailable, match="VLLM_GPU_MEMORY_UTILIZATION"):
            await killed_amid(mind, first, came)
        assert came
        # Somebody serves at once: the rung below.
        assert ladder.state.active == "llamacpp"
        assert "has died" in ladder.state.reason
        await until(lambda: ladder.state.active == "vllm", "it is built anew")
        assert engine_of(ladder) is not first
        assert ladder.hopeless() == "", "a death is no hang"
        await until(lambda: not any(one.is_running() for one in processes), "the old ones are gone")
        again = await taken(mind.stream(COW, max_tokens=24, ticket=Ticket("a")))
        assert text_of(again) == right

        [core] = engine_of(ladder).engine.cores
        assert core is not None
        os.kill(core, signal.SIGKILL)
        await until(lambda: ladder.state.active == "llamacpp", "its death is noticed unasked")

        await ladder.close()
        await until(lambda: below() == others, "no process is left behind")
        assert left_behind(before) == []

    # (Of the engine that other tests share, if it is loaded.)
    others, before = below(), threads()
    asyncio.run(main())


async def killed_amid(mind: LanguageModel, engine: VllmMind, came: list[object]) -> None:
    [core] = engine.engine.cores
    assert core is not None
    stream = mind.stream(
        [Message("user", "Count.")], schema=COUNT, max_tokens=1500, ticket=Ticket("a")
    )
    async for item in stream:
        came.append(item)
        if len(came) == 3:
            os.kill(core, signal.SIGKILL)


def test_a_load_that_is_broken_off_leaves_nothing_behind(pocket: Path) -> None:
    async def main() -> None:
        others = below()
        rung = language_model_rungs(settings(pocket))[0]
        building = asyncio.ensure_future(rung.build(GivenUpOnce()))
        await until(lambda: below() != others, "its processes are started")
        building.cancel()
        with pytest.raises(asyncio.CancelledError):
            await building
        await until(lambda: below() == others, "no process is left behind")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vllm_model_name": "/no/such/model"}, "OWNER/NAME"),
        ({"vllm_max_model_len": 100_000}, "VLLM_MAX_NUM_SEQS"),
    ],
)
def test_what_cannot_be_loaded_is_told(pocket: Path, changes: dict[str, object], said: str) -> None:
    async def main() -> None:
        others = below()
        wrong = settings(pocket).model_copy(update=changes)
        with pytest.raises(EngineUnavailable, match=said) as told:
            await language_model_rungs(wrong)[0].build(GivenUpOnce())
        assert "\n" not in str(told.value)
        assert below() == others

    asyncio.run(main())


LOADS = """
import asyncio, sys
from brain.engines.llm.vllm import VllmMind
from brain.engines.llm.vllm_options import VllmOptions, VllmShape

async def main():
    shape = VllmShape(sys.argv[1], dtype="float32", context=512)
    await VllmMind.load(VllmOptions(shape))
    print("loaded", flush=True)
    await asyncio.Event().wait()

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_brain_that_is_killed_takes_its_engine_with_it(pocket: Path, tmp_path: Path) -> None:
    """Or the next brain would find its GPU full."""
    script = tmp_path / "loads.py"
    script.write_text(LOADS)
    brain = subprocess.Popen([sys.executable, script, pocket], stdout=subprocess.PIPE, text=True)
    try:
        assert brain.stdout is not None
        assert brain.stdout.readline() == "loaded\n"
        children = psutil.Process(brain.pid).children(recursive=True)
        assert len(children) > 1
    finally:
        brain.kill()
        brain.wait()  # (Its output stays open, as long as one of them has it.)
    _, alive = psutil.wait_procs(children, 20.0)
    assert alive == []
