"""The OpenAI-compatible mind at a scripted server: what goes wrong, and what servers differ in."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from brain.engines.llm.openai import OpenAIMind, OpenAIOptions, probe
from brain.engines.ports import (
    Cancelled,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    LanguageModel,
    Message,
    Text,
    Ticket,
    ToolCall,
    ToolSpec,
)
from brain.engines.recipes import language_model_rungs
from brain.settings import Settings
from tests.engines.llm.openai_scripted_server import (
    DONE,
    Answer,
    Cut,
    ScriptedServer,
    Wait,
    a_server,
    end_with,
    refuses,
    says,
)

HELLO = [Message("user", "Hello.")]
TURN = ToolSpec(
    "turn",
    "Turn.",
    {"type": "object", "properties": {"to": {"enum": ["left", "right"]}}, "required": ["to"]},
)
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def run(
    main: Callable[[ScriptedServer, OpenAIMind], Any],
    *answers: Answer | Callable[[dict[str, Any]], Answer],
    key: str = "",
    **more: Any,
) -> Any:
    """`main` with a server that gives these answers, and a mind at it."""

    async def whole() -> Any:
        async with a_server(*answers, key=key, **more) as server:
            mind = await OpenAIMind.load(OpenAIOptions(server.url, api_key=key))
            try:
                return await asyncio.wait_for(main(server, mind), 20)
            finally:
                await mind.close()

    return asyncio.run(whole())


async def ask(mind: LanguageModel, **more: Any) -> tuple[str, list[ToolCall]]:
    items = [i async for i in mind.stream(HELLO, ticket=more.pop("ticket", Ticket("a")), **more)]
    text = "".join(item.text for item in items if isinstance(item, Text))
    return text, [item for item in items if isinstance(item, ToolCall)]


async def until_it_fails(mind: LanguageModel) -> tuple[str, EngineError]:
    """What was said before, and the error."""
    said = ""
    try:
        async for item in mind.stream(HELLO, ticket=Ticket("a")):
            said += item.text if isinstance(item, Text) else ""
    except EngineError as error:
        return said, error
    raise AssertionError("it didn't fail")


# -- finding the model -------------------------------------------------------------------------


def load(options: Callable[[str], OpenAIOptions], **more: Any) -> OpenAIMind | EngineError:
    async def main() -> OpenAIMind | EngineError:
        async with a_server(**more) as server:
            try:
                mind = await OpenAIMind.load(options(server.url))
            except EngineError as error:
                return error
            await mind.close()
            return mind

    return asyncio.run(main())


def test_the_first_model_is_taken_where_none_is_named() -> None:
    mind = load(OpenAIOptions, models=("one", "two"))
    assert isinstance(mind, OpenAIMind)
    assert (mind.info.name, mind.info.model) == ("openai", "one")


def test_a_model_that_is_not_listed_is_tried_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        mind = load(lambda url: OpenAIOptions(url, model="alias"), models=("one",))
    assert isinstance(mind, OpenAIMind)
    assert mind.info.model == "alias"
    assert "OPENAI_MODEL=alias" in caplog.text


def test_a_server_without_a_list_needs_a_name() -> None:
    mind = load(lambda url: OpenAIOptions(url, model="one"), models=None)
    assert isinstance(mind, OpenAIMind)
    for models in (None, ()):
        error = load(OpenAIOptions, models=models)
        assert isinstance(error, EngineUnavailable)
        assert "OPENAI_" in str(error)


@pytest.mark.parametrize(("status", "told"), [(401, "OPENAI_API_KEY"), (503, "Not now"), (500, "")])
def test_a_server_that_does_not_serve_us_is_unavailable(status: int, told: str) -> None:
    error = load(OpenAIOptions, status=status)
    assert isinstance(error, EngineUnavailable)
    assert told in str(error)


def test_a_wrong_key_is_told_without_the_key() -> None:
    error = load(lambda url: OpenAIOptions(url, api_key="sesam-oeffne"), key="other")
    assert isinstance(error, EngineUnavailable)
    assert "OPENAI_API_KEY" in str(error)
    assert "sesam" not in str(error)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://u:pass@127.0.0.1:1/v1"])
def test_nobody_there(url: str) -> None:
    async def main() -> None:
        for call in (OpenAIMind.load, probe):
            with pytest.raises(EngineUnavailable, match=r"URL=http://127\.0\.0\.1:1/v1 "):
                await call(OpenAIOptions(url))

    asyncio.run(main())


@pytest.mark.parametrize("url", ["http://[bad/v1", "http://host:port/v1", "http://h:99999/v1"])
def test_what_is_no_address_is_told(url: str) -> None:
    async def main() -> None:
        for call in (OpenAIMind.load, probe):
            with pytest.raises(EngineUnavailable, match="OPENAI_URL"):
                await call(OpenAIOptions(url))

    asyncio.run(main())


@pytest.mark.parametrize("body", [[], {}, {"data": "x"}, "hello"])
def test_what_is_no_such_server_is_told(body: Any) -> None:
    async def main() -> None:
        async with a_server() as server:
            server._answer = lambda *_: Answer(body=body)  # type: ignore[method-assign]
            with pytest.raises(EngineUnavailable, match="OPENAI_URL"):
                await OpenAIMind.load(OpenAIOptions(server.url))

    asyncio.run(main())


# -- what comes --------------------------------------------------------------------------------


def test_tool_calls_in_pieces_beside_thoughts_and_text() -> None:
    pieces: Sequence[Any] = (
        {"role": "assistant", "content": None, "reasoning_content": "Left it is."},
        {"content": "Yes."},
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "turn", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"to": "le'}}]},
        ": a comment\n\n",
        {"tool_calls": [{"index": 0, "function": {"arguments": 'ft"}'}}]},
        {"tool_calls": [{"index": 1, "id": "d", "function": {"name": "fly", "arguments": "{}"}}]},
        end_with("tool_calls"),
        {"choices": [], "usage": {"total_tokens": 9}},
        DONE,
    )

    async def main(_: ScriptedServer, mind: OpenAIMind) -> None:
        text, calls = await ask(mind, tools=[TURN])
        assert text == "Yes."
        assert calls == [ToolCall("turn", '{"to": "left"}')]
        assert mind.calls_dropped == 1

    run(main, Answer(pieces))


THOUGHTS = ("They greet", " me.</thi", "nk>\n\nHello", " there.")


def test_a_server_that_does_not_tell_thoughts_apart_is_known_after_an_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its model's prompt ends with <think>: nothing in the answer says that it begins so."""

    async def main(_: ScriptedServer, mind: OpenAIMind) -> None:
        first, *rest = [(await ask(mind))[0] for _ in range(4)]
        assert first.endswith("Hello there.")  # that the rest was a thought is known too late
        assert rest == ["Hello there.", "Hello there.", "Good day."]
        # One that doesn't think any more is soon heard as it speaks.
        stream = mind.stream(HELLO, ticket=Ticket("a"))
        async with aclosing(stream):
            assert await anext(stream) == Text("Good")

    thinks, plain = says(*THOUGHTS), says("Good", " day.")
    run(main, thinks, thinks, thinks, plain, plain)
    told = [line.getMessage() for line in caplog.records if "thinks aloud" in line.getMessage()]
    assert len(told) == 1
    assert "reasoning parser" in told[0]


