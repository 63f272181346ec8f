"""`python -m benchmarks.batching`: four robots served together by one context of the pocket mind.

The same questions, robot after robot and of all robots at once, in turns: tokens a second, and
whether each robot is told the same, at temperature 0 and with seeds. The same with long replies,
token for token. Then three robots that are being answered, and a fourth that joins with 1 200
tokens: how long the others wait for their next token. The figures go to `results/`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.minds import INFLIGHT, a_mind, percentile, settings, spread, write
from brain.dialogue.config import HouseRules
from brain.engines.lane_ports import LaneLanguageModel
from brain.engines.llm.llamacpp import LlamaCppMind
from brain.engines.llm.request import Prepared, Request
from brain.engines.ports import CancelToken, LanguageModel, Message, Text, Ticket
from brain.house import house_rules

GOAL = 1.3
QUESTIONS = (
    "What does a cow say?", "Tell me a joke.", "What can you do?", "Who are you?",
    "Count to ten.", "Tell me something about space.", "How are you?", "Sing me a song.",
    "What is two plus two?", "Tell me a story.", "What do you like?", "Good night.",
)  # fmt: skip
SEED = 7
_MOST = 64
_JOINER_TOKENS = 1200
_TOKENS = 200
_JOINS_AT = 80


async def asked(mind: LanguageModel, robot: int, house: HouseRules) -> list[str]:
    """What a robot is told in a conversation of so many questions."""
    said: list[str] = []
    talk = [
        Message("system", house.defaults.instructions),
        Message("user", f"I am robot {robot}."),
        Message("assistant", "Hello."),
    ]
    for number in range(len(QUESTIONS)):
        talk.append(Message("user", QUESTIONS[(number + 3 * robot) % len(QUESTIONS)]))
        stream = mind.stream(
            talk, tools=house.defaults.tools, max_tokens=_MOST, ticket=Ticket(f"r{robot}")
        )
        pieces = [piece async for piece in stream]
        said.append("".join(p.text if isinstance(p, Text) else p.arguments for p in pieces))
        talk.append(Message("assistant", said[-1]))
    return said


@dataclass(frozen=True)
class Round:
    """One after another, or together: `seconds` by the clock, `cpu_s` of the processor."""

    seconds: float
    cpu_s: float
    tokens: int
    batches: int
    said: list[list[str]]


@dataclass
class Throughput:
    """Rounds of each kind, and how many answers were the same in both."""

    serial: list[Round] = field(default_factory=list)
    together: list[Round] = field(default_factory=list)
    same: int = 0
    of: int = 0

    def as_json(self) -> dict[str, Any]:
        pairs = list(zip(self.serial, self.together, strict=True))
        ratios = [one.seconds / both.seconds for one, both in pairs]
        of_processor = [one.cpu_s / both.cpu_s for one, both in pairs]
        return {
            "repeats": len(pairs),
            "tokens": self.serial[0].tokens,
            "batches_serial": self.serial[0].batches,
            "batches_together": self.together[0].batches,
            "serial_tokens_a_second": spread([one.tokens / one.seconds for one in self.serial]),
            "together_tokens_a_second": spread([one.tokens / one.seconds for one in self.together]),
            "together_over_serial": round(statistics.median(ratios), 2),
            "together_over_serial_of_processor": round(statistics.median(of_processor), 2),
            "answers_the_same": self.same,
            "answers": self.of,
        }


async def throughput(repeats: int, *, seed: int | None, temperature: float) -> Throughput:
    """Serial and together, alternating; the first round, in which nothing is cached, isn't kept."""
    chosen = settings(llm_temperature=temperature)
    house = house_rules(chosen)
    found = Throughput()
    async with a_mind(chosen) as (lane, engine):
        engine._options = replace(
            engine._options, sampling=replace(engine._options.sampling, seed=seed)
        )
        for repeat in range(-1, repeats):
            serial = await _timed(engine, lane, house, together=False)
            both = await _timed(engine, lane, house, together=True)
            if repeat < 0:
                continue
            found.serial.append(serial)
            found.together.append(both)
            pairs = [
                pair
                for robots in zip(serial.said, both.said, strict=True)
                for pair in zip(*robots, strict=True)
            ]
            found.same += sum(one == other for one, other in pairs)
            found.of += len(pairs)
    return found


async def _timed(
    engine: LlamaCppMind, lane: LaneLanguageModel, house: HouseRules, *, together: bool
) -> Round:
    before, since, spent = engine.counters, time.perf_counter(), time.process_time()
    if together:
        said = list(await asyncio.gather(*(asked(lane, robot, house) for robot in range(INFLIGHT))))
    else:
        said = [await asked(lane, robot, house) for robot in range(INFLIGHT)]
    seconds, cpu_s = time.perf_counter() - since, time.process_time() - spent
    after = engine.counters
    tokens, batches = after.generated - before.generated, after.batches - before.batches
    return Round(seconds, cpu_s, tokens, batches, said)


