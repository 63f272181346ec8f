"""The OpenAI-compatible mind at a real server: llama-cpp-python's own, with the pocket mind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest

from brain.engines.ladder import Ladder
from brain.engines.ladder_ports import LadderLanguageModel
from brain.engines.llm.openai import OpenAIMind, OpenAIOptions, probe
from brain.engines.ports import (
    Cancelled,
    EngineFailed,
    EngineInfo,
    EngineUnavailable,
    LanguageModel,
    Message,
    Text,
    Ticket,
    ToolCall,
    ToolSpec,
)
from brain.engines.recipes import language_model_rungs
from brain.planner.prompt import system_text, world_text
from brain.planner.schema import PlanOutput, PlanRequest, output_schema
from brain.settings import Settings
from tests.engines.llm.openai_real_server import MODEL, LlamaServer, a_llama_server

HEAD = ToolSpec(
    "move_head",
    "Turn the head.",
    {
        "type": "object",
        "properties": {"direction": {"type": "string", "enum": ["left", "right", "up", "down"]}},
        "required": ["direction"],
    },
)
# What takes the pocket mind so long that there is time to break it off.
NUMBERS = {"type": "array", "items": {"type": "integer"}, "minItems": 400}


KEY = "sesam"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], LlamaServer]]:
    """Gives the one server of this module; a new one if a test has killed the last."""
    folder = tmp_path_factory.mktemp("llama")
    with contextlib.ExitStack() as stack:
        running: list[LlamaServer] = []

        def server() -> LlamaServer:
            if not running or running[-1].process.poll() is not None:
                running.append(stack.enter_context(a_llama_server(folder, "--api_key", KEY)))
            return running[-1]

        yield server


@pytest.fixture
def server(servers: Callable[[], LlamaServer]) -> LlamaServer:
    return servers()


def run(server: LlamaServer, main: Callable[[OpenAIMind], Any], model: str = "") -> Any:
    async def whole() -> Any:
        mind = await OpenAIMind.load(OpenAIOptions(server.url, model, KEY, 0.0, 200))
        try:
            return await asyncio.wait_for(main(mind), 60)
        finally:
            await mind.close()

    return asyncio.run(whole())


async def answer(
    mind: LanguageModel, messages: Sequence[Message] | str, **more: Any
) -> list[Text | ToolCall]:
    asked = [Message("user", messages)] if isinstance(messages, str) else messages
    ticket = more.pop("ticket", None) or Ticket("a")
    return [item async for item in mind.stream(asked, ticket=ticket, **more)]


async def rest_of(stream: AsyncGenerator[Text | ToolCall, None]) -> list[Text | ToolCall]:
    return [item async for item in stream]


def text_of(items: Sequence[Text | ToolCall]) -> str:
    return "".join(item.text for item in items if isinstance(item, Text))


def test_a_call_that_the_server_leaves_in_the_text(server: LlamaServer) -> None:
    async def main(mind: OpenAIMind) -> None:
        look = Message("user", "Look to the left.")
        (call,) = await answer(mind, [look], tools=[HEAD])
        assert call == ToolCall("move_head", '{"direction": "left"}')
        done = [
            look,
            Message("assistant", "", tool_calls=(ToolCall(call.name, call.arguments, "c1"),)),
            Message("tool", '{"status": "ok"}', call_id="c1", name=call.name),
        ]
        assert text_of(await answer(mind, done, tools=[HEAD]))

    run(server, main)


def test_a_call_that_lacks_what_is_required_is_dropped(server: LlamaServer) -> None:
    strict = replace(HEAD, parameters={**HEAD.parameters, "required": ["direction", "speed"]})

    async def main(mind: OpenAIMind) -> None:
        assert await answer(mind, "Look to the left.", tools=[strict]) == []
        assert mind.calls_dropped == 1

    run(server, main)


def test_a_plan_is_held_to_its_schema(server: LlamaServer) -> None:
    request = PlanRequest(
        robot_id="r", seq=1, monotonic_ts_ms=1, mode="autonomous", battery_mv=7600, range_mm=900,
        ball_detected=True, ball_confidence=0.9, ball_bearing_deg=12.0, vision_age_ms=50,
        trigger="ball_seen",
    )  # fmt: skip
    messages = [Message("system", system_text()), Message("user", world_text(request))]

    async def main(mind: OpenAIMind) -> None:
        schema = output_schema()
        for _ in range(2):
            plan = json.loads(text_of(await answer(mind, messages, schema=schema)))
            assert jsonschema_rs.is_valid(schema, plan)
            assert PlanOutput.model_validate(plan).actions
        # Whatever it is asked, the form holds. (No more than that: this server's grammar knows no
        # bounds of numbers, and lets line breaks into strings.)
        form = {
            "type": "object",
            "properties": {"skill": {"enum": ["moo", "patrol"]}, "loud": {"type": "boolean"}},
            "required": ["skill", "loud"],
            "additionalProperties": False,
        }
        noise = json.loads(text_of(await answer(mind, "What does a cow say?", schema=form)))
        assert jsonschema_rs.is_valid(form, noise)

    run(server, main)


def test_a_cancel_ends_the_server_s_work(server: LlamaServer) -> None:
    async def main(mind: OpenAIMind) -> None:
        before = server.log.read_text().count("Disconnected from client")
        ticket = Ticket("a")
        stream = mind.stream(
            [Message("user", "Count.")], schema=NUMBERS, max_tokens=3000, ticket=ticket
        )
        await stream.__anext__()
        ticket.cancel.cancel()
        with pytest.raises(Cancelled):
            await rest_of(stream)
        # It serves one at a time, so this waits for the other's end.
        assert text_of(await answer(mind, "What does a cow say?"))
        assert server.log.read_text().count("Disconnected from client") == before + 1

    run(server, main)


def test_probing_does_not_disturb_a_reply(server: LlamaServer) -> None:
    async def main(mind: OpenAIMind) -> None:
        stream = mind.stream(
            [Message("user", "Count.")], schema=NUMBERS, max_tokens=150, ticket=Ticket("a")
        )
        said = [await stream.__anext__()]
        for _ in range(3):
            await probe(OpenAIOptions(server.url))
        said += await rest_of(stream)
        assert len(said) > 100

    run(server, main)


def test_a_conversation_that_is_too_long_fails_and_says_so(server: LlamaServer) -> None:
    async def main(mind: OpenAIMind) -> None:
        with pytest.raises(EngineFailed, match="too long"):
            await answer(mind, "Tell me about the robots of the north. " * 1000)
        assert text_of(await answer(mind, "What does a cow say?"))

    run(server, main)


@pytest.mark.setting("OPENAI_MODEL")
def test_a_name_that_this_server_does_not_know(
    server: LlamaServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It takes any name for its only model, so we are told by a warning alone."""

    async def main(mind: OpenAIMind) -> None:
        assert mind.info.model == "another"
        assert "moo" in text_of(await answer(mind, "What does a cow say?")).lower()

    run(server, main, model="another")
    assert f"another is not among the models listed: {MODEL}" in caplog.text.replace("=", " ")