def test_what_is_asked_of_it() -> None:
    async def main(server: ScriptedServer, mind: OpenAIMind) -> None:
        await ask(mind, temperature=0.0, max_tokens=7, tools=[TURN])
        (asked,) = server.asked
        assert asked["model"] == "scripted-model"
        assert asked["stream"] is True
        assert (asked["temperature"], asked["max_tokens"]) == (0.0, 7)
        assert asked["messages"] == [{"role": "user", "content": "Hello."}]
        assert asked["tools"][0]["function"]["name"] == "turn"
        # No key, so no header tells one.
        assert all("authorization" not in fields for _, fields in server.heads)
        assert all(fields["connection"] == "close" for _, fields in server.heads)

    run(main)


def _takes_no(form: str) -> Callable[[dict[str, Any]], Answer]:
    """A server that refuses this form of `response_format`, in its own words."""
    words = {"json_schema": "Input should be 'text' or 'json_object'", "json_object": "no schema"}

    def answer(asked: dict[str, Any]) -> Answer:
        kind = asked.get("response_format", {}).get("type")
        if kind in words and (kind == form or form == "both"):
            return refuses(400, words[kind])
        return says('{"n"', ": 1}")

    return answer


@pytest.mark.parametrize(
    ("form", "tried"),
    [
        ("neither", ["json_schema"]),
        ("json_schema", ["json_schema", "json_object"]),
        ("both", ["json_schema", "json_object", None]),
    ],
)
def test_a_schema_in_the_form_that_the_server_takes(form: str, tried: list[str | None]) -> None:
    async def main(server: ScriptedServer, mind: OpenAIMind) -> None:
        def forms() -> list[str | None]:
            return [asked.get("response_format", {}).get("type") for asked in server.asked]

        assert json.loads((await ask(mind, schema=SCHEMA))[0]) == {"n": 1}
        assert forms() == tried
        await ask(mind, schema=SCHEMA)
        assert forms() == [*tried, tried[-1]], "what worked is remembered"

    run(main, _takes_no(form))


