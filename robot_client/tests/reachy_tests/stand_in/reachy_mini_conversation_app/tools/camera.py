"""A picture of what is in front of the robot."""

from __future__ import annotations

import base64
import io
from typing import Any, ClassVar

from PIL import Image

from reachy_mini_conversation_app.tools.core_tools import Tool, ToolDependencies


class Camera(Tool):
    name = "camera"
    description = "Take a picture with the camera and look at it with a question in mind."
    parameters_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {"question": {"type": "string", "description": "What to look for."}},
        "required": ["question"],
    }

    async def __call__(self, deps: ToolDependencies, **kwargs: Any) -> dict[str, Any]:
        if not (kwargs.get("question") or "").strip():
            return {"error": "question must be a non-empty string"}
        if deps.camera_worker is None:
            return {"error": "Camera worker not available"}
        frame = deps.camera_worker.get_latest_frame()
        if frame is None:
            return {"error": "No frame available"}
        jpeg = io.BytesIO()
        Image.fromarray(frame[:, :, ::-1]).save(jpeg, "JPEG")
        return {"b64_im": base64.b64encode(jpeg.getvalue()).decode("utf-8")}
