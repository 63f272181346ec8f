"""Every setting of the brain: name, type, default, unit, bounds, meaning.

The attribute is the environment name in lower case. The defaults of the settings that the
supervisor's server had are those of its table; what the profile `pocket` needs otherwise stands in
`brain/profiles/pocket.env`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, PrivateAttr, SecretStr, field_validator

from brain.settings.fields import Spec, setting, specs_of

_NO_SECRET = SecretStr("")
_server = partial(setting, group="Server")
_turn = partial(setting, group="Turns")
_mind = partial(setting, group="Language model")
_llamacpp = partial(setting, group="Language model: llama.cpp")
_vllm = partial(setting, group="Language model: vLLM")
_ollama = partial(setting, group="Language model: Ollama")
_plan = partial(setting, group="Plans")
_ears = partial(setting, group="Ears")
_mouth = partial(setting, group="Mouth")
_orpheus = partial(setting, group="Mouth: Orpheus")

LlmBackend = Literal["llamacpp", "vllm", "ollama", "openai"]
TtsBackend = Literal["auto", "orpheus", "piper", "espeak", "off"]
EchoMode = Literal["half_duplex", "guard", "none"]
LogLevel = Literal["debug", "info", "warning", "error"]
Device = Literal["cpu", "cuda"]
ComputeType = Literal[
    "default", "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16",
    "int16", "float16", "bfloat16", "float32",
]  # fmt: skip
VllmDtype = Literal["auto", "half", "float16", "bfloat16", "float", "float32"]

_KEEP_ALIVE: dict[str, Any] = {
    "pattern": r"^-?\d+(\.\d+)?(ms|s|m|h)?$",
    "pattern_means": "a time such as 0s, 30s, 5m or 1h (-1 keeps it for ever)",
}
_URL: dict[str, Any] = {
    "pattern": r"^https?://[^\s/]+",
    "pattern_means": "an address such as http://localhost:11434",
}


@dataclass(frozen=True)
class Problem:
    """Something wrong with the settings as they were given.

    `severity` "error": a value was refused and another stands in for it; "warning": a name that
    no setting has. `message` is one line that names the setting, the value and what is allowed;
    `instead` what holds in its stead; `str()` gives both.
    """

    severity: Literal["error", "warning"]
    setting: str
    message: str
    origin: str
    instead: str = ""

    def __str__(self) -> str:
        return f"{self.message}; {self.instead} holds instead" if self.instead else self.message


class Settings(BaseModel):
    """All settings, checked. Made by `brain.settings.load`; `Settings()` is the bare defaults.

    Raises pydantic's `ValidationError` for a value out of its bounds and for an unknown name.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, allow_inf_nan=False
    )

    # -- server
    brain_profile: str = _server("pocket", "Profile: a file of settings", min_length=1)
    server_host: str = _server("0.0.0.0", "Bind address", min_length=1)  # noqa: S104 - the seed's
    server_port: int = _server(8100, "Bind port (0: any free one)", ge=0, le=65535)
    log_level: LogLevel = _server("info", "Least severity that is logged")
    brain_token: SecretStr = _server(_NO_SECRET, "Token that a robot must show (empty: none)")
    hf_token: SecretStr = _server(_NO_SECRET, "Hugging Face token for gated model repositories")
    cpu_threads: int = _server(4, "CPU threads of all engines together", ge=1, le=512)
    performance_mode: bool = _server(False, "Enables the Orpheus path")
    gpu_utilization_cap: float = _server(
        0.80,
        "Most that the language model and Orpheus may take together",
        unit="of GPU",
        ge=0,
        le=1,
    )
    max_sessions: int = _server(64, "Robots connected at once; more are refused", ge=1, le=10000)
    session_idle_s: float = _server(
        900.0, "A robot without a word for so long is hung up on", unit="s", ge=1, le=604800
    )
    history_minutes: float = _server(
        30.0, "A robot finds its history again for so long", unit="min", ge=0, le=10080
    )
    history_robots: int = _server(50, "Robots whose history is kept", ge=1, le=10000)
    shutdown_s: float = _server(
        5.0, "Replies under way may go on for so long at the end", unit="s", ge=0, le=60
    )

    # -- turns
    vad_threshold: float = _turn(0.5, "Speech from this probability on", ge=0.05, le=0.95)
    vad_silence_ms: int = _turn(500, "Silence that ends an utterance", unit="ms", ge=100, le=5000)
    pre_roll_ms: int = _turn(300, "Sound kept from before speech", unit="ms", ge=0, le=2000)
    max_utterance_s: float = _turn(
        30.0, "Longest utterance; then it is processed", unit="s", ge=1, le=120
    )
    barge_in_ms: int = _turn(300, "Speech that stops a reply under way", unit="ms", ge=60, le=3000)
    echo: EchoMode = _turn(
        "half_duplex", "How the brain keeps from hearing its own voice, unless the robot does"
    )
    tts_lead_ms: int = _turn(
        600, "Sound is sent at most so far ahead of real time", unit="ms", ge=100, le=10000
    )
    tool_timeout_s: float = _turn(
        15.0, "The brain waits so long for the result of a tool", unit="s", ge=0.1, le=600
    )
    default_tools: str = _turn(
        "reachy_mini",
        "Tools for a robot that offers none: a built-in set, a JSON file, or none",
        min_length=1,
    )
    persona_file: str = _turn("", "Text file with the character (empty: the built-in one)")

    # -- language model
    llm_backend: LlmBackend = _mind("vllm", "What the language model runs on")
    llm_max_inflight: int = _mind(
        1, "Shared generation concurrency across conversations and plans", ge=1, le=256
    )
    warmup_llm: bool = _mind(True, "Warm the language model at the start")
    llm_model_path: str = _llamacpp(
        "pocket", "GGUF file (pocket: the embedded model)", min_length=1
    )
    llm_gpu_layers: int = _llamacpp(-1, "Layers on the GPU (-1: all)", ge=-1, le=1000)
    llm_context: int = _llamacpp(4096, "Context window", unit="tokens", ge=256, le=1048576)
    llm_temperature: float = _llamacpp(0.7, "Sampling temperature", ge=0, le=2)
    llm_max_output_tokens: int = _llamacpp(512, "Longest answer", unit="tokens", ge=1, le=131072)
    llm_timeout_s: float = _llamacpp(
        20.0, "Longest wait for the next token", unit="s", ge=0.1, le=600
    )
    vllm_model_name: str = _vllm(
        "Qwen/Qwen3-8B-AWQ", "Planner and conversation model for vLLM", min_length=1
    )
    vllm_dtype: VllmDtype = _vllm("bfloat16", "vLLM dtype")
    vllm_gpu_memory_utilization: float = _vllm(
        0.35, "GPU memory target for the language model", unit="of GPU", ge=0.01, le=1
    )
    vllm_max_model_len: int = _vllm(
        4096, "vLLM max sequence length", unit="tokens", ge=256, le=1048576
    )
    vllm_max_num_seqs: int = _vllm(2, "vLLM max concurrent sequences", ge=1, le=1024)
    vllm_max_num_batched_tokens: int = _vllm(
        256, "vLLM batch cap", unit="tokens", ge=16, le=1048576
    )
    vllm_temperature: float = _vllm(0.7, "vLLM sampling temperature", ge=0, le=2)
    vllm_timeout_s: float = _vllm(20.0, "vLLM generation timeout", unit="s", ge=0.1, le=600)
    vllm_max_output_tokens: int = _vllm(
        512, "vLLM max output tokens", unit="tokens", ge=1, le=131072
    )
    ollama_url: str = _ollama("http://localhost:11434", "Ollama API base URL", **_URL)
    model_name: str = _ollama("qwen3:14b", "Ollama model name", min_length=1)
    auto_pull_ollama_model: bool = _ollama(True, "Pull MODEL_NAME from Ollama if it is missing")
    ollama_pull_timeout_s: float = _ollama(
        1800.0, "Timeout of a model pull", unit="s", ge=1, le=86400
    )
    temperature: float = _ollama(0.7, "Ollama sampling temperature", ge=0, le=2)
    num_ctx: int = _ollama(4096, "Ollama context window", unit="tokens", ge=256, le=1048576)
    plan_timeout_s: float = _ollama(5.0, "Ollama mode timeout", unit="s", ge=0.1, le=600)
    plan_keep_alive: str = _ollama("0s", "Ollama keep-alive of /plan calls", **_KEEP_ALIVE)
    converse_keep_alive: str = _ollama("0s", "Ollama keep-alive of /converse calls", **_KEEP_ALIVE)

    # -- plans
    plan_max_inflight: int = _plan(
        1, "Concurrent /plan requests before fast 429 shedding", ge=1, le=256
    )
    max_actions: int = _plan(5, "Max actions per plan", ge=1, le=20)

    # -- ears
    stt_backend: Literal["whisper"] = _ears("whisper", "What hears: faster-whisper")
    stt_model_size: str = _ears(
        "base.en", "Whisper model: a name or a folder (pocket: the embedded one)", min_length=1
    )
    stt_device: Device = _ears("cpu", "Device of the ears")
    stt_compute_type: ComputeType = _ears("int8", "Number format of the ears (CTranslate2's)")
    stt_timeout_s: float = _ears(20.0, "Longest wait for a transcript", unit="s", ge=0.1, le=600)

    # -- mouth
    tts_backend: TtsBackend = _mouth(
        "auto", "What speaks (auto: Orpheus in performance mode, else Piper, else espeak)"
    )
    piper_voice: str = _mouth(
        "pocket", "Piper voice: a file or a name (pocket: the embedded one; empty: none)"
    )
    tts_voice: str = _mouth("en-us", "Voice of espeak", min_length=1)
    tts_rate_wpm: int = _mouth(165, "Speech rate of espeak", unit="words/min", ge=80, le=450)
    tts_busy_queue_threshold: int = _mouth(
        0, "Orpheus requests beyond which others shed to espeak at once", ge=0, le=256
    )
    tts_timeout_s: float = _mouth(
        20.0, "Longest wait for the next block of sound", unit="s", ge=0.1, le=600
    )
    tts_model_name: str = _orpheus(
        "canopylabs/orpheus-3b-0.1-ft", "Orpheus model repository", min_length=1
    )
    orpheus_voice: str = _orpheus("tara", "Voice of Orpheus", min_length=1)
    orpheus_gpu_memory_utilization: float = _orpheus(
        0.45, "GPU memory target for Orpheus", unit="of GPU", ge=0.01, le=1
    )
    orpheus_max_model_len: int = _orpheus(
        8192, "vLLM max sequence length for Orpheus", unit="tokens", ge=256, le=1048576
    )
    orpheus_max_num_seqs: int = _orpheus(
        8, "vLLM max concurrent sequences for Orpheus", ge=1, le=1024
    )
    orpheus_max_num_batched_tokens: int = _orpheus(
        512, "vLLM max batched tokens for Orpheus", unit="tokens", ge=16, le=1048576
    )
    orpheus_idle_timeout_s: float = _orpheus(
        8.0, "Max wait for the next Orpheus chunk before reset and retry", unit="s", ge=0.1, le=600
    )
    orpheus_total_timeout_s: float = _orpheus(
        60.0, "Max total synthesis wait of one Orpheus request", unit="s", ge=0.1, le=3600
    )
    orpheus_min_free_vram_gb: float = _orpheus(
        10.0, "Free GPU memory that Orpheus needs to start", unit="GB", ge=0, le=1024
    )

    _origins: Mapping[str, str] = PrivateAttr(default_factory=dict)
    _problems: tuple[Problem, ...] = PrivateAttr(default=())

    @field_validator("*", mode="before")
    @classmethod
    def _choices_in_any_case(cls, value: object, info: Any) -> object:
        """`LOG_LEVEL=INFO` means info. Only choices: a path keeps its case."""
        if isinstance(value, str) and info.field_name in _CHOICES:
            return value.strip().lower()
        return value

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each value came from, by the setting's name; "default" where nobody set it."""
        return MappingProxyType({name: self._origins.get(name, "default") for name in SPECS})

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was wrong with the files, the environment and the flags; for log, /ready, doctor."""
        return self._problems

    def with_account(self, origins: Mapping[str, str], problems: tuple[Problem, ...]) -> Settings:
        """The same values with where they came from and what was wrong on the way."""
        copy = self.model_copy()
        copy._origins = dict(origins)
        copy._problems = problems
        return copy


SPECS: Mapping[str, Spec] = MappingProxyType({spec.name: spec for spec in specs_of(Settings)})
_CHOICES = frozenset(spec.attribute for spec in SPECS.values() if spec.choices)
