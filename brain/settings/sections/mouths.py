"""The mouth and what it runs on."""

from __future__ import annotations

from functools import partial

from pydantic import BaseModel

from brain.settings.fields import setting
from brain.settings.values import (
    URL,
    URLS_OR_NONE,
    Device,
    FileOrName,
    OrpheusBackend,
    TtsBackend,
)

_mouth = partial(setting, group="Mouth")
_kokoro = partial(setting, group="Mouth: Kokoro")
_orpheus = partial(setting, group="Mouth: Orpheus")
_openai = partial(setting, group="Mouth: OpenAI-compatible server")


class MouthSettings(BaseModel):
    """Part of `Settings`."""

    tts_backend: TtsBackend = _mouth(
        "auto", "What speaks (auto: Orpheus in performance mode, else Piper, else espeak)"
    )
    piper_voice: FileOrName = _mouth(
        "pocket",
        "Piper voice: an .onnx file with its .onnx.json beside it, here or in MODELS_DIR (pocket:"
        " the embedded one; empty: none)",
    )
    tts_voice: str = _mouth("en-us", "Voice of espeak, as espeak names it", min_length=1)
    tts_rate_wpm: int = _mouth(165, "How fast espeak speaks", unit="words/min", ge=80, le=450)
    tts_busy_queue_threshold: int = _mouth(
        0, "Texts in the works beyond which one more of /tts goes to espeak at once", ge=0, le=256
    )
    tts_timeout_s: float = _mouth(
        20.0,
        "Longest wait for the first and for each next block of sound",
        unit="s",
        ge=0.1,
        le=600,
    )
    kokoro_model_path: FileOrName = _kokoro(
        "kokoro/kokoro-v1.0.onnx",
        "Network of Kokoro: an ONNX file, here or in MODELS_DIR",
        min_length=1,
    )
    kokoro_voices_path: FileOrName = _kokoro(
        "kokoro/voices-v1.0.bin",
        "Voices of Kokoro: an npz file, here or in MODELS_DIR",
        min_length=1,
    )
    kokoro_voice: str = _kokoro(
        "af_heart",
        "Voice of Kokoro, as its file names it; the first letter is its language (a: American"
        " English, b: British, e: Spanish, f: French, h: Hindi, i: Italian, p: Portuguese; j:"
        " Japanese and z: Mandarin, which are read badly)",
        min_length=1,
    )
    kokoro_device: Device = _kokoro("cpu", "What Kokoro runs on")
    orpheus_backend: OrpheusBackend = _orpheus(
        "auto", "What runs the model of Orpheus (auto: vLLM if LLM_BACKEND=vllm, else llama.cpp)"
    )
    orpheus_url: str = _orpheus(
        "http://localhost:8000/v1", "Base URL of a vLLM server that has the model of Orpheus", **URL
    )
    tts_model_name: str = _orpheus(
        "canopylabs/orpheus-3b-0.1-ft",
        "Model of Orpheus for vLLM: a repository on the hub, or a folder, here or in MODELS_DIR"
        " (where brain models pull puts it)",
        min_length=1,
    )
    orpheus_model_path: FileOrName = _orpheus(
        "orpheus/orpheus-3b-0.1-ft-q4_k_m.gguf",
        "Model of Orpheus for llama.cpp: a GGUF file, here or in MODELS_DIR",
        min_length=1,
    )
    orpheus_decoder_path: FileOrName = _orpheus(
        "orpheus/decoder_model.onnx",
        "SNAC's decoder at 24 kHz: an ONNX file, here or in MODELS_DIR",
        min_length=1,
    )
    orpheus_voice: str = _orpheus("tara", "Voice of Orpheus, as the model names it", min_length=1)
    orpheus_gpu_memory_utilization: float = _orpheus(
        0.45, "Share of the GPU's memory that Orpheus takes", unit="of GPU", ge=0.01, le=1
    )
    orpheus_max_model_len: int = _orpheus(
        8192, "Longest text with its sound that Orpheus takes", unit="tokens", ge=256, le=1048576
    )
    orpheus_max_num_seqs: int = _orpheus(8, "Texts that Orpheus speaks at once", ge=1, le=1024)
    orpheus_max_num_batched_tokens: int = _orpheus(
        512, "Tokens that Orpheus computes in one step", unit="tokens", ge=16, le=1048576
    )
    orpheus_idle_timeout_s: float = _orpheus(
        8.0,
        "Longest wait for the next sound of Orpheus, before it is started anew",
        unit="s",
        ge=0.1,
        le=600,
    )
    orpheus_total_timeout_s: float = _orpheus(
        60.0, "Longest that one text may take Orpheus", unit="s", ge=0.1, le=3600
    )
    orpheus_min_free_vram_gb: float = _orpheus(
        10.0,
        "Free GPU memory that Orpheus needs to start (0: what it takes)",
        unit="GB",
        ge=0,
        le=1024,
    )
    tts_openai_url: str = _openai(
        "", "Base URL of a server that speaks, or of several (empty: OPENAI_URL)", **URLS_OR_NONE
    )
    tts_openai_model: str = _openai("", "Model name there (empty: the first that each lists)")
    tts_openai_voice: str = _openai(
        "alloy",
        "Voices there, by their names, commas between; the first is the default",
        pattern=r".*[^\s,].*",
        pattern_means="names of voices, commas between",
    )
    tts_openai_max_inflight: int = _openai(
        8, "Texts that those servers are given at once", ge=1, le=1024
    )
