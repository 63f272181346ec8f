"""The peers' language model: OpenAI's `/v1/chat/completions` with fixed costs, named as such.

    python -m benchmarks.peers.model_server --port 8900

The model's name says what it costs ("fixed", "zero"), the last words of the user what it answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from benchmarks.peers import costs as fixed

app = FastAPI()


@app.get("/v1/models")
async def models() -> dict[str, Any]:
    """The names."""
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in fixed.BY_NAME]}


@app.post("/v1/chat/completions")
async def chat(request: Request) -> Response:
    """An answer, streamed if that is asked for; at once if not, for only warming up does that."""
    body = await request.json()
    costs = fixed.BY_NAME[body["model"]]
    text = fixed.answer(_last_words(body["messages"]))
    head = {"id": "chatcmpl-1", "created": 0, "model": body["model"]}
    if not body.get("stream"):
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        return JSONResponse(
            {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        )
    return StreamingResponse(_stream(head, text, costs), media_type="text/event-stream")


async def _stream(head: dict[str, Any], text: str, costs: fixed.Costs) -> AsyncIterator[str]:
    def event(delta: dict[str, str], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {**head, "object": "chat.completion.chunk", "choices": [choice]}
        return f"data: {json.dumps(chunk)}\n\n"

    loop = asyncio.get_running_loop()
    due = loop.time() + costs.first_token
    for token in fixed.tokens(text):
        # (By the clock: many short sleeps would add up to more.)
        await asyncio.sleep(max(0.0, due - loop.time()))
        due += costs.token
        yield event({"role": "assistant", "content": token})
    yield event({}, "stop")
    yield "data: [DONE]\n\n"


def _last_words(messages: list[dict[str, Any]]) -> str:
    content = next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content)
    return str(content)


def main() -> None:
    """Serve until told to stop."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--port", type=int, required=True)
    uvicorn.run(app, host="127.0.0.1", port=p.parse_args().port, log_level="warning")


if __name__ == "__main__":
    main()
