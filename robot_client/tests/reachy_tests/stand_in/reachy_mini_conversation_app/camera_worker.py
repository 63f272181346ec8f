"""The camera's latest frame."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray


class CameraWorker:
    """BGR, as OpenCV has it. The real one has a thread that polls; this one looks when asked."""

    def __init__(self, reachy_mini: Any, head_tracker: Any = None) -> None:
        self.reachy_mini = reachy_mini
        self.frame_lock = threading.Lock()
        self.is_head_tracking_enabled = True
        self._running = False

    def get_latest_frame(self) -> NDArray[np.uint8] | None:
        with self.frame_lock:
            frame = self.reachy_mini.media.get_frame() if self._running else None
            return None if frame is None else frame.copy()

    def set_head_tracking_enabled(self, enabled: bool) -> None:
        self.is_head_tracking_enabled = enabled

    def start(self) -> None:
        self._running = True

    def stop(self) -> None:
        self._running = False
