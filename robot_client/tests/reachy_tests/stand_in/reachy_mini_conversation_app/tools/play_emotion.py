"""Recorded emotions, queued and not waited for."""

from __future__ import annotations

from typing import Any, ClassVar

from reachy_mini_conversation_app.moves import Move
from reachy_mini_conversation_app.tools.core_tools import Tool, ToolDependencies

EMOTIONS = ("cheerful1", "sad1", "surprised1", "curious1", "laughing1", "yes1", "no1", "tired1")


class PlayEmotion(Tool):
    name = "play_emotion"
    description = "Show a recorded emotion with head and antennas."
    parameters_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "emotion": {"type": "string", "description": "One of: " + ", ".join(EMOTIONS)}
        },
        "required": ["emotion"],
    }

    async def __call__(self, deps: ToolDependencies, **kwargs: Any) -> dict[str, Any]:
        emotion = kwargs.get("emotion")
        if not emotion:
            return {"error": "Emotion name is required"}
        if emotion not in EMOTIONS:
            return {"error": f"Unknown emotion '{emotion}'. Available: {list(EMOTIONS)}"}
        deps.movement_manager.queue_move(Move("emotion", emotion))
        return {"status": "queued", "emotion": emotion}
