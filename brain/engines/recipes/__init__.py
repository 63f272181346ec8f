"""Which engines a set of settings asks for, and what stands below them. Imports none of them."""

from brain.engines.recipes.building import EMBEDDED, POCKET
from brain.engines.recipes.ears import transcriber_rungs, whisper_options
from brain.engines.recipes.endpointing import end_of_turn_rungs
from brain.engines.recipes.minds import language_model_rungs, llamacpp_options, pocket_context
from brain.engines.recipes.mouths import synthesizer_rungs

__all__ = [
    "EMBEDDED",
    "POCKET",
    "end_of_turn_rungs",
    "language_model_rungs",
    "llamacpp_options",
    "pocket_context",
    "synthesizer_rungs",
    "transcriber_rungs",
    "whisper_options",
]