@pytest.mark.setting("OPENAI_API_KEY")
def test_a_wrong_key_is_refused(server: LlamaServer) -> None:
    async def main() -> None:
        for key in ("", "guess"):
            with pytest.raises(EngineUnavailable, match="OPENAI_API_KEY"):
                await OpenAIMind.load(OpenAIOptions(server.url, api_key=key))
            await probe(OpenAIOptions(server.url, api_key=key))

    asyncio.run(main())


@pytest.mark.setting("LLM_BACKEND", "OPENAI_URL")
def test_a_server_killed_in_the_middle(server: LlamaServer) -> None:
    """A reply that has begun fails; the next ones come from the pocket mind."""
    settings = Settings(
        llm_backend="openai", openai_url=server.url, openai_api_key=KEY, llm_temperature=0
    )

    async def main() -> None:
        ladder: Ladder[LanguageModel] = Ladder("llm", language_model_rungs(settings))
        mind = LadderLanguageModel(ladder)
        await ladder.start()
        await ladder.climb()
        assert mind.info == EngineInfo("openai", MODEL, "remote", sees=None)
        count = [Message("user", "Count.")]
        stream = mind.stream(count, schema=NUMBERS, max_tokens=3000, ticket=Ticket("a"))
        await stream.__anext__()
        # Stopped first, so that not all is on its way already.
        server.process.send_signal(signal.SIGSTOP)
        server.kill()
        with pytest.raises(EngineFailed):
            await rest_of(stream)
        assert "four" in text_of(await answer(mind, "What is two plus two?")).lower()
        assert ladder.state.active == "llamacpp"
        assert f"OPENAI_URL={server.url}" in ladder.state.reason
        with pytest.raises(EngineUnavailable, match="OPENAI_URL"):
            await probe(OpenAIOptions(server.url))
        await ladder.close()

    asyncio.run(main())