def test_a_refusal_for_another_reason_teaches_nothing() -> None:
    words = "This model's maximum context length is 10 tokens."

    async def main(server: ScriptedServer, mind: OpenAIMind) -> None:
        with pytest.raises(EngineFailed, match="maximum context length"):
            await ask(mind, schema=SCHEMA)
        server.answer = lambda _: says("{}")
        await ask(mind, schema=SCHEMA)
        assert server.asked[-1]["response_format"]["type"] == "json_schema"

    run(main, refuses(400, words))


@pytest.mark.parametrize("quote", [str, repr, json.dumps])
def test_what_was_said_is_no_part_of_an_error(quote: Callable[[str], str]) -> None:
    said = 'My "secret"\nis a cake.'

    async def main(_: ScriptedServer, mind: OpenAIMind) -> None:
        with pytest.raises(EngineFailed, match="bad input") as told:
            async for _item in mind.stream([Message("user", said)], ticket=Ticket("a")):
                pass
        assert "secret" not in str(told.value)
        assert "cake" not in str(told.value)

    run(main, refuses(400, f"bad input {quote(said)} here"))


def test_a_server_without_tools_is_told_of_them_in_words() -> None:
    def answer(asked: dict[str, Any]) -> Answer:
        if "tools" in asked:
            return refuses(400, '"auto" tool choice requires --enable-auto-tool-choice')
        assert '"turn"' in asked["messages"][0]["content"]
        return says("<tool_call>", '{"name": "turn", "arguments": {"to": "left"}}', "</tool_call>")

    async def main(_: ScriptedServer, mind: OpenAIMind) -> None:
        assert await ask(mind, tools=[TURN]) == ("", [ToolCall("turn", '{"to": "left"}')])

    run(main, answer)


# -- what goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (refuses(401, "Incorrect key sk-123"), EngineUnavailable, "OPENAI_API_KEY"),
        (refuses(404, "The model `x` does not exist"), EngineUnavailable, "does not exist"),
        (refuses(429, "Slow down."), EngineBusy, "Slow down"),
        (refuses(503, "Loading model"), EngineBusy, "Loading model"),
        (refuses(400, "Bad\n question."), EngineFailed, "Bad question."),
        (refuses(500, "CUDA error"), EngineFailed, "CUDA error"),
        (refuses(502, "Bad gateway"), EngineUnavailable, "502"),
        (refuses(408, "Too slow."), EngineTimeout, "Too slow."),
        (Answer(["data: {broken\n\n"]), EngineFailed, "can't be read"),
        (Answer(['data: {"choices": "x"}\n\n']), EngineFailed, "can't be read"),
        (Answer([{"error": {"message": "Out of memory."}}]), EngineFailed, "Out of memory."),
        (Answer([DONE]), EngineFailed, "before the end"),
        (Answer([Cut()]), EngineFailed, "before the end"),
    ],
)
def test_errors_before_anything_is_said(answer: Answer, kind: type, words: str) -> None:
    async def main(_: ScriptedServer, mind: OpenAIMind) -> None:
        said, error = await until_it_fails(mind)
        assert said == ""
        assert type(error) is kind
        assert words in str(error)
        assert "sk-123" not in str(error)

    run(main, answer)


@pytest.mark.parametrize(
    "rest", [[Cut()], [DONE], ["data: \x00\n\n"], [{"error": {"message": "Out of memory."}}]]
)
def test_errors_after_something_was_said(rest: list[Any]) -> None:
    async def main(_: ScriptedServer, mind: OpenAIMind) -> None:
        said, error = await until_it_fails(mind)
        assert said.startswith("Hello th")
        assert type(error) is EngineFailed

    run(main, Answer([{"content": "Hello th"}, *rest]))


def test_a_cut_by_a_server_that_is_gone_is_no_fault_of_the_question() -> None:
    async def main(server: ScriptedServer, mind: OpenAIMind) -> None:
        def answer(_: dict[str, Any]) -> Answer:
            server.status = 503  # from now on
            return Answer([Cut()])

        server.answer = answer
        assert type((await until_it_fails(mind))[1]) is EngineUnavailable

    run(main)


def test_a_server_that_hangs_up_is_not_there() -> None:
    async def main(server: ScriptedServer, mind: OpenAIMind) -> None:
        assert type((await until_it_fails(mind))[1]) is EngineUnavailable
        assert len(server.asked) == 1

    run(main, Answer(none=True))


# -- cancelling and closing --------------------------------------------------------------------


