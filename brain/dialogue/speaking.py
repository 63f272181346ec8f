"""The session's voice: the reply under way, its sound, and the loudspeaker that it comes out of.

A part of the actor, and called by it alone: it never writes the session's state, but tells the turn
machine (`step`) what happened, and the robot (`send`) what is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from brain.audio.pcm import Audio
from brain.dialogue import events, outputs, progress, reply
from brain.dialogue.ahead import AheadCounters, Outbox, Prepared
from brain.dialogue.ears import Hearing
from brain.dialogue.filler import Filler, FillerDue, Fillers
from brain.dialogue.outlet import Outlet
from brain.dialogue.playback import Playback
from brain.dialogue.progress import Brief
from brain.dialogue.state import Kind
from brain.dialogue.tasks import Tasks
from brain.engines.ports import Emotion, LanguageModel, Priority, Synthesizer, Ticket, ToolCall

_APOLOGIES = {
    "stt_failed": "Sorry, my ears failed me just now. Please say that again.",
    "llm_busy": "Sorry, I'm busy just now. Please ask me again.",
}
_APOLOGY = "Sorry, I can't think right now."
# Timers may fire this much early, in s.
_EPSILON = 0.002
# Where in a reply its loudspeaker is, is known this well, in s.
_SOON = 0.5


def apology(code: str) -> str:
    """What a robot says about an error of this code."""
    return _APOLOGIES.get(code, _APOLOGY)


@dataclass
class _Active:
    """All times in seconds of the loop's clock."""

    kind: Kind
    brief: Brief
    ticket: Ticket
    outlet: Outlet
    started_at: float
    hearing: Hearing | None
    task: asyncio.Task[None] | None = None
    calls: list[ToolCall] = field(default_factory=list)
    seq: int = 0
    all_said: bool = False
    first_token_at: float | None = None
    first_clause_at: float | None = None
    first_made_at: float | None = None
    first_audio_at: float | None = None
    tags: str = ""

    @property
    def playback(self) -> Playback:
        return self.outlet.playback

    @property
    def over(self) -> bool:
        """Whether nothing more of it is to be sent."""
        return self.all_said and not self.playback.owed

    def timings(self) -> outputs.Timings:
        hearing = self.hearing
        return outputs.Timings(
            endpoint=hearing.endpoint_ms if hearing else None,
            ahead=hearing.ahead_ms if hearing else None,
            stt=hearing.stt_ms if hearing else None,
            llm_first_token=_ms(self.started_at, self.first_token_at),
            first_clause=_ms(self.started_at, self.first_clause_at),
            tts_first_audio=_ms(self.first_clause_at, self.first_made_at),
            voice_to_voice_server=_ms(hearing.voiced_at if hearing else None, self.first_audio_at),
        )


@dataclass(frozen=True)
class Spoken:
    """What remains of a reply: the words that were heard and the tools that were called.

    `tags`: the mood that the model wrote in front of its words.
    """

    kind: Kind
    text: str
    calls: tuple[ToolCall, ...]
    tags: str = ""


