"""The actor: one robot's session. One inbox, one writer.

Whatever happens comes in through the inbox: sound and messages of the robot, what engines made,
timers, the end. `run` takes one item after another, asks the turn machine, and carries out its
effects. Nothing else writes this object's state; tasks that it starts only post.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.dialogue import effects as do
from brain.dialogue import events, inbox, outputs, progress
from brain.dialogue.album import Album
from brain.dialogue.briefing import Briefing, settle
from brain.dialogue.common import Common
from brain.dialogue.config import HouseRules, SessionConfig, changed, rules
from brain.dialogue.ears import Ears, Understood
from brain.dialogue.endpointer import Endpointer, Heeded
from brain.dialogue.filler import FillerDue
from brain.dialogue.foresight import Foresight
from brain.dialogue.guard import EchoGuard
from brain.dialogue.history import History
from brain.dialogue.lull import Lull
from brain.dialogue.memory import RobotMemory
from brain.dialogue.microphone import Microphone
from brain.dialogue.pictures import pictured
from brain.dialogue.sound_meter import SoundMeter
from brain.dialogue.speaking import CheckPlayback, Speaking
from brain.dialogue.state import FRAME, RATE, Idle, State
from brain.dialogue.turn import step
from brain.persona.character import idle_note

log = logging.getLogger(__name__)

# More unheard sound than this means that the brain can't keep up: it is shed, visibly.
_MAX_WAITING_S = 30.0
# Frames of one piece of sound between which other robots have their turn.
_BREATH = 8
# So many samples of silence more than a frame are looked at together, while nobody speaks.
_LULL = 3 * FRAME


class Session:
    """One robot, from its connection to its end. Methods are for the event loop's thread.

    `outputs` is what the robot is to be told, in order; its last item is a `Closed`.
    """

    def __init__(
        self,
        session_id: str,
        robot_id: str,
        common: Common,
        house: HouseRules,
        memory: RobotMemory,
    ) -> None:
        engines = common.engines
        self.session_id = session_id
        self.robot_id = robot_id
        self.config: SessionConfig = house.defaults
        self.outputs: asyncio.Queue[outputs.Output] = asyncio.Queue()
        self.quiet = asyncio.Event()
        self.quiet.set()
        self._mouth = engines.mouth
        self._house = house
        self._memory = memory
        self._inbox: asyncio.Queue[inbox.Item] = asyncio.Queue()
        self._state = State(
            rules=rules(self.config, house),
            last_turn=memory.last_turn,
            last_reply=memory.last_reply,
        )
        self._listener = common.listener
        self._microphone = Microphone(self._listener, keep=int(house.max_utterance_s + 2) * RATE)
        self._held: list[NDArray[np.int16]] = []
        self._held_samples = 0
        self._lull, self._news = Lull(), False
        self.meter = SoundMeter()
        self._waiting = 0
        self._shedding = False
        self._ears = Ears(
            robot_id,
            engines.transcriber,
            post=self._inbox.put_nowait,
            counters=common.ahead,
            duty=common.duty,
        )
        self._endpointer = Endpointer(
            robot_id, house.endpointing, engines.end_of_turn, memory.pauses, self._inbox.put_nowait
        )
        self._guard = EchoGuard(
            lead_s=house.lead_ms / 1000, on=rules(self.config, house).needs_words
        )
        self._speaking = Speaking(
            robot_id,
            engines.mind,
            engines.mouth,
            lead_s=house.lead_ms / 1000,
            tail_s=house.echo_tail_ms / 1000,
            post=self._inbox.put_nowait,
            send=self._send,
            step=self._step,
            counters=common.ahead,
            sounds=self._guard.sent,
            fillers=common.fillers,
        )
        self._briefing = Briefing(house, engines.mind)
        self._foresight = Foresight(robot_id, engines.mind)
        self._album = Album(house.pictures, self._send)
        self._starving: asyncio.TimerHandle | None = None
        self._timers: set[asyncio.TimerHandle] = set()

    # -- what the wire may do ------------------------------------------------------------------

    def post(self, event: events.Event) -> None:
        """Something happened."""
        self._put(event)

    def hear(self, samples: NDArray[np.int16]) -> None:
        """Microphone sound at the session's input rate. Shed when the brain can't keep up."""
        self.meter.push(samples, self.config.input_sample_rate, self._now())
        if self._waiting + len(samples) > _MAX_WAITING_S * self.config.input_sample_rate:
            if not self._shedding:
                self._shedding = True
                self.report("audio_overflow", "sound comes faster than it can be heard")
            return
        self._shedding = False
        self._waiting += len(samples)
        if self._inbox.empty() and self.config.input_sample_rate == RATE and len(samples) < FRAME:
            self._hold(samples)
        else:
            self._put(inbox.Heard(samples))

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Change the session; checked values only (see `config.changed`)."""
        self._put(inbox.Configure(changes))

    def played(self, reply_id: int, seconds: float) -> None:
        """A playback mark."""
        self._put(inbox.Played(reply_id, seconds))

    def show(self, picture: bytes, call_id: str | None = None) -> None:
        """A picture, checked (see `brain.pictures`): for the next turn, or for a tool call."""
        self._put(inbox.Shown(picture, call_id))

    def idle(self, seconds: float, note: str) -> None:
        """The robot has been idle."""
        self.post(events.IdleSignal(idle_note(seconds, note)))

    def report(self, code: str, message: str, *, turn: bool = False) -> None:
        """Tell of a problem, in order with all the rest. `turn`: a turn has ended with it."""
        self._put(inbox.Refused(outputs.Problem(code, message), turn))

    def pong(self, t: object) -> None:
        """Answer a ping, in order with all the rest."""
        self._send(outputs.Pong(t))

    def hang_up(self, code: int, reason: str) -> None:
        """End the session with this close code. Twice is the same as once."""
        self._put(inbox.HangUp(code, reason))

    def _put(self, item: inbox.Item) -> None:
        """In the order in which it came from the robot."""
        self._release()
        self._inbox.put_nowait(item)

    def _hold(self, samples: NDArray[np.int16]) -> None:
        """Nothing is decided on less than a frame of sound, so the actor needn't wake for it; nor
        for a frame of silence while nobody speaks or is answered."""
        self._held.append(samples)
        self._held_samples += len(samples)
        self._news = self._news or not (self._idle and self._lull.goes_on(samples))
        more = 0 if self._news else _LULL
        if self._held_samples >= 2 * (FRAME + more):  # faster than real time: it has waited enough
            self._release()
        elif self._held_samples >= self._microphone.lacks + more:
            self._listener.due(self._release, hurry=self._news)

    @property
    def _idle(self) -> bool:
        """Whether nobody speaks, or is answered."""
        return self.quiet.is_set() and isinstance(self._state.floor, Idle)

    def _release(self) -> None:
        held, self._held, self._held_samples, self._news = self._held, [], 0, False
        if held:
            self._inbox.put_nowait(inbox.Heard(np.concatenate(held)))

    # -- the actor -----------------------------------------------------------------------------

    async def run(self) -> outputs.Closed:
        """Live until hung up, and how. Every task that was started has ended when this returns."""
        closed = outputs.Closed(1011, "internal error")
        self._listener.join()
        try:
            self._expect()
            self._speaking.make_fillers(self.config.voice)
            while True:
                item = await self._inbox.get()
                if isinstance(item, inbox.HangUp):
                    closed = outputs.Closed(item.code, item.reason)
                    break
                if isinstance(item, inbox.Heard):
                    await self._listen(item)
                    if not self._inbox.empty():
                        await asyncio.sleep(0)  # a burst of sound must not hold up other robots
                else:
                    self._take(item)
        except Exception:
            # A fault of ours ends this session, visibly, and no other.
            log.exception("session %s broke", self.session_id)
        finally:
            self._listener.leave()
            self._step(events.Hangup())
            for handle in (self._starving, *self._timers):
                if handle is not None:
                    handle.cancel()
            await self._ears.close()
            await self._endpointer.close()
            await self._speaking.close()
            await self._foresight.close()
            self._send(closed)
        return closed

    def _take(self, item: inbox.Item) -> None:
        match item:
            case inbox.Shown():
                self._show(item)
            case progress.Unseen():
                self._album.unseen()
            case inbox.Configure():
                self._reconfigure(item.changes)
            case inbox.Played():
                self._speaking.mark(item.reply_id, item.seconds)
            case CheckPlayback():
                self._speaking.check()
            case FillerDue():
                self._speaking.fill(item.reply_id)
            case events.IdleSignal() if self._briefing.is_quiet(self.config):
                log.debug("robot %s is idle in quiet time: nothing is done", self.robot_id)
            case Understood():
                self._ears.understood(item)
                self._step(self._foreseen(item) or item.event)
                if isinstance(item.event, events.Overheard):
                    self._overheard(item.event, item.language)
            case Heeded():
                judged = self._endpointer.heeded(item, self._state.rules.silence)
                if judged is not None:
                    self._step(judged)
            case inbox.Refused():
                self._send(item.problem)
                self._rest(tell=item.turn)
            case (
                progress.FirstToken()
                | progress.MoodTold()
                | progress.FirstClause()
                | progress.Called()
                | progress.Block()
                | progress.AllSaid()
                | progress.Failed()
            ):
                self._speaking.learn(item)
            case inbox.HangUp() | inbox.Heard():
                raise AssertionError("run looks for these itself")
            case _:
                self._step(item)

    def _step(self, event: events.Event) -> None:
        self._state, wanted = step(self._state, event)
        for effect in wanted:
            self._carry_out(effect)
        self._memory.count(self._state.last_turn, self._state.last_reply)
        if any(isinstance(effect, do.EndReply) for effect in wanted):
            self._memory.replied()
        # Whoever cancels, or ends an utterance in vain, is told even if nothing was under way.
        in_vain = isinstance(event, events.EndUtterance) and bool(wanted)
        self._rest(tell=isinstance(event, events.Cancel) or in_vain)

    def _rest(self, *, tell: bool) -> None:
        """It may be the user's turn: say so if that is news, or to `tell` it anyway."""
        if self._state.under_way:
            self.quiet.clear()
        else:
            if (tell or not self.quiet.is_set()) and not self._state.closed:
                self._send(outputs.Listening())
            self.quiet.set()

    def _carry_out(self, effect: do.Effect) -> None:
        match effect:
            case do.Send():
                self._send(effect.output)
                if isinstance(effect.output, outputs.SpeechStarted):
                    self._expect()  # another mind may serve by now, or others took its memory
            case do.StartTranscription():
                self._start_transcription(effect)
            case do.Remember():
                history = self._memory.history
                if not (effect.late and history.user_had_said(effect.text, effect.turn)):
                    self._settle_calls(history)
                    pictures = () if effect.late else self._album.take()
                    history.user_said(effect.text, effect.turn, pictures)
            case do.RememberResult():
                self._memory.history.tool_answered(effect.call_id, effect.output)
            case do.RememberPicture():
                if not self._memory.history.tool_showed(effect.call_id, effect.picture):
                    self._album.too_many()
                self._look_whether_seen()
            case do.HearPartial():
                sound = partial(self._microphone.take, effect.start, effect.end)
                self._ears.hear_partial(effect, sound, language=self.config.language)
            case do.HearAhead():
                sound = partial(self._microphone.take, effect.start, effect.end)
                self._ears.hear_ahead(effect, sound, language=self.config.language)
                self._endpointer.begin(effect.turn, effect.revision, sound)
            case do.PrepareReply():
                self._prepare_reply(effect)
            case do.DropAhead():
                self._ears.drop_ahead()
                self._endpointer.drop()
                self._speaking.drop_prepared()
            case do.DropPrepared():
                self._speaking.drop_prepared()
            case do.Resumed():
                self._memory.pauses.paused(effect.turn, effect.pause)
            case do.HoldReply():
                self._speaking.hold(effect.reply_id)
            case do.ResumeReply():
                self._speaking.resume(effect.reply_id)
            case do.Overhear():
                self._overhear(effect)
            case do.DropOverheard():
                self._ears.drop_overheard()
            case do.AdoptOverheard():
                self._ears.adopt_overheard(effect.turn, effect.revision)
                sound = partial(self._microphone.take, effect.start, effect.end)
                self._endpointer.begin(effect.turn, effect.revision, sound)
            case do.StartReply():
                self._start_reply(effect)
            case do.Apologise():
                self._speaking.apologise(effect.code)
            case do.EndReply():
                self._end_reply(effect)
            case do.AwaitTools():
                self._later(self._house.tool_timeout_s, events.ToolsOverdue(effect.reply_id))
            case do.KeepAttention():
                self._later(self._house.wake_window_s, events.AttentionLapsed(effect.window))
            case do.ForgetSound():
                self._microphone.forget()
                self._ears.forget()

    def _send(self, output: outputs.Output) -> None:
        self.outputs.put_nowait(output)

    def _show(self, shown: inbox.Shown) -> None:
        self._album.came()
        if shown.call_id is not None:
            self._step(events.ToolPicture(shown.call_id, shown.picture))
            return
        self._album.add(shown.picture)
        self._look_whether_seen()

    def _look_whether_seen(self) -> None:
        """The robot is told at once where no answer is needed to know that nobody sees."""
        if self._briefing.blind:
            self._album.unseen()

    # -- ears ----------------------------------------------------------------------------------

    async def _listen(self, heard: inbox.Heard) -> None:
        self._waiting -= len(heard.samples)
        if self.config.muted:
            return
        if len(heard.samples) > self.config.input_sample_rate:
            self._send(outputs.Problem("bad_audio", "audio: a chunk is at most 1 s long"))
            return
        self._microphone.push(heard.samples)
        self._guard.arrived(len(heard.samples) / self.config.input_sample_rate, self._now())
        detection = self.config.turn_detection
        while True:
            judge = detection is not None and not self._state.deaf
            threshold = detection.threshold if detection else 1.0
            frame = await self._microphone.next_frame(threshold=threshold, judge=judge)
            if frame is None:
                break
            self._step(self._guard.judged(frame, self._microphone.frame, self._state))
            if isinstance(frame, events.Frame) and self._idle:
                self._lull.was_silence(self._microphone.frame)
            if self._state.now % (_BREATH * FRAME) == 0:
                await asyncio.sleep(0)  # a second of sound at once must not hold up other robots
        if self._starving is not None:
            self._starving.cancel()
            self._starving = None
        if not isinstance(self._state.floor, Idle) and not self._state.rules.push_to_talk:
            delay = self._house.starved_ms / 1000
            if self._state.doubt is None:  # a reply isn't held for longer
                delay = max(delay, self._state.rules.silence / RATE)
            self._starving = asyncio.get_running_loop().call_later(
                delay, self._inbox.put_nowait, events.Starved()
            )

    def _foreseen(self, understood: Understood) -> events.Foreseen | None:
        """What was heard ahead, with the silence that is wanted after it."""
        event = understood.event
        if not isinstance(event, events.Foreseen):
            return None
        base = self._state.rules.silence
        return self._endpointer.foreseen(event, understood.language, base)

    def _overhear(self, effect: do.Overhear) -> None:
        seconds = (self._state.now - effect.start) / RATE
        spoken = self._speaking.words_of_late(seconds + 1.0)
        self._ears.overhear(
            effect,
            self._microphone.take(effect.start, effect.end),
            language=self.config.language,
            meaning=self._guard.meaning(spoken, seconds, language=self.config.language),
        )

    def _overheard(self, event: events.Overheard, language: str) -> None:
        """It has been decided what speech over a reply was."""
        if self._state.doubt is None:
            self._guard.told(event.meaning)
        ahead = self._state.ahead
        if ahead is not None and ahead.text == event.text:  # the words of a turn, then
            judged = self._endpointer.overheard(
                ahead.turn, ahead.revision, event.text, language, self._state.rules.silence
            )
            if judged is not None:
                self._step(judged)

    def _start_transcription(self, effect: do.StartTranscription) -> None:
        self._endpointer.drop()
        if not self._state.rules.push_to_talk:
            self._memory.pauses.ended(effect.turn)
        self._ears.hear(
            effect,
            lambda: self._microphone.take(effect.start, effect.end),
            language=self.config.language,
            silence_s=(self._state.now - effect.voiced_end) / RATE,
        )

    # -- mind and mouth ------------------------------------------------------------------------

    def _start_reply(self, effect: do.StartReply) -> None:
        hearing = self._ears.newest
        if hearing is not None and hearing.turn != effect.turn:
            hearing = None
        if effect.kind not in ("answer", "apology"):
            hearing = None  # the user's words were answered before
        history = self._memory.history
        if effect.kind == "follow_up":
            self._settle_calls(history)
        brief = self._briefing.brief(effect, self.config, history)
        if effect.kind not in ("say", "apology"):
            self._briefing.began(effect.turn)
            if self._briefing.blind and pictured(history.messages()):
                self._album.unseen(effect.turn)
        self._speaking.start(brief, effect.kind, hearing, marks=self.config.playback_marks)

    def _prepare_reply(self, effect: do.PrepareReply) -> None:
        """As the turn will be, if this was all of it."""
        history = self._memory.history.copy()
        self._settle_calls(history)
        history.user_said(effect.text, effect.turn, self._album.waiting)
        reply = do.StartReply(self._state.last_reply + 1, effect.turn, "answer")
        self._speaking.prepare(self._briefing.brief(reply, self.config, history))

    def _expect(self) -> None:
        """Of the next question, all but its own words is known."""
        expected = self._briefing.expected(
            self.config, self._memory.history, answers_tools=self._state.answers_tools
        )
        self._foresight.expect(expected, self.config.tools)

    def _end_reply(self, effect: do.EndReply) -> None:
        spoken = self._speaking.end(effect.reply_id, effect.reason)
        if spoken.kind != "idle":  # what an idle robot does is no part of the conversation
            self._memory.history.assistant_said(spoken.text, spoken.calls, spoken.tags)
            self._expect()

    # -- parts ---------------------------------------------------------------------------------

    def _reconfigure(self, changes: Mapping[str, Any]) -> None:
        config = changed(self.config, self._house.defaults, changes)
        if config.speaker != self.config.speaker:
            self._memory.pauses.forget()
        unknown = None
        voices = self._mouth.voices if self._mouth else ()
        if config.voice is not None and config.voice not in voices:
            unknown, config = config.voice, replace(config, voice=None)
        self.config = config
        self._microphone.set_rate(config.input_sample_rate)
        self._expect()
        self._step(events.ChangeRules(rules(config, self._house)))
        self._guard.on = self._state.rules.needs_words
        self._speaking.make_fillers(config.voice)
        self._send(outputs.SessionUpdated(config, unknown))

    def _settle_calls(self, history: History) -> None:
        settle(history, answers_tools=self._state.answers_tools)

    def _later(self, seconds: float, event: events.Event) -> None:
        def fire() -> None:
            self._timers.discard(handle)
            self._inbox.put_nowait(event)

        handle = asyncio.get_running_loop().call_later(seconds, fire)
        self._timers.add(handle)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
