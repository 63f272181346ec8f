"""What every `EndOfTurn` does, on a network of Smart Turn's form."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from brain.engines.endpointing.smart_turn import SmartTurn
from brain.engines.ports import EndOfTurn, Ticket
from tests.engines.conformance.bench import Adapter, Bench
from tests.engines.conformance.every_engine import EveryEngine, Items
from tests.engines.endpointing.tiny_smart_turn import write_network

RATE = 16_000


@asynccontextmanager
async def smart_turn() -> AsyncIterator[Callable[[], Awaitable[EndOfTurn]]]:
    with tempfile.TemporaryDirectory() as folder:
        file = write_network(Path(folder) / "tiny.onnx", factor=-1.0)

        async def load() -> EndOfTurn:
            return await SmartTurn.load(file)

        yield load


ADAPTERS: tuple[Adapter[EndOfTurn], ...] = (Adapter("smart-turn", "cpu", smart_turn),)


@pytest.fixture(scope="module", params=ADAPTERS, ids=str)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench[EndOfTurn]]:
    made: Bench[EndOfTurn] = Bench(request.param)
    yield made
    made.close()


class TestEndsOfTurns(EveryEngine[EndOfTurn]):
    questions = (0.0, 0.001, 0.01, 0.1)
    """How loud the end of the turn is."""

    async def asked(
        self, engine: EndOfTurn, question: float, ticket: Ticket
    ) -> AsyncGenerator[float, None]:
        sound = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32) * 0.1
        sound[-RATE // 2 :] *= question * 10
        yield await engine.probability(sound, ticket=ticket)

    async def laboured(self, engine: EndOfTurn, ticket: Ticket) -> AsyncGenerator[float, None]:
        """One call is short: many, one after the other."""
        for _ in range(100):
            async for probability in self.asked(engine, 0.1, ticket):
                yield probability

    def same(self, one: Items, other: Items) -> bool:
        return len(one) > 0 and np.allclose(one, other, atol=1e-6)

    def test_it_is_given_what_is_no_sound(self, bench: Bench[EndOfTurn]) -> None:
        for samples in (0, 1, 399, 9 * RATE):
            for value in (0.0, np.nan, -np.inf):
                sound = np.full(samples, value, np.float32)
                found = bench.run(bench.engine.probability(sound, ticket=Ticket("a")))
                assert 0.0 <= found <= 1.0
