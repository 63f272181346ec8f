"""Puts everything together: settings -> engines -> dialogue -> api. Knows everyone."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable

from brain.dialogue.common import Engines
from brain.dialogue.config import HouseRules
from brain.dialogue.memory import MemoryStore
from brain.dialogue.sessions import Sessions
from brain.engines.loader import EngineSet
from brain.engines.ports import EngineUnavailable
from brain.engines.unfinished import Loads
from brain.history.port import Keeper, Restored
from brain.house import ConfigError, history_keeper, house_rules, way_in, with_usable_files
from brain.ops.announce import Announcement, announce
from brain.ops.notify import Notifier, watchdog_interval_s
from brain.ops.starting import tell
from brain.ops.watchdog import keep_fed
from brain.settings import Settings
from brain.settings.access import Access, access_of
from brain.settings.load import under_systemd
from brain.settings.places import state_dir
from brain.web import build_app, http_server, listener_of

log = logging.getLogger(__name__)

EXIT_FAILED = 1
EXIT_CONFIG = 78
_LOOK_S = 30.0


def serve(settings: Settings) -> int:
    """Serve robots until SIGTERM or SIGINT; the exit status.

    0 after an orderly end, 1 if the address or an engine that nothing replaces can't be had, 78 if
    a file that the settings name can't be used (under systemd it is done without; without a token
    or a certificate that was asked for, `brain.settings.access` says what becomes of it).
    """
    lenient = under_systemd(os.environ)
    try:
        settings = with_usable_files(settings, lenient=lenient)
        settings, access = way_in(settings, os.environ, lenient=lenient)
        house = house_rules(settings)
        return asyncio.run(_serve(settings, house, access), debug=False)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_CONFIG
    except (EngineUnavailable, OSError) as error:
        print(f"brain: {error}", file=sys.stderr)
        return EXIT_FAILED


async def _serve(settings: Settings, house: HouseRules, access: Access) -> int:
    with listener_of(settings) as listener:
        engines = EngineSet(settings, Loads(state_dir(settings, os.environ) / "loading"))
        keeper = history_keeper(settings, os.environ)
        sessions = sessions_of(
            settings,
            Engines(
                engines.detector,
                engines.transcriber,
                engines.mind,
                engines.mouth,
                engines.end_of_turn,
            ),
            house,
            store=keeper,
        )
        if keeper is not None:
            await restore(sessions, keeper)
        stop = asyncio.Event()
        serves = asyncio.Event()
        app = build_app(
            settings, engines, sessions, serves=serves, stop=stop, keeper=keeper, access=access
        )
        server = http_server(app, tls=access.tls)
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        notifier = Notifier.from_environment()
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        loading = asyncio.ensure_future(_load(settings, engines, serves, notifier, keeper))
        host, port = listener.getsockname()[:2]
        feeding = asyncio.ensure_future(keep_fed(notifier, watchdog_interval_s(), engines.hopeless))
        where = Announcement(
            host, port, settings.brain_profile, settings.brain_name, tls=access.tls is not None
        )
        announcing = asyncio.ensure_future(_announce(settings, serves, where))
        mending = asyncio.ensure_future(_end_when_mended(settings, access, stop))
        try:
            kind = "TLS" if access.tls else "no TLS"
            log.info(
                "listening on %s port %d (%s), profile %s", host, port, kind, settings.brain_profile
            )
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait((stopping, serving), return_when=asyncio.FIRST_COMPLETED)
            log.info("going down: %d session(s)", sessions.active)
            notifier.stopping(f"going down: {sessions.active} session(s)")
            announcing.cancel()
            await sessions.drain(settings.shutdown_s)
            server.should_exit = True
            await serving
            await asyncio.wait({announcing})  # a second cancel would break into its goodbye
        finally:
            for task in (loading, announcing, mending):
                task.cancel()
            await asyncio.gather(loading, announcing, mending, return_exceptions=True)
            await engines.close()
            if keeper is not None:
                await keeper.close()
            # (The manager shows the last one it was told for as long as the unit is down.)
            notifier.status("gone down")
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
        per_address=settings.sessions_per_address,
        memory_s=settings.history_minutes * 60,
        memory_robots=settings.history_robots,
        clock=clock,
        store=store,
    )


async def restore(sessions: Sessions, keeper: Keeper) -> None:
    """Start the keeper, and give the sessions what it has kept."""

    def found(one: Restored) -> None:
        sessions.restore(one.robot, one.kept, age_s=one.age_s)

    keeper.forgotten, keeper.taken = sessions.forget, sessions.taken
    keeper.found_late = found
    for one in await keeper.start():
        found(one)


async def _load(
    settings: Settings,
    engines: EngineSet,
    serves: asyncio.Event,
    notifier: Notifier,
    keeper: Keeper | None = None,
) -> None:
    """Load the engines while the sockets are open already; sets `serves` when some do. Goes on to
    tell the manager how they stand until cancelled."""
    notifier.status("loading: the embedded engines")
    await engines.start()
    serves.set()
    log.info("the embedded engines serve")

    def besides() -> list[str]:
        refused = [str(bad) for bad in settings.problems if bad.severity == "error"]
        found = [f"settings ({len(refused)} refused, first: {refused[0]})"] if refused else []
        return found + ([f"history ({keeper.reason})"] if keeper and keeper.reason else [])

    await tell(engines, notifier, settings.brain_profile, besides)


async def _end_when_mended(settings: Settings, access: Access, stop: asyncio.Event) -> None:
    """A brain that lets nobody in, or only its own machine, for want of a file (which only happens
    under systemd) goes down when the file has come, and is started anew."""
    while access.locked or access.local_only:
        await asyncio.sleep(_LOOK_S)
        now = await asyncio.to_thread(access_of, settings, os.environ, had_tokens=access.locked)
        if not (now.locked or now.local_only):
            log.warning("the tokens and the certificate are there now: starting anew")
            stop.set()
            return


async def _announce(settings: Settings, serves: asyncio.Event, where: Announcement) -> None:
    """So that robots find the brain, as soon as it serves them and until it goes down."""
    if settings.discovery:
        await serves.wait()
        await announce(where)
