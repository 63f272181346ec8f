"""A chat template and a conversation become a prompt that nobody inside it can forge.

GGUF files carry a Jinja chat template. Its own text is trusted: the markers of turns in it are
control tokens. What users, tools and robots say is not: a user who says `<|im_end|>` has said ten
characters. So the prompt comes out in segments, and the adapter tokenises the trusted ones with
special tokens and the others without.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import jinja2
import jinja2.meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from brain.engines.llm.marks import COMMON_MARKERS, Marks, Segment
from brain.engines.ports import Message, ToolSpec

_HERMES_RULES = (
    "\n\nYou may call these tools, one JSON schema a line:\n<tools>\n{tools}\n</tools>\n"
    "To call one, answer with nothing but its name and arguments in this form:\n"
    '<tool_call>\n{{"name": "<name>", "arguments": {{<arguments>}}}}\n</tool_call>'
)


class TemplateRefused(ValueError):
    """The chat template is broken, or will not render this conversation; the message says why."""


class ChatTemplate:
    """A compiled chat template.

    `source` is the GGUF's `tokenizer.chat_template`; `bos` and `eos` the spellings of those tokens;
    `markers` the vocabulary's user-defined tokens, besides the common ones.
    Raises `TemplateRefused` if `source` doesn't compile.
    """

    def __init__(
        self, source: str, *, bos: str = "", eos: str = "", markers: Sequence[str] = ()
    ) -> None:
        # A model file is a stranger's: the sandbox keeps its template from reaching objects.
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise_exception
        try:
            self._template = environment.from_string(source)
            names = jinja2.meta.find_undeclared_variables(environment.parse(source))
        except jinja2.TemplateError as error:
            raise TemplateRefused(f"the chat template doesn't compile: {error}") from error
        self.takes_tools = "tools" in names
        self._names = {"bos_token": bos, "eos_token": eos}
        self._markers = tuple(dict.fromkeys(m for m in (*COMMON_MARKERS, *markers) if len(m) > 1))
        self._in_parts = False
        self._in_parts = not self._says_what_is_said()

    def _says_what_is_said(self) -> bool:
        """Whether a message's content may be a text: templates of some models that see (SmolVLM's)
        take it only as a list of parts, and leave a text out without a word."""
        word = "probe"
        try:
            said = self._render([Message("user", word)], (), Marks.fresh(()), True)
        except TemplateRefused:
            return True  # it refuses for reasons of its own, and says so when it matters
        if word in said:
            return True
        self._in_parts = True
        try:
            return word not in self._render([Message("user", word)], (), Marks.fresh(()), True)
        except TemplateRefused:
            return True

    def segments(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec] = (),
        *,
        open_reply: bool = True,
    ) -> list[Segment]:
        """Render `messages` with `tools` on offer; with `open_reply` the model's turn begins.

        Joined, the texts are the prompt. The marks leave no trace in it: equal conversations
        render equally. Raises `TemplateRefused`.
        """
        marks = Marks.fresh(self._markers)
        if not self.takes_tools:
            messages = _tools_as_text(messages, tools)
            tools = ()
        try:
            rendered = self._render(messages, tools, marks, open_reply)
        except TemplateRefused:
            if not messages or messages[0].role != "system":
                raise
            # Some templates (Gemma's) know no system role: it goes in front of the first turn.
            rendered = self._render(_system_into_user(messages), tools, marks, open_reply)
        return marks.split(rendered)

    def _render(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        marks: Marks,
        open_reply: bool,
    ) -> str:
        try:
            return self._template.render(
                messages=[
                    _as_dict(message, marks, in_parts=self._in_parts) for message in messages
                ],
                tools=[_tool_dict(tool, marks) for tool in tools] or None,
                add_generation_prompt=open_reply,
                enable_thinking=False,
                **self._names,
            )
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            raise TemplateRefused(
                f"the chat template refuses this conversation: {error}"
            ) from error


class _Structured(str):
    """Text made by this module that already carries marks: not to be marked as a whole."""

    __slots__ = ()


def _as_dict(message: Message, marks: Marks, *, in_parts: bool) -> dict[str, Any]:
    content = message.content
    marked = (
        "".join(
            piece if index % 2 == 0 else marks.around(piece)
            for index, piece in enumerate(content.split(_CUT))
        )
        if isinstance(content, _Structured)
        else marks.around(content)
    )
    marked = marks.shown(message.images) + marked
    content_or_parts = [{"type": "text", "text": marked}] if in_parts else marked
    result: dict[str, Any] = {"role": message.role, "content": content_or_parts}
    if message.tool_calls:
        result["tool_calls"] = [
            {
                "id": marks.within(call.call_id),
                "type": "function",
                "function": {
                    "name": marks.within(call.name),
                    "arguments": marks.within(json.loads(call.arguments or "{}")),
                },
            }
            for call in message.tool_calls
        ]
    if message.role == "tool":
        result["tool_call_id"] = marks.within(message.call_id)
        result["name"] = marks.within(message.name)
    return result


def _tool_dict(tool: ToolSpec, marks: Marks) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": marks.within(tool.name),
            "description": marks.within(tool.description),
            "parameters": marks.within(tool.parameters),
        },
    }


# In a _Structured text this separates our own words (even pieces) from a speaker's (odd ones).
_CUT = "\x00"


def _structured(*pieces: str) -> _Structured:
    """Our words and a speaker's, in turn, beginning with ours."""
    return _Structured(_CUT.join(piece.replace(_CUT, "") for piece in pieces))


def _tools_as_text(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> list[Message]:
    """For templates that know no tools: the Hermes form, in texts of the three known roles."""
    result: list[Message] = []
    for message in messages:
        if message.role == "tool":
            said = _structured("<tool_response>\n", message.content, "\n</tool_response>")
            result.append(Message("user", said, images=message.images))
        elif message.tool_calls:
            pieces = ["", message.content]
            for call in message.tool_calls:
                arguments = json.loads(call.arguments or "{}")
                body = _to_json({"name": call.name, "arguments": arguments})
                pieces += ["\n<tool_call>\n" if pieces[-1] else "<tool_call>\n", body]
                pieces += ["\n</tool_call>", ""]
            result.append(replace(message, content=_structured(*pieces), tool_calls=()))
        else:
            result.append(message)
    if tools:
        lines = [_to_json(_tool_dict(tool, _NO_MARKS)) for tool in tools]
        before, after = _HERMES_RULES.split("{tools}")
        first = result[0] if result and result[0].role == "system" else Message("system", "")
        system = _structured("", first.content, before, "\n".join(lines), after.format())
        result[: first is result[0] if result else 0] = [replace(first, content=system)]
    return result


_NO_MARKS = Marks("", "", "", ())


def _system_into_user(messages: Sequence[Message]) -> list[Message]:
    system, rest = messages[0], list(messages[1:])
    for index, message in enumerate(rest):
        if message.role == "user":
            joined = [*_pieces(system.content), "\n\n", *_pieces(message.content, odd=True)]
            rest[index] = replace(message, content=_structured(*joined))
            return rest
    return [replace(system, role="user"), *rest]


def _pieces(content: str, *, odd: bool = False) -> list[str]:
    """A content as alternating pieces that start with ours (or, with `odd`, with a speaker's)."""
    pieces = content.split(_CUT) if isinstance(content, _Structured) else ["", content]
    if len(pieces) % 2:
        pieces.append("")
    return pieces if not odd else pieces[1:] if not pieces[0] else ["", *pieces]


def _to_json(value: Any, indent: int | None = None, **_: Any) -> str:
    """Spaced as `json.dumps`, non-ASCII as it is: what chat templates are written against."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
