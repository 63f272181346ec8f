"""A mind that sees, for real: llama.cpp's mtmd with random eyes, in our own batcher.

Each test runs with both kinds of positions: LLaVA's, one a token, and those of Qwen-VL (M-RoPE), of
which a picture takes fewer than it has tokens.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_cpp import llama_cpp as api
from llama_cpp import mtmd_cpp as mtmd

from brain.engines.llm.llamacpp import LlamaCppMind
from brain.engines.llm.native import ContextShape, Entry, NativeContext, NativeModel
from brain.engines.ports import (
    Cancelled,
    CancelToken,
    CannotSee,
    EngineFailed,
    Message,
    Ticket,
    ToolCall,
)
from tests.engines.llm.pocket_mind import answer, loaded, text_of
from tests.engines.llm.tiny_eyes import (
    MIND,
    write_llava_eyes,
    write_qwen_eyes,
    write_qwen_mind,
)
from tests.pictures import picture

# Colours of which both minds say something else.
COLORS = ("red", "green", "blue", "white", "yellow")


@dataclass(frozen=True)
class Files:
    mind: Path
    eyes: Path


@pytest.fixture(scope="module", params=["llava", "qwen"])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("eyes")
    if request.param == "llava":
        return Files(MIND, write_llava_eyes(folder / "mmproj.gguf"))
    return Files(write_qwen_mind(folder / "mind.gguf"), write_qwen_eyes(folder / "mmproj.gguf"))


def run(files: Files, main: Callable[[LlamaCppMind], Any], **changes: Any) -> Any:
    async def whole() -> Any:
        async with loaded(model=files.mind, eyes=files.eyes, **changes) as mind:
            return await main(mind)

    return asyncio.run(whole())


def shown(*pictures: bytes, text: str = "Hello.") -> list[Message]:
    return [Message("system", "You are a robot."), Message("user", text, images=pictures)]


async def said(mind: LlamaCppMind, messages: Sequence[Message] | str, robot: str = "a") -> str:
    return text_of(await answer(mind, messages, robot))


def test_what_it_says_depends_on_the_picture_alone(files: Files) -> None:
    async def main(mind: LlamaCppMind) -> None:
        assert mind.info.sees is True
        first = [await said(mind, shown(picture(color))) for color in COLORS]
        assert len(set(first)) >= 2
        again = [await said(mind, shown(picture(color))) for color in reversed(COLORS)]
        assert again == first[::-1]

    run(files, main)


def test_texts_are_answered_as_by_a_mind_without_eyes(files: Files) -> None:
    async def main(mind: LlamaCppMind) -> list[str]:
        await said(mind, shown(picture()))
        return [await said(mind, text) for text in ("What is two plus two?", "Hello.")]

    async def blind() -> list[str]:
        async with loaded() as mind:
            assert mind.info.sees is False
            return [await said(mind, text) for text in ("What is two plus two?", "Hello.")]

    assert run(files, main) == asyncio.run(blind())


@pytest.mark.parametrize("color", COLORS[:4])
@pytest.mark.parametrize("batch", [16, 128])
def test_it_is_what_llama_cpps_own_helper_makes_of_it(files: Files, color: str, batch: int) -> None:
    seen = picture(color, (300, 200))

    async def main(mind: LlamaCppMind) -> str:
        await said(mind, "Something else.", "b")
        return await said(mind, shown(seen))

    assert run(files, main, batch=batch) == by_the_helper(files, seen)


def test_several_pictures_keep_their_order(files: Files) -> None:
    async def main(mind: LlamaCppMind) -> None:
        pairs = [(COLORS[i], COLORS[i + 1]) for i in range(len(COLORS) - 1)]
        one_way = [await said(mind, shown(picture(a), picture(b))) for a, b in pairs]
        other_way = [await said(mind, shown(picture(b), picture(a))) for a, b in pairs]
        assert one_way != other_way

    run(files, main)


def test_a_picture_is_computed_once_and_never_taken_for_another(files: Files) -> None:
    async def main(mind: LlamaCppMind) -> None:
        first = shown(picture("red"))
        reply = await said(mind, first)
        before = mind.counters
        more = [*first, Message("assistant", reply), Message("user", "What is two plus two?")]
        await said(mind, more)
        after = mind.counters
        computed = after.prefilled - before.prefilled
        assert computed < 20  # the new words, and not the picture
        assert after.reused - before.reused > 20
        await said(mind, shown(picture("blue")))
        assert mind.counters.prefilled - after.prefilled > 20
        assert await said(mind, shown(picture("red"))) == reply

    run(files, main)


def test_the_picture_of_a_tool_goes_with_its_result(files: Files) -> None:
    call = ToolCall("camera", '{"question": "What is there?"}', "c1")

    def asked(*images: bytes) -> list[Message]:
        return [
            Message("user", "Hello."),
            Message("assistant", "", (call,)),
            Message("tool", '{"status": "ok"}', call_id="c1", name="camera", images=images),
        ]

    async def main(mind: LlamaCppMind) -> None:
        replies = {await said(mind, asked(picture(color))) for color in COLORS}
        replies.add(await said(mind, asked()))
        assert len(replies) >= 2

    run(files, main)


def test_two_robots_at_once_hear_what_each_hears_alone(files: Files) -> None:
    async def main(mind: LlamaCppMind) -> None:
        asked = [
            shown(picture("red")), "What is two plus two?", shown(picture("green"), picture("red")),
            "What does a cow say?",
        ]  # fmt: skip
        alone = [await said(mind, messages) for messages in asked]
        together = await asyncio.gather(
            *(said(mind, messages, f"robot {i}") for i, messages in enumerate(asked))
        )
        assert together == alone

    run(files, main)
    run(files, main, batch=16)


class SlowEyes:
    """mtmd's encoder, held up until it is let go: that of a large model takes seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at_work, self.go = threading.Event(), threading.Event()
        encode = mtmd.mtmd_encode_chunk

        def slowly(*arguments: Any) -> Any:
            self.at_work.set()
            assert self.go.wait(30)
            return encode(*arguments)

        monkeypatch.setattr(mtmd, "mtmd_encode_chunk", slowly)


