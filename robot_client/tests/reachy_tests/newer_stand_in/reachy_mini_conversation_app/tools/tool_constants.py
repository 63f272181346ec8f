"""Tools that look after tools."""

from __future__ import annotations

from enum import Enum


class SystemTool(Enum):
    TASK_STATUS = "task_status"
    TASK_CANCEL = "task_cancel"