class Endless:
    """Replies that end with their `most` tokens alone, straight at the engine: `tokens` of each
    robot with the time of each, by the clock."""

    def __init__(self, engine: LlamaCppMind) -> None:
        self.engine = engine
        self.tokens: dict[int, list[tuple[int, float]]] = {}

    def begin(
        self, robot: int, words: str, most: int, take: Callable[[], None] = lambda: None
    ) -> asyncio.Future[None]:
        """Ask; what is returned is done at the end. `take` is called at each token."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        made = self.tokens[robot] = []

        def taken(token: int) -> None:
            made.append((token, time.perf_counter()))
            take()

        def prepare() -> Prepared:
            message = [Message("user", words)]
            ready = self.engine._prepare(message, (), None, self.engine._options.sampling)
            return replace(ready, ends=lambda _token: False)

        def emit(item: object) -> None:
            if not isinstance(item, str):
                loop.call_soon_threadsafe(ended.set_result, None)

        self.engine._serving.submit(Request(prepare, emit, CancelToken(), most, take=taken))
        return ended


async def long_replies(repeats: int) -> dict[str, Any]:
    """Replies of `_TOKENS` tokens, one after another and together, in turns."""
    ratios, of_processor, same = [], [], 0
    async with a_mind(settings()) as (_, engine):
        for repeat in range(-1, repeats):
            rounds = []
            for together in (False, True):
                endless, since, spent = Endless(engine), time.perf_counter(), time.process_time()
                asked = []
                for robot in range(INFLIGHT):
                    asked.append(endless.begin(robot, f"Robot {robot}, talk.", _TOKENS))
                    if not together:
                        await asked[-1]
                await asyncio.gather(*asked)
                seconds = time.perf_counter() - since, time.process_time() - spent
                said = [[token for token, _ in made] for made in endless.tokens.values()]
                rounds.append((seconds, said))
            if repeat >= 0:
                (one, alone), (both, beside) = rounds
                ratios.append(one[0] / both[0])
                of_processor.append(one[1] / both[1])
                same += sum(a == b for a, b in zip(alone, beside, strict=True))
    return {
        "tokens_each": _TOKENS,
        "together_over_serial": round(statistics.median(ratios), 2),
        "together_over_serial_of_processor": round(statistics.median(of_processor), 2),
        "replies_the_same": same,
        "replies": INFLIGHT * repeats,
    }


async def gaps(engine: LlamaCppMind, *, joins: bool) -> tuple[list[float], float]:
    """ms between two tokens of three replies while a fourth robot joins, if it does; and how long
    that one waited for its first."""
    endless = Endless(engine)
    loop = asyncio.get_running_loop()
    joined: asyncio.Future[float] = loop.create_future()

    def take() -> None:
        if joins and len(endless.tokens[0]) == _JOINS_AT:
            loop.call_soon_threadsafe(joined.set_result, time.perf_counter())

    robots = range(INFLIGHT - 1)
    asked = [
        endless.begin(robot, f"Robot {robot}, talk.", _TOKENS, take if not robot else lambda: None)
        for robot in robots
    ]
    first_ms = 0.0
    if joins:
        since = await joined
        words = "Tell me of the robots of the south and of the north. " * (_JOINER_TOKENS // 20)
        await endless.begin(INFLIGHT - 1, words, 8)
        first_ms = 1000 * (endless.tokens[INFLIGHT - 1][0][1] - since)
    await asyncio.gather(*asked)
    await engine._worker.run(engine._batcher.forget)
    times = [[at for _, at in endless.tokens[robot][10:]] for robot in robots]
    between = [1000 * (b - a) for at in times for a, b in pairwise(at)]
    return between, first_ms


async def joining(repeats: int) -> dict[str, Any]:
    """The gaps with a joiner and without, in turns."""
    found: dict[str, list[float]] = {"without_joiner": [], "with_joiner": []}
    firsts = []
    async with a_mind(settings()) as (_, engine):
        await gaps(engine, joins=False)
        for _repeat in range(repeats):
            found["without_joiner"] += (await gaps(engine, joins=False))[0]
            between, first = await gaps(engine, joins=True)
            found["with_joiner"] += between
            firsts.append(first)
    result: dict[str, Any] = {
        name: {**spread(values), "p99": round(percentile(sorted(values), 0.99), 2)}
        for name, values in found.items()
    }
    return {"gap_ms": result, "joiner_first_token_ms": spread(firsts)}


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--repeats", type=int, default=6, help="(default %(default)s)")
    p.add_argument("--out", type=Path, help="default: a file in benchmarks/results")
    args = p.parse_args()
    greedy = asyncio.run(throughput(args.repeats, seed=None, temperature=0.0)).as_json()
    seeded = asyncio.run(throughput(args.repeats, seed=SEED, temperature=0.8)).as_json()
    longer = asyncio.run(long_replies(args.repeats))
    joined = asyncio.run(joining(args.repeats))
    for name, row in (("temperature 0", greedy), (f"temperature 0.8, seed {SEED}", seeded)):
        print(
            f"{name}: {row['serial_tokens_a_second']['median']:.0f} tokens a second robot after"
            f" robot, {row['together_tokens_a_second']['median']:.0f} together:"
            f" {row['together_over_serial']} x (of the processor"
            f" {row['together_over_serial_of_processor']} x);"
            f" {row['answers_the_same']} of {row['answers']} answers the same"
        )
    print(
        f"replies of {_TOKENS} tokens: {longer['together_over_serial']} x (of the processor"
        f" {longer['together_over_serial_of_processor']} x); {longer['replies_the_same']} of"
        f" {longer['replies']} the same, token for token"
    )
    for name, gap in joined["gap_ms"].items():
        print(
            f"{name}: {gap['median']:.1f} ms to the next token, p99 {gap['p99']:.1f},"
            f" most {gap['max']:.1f}"
        )
    write(
        "batching",
        {"goal": GOAL, "greedy": greedy, "seeded": seeded, "long": longer, **joined},
        args.out,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