@pytest.fixture
def slow_eyes(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowEyes]:
    eyes = SlowEyes(monkeypatch)
    yield eyes
    eyes.go.set()


def test_nobody_waits_for_anothers_picture(files: Files, slow_eyes: SlowEyes) -> None:
    async def main(mind: LlamaCppMind) -> None:
        looking = asyncio.ensure_future(said(mind, shown(picture()), "a"))
        await asyncio.to_thread(slow_eyes.at_work.wait, 30)
        assert await said(mind, "What is two plus two?", "b") == "The answer is four."
        assert not looking.done()
        slow_eyes.go.set()
        assert await looking == await said(mind, shown(picture()))

    run(files, main)


def test_a_cancel_does_not_wait_for_the_encoder(files: Files, slow_eyes: SlowEyes) -> None:
    async def main(mind: LlamaCppMind) -> None:
        cancel = CancelToken()
        ticket = Ticket("a", cancel=cancel)
        looking = asyncio.ensure_future(answer(mind, shown(picture()), ticket=ticket))
        await asyncio.to_thread(slow_eyes.at_work.wait, 30)
        cancel.cancel()
        with pytest.raises(Cancelled):
            await asyncio.wait_for(looking, 5)
        assert await said(mind, "What is two plus two?") == "The answer is four."
        slow_eyes.go.set()
        assert await said(mind, shown(picture())) == by_the_helper(files, picture())

    run(files, main)


def test_a_cancel_at_any_moment_leaves_nothing_wrong_behind(files: Files) -> None:
    async def main(mind: LlamaCppMind) -> None:
        asked = shown(picture("red", (600, 400)), picture("blue"))
        right = await said(mind, asked)
        for steps in range(12):
            other = shown(picture(COLORS[steps % 5], (560, 28 + steps * 28)), picture("green"))
            cancel = CancelToken()
            job = asyncio.ensure_future(answer(mind, other, ticket=Ticket("b", cancel=cancel)))
            await asyncio.sleep(steps * 0.002)
            cancel.cancel()
            await asyncio.wait({job})
        assert await said(mind, asked) == right

    run(files, main, batch=16)


def test_what_is_no_picture_costs_one_reply(files: Files) -> None:
    async def main(mind: LlamaCppMind) -> None:
        with pytest.raises(EngineFailed, match="picture can't be read"):
            await said(mind, shown(b"\xff\xd8 no picture"))
        assert await said(mind, "What is two plus two?") == "The answer is four."

    run(files, main)


