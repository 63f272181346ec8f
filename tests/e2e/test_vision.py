"""A robot shows the brain pictures: the whole product, with a real mind whose eyes are random.

The mind is the pocket's, with an mmproj file (LLM_MMPROJ_PATH). What it says of a picture means
nothing, but it is what that mind says of that very picture, and of no other.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from client_tests.reachy_parts import Robot as AppRobot
from client_tests.reachy_parts import ScriptedApp, running
from PIL import Image

from brain.engines.llm.llamacpp import LlamaCppMind
from brain.engines.ports import Message, ToolCall, ToolSpec
from brain.engines.recipes.minds import llamacpp_options
from brain.pictures import fitted
from brain.settings import Settings
from robot_client.address import brain_address
from robot_client.reachy.server import LocalServer
from tests.e2e.pocket import RATE, Brain, a_pocket_brain, spoken
from tests.e2e.sockets import Robot, a_robot
from tests.engines.llm.openai_scripted_server import a_server, says
from tests.engines.llm.pocket_mind import answer, text_of
from tests.engines.llm.tiny_eyes import MIND, write_llava_eyes
from tests.pictures import picture


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    shutil.copy(MIND, folder / "mind.gguf")
    write_llava_eyes(folder / "mmproj.gguf")
    return folder


def settings(models: Path, eyes: str = "mmproj.gguf") -> dict[str, str]:
    return {
        "LLM_BACKEND": "llamacpp", "LLM_MODEL_PATH": "mind.gguf", "LLM_MMPROJ_PATH": eyes,
        "MODELS_DIR": str(models), "LLM_TEMPERATURE": "0", "EMOTIONS": "0", "DEFAULT_TOOLS": "none",
        "LLM_CONTEXT": "2048", "IMAGE_MAX_EDGE": "200",
    }  # fmt: skip


@pytest.fixture(scope="module")
def brain(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brain]:
    folder = tmp_path_factory.mktemp("brain")
    with a_pocket_brain(folder, environ=settings(models)) as running_brain:
        running_brain.until_ready()
        yield running_brain


def alone(
    models: Path, asked: Sequence[Sequence[Message]], tools: Sequence[ToolSpec] = ()
) -> list[str]:
    """What the mind says to each, with nothing of a brain about it."""

    async def main() -> list[str]:
        values = {name.lower(): value for name, value in settings(models).items()}
        mind = await LlamaCppMind.load(llamacpp_options(Settings(**values), "mind.gguf"))
        try:
            return [text_of(await answer(mind, messages, tools=tools)) for messages in asked]
        finally:
            await mind.close()

    return asyncio.run(main())


async def show(robot: Robot, data: bytes, **fields: str) -> None:
    await robot.send(type="image", data=base64.b64encode(data).decode(), **fields)


async def reply(robot: Robot) -> str:
    said = await robot.next("transcript_assistant", 30)
    await robot.next("reply_done", 30)
    text: str = said["text"]
    return text


def test_a_picture_and_words_are_answered_and_the_next_turn_is_without_it(
    brain: Brain, models: Path
) -> None:
    pictures = [picture(color, (640, 480)) for color in ("red", "yellow")]

    async def main() -> list[str]:
        replies = []
        for data in pictures:
            async with a_robot(brain.address, query="") as robot:
                await robot.next("ready")
                await show(robot, data)
                await robot.send(type="text", text="Hello.")
                replies.append(await reply(robot))
                if data is pictures[0]:
                    await robot.send(type="text", text="What is two plus two?")
                    assert await reply(robot) == "The answer is four."
        return replies

    system = Message("system", "talk")
    asked = [[system, Message("user", "Hello.", images=(fitted(data, 200),))] for data in pictures]
    replies = asyncio.run(main())
    assert replies == alone(models, asked)
    assert replies[0] != replies[1]


def test_a_picture_goes_with_what_is_spoken(brain: Brain, models: Path) -> None:
    async def main() -> tuple[str, str]:
        async with a_robot(brain.address, query="") as robot:
            await robot.next("ready")
            await show(robot, picture("blue"))
            await robot.speak(spoken("Hello."))
            heard = (await robot.next("transcript_user", 30))["text"]
            return heard, await reply(robot)

    heard, said = asyncio.run(main())
    seen = (fitted(picture("blue"), 200),)
    asked = [Message("system", "talk"), Message("user", heard, images=seen)]
    assert [said] == alone(models, [asked])


def test_the_camera_tool_of_the_reachy_app_shows_the_model_its_picture(
    brain: Brain, models: Path
) -> None:
    """The core of `LocalSocketHandler`, whose tool gives `{"b64_im": …}`."""
    said: list[str] = []

    async def main(color: str) -> None:
        data = base64.b64encode(picture(color)).decode()
        app = ScriptedApp({"camera": lambda _: {"b64_im": data}})
        server = LocalServer(brain_address("127.0.0.1", brain.port, robot_id=f"app-{color}"))
        robot = AppRobot(server, app)
        async with running(robot):
            await robot.until(lambda: robot.core.reactions.voices, 30)
            sound = spoken("What do you see?").astype(np.float32) / 32768
            for start in range(0, len(sound), 512):
                await robot.core.receive((RATE, sound[start : start + 512][:, None]))
                await asyncio.sleep(0.01)
            words = robot_words(robot)
            await robot.until(lambda: len(robot_words(robot)) > len(words), 30)
        said.append(robot_words(robot)[-1])

    tool = ToolSpec("camera", "cameras", {"type": "object", "properties": {}})
    asked = []
    for color in ("red", "white"):
        asyncio.run(main(color))
        call = ToolCall("camera", "{}", "call_1_1")
        result = '{"status": "here is the picture"}'
        seen = (fitted(picture(color), 200),)
        asked.append([
            Message("system", "talk"), Message("user", "What do you see?"),
            Message("assistant", "", (call,)),
            Message("tool", result, call_id="call_1_1", name="camera", images=seen),
        ])  # fmt: skip
    assert said == alone(models, asked, [tool])


def robot_words(robot: AppRobot) -> list[str]:
    return [
        message["content"]
        for message in robot.messages
        if message["role"] == "assistant"
        and isinstance(message["content"], str)
        and "metadata" not in message
    ]


def test_a_mind_whose_eyes_are_missing_says_so_and_answers(models: Path, tmp_path: Path) -> None:
    async def main(address: str) -> None:
        async with a_robot(address) as robot:
            await robot.next("ready")
            await show(robot, picture())
            assert (await robot.next("error"))["code"] == "vision_unavailable"
            await robot.send(type="text", text="What do you see?")
            assert await reply(robot) == "I have no camera here, sorry."
            await robot.send(type="text", text="What is two plus two?")
            assert await reply(robot) == "The answer is four."

    with a_pocket_brain(tmp_path, environ=settings(models, "missing.gguf")) as running_brain:
        running_brain.until_ready()
        _, ready = running_brain.get("/ready")
        mind = ready["engines"]["llm"]
        assert (ready["degraded"], mind["degraded"]) == (True, True)
        assert "missing.gguf" in mind["reason"]
        assert running_brain.get("/health")[0] == 200, "it talks all the same"
        asyncio.run(main(running_brain.address))


@pytest.mark.setting("IMAGE_MAX_EDGE")
def test_an_openai_compatible_server_gets_the_picture_made_small(tmp_path: Path) -> None:
    """A scripted server: what arrives there is looked at byte for byte."""

    async def main() -> None:
        async with a_server(lambda _: says("A ball.")) as server:
            environ = {"LLM_BACKEND": "openai", "OPENAI_URL": server.url, "IMAGE_MAX_EDGE": "100"}
            with a_pocket_brain(tmp_path, environ=environ) as running_brain:
                await asyncio.to_thread(running_brain.until_ready)
                async with a_robot(running_brain.address) as robot:
                    await robot.next("ready")
                    await show(robot, picture("red", (640, 480)))
                    await robot.send(type="text", text="What is this?")
                    assert await reply(robot) == "A ball."
            text, image = server.asked[-1]["messages"][-1]["content"]
            assert text == {"type": "text", "text": "What is this?"}
            small = fitted(picture("red", (640, 480)), 100)
            data = base64.b64encode(small).decode()
            assert image["image_url"]["url"] == f"data:image/jpeg;base64,{data}"
            assert Image.open(BytesIO(small)).size == (100, 75)

    asyncio.run(main())
