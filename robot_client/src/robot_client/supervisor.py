"""A supervisor's client: `/plan`, `/tts`, `/health` and `/converse` of one brain, for one robot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

import httpx

from robot_client.converse import Converse
from robot_client.plans import (
    MAX_ACTIONS,
    OFFERED_SKILLS,
    BadPlan,
    Plan,
    WorldState,
    plan_from_json,
)
from robot_client.supervisor_errors import Failed, Unreachable, as_supervisor_errors, raise_for

if TYPE_CHECKING:
    from typing_extensions import Self

CONNECT_S = 3.0
# Web servers drop a connection that was idle for five seconds: let go before, or a heartbeat every
# five seconds would now and then be sent into a connection that is just being closed.
KEEP_S = 3.0
TTS_RATE = 16_000


@dataclass(frozen=True)
class Health:
    """What `/health` says. `ok`: the brain can reach its language model."""

    ok: bool
    report: Mapping[str, Any]


class SupervisorClient:
    """One robot's requests to the brain at `base_url` (http://HOST:PORT).

    Use as an async context manager. Connections are pooled, and every request has a time limit in
    seconds. Cancelling a call closes its request, and the brain stops working on it. `skills` are
    those that the robot takes in a plan. Raises `ValueError` for an address that isn't HTTP.
    """

    def __init__(
        self,
        base_url: str,
        robot_id: str,
        token: str | None = None,
        *,
        plan_limit_s: float = 10.0,
        tts_limit_s: float = 20.0,
        skills: frozenset[str] = OFFERED_SKILLS,
        max_actions: int = MAX_ACTIONS,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ValueError(f"{base_url!r} isn't an http:// or https:// address")
        self.base_url = base_url.rstrip("/")
        self.robot_id = robot_id
        self.skills = skills
        self.max_actions = max_actions
        self.plan_limit_s = plan_limit_s
        self.tts_limit_s = tts_limit_s
        self._token = token
        self._http = httpx.AsyncClient(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {token}"} if token else None,
            limits=httpx.Limits(keepalive_expiry=KEEP_S),
            trust_env=False,  # the brain is on the local network: no proxy
            verify=self.base_url.startswith("https"),  # reading the certificates takes a while
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the pooled connections. Twice is once."""
        await self._http.aclose()

    async def plan(self, state: WorldState) -> Plan:
        """A plan for this state of the world.

        Raises `Busy`, `Timeout`, `Refused`, `Failed`, `Unreachable`, and `BadPlan` for an answer
        that is out of the contract.
        """
        request = self._http.post(
            "/plan", json=state.as_json(self.robot_id), timeout=_limit(self.plan_limit_s)
        )
        with as_supervisor_errors(self.base_url):
            # The library's own limit is one between bytes; a supervisor's is for the whole.
            answer = await asyncio.wait_for(request, self.plan_limit_s)
        if answer.status_code != 200:
            raise_for(answer.status_code, answer.headers, answer.content)
        try:
            body = answer.json()
        except (ValueError, RecursionError) as error:
            raise BadPlan("plan", f"not JSON: {error}") from error
        return plan_from_json(
            body, state, self.robot_id, skills=self.skills, max_actions=self.max_actions
        )

    async def tts(
        self, text: str, emotion: str = "neutral", intensity: float | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Sound of `text` as it comes: whole samples of 16-bit little-endian mono at 16 kHz.

        To stop early, close it (`contextlib.aclosing`): the brain stops speaking then. Raises
        `Busy`, `Timeout`, `Refused`, `Failed`, and `Unreachable` also for sound that breaks off.
        """
        body: dict[str, Any] = {"text": text, "emotion": emotion, "robot_id": self.robot_id}
        if intensity is not None:
            body["intensity"] = intensity
        with as_supervisor_errors(self.base_url):
            async with self._http.stream(
                "POST", "/tts", json=body, timeout=_limit(self.tts_limit_s)
            ) as answer:
                if answer.status_code != 200:
                    raise_for(answer.status_code, answer.headers, await answer.aread())
                _check_sound(answer.headers)
                half = b""
                async for block in answer.aiter_bytes():
                    sound = half + block
                    whole = len(sound) & ~1
                    half = sound[whole:]
                    if whole:
                        yield sound[:whole]
        if half:
            raise Unreachable("the sound ended with half a sample")

    async def health(self) -> Health:
        """What `/health` says, be it well (200) or ill (503).

        Raises `Timeout`, `Failed`, `Unreachable`.
        """
        with as_supervisor_errors(self.base_url):
            answer = await self._http.get("/health", timeout=_limit(CONNECT_S))
        if answer.status_code not in (200, 503):
            raise_for(answer.status_code, answer.headers, answer.content)
        try:
            report = answer.json()
        except ValueError:
            report = None
        if not isinstance(report, dict):
            raise Failed(answer.status_code, "bad_health", "not a JSON object")
        return Health(answer.status_code == 200, report)

    def converse(self, *, vad: bool | None = None) -> Converse:
        """A conversation over `/converse`, to be used as an async context manager.

        `vad`: whether silence ends a turn as `end_utterance()` does; None leaves it to the brain.
        """
        return Converse(self.base_url, self.robot_id, token=self._token, vad=vad)


def _limit(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=min(CONNECT_S, seconds))


def _check_sound(headers: Mapping[str, str]) -> None:
    rate, channels = headers.get("X-Audio-Sample-Rate"), headers.get("X-Audio-Channels")
    if (rate, channels) != (str(TTS_RATE), "1"):
        raise Failed(200, "bad_sound", f"{rate} Hz and {channels} channels, not {TTS_RATE} and 1")
