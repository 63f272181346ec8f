"""What of a reply has come out of the robot's loudspeaker, and which words that was."""

from __future__ import annotations

from dataclasses import dataclass, field

_MARK_PATIENCE = 1.0
_MARK_TOLERANCE = 0.02


_LETTERS_A_SECOND = 14.0
"""Of a voice that hasn't said a whole clause yet."""


@dataclass
class _Span:
    """A clause, and where its sound lies: as much of it as was sent. `whole`: no more follows.
    `aside`: it is no part of what the reply says."""

    text: str
    start: float
    end: float
    aside: bool = False
    whole: bool = False


@dataclass
class Playback:
    """Follows one reply. Times in seconds; `now` is any monotonic clock.

    Sound that is sent is played at once, or right after what was sent before it. A robot that
    sends playback marks (`marks`) is believed before that clock. `owed`: sound that is certain to
    go out before all else of the reply, and hasn't yet.
    """

    marks: bool = False
    sent: float = 0.0
    owed: float = 0.0
    _played_by: float = 0.0
    _marked: float = 0.0
    _marked_at: float = 0.0
    _spans: list[_Span] = field(default_factory=list)

    def clause(self, text: str, *, aside: bool = False) -> None:
        """A clause begins: the sound that is sent from now on is its. `aside`: it only fills the
        time until the reply."""
        self.complete()
        self._spans.append(_Span(text, self.sent, self.sent, aside))

    def add(self, seconds: float, now: float) -> float:
        """So much sound goes out now; when it begins to be played."""
        begins = max(self._played_by, now)
        self._played_by = begins + seconds
        self.sent += seconds
        if self._spans:
            self._spans[-1].end = self.sent
        return begins

    def complete(self) -> None:
        """All sound of the last clause has been sent."""
        if self._spans:
            self._spans[-1].whole = True

    def mark(self, seconds: float, now: float) -> None:
        """The robot has handed so much of the reply to its device. Marks never go back."""
        if seconds > self._marked:
            self._marked, self._marked_at = min(self.sent, seconds), now

    def ahead(self, now: float) -> float:
        """Sound that was sent and isn't played yet, by the clock."""
        return max(0.0, self._played_by - now)

    def heard(self, now: float) -> float:
        """How much of the reply has been played."""
        return self._marked if self.marks else self.sent - self.ahead(now)

    @property
    def ends_at(self) -> float:
        """When all that was sent so far has been played; 0 if nothing was.

        A robot that owes a mark is waited for a little longer than the clock says.
        """
        if not self.marks or not self.sent:
            return self._played_by
        if self.sent - self._marked < _MARK_TOLERANCE:
            return self._marked_at
        return self._played_by + _MARK_PATIENCE

    def text(self) -> str:
        """All clauses that were begun."""
        return " ".join(span.text for span in self._spans if not span.aside)

    def heard_text(self, now: float) -> str:
        """The clauses that were played, and of the last one as many words as its time share.

        How long a clause is of which more sound is to come can only be guessed: by the pace of
        those before it.
        """
        heard = self.heard(now)
        words: list[str] = []
        for span in self._spans:
            if span.aside:
                continue
            if span.whole and heard >= span.end - 0.05:
                words.append(span.text)
                continue
            seconds = span.end - span.start
            if not span.whole:
                seconds = max(seconds, len(span.text) / self._pace())
            share = min(1.0, (heard - span.start) / seconds)
            spoken = span.text.split()
            words += spoken[: int(share * len(spoken))] if share > 0 else []
            break
        return " ".join(words)

    def words_between(self, start: float, end: float) -> str:
        """The words of the reply's sound from `start` to `end` s, a word more rather than less;
        those that are aside, too."""
        words: list[str] = []
        for span in self._spans:
            seconds = max(span.end - span.start, 1e-3)
            if not span.whole:
                seconds = max(seconds, len(span.text) / self._pace())
            spoken = span.text.split()
            first = int((start - span.start) / seconds * len(spoken)) - 1
            last = int((end - span.start) / seconds * len(spoken)) + 2
            words += spoken[max(0, first) : max(0, last)]
        return " ".join(words)

    def _pace(self) -> float:
        """Letters a second, of the clauses that were sent whole."""
        spans = [span for span in self._spans if span.whole]
        seconds = sum(span.end - span.start for span in spans)
        letters = sum(len(span.text) for span in spans)
        return letters / seconds if letters and seconds else _LETTERS_A_SECOND
