"""What turn-taking knows: its rules and its state, all immutable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

RATE = 16_000
FRAME = 512  # samples a frame of the voice detector

Kind = Literal["answer", "follow_up", "say", "idle", "apology"]


def samples(ms: float) -> int:
    """Samples at 16 kHz in `ms` milliseconds."""
    return int(ms * RATE / 1000)


# Speech before the first partial transcript of a turn; two of them are at least so far apart.
PARTIAL_EVERY = samples(256)


@dataclass(frozen=True)
class Rules:
    """How turns are taken. All in samples at 16 kHz.

    silence: this much of it after speech ends the turn (unless `Ahead` knows better).
    tentative: after this much the answer is made ahead (0: never). partials: what is said is heard
    while it is being said. min_speech: less is no speech.
    barge_in: this much speech stops a reply, if it means something. backchannel: so much is no mere
    "mm-hm". needs_words: over its own sound the robot believes in speech only once words were
    understood that aren't its own. gap: silence that uncertain speech survives.
    pre_roll: kept from before the onset. post_roll: kept after the last speech.
    max_utterance: then it is processed. deaf_in_reply: the microphone is deaf while sound comes
    out (half duplex). push_to_talk: no end-pointing, the robot says when.
    wake_phrases: only who says one, or goes on with a conversation, is answered (none: everybody
    is). muted: the microphone isn't listened to.
    """

    silence: int = samples(500)
    tentative: int = 0
    partials: bool = False
    min_speech: int = samples(96)
    barge_in: int = samples(300)
    backchannel: int = samples(1000)
    needs_words: bool = False
    gap: int = samples(200)
    pre_roll: int = samples(300)
    post_roll: int = samples(200)
    max_utterance: int = samples(30_000)
    deaf_in_reply: bool = True
    push_to_talk: bool = False
    wake_phrases: tuple[str, ...] = ()
    muted: bool = False

    @property
    def choosy(self) -> bool:
        """Whether speech may be for somebody else. (Who presses a button means the robot.)"""
        return bool(self.wake_phrases) and not self.push_to_talk


@dataclass(frozen=True)
class Partial:
    """What was heard of an utterance up to the sample `end`. `stable`: the same as before that."""

    text: str
    end: int
    stable: bool


@dataclass(frozen=True)
class Utterance:
    """What is being said. `start`, `end`: first sample kept, end of the last speech frame.

    `voiced`: samples of speech so far. `turn` 0: not certain yet that it is speech. `partial`: what
    was heard of it last. `attended`: the robot knows that it is spoken to, whatever is said.
    """

    start: int
    end: int
    voiced: int
    turn: int = 0
    revision: int = 0
    partial: Partial | None = None
    attended: bool = True


@dataclass(frozen=True)
class Idle:
    """Nobody speaks."""


@dataclass(frozen=True)
class Listening:
    """The user speaks, or seems to."""

    utterance: Utterance


@dataclass(frozen=True)
class Pausing:
    """The user has fallen silent; whether for good, the next half second tells."""

    utterance: Utterance


Floor = Idle | Listening | Pausing


@dataclass(frozen=True)
class Ahead:
    """What runs ahead of the end of a turn that may not be over. `text`: None until it is heard.
    `hearing`: it is being heard, or was; until then there is but a reply to a partial transcript.
    `silence`: so many samples of it end the turn, by what was heard; None: the rules'.
    """

    turn: int
    revision: int
    text: str | None = None
    hearing: bool = True
    silence: int | None = None


@dataclass(frozen=True)
class Replying:
    """The one active reply.

    `calls`: tool calls that it made. `failing`: it ends with an apology.
    """

    reply_id: int
    turn: int
    kind: Kind
    calls: frozenset[str] = frozenset()
    failing: bool = False


@dataclass(frozen=True)
class Doubt:
    """Somebody speaks over the sound of this reply, and may mean nothing by it.

    `held`: nothing more of the reply is sent. `hearing`: the number of the hearing under way that
    shall tell, 0 for none; `voiced` and `revision`: the utterance's as the last was begun, `whole`:
    in a pause, with all of it. `starved`: the robot has stopped sending sound since.
    """

    reply_id: int
    held: bool = True
    hearing: int = 0
    voiced: int = 0
    revision: int = 0
    whole: bool = False
    starved: bool = False


@dataclass(frozen=True)
class ToolWait:
    """A reply made tool calls and is done; a follow-up waits for their results.

    `reply_id` is that reply's. `wanted`: a result asked for a spoken follow-up.
    """

    turn: int
    reply_id: int
    missing: frozenset[str]
    wanted: bool = False


@dataclass(frozen=True)
class Attention:
    """Whom a robot with wake phrases listens to. `on`: whoever speaks is meant to be heard.

    `window`: the last one given; it runs out by the clock while it is `lapsing`.
    """

    on: bool = False
    window: int = 0
    lapsing: bool = False


@dataclass(frozen=True)
class State:
    """Everything that turn-taking knows.

    ahead: what runs ahead, while the user pauses. prepared: what the reply that was begun ahead
    answers; None if there is none. doubt: whether what is heard over a reply's sound
    is an interruption. hearings: how many were begun to tell.
    now: end of the last audio. free_from: audio before it is spoken for, or was not to be heard.
    answering: the turn whose transcript is awaited and will be answered; 0 for none.
    last_turn, last_reply: the last ids given. sounding: the robot's loudspeaker is at work.
    open_calls: the latest tool calls without a result, of any turn. answered_calls: the latest with
    one, each with the turn that waited for it (0: none did). results: calls of the active
    reply whose results came before its end, with whether a follow-up was asked for.
    answers_tools: this robot has sent a result before. overflowed: the robot was told.
    ended_by_silence: the last turn was, so that an `EndUtterance` on its way is for it.
    spoken: the last turn that was committed and the end of its last speech; (0, 0) where how long
    ago that was isn't known.
    unattended: turns whose transcript is awaited and must show whether they were for the robot.
    """

    rules: Rules = field(default_factory=Rules)
    floor: Floor = field(default_factory=Idle)
    ahead: Ahead | None = None
    prepared: str | None = None
    doubt: Doubt | None = None
    hearings: int = 0
    reply: Replying | None = None
    wait: ToolWait | None = None
    now: int = 0
    free_from: int = 0
    answering: int = 0
    last_turn: int = 0
    last_reply: int = 0
    sounding: bool = False
    open_calls: tuple[str, ...] = ()
    answered_calls: tuple[tuple[str, int], ...] = ()
    results: frozenset[tuple[str, bool]] = frozenset()
    answers_tools: bool = False
    overflowed: bool = False
    ended_by_silence: bool = False
    spoken: tuple[int, int] = (0, 0)
    attention: Attention = field(default_factory=Attention)
    unattended: tuple[int, ...] = ()
    closed: bool = False

    @property
    def under_way(self) -> bool:
        """Whether a turn is being spoken, heard or answered."""
        speaking = not isinstance(self.floor, Idle) and self.floor.utterance.turn > 0
        return speaking or self.answering > 0 or self.reply is not None

    @property
    def deaf(self) -> bool:
        """Whether the microphone isn't listened to just now."""
        if self.rules.muted:
            return True
        return self.rules.deaf_in_reply and not self.rules.push_to_talk and self.sounding
