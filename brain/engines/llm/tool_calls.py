"""What a model writes becomes text and tool calls; its thoughts and broken calls become nothing.

Known forms of a call:
- Hermes and Qwen: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`
- Llama 3: `{"name": …, "parameters": {…}}` as the whole reply or after `<|python_tag|>`
- Mistral: `[TOOL_CALLS][{"name": …, "arguments": {…}}, …]`, and `[TOOL_CALLS]name[ARGS]{…}`
Thoughts stand between `<think>` and `</think>`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from brain.engines.llm.json_scan import JsonScan
from brain.engines.llm.schema_check import problem
from brain.engines.llm.thought import THINK_CLOSE, THINK_OPEN, Thought
from brain.engines.ports import Text, ToolCall, ToolSpec

CALL_OPEN, CALL_CLOSE = "<tool_call>", "</tool_call>"
PYTHON_TAG = "<|python_tag|>"
MISTRAL_CALLS, MISTRAL_ARGS, MISTRAL_ID = "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"

# An adapter lets these through even where they are control tokens; all others it hides.
MARKERS = (CALL_OPEN, CALL_CLOSE, THINK_OPEN, THINK_CLOSE, PYTHON_TAG, MISTRAL_CALLS)
INNER_MARKERS = (MISTRAL_ARGS, MISTRAL_ID)

_MARKER = re.compile("|".join(map(re.escape, MARKERS)))
# How a Llama 3 call begins; an object with another first key is something said.
_BARE_KEYS = ('"name"', '"type"', '"function"')
# Longer unfinished markers than this are no accident of punctuation.
_ACCIDENT = 2

_Step = Callable[[], bool]


class ReplyParser:
    """Feed it text in pieces of any size: what comes out does not depend on the sizes.

    `tools` are those on offer; a call of another one, or whose arguments don't fit the tool's
    schema, is dropped, as are unfinished and broken ones: never spoken, counted in `dropped`, with
    the last reason in `reason`. `thinking`: the prompt may have ended inside a thought; whether it
    had, `began_in_thought` tells at the end, and does so without `thinking`, when it is too late.
    """

    def __init__(self, tools: Sequence[ToolSpec] = (), *, thinking: bool = False) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._buffer = ""
        self._out: list[Text | ToolCall] = []
        self._fresh = True  # nothing said since the start or since a call: white space is skipped
        self._spoken = False  # something was said
        self._bare = True  # a Llama 3 call may begin here
        self._scan = JsonScan()
        self._name = ""
        self._thought = Thought(perhaps=thinking)
        self._step: _Step = self._in_thought if thinking else self._in_text
        self._thought_of = False  # there was an opener
        self.began_in_thought = False
        self.dropped = 0
        self.reason = ""

    def feed(self, text: str) -> list[Text | ToolCall]:
        """What `text` adds."""
        self._buffer += text
        while self._step():
            pass
        out, self._out = self._out, []
        return out

    def take(self, name: str, arguments: Any) -> list[Text | ToolCall]:
        """A call that came whole, beside the text, from a server that parses its model's calls:
        checked and counted as those in the text are. `arguments`: a JSON value, or its text."""
        self._call({"name": name, "arguments": arguments})
        out, self._out = self._out, []
        return out

    def finish(self) -> list[Text | ToolCall]:
        """What is left when the model has ended. Not to be fed again."""
        if self._step == self._in_thought and (said := self._thought.finish()):
            self._buffer = said
            self._go(self._in_text)
            while self._step():
                pass
        rest, self._buffer = self._buffer, ""
        if self._step == self._in_text:
            marker_begun = len(rest) > _ACCIDENT and any(m.startswith(rest) for m in MARKERS)
            if marker_begun or (rest.startswith("{") and self._bare):
                self._drop("a tool call was cut off")
            else:
                self._say(rest)
        elif self._step not in (self._in_thought, self._after_call, self._after_bare):
            self._drop("a tool call was cut off")
        out, self._out = self._out, []
        return out

    # -- states: each takes what it can from the buffer and says whether to look again ---------

    def _in_text(self) -> bool:
        if self._fresh:
            self._buffer = self._buffer.lstrip()
        if self._bare and self._buffer.startswith("{"):
            begins = _begins_bare_call(self._buffer)
            if begins is None:
                return False
            if begins:
                return self._go(self._bare_call)
        found = _MARKER.search(self._buffer)
        if found is None:
            keep = _held_back(self._buffer)
            self._say(self._buffer[: len(self._buffer) - keep])
            self._buffer = self._buffer[len(self._buffer) - keep :]
            return False
        self._say(self._buffer[: found.start()])
        self._buffer = self._buffer[found.end() :]
        if found.group() == CALL_OPEN:
            return self._go(self._hermes_call)
        if found.group() == THINK_OPEN:
            self._thought, self._thought_of = Thought(), True
            return self._go(self._in_thought)
        if found.group() == PYTHON_TAG:
            return self._go(self._after_python_tag)
        if found.group() == MISTRAL_CALLS:
            return self._go(self._mistral_call)
        # A closer that closes nothing is passed over; but what was said before it was a thought.
        if found.group() == THINK_CLOSE and self._spoken and not self._thought_of:
            self.began_in_thought = True
        return True

    def _in_thought(self) -> bool:
        text, self._buffer = self._buffer, ""
        after = self._thought.feed(text)
        if after is None:
            return False
        self._buffer = after
        self.began_in_thought = self.began_in_thought or not self._thought_of
        return self._go(self._in_text)

    def _hermes_call(self) -> bool:
        self._buffer = self._buffer.lstrip()
        if not self._buffer:
            return False
        if self._buffer[0] in "{[":
            return self._take_json(self._after_call)
        if CALL_CLOSE.startswith(self._buffer[: len(CALL_CLOSE)]):
            if len(self._buffer) < len(CALL_CLOSE):
                return False
            self._drop("a tool call was empty")
            return self._go(self._after_call)
        return self._go(self._skip_broken_call)

    def _skip_broken_call(self) -> bool:
        end = self._buffer.find(CALL_CLOSE)
        if end < 0:
            self._buffer = self._buffer[-len(CALL_CLOSE) :]
            return False
        self._buffer = self._buffer[end:]
        self._drop("a tool call was not JSON")
        return self._go(self._after_call)

    def _after_call(self) -> bool:
        """After a call's JSON: its closer, another call inside the same markers, or text."""
        self._buffer = self._buffer.lstrip()
        if not self._buffer:
            return False
        if self._buffer[0] == "{":
            return self._go(self._hermes_call)
        if CALL_CLOSE.startswith(self._buffer[: len(CALL_CLOSE)]):
            if len(self._buffer) < len(CALL_CLOSE):
                return False
            self._buffer = self._buffer[len(CALL_CLOSE) :]
        return self._go(self._in_text)

    def _after_python_tag(self) -> bool:
        self._buffer = self._buffer.lstrip()
        if not self._buffer:
            return False
        return self._go(self._bare_call if self._buffer[0] == "{" else self._skip_python)

    def _skip_python(self) -> bool:
        """Llama 3's built-in tools are called in Python, which nobody here offers."""
        self._buffer = ""
        return False

    def _bare_call(self) -> bool:
        return self._take_json(self._after_bare)

    def _after_bare(self) -> bool:
        self._buffer = self._buffer.lstrip(" \t\r\n;,")
        if not self._buffer:
            return False
        return self._go(self._bare_call if self._buffer[0] == "{" else self._in_text)

    def _mistral_call(self) -> bool:
        self._buffer = self._buffer.lstrip()
        if not self._buffer:
            return False
        if self._buffer[0] in "[{":
            return self._take_json(self._in_text)
        start = self._buffer.find("{")
        if start < 0:
            return False
        name = self._buffer[:start].split(MISTRAL_ARGS)[0].split(MISTRAL_ID)[0].strip()
        self._name = name or "?"
        self._buffer = self._buffer[start:]
        return self._go(self._mistral_arguments)

    def _mistral_arguments(self) -> bool:
        end = self._scan.end(self._buffer)
        if end is None:
            return False
        arguments, name = self._buffer[:end], self._name
        self._buffer, self._name = self._buffer[end:], ""
        self._call({"name": name, "arguments": arguments})
        return self._go(self._in_text)

    # -- what they share ------------------------------------------------------------------------

    def _go(self, step: _Step) -> bool:
        self._step = step
        self._scan = JsonScan()
        return True

    def _say(self, text: str) -> None:
        if self._fresh:
            text = text.lstrip()
        if text:
            self._fresh = self._bare = False
            self._spoken = True
            self._out.append(Text(text))

    def _take_json(self, then: _Step) -> bool:
        end = self._scan.end(self._buffer)
        if end is None:
            return False
        body, self._buffer = self._buffer[:end], self._buffer[end:]
        value = _parse(body)
        calls = value if isinstance(value, list) else [value]
        for call in calls:
            self._call(call)
        return self._go(then)

    def _call(self, value: Any) -> None:
        """Emit the call that a parsed JSON value stands for, or drop it."""
        self._fresh = True
        if not isinstance(value, dict):
            self._drop("a tool call was not a JSON object")
            return
        name, arguments = _name_and_arguments(value)
        tool = self._tools.get(name)
        if tool is None:
            self._drop(f"the tool {name!r} was not offered")
            return
        if not isinstance(arguments, dict):
            self._drop(f"the arguments of {name!r} were not a JSON object")
            return
        if (wrong := problem(arguments, tool.parameters)) is not None:
            self._drop(f"a call of {name!r} was not valid: {wrong}")
            return
        try:
            text = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
        except (ValueError, RecursionError):
            self._drop(f"the arguments of {name!r} were not valid JSON")
            return
        # Half a surrogate pair is valid JSON and no valid text.
        self._out.append(ToolCall(name, text.encode("utf-8", "replace").decode("utf-8")))

    def _drop(self, reason: str) -> None:
        self._fresh = True
        self.dropped += 1
        self.reason = reason


def _name_and_arguments(value: dict[str, Any]) -> tuple[str, Any]:
    inner = value.get("function")
    if isinstance(inner, dict):
        value = inner
    name = value.get("name", inner)
    arguments = value.get("arguments", value.get("parameters"))
    if isinstance(arguments, str):
        arguments = _parse(arguments)
    return (name if isinstance(name, str) else ""), ({} if arguments is None else arguments)


def _parse(text: str) -> Any:
    """The JSON value in `text`, line breaks in strings allowed; `text` itself if it is none."""
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return text


def _begins_bare_call(text: str) -> bool | None:
    """Whether `text`, which starts with a brace, begins a Llama 3 call; None: too early to say."""
    inside = text[1:].lstrip()
    if any(inside.startswith(key) for key in _BARE_KEYS):
        return True
    return None if any(key.startswith(inside) for key in _BARE_KEYS) else False


def _held_back(text: str) -> int:
    """How many characters at the end of `text` may be the beginning of a marker."""
    longest = min(len(text), max(map(len, MARKERS)) - 1)
    for size in range(longest, 0, -1):
        tail = text[-size:]
        if any(marker.startswith(tail) for marker in MARKERS):
            return size
    return 0
