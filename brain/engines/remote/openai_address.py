"""Where an OpenAI-compatible server is, and how that is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit


@dataclass(frozen=True)
class OpenAIServer:
    """Where a server is, and what it is asked for.

    `url` is the base of its API, mostly ending in /v1. `model` "": the first that it lists.
    `api_key` "": none is sent. `url_name` and `model_name` are the settings that these came from.
    """

    url: str
    model: str = ""
    api_key: str = field(default="", repr=False)
    url_name: str = field(default="OPENAI_URL", kw_only=True)
    model_name: str = field(default="OPENAI_MODEL", kw_only=True)

    @property
    def place(self) -> str:
        """The address with its setting's name, fit for messages."""
        return f"{self.url_name}={shown(self.url)}"


def shown(url: str) -> str:
    """`url` without what may be a key: name, password, query."""
    try:
        parts = urlsplit(url)
    except ValueError:  # no address at all
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host, query="", fragment=""))
