"""From messages to a prompt that nobody in them can forge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol

from brain.engines.llm.chat_prompt import ChatTemplate, TemplateRefused
from brain.engines.llm.marks import Segment
from brain.engines.llm.patches import Patch, Patches, Placed, Prompt
from brain.engines.llm.thought import THINK_CLOSE, THINK_OPEN
from brain.engines.llm.tool_calls import INNER_MARKERS, MARKERS
from brain.engines.ports import EngineFailed, EngineUnavailable, Message, ToolSpec

# ChatML, for a GGUF without a template: most fine-tunes that lost theirs were taught this.
_FALLBACK = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Texts whose tokens are remembered: all but the newest of a prompt have been in the last one.
_TEXTS = 1024
# A model that begins another turn has ended its own.
_TURN_OPENERS = ("<|im_start|>", "<|start_header_id|>", "<start_of_turn>")


class Vocabulary(Protocol):
    """What is known of a model's tokens, whatever runs it."""

    @property
    def chat_template(self) -> str | None:
        """A Jinja template, if the model has one."""

    @property
    def bos(self) -> int | None:
        """The token that begins every prompt, where the model wants one."""

    def bos_and_eos(self) -> tuple[str, str]:
        """How the two tokens are spelt in templates; empty where there is none."""

    def special_tokens(self) -> tuple[dict[str, int], dict[str, int]]:
        """Control tokens and user-defined tokens, spelling to id."""

    def tokenize(self, text: str, *, special: bool, continues: bool = False) -> list[int]:
        """Token ids of `text`; with `special`, spellings of control tokens become those tokens.
        `continues`: it stands right after other text."""

    def piece(self, token: int) -> bytes:
        """The bytes of a token as they are read, those of control tokens included."""

    def ends_generation(self, token: int) -> bool:
        """Whether a reply ends with `token`."""


class Prompter:
    """A model's chat template and what its vocabulary adds to it.

    `template` is the template's text, `control` the control tokens' ids by spelling. Raises
    `EngineUnavailable` if the template is broken. `look`: what stands for a picture, the first,
    second, … of a prompt, of a model that sees. `markers`: more that nobody may spell.
    """

    def __init__(
        self,
        model: Vocabulary,
        look: Callable[[bytes, int], Sequence[list[int] | Patch]] | None = None,
        markers: Sequence[str] = (),
    ) -> None:
        self._model = model
        self._look = look
        self._tokens = lru_cache(_TEXTS)(self._tokenized)
        self.control, defined = model.special_tokens()
        self.template = model.chat_template or _FALLBACK
        bos, eos = model.bos_and_eos()
        # Only those that look like markers: vocabularies also define runs of spaces and the like.
        known = [text for text in defined if len(text) > 2 and text[0] in "<[" and " " not in text]
        try:
            self._chat = ChatTemplate(self.template, bos=bos, eos=eos, markers=[*known, *markers])
        except TemplateRefused as error:
            raise EngineUnavailable(f"The model can't be talked with: {error}.") from error
        shown = {*MARKERS, *INNER_MARKERS}
        self._hidden = {token for text, token in self.control.items() if text not in shown}
        self._turn_openers = {self.control[text] for text in _TURN_OPENERS if text in self.control}
        think = model.tokenize(THINK_OPEN, special=True)
        self.banned = tuple(think) if len(think) == 1 else ()

    def prompt(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> Prompt:
        """The prompt, up to where the reply begins. Raises `EngineFailed`."""
        try:
            segments = self._chat.segments(messages, tools)
        except TemplateRefused as error:
            raise EngineFailed(f"{error}.") from error
        bos = self._model.bos
        cells: list[int] = []
        patches: list[Placed] = []
        pictures: list[bytes] = []
        for segment in _without_thinking(segments):
            if segment.picture is not None and self._look is not None:
                pictures.append(segment.picture)
                for piece in self._look(segment.picture, len(pictures)):
                    if isinstance(piece, Patch):
                        patches.append((len(cells), piece))
                    cells += piece.ids if isinstance(piece, Patch) else piece
                continue
            tokens = self._tokens(segment.text, segment.trusted, bool(cells))
            if not cells and bos is not None and tokens[:1] != (bos,):
                cells.append(bos)
            cells += tokens
        if cells and cells[-1] < 0:
            raise EngineFailed("The chat template ends with a picture: nothing can follow it.")
        return Prompt(cells, Patches(patches), tuple(pictures))

    def _tokenized(self, text: str, special: bool, continues: bool) -> tuple[int, ...]:
        return tuple(self._model.tokenize(text, special=special, continues=continues))

    def ends(self, token: int) -> bool:
        """Whether the reply ends with `token`."""
        return self._model.ends_generation(token) or token in self._turn_openers

    def shown(self, token: int) -> bytes:
        """What is read of `token`: nothing of control tokens, but the markers of calls."""
        return b"" if token in self._hidden else self._model.piece(token)


def _without_thinking(segments: list[Segment]) -> list[Segment]:
    """Close a thought that the template opened for the model: a robot is waited for."""
    if segments and segments[-1].trusted and segments[-1].text.rstrip().endswith(THINK_OPEN):
        return [*segments, Segment(f"\n{THINK_CLOSE}\n\n", True)]
    return segments
