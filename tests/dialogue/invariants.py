"""DESIGN's invariants as a witness that sees all that a session says."""

from __future__ import annotations

from dataclasses import dataclass, field

from brain.dialogue import outputs


@dataclass
class Witness:
    """Raises AssertionError at the first output that breaks an invariant of the wire."""

    active: int | None = None
    begun: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    open_turn: int | None = None
    turns: int = 0
    seq: int = 0
    worded: bool = False
    partial: str = ""
    filling: int = 0
    attentive: bool = False
    told: set[int] = field(default_factory=set)
    is_closed: bool = False

    def see(self, output: outputs.Output) -> None:
        assert not self.is_closed, f"{output} after the close"
        match output:
            case outputs.ReplyStarted():
                assert self.active is None, "two replies at once"
                assert output.reply_id > max(self.begun, default=0), "reply ids must rise"
                self.active, self.seq, self.worded = output.reply_id, 0, False
                self.begun.add(output.reply_id)
            case outputs.ReplyDone():
                assert self.active == output.reply_id, "a terminal for no active reply"
                assert output.reply_id not in self.ended, "two terminals"
                self.ended.add(output.reply_id)
                self.active = None
            case outputs.ReplyAudio():
                assert self.active == output.reply_id, "sound of a reply that isn't active"
                assert output.seq == self.seq, "a piece of sound is missing or twice there"
                assert len(output.audio.samples) > 0
                self.seq += 1
                self.worded = self.worded or self.filling != output.reply_id
            case outputs.FillerStarted():
                assert self.active == output.reply_id, "a filler of a reply that isn't active"
                assert not self.worded, "a filler after the reply's first word"
                assert self.filling != output.reply_id, "two fillers in a reply"
                self.filling = output.reply_id
            case outputs.EmotionShown():
                assert self.active == output.reply_id, "a mood of a reply that isn't active"
                assert not self.worded, "a mood after the reply's first word"
            case outputs.Listening():
                assert self.active is None, "listening while a reply is active"
                assert self.open_turn is None, "listening while the user speaks"
            case outputs.ClauseStarted() | outputs.AssistantSaid() | outputs.ToolCalled():
                assert self.active == output.reply_id, "words of a reply that isn't active"
                self.worded = self.worded or isinstance(output, outputs.ClauseStarted)
            case outputs.SpeechStarted():
                assert self.open_turn is None, "two turns open"
                assert self.active is None, "a barge-in ends the reply before the turn opens"
                assert output.turn > self.turns, "turns must rise"
                self.open_turn = self.turns = output.turn
                self.partial = ""
            case outputs.SpeechStopped():
                assert self.open_turn == output.turn, "speech stopped that had not started"
                self.open_turn = None
            case outputs.UserPartial():
                assert self.open_turn == output.turn, "a partial transcript of no open turn"
                assert output.text.strip(), "an empty partial transcript"
                assert output.text != self.partial, "no news"
                self.partial = output.text
            case outputs.AttentionTurned():
                assert output.on != self.attentive, "told twice"
                self.attentive = output.on
            case outputs.Unattended():
                assert output.turn not in self.told, "a turn that is for the robot, and isn't"
            case outputs.UserSaid():
                assert output.text.strip(), "an empty transcript"
                self.told.add(output.turn)
            case outputs.Closed():
                self.is_closed = True

    def closed(self) -> None:
        """The session is over: nothing may be left open."""
        assert self.is_closed
        assert self.active is None
        assert self.begun == self.ended, "a reply without its terminal"
