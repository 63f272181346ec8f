"""Pictures for minds on other servers: a real one, and scripted ones for what servers differ in."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from brain.engines.llm.ollama import OllamaMind
from brain.engines.llm.openai import OpenAIMind, OpenAIOptions
from brain.engines.ports import (
    CannotSee,
    EngineBusy,
    EngineFailed,
    LanguageModel,
    Message,
    Ticket,
    ToolCall,
)
from tests.engines.llm.ollama_asking import options, run
from tests.engines.llm.ollama_server import OllamaServer, Refuse
from tests.engines.llm.openai_real_server import a_llama_server
from tests.engines.llm.openai_scripted_server import (
    Answer,
    ScriptedServer,
    a_server,
    refuses,
    says,
)
from tests.engines.llm.pocket_mind import answer, loaded, text_of
from tests.engines.llm.tiny_eyes import write_llava_eyes, write_mind_of_parts
from tests.pictures import picture

COLORS = ("red", "green", "blue", "white", "yellow")
LOOK = [Message("user", "What is this?", images=(picture(),))]
SAW = [
    Message("user", "Look."),
    Message("assistant", "", (ToolCall("camera", "{}", "c1"), ToolCall("nod", "{}", "c2"))),
    Message("tool", "taken", call_id="c1", name="camera", images=(picture("red"),)),
    Message("tool", "done", call_id="c2", name="nod"),
]


async def said(mind: LanguageModel, messages: Sequence[Message]) -> str:
    return text_of([item async for item in mind.stream(messages, ticket=Ticket("a"))])


@asynccontextmanager
async def at(url: str) -> AsyncIterator[OpenAIMind]:
    mind = await OpenAIMind.load(OpenAIOptions(url, temperature=0.0, max_tokens=40))
    try:
        yield mind
    finally:
        await mind.close()


def test_llama_cpp_pythons_server_sees_what_our_own_mind_sees(tmp_path: Path) -> None:
    """The same random eyes there and here; the template is one that takes parts alone."""
    model = write_mind_of_parts(tmp_path / "mind.gguf")
    eyes = write_llava_eyes(tmp_path / "mmproj.gguf")
    asked = [[Message("user", "", images=(picture(color),))] for color in COLORS]

    async def there(url: str) -> list[str]:
        async with at(url) as mind:
            assert mind.info.sees is None
            replies = [await said(mind, messages) for messages in asked]
            assert mind.info.sees is True
            return replies

    async def here() -> list[str]:
        async with loaded(model=model, eyes=eyes) as mind:
            assert text_of(await answer(mind, "What is two plus two?")) == "The answer is four."
            return [text_of(await answer(mind, messages)) for messages in asked]

    arguments = ["--chat_format", "mtmd", "--clip_model_path", str(eyes)]
    with a_llama_server(tmp_path, "--model", str(model), *arguments) as server:
        replies = asyncio.run(there(server.url))
    assert len(set(replies)) >= 2
    assert replies == asyncio.run(here())


def test_llama_cpp_pythons_server_without_eyes_is_found_out(tmp_path: Path) -> None:
    """It accepts the question, and then breaks off its answer without a word."""

    async def main(url: str) -> None:
        async with at(url) as mind:
            with pytest.raises(CannotSee):
                await said(mind, LOOK)
            assert await said(mind, [Message("user", "What is two plus two?")])

    with a_llama_server(tmp_path) as server:
        asyncio.run(main(server.url))


# -- scripted: OpenAI's form ----------------------------------------------------------------------


def scripted(main: Callable[[ScriptedServer, OpenAIMind], Any], *answers: Answer) -> None:
    async def whole() -> None:
        script = iter(answers)
        async with a_server(lambda _: next(script)) as server, at(server.url) as mind:
            await main(server, mind)

    asyncio.run(whole())


def url_of(data: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def test_pictures_go_over_byte_for_byte_and_a_tools_after_all_results() -> None:
    async def main(server: ScriptedServer, mind: OpenAIMind) -> None:
        await said(mind, SAW)
        messages = server.asked[0]["messages"]
        assert [message["role"] for message in messages] == [
            "user", "assistant", "tool", "tool", "user",
        ]  # fmt: skip
        assert [messages[2]["content"], messages[3]["content"]] == ["taken", "done"]
        text, image = messages[4]["content"]
        assert text == {"type": "text", "text": "(The picture of camera.)"}
        assert image == {"type": "image_url", "image_url": {"url": url_of(picture("red"))}}
        assert mind.info.sees is True

    scripted(main, says("A ball."))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "At most 0 image(s) may be provided in one prompt."),
        (400, "qwen3 is not a multimodal model"),
        (400, "Invalid content type. image_url is only supported by certain models."),
        (500, "image input is not supported - hint: you may need to provide the mmproj"),
        (400, "Model does not support images. Please use a model that does."),
    ],
)
def test_a_refusal_that_names_pictures_is_learned_from(status: int, words: str) -> None:
    async def main(server: ScriptedServer, mind: OpenAIMind) -> None:
        for _ in range(2):
            with pytest.raises(CannotSee, match="takes no pictures"):
                await said(mind, LOOK)
        assert mind.info.sees is False
        assert len(server.asked) == 1
        assert await said(mind, [Message("user", "Hello.")]) == "Hello."

    scripted(main, refuses(status, words), says("Hello."))


@pytest.mark.parametrize(
    "refusal",
    [
        refuses(400, "Input should be a valid string"),
        refuses(422, "content: str type expected"),
        refuses(413, "Request Entity Too Large"),
    ],
)
def test_a_plain_refusal_may_have_been_for_this_picture_alone(refusal: Answer) -> None:
    async def main(server: ScriptedServer, mind: OpenAIMind) -> None:
        with pytest.raises(CannotSee):
            await said(mind, LOOK)
        assert mind.info.sees is None
        assert await said(mind, LOOK) == "A ball."

    scripted(main, refusal, says("A ball."))


@pytest.mark.parametrize(
    ("answer_", "error"),
    [
        (refuses(429, "rate limit for image input supported models"), EngineBusy),
        (refuses(500, "out of memory"), EngineFailed),
    ],
)
def test_other_failures_stay_what_they_are(answer_: Answer, error: type[Exception]) -> None:
    async def main(server: ScriptedServer, mind: OpenAIMind) -> None:
        with pytest.raises(error):
            await said(mind, LOOK)
        assert mind.info.sees is None

    scripted(main, answer_)


def test_a_refusal_without_pictures_is_not_about_them() -> None:
    async def main(server: ScriptedServer, mind: OpenAIMind) -> None:
        with pytest.raises(EngineFailed):
            await said(mind, [Message("user", "Hello.")])
        assert mind.info.sees is None

    scripted(main, refuses(400, "images are not supported"))


# -- scripted: Ollama's form ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capabilities", "sees"),
    [(("completion", "vision"), True), (("completion", "tools"), False), ((), None)],
)
def test_ollama_says_beforehand_whether_a_model_sees(
    capabilities: tuple[str, ...], sees: bool | None
) -> None:
    async def main(server: OllamaServer) -> None:
        server.models["qwen3:14b"] = capabilities
        mind = await OllamaMind.load(options(server))
        assert mind.info.sees is sees
        if sees is False:
            with pytest.raises(CannotSee):
                await said(mind, LOOK)
            assert not server.asked("/api/chat")
        else:
            await said(mind, LOOK)
            assert mind.info.sees is True
        await mind.close()

    run(main)


def test_ollama_gets_a_tools_picture_from_the_user() -> None:
    async def main(server: OllamaServer) -> None:
        server.models["qwen3:14b"] = ("completion", "tools", "vision")
        mind = await OllamaMind.load(options(server))
        await said(mind, SAW)
        messages = server.asked("/api/chat")[0]["messages"]
        assert [message["role"] for message in messages] == [
            "user", "assistant", "tool", "tool", "user",
        ]  # fmt: skip
        assert messages[4]["images"] == [base64.b64encode(picture("red")).decode()]
        await mind.close()

    run(main)


def test_an_ollama_that_refuses_pictures_is_learned_from() -> None:
    async def main(server: OllamaServer) -> None:
        server.models["qwen3:14b"] = ()
        error = "this model is missing data required for image input"
        server.replies = [Refuse(500, f'{{"error": "{error}"}}'), "Hello."]
        mind = await OllamaMind.load(options(server))
        for _ in range(2):
            with pytest.raises(CannotSee):
                await said(mind, LOOK)
        assert mind.info.sees is False
        assert await said(mind, [Message("user", "Hello.")]) == "Hello."
        assert len(server.asked("/api/chat")) == 2
        await mind.close()

    run(main)
