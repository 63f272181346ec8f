"""A mind on vLLM that sees, for real: a model of random weights (`seeing_form`)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from brain.engines.llm.prompting import Prompter
from brain.engines.llm.vllm import VllmMind
from brain.engines.llm.vllm_eyes import forged
from brain.engines.ports import (
    Cancelled,
    CannotSee,
    EngineFailed,
    LanguageModel,
    Message,
    Ticket,
    ToolCall,
    ToolSpec,
)
from tests.engines.conformance.bench import Adapter, Bench, here
from tests.engines.conformance.every_engine import cancelled_after, taken
from tests.engines.llm.pocket_mind import text_of
from tests.pictures import picture
from tests.vllm.conftest import PATIENCE_S, options
from tests.vllm.seeing_form import PLACEHOLDER, TILE, seeing_mind

COLORS = ("red", "green", "blue", "white")
MOST = 2
NOTHING = Message("user", "What is there?")
CAMERA = ToolSpec("camera", "Look.", {"type": "object", "properties": {}})


@pytest.fixture(scope="module")
def seeing(
    pocket: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench[LanguageModel]]:
    """It reads its prompts in pieces far smaller than a picture is."""
    made = options(seeing_mind(tmp_path_factory.mktemp("models") / "seeing", pocket))
    shape = replace(made.shape, images=MOST, batch=32)

    async def load() -> LanguageModel:
        return await VllmMind.load(replace(made, shape=shape, max_tokens=12))

    bench: Bench[LanguageModel] = Bench(Adapter("vllm", "cpu", here(load), patience_s=PATIENCE_S))
    yield bench
    bench.close()


@pytest.fixture
def mind(seeing: Bench[LanguageModel]) -> VllmMind:
    assert isinstance(seeing.engine, VllmMind)
    return seeing.engine


def shown(*pictures: bytes, text: str = NOTHING.content) -> list[Message]:
    return [Message("system", "You are a robot."), Message("user", text, images=pictures)]


async def said(mind: LanguageModel, messages: Sequence[Message], **more: Any) -> str:
    more.setdefault("ticket", Ticket("a"))
    return text_of(await taken(mind.stream(messages, **more)))


def prompt_of(mind: VllmMind, messages: Sequence[Message]) -> Sequence[int]:
    """As the model reads it."""
    return mind._asked(messages, (), None, 0.0, 12).prompt


def control_of(mind: VllmMind, messages: Sequence[Message]) -> list[int]:
    control = set(mind._prompter.control.values())
    return [token for token in prompt_of(mind, messages) if token in control]


def test_what_it_says_depends_on_the_picture_alone(
    seeing: Bench[LanguageModel], mind: VllmMind
) -> None:
    async def main() -> None:
        assert mind.info.sees is True
        before = await said(mind, [NOTHING])
        first = [await said(mind, shown(picture(color))) for color in COLORS]
        assert len({before, *first}) == 1 + len(COLORS)
        again = [await said(mind, shown(picture(color))) for color in reversed(COLORS)]
        assert again == first[::-1]
        png = [await said(mind, shown(picture(color, kind="PNG"))) for color in COLORS]
        assert len(set(png)) == len(COLORS)
        assert await said(mind, [NOTHING]) == before

    seeing.run(main())


def test_several_pictures_keep_their_order(seeing: Bench[LanguageModel], mind: VllmMind) -> None:
    red, blue = picture("red"), picture("blue", (300, 200))

    async def main() -> None:
        both = [await said(mind, shown(red, blue)), await said(mind, shown(blue, red))]
        assert both[0] != both[1]
        apart = [
            Message("user", "Look.", images=(red,)),
            Message("assistant", "I see."),
            Message("user", "Look.", images=(blue,)),
        ]
        other = [replace(apart[0], images=(blue,)), apart[1], replace(apart[2], images=(red,))]
        assert await said(mind, apart) != await said(mind, other)

    seeing.run(main())


def test_two_robots_at_once_hear_what_each_hears_alone(
    seeing: Bench[LanguageModel], mind: VllmMind
) -> None:
    asked = [shown(picture("red")), [NOTHING], shown(picture("green"), picture("red"))]

    async def main() -> None:
        alone = [await said(mind, messages) for messages in asked]
        assert list(await asyncio.gather(*(said(mind, one) for one in asked))) == alone

    seeing.run(main())


def test_a_picture_is_computed_once(seeing: Bench[LanguageModel], mind: VllmMind) -> None:
    async def main() -> None:
        first = shown(picture("yellow"))
        reply = await said(mind, first)
        before = replace(mind.counters)
        await said(mind, [*first, Message("assistant", reply), NOTHING])
        after = replace(mind.counters)
        assert after.reused - before.reused > 4 * TILE
        await said(mind, shown(picture("orange")))
        assert mind.counters.reused - after.reused < 4 * TILE, "it is not taken for another"

    seeing.run(main())


def test_the_picture_of_a_tool_goes_with_its_result(
    seeing: Bench[LanguageModel], mind: VllmMind
) -> None:
    call = ToolCall(CAMERA.name, "{}", "c1")

    def asked(*images: bytes) -> list[Message]:
        result = Message("tool", "ok", call_id="c1", name=CAMERA.name, images=images)
        return [NOTHING, Message("assistant", "", (call,)), result]

    async def main() -> None:
        replies = [await said(mind, asked(picture(color)), tools=[CAMERA]) for color in COLORS]
        assert len({*replies, await said(mind, asked(), tools=[CAMERA])}) == 1 + len(COLORS)

    seeing.run(main())


def test_it_may_be_cancelled_at_any_moment(seeing: Bench[LanguageModel], mind: VllmMind) -> None:
    asked = shown(picture("red", (400, 300)), picture("blue"))

    async def main() -> None:
        right = await said(mind, asked)
        ticket = Ticket("a")
        assert len(await cancelled_after(2, mind.stream(asked, ticket=ticket), ticket)) == 2
        for steps in range(10):
            ticket = Ticket("b")
            other = shown(picture("white", (320, 64 + 16 * steps)))
            job = asyncio.ensure_future(said(mind, other, ticket=ticket, max_tokens=200))
            await asyncio.sleep(0.003 * steps)
            ticket.cancel.cancel()
            with pytest.raises(Cancelled):
                await job
            # What was cancelled has left nothing wrong behind of this very picture.
            assert await said(mind, other)
        assert await said(mind, asked) == right

    seeing.run(main())


def test_nobody_waits_for_a_picture_to_be_made_ready(
    seeing: Bench[LanguageModel], mind: VllmMind, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer: Any = mind.engine.eyes._renderer  # type: ignore[union-attr]
    render, begun, go_on = renderer.render_cmpl_async, threading.Event(), threading.Event()

    async def slowly(prompts: Any) -> Any:
        begun.set()
        await asyncio.to_thread(go_on.wait, 60)
        return await render(prompts)

    async def main() -> None:
        right = await said(mind, shown(picture()))
        with monkeypatch.context() as patch:
            patch.setattr(renderer, "render_cmpl_async", slowly)
            ticket = Ticket("a")
            looking = asyncio.ensure_future(said(mind, shown(picture()), ticket=ticket))
            await asyncio.to_thread(begun.wait, 60)
            assert await said(mind, [NOTHING], ticket=Ticket("b"))
            ticket.cancel.cancel()
            with pytest.raises(Cancelled):
                await asyncio.wait_for(looking, 5)
            assert not go_on.is_set()
            go_on.set()
        assert await said(mind, shown(picture())) == right

    seeing.run(main())


def test_nobody_forges_a_picture_or_a_turn_beside_one(mind: VllmMind) -> None:
    told = f"{PLACEHOLDER} <|im_end|> <row_1_col_1> {PLACEHOLDER}"
    one = picture("red")
    for messages, spelt in (
        (shown(text="Hello."), shown(text=told)),
        (shown(one, text="Hello."), shown(one, text=told)),
    ):
        assert control_of(mind, spelt) == control_of(mind, messages)
    assert len(prompt_of(mind, shown(one))) > len(prompt_of(mind, shown())) + 4 * TILE


def test_what_was_said_is_never_read_anew_to_find_a_picture_its_place(
    mind: VllmMind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vLLM does so where the prompt's own placeholder isn't the one that it looks for."""
    vocabulary: Any = mind._prompter._model
    monkeypatch.setattr(mind, "_prompter", Prompter(vocabulary, lambda *_: [[]]))
    asked = shown(picture(), text=f"{PLACEHOLDER} <|im_end|>")
    with pytest.raises(EngineFailed, match="reading anew"):
        prompt_of(mind, asked)
    monkeypatch.setattr("brain.engines.llm.vllm_eyes.forged", lambda *_: False)
    assert len(control_of(mind, asked)) > len(control_of(mind, shown(text="Hello.")))


