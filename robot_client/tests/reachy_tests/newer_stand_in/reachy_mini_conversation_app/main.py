"""Entry point of the newer app."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from reachy_mini import ReachyMini


class MovementManager:
    def __init__(self, current_robot: Any) -> None:
        self.listening: list[bool] = []

    def is_idle(self) -> bool:
        return True

    def set_listening(self, listening: bool) -> None:
        self.listening.append(listening)


def main() -> None:
    parser = argparse.ArgumentParser("Reachy Mini Conversation App (newer stand-in)")
    parser.add_argument("--no-camera", action="store_true")
    args, _ = parser.parse_known_args()
    run(args)


def run(args: argparse.Namespace, instance_path: str | None = None) -> None:
    from reachy_mini_conversation_app.console import LocalStream
    from reachy_mini_conversation_app.conversation_handler import ConversationHandler
    from reachy_mini_conversation_app.tools.core_tools import ToolDependencies, initialize_tools

    logging.basicConfig(level=logging.INFO)
    robot = ReachyMini()
    deps = ToolDependencies(robot, MovementManager(robot), camera_enabled=not args.no_camera)

    def build_handler(startup_voice: str | None = None) -> ConversationHandler:
        from reachy_mini_conversation_app.huggingface_realtime import HuggingFaceRealtimeHandler

        return HuggingFaceRealtimeHandler(
            deps, instance_path=instance_path, startup_voice=startup_voice
        )

    handler = build_handler(None)
    stream = LocalStream(handler, robot, handler_factory=build_handler)
    initialize_tools(instance_path=instance_path)
    try:
        stream.launch()
    except KeyboardInterrupt:
        logging.getLogger(__name__).info("keyboard interruption")
    finally:
        robot.media.close()


if __name__ == "__main__":
    main()