@pytest.mark.parametrize("steps", [[Wait()], [{"content": "Hello"}, Wait()]])
def test_a_cancel_closes_the_stream_at_once(steps: list[Any]) -> None:
    async def main(server: ScriptedServer, mind: OpenAIMind) -> None:
        ticket = Ticket("a")
        said = asyncio.ensure_future(ask(mind, ticket=ticket))
        await server.reached.wait()
        asyncio.get_running_loop().call_later(0.05, ticket.cancel.cancel)
        with pytest.raises(Cancelled):
            await said
        await asyncio.wait_for(server.left.wait(), 5)

    run(main, Answer(steps))


def test_closing_the_iterator_closes_the_stream() -> None:
    async def main(server: ScriptedServer, mind: OpenAIMind) -> None:
        stream: Any = mind.stream(HELLO, ticket=Ticket("a"))
        async with aclosing(stream) as items:
            assert await items.__anext__() == Text("Hello")
        await asyncio.wait_for(server.left.wait(), 5)

    run(main, Answer([{"content": "Hello"}, Wait()]))


def test_a_ticket_that_is_cancelled_already_asks_nothing() -> None:
    async def main(server: ScriptedServer, mind: OpenAIMind) -> None:
        ticket = Ticket("a")
        ticket.cancel.cancel()
        with pytest.raises(Cancelled):
            await ask(mind, ticket=ticket)
        assert server.asked == []

    run(main)


@pytest.mark.parametrize("steps", range(4))
def test_closing_ends_what_has_hardly_begun(steps: int) -> None:
    async def main(_: ScriptedServer, mind: OpenAIMind) -> None:
        said = asyncio.ensure_future(ask(mind))
        for _ in range(steps):
            await asyncio.sleep(0)
        await mind.close()
        with pytest.raises(EngineUnavailable, match="closed"):
            await said

    run(main, Answer([Wait()]))


def test_closing_ends_what_is_under_way() -> None:
    async def main(server: ScriptedServer, mind: OpenAIMind) -> None:
        said = asyncio.ensure_future(ask(mind))
        await server.reached.wait()
        await mind.close()
        with pytest.raises(EngineUnavailable, match="closed"):
            await said
        await asyncio.wait_for(server.left.wait(), 5)
        with pytest.raises(EngineUnavailable, match="closed"):
            await ask(mind)

    run(main, Answer([Wait()]))


# -- the settings ------------------------------------------------------------------------------


def with_settings(
    main: Callable[[ScriptedServer, LanguageModel], Any], server: dict[str, Any], **more: Any
) -> Any:
    """`main` with the mind that these settings make, behind its lane."""

    async def whole() -> Any:
        async with a_server(**server) as scripted:
            settings = Settings(llm_backend="openai", openai_url=scripted.url, **more)
            rung = language_model_rungs(settings)[0]
            assert rung.name == "openai"
            mind = await rung.build(lambda _: None)
            try:
                return await asyncio.wait_for(main(scripted, mind), 20)
            finally:
                await mind.close()

    return asyncio.run(whole())


@pytest.mark.setting("LLM_BACKEND", "OPENAI_URL", "OPENAI_MODEL", "OPENAI_API_KEY")
@pytest.mark.setting("LLM_TEMPERATURE", "LLM_MAX_OUTPUT_TOKENS")
def test_the_settings_reach_the_server() -> None:
    async def main(server: ScriptedServer, mind: LanguageModel) -> None:
        assert (await ask(mind))[0] == "Hello."
        asked = server.asked[-1]
        assert asked["model"] == "two"
        assert asked["temperature"] == 0.25
        assert asked["max_tokens"] == 33
        assert server.heads[-1][1]["authorization"] == "bearer sesam"

    with_settings(
        main,
        {"models": ("one", "two"), "key": "sesam"},
        openai_model="two",
        openai_api_key="sesam",
        llm_temperature=0.25,
        llm_max_output_tokens=33,
    )


@pytest.mark.setting("WARMUP_LLM")
@pytest.mark.parametrize(("warm", "asked"), [(True, [1]), (False, [])])
def test_warming_up_is_one_token(warm: bool, asked: list[int]) -> None:
    async def main(server: ScriptedServer, _: LanguageModel) -> None:
        assert [body["max_tokens"] for body in server.asked] == asked

    with_settings(main, {}, warmup_llm=warm)


@pytest.mark.setting("LLM_TIMEOUT_S")
def test_a_server_that_says_nothing_is_given_up_on_in_time() -> None:
    async def main(server: ScriptedServer, mind: LanguageModel) -> None:
        server.answer = lambda _: Answer([Wait()])
        with pytest.raises(EngineTimeout, match=r"0\.2 s"):
            await ask(mind)
        await asyncio.wait_for(server.left.wait(), 5)

    with_settings(main, {}, llm_timeout_s=0.2)
