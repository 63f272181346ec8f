"""The server that OLLAMA_URL names: reaching it, and finding the model there."""

from __future__ import annotations

import asyncio
import functools
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import httpx
from ollama import AsyncClient, ResponseError
from pydantic import ValidationError

from brain.engines.llm.ollama_pull import pull
from brain.engines.llm.ollama_wire import CLIENT_ERRORS, same_model, told
from brain.engines.ports import EngineUnavailable

_CONNECT_S = 5.0
_ANSWER_S = 10.0
"""For Ollama to say that it has a model: it reads that from its disk."""
_PROBE_S = 2.0


@dataclass(frozen=True)
class OllamaOptions:
    """How a model is run there.

    `context` (tokens) is the whole conversation's; a keep-alive is for how long the model stays
    loaded after a call ("0s", "5m", "-1" for ever). `auto_pull` fetches the model if it is missing,
    in at most `pull_timeout_s`.
    """

    url: str
    model: str
    temperature: float = 0.7
    context: int = 4096
    max_tokens: int = 512
    plan_keep_alive: str = "0s"
    converse_keep_alive: str = "0s"
    auto_pull: bool = True
    pull_timeout_s: float = 1800.0

    @property
    def address(self) -> str:
        """`url` as it may be told: without a name, a password, and a query."""
        return re.sub(r"[?#].*", "", re.sub(r"//[^/]*@", "//", self.url))


def reach(options: OllamaOptions) -> AsyncClient:
    """A client, without a deadline of its own (lane and ladder have theirs). Nothing is sent yet.

    Raises `EngineUnavailable` if the address is none.
    """
    try:
        return AsyncClient(
            host=options.url,
            auth=_credentials(options.url),
            # A POST doesn't survive being sent elsewhere.
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=_CONNECT_S),
            # How many may come at once is the lane's business.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=8),
            verify=_certificates() if options.url.startswith("https") else False,
        )
    except (httpx.InvalidURL, ValueError) as error:
        raise EngineUnavailable(f"OLLAMA_URL={options.address} is no address: {error}.") from error


async def hang_up(client: AsyncClient) -> None:
    """Close all its connections."""
    await client.close()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Found:
    """What Ollama says of a model that it has. `sees`: it takes pictures; None: it doesn't say."""

    sees: bool | None = None


async def find(client: AsyncClient, options: OllamaOptions, tell: Callable[[str], None]) -> Found:
    """See that the model is there, or have it pulled; `tell` hears how far that is.

    Raises `EngineUnavailable`.
    """
    url, model = options.address, options.model
    if found := await _shown(client, options):
        return found
    if not options.auto_pull:
        raise EngineUnavailable(
            f"Ollama at {url} has no model {model}: run `ollama pull {model}` there, or set "
            f"AUTO_PULL_OLLAMA_MODEL=1."
        )
    await pull(client, model, url=url, timeout_s=options.pull_timeout_s, tell=tell)
    if found := await _shown(client, options):
        return found
    raise EngineUnavailable(f"Ollama at {url} pulled {model}, and doesn't have it.")


async def probe(options: OllamaOptions) -> None:
    """Is the server there, and the model? Cheap, and soon over. Raises `EngineUnavailable`."""
    client = reach(options)
    try:
        there = await asyncio.wait_for(_listed(client, options), _PROBE_S)
    except asyncio.TimeoutError:
        raise _silent(options, _PROBE_S) from None
    except CLIENT_ERRORS as error:
        raise EngineUnavailable(str(told(error, options.address))) from error
    finally:
        await hang_up(client)
    if not there:
        raise EngineUnavailable(
            f"Ollama at {options.address} has no model {options.model} any more."
        )


def _credentials(url: str) -> tuple[str, str] | None:
    """Name and password in an address, for a proxy that asks for them; the client drops them."""
    parts = urlsplit(url)
    return (unquote(parts.username), unquote(parts.password or "")) if parts.username else None


@functools.cache
def _certificates() -> ssl.SSLContext:
    """To read them takes a while, and a probe makes a client every few seconds."""
    return httpx.create_ssl_context()


async def _listed(client: AsyncClient, options: OllamaOptions) -> bool:
    """As `_shown`, but the client's errors are raised as they are; cheaper for the server."""
    wanted = same_model(options.model)
    listed = (await client.list()).models
    # Ollama knows best what is the same name.
    if any(same_model(found.model or "") == wanted for found in listed):
        return True
    return await _shown(client, options) is not None


async def _shown(client: AsyncClient, options: OllamaOptions) -> Found | None:
    """The model, None if Ollama hasn't got it. Raises `EngineUnavailable` if it doesn't say."""
    try:
        shown = await asyncio.wait_for(client.show(options.model), _ANSWER_S)
    except asyncio.TimeoutError:
        raise _silent(options, _ANSWER_S) from None
    except ResponseError as error:
        if error.status_code == 404:
            return None
        raise EngineUnavailable(str(told(error, options.address))) from error
    except ValidationError:
        return Found()  # a model without all that the client looks for is one, too
    except CLIENT_ERRORS as error:
        raise EngineUnavailable(str(told(error, options.address))) from error
    # (Servers from before 2025 tell no capabilities.)
    return Found("vision" in shown.capabilities if shown.capabilities else None)


def _silent(options: OllamaOptions, seconds: float) -> EngineUnavailable:
    return EngineUnavailable(f"OLLAMA_URL={options.address} didn't answer within {seconds:g} s.")
