"""The engines of a set of settings, behind their ladders: loaded, warmed, looked after, closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from brain.engines.gpu_memory import GpuMemory, this_gpu
from brain.engines.gpu_room import with_gpu_room
from brain.engines.ladder import EngineState, Kind, Ladder, Rung
from brain.engines.ladder_ports import (
    LadderEndOfTurn,
    LadderLanguageModel,
    LadderSynthesizer,
    LadderTranscriber,
)
from brain.engines.lane import Closable
from brain.engines.ports import (
    EndOfTurn,
    EngineUnavailable,
    LanguageModel,
    Synthesizer,
    Transcriber,
    VoiceDetector,
)
from brain.engines.recipes import (
    end_of_turn_rungs,
    language_model_rungs,
    synthesizer_rungs,
    transcriber_rungs,
)
from brain.engines.recipes.gpu_needs import gpu_need, orpheus_on_gpu
from brain.engines.remote.pool import pool_behind
from brain.engines.unfinished import Loads, guarded
from brain.settings import Settings

_log = logging.getLogger(__name__)

E = TypeVar("E", bound=Closable)

_DETECTOR = "silero"
_ALSO_DECIDING: Mapping[Kind, tuple[str, ...]] = {
    "llm": ("vllm_",), "tts": ("orpheus_",), "eot": ("endpointing_model",)
}  # fmt: skip
"""Beginnings of names of settings, besides the kind's own, that decide how its models load."""


