"""The house's token, which every robot shows where there is one."""

from __future__ import annotations

import secrets

from starlette.requests import HTTPConnection


def shows(connection: HTTPConnection, token: str) -> bool:
    """Whether a request or a socket shows `token`, as a bearer or in the query. Empty: anybody."""
    scheme, _, shown = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        shown = connection.query_params.get("token", "")
    return not token or secrets.compare_digest(shown.strip().encode(), token.encode())
