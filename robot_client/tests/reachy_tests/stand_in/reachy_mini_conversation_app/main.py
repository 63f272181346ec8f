"""Entry point: builds the parts, then the handler, then a console stream or a page."""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from typing import Any

import gradio as gr
from fastapi import FastAPI
from fastrtc import Stream
from reachy_mini import ReachyMini

from reachy_mini_conversation_app.utils import (
    handle_vision_stuff,
    parse_args,
    setup_logger,
)


def update_chatbot(chatbot: list[dict[str, Any]], response: dict[str, Any]) -> list[dict[str, Any]]:
    chatbot.append(response)
    return chatbot


def main() -> None:
    args, _ = parse_args()
    run(args)


def run(
    args: argparse.Namespace,
    robot: ReachyMini = None,
    app_stop_event: threading.Event | None = None,
    settings_app: FastAPI | None = None,
    instance_path: str | None = None,
) -> None:
    """Run the app until it is stopped."""
    # Imported here, so that a dashboard which only lists the apps is spared them
    from reachy_mini_conversation_app.audio.head_wobbler import HeadWobbler
    from reachy_mini_conversation_app.console import LocalStream
    from reachy_mini_conversation_app.moves import MovementManager
    from reachy_mini_conversation_app.openai_realtime import OpenaiRealtimeHandler
    from reachy_mini_conversation_app.tools.core_tools import ToolDependencies

    logger = setup_logger(args.debug)

    if robot is None:
        robot = ReachyMini(**({} if args.robot_name is None else {"robot_name": args.robot_name}))
    if robot.client.get_status()["simulation_enabled"] and not args.gradio:
        logger.error("a simulated robot has no sound of its own: --gradio")
        robot.client.disconnect()
        sys.exit(1)

    camera_worker, _, vision_manager = handle_vision_stuff(args, robot)
    movement_manager = MovementManager(
        current_robot=robot,
        camera_worker=camera_worker,
    )
    head_wobbler = HeadWobbler(set_speech_offsets=movement_manager.set_speech_offsets)
    robot.parts["head_wobbler"] = head_wobbler
    deps = ToolDependencies(
        reachy_mini=robot,
        movement_manager=movement_manager,
        camera_worker=camera_worker,
        vision_manager=vision_manager,
        head_wobbler=head_wobbler,
    )
    chatbot = gr.Chatbot(type="messages", allow_tags=False)

    handler = OpenaiRealtimeHandler(deps, gradio_mode=args.gradio, instance_path=instance_path)

    stream_manager: gr.Blocks | LocalStream | None = None

    if args.gradio:
        stream = Stream(
            handler=handler,
            mode="send-receive",
            modality="audio",
            additional_inputs=[chatbot, gr.Textbox(label="OPENAI API Key", type="password")],
            additional_outputs=[chatbot],
            additional_outputs_handler=update_chatbot,
            ui_args={"title": "Talk with the stand-in"},
        )
        robot.parts["stream"] = stream
        stream_manager = stream.ui
    else:
        stream_manager = LocalStream(
            handler,
            robot,
            settings_app=settings_app,
            instance_path=instance_path,
        )

    movement_manager.start()
    head_wobbler.start()
    if camera_worker:
        camera_worker.start()

    def poll_stop_event() -> None:
        app_stop_event.wait()
        stream_manager.close()

    if app_stop_event:
        threading.Thread(target=poll_stop_event, daemon=True).start()

    try:
        stream_manager.launch()
    except KeyboardInterrupt:
        logger.info("keyboard interruption")
    finally:
        movement_manager.stop()
        head_wobbler.stop()
        if camera_worker:
            camera_worker.stop()
        robot.media.close()
        robot.client.disconnect()
        logger.info("shutdown complete")


class ReachyMiniConversationApp:
    """What the robot's dashboard starts: no flags, and an event to stop by."""

    def __init__(self, settings_app: FastAPI | None = None, instance_path: str | None = None):
        self.settings_app = settings_app
        self.instance_path = instance_path

    def run(self, reachy_mini: ReachyMini, stop_event: threading.Event) -> None:
        asyncio.set_event_loop(asyncio.new_event_loop())
        args, _ = parse_args()
        run(
            args,
            robot=reachy_mini,
            app_stop_event=stop_event,
            settings_app=self.settings_app,
            instance_path=self.instance_path,
        )


if __name__ == "__main__":
    main()
