"""What every `LanguageModel` does, on the pocket mind: in this process and behind two servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonschema_rs
import pytest

from brain.engines.llm.llamacpp import LlamaCppMind
from brain.engines.llm.openai import OpenAIMind, OpenAIOptions
from brain.engines.ports import (
    Cancelled,
    CannotSee,
    EngineFailed,
    EngineUnavailable,
    LanguageModel,
    Message,
    Text,
    Ticket,
    ToolCall,
    ToolSpec,
)
from brain.engines.recipes.remote import pool_of
from brain.engines.remote.pool_ports import PoolLanguageModel
from tests.engines.conformance import odd_texts
from tests.engines.conformance.bench import Adapter, Bench, here
from tests.engines.conformance.every_engine import EveryStream, Items, begun, taken
from tests.engines.conformance.ollama_place import ollama
from tests.engines.llm.openai_real_server import a_llama_server
from tests.engines.llm.pocket_mind import OPTIONS, text_of
from tests.engines.llm.tiny_eyes import write_llava_eyes
from tests.pictures import picture

# (Of itself this server breaks off a reply for the next request.)
ONE_BY_ONE = ("--interrupt_requests", "false", "--n_ctx", "2048")


async def llamacpp() -> LanguageModel:
    return await LlamaCppMind.load(OPTIONS)


@asynccontextmanager
async def seeing() -> AsyncIterator[Callable[[], Awaitable[LanguageModel]]]:
    """The pocket mind with random eyes."""
    with TemporaryDirectory() as folder:
        eyes = write_llava_eyes(Path(folder) / "mmproj.gguf")

        async def load() -> LanguageModel:
            return await LlamaCppMind.load(replace(OPTIONS, eyes=eyes))

        yield load


@asynccontextmanager
async def openai() -> AsyncIterator[Callable[[], Awaitable[LanguageModel]]]:
    """Two of llama-cpp-python's own servers, processes of their own, as one mind."""
    with (
        TemporaryDirectory() as folder,
        a_llama_server(Path(folder), *ONE_BY_ONE) as one,
        a_llama_server(Path(folder), *ONE_BY_ONE) as other,
    ):

        async def load(options: OpenAIOptions) -> LanguageModel:
            return await OpenAIMind.load(options)

        async def both() -> LanguageModel:
            servers = [OpenAIOptions(at.url, "", "", 0.0, 200) for at in (one, other)]
            return PoolLanguageModel(await pool_of(servers, load, None, first_s=60, sticks=True))

        yield both


ADAPTERS: tuple[Adapter[LanguageModel], ...] = (
    Adapter("llamacpp", "cpu", here(llamacpp)),
    Adapter("llamacpp", "cpu", seeing),
    Adapter("ollama", "remote", ollama),
    Adapter("openai", "remote", openai),
)

# What takes the pocket mind so long that there is time to break it off.
NUMBERS = {"type": "array", "items": {"type": "integer"}, "minItems": 400}
FORM = {
    "type": "object",
    "properties": {"mood": {"enum": ["calm", "wild"]}, "loud": {"type": "boolean"}},
    "required": ["mood", "loud"],
    "additionalProperties": False,
}
HEAD = ToolSpec(
    "move_head",
    "Turn the head.",
    {
        "type": "object",
        "properties": {"direction": {"type": "string", "enum": ["left", "right", "up", "down"]}},
        "required": ["direction"],
    },
)
LEFT = "Look to the left."


@pytest.fixture(scope="module", params=ADAPTERS, ids=str)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench[LanguageModel]]:
    made: Bench[LanguageModel] = Bench(request.param)
    yield made
    made.close()


Ask = Callable[..., list[Any]]


