"""An engine whose model isn't there, or isn't whole, is built soon after that has come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from brain.engines import ladder as ladder_module
from brain.engines.ladder import GivenUp, Ladder, Rung
from brain.engines.looking import fingerprint
from brain.engines.ports import EngineUnavailable, LanguageModel
from tests.scripted_engines import ScriptedMind

WHOLE = b"a whole model"
LOOK_S = 0.05


class FromFile:
    """A mind that is made of a file, if that is whole; what is below it isn't."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.builds = 0

    async def build(self, _: GivenUp) -> LanguageModel:
        self.builds += 1
        if not self.file.exists():
            raise EngineUnavailable(f"There is no {self.file.name}.")
        if self.file.read_bytes() != WHOLE:
            raise EngineUnavailable(f"{self.file.name} is damaged.")
        mind: LanguageModel = ScriptedMind(["big"])
        return mind

    async def up(self) -> Ladder[LanguageModel]:
        async def pocket(_: GivenUp) -> LanguageModel:
            mind: LanguageModel = ScriptedMind(["small"])
            return mind

        async def check(_: LanguageModel) -> None: ...

        made = Ladder(
            "llm",
            [
                Rung("big", self.build, check, files=lambda: (self.file,)),
                Rung("pocket", pocket, check, embedded=True),
            ],
            retries_s=(3_600.0,),
        )
        await made.start()
        await made.climb()
        made.watch()
        return made


async def until(true: Callable[[], bool]) -> None:
    async def poll() -> None:
        while not true():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.01)

    await asyncio.wait_for(poll(), 10)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder_module, "FILES_S", LOOK_S)


def test_a_model_that_comes_later_is_taken_though_no_retry_is_due(tmp_path: Path) -> None:
    async def main() -> None:
        source = FromFile(tmp_path / "model.gguf")
        ladder = await source.up()
        assert ladder.state.reason == "There is no model.gguf."
        source.file.write_bytes(WHOLE[:3])
        await until(lambda: ladder.state.reason == "model.gguf is damaged.")
        source.file.write_bytes(WHOLE)
        await until(lambda: ladder.state.reason == "")
        assert source.builds == 3
        await ladder.close()

    asyncio.run(main())


def test_one_that_is_still_being_copied_is_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        source = FromFile(tmp_path / "model.gguf")
        ladder = await source.up()
        with source.file.open("wb") as file:
            for _ in range(50):
                file.write(b"a part of it")
                file.flush()
                await asyncio.sleep(LOOK_S / 5)
            assert source.builds == 1
        source.file.write_bytes(WHOLE)
        await until(lambda: ladder.state.reason == "")
        await ladder.close()

    asyncio.run(main())


def test_one_that_stays_damaged_is_not_built_again_and_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        source = FromFile(tmp_path / "model.gguf")
        source.file.write_bytes(b"garbage")
        with caplog.at_level(logging.WARNING):
            ladder = await source.up()
            await asyncio.sleep(6 * LOOK_S)
            assert source.builds == 1
            for _ in range(3):
                await ladder.climb()
        assert [record.message for record in caplog.records] == ["llm: model.gguf is damaged."]
        await ladder.close()

    asyncio.run(main())


def test_whatever_a_file_is_it_has_a_fingerprint(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    there = tmp_path / "there"
    there.write_bytes(WHOLE)
    odd = [loop, tmp_path, tmp_path / "missing", tmp_path / ("x" * 300), Path("a\0b"), there]
    seen = fingerprint(odd)
    assert fingerprint(odd) == seen
    there.write_bytes(WHOLE + b"more")
    assert fingerprint(odd) != seen
