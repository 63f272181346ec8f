"""What the next question begins with is known before it is asked: the mind has it ready by then."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from brain.dialogue.tasks import Tasks
from brain.engines.ports import (
    Cancelled,
    EngineError,
    LanguageModel,
    Message,
    Priority,
    Ticket,
    ToolSpec,
)

_log = logging.getLogger(__name__)


class Foresight:
    """Has the mind prefill one conversation, as it stands. Of a session's event loop."""

    def __init__(self, robot: str, mind: LanguageModel) -> None:
        self._robot = robot
        self._mind = mind
        self._ticket = Ticket(robot)
        self._tasks = Tasks()

    def expect(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> None:
        """The next question will come after `messages`, with `tools` on offer, and not, as was
        expected before, after others."""
        self._ticket.cancel.cancel()
        self._ticket = Ticket(self._robot, Priority.SPECULATION)
        self._tasks.spawn(self._prefill(messages, tools, self._ticket))

    async def close(self) -> None:
        """Stop, and wait for that."""
        self._ticket.cancel.cancel()
        await self._tasks.close()

    async def _prefill(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], ticket: Ticket
    ) -> None:
        try:
            await self._mind.prefill(messages, tools=tools, ticket=ticket)
        except Cancelled:
            pass
        except EngineError as error:
            # The question itself will show whether there is something wrong.
            _log.debug("%s: nothing was prefilled: %s", self._robot, error)
        except Exception:  # noqa: BLE001 - a fault of ours costs the time that it would have saved
            _log.exception("%s: nothing was prefilled", self._robot)