def test_an_encoder_that_fails_costs_one_reply(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(mind: LlamaCppMind) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(mtmd, "mtmd_encode_chunk", lambda *_: 1)
            with pytest.raises(EngineFailed, match="can't encode"):
                await said(mind, shown(picture()))
        assert await said(mind, shown(picture("blue")))

    run(files, main)


def test_a_picture_too_many_for_the_context_is_told(files: Files) -> None:
    async def main(mind: LlamaCppMind) -> None:
        # (No turn can be left out: it is all one.)
        many = [picture(color, (640, 640)) for color in COLORS] * 7
        with pytest.raises(EngineFailed, match="leaves no room for a reply"):
            await said(mind, shown(*many))
        assert await said(mind, "What is two plus two?") == "The answer is four."

    run(files, main)


def test_it_is_closed_while_it_looks(files: Files, slow_eyes: SlowEyes) -> None:
    async def main() -> None:
        async with loaded(model=files.mind, eyes=files.eyes) as mind:
            looking = asyncio.ensure_future(said(mind, shown(picture())))
            await asyncio.to_thread(slow_eyes.at_work.wait, 30)
            asyncio.get_running_loop().call_later(0.05, slow_eyes.go.set)
        with pytest.raises(Exception, match="closed"):
            await looking
        await mind.close()

    asyncio.run(main())


@pytest.mark.parametrize("fault", ["missing", "garbage", "of another model", "a text model"])
def test_eyes_that_fit_no_mind_leave_it_blind_and_say_why(
    fault: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    eyes = tmp_path / "mmproj.gguf"
    if fault == "garbage":
        eyes.write_bytes(b"GGUF" + bytes(100))
    elif fault == "of another model":
        write_llava_eyes(eyes, width=128)
    elif fault == "a text model":
        eyes = MIND

    async def main() -> None:
        async with loaded(eyes=eyes) as mind:
            assert mind.info.sees is False
            with pytest.raises(CannotSee, match="LLM_MMPROJ_PATH"):
                await said(mind, shown(picture()))
            assert await said(mind, "What is two plus two?") == "The answer is four."

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert "LLM_MMPROJ_PATH" in caplog.text


# -- another way to the same answer --------------------------------------------------------------


def by_the_helper(files: Files, seen: bytes) -> str:
    """What mtmd's own helper and the likeliest tokens make of a picture and "Hello."."""
    model = NativeModel(files.mind)
    params = mtmd.mtmd_context_params_default()
    params.use_gpu = params.print_timings = params.warmup = False
    eyes = mtmd.mtmd_init_from_file(str(files.eyes).encode(), model.handle, params)
    context = NativeContext(model, ContextShape(cells=2048, sequences=1, batch=256, threads=1))
    options = mtmd.mtmd_helper_init_opt_default()
    loaded = mtmd.mtmd_helper_bitmap_init_from_buf(
        eyes, (ctypes.c_uint8 * len(seen)).from_buffer_copy(seen), len(seen), False, options
    )
    words = (
        f"<|im_start|>system\ntalk<|im_end|>\n<|im_start|>user\n"
        f"{mtmd.mtmd_default_marker().decode()}Hello.<|im_end|>\n<|im_start|>assistant\n"
    ).encode()
    chunks = mtmd.mtmd_input_chunks_init()
    text = mtmd.mtmd_input_text(words, len(words), False, True)
    bitmap = getattr(loaded, "bitmap", loaded)
    bitmaps = (ctypes.c_void_p * 1)(bitmap)
    assert mtmd.mtmd_tokenize(eyes, chunks, ctypes.byref(text), bitmaps, 1) == 0
    past = api.llama_pos(0)
    outcome = mtmd.mtmd_helper_eval_chunks(
        eyes, context.handle, chunks, 0, 0, 256, True, ctypes.byref(past)
    )
    assert outcome == 0
    position, out, index = past.value, b"", -1
    while True:
        token = int(np.argmax(context.logits(index, model.n_vocab)))
        if model.ends_generation(token):
            break
        out += model.piece(token)
        context.decode([Entry(token, position, 0, True)])
        position, index = position + 1, 0
    mtmd.mtmd_input_chunks_free(chunks)
    mtmd.mtmd_bitmap_free(bitmap)
    mtmd.mtmd_free(eyes)
    context.close()
    model.close()
    return out.decode()