class EngineSet:
    """What a brain hears, thinks and speaks with. `mouth` is None for text only.

    Made in two steps: `EngineSet(settings)` loads the voice detector alone; `start` returns as soon
    as the embedded engines serve, and loads the settings' engines in the background, the largest
    first. `loads`: where it is remembered which load ended the process, if anywhere. `gpu`: whose
    memory is looked at before each load that goes there.
    """

    def __init__(
        self,
        settings: Settings,
        loads: Loads | None = None,
        gpu: Callable[[], GpuMemory] = this_gpu,
    ) -> None:
        self.detector, self._undetected = _detector()
        minds = _guarded(language_model_rungs(settings), "llm", settings, loads)
        ears = _guarded(transcriber_rungs(settings), "stt", settings, loads)
        mouths = _guarded(synthesizer_rungs(settings), "tts", settings, loads)
        minds, ears, mouths = (
            _with_room(minds, "llm", settings, gpu),
            _with_room(ears, "stt", settings, gpu),
            _with_room(mouths, "tts", settings, gpu),
        )
        self._large_mouth = bool(mouths) and (
            mouths[0].name == "orpheus" and orpheus_on_gpu(settings)
        )
        self._mind: Ladder[LanguageModel] = Ladder("llm", minds)
        self._ears: Ladder[Transcriber] = Ladder("stt", ears)
        self._mouth: Ladder[Synthesizer] | None = Ladder("tts", mouths) if mouths else None
        self.mind: LanguageModel = LadderLanguageModel(self._mind)
        self.transcriber: Transcriber = LadderTranscriber(self._ears)
        self.mouth: Synthesizer | None = (
            LadderSynthesizer(self._mouth) if self._mouth is not None else None
        )
        # (Small, and where it is missing the words decide: nothing waits for it.)
        judges = _guarded(end_of_turn_rungs(settings), "eot", settings, loads)
        self._judge: Ladder[EndOfTurn] | None = Ladder("eot", judges) if judges else None
        self.end_of_turn: EndOfTurn | None = (
            LadderEndOfTurn(self._judge) if self._judge is not None else None
        )
        self._loading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when the embedded engines serve (or can't); the others load on.

        Raises nothing: what is wrong is in `states`.
        """
        for ladder in self._ladders():
            await ladder.start()
        self._loading = asyncio.ensure_future(self._load())

    async def wait_settled(self, seconds: float | None = None) -> bool:
        """Return when the engines of the settings are warm, or were given up on for now; after
        `seconds` in any case (False if they aren't yet)."""
        if self._loading is None:
            return True
        done, _ = await asyncio.wait({self._loading}, timeout=seconds)
        for loading in done:
            loading.result()
        return bool(done)

    def states(self) -> tuple[EngineState, ...]:
        """How each kind stands: vad, stt, llm, tts (not tts for text only), eot (if asked for)."""
        info = self.detector.info
        detector = EngineState(
            "vad", _DETECTOR, info.name, info.model, reason=self._undetected, device=info.device
        )
        by_kind = {ladder.kind: ladder.state for ladder in self._ladders()}
        order: tuple[Kind, ...] = ("stt", "llm", "tts", "eot")
        return (detector, *(by_kind[kind] for kind in order if kind in by_kind))

    def hopeless(self) -> str:
        """Why only a new process can help: an engine hangs, and nothing in here replaces it. Empty
        if none is needed."""
        needed = (ladder for ladder in self._ladders() if ladder is not self._judge)
        return next(filter(None, (ladder.hopeless() for ladder in needed)), "")

    def counters(self) -> Mapping[str, Mapping[str, Any]]:
        """The lane's counters of the engine that serves, by kind (`LaneCounters` as a dict); and
        those of its servers elsewhere, by address, as `endpoints`."""
        result: dict[str, Mapping[str, Any]] = {}
        for ladder in self._ladders():
            try:
                engine = ladder.engine
            except EngineUnavailable:
                continue
            lane, pool = getattr(engine, "lane", None), pool_behind(engine)
            if lane is not None:
                result[ladder.kind] = {**asdict(lane.counters), "inflight": lane.inflight}
            if pool is not None:
                result[ladder.kind] = {**result[ladder.kind], "endpoints": pool.counters()}
        return result

    async def close(self) -> None:
        """Cancel what is under way and free everything. Closing twice is the same as once."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        for ladder in self._ladders():
            await ladder.close()

    def _ladders(self) -> tuple[Ladder[Any], ...]:
        """The largest first: what is left of the memory is for the others."""
        judge = () if self._judge is None else (self._judge,)
        if self._mouth is None:
            return (self._mind, self._ears, *judge)
        if self._large_mouth:
            return (self._mind, self._mouth, self._ears, *judge)
        return (self._mind, self._ears, self._mouth, *judge)

    async def _load(self) -> None:
        # One that loads elsewhere takes nothing from the others here, and may take its time.
        remote = [[ladder] for ladder in self._ladders() if ladder.remote]
        local = [ladder for ladder in self._ladders() if not ladder.remote]
        await asyncio.gather(*(_climb(ladders) for ladders in (local, *remote)))


def _detector() -> tuple[VoiceDetector, str]:
    """The voice detector, and why it isn't the wanted one; empty if it is."""
    try:
        # Here, so that what only reads this module's names imports no onnxruntime.
        from brain.engines.vad.silero import SileroDetector

        return SileroDetector(), ""
    except (EngineUnavailable, ImportError) as error:
        from brain.engines.vad.loudness import LoudnessDetector

        reason = f"{error} Whoever is louder than the room is taken to speak: install anew."
        _log.error("vad: %s", reason)
        return LoudnessDetector(), reason


def _guarded(
    rungs: Sequence[Rung[E]], kind: Kind, settings: Settings, loads: Loads | None
) -> Sequence[Rung[E]]:
    if loads is None:
        return rungs
    values = settings.model_dump()
    prefixes = (f"{kind}_", *_ALSO_DECIDING.get(kind, ()))
    deciding = repr([values[name] for name in sorted(values) if name.startswith(prefixes)])
    return [guarded(rung, kind, loads, deciding) for rung in rungs]


def _with_room(
    rungs: Sequence[Rung[E]], kind: Kind, settings: Settings, gpu: Callable[[], GpuMemory]
) -> Sequence[Rung[E]]:
    """The same rungs, which aren't built where the GPU has no room for them."""
    roomy = []
    for rung in rungs:
        need = None if rung.embedded else gpu_need(settings, kind, rung.name)
        roomy.append(rung if need is None else with_gpu_room(rung, need, gpu))
    return roomy


async def _climb(ladders: Sequence[Ladder[Any]]) -> None:
    """One after the other, each looked after from then on."""
    for ladder in ladders:
        await ladder.climb()
        ladder.watch()
