"""Our OpenAI adapter against vLLM's own server, with the pocket mind in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from brain.engines.llm.openai import OpenAIMind, OpenAIOptions, probe
from brain.engines.ports import LanguageModel, Message, Ticket, ToolCall
from tests.engines.conformance.every_engine import cancelled_after, taken
from tests.engines.conformance.test_minds import FORM, HEAD, LEFT, NUMBERS
from tests.engines.llm.pocket_mind import text_of
from tests.vllm.vllm_server import VllmServer, a_vllm_server


@pytest.fixture(scope="module")
def server(pocket: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    tools = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")
    with a_vllm_server(pocket, tmp_path_factory.mktemp("server"), *tools) as made:
        yield made


def test_it_talks_calls_plans_and_lets_go(server: VllmServer) -> None:
    async def main() -> None:
        options = OpenAIOptions(server.url, "", "", 0.0, 200)
        await probe(options)
        mind = await OpenAIMind.load(options)
        try:
            assert (mind.info.model, mind.info.device) == ("pocket", "remote")
            items = await said(mind, "What does a cow say?", max_tokens=24)
            assert len(items) > 2
            assert "moo" in text_of(items).lower()
            [call] = await said(mind, LEFT, tools=[HEAD])
            assert call == ToolCall(HEAD.name, '{"direction": "left"}')
            form = json.loads(text_of(await said(mind, LEFT, schema=FORM, max_tokens=60)))
            assert jsonschema_rs.is_valid(FORM, form)
            ticket = Ticket("a")
            count = mind.stream(
                [Message("user", "Count.")], schema=NUMBERS, max_tokens=1500, ticket=ticket
            )
            assert len(await cancelled_after(3, count, ticket)) == 3
            assert text_of(await said(mind, "What does a cow say?", max_tokens=24))
        finally:
            await mind.close()

    asyncio.run(main())


async def said(mind: LanguageModel, text: str, **more: Any) -> list[Any]:
    return await taken(mind.stream([Message("user", text)], ticket=Ticket("a"), **more))
