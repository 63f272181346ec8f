"""What the HTTP routes share: a JSON request in, a refusal out.

A refusal is `{"error", "detail"}`, as the supervisor knows it: a stable code, and what is wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeVar

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection

from brain.api.token import Tokens

_READING_S = 10.0

M = TypeVar("M", bound=BaseModel)


class Refused(Exception):
    """A request that isn't served: its HTTP status, code and detail."""

    def __init__(
        self, status: int, error: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.error, self.detail = status, error, detail
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        """The answer to the client."""
        body = {"error": self.error, "detail": self.detail}
        return JSONResponse(body, self.status, {"Cache-Control": "no-store", **self.headers})


async def refuse(_: Request, error: Exception) -> JSONResponse:
    """The answer where no route is (404) or none for this method (405), for an application's
    `exception_handlers`."""
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    headers = error.headers or {}
    detail = error.detail
    if error.status_code == 404:
        detail = "there is nothing here"
    elif allowed := headers.get("Allow"):
        detail = f"use {allowed} here"
    return Refused(error.status_code, code, detail, headers).response()


def check_token(connection: HTTPConnection, tokens: Tokens) -> None:
    """Raise `Refused` (401) unless one of the tokens is shown, as a bearer or in the query."""
    if not tokens.shown_by(connection):
        raise Refused(401, "unauthorized", "token missing or wrong", {"WWW-Authenticate": "Bearer"})


async def read(request: Request, model: type[M], *, most_bytes: int) -> M:
    """The request's body as a `model`.

    Whatever type it is said to be of: which pages a browser may send it for is known by then
    (`brain.api.gate`). Raises `Refused`: 413 for more than `most_bytes`, 408 for one that doesn't
    come, 422 for what isn't JSON or doesn't fit, naming the first field that is wrong, and why.
    """
    try:
        data = await asyncio.wait_for(_body(request, most_bytes), _READING_S)
    except asyncio.TimeoutError:
        close = {"Connection": "close"}
        raise Refused(
            408, "request_timeout", f"the body didn't come in {_READING_S:g} s", close
        ) from None
    except ClientDisconnect:
        raise Refused(400, "disconnected", "the client has gone") from None
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise Refused(422, "invalid_request", _first(error)) from None


async def _body(request: Request, most_bytes: int) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most_bytes:
            raise Refused(
                413,
                "request_too_large",
                f"a request is at most {most_bytes} bytes",
                {"Connection": "close"},
            )
    return bytes(data)


def _first(error: ValidationError) -> str:
    """The first thing wrong, in a line."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where or 'body'}: {problem['msg']}"
