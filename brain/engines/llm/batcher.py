"""Several replies at once from one llama.cpp context, and prompts that are computed only once.

Continuous batching: each step decodes one token of every reply under way and, in the room that is
left, a piece of the prompts of those that have just come. Pictures in a prompt are encoded beside
that (see `eyes`), and go into the context in batches of their own, a piece a step. It blocks and
belongs to one thread, but `submit` and `has_work`.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence

from brain.engines.llm.active import SHARED_PIECE, Active, Share, filled
from brain.engines.llm.native import ABORTED, NO_ROOM, Entry, NativeContext
from brain.engines.llm.patches import Encoder, Patch
from brain.engines.llm.request import BatchCounters, Prepared, Request
from brain.engines.llm.sequences import Slot, choose
from brain.engines.ports import Cancelled, EngineError, EngineFailed

_log = logging.getLogger(__name__)

# Below this a reply would be cut in its first sentence.
_LEAST_REPLY = 16


class Batcher:
    """The replies under way in `context`, whose sequences are numbered from 0.

    A conversation (prompt and reply) has at most `limit` tokens, `batch` go in one step.
    `may_share`: the model can share the beginning of a sequence with another one. `encoder` of
    pictures, of a model that sees.
    """

    def __init__(
        self,
        context: NativeContext,
        *,
        sequences: int,
        limit: int,
        batch: int,
        may_share: bool,
        encoder: Encoder | None = None,
    ) -> None:
        self._context = context
        self._slots = [Slot(number) for number in range(sequences)]
        self._limit = limit
        self._batch = batch
        self._may_share = may_share
        self._encoder = encoder
        self._news = threading.Event()
        self._pending: deque[Request] = deque()
        self._waiting: deque[tuple[Request, Prepared]] = deque()
        self._active: list[Active] = []
        self._uses = 0
        self._stopped: EngineError | None = None
        self.counters = BatchCounters()

    def submit(self, request: Request) -> None:
        """Queue a request; `serve` then has work. From any thread."""
        # (A cancel that comes after the end must not disturb the others.)
        request.cancel.on_cancel(lambda: None if request.over else self._interrupt())
        self._pending.append(request)
        self._news.set()

    @property
    def has_work(self) -> bool:
        return bool(self._pending or self._waiting or self._active)

    def serve(self) -> None:
        """Answer until nothing is left to answer, or `stop`."""
        while self.has_work:
            if self._stopped is not None:
                self._refuse(self._stopped)
                return
            try:
                self._step()
            except EngineFailed as error:
                self._fail_all(error)
            except Exception as error:  # noqa: BLE001 - one bad reply must not end the engine
                _log.exception("A step of the language model failed.")
                self._fail_all(EngineFailed(f"The language model failed: {error}."))

    def stop(self, reason: EngineError) -> None:
        """End every reply with `reason`, within one batch, and start none any more. Any thread."""
        self._stopped = reason
        self._interrupt()

    def _interrupt(self) -> None:
        self._context.abort()
        self._news.set()

    # -- a step ---------------------------------------------------------------------------------

    def _step(self) -> None:
        self._news.clear()
        # First: a robot's next question goes on where the one that it gave up was.
        for active in [a for a in self._active if a.request.cancel.cancelled]:
            self._end(active, Cancelled("cancelled"))
        for active in [a for a in self._active if not (a.answers or a.missing)]:
            self._end(active, None)
        self._admit()
        if not self._active:
            return
        entries, shares = filled(self._active, self._batch)
        if entries:
            if not self._decode(entries, shares):
                return
            for share in shares:
                if share.asked is not None:
                    token = share.active.ready.sampler.sample(self._context, share.asked)
                    self._take(share.active, token)
        if not self._show_one(beside=bool(entries)) and not entries:
            # All that there is to do waits for a picture. (The time is for a call that got lost.)
            self._news.wait(1.0)

    def _admit(self) -> None:
        while self._pending:
            request = self._pending.popleft()
            if request.cancel.cancelled:
                request.finish(Cancelled("cancelled"))
                continue
            try:
                self._waiting.append((request, request.prepare()))
            except EngineError as error:
                request.finish(error)
            except Exception as error:  # noqa: BLE001 - a strange request must not end the others
                _log.exception("A prompt could not be made.")
                request.finish(EngineFailed(f"The prompt could not be made: {error}."))
        for request, ready in [w for w in self._waiting if w[0].cancel.cancelled]:
            self._waiting.remove((request, ready))
            ready.sampler.close()
            request.finish(Cancelled("cancelled"))
        while self._waiting and self._start(*self._waiting[0]):
            self._waiting.popleft()

    def _start(self, request: Request, ready: Prepared) -> bool:
        """Give the request a sequence, or an error if it can never have one; False: not yet."""
        wanted = request.max_tokens > 0
        room = self._limit - len(ready.prompt)
        if room < min(_LEAST_REPLY, request.max_tokens) or (wanted and not ready.prompt):
            ready.sampler.close()
            error = EngineFailed(
                f"The conversation takes {len(ready.prompt)} tokens and leaves no room for a "
                f"reply in a context of {self._limit}: raise {self._context.names.context} or "
                "shorten it."
            )
            request.finish(error)
            return True
        budget = min(request.max_tokens, room)
        reserved = sum(len(active.ready.prompt) + active.budget for active in self._active)
        if reserved + len(ready.prompt) + budget > self._context.cells:
            return False
        choice = choose(self._slots, ready.prompt, may_share=self._may_share)
        if choice is None:
            return False
        if not wanted and choice.common == len(ready.prompt):
            self._touch(choice.source or choice.slot)
            ready.sampler.close()
            request.finish(None)
            return True
        slot = choice.slot
        # The last token is computed again in any case: its logits are where the reply begins.
        common = ready.patches.whole(min(choice.common, len(ready.prompt) - wanted))
        position = ready.patches.position(common)
        if choice.source is not None:
            self._context.cut(slot.sequence, 0)
            self._context.share(choice.source.sequence, slot.sequence, position)
        elif not self._context.cut(slot.sequence, position):
            self._context.cut(slot.sequence, 0)
            common = 0
        slot.tokens = ready.prompt[:common]
        slot.busy = True
        self._touch(slot)
        self.counters.reused += common
        self._active.append(Active(request, ready, slot, budget, list(ready.prompt)))
        for start, patch in ready.patches:
            if start >= common and self._encoder is not None:
                self._encoder.encode(patch, self._news.set)
        return True

    def _decode(self, entries: Sequence[Entry], shares: Sequence[Share]) -> bool:
        """Run a batch and note what is in memory now; False if there are no logits to read."""
        context = self._context
        if not self._may_go_on():
            return False
        outcome = context.decode(entries)
        self.counters.batches += 1
        if outcome == NO_ROOM:
            self._forget_one()
            return False
        if outcome == ABORTED:
            self.counters.aborted += 1
        for share in shares:
            active, slot = share.active, share.active.slot
            before = len(slot.tokens)
            now = before + share.size
            if outcome == ABORTED:
                # A token whose logits nobody has read is computed again. (The last of a picture's
                # cells may have lower positions than the first: what was there still is.)
                there = before + context.length(slot.sequence) - active.where(before)
                now = min(now, max(before, there), len(active.tokens) - 1)
                if not context.cut(slot.sequence, active.where(now)):
                    context.cut(slot.sequence, 0)
                    now = 0
            slot.tokens = active.tokens[:now]
            self.counters.prefilled += max(0, min(now, len(active.ready.prompt)) - before)
        return outcome != ABORTED

    def _may_go_on(self) -> bool:
        """Whether nothing has come between."""
        self._context.allow()
        # Only now: a cancel before `allow` has left no other trace.
        cancelled = any(active.request.cancel.cancelled for active in self._active)
        return not cancelled and self._stopped is None

    def _show_one(self, *, beside: bool) -> bool:
        """Run a batch of the first picture that is encoded, if there is one; a small one `beside`
        replies that go on."""
        for active in list(self._active):
            placed = active.ready.patches.at(len(active.slot.tokens))
            if placed is None:
                continue
            if placed[1].failed:
                self._end(active, EngineFailed(placed[1].failed))
                return True
            if placed[1].embeddings is not None:
                if self._may_go_on():
                    room = min(self._batch, SHARED_PIECE) if beside else self._batch
                    self._show(active, *placed, room)
                return True
        return False

    def _show(self, active: Active, start: int, patch: Patch, room: int) -> None:
        slot, context = active.slot, self._context
        here, cells = len(slot.tokens), len(patch.ids)
        if patch.whole and cells > self._batch:
            self._end(active, EngineFailed(f"A picture takes {cells} tokens, {self._batch} fit."))
            return
        first, size = here - start, cells if patch.whole else min(cells - (here - start), room)
        assert patch.embeddings is not None
        outcome = context.show(
            patch.embeddings[first : first + size],
            patch.placed_at(active.where(start), first, size),
            slot.sequence,
            whole=patch.whole,
        )
        self.counters.batches += 1
        if outcome == NO_ROOM:
            self._forget_one()
        elif outcome == ABORTED:
            self.counters.aborted += 1
            now = start if context.cut(slot.sequence, active.where(start)) else 0
            if not now:
                context.cut(slot.sequence, 0)
            slot.tokens = active.tokens[:now]
        else:
            slot.tokens = active.tokens[: here + size]
            self.counters.prefilled += size

    def _take(self, active: Active, token: int) -> None:
        """A reply has got another token."""
        active.tokens.append(token)
        self.counters.generated += 1
        if active.ready.ends(token):
            self._end(active, None)
            return
        if active.request.take is not None:
            active.request.take(token)
        text = active.text.decode(active.ready.shown(token))
        if text:
            active.request.emit(text)
        if active.made >= active.budget:
            self._end(active, None)

    def _end(self, active: Active, outcome: EngineError | None) -> None:
        rest = active.text.decode(b"", True)
        if rest and outcome is None:
            active.request.emit(rest)
        self._active.remove(active)
        active.ready.sampler.close()
        active.slot.busy = False
        self._touch(active.slot)
        active.request.finish(outcome)

    def _forget_one(self) -> None:
        """Make room: the least recently used conversation that is not under way is forgotten."""
        idle = [slot for slot in self._slots if not slot.busy and slot.tokens]
        if not idle:
            raise EngineFailed(f"The context is full: raise {self._context.names.context}.")
        slot = min(idle, key=lambda slot: slot.used_at)
        self._context.cut(slot.sequence, 0)
        slot.tokens.clear()

    def _fail_all(self, error: EngineFailed) -> None:
        """What is in memory is not known any more: end every reply and begin with an empty one."""
        self._end_all(error)
        self.forget()

    def forget(self) -> None:
        """Forget all that was ever said; of the thread that serves, while nothing is under way."""
        for slot in self._slots:
            self._context.cut(slot.sequence, 0)
            slot.tokens.clear()

    def _end_all(self, reason: EngineError) -> None:
        for active in list(self._active):
            self._end(active, reason)
        while self._waiting:
            request, ready = self._waiting.popleft()
            ready.sampler.close()
            request.finish(reason)

    def _refuse(self, reason: EngineError) -> None:
        self._end_all(reason)
        while self._pending:
            self._pending.popleft().finish(reason)

    def _touch(self, slot: Slot) -> None:
        self._uses += 1
        slot.used_at = self._uses
