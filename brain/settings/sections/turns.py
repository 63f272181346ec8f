"""A conversation: when a turn ends, who may interrupt whom, the character."""

from __future__ import annotations

from functools import partial

from pydantic import BaseModel

from brain.settings.fields import setting
from brain.settings.values import (
    FILLERS,
    HOURS,
    WAKE_PHRASES,
    EchoMode,
    EndpointingMode,
    FileOrName,
    Speculation,
)

_turn = partial(setting, group="Turns")
_attention = partial(setting, group="Turns: attention")


class TurnSettings(BaseModel):
    """Part of `Settings`."""

    vad_threshold: float = _turn(
        0.5,
        "Sound is speech from this probability on (a robot may ask for another)",
        ge=0.05,
        le=0.95,
    )
    vad_silence_ms: int = _turn(
        500,
        "Silence that ends an utterance (a robot may ask for another)",
        unit="ms",
        ge=100,
        le=5000,
    )
    tentative_silence_ms: int = _turn(
        128,
        "Silence after which the answer is made ahead, in case that was all: it waits for the end"
        " (VAD_SILENCE_MS), and is dropped if the user goes on (0: never)",
        unit="ms",
        ge=0,
        le=5000,
    )
    stt_partials: bool = _turn(
        False,
        "Hear what is said while it is being said, in at most half of the ears' time: the robot is"
        " told (transcript_user_partial), and the answer is begun sooner still",
    )
    endpointing: EndpointingMode = _turn(
        "fixed",
        "What ends a turn: fixed is VAD_SILENCE_MS always; adaptive is less of it after a complete"
        " question or command, and more after words that trail off and for who pauses long (needs"
        " TENTATIVE_SILENCE_MS; the words are English)",
    )
    endpointing_min_ms: int = _turn(
        300,
        "Adaptive: silence that ends a turn after a complete question or command",
        unit="ms",
        ge=100,
        le=5000,
    )
    endpointing_max_ms: int = _turn(
        1200,
        "Adaptive: silence that ends a turn after words that trail off, and the most that is waited"
        " for who pauses long",
        unit="ms",
        ge=100,
        le=5000,
    )
    endpointing_model: FileOrName = _turn(
        "",
        "Adaptive: a model that hears whether somebody has ended, an ONNX file of Smart Turn's form"
        " or its name in the catalogue (smart-turn); empty: the words alone decide",
    )
    speculation: Speculation = _turn(
        "on",
        "Whether answers are made ahead: on, where an engine has a place free; idle, while nobody"
        " else needs that engine, so that robots that are answered are never slowed down; off,"
        " never. What is made ahead never waits for an engine, and is the first to make room",
    )
    pre_roll_ms: int = _turn(
        300,
        "Sound from before speech that is heard with it, so that no first word is lost",
        unit="ms",
        ge=0,
        le=2000,
    )
    max_utterance_s: float = _turn(
        30.0, "Longest utterance; what is longer is answered in parts", unit="s", ge=1, le=120
    )
    barge_in_ms: int = _turn(
        300,
        "Speech over a reply that stops it, if it is words and no back-channel (where the robot"
        " cancels its echo, or ECHO=guard)",
        unit="ms",
        ge=60,
        le=3000,
    )
    backchannel_ms: int = _turn(
        1000,
        "Speech over a reply that stops it whatever it is; of less, mm-hm, okay and the like only"
        " hold it for a moment (0: all speech from BARGE_IN_MS on stops it)",
        unit="ms",
        ge=0,
        le=5000,
    )
    echo: EchoMode = _turn(
        "half_duplex",
        "What the brain does about its own voice, unless the robot cancels its echo: half_duplex"
        " hears nothing while it speaks, guard only what is louder than the echo and isn't its own"
        " words, none hears all",
    )
    tts_lead_ms: int = _turn(
        600,
        "Sound is sent at most so far ahead of the robot's speaker",
        unit="ms",
        ge=100,
        le=10000,
    )
    tool_timeout_s: float = _turn(
        15.0,
        "So long the brain waits for the result of a tool, then speaks without it",
        unit="s",
        ge=0.1,
        le=600,
    )
    images_per_turn: int = _turn(
        2, "Pictures that go with a turn, its tools' included; of more, the newest", ge=1, le=8
    )
    image_max_edge: int = _turn(
        640,
        "A picture is made smaller until its longer edge fits: smaller is answered sooner",
        unit="pixels",
        ge=64,
        le=2048,
    )
    image_history: int = _turn(
        0,
        "Pictures of earlier turns that the language model goes on seeing (0: each for its turn)",
        ge=0,
        le=8,
    )
    default_tools: FileOrName = _turn(
        "reachy_mini",
        "Tools for a robot that offers none: a built-in set, a JSON file, or none",
        min_length=1,
    )
    persona_file: FileOrName = _turn(
        "", "The character: a text file, or the name of one that ships (empty: robo)"
    )
    emotions: bool = _turn(
        True, "Ask the language model for a mood and gestures, sent before the sound"
    )
    converse_vad: bool = _turn(
        False, "On /converse, silence ends a turn as well as end_utterance does"
    )
    thinking_filler: bool = _attention(
        False, "Say a word if nothing has come of an answer for a while, to show that one will"
    )
    thinking_filler_ms: int = _attention(
        1200, "From the end of the turn to that word", unit="ms", ge=0, le=60000
    )
    thinking_filler_texts: str = _attention("Hm.", "What is said then, each in its turn", **FILLERS)
    wake_phrases: str = _attention(
        "",
        "Answer only who says one of these, or goes on with a conversation; they may be heard"
        " slightly wrong (empty: answer everybody; a robot may ask for others)",
        **WAKE_PHRASES,
    )
    wake_window_s: float = _attention(
        8.0,
        "After a reply, a conversation is gone on with for so long without a wake phrase",
        unit="s",
        ge=0,
        le=600,
    )
    quiet_hours: str = _attention(
        "",
        "Quiet mode: short answers and nothing unasked, at these hours of this machine's time"
        " (empty: only when a robot asks for it)",
        **HOURS,
    )
    quiet_max_output_tokens: int = _attention(
        96, "Longest answer in quiet mode", unit="tokens", ge=1, le=131072
    )
