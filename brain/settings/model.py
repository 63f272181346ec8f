"""Every setting of the brain: name, type, default, unit, bounds, meaning.

The attribute is the environment name in lower case. The defaults of the settings that the
supervisor's server had are those of its table; what the profile `pocket` needs otherwise stands in
`brain/profiles/pocket.env`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, PrivateAttr, SecretStr, field_validator

from brain.settings.fields import Spec, setting, specs_of
from brain.settings.problem import Problem
from brain.settings.values import (
    KEEP_ALIVE,
    SKILLS,
    URL,
    ComputeType,
    Device,
    EchoMode,
    FileOrName,
    HistoryStore,
    LlmBackend,
    LogLevel,
    TtsBackend,
    VllmDtype,
)

_NO_SECRET = SecretStr("")
_server = partial(setting, group="Server")
_turn = partial(setting, group="Turns")
_mind = partial(setting, group="Language model")
_llamacpp = partial(setting, group="Language model: llama.cpp")
_vllm = partial(setting, group="Language model: vLLM")
_ollama = partial(setting, group="Language model: Ollama")
_openai = partial(setting, group="Language model: OpenAI-compatible server")
_plan = partial(setting, group="Plans")
_ears = partial(setting, group="Ears")
_mouth = partial(setting, group="Mouth")
_orpheus = partial(setting, group="Mouth: Orpheus")


class Settings(BaseModel):
    """All settings, checked. Made by `brain.settings.load`; `Settings()` is the bare defaults.

    Raises pydantic's `ValidationError` for a value out of its bounds and for an unknown name.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, allow_inf_nan=False
    )

    # -- server
    brain_profile: str = _server(
        "pocket", "The profile: a file of settings that comes with the brain", min_length=1
    )
    server_host: str = _server(
        "0.0.0.0",  # noqa: S104 - the seed's
        "Address that is listened on (0.0.0.0: every network; 127.0.0.1: this machine alone)",
        min_length=1,
    )
    server_port: int = _server(8100, "Port that is listened on (0: any free one)", ge=0, le=65535)
    discovery: bool = _server(
        True, "Announce the brain by mDNS: a robot with --local-server-ip auto finds it"
    )
    brain_name: str = _server("", "Name under which it is announced (empty: the host's)")
    log_level: LogLevel = _server("info", "Least severity that is logged")
    brain_token: SecretStr = _server(
        _NO_SECRET, "Token that a robot must show, in its address or a header (empty: none)"
    )
    hf_token: SecretStr = _server(
        _NO_SECRET, "Hugging Face token, shown to the hub when a model is fetched"
    )
    models_dir: FileOrName = _server(
        "", "Folder of the models (empty: /var/lib/brain/models if there, else one in the home)"
    )
    cpu_threads: int = _server(
        0,
        "Most CPU threads of any one engine (0: one fewer than there are cores, 8 at most; the"
        " embedded models take one)",
        ge=0,
        le=512,
    )
    performance_mode: bool = _server(
        False, "Orpheus may speak; without it TTS_BACKEND=orpheus falls to the next voice"
    )
    gpu_utilization_cap: float = _server(
        0.80,
        "Most that vLLM's language model and Orpheus may take together; more stops the start",
        unit="of GPU",
        ge=0,
        le=1,
    )
    max_sessions: int = _server(
        64, "Robots connected at once; more are told to come back", ge=1, le=10000
    )
    session_idle_s: float = _server(
        900.0, "A robot without a word on /ws for so long is hung up on", unit="s", ge=1, le=604800
    )
    history_minutes: float = _server(
        30.0,
        "A robot that comes back within this time finds its conversation again",
        unit="min",
        ge=0,
        le=10080,
    )
    history_robots: int = _server(50, "Robots whose conversation is kept", ge=1, le=10000)
    history_store: HistoryStore = _server(
        "sqlite", "Conversations outlive the brain in a file of STATE_DIR (off: memory alone)"
    )
    history_mb: float = _server(16.0, "Most that they take there", unit="MB", ge=0.01, le=1024)
    state_dir: FileOrName = _server(
        "", "What is learned is kept here (empty: systemd's, or ~/.local/state/robot-brain)"
    )
    shutdown_s: float = _server(
        5.0, "Replies under way may go on for so long when it is stopped", unit="s", ge=0, le=60
    )

    # -- turns
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
        "Speech over a reply that stops it (where the robot cancels its echo)",
        unit="ms",
        ge=60,
        le=3000,
    )
    echo: EchoMode = _turn(
        "half_duplex",
        "What the brain does about its own voice, unless the robot cancels its echo: half_duplex"
        " hears nothing while it speaks, none hears all; guard is half_duplex for now",
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

    # -- language model
    llm_backend: LlmBackend = _mind(
        "vllm", "What the language model runs on (it falls to the embedded one where that fails)"
    )
    llm_max_inflight: int = _mind(
        1,
        "Answers that the language model works on at once, of conversations and plans together",
        ge=1,
        le=256,
    )
    warmup_llm: bool = _mind(
        True, "Have the language model answer once at the start, so that no robot waits for it"
    )
    llm_model_path: FileOrName = _llamacpp(
        "pocket", "GGUF file, here or in MODELS_DIR (pocket: the embedded model)", min_length=1
    )
    llm_gpu_layers: int = _llamacpp(
        -1, "Layers on the GPU (-1: all); the embedded model has none there", ge=-1, le=1000
    )
    llm_context: int = _llamacpp(
        4096,
        "Context window, shared by the conversations; it bounds the history too",
        unit="tokens",
        ge=256,
        le=1048576,
    )
    llm_temperature: float = _llamacpp(
        0.7,
        "Sampling temperature (0: always the likeliest; so the embedded model is run)",
        ge=0,
        le=2,
    )
    llm_max_output_tokens: int = _llamacpp(
        512, "Longest answer, of every backend but vLLM", unit="tokens", ge=1, le=131072
    )
    llm_timeout_s: float = _llamacpp(
        20.0,
        "Longest wait for each token (of every backend but vLLM), and for a whole plan",
        unit="s",
        ge=0.1,
        le=600,
    )
    vllm_model_name: str = _vllm(
        "Qwen/Qwen3-8B-AWQ",
        "Model of plans and conversations with vLLM: a repository on the hub",
        min_length=1,
    )
    vllm_dtype: VllmDtype = _vllm("bfloat16", "Number format that vLLM computes in")
    vllm_gpu_memory_utilization: float = _vllm(
        0.35, "Share of the GPU's memory that vLLM takes", unit="of GPU", ge=0.01, le=1
    )
    vllm_max_model_len: int = _vllm(
        4096,
        "Longest conversation, with its answer, that vLLM takes",
        unit="tokens",
        ge=256,
        le=1048576,
    )
    vllm_max_num_seqs: int = _vllm(2, "Answers that vLLM works on at once", ge=1, le=1024)
    vllm_max_num_batched_tokens: int = _vllm(
        256, "Tokens that vLLM computes in one step", unit="tokens", ge=16, le=1048576
    )
    vllm_temperature: float = _vllm(0.7, "Sampling temperature of vLLM", ge=0, le=2)
    vllm_timeout_s: float = _vllm(
        20.0, "Longest wait for an answer of vLLM, and for a whole plan", unit="s", ge=0.1, le=600
    )
    vllm_max_output_tokens: int = _vllm(
        512, "Longest answer of vLLM", unit="tokens", ge=1, le=131072
    )
    ollama_url: str = _ollama("http://localhost:11434", "Address of the Ollama server", **URL)
    model_name: str = _ollama("qwen3:14b", "Model, by Ollama's name for it", min_length=1)
    auto_pull_ollama_model: bool = _ollama(True, "Pull MODEL_NAME from Ollama if it is missing")
    ollama_pull_timeout_s: float = _ollama(
        1800.0, "Longest that a pull may take, at the start or later", unit="s", ge=1, le=86400
    )
    temperature: float = _ollama(0.7, "Sampling temperature with Ollama", ge=0, le=2)
    num_ctx: int = _ollama(
        4096, "Context window that Ollama is asked for", unit="tokens", ge=256, le=1048576
    )
    plan_timeout_s: float = _ollama(
        5.0,
        "Longest that a plan may take with Ollama, a second try included",
        unit="s",
        ge=0.1,
        le=600,
    )
    plan_keep_alive: str = _ollama(
        "0s",
        "How long Ollama keeps the model after a plan (0s: each loads it anew, in PLAN_TIMEOUT_S)",
        **KEEP_ALIVE,
    )
    converse_keep_alive: str = _ollama(
        "0s", "How long Ollama keeps the model in memory after a reply", **KEEP_ALIVE
    )

    openai_url: str = _openai(
        "http://localhost:8000/v1", "Base URL of any OpenAI-compatible server", **URL
    )
    openai_model: str = _openai("", "Model name there (empty: the first that it lists)")
    openai_api_key: SecretStr = _openai(_NO_SECRET, "Key that the server asks for (empty: none)")

    # -- plans
    plan_max_inflight: int = _plan(
        1, "Plans that are made at once; one more gets 429 planner_busy", ge=1, le=256
    )
    max_actions: int = _plan(5, "Most actions of a plan", ge=1, le=20)
    plan_skills: str = _plan(
        "patrol_drift,investigate_ball,avoid_obstacle,greet_on_button",
        "Skills that plans may use, separated by commas (all: the robot's other three too)",
        **SKILLS,
    )
    plan_cache_entries: int = _plan(
        64, "Situations whose plans are kept and used again (0: no cache)", ge=0, le=10000
    )
    plan_cache_s: float = _plan(120.0, "A plan is used again for so long", unit="s", ge=1, le=86400)

    # -- ears
    stt_backend: Literal["whisper"] = _ears("whisper", "What hears: faster-whisper")
    stt_model_size: FileOrName = _ears(
        "base.en",
        "Whisper model: a name, fetched once if MODELS_DIR lacks it, or a folder (pocket: the"
        " embedded one)",
        min_length=1,
    )
    stt_device: Device = _ears("cpu", "What the ears run on")
    stt_compute_type: ComputeType = _ears(
        "int8", "Number format that the ears compute in, as CTranslate2 names them"
    )
    stt_timeout_s: float = _ears(20.0, "Longest wait for a transcript", unit="s", ge=0.1, le=600)

    # -- mouth
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
    tts_model_name: str = _orpheus(
        "canopylabs/orpheus-3b-0.1-ft", "Model of Orpheus: a repository on the hub", min_length=1
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
    def embedded_mind(self) -> bool:
        """Whether the language model asked for is the one that comes with the brain."""
        return self.llm_backend == "llamacpp" and self.llm_model_path == "pocket"

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
