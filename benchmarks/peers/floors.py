"""When the voice detector's silence conditions hold, which no server with it can undercut.

The sound that a robot sent goes through the real detector and the real turn machine once more,
without a clock: out come the samples after which the silence is long enough, to answer ahead and to
end the turn. A server has such a sample when the robot's frame of 20 ms with it has come. What a
robot waited beyond that is engines' time, and the server's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.peers.costs import RATE, Costs, tokens
from benchmarks.peers.sound import FRAME, Sound
from brain.dialogue import effects
from brain.dialogue.clauses import ClauseSplitter
from brain.dialogue.listener import Listener
from brain.dialogue.microphone import Microphone
from brain.dialogue.state import Rules, State
from brain.dialogue.turn import step
from brain.engines.vad.silero import SileroDetector

_THRESHOLD = 0.5  # of speech, as the settings have it


@dataclass(frozen=True)
class Silence:
    """Of one turn, in ms after its last sample of speech: when the frame is sent with which the
    answer is begun ahead (None: it never is), and the one with which the turn is over."""

    tentative_ms: float | None
    end_ms: float


def silences(heard: Sound, speech_ends: Sequence[int], rules: Rules) -> list[Silence | None]:
    """For each turn of a robot that sent `heard`, whose speech ends at these samples; None where
    the turn doesn't end. `rules`: how the server takes turns."""
    pauses = asyncio.run(_pauses(heard, rules))
    found: list[Silence | None] = []
    for number, spoken in enumerate(speech_ends):
        until = speech_ends[number + 1] if number + 1 < len(speech_ends) else len(heard) + 1
        mine = next((pause for pause in pauses if spoken < pause[1] <= until), None)
        if mine is None:
            found.append(None)
            continue
        tentative, end = mine
        ahead = None if tentative is None else _sent_ms(tentative, spoken)
        found.append(Silence(ahead, _sent_ms(end, spoken)))
    return found


def _sent_ms(sample: int, spoken: int) -> float:
    """From the sending of the sample before `spoken` to that of the one before `sample`: frames
    are whole, and sent when their last sample is there."""
    return (-(-sample // FRAME) * FRAME - spoken) * 1000 / RATE


async def _pauses(heard: Sound, rules: Rules) -> list[tuple[int | None, int]]:
    """The samples at which an answer is begun ahead (None: not at all) and a turn ends."""
    microphone = Microphone(Listener(SileroDetector()), keep=RATE)
    microphone.push(heard)
    found: list[tuple[int | None, int]] = []
    state, tentative = State(rules=rules), None
    while (frame := await microphone.next_frame(threshold=_THRESHOLD, judge=True)) is not None:
        state, wanted = step(state, frame)
        for effect in wanted:
            if isinstance(effect, effects.HearAhead):
                tentative = microphone.end
            elif isinstance(effect, effects.DropAhead):
                tentative = None
            elif isinstance(effect, effects.StartTranscription):
                found.append((tentative, microphone.end))
                state, tentative = State(rules=rules, now=state.now), None
    return found


def first_clause_tokens(reply: str) -> int:
    """How many tokens come before the one that shows that the first clause is complete."""
    splitter = ClauseSplitter()
    for count, token in enumerate(tokens(reply)):
        if splitter.push(token):
            return count
    return len(tokens(reply)) - 1


def critical_path_ms(silence: Silence, costs: Costs, reply: str) -> float:
    """The sum along the way that the first sound takes, ms after the last sample of speech: from
    the tentative silence through the engines, or the silence that ends the turn, if that is
    later."""
    to_clause = costs.first_token + first_clause_tokens(reply) * costs.token
    engines = (costs.stt + to_clause + costs.first_sound) * 1000
    if silence.tentative_ms is None:
        return silence.end_ms + engines
    return max(silence.end_ms, silence.tentative_ms + engines)
