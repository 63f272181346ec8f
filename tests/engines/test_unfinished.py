"""A load that ended the process is left be by the next one, but not for ever."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from brain.engines.ladder import GivenUp, Rung
from brain.engines.ports import EngineUnavailable, LanguageModel
from brain.engines.unfinished import WAITS_S, Load, Loads, guarded
from tests.scripted_engines import ScriptedMind

KEY, MODEL = "llm-llamacpp", "/models/big.gguf"


@dataclass
class Machine:
    """Whose brains come and go. A boot of it has a name."""

    state: Path
    boot: str = "first"
    now: float = 0.0

    def brain(self) -> Loads:
        return Loads(self.state / "loading", clock=lambda: self.now, boot=self.boot)

    def loads(self, brain: Loads, what: str = "it", *, embedded: bool = False) -> None:
        """Well, to the end."""
        load = brain.begin(KEY, what, MODEL, embedded=embedded)
        assert load is not None
        load.end()

    def dies_loading(self, brain: Loads | None = None, *, embedded: bool = False) -> None:
        """In a process of its own, really."""
        child = os.fork()
        if child == 0:
            try:
                (brain or self.brain()).begin(KEY, "it", MODEL, embedded=embedded)
            finally:
                os._exit(9)
        assert os.waitpid(child, 0)[1] == 9 << 8


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def refused(machine: Machine, brain: Loads, *, embedded: bool = False) -> str:
    with pytest.raises(EngineUnavailable) as caught:
        machine.loads(brain, embedded=embedded)
    return str(caught.value)


def test_what_loads_well_is_loaded_each_time(machine: Machine) -> None:
    for _ in range(3):
        machine.loads(machine.brain())
    assert list((machine.state / "loading").iterdir()) == []


def test_what_ended_the_process_waits_longer_each_time(machine: Machine) -> None:
    brain = machine.brain()
    for wait, said in zip((*WAITS_S, WAITS_S[-1]), ("10 min", "1 h", "24 h", "24 h"), strict=True):
        machine.dies_loading(brain)
        brain = machine.brain()
        reason = refused(machine, brain)
        assert MODEL in reason
        assert f"in {said}" in reason
        assert refused(machine, machine.brain()) == reason  # after a restart for another reason
        machine.now += wait - 1
        assert refused(machine, brain) == reason
        machine.now += 1
    machine.loads(brain)
    machine.loads(machine.brain())


def test_another_file_or_setting_is_tried_at_once(machine: Machine) -> None:
    machine.dies_loading()
    brain = machine.brain()
    refused(machine, brain)
    machine.loads(brain, "it, mended")


def test_a_power_cut_is_not_the_models_fault_but_two_may_be(machine: Machine) -> None:
    machine.dies_loading()
    machine.boot = "second"
    machine.dies_loading()
    machine.boot = "third"
    assert "10 min" in refused(machine, machine.brain())


def test_one_power_cut(machine: Machine) -> None:
    machine.dies_loading()
    machine.boot = "second"
    machine.loads(machine.brain())


def test_the_embedded_model_is_given_up_on_later(machine: Machine) -> None:
    for _ in range(3):
        machine.dies_loading(embedded=True)
    assert "10 min" in refused(machine, machine.brain(), embedded=True)


def test_a_brain_beside_that_is_loading_is_alive(machine: Machine) -> None:
    load = machine.brain().begin(KEY, "it", MODEL)
    assert load is not None
    assert machine.brain().begin(KEY, "it", MODEL) is None
    load.end()
    machine.loads(machine.brain())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"what": "it"}'])
def test_a_note_that_cannot_be_read_tells_nothing(machine: Machine, content: bytes) -> None:
    machine.loads(machine.brain())
    (machine.state / "loading" / f"{KEY}.json").write_bytes(content)
    machine.loads(machine.brain())


def test_where_nothing_can_be_written_it_is_loaded_all_the_same(machine: Machine) -> None:
    (machine.state / "loading").write_text("no folder")
    assert machine.brain().begin(KEY, "it", MODEL) is None


@dataclass
class Workshop:
    """A rung whose build does as it is told."""

    file: Path
    does: Callable[[], Awaitable[None]]
    builds: list[str] = field(default_factory=list)

    def rung(self, machine: Machine, settings: str = "context 4096") -> Rung[LanguageModel]:
        async def build(_: GivenUp) -> LanguageModel:
            self.builds.append(self.file.read_text())
            await self.does()
            mind: LanguageModel = ScriptedMind(["big"])
            return mind

        async def check(_: LanguageModel) -> None: ...

        rung = Rung("llamacpp", build, check, files=lambda: (self.file,))
        return guarded(rung, "llm", machine.brain(), settings)


def test_a_rung_whose_load_ended_the_process(machine: Machine) -> None:
    async def die() -> None:
        os._exit(9)

    async def live() -> None: ...

    def build(rung: Rung[LanguageModel]) -> None:
        asyncio.run(_build(rung))

    async def _build(rung: Rung[LanguageModel]) -> None:
        await rung.build(lambda _: None)

    shop = Workshop(machine.state / "big.gguf", die)
    shop.file.write_text("deadly")
    child = os.fork()
    if child == 0:
        try:
            build(shop.rung(machine))
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 9 << 8

    shop.does = live
    with pytest.raises(EngineUnavailable, match=r"big\.gguf ended the whole brain"):
        build(shop.rung(machine))
    assert shop.builds == []
    build(shop.rung(machine, "context 2048"))
    shop.file.write_text("whole")
    build(shop.rung(machine))
    assert shop.builds == ["deadly", "whole"]


@pytest.mark.parametrize("how", ["fails", "is cancelled"])
def test_a_load_that_only_fails_is_none_that_ended_the_process(machine: Machine, how: str) -> None:
    async def does() -> None:
        if how == "fails":
            raise EngineUnavailable("It is damaged.")
        await asyncio.Event().wait()

    async def main() -> None:
        shop = Workshop(machine.state / "big.gguf", does)
        shop.file.write_text("damaged")
        for _ in range(3):
            building = asyncio.ensure_future(_built(shop.rung(machine)))
            while not shop.builds:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            shop.builds.clear()
            building.cancel()
            with pytest.raises((EngineUnavailable, asyncio.CancelledError)) as caught:
                await building
            assert "ended" not in str(caught.value)
        assert list((machine.state / "loading").iterdir()) == []

    async def _built(rung: Rung[LanguageModel]) -> None:
        await rung.build(lambda _: None)

    asyncio.run(main())


def test_a_stop_while_the_note_waits_for_the_disk_is_not_the_models_fault(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, disk = threading.Event(), threading.Event()
    begin = Loads.begin

    def slow(self: Loads, *about: str, embedded: bool = False) -> Load | None:
        waits.set()
        disk.wait(10)
        return begin(self, *about, embedded=embedded)

    async def live() -> None: ...

    async def main() -> None:
        shop = Workshop(machine.state / "big.gguf", live)
        shop.file.write_text("whole")
        building = asyncio.ensure_future(shop.rung(machine).build(lambda _: None))
        await asyncio.to_thread(waits.wait, 10)
        building.cancel()
        with pytest.raises(asyncio.CancelledError):
            await building
        disk.set()

    monkeypatch.setattr(Loads, "begin", slow)
    asyncio.run(main())  # which waits for the thread
    assert list((machine.state / "loading").iterdir()) == []


def test_a_note_that_cannot_be_taken_away_says_that_all_is_well(machine: Machine) -> None:
    load = machine.brain().begin(KEY, "it", MODEL)
    assert load is not None
    notes, elsewhere = machine.state / "loading", machine.state / "elsewhere"
    notes.rename(elsewhere)
    (notes / f"{KEY}.json" / "in the way").mkdir(parents=True)
    load.end()
    load.end()
    shutil.rmtree(notes)
    elsewhere.rename(notes)
    machine.loads(machine.brain())


def test_what_root_begins_is_the_services_to_go_on_with(machine: Machine) -> None:
    if os.geteuid() == 0:
        os.chown(machine.state, 1234, 4321)
    machine.loads(machine.brain())
    assert (machine.state / "loading").stat().st_uid == machine.state.stat().st_uid
