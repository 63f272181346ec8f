"""Text on its way to and from a server that puts it into its model's chat template by itself.

Roles are JSON fields there, but servers (Ollama's, llama.cpp's) render them into one prompt and
read the control tokens in it wherever they come from: whoever says `<|im_end|>` could forge a turn.
So what looks like one is broken up by a space, as `brain.engines.llm.marks` does for
llama.cpp in this process.
"""

from __future__ import annotations

import json
import re
from typing import Any

# The first character of what the vocabularies in use spell their control tokens like (DeepSeek's
# have wide bars).
_CONTROL = re.compile(
    r"<(?=[|\uff5c]|<SYS>>"
    r"|/?(?:think|tool_call|tool_response|tools|start_of_turn|end_of_turn|bos|eos|s|unused\d+)>)"
    r"|\[(?=/?(?:INST|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS|SYSTEM_PROMPT|ARGS|CALL_ID)\])"
)


def valid(text: str) -> str:
    """`text` without halves of surrogate pairs, which are valid JSON and no valid text."""
    return text.encode("utf-8", "replace").decode("utf-8")


def defused(text: str) -> str:
    """Valid text in which no control token can be read."""
    return _CONTROL.sub(lambda found: f"{found.group()} ", valid(text))


def valid_json(value: Any) -> Any:
    """A JSON value with valid texts and keys alone."""
    return json.loads(valid(json.dumps(value, ensure_ascii=False)))


def defused_json(text: str) -> str:
    """JSON text in whose texts no control token can be read, not even one that is escaped."""
    # (Outside of its texts there is no marker. Without escapes, numbers stay as they are written.)
    plain = json.dumps(json.loads(text), ensure_ascii=False) if "\\u" in text else text
    return defused(plain)
