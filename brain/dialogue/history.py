"""What was said and heard, as a language model is told of it.

Append-only but for words that are heard late, so that a prompt's prefix stays the same to the byte
and a model's cache of it good; over its budget, the oldest turns go in one step down to half of it.
Rather after a reply than with the next question: then there is time to read anew what is left.
A picture is there for its turn (see `pictures.PictureLimits`); then a note takes its place, for
good.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from brain.dialogue.pictures import PictureLimits, kept
from brain.engines.ports import Message, ToolCall

_EARLY = 16
_FOR_A_QUESTION = 8
"""At a reply's end this part of the budget is left for the next question."""


@dataclass(frozen=True)
class Said(Message):
    """What the user said in this turn."""

    turn: int = 0


@dataclass(frozen=True)
class Reply(Message):
    """What was heard of a reply; `tags` is the mood that the model wrote in front of it."""

    tags: str = ""


class History:
    """One robot's conversation. `budget` is in characters."""

    def __init__(
        self,
        budget: int = 8_000,
        messages: Iterable[Message] = (),
        pictures: PictureLimits | None = None,
    ) -> None:
        """`messages`: an earlier `snapshot`."""
        self._budget = budget
        self._pictures = pictures or PictureLimits()
        self._messages = list(messages)
        self._early: dict[str, str] = {}
        self._early_pictures: dict[str, tuple[bytes, ...]] = {}
        self._calls = {
            call.call_id: call.name for message in self._messages for call in message.tool_calls
        }
        self._keep_to_budget()

    def snapshot(self) -> tuple[Message, ...]:
        """All there is, to go on from another time."""
        return tuple(self._messages)

    def copy(self) -> History:
        """Another one with the same in it."""
        other = History(self._budget, self._messages, self._pictures)
        other._early = dict(self._early)
        other._early_pictures = dict(self._early_pictures)
        return other

    def clear(self) -> None:
        """Forget everything."""
        self._messages, self._early, self._calls = [], {}, {}
        self._early_pictures = {}

    def user_said(self, text: str, turn: int = 0, pictures: Sequence[bytes] = ()) -> None:
        """What the user said, and pictures that came with it. Those of earlier turns go."""
        self._append(Said("user", text, turn=turn, images=tuple(pictures)))

    def user_had_said(self, text: str, turn: int) -> bool:
        """Words that come to light late: they go before those of later turns.

        False, and nothing is done, where there are none: then they are the newest.
        """
        for i, message in enumerate(self._messages):
            if isinstance(message, Said) and message.turn > turn:
                self._messages.insert(i, Said("user", text, turn=turn))
                self._keep_to_budget()
                return True
        return False

    def assistant_said(self, text: str, calls: Sequence[ToolCall] = (), tags: str = "") -> None:
        """What was heard of a reply, and the tool calls that it made.

        `tags`: the mood that the model wrote in front of the text.
        """
        if not text and not calls:
            return
        self._append(Reply("assistant", text, tool_calls=tuple(calls), tags=tags if text else ""))
        self._calls |= {call.call_id: call.name for call in calls}
        for call in calls:
            if call.call_id in self._early:
                self.tool_answered(call.call_id, self._early.pop(call.call_id))
        if not calls:
            self._keep_to_budget(self._budget // _FOR_A_QUESTION)

    def tool_answered(self, call_id: str, output: str) -> None:
        """A result; one that comes before its call's reply has ended waits for that."""
        name = self._calls.get(call_id)
        if name is None:
            self._early[call_id] = output
            while len(self._early) > _EARLY:  # results of calls that were trimmed away
                self._early.pop(next(iter(self._early)))
            return
        pictures = self._early_pictures.pop(call_id, ())
        self._append(Message("tool", output, call_id=call_id, name=name, images=pictures))

    def tool_showed(self, call_id: str, picture: bytes) -> bool:
        """A picture that belongs to a result, come or to come. False if another one had to go."""
        for i, message in enumerate(self._messages):
            if message.role == "tool" and message.call_id == call_id:
                self._messages[i] = replace(message, images=(*message.images, picture))
                return self._keep_pictures()
        early = (*self._early_pictures.pop(call_id, ()), picture)
        self._early_pictures[call_id] = early[-self._pictures.turn :]
        while len(self._early_pictures) > self._pictures.turn:  # of results that never came
            self._early_pictures.pop(next(iter(self._early_pictures)))
        return len(early) <= self._pictures.turn

    def settle(self, output: str) -> None:
        """Give each call that has no result this one: models want an answer to every call."""
        answered = {message.call_id for message in self._messages if message.role == "tool"}
        for call_id in [call_id for call_id in self._calls if call_id not in answered]:
            self.tool_answered(call_id, output)

    def messages(self, *, moods: bool = False) -> tuple[Message, ...]:
        """The conversation; user messages in a row (nobody answered the first) become one.

        `moods`: with the tags in front of replies, as a model that is asked for them wrote them.
        """
        merged: list[Message] = []
        for message in self._messages:
            if isinstance(message, Reply):
                text = (message.tags if moods else "") + message.content
                merged.append(Message("assistant", text, tool_calls=message.tool_calls))
            elif merged and message.role == merged[-1].role == "user":
                both = f"{merged[-1].content}\n{message.content}"
                # What was too long to be answered must not make the next question too long.
                fits = len(both) <= self._budget // 4
                images = merged[-1].images + message.images
                merged[-1] = Message("user", both if fits else message.content, images=images)
            elif isinstance(message, Said):
                merged.append(Message("user", message.content, images=message.images))
            else:
                merged.append(message)
        return tuple(merged)

    def _append(self, message: Message) -> None:
        self._messages.append(message)
        self._keep_pictures()
        self._keep_to_budget()

    def _keep_pictures(self) -> bool:
        """Leave out what are too many; False if there were."""
        before = sum(len(message.images) for message in self._messages)
        self._messages = kept(self._messages, self._pictures)
        return before == sum(len(message.images) for message in self._messages)

    def _keep_to_budget(self, spare: int = 0) -> None:
        if self._size(self._messages) > self._budget - spare:
            self._trim()

    def _trim(self) -> None:
        """Drop whole turns, oldest first, never the one under way; its tool calls rather shrink."""
        kept = self._messages
        while self._size(kept) > self._budget // 2:
            starts = [i for i, message in enumerate(kept) if message.role == "user" and i > 0]
            if not starts:
                break
            kept = kept[starts[0] :]
        # A long tool loop is one turn: its oldest rounds go, after the question.
        while self._size(kept) > self._budget:
            rounds = [i for i, message in enumerate(kept) if message.role == "assistant"]
            if len(rounds) < 2:
                break
            kept = [*kept[: rounds[0]], *kept[rounds[1] :]]
        self._messages = kept
        here = {call.call_id for message in kept for call in message.tool_calls}
        self._calls = {call_id: name for call_id, name in self._calls.items() if call_id in here}

    @staticmethod
    def _size(messages: Sequence[Message]) -> int:
        return sum(
            len(message.content) + sum(len(call.arguments) for call in message.tool_calls) + 8
            for message in messages
        )
