"""Having Ollama fetch a model, and telling how far that is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ollama import AsyncClient, ProgressResponse, ResponseError

from brain.engines.llm.ollama_wire import CLIENT_ERRORS, told
from brain.engines.one_line import one_line
from brain.engines.ports import EngineUnavailable

_log = logging.getLogger(__name__)

_LOG_EVERY_S = 5.0


class _Fetched:
    """How much has come of the layers that have been named so far, in bytes."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}

    def add(self, report: ProgressResponse) -> None:
        if report.digest and report.total:
            self._layers[report.digest] = (min(report.completed or 0, report.total), report.total)

    @property
    def percent(self) -> int | None:
        """Of what is known to come; None before anything is."""
        total = sum(total for _, total in self._layers.values())
        if not total:
            return None
        return 100 * sum(done for done, _ in self._layers.values()) // total


async def pull(
    client: AsyncClient, model: str, *, url: str, timeout_s: float, tell: Callable[[str], None]
) -> None:
    """Fetch `model` into Ollama; `tell` hears how far it is, in words.

    Raises `EngineUnavailable` with Ollama's own words, or if the whole takes over `timeout_s`.
    Ollama keeps what has come: the next pull goes on from there.
    """
    fetched = _Fetched()
    try:
        await asyncio.wait_for(_follow(client, model, fetched, tell), timeout_s)
    except asyncio.TimeoutError:
        raise EngineUnavailable(
            f"Ollama didn't pull {model} within OLLAMA_PULL_TIMEOUT_S={timeout_s:g} s"
            f"{_up_to(fetched)}: the next try goes on from there."
        ) from None
    except ResponseError as error:
        words = one_line(str(error.error)).rstrip(".")
        raise EngineUnavailable(f"Ollama at {url} can't pull {model}: {words}.") from error
    except CLIENT_ERRORS as error:
        raise EngineUnavailable(
            f"The pull of {model} broke off{_up_to(fetched)}: {told(error, url)}"
        ) from error


async def _follow(
    client: AsyncClient, model: str, fetched: _Fetched, tell: Callable[[str], None]
) -> None:
    clock = asyncio.get_running_loop().time
    _log.info("Ollama pulls %s.", model)
    logged, status = clock(), ""
    async for report in await client.pull(model, stream=True):
        fetched.add(report)
        status = report.status or status
        words = f"pulling {model}: {_stage(report, fetched)}"
        tell(words)
        if clock() - logged >= _LOG_EVERY_S:
            logged = clock()
            _log.info("%s", words)
    if status != "success":
        raise ValueError(f"it ended with {status!r} instead of success")
    _log.info("Ollama has pulled %s.", model)


def _stage(report: ProgressResponse, fetched: _Fetched) -> str:
    """Percent while layers come; Ollama's own words before and after."""
    if report.digest and fetched.percent is not None:
        return f"{fetched.percent} %"
    return report.status or "at work"


def _up_to(fetched: _Fetched) -> str:
    return "" if fetched.percent is None else f" (it got to {fetched.percent} %)"
