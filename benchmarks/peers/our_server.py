"""Our server with engines of fixed cost, named as such, in place of real ones; the rest is as it is
served: settings, lanes, ladders, dialogue, `/ws`, and the real voice detector.

    python -m benchmarks.peers.our_server --port 8100 --costs fixed --log engines.jsonl
"""

# ruff: noqa: ARG002 - the ports have more arguments than these engines use
from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import costs as fixed
from benchmarks.peers.costs import Costs
from brain.app import serve
from brain.audio.pcm import Audio
from brain.engines import loader
from brain.engines.ladder import GivenUp, Rung
from brain.engines.lane import Lane
from brain.engines.lane_ports import LaneLanguageModel, LaneSynthesizer, LaneTranscriber
from brain.engines.ports import (
    Emotion,
    EngineInfo,
    LanguageModel,
    Message,
    Synthesizer,
    Text,
    Ticket,
    ToolCall,
    ToolSpec,
    Transcriber,
    Transcript,
)
from brain.settings import load
from brain.settings.layers import Assignment
from tests.scripted_engines import Patience

_INFO = EngineInfo("fixed-cost", "fixed-cost")


class Log:
    """When which engine works: a line of JSON each time one begins or ends, at `time.monotonic`."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file

    @contextmanager
    def working(self, engine: str) -> Iterator[None]:
        self._write(engine, "begins")
        try:
            yield
        finally:
            self._write(engine, "ends")

    def _write(self, engine: str, what: str) -> None:
        if self._file is not None:
            line = {"at": time.monotonic(), "engine": engine, "what": what}
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


class FixedEars:
    """A `Transcriber` that takes `costs.stt` and goes by the length of what it hears."""

    info = _INFO

    def __init__(self, costs: Costs, log: Log) -> None:
        self._costs, self._log = costs, log

    async def transcribe(
        self, samples: NDArray[np.float32], *, language: str | None, ticket: Ticket
    ) -> Transcript:
        with self._log.working("stt"):
            await Patience(ticket.cancel).sleep(self._costs.stt)
        return Transcript(fixed.heard(len(samples) / fixed.RATE), language or "en", 0.01, -0.1)

    async def close(self) -> None:
        """Nothing is held."""


class FixedMind:
    """A `LanguageModel` that makes a token a word, the first after `costs.first_token`."""

    info = _INFO

    def __init__(self, costs: Costs, log: Log, reply: str | None) -> None:
        self._costs, self._log, self._reply = costs, log, reply

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: Mapping[str, Any] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        ticket: Ticket,
    ) -> AsyncGenerator[Text | ToolCall, None]:
        patience = Patience(ticket.cancel)
        with self._log.working("llm"):
            # By the clock: many short sleeps would add up to more, and it would look like ours.
            clock = asyncio.get_running_loop().time
            due = clock() + self._costs.first_token
            for token in fixed.tokens(self._reply or fixed.answer(messages[-1].content)):
                await patience.sleep(due - clock())
                due += self._costs.token
                yield Text(token)

    async def prefill(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), ticket: Ticket
    ) -> None:
        """Nothing is kept: a first token costs the same each time."""

    async def close(self) -> None:
        """Nothing is held."""


class FixedMouth:
    """A `Synthesizer` whose first 100 ms of sound come after `costs.first_sound`."""

    info = _INFO
    voices = ("plain",)

    def __init__(self, costs: Costs, log: Log) -> None:
        self._costs, self._log = costs, log

    async def stream(
        self, text: str, *, voice: str | None = None, emotion: Emotion | None = None, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        patience = Patience(ticket.cancel)
        with self._log.working("tts"):
            wait = self._costs.first_sound
            for block in fixed.blocks(text):
                await patience.sleep(wait)
                wait = self._costs.block
                yield Audio(block, fixed.RATE)

    async def close(self) -> None:
        """Nothing is held."""


def put_in_place(costs: Costs, log: Log, *, reply: str | None, own_mind: bool) -> None:
    """From now on, what asks for engines gets these. `own_mind`: the language model is that of the
    settings. `reply`: what the mind always says."""

    async def nothing(_: object) -> None:
        """An engine that only waits is never ill."""

    async def ears(given_up: GivenUp) -> Transcriber:
        return LaneTranscriber(Lane(FixedEars(costs, log), given_up=given_up))

    async def mind(given_up: GivenUp) -> LanguageModel:
        return LaneLanguageModel(Lane(FixedMind(costs, log, reply), given_up=given_up))

    async def mouth(given_up: GivenUp) -> Synthesizer:
        return LaneSynthesizer(Lane(FixedMouth(costs, log), given_up=given_up))

    def only(rung: Rung[Any]) -> Callable[[object], list[Rung[Any]]]:
        return lambda _settings: [rung]

    def place(name: str, build: Callable[[GivenUp], Any]) -> None:
        setattr(loader, name, only(Rung("fixed-cost", build, nothing, embedded=True)))

    place("transcriber_rungs", ears)
    place("synthesizer_rungs", mouth)
    if not own_mind:
        place("language_model_rungs", mind)


def main() -> int:
    """Serve until told to stop."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--port", required=True)
    p.add_argument("--costs", choices=fixed.BY_NAME, default="fixed")
    p.add_argument("--reply", help="what the language model always says")
    p.add_argument("--own-mind", action="store_true", help="the language model of the settings")
    p.add_argument("--log", type=Path, help="where the engines write when they work")
    args = p.parse_args()
    log = Log(args.log.open("a") if args.log else None)
    put_in_place(fixed.BY_NAME[args.costs], log, reply=args.reply, own_mind=args.own_mind)
    flags = {"BRAIN_PROFILE": "pocket", "SERVER_HOST": "127.0.0.1", "SERVER_PORT": args.port}
    return serve(load([Assignment(name, value, "--set") for name, value in flags.items()]))


if __name__ == "__main__":
    sys.exit(main())