class TestMinds(EveryStream[LanguageModel]):
    questions = (
        "What does a cow say?", "What does a dog say?", "What is two plus two?", "Count to three.",
    )  # fmt: skip

    def asked(
        self, engine: LanguageModel, question: str, ticket: Ticket
    ) -> AsyncGenerator[Text | ToolCall, None]:
        return engine.stream([Message("user", question)], max_tokens=24, ticket=ticket)

    def laboured(
        self, engine: LanguageModel, ticket: Ticket
    ) -> AsyncGenerator[Text | ToolCall, None]:
        count = [Message("user", "Count.")]
        return engine.stream(count, schema=NUMBERS, max_tokens=1500, ticket=ticket)

    def same(self, one: Items, other: Items) -> bool:
        return text_of(one) == text_of(other) != ""

    @pytest.fixture
    def ask(self, bench: Bench[LanguageModel]) -> Ask:
        def asked(said: str | Sequence[Message], **more: Any) -> list[Any]:
            messages = [Message("user", said)] if isinstance(said, str) else said
            more.setdefault("max_tokens", 24)
            return bench.run(taken(bench.engine.stream(messages, ticket=Ticket("a"), **more)))

        return asked

    # -- text -----------------------------------------------------------------------------------

    def test_text_comes_as_it_is_made(self, ask: Ask) -> None:
        items = ask(self.questions[3])
        assert len(items) > 2
        assert all(isinstance(item, Text) for item in items)
        assert "one" in text_of(items).lower()
        assert text_of(items).encode()

    def test_it_is_told_what_was_said_before(self, ask: Ask) -> None:
        talk = [Message("user", "My name is Anna.")]
        talk.append(Message("assistant", text_of(ask(talk))))
        talk.append(Message("user", "What is my name?"))
        assert "Anna" in text_of(ask(talk))

    @pytest.mark.parametrize("of_a_tool", [False, True])
    def test_pictures_are_looked_at_or_refused(
        self, bench: Bench[LanguageModel], ask: Ask, of_a_tool: bool
    ) -> None:
        talk = [Message("user", "What is this?", images=(picture(),))]
        if of_a_tool:
            talk = [
                Message("user", "What do you see?"),
                Message("assistant", "", (ToolCall("camera", "{}", "c1"),)),
                Message("tool", "ok", call_id="c1", name="camera", images=(picture(),)),
            ]
        try:
            assert text_of(ask(talk))
            assert bench.engine.info.sees is True
        except CannotSee:
            assert bench.engine.info.sees is not True
        assert text_of(ask(self.questions[0]))

    def test_no_more_than_is_wanted(self, ask: Ask) -> None:
        assert len(ask(self.questions[0], max_tokens=1)) <= 1
        few, more = ask(self.questions[3], max_tokens=3), ask(self.questions[3])
        assert 0 < len(text_of(few)) < len(text_of(more))

    def test_any_temperature(self, ask: Ask) -> None:
        cold = [text_of(ask(self.questions[0], temperature=0.0)) for _ in range(2)]
        assert cold[0] == cold[1]
        hot = {text_of(ask("Tell me a joke.", temperature=1.9)) for _ in range(5)}
        assert len(hot) > 1

    # -- before it is asked ---------------------------------------------------------------------

    def test_a_prefill_changes_no_answer(self, bench: Bench[LanguageModel], ask: Ask) -> None:
        talk = [Message("user", "My name is Anna."), Message("assistant", "Hello, Anna.")]
        question = [*talk, Message("user", "What is my name?")]
        right = text_of(ask(question, tools=[HEAD]))
        for known, tools in ((talk, [HEAD]), (talk, []), ((), [HEAD]), ((), [])):
            bench.run(bench.engine.prefill(known, tools=tools, ticket=Ticket("a")))
            assert text_of(ask(question, tools=[HEAD])) == right

    def test_a_prefill_beside_answers_disturbs_none(self, bench: Bench[LanguageModel]) -> None:
        async def main() -> None:
            right = [await self.answer(bench.engine, which) for which in range(2)]
            system = [Message("system", odd_texts.LONG[:600])]
            first, _, second = await asyncio.gather(
                self.answer(bench.engine, 0),
                bench.engine.prefill(system, tools=[HEAD], ticket=Ticket("b")),
                self.answer(bench.engine, 1),
            )
            assert self.same(first, right[0])
            assert self.same(second, right[1])

        bench.run(main())

    @pytest.mark.parametrize("turns", [0, 1, 5])
    def test_a_prefill_may_be_cancelled(self, bench: Bench[LanguageModel], turns: int) -> None:
        async def main() -> None:
            ticket = Ticket("a")
            prefill = asyncio.ensure_future(
                bench.engine.prefill([Message("system", odd_texts.LONG[:600])], ticket=ticket)
            )
            await begun(turns)
            ticket.cancel.cancel()
            with suppress(Cancelled):
                await prefill
            assert await self.answer(bench.engine)

        bench.run(main())

    def test_any_beginning_may_be_prefilled(self, bench: Bench[LanguageModel], ask: Ask) -> None:
        everywhere = odd_texts.FORGED + "\ud83d\x00\u202e"
        for known in (
            [Message("system", everywhere), Message("user", everywhere)],
            [Message("assistant", "I was first.")],
            [Message("tool", "{}", call_id="c9", name="nobody_called")],
            [Message("user", "What is this?", images=(picture(),))],
            [Message("user", odd_texts.LONG)],
        ):
            with suppress(CannotSee, EngineFailed):
                bench.run(bench.engine.prefill(known, ticket=Ticket("a")))
        assert text_of(ask(self.questions[0]))

    def test_a_prefill_after_the_end_neither_hangs_nor_breaks(
        self, bench: Bench[LanguageModel]
    ) -> None:
        async def main() -> None:
            engine = await bench.load()
            await engine.close()
            with suppress(EngineUnavailable, EngineFailed):
                await engine.prefill([Message("system", "Hello.")], ticket=Ticket("a"))

        bench.run(main())

    # -- any input ------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "messages",
        [
            (),
            (Message("user", ""),),
            (Message("user", " \n\t"),),
            (Message("system", ""), Message("user", ""), Message("assistant", "")),
            (Message("system", "Only this."),),
            (Message("assistant", "I was first."),),
            (Message("user", "One."), Message("user", "Two.")),
            (Message("tool", "{}", call_id="c9", name="nobody_called"),),
        ],
    )
    def test_nothing_or_next_to_nothing_is_answered_or_refused(
        self, ask: Ask, messages: Sequence[Message]
    ) -> None:
        try:
            assert all(isinstance(item, Text) for item in ask(messages, max_tokens=4))
        except EngineFailed as error:
            assert str(error)
        assert text_of(ask(self.questions[0]))

    def test_any_text_is_answered(self, ask: Ask) -> None:
        for text in (*odd_texts.SAID, *odd_texts.UNSAID, *odd_texts.FOREIGN, odd_texts.FORGED):
            items = ask(text, max_tokens=2)
            assert all(isinstance(item, Text) for item in items), ascii(text)
            assert text_of(items).encode() is not None
        everywhere = odd_texts.FORGED + "\ud83d\x00\u202e"
        call = ToolCall(HEAD.name, json.dumps({"direction": everywhere}), "c1")
        talk = [
            Message("system", everywhere),
            Message("user", everywhere),
            Message("assistant", everywhere, (call,)),
            Message("tool", everywhere, call_id="c1", name=HEAD.name),
            Message("user", everywhere),
        ]
        assert all(isinstance(item, Text | ToolCall) for item in ask(talk, tools=[HEAD]))

    def test_a_long_text_is_answered_or_refused_and_the_next_one_answered(self, ask: Ask) -> None:
        right = text_of(ask(self.questions[0]))
        for text in (odd_texts.LONG, "x" * 10_000, "\U0001f916" * 10_000):
            try:
                assert text_of(ask(text, max_tokens=4)).encode() is not None
            except EngineFailed as error:
                assert "\n" not in str(error)
                assert text[:100] not in str(error), "errors are logged, what is said is not"
            assert text_of(ask(self.questions[0])) == right

    # -- form -----------------------------------------------------------------------------------

    def test_an_answer_is_held_to_its_schema(self, ask: Ask) -> None:
        for temperature in (0.0, 1.5):
            items = ask(LEFT, schema=FORM, tools=[HEAD], temperature=temperature, max_tokens=60)
            assert all(isinstance(item, Text) for item in items), "with a schema, no tools"
            assert jsonschema_rs.is_valid(FORM, json.loads(text_of(items)))

    @pytest.mark.parametrize(
        "schema",
        [{"$ref": "#/nowhere"}, {"type": "no such type"}, {"type": "string", "pattern": "("}],
    )
    def test_a_schema_that_cannot_be_kept_is_refused_or_left_out(
        self, ask: Ask, schema: dict[str, Any]
    ) -> None:
        try:
            assert all(isinstance(item, Text) for item in ask(LEFT, schema=schema, max_tokens=8))
        except EngineFailed as error:
            assert str(error)
        assert text_of(ask(self.questions[0]))

    # -- tools ----------------------------------------------------------------------------------

    def test_a_tool_is_called_whole(self, ask: Ask) -> None:
        calls = [item for item in ask(LEFT, tools=[HEAD]) if isinstance(item, ToolCall)]
        assert [call.name for call in calls] == [HEAD.name]
        assert json.loads(calls[0].arguments) == {"direction": "left"}
        assert calls[0].call_id == ""

    def test_a_tool_that_is_not_offered_is_not_called(self, ask: Ask) -> None:
        other = ToolSpec("sing", "Sing.", {"type": "object", "properties": {}})
        for tools in ([], [other]):
            calls = [item for item in ask(LEFT, tools=tools) if isinstance(item, ToolCall)]
            assert all(call.name == "sing" for call in calls)

    def test_what_a_tool_gave_is_answered(self, ask: Ask) -> None:
        talk = [
            Message("user", LEFT),
            Message("assistant", "", (ToolCall(HEAD.name, '{"direction": "left"}', "c1"),)),
            Message("tool", '{"status": "ok"}', call_id="c1", name=HEAD.name),
        ]
        assert text_of(ask(talk, tools=[HEAD]))

    def test_strange_tools_do_no_harm(self, ask: Ask) -> None:
        strange = ToolSpec(
            "x-1.2/y", odd_texts.FORGED, {"type": "object", "required": ["a"], "properties": {
                "a": {"type": 7, "enum": "no"}, "\ud800": True, "b": {"$ref": "#/nowhere"},
            }},
        )  # fmt: skip
        for tools in ([strange], [strange, HEAD], [ToolSpec("bare", "", {})]):
            for item in ask(LEFT, tools=tools):
                assert isinstance(item, Text) or isinstance(json.loads(item.arguments), dict)
        assert text_of(ask(self.questions[0]))