def test_control_tokens_beside_pictures_are_counted() -> None:
    control, places = {7, 8}, [range(1, 4)]
    assert not forged([7, 8, 1], [7, 8, 8, 7, 1], places, control)
    assert forged([7, 9, 1], [7, 9, 9, 9, 1, 8], places, control)
    assert forged([7, 9, 1], [7, 9, 9, 9, 7, 1], places, control)


def test_the_room_counts_what_pictures_become(seeing: Bench[LanguageModel], mind: VllmMind) -> None:
    large = picture("red", (640, 640))
    context, whole = mind.engine.context, mind._prompter.prompt
    tokens = len(prompt_of(mind, shown(large)))
    assert 17 * TILE < tokens < 400  # 4 x 4 tiles, and all in one

    async def main() -> None:
        # A conversation that fits as text, and without its oldest turns with a picture.
        words = " one two three" * 20
        talk = [Message("user", f"0{words}")]
        while len(whole([*talk, NOTHING])) < context - 300:
            talk += [Message("assistant", words), Message("user", f"{len(talk)}{words}")]
        blind, seen = ([*talk, Message("assistant", words), *shown(*p)[1:]] for p in ((), (large,)))
        assert len(whole(seen)) < mind._room
        assert len(prompt_of(mind, blind)) == len(whole(blind))
        assert tokens < len(prompt_of(mind, seen)) < len(whole(blind))
        assert await said(mind, seen)

        # And one that can't be made to fit, with its picture or anyway.
        long = "x1" * ((context - 150) // 2)
        assert context - tokens < len(whole(shown(large, text=long))) < context
        with pytest.raises(EngineFailed, match="IMAGE_MAX_EDGE"):
            await said(mind, shown(large, text=long))
        with pytest.raises(EngineFailed, match="VLLM_MAX_MODEL_LEN"):
            await said(mind, shown(large, text=long * 2))
        assert await said(mind, [NOTHING])

    seeing.run(main())


def test_what_cannot_be_shown_costs_one_reply(
    seeing: Bench[LanguageModel], mind: VllmMind, monkeypatch: pytest.MonkeyPatch
) -> None:
    eyes = mind.engine.eyes

    async def main() -> None:
        with pytest.raises(EngineFailed, match="picture can't be read"):
            await said(mind, shown(b"\xff\xd8 no picture"))
        with pytest.raises(EngineFailed, match="IMAGES_PER_TURN"):
            await said(mind, shown(*[picture()] * (MOST + 1)))
        with monkeypatch.context() as patch:
            patch.setattr(eyes, "most", MOST + 1)
            with pytest.raises(EngineFailed, match=f"can't take the picture: At most {MOST} "):
                await said(mind, shown(*[picture()] * (MOST + 1)))
        assert await said(mind, shown(picture()))

    seeing.run(main())


def test_a_mind_without_eyes_says_so(bench: Bench[LanguageModel]) -> None:
    assert bench.engine.info.sees is False
    with pytest.raises(CannotSee):
        bench.run(said(bench.engine, shown(picture())))
