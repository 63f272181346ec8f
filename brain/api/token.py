"""The house's tokens, one of which every robot shows where there are any."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from starlette.requests import HTTPConnection


class Tokens:
    """What a robot must show one of. `locked`: nothing that it could show would do.

    Neither tokens nor locked: everybody may come in.
    """

    def __init__(self, tokens: Iterable[str] = (), *, locked: bool = False) -> None:
        self._digests = tuple(_digest(token) for token in tokens if token)
        self._locked = locked

    @property
    def open_to_all(self) -> bool:
        return not self._digests and not self._locked

    def shown_by(self, connection: HTTPConnection) -> bool:
        """Whether a request or a socket shows one of them, as a bearer or in the query.

        How long it takes tells nothing: digests of one length are compared, always all of them.
        """
        scheme, _, shown = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            shown = connection.query_params.get("token", "")
        digest = _digest(shown.strip())
        fits = sum(hmac.compare_digest(digest, known) for known in self._digests)
        return fits > 0 or self.open_to_all


def _digest(token: str) -> bytes:
    # surrogatepass: a query may hold what is no text, and must not break the comparison
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
