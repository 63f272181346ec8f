"""`ECHO=guard`: while the robot speaks, what counts as somebody else.

It must be louder than the echo of what is sent (`echo`), and what is understood of it must not be
the robot's own words (`own_voice`). A part of the actor, and called by it alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from brain.audio.pcm import Audio, to_float
from brain.dialogue.backchannels import is_backchannel, may_become_backchannel, words_of
from brain.dialogue.echo import ArrivalClock, EchoModel
from brain.dialogue.events import Frame, Meaning, Sound
from brain.dialogue.own_voice import without_own_voice
from brain.dialogue.state import RATE, Idle, State


class EchoGuard:
    """Of one session; `on`: the robot may hear itself. Off, it lets everything through.

    Times are those of the session's clock, in s; `lead_s`: as `EchoModel`.
    """

    def __init__(self, *, lead_s: float, on: bool) -> None:
        self.on = on
        self.model = EchoModel(lead_s=lead_s)
        self._clock = ArrivalClock()
        self._overheard_s = 0.0

    def sent(self, audio: Audio, at: float) -> None:
        """This sound begins to be played at `at`."""
        if self.on:
            self.model.sent(audio, at)

    def arrived(self, seconds: float, now: float) -> None:
        """So much sound of the microphone has come."""
        self._clock.arrived(seconds, now)

    def judged(self, frame: Frame | Sound, sound: NDArray[np.int16], state: State) -> Frame | Sound:
        """The frame, as speech only if somebody else may be speaking. `sound`: int16 [512] of it.

        A turn that is open is past doubt: nothing of it is taken away once the robot is silent.
        """
        if not self.on or not isinstance(frame, Frame):
            return frame
        end = self._clock.time_of(frame.end / RATE)
        somebody = not isinstance(state.floor, Idle)
        louder = self.model.louder_than_echo(
            to_float(sound), end, speech=frame.speech, goes_on=somebody
        )
        open_turn = not isinstance(state.floor, Idle) and state.floor.utterance.turn > 0
        if louder or (open_turn and state.reply is None):
            return frame
        return Frame(False, frame.end)

    def meaning(
        self, spoken: str, seconds: float, *, language: str | None
    ) -> Callable[[str], Meaning]:
        """What the words are that will be heard in the last `seconds`; `spoken`: what the robot was
        saying then."""
        self._overheard_s = seconds

        def tell(text: str) -> Meaning:
            if not words_of(text):
                return "nothing"
            others = without_own_voice(text, spoken) if self.on else text
            if not words_of(others):
                return "own_voice"
            if is_backchannel(others, language):
                return "backchannel"
            return "fragment" if may_become_backchannel(others, language) else "words"

        return tell

    def told(self, meaning: Meaning) -> None:
        """What it was. The robot's own voice was louder than thought."""
        if self.on and meaning == "own_voice":
            self.model.was_echo(self._overheard_s + 1.0)
