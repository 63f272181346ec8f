"""The pocket mind on vLLM: what is vLLM's own, besides the cases of every mind."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest

from brain.engines.llm.native import NativeModel
from brain.engines.llm.prompting import Prompter
from brain.engines.llm.vllm import VllmMind
from brain.engines.llm.vllm_vocabulary import HubVocabulary
from brain.engines.ports import (
    EngineFailed,
    LanguageModel,
    Message,
    Text,
    Ticket,
    ToolCall,
)
from brain.engines.recipes import POCKET
from brain.planner.prompt import plan_messages
from brain.planner.schema import PlanOutput, PlanRequest, output_schema
from tests.engines.conformance import odd_texts
from tests.engines.conformance.bench import Bench
from tests.engines.conformance.every_engine import cancelled_after, taken
from tests.engines.conformance.test_minds import HEAD, LEFT, NUMBERS, TestMinds
from tests.engines.llm.pocket_mind import answer, loaded, text_of
from tests.seed_examples import PLAN_REQUEST

QUESTIONS = (*TestMinds.questions, "Who are you?", "Tell me a joke.")
del TestMinds  # Not to be collected here as well.


@pytest.fixture
def mind(bench: Bench[LanguageModel]) -> VllmMind:
    assert isinstance(bench.engine, VllmMind)
    return bench.engine


async def said(mind: LanguageModel, messages: str | list[Message], **more: Any) -> list[Any]:
    asked = [Message("user", messages)] if isinstance(messages, str) else messages
    more.setdefault("ticket", Ticket("a"))
    return await taken(mind.stream(asked, **more))


def test_it_says_word_for_word_what_the_same_weights_say_on_llama_cpp(
    bench: Bench[LanguageModel], mind: VllmMind
) -> None:
    async def main() -> None:
        async with loaded() as other:
            for question in QUESTIONS:
                expected = text_of(await answer(other, question, max_tokens=40))
                assert text_of(await said(mind, question, max_tokens=40)) == expected != ""
            call = await answer(other, LEFT, tools=[HEAD])
            assert await said(mind, LEFT, tools=[HEAD]) == call
            assert [type(item) for item in call] == [ToolCall]

    bench.run(main())


def test_a_prompt_is_token_for_token_that_of_llama_cpp_whatever_is_said_in_it(
    mind: VllmMind,
) -> None:
    ours = Prompter(HubVocabulary(mind.engine.tokenizer, mind.engine.ends, "pocket"))
    model = NativeModel(POCKET / "mind.gguf")
    try:
        theirs = Prompter(model)
        for text in (*odd_texts.SAID, *odd_texts.UNSAID, *odd_texts.FOREIGN, odd_texts.FORGED):
            call = ToolCall(HEAD.name, json.dumps({"direction": text}), "c1")
            talk = [
                Message("system", text),
                Message("user", text),
                Message("assistant", text, (call,)),
                Message("tool", text, call_id="c1", name=HEAD.name),
            ]
            cells = theirs.prompt(talk, [HEAD]).cells
            assert ours.prompt(talk, [HEAD]).cells == cells, ascii(text)
        assert ours.banned == theirs.banned
    finally:
        model.close()


def test_nobody_forges_a_turn(mind: VllmMind) -> None:
    prompter = Prompter(HubVocabulary(mind.engine.tokenizer, mind.engine.ends, "pocket"))
    ends = [prompter.control[name] for name in ("<|im_start|>", "<|im_end|>")]
    plain = prompter.prompt([Message("user", "Hi")]).cells
    forged = prompter.prompt([Message("user", odd_texts.FORGED)]).cells
    assert [forged.count(end) for end in ends] == [plain.count(end) for end in ends]


def test_a_plan_is_one_that_its_schema_allows(bench: Bench[LanguageModel], mind: VllmMind) -> None:
    schema = output_schema()
    messages = plan_messages(PlanRequest.model_validate(PLAN_REQUEST))

    async def main() -> None:
        for temperature in (0.0, 1.2):
            items = await said(
                mind, messages, schema=schema, temperature=temperature, max_tokens=1200
            )
            assert all(isinstance(item, Text) for item in items)
            assert len(items) > 10, "it comes as it is made"
            plan = json.loads(text_of(items))
            assert jsonschema_rs.is_valid(schema, plan)
            assert PlanOutput.model_validate(plan).ttl_ms

    bench.run(main())


def test_what_was_said_before_is_not_computed_again(
    bench: Bench[LanguageModel], mind: VllmMind
) -> None:
    talk = [Message("user", "Tell me about the robots of the north. " * 40)]

    async def main() -> None:
        first = text_of(await said(mind, talk, max_tokens=24))
        before = replace(mind.counters)
        longer = [*talk, Message("assistant", first), Message("user", QUESTIONS[1])]
        await said(mind, longer, max_tokens=24)
        reused = mind.counters.reused - before.reused
        prompted = mind.counters.prompted - before.prompted
        # (The cache is kept in blocks of tokens.)
        assert 0.5 * prompted < reused < prompted

    bench.run(main())


def test_a_cancel_ends_a_sequence_within_a_token_and_frees_what_it_held(
    bench: Bench[LanguageModel], mind: VllmMind
) -> None:
    async def main() -> None:
        aborted = mind.counters.aborted
        for _ in range(4):
            ticket = Ticket("a")
            count = [Message("user", "Count.")]
            items = mind.stream(count, schema=NUMBERS, max_tokens=1500, ticket=ticket)
            assert len(await cancelled_after(3, items, ticket)) == 3
        assert await holds_nothing(mind)
        assert mind.counters.aborted - aborted == 4

        async with aclosing(mind.stream(count, schema=NUMBERS, ticket=Ticket("a"))) as items:
            await anext(items)
            assert not await holds_nothing(mind), "or the test would show nothing"
        assert await holds_nothing(mind)

    bench.run(main())


async def holds_nothing(mind: VllmMind) -> bool:
    """Whether no sequence holds memory in the engine core. (It empties its cache only then.)"""
    engine = mind.engine
    asked = engine._thread.submit(engine._llm.reset_prefix_cache())
    return bool(await asyncio.wrap_future(asked))


def test_two_at_once_get_what_each_gets_alone(bench: Bench[LanguageModel], mind: VllmMind) -> None:
    async def main() -> None:
        alone = [text_of(await said(mind, question, max_tokens=24)) for question in QUESTIONS]
        both = [said(mind, question, max_tokens=24) for question in QUESTIONS]
        assert [text_of(one) for one in await asyncio.gather(*both)] == alone

    bench.run(main())


def test_a_long_conversation_loses_its_oldest_turns(
    bench: Bench[LanguageModel], mind: VllmMind
) -> None:
    turns = [
        message
        for i in range(120)
        for message in (
            Message("user", f"Number {i}. Tell me about the robots of the north."),
            Message("assistant", "They are kind, and they like the snow."),
        )
    ]
    talk = [Message("system", "Be kind."), *turns, Message("user", "What does a cow say?")]
    assert text_of(bench.run(said(mind, talk, max_tokens=24)))
    with pytest.raises(EngineFailed, match="VLLM_MAX_MODEL_LEN"):
        bench.run(said(mind, "x1" * 6000))
