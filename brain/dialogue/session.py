"""The actor: one robot's session. One inbox, one writer.

Whatever happens comes in through the inbox: sound and messages of the robot, what engines made,
timers, the end. `run` takes one item after another, asks the turn machine, and carries out its
effects. Nothing else writes this object's state; tasks that it starts only post.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.dialogue import effects as do
from brain.dialogue import events, outputs, reply
from brain.dialogue.active import Active, Hearing
from brain.dialogue.config import HouseRules, SessionConfig, changed, rules
from brain.dialogue.history import History
from brain.dialogue.microphone import Microphone
from brain.dialogue.playback import Playback
from brain.dialogue.state import RATE, Idle, State
from brain.dialogue.turn import step
from brain.engines.ports import (
    Cancelled,
    EngineError,
    LanguageModel,
    Message,
    Synthesizer,
    Ticket,
    Transcriber,
    VoiceDetector,
)
from brain.persona.character import idle_note

log = logging.getLogger(__name__)

_APOLOGIES = {
    "stt_failed": "Sorry, my ears failed me just now. Please say that again.",
    "llm_busy": "Sorry, I'm busy just now. Please ask me again.",
}
_APOLOGY = "Sorry, I can't think right now."
_NO_RESULT = '{"error": "the tool gave no result"}'
_NEVER_ANSWERS = '{"status": "sent to the robot"}'
# More unheard sound than this means that the brain can't keep up: it is shed, visibly.
_MAX_WAITING_S = 30.0
# Timers may fire this much early, in s.
_EPSILON = 0.002


@dataclass(frozen=True)
class Engines:
    """What a session hears, thinks and speaks with. `mouth` None: text only."""

    detector: VoiceDetector
    transcriber: Transcriber
    mind: LanguageModel
    mouth: Synthesizer | None


@dataclass
class RobotMemory:
    """What is kept of a robot between its connections."""

    history: History
    last_turn: int = 0
    last_reply: int = 0


# -- the inbox's own items, beside the turn machine's events and a reply's progress -------------


@dataclass(frozen=True)
class _Heard:
    samples: NDArray[np.int16]


@dataclass(frozen=True)
class _Configure:
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class _Played:
    reply_id: int
    seconds: float


@dataclass(frozen=True)
class _CheckPlayback:
    """A timer: has the loudspeaker fallen silent?"""


@dataclass(frozen=True)
class _HangUp:
    code: int
    reason: str


@dataclass(frozen=True)
class _HeardTurn:
    """A transcription is done, one way or the other."""

    event: events.Transcribed | events.TranscriptionFailed
    stt_ms: float


_Item = (
    events.Event
    | reply.Progress
    | outputs.Problem
    | _Heard
    | _Configure
    | _Played
    | _CheckPlayback
    | _HangUp
    | _HeardTurn
)


class Session:
    """One robot, from its connection to its end. Methods are for the event loop's thread.

    `outputs` is what the robot is to be told, in order; its last item is a `Closed`.
    """

    def __init__(
        self, session_id: str, robot_id: str, engines: Engines, house: HouseRules,
        memory: RobotMemory,
    ) -> None:  # fmt: skip
        self.session_id = session_id
        self.robot_id = robot_id
        self.config: SessionConfig = house.defaults
        self.outputs: asyncio.Queue[outputs.Output] = asyncio.Queue()
        self.quiet = asyncio.Event()
        self.quiet.set()
        self._engines = engines
        self._house = house
        self._memory = memory
        self._inbox: asyncio.Queue[_Item] = asyncio.Queue()
        self._state = State(
            rules=rules(self.config, house),
            last_turn=memory.last_turn,
            last_reply=memory.last_reply,
        )
        self._microphone = Microphone(engines.detector, keep=(house.max_utterance_s + 2) * RATE)
        self._waiting = 0
        self._shedding = False
        self._active: Active | None = None
        self._hearing: Hearing | None = None
        self._rounds = (0, 0)  # turn, follow-ups in it
        self._tasks: set[asyncio.Task[Any]] = set()
        self._tickets: set[Ticket] = set()
        self._starving: asyncio.TimerHandle | None = None
        self._loudspeaker: asyncio.TimerHandle | None = None
        self._playback = Playback()
        self._timers: set[asyncio.TimerHandle] = set()

    # -- what the wire may do ------------------------------------------------------------------

    def post(self, event: events.Event) -> None:
        """Something happened."""
        self._inbox.put_nowait(event)

    def hear(self, samples: NDArray[np.int16]) -> None:
        """Microphone sound at the session's input rate. Shed when the brain can't keep up."""
        if self._waiting + len(samples) > _MAX_WAITING_S * self.config.input_sample_rate:
            if not self._shedding:
                self._shedding = True
                self._inbox.put_nowait(
                    outputs.Problem("audio_overflow", "sound comes faster than it can be heard")
                )
            return
        self._shedding = False
        self._waiting += len(samples)
        self._inbox.put_nowait(_Heard(samples))

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Change the session; checked values only (see `config.changed`)."""
        self._inbox.put_nowait(_Configure(changes))

    def played(self, reply_id: int, seconds: float) -> None:
        """A playback mark."""
        self._inbox.put_nowait(_Played(reply_id, seconds))

    def idle(self, seconds: float, note: str) -> None:
        """The robot has been idle."""
        self.post(events.IdleSignal(idle_note(seconds, note)))

    def report(self, code: str, message: str) -> None:
        """Tell the robot of a problem, in order with all the rest."""
        self._inbox.put_nowait(outputs.Problem(code, message))

    def pong(self, t: object) -> None:
        """Answer a ping, in order with all the rest."""
        self._send(outputs.Pong(t))

    def hang_up(self, code: int, reason: str) -> None:
        """End the session with this close code. Twice is the same as once."""
        self._inbox.put_nowait(_HangUp(code, reason))

    # -- the actor -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Live until hung up. Every task that was started has ended when this returns."""
        closed = outputs.Closed(1011, "internal error")
        try:
            while True:
                item = await self._inbox.get()
                if isinstance(item, _HangUp):
                    closed = outputs.Closed(item.code, item.reason)
                    return
                self._take(item)
                if isinstance(item, _Heard):
                    await asyncio.sleep(0)  # a burst of sound must not hold up other robots
        except Exception:
            # A fault of ours ends this session, visibly, and no other.
            log.exception("session %s broke", self.session_id)
        finally:
            self._step(events.Hangup())
            for handle in (self._starving, self._loudspeaker, *self._timers):
                if handle is not None:
                    handle.cancel()
            for ticket in self._tickets:
                ticket.cancel.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._memory.last_turn = self._state.last_turn
            self._memory.last_reply = self._state.last_reply
            self._send(closed)

    def _take(self, item: _Item) -> None:
        match item:
            case _Heard():
                self._listen(item)
            case _Configure():
                self._reconfigure(item.changes)
            case _Played():
                self._mark(item)
            case _CheckPlayback():
                self._check_playback()
            case _HeardTurn():
                if self._hearing is not None and self._hearing.turn == item.event.turn:
                    self._hearing = replace(self._hearing, stt_ms=item.stt_ms)
                self._step(item.event)
            case outputs.Problem():
                self._send(item)
            case (
                reply.FirstToken()
                | reply.FirstClause()
                | reply.Called()
                | reply.Block()
                | reply.AllSaid()
                | reply.Failed()
            ):
                self._progress(item)
            case _HangUp():
                raise AssertionError("run looks for this itself")
            case _:
                self._step(item)

    def _step(self, event: events.Event) -> None:
        self._state, wanted = step(self._state, event)
        for effect in wanted:
            self._carry_out(effect)
        if self._state.reply is None and not self._state.answering:
            self.quiet.set()
        else:
            self.quiet.clear()

    def _carry_out(self, effect: do.Effect) -> None:
        match effect:
            case do.Send():
                self._send(effect.output)
            case do.StartTranscription():
                self._start_transcription(effect)
            case do.Remember():
                self._settle_calls()
                self._memory.history.user_said(effect.text)
            case do.RememberResult():
                self._memory.history.tool_answered(effect.call_id, effect.output)
            case do.StartReply():
                self._start_reply(effect)
            case do.Apologise():
                self._apologise(effect)
            case do.EndReply():
                self._end_reply(effect)
            case do.AwaitTools():
                self._later(self._house.tool_timeout_s, events.ToolsOverdue(effect.turn))
            case do.ForgetSound():
                self._microphone.forget()

    def _send(self, output: outputs.Output) -> None:
        self.outputs.put_nowait(output)

    # -- ears ----------------------------------------------------------------------------------

    def _listen(self, heard: _Heard) -> None:
        self._waiting -= len(heard.samples)
        if len(heard.samples) > self.config.input_sample_rate:
            self._send(outputs.Problem("bad_audio", "audio: a chunk is at most 1 s long"))
            return
        self._microphone.push(heard.samples)
        detection = self.config.turn_detection
        while True:
            judge = detection is not None and not self._state.deaf
            threshold = detection.threshold if detection else 1.0
            frame = self._microphone.next_frame(threshold=threshold, judge=judge)
            if frame is None:
                break
            self._step(frame)
        if self._starving is not None:
            self._starving.cancel()
            self._starving = None
        if not isinstance(self._state.floor, Idle) and not self._state.rules.push_to_talk:
            delay = max(self._house.starved_ms / 1000, self._state.rules.silence / RATE)
            self._starving = asyncio.get_running_loop().call_later(
                delay, self._inbox.put_nowait, events.Starved()
            )

    def _start_transcription(self, effect: do.StartTranscription) -> None:
        silence = (self._state.now - effect.voiced_end) / RATE
        self._hearing = Hearing(effect.turn, self._now() - silence, round(silence * 1000, 1))
        sound = self._microphone.take(effect.start, effect.end)
        ticket = Ticket(self.robot_id)
        self._tickets.add(ticket)
        self._spawn(self._transcribe(effect.turn, sound, ticket))

    async def _transcribe(self, turn: int, sound: NDArray[np.float32], ticket: Ticket) -> None:
        started = self._now()
        event: events.Transcribed | events.TranscriptionFailed
        try:
            transcript = await self._engines.transcriber.transcribe(
                sound, language=self.config.language, ticket=ticket
            )
            event = events.Transcribed(turn, transcript.text.strip())
        except Cancelled:
            return
        except EngineError as error:
            event = events.TranscriptionFailed(turn, "stt_failed", str(error))
        except Exception:
            log.exception("transcription of turn %d broke", turn)
            event = events.TranscriptionFailed(turn, "internal", "hearing failed; see the log")
        finally:
            self._tickets.discard(ticket)
        self._inbox.put_nowait(_HeardTurn(event, round((self._now() - started) * 1000, 1)))

    # -- mind and mouth ------------------------------------------------------------------------

    def _start_reply(self, effect: do.StartReply) -> None:
        hearing = self._hearing
        if hearing is not None and hearing.turn != effect.turn:
            hearing = None
        self._active = Active(
            kind=effect.kind,
            brief=self._brief(effect),
            ticket=Ticket(self.robot_id),
            playback=Playback(marks=self.config.playback_marks),
            started_at=self._now(),
            # A follow-up's times begin with its results, not with the user's words.
            hearing=hearing if effect.kind in ("answer", "apology") else None,
            apologising=effect.kind == "apology",
        )
        self._send(outputs.ReplyStarted(effect.turn, effect.reply_id))
        self._speak(self._active)

    def _brief(self, effect: do.StartReply) -> reply.Brief:
        config, history = self.config, self._memory.history
        brief = reply.Brief(
            effect.reply_id,
            effect.turn,
            voice=config.voice,
            output_sample_rate=config.output_sample_rate,
        )
        if effect.kind == "say":
            return replace(brief, text=effect.text)
        if effect.kind == "apology":
            return replace(brief, text=_APOLOGIES.get(effect.text, _APOLOGY))
        turn, rounds = self._rounds
        self._rounds = (effect.turn, rounds + 1 if turn == effect.turn else 0)
        if effect.kind == "follow_up":
            self._settle_calls()
        messages = [Message("system", config.instructions), *history.messages()]
        if effect.kind == "idle":
            messages.append(Message("user", effect.text))
        tools = config.tools if self._rounds[1] < self._house.max_tool_rounds else ()
        return replace(brief, messages=messages, tools=tools, mute=effect.kind == "idle")

    def _speak(self, active: Active) -> None:
        self._tickets.add(active.ticket)
        active.task = self._spawn(
            reply.run(
                active.brief,
                mind=self._engines.mind,
                mouth=self._engines.mouth,
                ticket=active.ticket,
                post=self._inbox.put_nowait,
                lead=self._house.lead_ms / 1000,
                ahead=active.playback.ahead(self._now()),
            )
        )

    def _progress(self, item: reply.Progress) -> None:
        active = self._active
        if active is None or active.brief.reply_id != item.reply_id:
            return  # of a reply that is over
        now = self._now()
        match item:
            case reply.FirstToken():
                active.first_token_at = now
            case reply.FirstClause():
                active.first_clause_at = active.first_clause_at or now
            case reply.Called():
                call_id = f"call_{item.reply_id}_{len(active.calls) + 1}"
                call = replace(item.call, call_id=call_id)
                active.calls.append(call)
                self._step(events.CallMade(item.reply_id, call_id))
                self._send(outputs.ToolCalled(call.name, call.arguments, call_id, item.reply_id))
            case reply.Block():
                self._sound(active, item)
            case reply.AllSaid():
                active.all_said = True
                self._check_playback()
            case reply.Failed():
                self._step(
                    events.ReplyFailed(item.reply_id, item.code, item.message, mute=item.mute)
                )

    def _sound(self, active: Active, block: reply.Block) -> None:
        if block.clause is not None:
            active.playback.clause(block.clause)
            self._send(outputs.ClauseStarted(block.clause, block.reply_id))
        if block.audio is None:
            return
        if not self._state.sounding:
            self._step(events.SoundBegan())
        now = self._now()
        active.first_audio_at = active.first_audio_at or now
        active.playback.add(block.audio.seconds, now)
        self._playback = active.playback
        self._send(outputs.ReplyAudio(block.audio, block.reply_id, active.seq))
        active.seq += 1
        self._watch_loudspeaker()

    def _apologise(self, effect: do.Apologise) -> None:
        active = self._active
        assert active is not None
        self._stop(active)
        active.ticket = Ticket(self.robot_id)
        active.apologising = True
        text = _APOLOGIES.get(effect.code, _APOLOGY)
        active.brief = replace(active.brief, text=text, mute=False)
        self._speak(active)

    def _end_reply(self, effect: do.EndReply) -> None:
        active = self._active
        assert active is not None
        assert active.brief.reply_id == effect.reply_id
        self._active = None
        self._stop(active)
        whole = effect.reason == "completed" or active.playback.sent == 0
        text = active.playback.text() if whole else active.playback.heard_text(self._now())
        if text:
            self._send(outputs.AssistantSaid(text, effect.reply_id))
        if active.kind != "idle":
            heard = "" if active.apologising else text
            self._memory.history.assistant_said(heard, active.calls)
        self._send(outputs.ReplyDone(effect.reply_id, effect.reason, active.timings()))

    def _stop(self, active: Active) -> None:
        active.ticket.cancel.cancel()
        self._tickets.discard(active.ticket)
        if active.task is not None:
            active.task.cancel()

    # -- the loudspeaker -----------------------------------------------------------------------

    def _mark(self, mark: _Played) -> None:
        if self._active is not None and self._active.brief.reply_id == mark.reply_id:
            self._active.playback.mark(mark.seconds, self._now())
            self._check_playback()

    def _check_playback(self) -> None:
        """Has the reply been heard to its end? Has the loudspeaker fallen silent?"""
        soon = self._now() + _EPSILON
        active = self._active
        if active is not None and active.all_said and active.playback.ends_at <= soon:
            self._step(events.ReplyPlayed(active.brief.reply_id))
        if self._state.sounding and self._silent_at() <= soon:
            self._step(events.SoundEnded())
        self._watch_loudspeaker()

    def _silent_at(self) -> float:
        return self._playback.ends_at + self._house.echo_tail_ms / 1000

    def _watch_loudspeaker(self) -> None:
        """Arm the one timer for whatever `_check_playback` has to look for next."""
        if self._loudspeaker is not None:
            self._loudspeaker.cancel()
            self._loudspeaker = None
        due: list[float] = []
        if self._active is not None and self._active.all_said:
            due.append(self._active.playback.ends_at)
        if self._state.sounding:
            due.append(self._silent_at())
        if due:
            self._loudspeaker = asyncio.get_running_loop().call_at(
                min(due), self._inbox.put_nowait, _CheckPlayback()
            )

    # -- parts ---------------------------------------------------------------------------------

    def _reconfigure(self, changes: Mapping[str, Any]) -> None:
        config = changed(self.config, self._house.defaults, changes)
        unknown = None
        voices = self._engines.mouth.voices if self._engines.mouth else ()
        if config.voice is not None and config.voice not in voices:
            unknown, config = config.voice, replace(config, voice=None)
        self.config = config
        self._microphone.set_rate(config.input_sample_rate)
        self._step(events.ChangeRules(rules(config, self._house)))
        self._send(outputs.SessionUpdated(config, unknown))

    def _settle_calls(self) -> None:
        answer = _NO_RESULT if self._state.answers_tools else _NEVER_ANSWERS
        self._memory.history.settle(answer)

    def _later(self, seconds: float, event: events.Event) -> None:
        def fire() -> None:
            self._timers.discard(handle)
            self._inbox.put_nowait(event)

        handle = asyncio.get_running_loop().call_later(seconds, fire)
        self._timers.add(handle)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
