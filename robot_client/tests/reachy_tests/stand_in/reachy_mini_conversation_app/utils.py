"""Flags and logging."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from reachy_mini import ReachyMini

from reachy_mini_conversation_app.camera_worker import CameraWorker


def parse_args() -> tuple[argparse.Namespace, list[str]]:
    """The known flags, and the words that nobody knows."""
    parser = argparse.ArgumentParser("Reachy Mini Conversation App (stand-in)")
    parser.add_argument("--head-tracker", choices=["yolo", "mediapipe", None], default=None)
    parser.add_argument("--no-camera", default=False, action="store_true")
    parser.add_argument("--local-vision", default=False, action="store_true")
    parser.add_argument("--gradio", default=False, action="store_true", help="a page in a browser")
    parser.add_argument("--debug", default=False, action="store_true")
    parser.add_argument(
        "--robot-name",
        type=str,
        default=None,
        help="the name that the daemon has",
    )
    return parser.parse_known_args()


def handle_vision_stuff(
    args: argparse.Namespace, current_robot: ReachyMini
) -> tuple[CameraWorker | None, Any, Any]:
    """Camera worker, head tracker, vision manager; the last two never in the stand-in."""
    return (None if args.no_camera else CameraWorker(current_robot)), None, None


def setup_logger(debug: bool) -> logging.Logger:
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s:%(lineno)d | %(message)s",
    )
    logging.getLogger("websockets").setLevel(logging.INFO)
    return logging.getLogger(__name__)
