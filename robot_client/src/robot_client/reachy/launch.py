"""`reachy-mini-local`: the Reachy Mini conversation app, unmodified, on a brain of one's own.

Without `--local-server-ip` it starts the app as it is. With it, the local handler takes the place
of the one that the app's `main` is about to import.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import signal
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from robot_client.reachy.app import PACKAGE
from robot_client.reachy.arguments import add_local_server_arguments, local_server
from robot_client.reachy.server import LocalServer

EXIT_NO_APP, EXIT_INTERRUPTED = 69, 130

# Where the app's versions look for their handler, inside `run`: module and class.
HANDLERS = (
    ("openai_realtime", "OpenaiRealtimeHandler"),
    ("gemini_live", "GeminiLiveHandler"),
    ("huggingface_realtime", "HuggingFaceRealtimeHandler"),
)
NEWER = "conversation_handler"  # the module of the versions whose handlers do without fastrtc


class UnknownAppError(Exception):
    """An app that can't be given the local handler; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status; the app's own `sys.exit` passes through."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    parser = _parser()
    args, others = parser.parse_known_args(words)
    try:
        server = local_server(args)
    except ValueError as error:
        parser.error(str(error))
    if importlib.util.find_spec(PACKAGE) is None:
        if args.help:
            parser.print_help()
            return 0
        print(
            f"reachy-mini-local: {PACKAGE} isn't installed beside robot_client. Install both in "
            "one environment, the app's own.",
            file=sys.stderr,
        )
        return EXIT_NO_APP
    # The app reads the command line itself, and what it doesn't know it passes over in silence.
    sys.argv = [sys.argv[0], *others]
    if args.help:
        parser.print_help()
        print("\nThe app's own:\n")
        sys.argv.append("--help")
    # The app lies down, lets go of the sound card and hangs up when it is interrupted; of SIGTERM,
    # which is how systemd stops it, it knows nothing.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if server is not None and not args.help:
            put_in_place(server)
        importlib.import_module(f"{PACKAGE}.main").main()
    except UnknownAppError as error:
        print(f"reachy-mini-local: {error}", file=sys.stderr)
        return EXIT_NO_APP
    except KeyboardInterrupt:  # while it starts, which takes seconds; later the app sees to it
        return EXIT_INTERRUPTED
    return 0


def put_in_place(server: LocalServer) -> None:
    """Make the app, which isn't running yet, build local handlers that talk to this brain.

    Raises `UnknownAppError` for a version of the app that has none of the known handlers.
    """
    found = [(name, handler) for name, handler in HANDLERS if _has(name)]
    if not found:
        known = ", ".join(name for name, _handler in HANDLERS)
        raise UnknownAppError(
            f"this version of {PACKAGE} is not known: it has none of {known}. Known are 0.2.x, and "
            "the later ones with a conversation_handler; see docs/reachy.md"
        )
    local = _local_handler(server)
    for name, handler in found:
        setattr(_module(name), handler, local)


def _parser() -> argparse.ArgumentParser:
    # Without abbreviations: --local is the app's to complete, and --h would be ambiguous.
    parser = argparse.ArgumentParser(
        prog="reachy-mini-local",
        description="The Reachy Mini conversation app, on a Robot Brain of one's own. All other "
        "flags are the app's and passed on to it.",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("-h", "--help", action="store_true", help="these flags and the app's own")
    add_local_server_arguments(parser)
    return parser


def _has(name: str) -> bool:
    return importlib.util.find_spec(f"{PACKAGE}.{name}") is not None


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{name}")


def _local_handler(server: LocalServer) -> type[Any]:
    """The handler that this app wants, bound to the brain."""
    if _has(NEWER) and not _uses_fastrtc():
        from robot_client.reachy.conversation_face import bound_handler

        return bound_handler(server)
    from robot_client.local_socket_handler import LocalSocketHandler

    class BoundHandler(LocalSocketHandler):
        """`LocalSocketHandler` with the constructor of the one whose place it takes."""

        def __init__(
            self,
            deps: Any,
            gradio_mode: bool = False,
            instance_path: str | None = None,
            *,
            startup_voice: str | None = None,
            **more: Any,
        ) -> None:
            super().__init__(deps, gradio_mode, instance_path, **{"server": server, **more})
            self.core.chosen_voice = startup_voice

    return BoundHandler


def _uses_fastrtc() -> bool:
    return any("fastrtc" in kind.__module__ for kind in _module(NEWER).ConversationHandler.__mro__)


if __name__ == "__main__":
    sys.exit(main())
