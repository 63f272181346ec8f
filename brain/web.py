"""The brain on the web: its routes behind one gate, on uvicorn, on a listening socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import asdict

import uvicorn
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from brain import __version__
from brain.api import converse, json_request, local_socket, tts, wire_out
from brain.api import health as health_api
from brain.api import plan as plan_api
from brain.api import sessions as sessions_api
from brain.api.connection import HEAD_S, GuardedConnection
from brain.api.counted_listener import CountedListener
from brain.api.direct_frames import DirectFrames
from brain.api.gate import Gate
from brain.api.origins import Origins
from brain.api.token import Tokens
from brain.dialogue.sessions import Sessions
from brain.engines.gpu_memory import this_gpu
from brain.engines.ladder import EngineState
from brain.engines.loader import EngineSet
from brain.history.port import Keeper
from brain.ops import health
from brain.ops.listening import listening_socket
from brain.persona.moods import EMOTION_ALIASES, EMOTIONS
from brain.planner.options import plan_options
from brain.planner.service import Planner
from brain.settings import Settings
from brain.settings.access import Access, access_of
from brain.settings.load import under_systemd

# A message over 1 MiB is refused by name (4413); what is far over it never gets into memory.
_WS_MAX_BYTES = 4 << 20
# A robot that is gone is noticed within 10 s: a ping follows an answer by so much, and waits so
# long for its own. What can't be delivered may not hold that up: a socket that still has something
# to send is closed only when the kernel gives up on that, by itself after a quarter of an hour.
_PING_EVERY_S = 4.5
_PONG_S = 5.0
_UNDELIVERED_MS = 9_000
# Connections of one address beside those of its sessions: requests, and what came to nothing.
_OTHER_CONNECTIONS = 128
# Headers of answers that a web page may read, beside those that any may.
_EXPOSED = ("Retry-After", "Server-Timing", "X-Audio-Sample-Rate", "X-Audio-Channels")


def build_app(
    settings: Settings,
    engines: EngineSet,
    sessions: Sessions,
    *,
    serves: asyncio.Event,
    stop: asyncio.Event,
    keeper: Keeper | None = None,
    access: Access | None = None,
) -> FastAPI:
    """The web application. `serves`: the embedded engines do. `stop`: the brain is going down.

    `keeper`: of the conversations, if anybody keeps them. `access`: as the settings have it.
    """
    access = access or access_of(settings, {})
    tokens = Tokens(access.tokens, locked=access.locked)
    log_speech = settings.log_speech
    # (Without `openapi_url` there are no pages of FastAPI's own either.)
    app = FastAPI(
        title="Robot Brain",
        version=__version__,
        openapi_url=None,
        exception_handlers={HTTPException: json_request.refuse},
    )

    def house() -> local_socket.House:
        voices = engines.mouth.voices if engines.mouth is not None else ()
        return local_socket.House(settings.brain_profile, voices, _engines_out(engines.states()))

    planner = Planner(engines.mind, plan_options(settings))

    def health_report(trusted: bool) -> health.Report:
        account = sessions.account()
        if not trusted:
            account["robots"] = {}
        counters = {
            "plan_admission": asdict(planner.admission),
            "converse_sessions": account,
            "speculation": asdict(sessions.common.ahead),
            "partials": sessions.common.duty.account(),
        }
        return health.health(
            settings,
            engines.states(),
            orpheus_vram_free_gb=this_gpu().free_gb(),
            counters=counters,
        )

    def ready_report() -> health.Report:
        return health.ready(
            settings,
            engines.states(),
            version=__version__,
            stopping=stop.is_set(),
            access=access,
            gpu=this_gpu().look(),
            history=health.HistoryState(
                store=keeper.kind if keeper is not None else "",
                reason=keeper.reason if keeper is not None else "",
                note=keeper.note if keeper is not None else "",
            ),
        )

    app.include_router(
        local_socket.router(
            sessions,
            house=house,
            serves=serves,
            tokens=tokens,
            idle_limit_s=settings.session_idle_s,
            picture_edge=settings.image_max_edge,
            log_speech=log_speech,
        )
    )
    app.include_router(
        converse.router(
            sessions,
            vad=settings.converse_vad,
            serves=serves,
            tokens=tokens,
            log_speech=log_speech,
        )
    )
    app.include_router(
        tts.router(
            engines.mouth,
            emotions={name: name for name in EMOTIONS} | EMOTION_ALIASES,
            tokens=tokens,
            log_speech=log_speech,
        )
    )
    app.include_router(plan_api.router(planner, tokens=tokens))
    app.include_router(health_api.router(health_report, ready_report, tokens=tokens))
    app.include_router(sessions_api.router(sessions.sounds, tokens=tokens))
    _put_gate_before(app, settings)
    return app


def _put_gate_before(app: FastAPI, settings: Settings) -> None:
    origins = Origins.of(settings.allowed_origins)
    if origins.everybody or origins.listed:
        # What their pages need to be told so that the browser shows them the answers.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=["*"] if origins.everybody else sorted(origins.listed),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=_EXPOSED,
        )
    # (The last one comes first.)
    app.add_middleware(
        Gate, origins=origins, requests_per_s=settings.requests_per_s, clock=time.monotonic
    )


def http_server(app: FastAPI, *, tls: ssl.SSLContext | None = None) -> uvicorn.Server:
    """The server of `app`; sockets are given to its `serve`. `tls` None: plain HTTP."""
    config = uvicorn.Config(
        app,
        http=GuardedConnection,
        ws=DirectFrames,
        log_config=None,
        access_log=False,
        lifespan="off",
        proxy_headers=False,  # or whoever is on this machine could name any address as its own
        ws_max_size=_WS_MAX_BYTES,
        ws_ping_interval=_PING_EVERY_S,
        ws_ping_timeout=_PONG_S,
        timeout_graceful_shutdown=5,
    )
    config.load()
    config.ssl = tls
    return _Server(config)


class _Server(uvicorn.Server):
    """uvicorn, with its signals left to us: sessions are told before sockets are closed."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it for sockets that it is given, but for the time that a TLS handshake
        may take: asyncio's minute is long where a connection costs who opens it nothing."""
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()

        def connection() -> asyncio.Protocol:
            return GuardedConnection(self.config, self.server_state, self.lifespan.state)

        tls = self.config.ssl
        self.servers = [
            await loop.create_server(
                connection,
                sock=listener,
                ssl=tls,
                ssl_handshake_timeout=HEAD_S if tls else None,
                backlog=self.config.backlog,
            )
            for listener in sockets or []
        ]
        self.started = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listener_of(settings: Settings) -> socket.socket:
    """A listening socket. Raises OSError in words for a person."""
    host, port = settings.server_host, settings.server_port
    listener = listening_socket(host, port, waits=under_systemd(os.environ))
    # Connections inherit it. asyncio sets it only on sockets made with an explicit protocol number,
    # which these are not; without it, what is sent in two pieces waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNDELIVERED_MS)
    most = settings.sessions_per_address + _OTHER_CONNECTIONS
    return CountedListener(listener, per_address=most)


def _engines_out(states: tuple[EngineState, ...]) -> wire_out.EnginesOut:
    out = {
        state.kind: wire_out.EngineOut(
            name=state.active, model=state.model, degraded=bool(state.reason)
        )
        for state in states
    }
    none = wire_out.EngineOut(name="off", model="", degraded=False)
    return wire_out.EnginesOut(
        vad=out["vad"], stt=out["stt"], llm=out["llm"], tts=out.get("tts", none)
    )
