"""Puts everything together: settings -> engines -> dialogue -> api. Knows everyone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict

import uvicorn
from fastapi import FastAPI
from starlette.exceptions import HTTPException

from brain import __version__
from brain.api import converse, json_request, local_socket, tts, wire_out
from brain.api import health as health_api
from brain.api import plan as plan_api
from brain.dialogue.config import HouseRules
from brain.dialogue.memory import MemoryStore
from brain.dialogue.session import Engines
from brain.dialogue.sessions import Sessions
from brain.engines.ladder import EngineState
from brain.engines.loader import EngineSet
from brain.engines.ports import EngineUnavailable
from brain.engines.unfinished import Loads
from brain.history.keeper import HistoryKeeper, Restored
from brain.house import ConfigError, history_keeper, house_rules, with_usable_files
from brain.ops import health
from brain.ops.announce import Announcement, announce
from brain.ops.gpu_memory import GpuMemory
from brain.ops.listening import listening_socket
from brain.ops.notify import Notifier, watchdog_interval_s
from brain.ops.starting import tell
from brain.ops.watchdog import keep_fed
from brain.persona.moods import EMOTION_ALIASES, EMOTIONS
from brain.planner.options import plan_options
from brain.planner.service import Planner
from brain.settings import Settings
from brain.settings.load import under_systemd
from brain.settings.places import state_dir

log = logging.getLogger(__name__)

EXIT_FAILED = 1
EXIT_CONFIG = 78

# A message over 1 MiB is refused by name (4413); what is far over it never gets into memory.
_WS_MAX_BYTES = 4 << 20
# A robot that is gone is noticed within 10 s: a ping follows an answer by so much, and waits so
# long for its own. What can't be delivered may not hold that up: a socket that still has something
# to send is closed only when the kernel gives up on that, by itself after a quarter of an hour.
_PING_EVERY_S = 4.5
_PONG_S = 5.0
_UNDELIVERED_MS = 9_000


def serve(settings: Settings) -> int:
    """Serve robots until SIGTERM or SIGINT; the exit status.

    0 after an orderly end, 1 if the address or an engine that nothing replaces can't be had, 78 if
    a file that the settings name can't be used (under systemd it is done without).
    """
    try:
        settings = with_usable_files(settings, lenient=under_systemd(os.environ))
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
        engines = EngineSet(settings, Loads(state_dir(settings, os.environ) / "loading"))
        keeper = history_keeper(settings, os.environ)
        sessions = sessions_of(
            settings,
            Engines(engines.detector, engines.transcriber, engines.mind, engines.mouth),
            house,
            store=keeper,
        )
        if keeper is not None:
            await restore(sessions, keeper)
        stop = asyncio.Event()
        serves = asyncio.Event()
        app = build_app(settings, engines, sessions, serves=serves, stop=stop, keeper=keeper)
        server = http_server(app)
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        notifier = Notifier.from_environment()
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        loading = asyncio.ensure_future(_load(settings, engines, serves, notifier, keeper))
        host, port = listener.getsockname()[:2]
        feeding = asyncio.ensure_future(keep_fed(notifier, watchdog_interval_s(), engines.hopeless))
        announcing = asyncio.ensure_future(_announce(settings, serves, host, port))
        try:
            log.info("listening on %s port %d, profile %s", host, port, settings.brain_profile)
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait((stopping, serving), return_when=asyncio.FIRST_COMPLETED)
            log.info("going down: %d session(s)", sessions.active)
            notifier.stopping()
            announcing.cancel()
            await sessions.drain(settings.shutdown_s)
            server.should_exit = True
            await serving
            await asyncio.wait({announcing})  # a second cancel would break into its goodbye
        finally:
            loading.cancel()
            announcing.cancel()
            await asyncio.gather(loading, announcing, return_exceptions=True)
            await engines.close()
            if keeper is not None:
                await keeper.close()
            feeding.cancel()  # (to the end: going down takes its time, too)
    log.info("gone down")
    return 0


def sessions_of(
    settings: Settings,
    engines: Engines,
    house: HouseRules,
    *,
    clock: Callable[[], float] = time.monotonic,
    store: MemoryStore | None = None,
) -> Sessions:
    """Who may be connected, and what is kept of those who were."""
    return Sessions(
        engines,
        house,
        max_sessions=settings.max_sessions,
        memory_s=settings.history_minutes * 60,
        memory_robots=settings.history_robots,
        clock=clock,
        store=store,
    )


async def restore(sessions: Sessions, keeper: HistoryKeeper) -> None:
    """Start the keeper, and give the sessions what it has kept."""

    def found(one: Restored) -> None:
        sessions.restore(one.robot, one.kept, age_s=one.age_s)

    keeper.forgotten, keeper.found_late = sessions.forget, found
    for one in await keeper.start():
        found(one)


async def _load(
    settings: Settings,
    engines: EngineSet,
    serves: asyncio.Event,
    notifier: Notifier,
    keeper: HistoryKeeper | None = None,
) -> None:
    """Load the engines while the sockets are open already; sets `serves` when some do. Goes on to
    tell the manager how they stand until cancelled."""
    await engines.start()
    serves.set()
    log.info("the embedded engines serve")

    def besides() -> list[str]:
        refused = [str(bad) for bad in settings.problems if bad.severity == "error"]
        found = [f"settings ({len(refused)} refused, first: {refused[0]})"] if refused else []
        return found + ([f"history ({keeper.reason})"] if keeper and keeper.reason else [])

    await tell(engines, notifier, settings.brain_profile, besides)


async def _announce(settings: Settings, serves: asyncio.Event, host: str, port: int) -> None:
    """So that robots find the brain, as soon as it serves them and until it goes down."""
    if settings.discovery:
        await serves.wait()
        await announce(Announcement(host, port, settings.brain_profile, settings.brain_name))


# -- http --------------------------------------------------------------------------------------


def build_app(
    settings: Settings,
    engines: EngineSet,
    sessions: Sessions,
    *,
    serves: asyncio.Event,
    stop: asyncio.Event,
    keeper: HistoryKeeper | None = None,
) -> FastAPI:
    """The web application. `serves`: the embedded engines do. `stop`: the brain is going down.

    `keeper`: of the conversations, if anybody keeps them.
    """
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

    gpu_memory = GpuMemory()
    planner = Planner(engines.mind, plan_options(settings))

    def health_report() -> health.Report:
        counters = {
            "plan_admission": asdict(planner.admission),
            "converse_sessions": sessions.account(),
        }
        return health.health(
            settings,
            engines.states(),
            orpheus_vram_free_gb=gpu_memory.free_gb(),
            counters=counters,
        )

    def ready_report() -> health.Report:
        return health.ready(
            settings,
            engines.states(),
            version=__version__,
            stopping=stop.is_set(),
            history=health.HistoryState(
                kept=keeper is not None,
                reason=keeper.reason if keeper is not None else "",
                note=keeper.note if keeper is not None else "",
            ),
        )

    app.include_router(
        local_socket.router(
            sessions,
            house=house,
            serves=serves,
            token=settings.brain_token.get_secret_value(),
            idle_limit_s=settings.session_idle_s,
        )
    )
    app.include_router(
        converse.router(
            sessions,
            vad=settings.converse_vad,
            serves=serves,
            token=settings.brain_token.get_secret_value(),
        )
    )
    app.include_router(
        tts.router(
            engines.mouth,
            emotions={name: name for name in EMOTIONS} | EMOTION_ALIASES,
            token=settings.brain_token.get_secret_value(),
        )
    )
    app.include_router(plan_api.router(planner, token=settings.brain_token.get_secret_value()))
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
            ws_ping_interval=_PING_EVERY_S,
            ws_ping_timeout=_PONG_S,
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
    listener = listening_socket(host, port, waits=under_systemd(os.environ))
    # Connections inherit it. asyncio sets it only on sockets made with an explicit protocol number,
    # which these are not; without it, what is sent in two pieces waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNDELIVERED_MS)
    return listener


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