class Speaking:
    """Carries out replies, one at a time. `post` puts an item into the session's inbox. `sounds` is
    told of sound, and when it begins to be played."""

    def __init__(
        self,
        robot: str,
        mind: LanguageModel,
        mouth: Synthesizer | None,
        *,
        lead_s: float,
        tail_s: float,
        post: Callable[[progress.Progress | CheckPlayback | FillerDue], None],
        send: Callable[[outputs.Output], None],
        step: Callable[[events.Event], None],
        counters: AheadCounters,
        sounds: Callable[[Audio, float], None],
        fillers: Fillers,
    ) -> None:
        self._robot = robot
        self._mind, self._mouth = mind, mouth
        self._lead_s, self._tail_s = lead_s, tail_s
        self._post, self._send, self._step = post, send, step
        self._counters = counters
        self._sounds = sounds
        self._filler = Filler(fillers, robot, mouth, lead_s=lead_s, post=post)
        self._active: _Active | None = None
        self._prepared: Prepared | None = None
        self._sounding = False
        self._playback = Playback()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = Tasks()

    # -- the reply -----------------------------------------------------------------------------

    def prepare(self, brief: Brief) -> None:
        """Begin a reply that may come true, unless it is begun; nobody is told."""
        if self._prepared is not None and self._prepared.answers(brief):
            return
        self.drop_prepared()
        outbox, ticket = Outbox(self._post), Ticket(self._robot, Priority.SPECULATION)
        outlet = Outlet()
        task = self._task(brief, ticket, outbox.post, outlet, outbox.released)
        self._prepared = Prepared(brief, ticket, outbox, outlet, _now(), task)

    def drop_prepared(self) -> None:
        """What was prepared isn't wanted."""
        if self._prepared is not None:
            self._counters.wasted_ms += self._prepared.stop() * 1000
            self._prepared = None

    def start(self, brief: Brief, kind: Kind, hearing: Hearing | None, *, marks: bool) -> None:
        """A reply begins, or is released if it was prepared. `hearing`: of the words it answers.
        `marks`: the robot sends them."""
        prepared, ready = self._prepared, False
        if prepared is not None and prepared.answers(brief):
            self._prepared, ready = None, True
        self.drop_prepared()
        active = self._active = _Active(
            kind=kind,
            brief=brief,
            ticket=Ticket(self._robot),
            outlet=Outlet(marks=marks),
            started_at=_now(),
            hearing=hearing,
        )
        self._send(outputs.ReplyStarted(brief.turn, brief.reply_id))
        if prepared is not None and ready:
            self._counters.used += 1
            active.ticket, active.task = prepared.ticket, prepared.task
            active.started_at = prepared.started_at
            active.outlet = prepared.outlet
            active.playback.marks = marks
            prepared.ticket.confirmation.give()
            prepared.outbox.release()
        else:
            self._run(active)
        over_at = hearing.over_at if hearing is not None else _now()
        self._filler.expect(kind, brief.reply_id, over_at)

    def apologise(self, code: str) -> None:
        """The reply failed: say so in place of the rest."""
        active = self._the_active()
        self._stop(active)
        active.outlet.drop()
        active.ticket = Ticket(self._robot)
        active.brief = replace(active.brief, text=apology(code), mute=False)
        active.tags = ""
        self._run(active)

    def hold(self, reply_id: int) -> None:
        """Send no more of the reply for now. The robot plays what it has."""
        active = self._the_active()
        assert active.brief.reply_id == reply_id
        active.outlet.hold()

    def resume(self, reply_id: int) -> None:
        """Go on sending it, at the very sample."""
        active = self._the_active()
        assert active.brief.reply_id == reply_id
        kept = active.outlet.resume()
        self._pour(active)
        for item in kept:
            self.learn(item)

    def words_of_late(self, seconds: float) -> str:
        """What has come out of the loudspeaker in the last `seconds`, or is about to."""
        heard = self._playback.heard(_now())
        return self._playback.words_between(heard - seconds, heard + _SOON)

    def end(self, reply_id: int, reason: outputs.Reason) -> Spoken:
        """The reply is over: stop its work, and tell the robot."""
        active = self._the_active()
        assert active.brief.reply_id == reply_id
        self._active = None
        self._stop(active)
        self.make_fillers(active.brief.voice)
        whole = reason == "completed" or active.playback.sent == 0
        text = active.playback.text() if whole else active.playback.heard_text(_now())
        if text:
            self._send(outputs.AssistantSaid(text, reply_id))
        self._send(outputs.ReplyDone(reply_id, reason, active.timings()))
        return Spoken(active.kind, text, tuple(active.calls), active.tags)

    def learn(self, item: progress.Progress) -> None:
        """Something came of a reply; of one that is over it is dropped."""
        active = self._active
        if active is None or active.brief.reply_id != item.reply_id:
            return
        if active.outlet.held and isinstance(item, progress.Block | progress.AllSaid):
            active.outlet.keep(item)
            return
        match item:
            case progress.FirstToken():
                active.first_token_at = item.at
            case progress.MoodTold():
                active.tags = item.written
                emotion = item.emotion or Emotion("neutral")
                self._send(outputs.EmotionShown(emotion, item.gestures, item.reply_id))
            case progress.FirstClause():
                active.first_clause_at = active.first_clause_at or item.at
            case progress.Called():
                self._call(active, item.call)
            case progress.Block():
                self._sound(active, item)
            case progress.AllSaid():
                active.all_said = True
                self.check()
            case progress.Failed():
                self._step(
                    events.ReplyFailed(item.reply_id, item.code, item.message, mute=item.mute)
                )

    async def close(self) -> None:
        """Stop everything and wait for it."""
        self.drop_prepared()
        self._filler.close()
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.close()

    def _run(self, active: _Active) -> None:
        active.task = self._task(active.brief, active.ticket, self._post, active.outlet)

    def _task(
        self,
        brief: Brief,
        ticket: Ticket,
        post: progress.Post,
        outlet: Outlet,
        wanted: asyncio.Event | None = None,
    ) -> asyncio.Task[None]:
        work = reply.run(
            brief,
            mind=self._mind,
            mouth=self._mouth,
            ticket=ticket,
            post=post,
            lead=self._lead_s,
            outlet=outlet,
            wanted=wanted,
        )
        return self._tasks.spawn(work)

    def _stop(self, active: _Active) -> None:
        active.ticket.cancel.cancel()
        if active.task is not None:
            active.task.cancel()

    def _the_active(self) -> _Active:
        assert self._active is not None
        return self._active

    def _call(self, active: _Active, call: ToolCall) -> None:
        reply_id = active.brief.reply_id
        call = replace(call, call_id=f"call_{reply_id}_{len(active.calls) + 1}")
        active.calls.append(call)
        self._step(events.CallMade(reply_id, call.call_id))
        self._send(outputs.ToolCalled(call.name, call.arguments, call.call_id, reply_id))

    # -- a word while it thinks ----------------------------------------------------------------

    def make_fillers(self, voice: str | None) -> None:
        """Have the sound of what is missing made, in a moment that is as good as any."""
        if (making := self._filler.making(voice)) is not None:
            self._tasks.spawn(making)

    def fill(self, reply_id: int) -> None:
        """It takes long: say a word if none has come, or go on with it."""
        active = self._active
        if active is None or active.brief.reply_id != reply_id:
            return
        if not self._filler.begun:
            if active.playback.sent or active.calls or active.brief.text is not None:
                return
            text = self._filler.begin(active.brief, active.playback)
            if text is None:
                return
            active.playback.clause(text, aside=True)
            self._send(outputs.FillerStarted(text, reply_id))
        self._pour(active)

    def _pour(self, active: _Active, *, whole: bool = False) -> None:
        """Send of the filler what is due, or all that is left of it."""
        if active.outlet.held:
            return
        while (piece := self._filler.next(active.playback, whole=whole)) is not None:
            self._play(active, piece)
        self.check()

    # -- the loudspeaker -----------------------------------------------------------------------

    def mark(self, reply_id: int, seconds: float) -> None:
        """The robot says how much of a reply it has played."""
        if self._active is not None and self._active.brief.reply_id == reply_id:
            self._active.playback.mark(seconds, _now())
            self.check()

    def check(self) -> None:
        """Has the reply been heard to its end? Has the loudspeaker fallen silent?"""
        soon = _now() + _EPSILON
        active = self._active
        if active is not None and active.over and active.playback.ends_at <= soon:
            self._step(events.ReplyPlayed(active.brief.reply_id))
        if self._sounding and self._silent_at() <= soon:
            self._sounding = False
            self._step(events.SoundEnded())
        self._watch()

    def _sound(self, active: _Active, block: progress.Block) -> None:
        if active.playback.owed:  # (Its time had come before, but for what both waited for.)
            self._pour(active, whole=True)
        if block.clause is not None:
            active.playback.clause(block.clause)
            self._send(outputs.ClauseStarted(block.clause, block.reply_id))
        elif block.audio is None:
            active.playback.complete()
        if block.audio is None:
            return
        active.first_made_at = active.first_made_at or block.at
        active.first_audio_at = active.first_audio_at or _now()
        self._play(active, block.audio)

    def _play(self, active: _Active, audio: Audio) -> None:
        if not self._sounding:
            self._sounding = True
            self._step(events.SoundBegan())
        self._sounds(audio, active.playback.add(audio.seconds, _now()))
        self._playback = active.playback
        self._send(outputs.ReplyAudio(audio, active.brief.reply_id, active.seq))
        active.seq += 1
        self._watch()

    def _silent_at(self) -> float:
        return self._playback.ends_at + self._tail_s

    def _watch(self) -> None:
        """Arm the one timer for whatever `check` has to look for next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due: list[float] = []
        if self._active is not None and self._active.over:
            due.append(self._active.playback.ends_at)
        if self._sounding:
            due.append(self._silent_at())
        if due:
            self._timer = asyncio.get_running_loop().call_at(min(due), self._post, CheckPlayback())


@dataclass(frozen=True)
class CheckPlayback:
    """A timer has fired: call `Speaking.check`."""


def _now() -> float:
    return asyncio.get_running_loop().time()


def _ms(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else round((end - start) * 1000, 1)
