"""Puts everything together: settings -> engines -> dialogue -> api. Knows everyone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from brain import __version__
from brain.api import health as health_api
from brain.api import local_socket, wire_out
from brain.api.wire_in import tool_list
from brain.dialogue.config import HouseRules, SessionConfig, TurnDetection
from brain.dialogue.session import Engines
from brain.dialogue.sessions import Sessions
from brain.engines.ladder import EngineState
from brain.engines.loader import EngineSet
from brain.engines.ports import EngineUnavailable, ToolSpec
from brain.ops import health
from brain.ops.notify import Notifier
from brain.persona.character import DEFAULT_INSTRUCTIONS
from brain.settings import Settings

log = logging.getLogger(__name__)

EXIT_FAILED = 1
EXIT_CONFIG = 78

# A message over 1 MiB is refused by name (4413); what is far over it never gets into memory.
_WS_MAX_BYTES = 4 << 20
_PING_S = 5.0
# Characters of history for each token of context that neither the answer nor the tools need.
_HISTORY_CHARS_PER_TOKEN = 2


class ConfigError(ValueError):
    """A file that a setting names can't be used; the message is one line for a person."""


def serve(settings: Settings) -> int:
    """Serve robots until SIGTERM or SIGINT; the exit status.

    0 after an orderly end, 1 if the address or an engine that nothing replaces can't be had, 78 if
    a file that the settings name can't be used.
    """
    try:
        house = house_rules(settings)
        return asyncio.run(_serve(settings, house), debug=False)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_CONFIG
    except (EngineUnavailable, OSError) as error:
        print(f"brain: {error}", file=sys.stderr)
        return EXIT_FAILED


async def _serve(settings: Settings, house: HouseRules) -> int:
    with _listener(settings) as listener:
        engines = EngineSet(settings)
        sessions = Sessions(
            Engines(engines.detector, engines.transcriber, engines.mind, engines.mouth),
            house,
            max_sessions=settings.max_sessions,
            memory_s=settings.history_minutes * 60,
            memory_robots=settings.history_robots,
        )
        stop = asyncio.Event()
        serves = asyncio.Event()
        server = http_server(build_app(settings, engines, sessions, serves=serves, stop=stop))
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        notifier = Notifier.from_environment()
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        loading = asyncio.ensure_future(_load(settings, engines, serves, notifier))
        try:
            host, port = listener.getsockname()[:2]
            log.info("listening on %s port %d, profile %s", host, port, settings.brain_profile)
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait((stopping, serving), return_when=asyncio.FIRST_COMPLETED)
            log.info("going down: %d session(s)", sessions.active)
            notifier.stopping()
            await sessions.drain(settings.shutdown_s)
            server.should_exit = True
            await serving
        finally:
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)
            await engines.close()
    log.info("gone down")
    return 0


async def _load(
    settings: Settings, engines: EngineSet, serves: asyncio.Event, notifier: Notifier
) -> None:
    """Load the engines while the sockets are open already; sets `serves` when some do."""
    await engines.start()
    serves.set()
    log.info("the embedded engines serve")
    await engines.wait_settled()
    for state in engines.states():
        log.info("%s: %s %s %s", state.kind, state.active or "none", state.model, state.reason)
    degraded = [state.kind for state in engines.states() if state.reason]
    status = f"degraded: {', '.join(degraded)}" if degraded else f"ready: {settings.brain_profile}"
    notifier.ready(status)
    log.info("%s", status)


# -- http --------------------------------------------------------------------------------------


def build_app(
    settings: Settings,
    engines: EngineSet,
    sessions: Sessions,
    *,
    serves: asyncio.Event,
    stop: asyncio.Event,
) -> FastAPI:
    """The web application. `serves`: the embedded engines do. `stop`: the brain is going down."""
    app = FastAPI(title="Robot Brain", version=__version__, docs_url=None, redoc_url=None)

    def house() -> local_socket.House:
        voices = engines.mouth.voices if engines.mouth is not None else ()
        return local_socket.House(settings.brain_profile, voices, _engines_out(engines.states()))

    def health_report() -> health.Report:
        counters = {
            "converse_sessions": {"active_sessions": sessions.active, **asdict(sessions.counters)}
        }
        return health.health(settings, engines.states(), counters=counters)

    def ready_report() -> health.Report:
        return health.ready(settings, engines.states(), version=__version__, stopping=stop.is_set())

    app.include_router(
        local_socket.router(
            sessions,
            house=house,
            serves=serves,
            token=settings.brain_token.get_secret_value(),
            idle_limit_s=settings.session_idle_s,
        )
    )
    app.include_router(health_api.router(health_report, ready_report))
    return app


def http_server(app: FastAPI) -> uvicorn.Server:
    """The server of `app`; sockets are given to its `serve`."""
    return _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws_max_size=_WS_MAX_BYTES,
            ws_ping_interval=_PING_S,
            ws_ping_timeout=_PING_S,
            timeout_graceful_shutdown=5,
        )
    )


class _Server(uvicorn.Server):
    """uvicorn, with its signals left to us: sessions are told before sockets are closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listener(settings: Settings) -> socket.socket:
    """A listening socket. Raises OSError in words for a person."""
    host, port = settings.server_host, settings.server_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        raise OSError(f"can't listen on {host} port {port}: {error.strerror}") from error


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


# -- the rules of the house --------------------------------------------------------------------


def house_rules(settings: Settings) -> HouseRules:
    """What holds for every session. Raises `ConfigError` for a bad tools or persona file."""
    return HouseRules(
        defaults=SessionConfig(
            instructions=_instructions(settings),
            tools=_tools(settings),
            turn_detection=TurnDetection(
                silence_ms=settings.vad_silence_ms, threshold=settings.vad_threshold
            ),
        ),
        echo=settings.echo,
        barge_in_ms=settings.barge_in_ms,
        pre_roll_ms=settings.pre_roll_ms,
        max_utterance_s=settings.max_utterance_s,
        lead_ms=settings.tts_lead_ms,
        tool_timeout_s=settings.tool_timeout_s,
        history_chars=max(
            1_000,
            (settings.llm_context - settings.llm_max_output_tokens) * _HISTORY_CHARS_PER_TOKEN,
        ),
    )


def _instructions(settings: Settings) -> str:
    if not settings.persona_file:
        return DEFAULT_INSTRUCTIONS
    text = _read(Path(settings.persona_file), "PERSONA_FILE").strip()
    if not text:
        raise ConfigError(f"PERSONA_FILE={settings.persona_file}: the file is empty")
    return text


def _tools(settings: Settings) -> tuple[ToolSpec, ...]:
    if settings.default_tools == "none":
        return ()
    if settings.default_tools == "reachy_mini":
        path = Path(__file__).parent / "persona" / "reachy_mini_tools.json"
    else:
        path = Path(settings.default_tools)
    text = _read(path, "DEFAULT_TOOLS")
    try:
        tools = tool_list(json.loads(text))
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"DEFAULT_TOOLS={settings.default_tools}: a list of tools was expected: {reason}"
        ) from error
    return tuple(ToolSpec(tool.name, tool.description, tool.parameters) for tool in tools)


def _read(path: Path, setting: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{setting}={path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{setting}={path}: the file isn't UTF-8 text") from error
