"""pipecat with engines of fixed cost, named as such, over its own websocket transport. Runs in
`.venv-pipecat`.

    python -m benchmarks.peers.pipecat_server --port 8100 --mind http://127.0.0.1:8900 --tuned 500

Its ears and its voice are subclasses of its own services that wait; its language model is its own
OpenAI service against `benchmarks.peers.model_server`.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncGenerator

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    OutputAudioRawFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.settings import STTSettings, TTSSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TextAggregationMode, TTSService
from pipecat.transports.websocket.server import (
    SingleClientWebsocketServerParams,
    SingleClientWebsocketServerTransport,
)
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

from benchmarks.peers import costs as fixed
from benchmarks.peers.costs import Costs


class RawSerializer(FrameSerializer):
    """Bare PCM both ways."""

    async def serialize(self, frame: Frame) -> bytes | None:
        return frame.audio if isinstance(frame, OutputAudioRawFrame) else None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        if isinstance(data, str):
            return None
        return InputAudioRawFrame(audio=data, sample_rate=fixed.RATE, num_channels=1)


class FixedEars(SegmentedSTTService):
    """Takes `costs.stt`."""

    def __init__(self, costs: Costs) -> None:
        super().__init__(settings=STTSettings(model="fixed-cost", language="en"))
        self._costs = costs

    @property
    def wants_wav_segments(self) -> bool:
        return False

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        await asyncio.sleep(self._costs.stt)
        text = fixed.heard(len(audio) / 2 / fixed.RATE)
        yield TranscriptionFrame(text, self._user_id, time_now_iso8601())


class FixedMouth(TTSService):
    """Its first sound of a call comes after `costs.first_sound`. By token, the voice takes text as
    it comes: of a turn's calls only the first one waits."""

    def __init__(self, costs: Costs, *, by_token: bool) -> None:
        mode = TextAggregationMode.TOKEN if by_token else TextAggregationMode.SENTENCE
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            sample_rate=fixed.RATE,
            text_aggregation_mode=mode,
            settings=TTSSettings(model="fixed-cost", voice="plain", language="en"),
        )
        self._costs = costs
        self._by_token = by_token
        self._begun = ""

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        wait = self._costs.first_sound
        if self._by_token and self._begun == context_id:
            wait = 0.0
        self._begun = context_id
        for block in fixed.blocks(text):
            await asyncio.sleep(wait)
            wait = self._costs.block
            yield TTSAudioRawFrame(block.tobytes(), fixed.RATE, 1, context_id=context_id)


async def serve(args: argparse.Namespace) -> None:
    """Until cancelled."""
    costs = fixed.BY_NAME[args.costs]
    transport = SingleClientWebsocketServerTransport(
        SingleClientWebsocketServerParams(
            serializer=RawSerializer(),
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_in_sample_rate=fixed.RATE,
            audio_out_sample_rate=fixed.RATE,
        ),
        host="127.0.0.1",
        port=args.port,
    )
    mind = OpenAILLMService(
        api_key="none",
        base_url=f"{args.mind}/v1",
        settings=OpenAILLMService.Settings(model=args.costs),
    )
    pair = LLMContextAggregatorPair(LLMContext(), user_params=_user(args.tuned))
    pipeline = Pipeline(
        [
            transport.input(),
            FixedEars(costs),
            pair.user(),
            mind,
            FixedMouth(costs, by_token=args.by_token),
            transport.output(),
            pair.assistant(),
        ]
    )
    worker = PipelineWorker(
        pipeline,
        params=PipelineParams(audio_in_sample_rate=fixed.RATE, audio_out_sample_rate=fixed.RATE),
        idle_timeout_secs=None,
        enable_rtvi=False,
    )
    runner = WorkerRunner(handle_sigterm=True)
    await runner.add_workers(worker)
    await runner.run()


def _user(silence_ms: int) -> LLMUserAggregatorParams:
    """As shipped (0): its voice detector's own silence, and its own end-of-turn model (Smart Turn).
    Tuned: the turn is over after this much silence, and that is all."""
    if not silence_ms:
        return LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    return LLMUserAggregatorParams(
        vad_analyzer=SileroVADAnalyzer(params=VADParams(stop_secs=silence_ms / 1000)),
        user_turn_strategies=UserTurnStrategies(
            stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0)]
        ),
    )


def main() -> None:
    """Serve until told to stop."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--mind", required=True, help="address of the language model")
    p.add_argument("--costs", choices=fixed.BY_NAME, default="fixed")
    p.add_argument("--tuned", type=int, default=0, metavar="MS", help="silence that ends a turn")
    p.add_argument("--by-token", action="store_true", help="speak token by token")
    asyncio.run(serve(p.parse_args()))


if __name__ == "__main__":
    main()
