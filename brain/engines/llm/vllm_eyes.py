"""What a model that vLLM runs sees with: its own processor of pictures.

In the token ids that vLLM is given, a few stand where a picture is. vLLM puts in their place as
many as the picture takes of the context: how many is known only after that, so it is done before a
prompt is said to fit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vllm import TokensPrompt
from vllm.model_executor.model_loader import get_model_cls
from vllm.v1.engine.async_llm import AsyncLLM

from brain.engines.llm.pixels import unpacked
from brain.engines.loop_thread import LoopThread
from brain.engines.one_line import one_line
from brain.engines.ports import EngineFailed

_IMAGE = "image"


@dataclass(frozen=True)
class Seen:
    """A prompt as vLLM takes it: its `ids`, and, with pictures, what vLLM has made of it."""

    ids: Sequence[int]
    rendered: Any = None

    def __len__(self) -> int:
        return len(self.ids)


class VllmEyes:
    """`thread` is vLLM's. All may be called on any other."""

    def __init__(self, llm: AsyncLLM, thread: LoopThread) -> None:
        self._renderer: Any = llm.renderer
        self._model: Any = get_model_cls(llm.model_config)
        self._thread = thread
        self._info: Any = self._renderer.get_mm_processor().info
        self.most: int = self._info.allowed_mm_limits[_IMAGE]
        """Pictures of a prompt."""

    @property
    def template(self) -> str | None:
        """The chat template of the processor: some models' tokenizers have none."""
        template = getattr(self._info.get_hf_processor(), "chat_template", None)
        return template if isinstance(template, str) else None

    def placeholder(self, number: int) -> str:
        """What stands for the first, second, … picture in a prompt's text."""
        placeholder: str | None = self._model.get_placeholder_str(_IMAGE, number)
        return placeholder or ""

    def see(self, ids: Sequence[int], pictures: Sequence[bytes]) -> Seen:
        """The prompt with placeholders for `pictures`, JPEGs or PNGs in their order, as vLLM takes
        it. Blocks. Raises `EngineFailed`."""
        if len(pictures) > self.most:
            raise EngineFailed(
                f"The conversation has {len(pictures)} pictures, and with this model vLLM takes "
                f"{self.most}: lower IMAGES_PER_TURN or IMAGE_HISTORY."
            )
        images = [unpacked(picture) for picture in pictures]
        prompt = TokensPrompt(prompt_token_ids=list(ids), multi_modal_data={_IMAGE: images})
        work = self._renderer.render_cmpl_async([prompt])
        try:
            [rendered] = self._thread.submit(work).result()
        except Exception as error:  # vLLM and the model's own code raise what they like
            said = one_line(str(error)) or type(error).__name__
            raise EngineFailed(f"vLLM can't take the picture: {said}") from error
        places = [
            range(place.offset, place.offset + place.length)
            for place in rendered["mm_placeholders"][_IMAGE]
        ]
        added = self._renderer.get_tokenizer().added_tokens_decoder
        control = {token for token, spelt in added.items() if spelt.special}
        if forged(ids, rendered["prompt_token_ids"], places, control):
            raise EngineFailed(
                "vLLM finds no place for the picture but by reading anew what was said, in which "
                "control tokens are spelt."
            )
        return Seen(rendered["prompt_token_ids"], rendered)


def eyes_of(llm: AsyncLLM, thread: LoopThread) -> VllmEyes | None:
    """None: the model takes no pictures."""
    processor: Any = llm.renderer.mm_processor
    limits: Mapping[str, int] = {} if processor is None else processor.info.allowed_mm_limits
    return VllmEyes(llm, thread) if limits.get(_IMAGE) else None


def forged(
    before: Iterable[int], after: Sequence[int], places: Iterable[range], control: Collection[int]
) -> bool:
    """Whether a prompt has control tokens, beside what is in the pictures' `places`, that it hadn't
    before they were put there. (Where vLLM finds no placeholder among the tokens it looks for one
    in the text, and makes tokens of all of that again.)"""
    seen = {index for place in places for index in place}
    had = Counter(token for token in before if token in control)
    has = Counter(
        token for index, token in enumerate(after) if token in control and index not in seen
    )
    return bool(has - had)
