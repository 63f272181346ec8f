"""speech-to-speech with engines of fixed cost, named as such, over its own realtime server. Runs in
`.venv-s2s`.

    python -m benchmarks.peers.s2s_server --port 8100 --mind http://127.0.0.1:8900 --tuned 500

Its ears and its voice are handlers of ours in its own registries; its language model is its own
chat-completions handler against `benchmarks.peers.model_server`. What it would fetch from the
internet as it starts is put in place from what is installed: the voice detector (the one in the
silero-vad package), and NLTK's sentence splitter (the algorithm, with no abbreviations learned).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers import costs as fixed

STAND_INS = Path(sys.prefix) / "stand-ins"
_PUNKT = ("abbrev_types.txt", "collocations.tab", "ortho_context.tab", "sent_starters.txt")
_HUBCONF = """from silero_vad import load_silero_vad

dependencies = ["torch"]


def silero_vad(**_options):
    return load_silero_vad(), ()
"""


def put_in_place() -> None:
    """What it looks for at its start, in folders where it looks for it."""
    punkt = STAND_INS / "nltk_data/tokenizers/punkt_tab/english"
    punkt.mkdir(parents=True, exist_ok=True)
    for name in _PUNKT:
        (punkt / name).touch()
    (STAND_INS / "nltk_data/taggers/averaged_perceptron_tagger_eng").mkdir(
        parents=True, exist_ok=True
    )
    hub = STAND_INS / "torch/hub/snakers4_silero-vad_master"
    hub.mkdir(parents=True, exist_ok=True)
    (hub / "hubconf.py").write_text(_HUBCONF)
    os.environ["NLTK_DATA"] = str(STAND_INS / "nltk_data")
    os.environ["TORCH_HOME"] = str(STAND_INS / "torch")


put_in_place()

from speech_to_speech import backend_registry as registry  # noqa: E402 - after what it looks for
from speech_to_speech.baseHandler import BaseHandler  # noqa: E402
from speech_to_speech.pipeline.messages import (  # noqa: E402
    AUDIO_RESPONSE_DONE,
    EndOfResponse,
    Transcription,
)
from speech_to_speech.STT.base_stt_handler import BaseSTTHandler  # noqa: E402

_PIECE = 512


class FixedEars(BaseSTTHandler):
    """Takes the costs' `stt`; what is heard while somebody still speaks costs nothing."""

    def setup(self, costs: fixed.Costs) -> None:
        self._costs = costs

    def process(self, vad_audio: Any) -> Iterator[Any]:
        if vad_audio.mode == "progressive":
            return
        time.sleep(self._costs.stt)
        yield Transcription(
            text=fixed.heard(len(vad_audio.audio) / fixed.RATE),
            language_code="en",
            turn_id=vad_audio.turn_id,
            turn_revision=vad_audio.turn_revision,
            speech_stopped_at_s=vad_audio.speech_end_at_s,
        )


class FixedMouth(BaseHandler):
    """Its first sound comes after the costs' `first_sound`. Gated as its own voices are."""

    def setup(self, costs: fixed.Costs, cancel_scope: Any, speculative_turns: Any) -> None:
        self._costs = costs
        self.cancel_scope = cancel_scope
        self.speculative_turns = speculative_turns

    def process(self, tts_input: Any) -> Iterator[Any]:
        turn, revision = tts_input.turn_id, tts_input.turn_revision
        if isinstance(tts_input, EndOfResponse):
            if not self.speculative_turns.wait_for_gate(turn, revision):
                if tts_input.response_key is None:
                    return
                tts_input.cleanup_only = True
            yield AUDIO_RESPONSE_DONE
            return
        if not self.speculative_turns.wait_for_gate(turn, revision, commit=True):
            return
        generation = self.cancel_scope.generation
        wait = self._costs.first_sound
        for block in fixed.blocks(tts_input.text):
            time.sleep(wait)
            wait = self._costs.block
            for at in range(0, len(block), _PIECE):
                if self.cancel_scope.is_stale(generation):
                    return
                yield block[at : at + _PIECE]


def register(costs: fixed.Costs) -> None:
    """The ears and the voice, as "fixed" among its own."""

    def ears(context: registry.HandlerContext, _config: Mapping[str, Any]) -> Any:
        handler = FixedEars(
            context.stop_event, context.queue_in, context.queue_out, setup_kwargs={"costs": costs}
        )
        handler.speculative_turns = context.speculative_turns
        return handler

    def mouth(context: registry.HandlerContext, _config: Mapping[str, Any]) -> Any:
        given = {
            "costs": costs,
            "cancel_scope": context.cancel_scope,
            "speculative_turns": context.speculative_turns,
        }
        return FixedMouth(
            context.stop_event, context.queue_in, context.queue_out, setup_kwargs=given
        )

    empty = registry.EmptyBackendArguments
    registry.STT_BACKENDS["fixed"] = registry.BackendSpec("fixed", "stt", empty, ears)
    registry.TTS_BACKENDS["fixed"] = registry.BackendSpec("fixed", "tts", empty, mouth)


def main() -> None:
    """Serve until told to stop."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--port", required=True)
    p.add_argument("--mind", required=True, help="address of the language model")
    p.add_argument("--costs", choices=fixed.BY_NAME, default="fixed")
    p.add_argument("--tuned", metavar="MS", help="silence that ends a turn; nothing is held back")
    p.add_argument("--smart-turn", metavar="FILE", help="its end-of-turn model (else without)")
    args = p.parse_args()
    register(fixed.BY_NAME[args.costs])
    options = ["--host", "127.0.0.1", "--port", args.port]
    options += ["--stt", "fixed", "--tts", "fixed", "--llm_backend", "chat-completions"]
    options += ["--model_name", args.costs, "--responses_api_base_url", f"{args.mind}/v1"]
    if args.tuned:
        options += ["--min_silence_ms", args.tuned, "--speculative_reopen_ms", "0"]
        options += ["--stream_batch_sentences", "1", "--no_enable_live_transcription"]
    if args.smart_turn:
        options += ["--smart_turn_model_path", args.smart_turn]
    else:
        options += ["--no_smart_turn"]
    # (Its arguments list the registries as they are when it is imported.)
    from speech_to_speech.s2s_pipeline import run_pipeline_command

    run_pipeline_command("serve", options)


if __name__ == "__main__":
    main()
