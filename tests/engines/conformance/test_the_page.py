"""docs/engines.md shows what works: its example is the tested one, and its entry serves."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from brain.engines.ladder import Ladder
from brain.engines.ladder_ports import LadderSynthesizer
from brain.engines.ports import Synthesizer, Ticket
from brain.engines.recipes import mouths
from brain.settings import Settings
from tests.engines.conformance import (
    example_engine,
    test_detectors,
    test_ears,
    test_ends_of_turns,
    test_minds,
    test_mouths,
)

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
CLASS, ENTRY, LINE = re.findall(r"```python\n(.*?)```", PAGE, re.S)


def test_its_class_is_the_tested_one() -> None:
    assert Path(example_engine.__file__).read_text(encoding="utf-8") == CLASS


def test_its_entry_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it stood where the page says."""
    monkeypatch.setitem(sys.modules, "brain.engines.tts.chirper", example_engine)
    names = dict(vars(mouths))
    exec(compile(ENTRY, "docs/engines.md", "exec", dont_inherit=True), names)  # the page's own

    async def main() -> None:
        ladder: Ladder[Synthesizer] = Ladder("tts", [names["_chirper"](Settings())])
        await ladder.start()
        await ladder.climb()
        assert (ladder.state.active, ladder.state.reason) == ("chirper", "")
        mouth = LadderSynthesizer(ladder)
        blocks = [block async for block in mouth.stream("Hello.", ticket=Ticket("a"))]
        assert len(blocks) == len("Hello.")
        await ladder.close()

    asyncio.run(main())


def test_its_line_is_that_of_the_tests() -> None:
    code = Path(test_mouths.__file__).read_text(encoding="utf-8")
    function, line = LINE.split("\n\n\n")
    assert function in code
    assert line.strip().removeprefix("ADAPTERS = [").removesuffix("]") in code


@pytest.mark.parametrize(
    "module", [test_detectors, test_ears, test_ends_of_turns, test_minds, test_mouths]
)
def test_it_names_who_passes(module: object) -> None:
    name = str(vars(module)["__name__"]).rsplit(".", 1)[-1]
    [row] = [line for line in PAGE.splitlines() if f"`{name}.py`" in line and line.startswith("|")]
    for adapter in vars(module)["ADAPTERS"]:
        told = {"llamacpp": "llama.cpp", "chirper": "the example"}.get(adapter.name, adapter.name)
        assert told in row.lower()
