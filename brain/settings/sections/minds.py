"""The language model and what it runs on."""

from __future__ import annotations

from functools import partial

from pydantic import BaseModel, SecretStr

from brain.settings.fields import setting
from brain.settings.values import KEEP_ALIVE, URL, URLS, FileOrName, LlmBackend, VllmDtype

_mind = partial(setting, group="Language model")
_llamacpp = partial(setting, group="Language model: llama.cpp")
_vllm = partial(setting, group="Language model: vLLM")
_ollama = partial(setting, group="Language model: Ollama")
_openai = partial(setting, group="Language model: OpenAI-compatible server")


class MindSettings(BaseModel):
    """Part of `Settings`."""

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
    llm_mmproj_path: FileOrName = _llamacpp(
        "",
        "What LLM_MODEL_PATH sees with: the mmproj file that came with it, here or in MODELS_DIR"
        " (empty: it doesn't see)",
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
        "Model of plans and conversations with vLLM: a repository on the hub, or a folder, here or"
        " in MODELS_DIR (where brain models pull puts it)",
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
        20.0, "Longest wait for each token of vLLM, and for a whole plan", unit="s", ge=0.1, le=600
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
        "http://localhost:8000/v1",
        "Base URL of any OpenAI-compatible server; of several, commas between, the least loaded is"
        " asked",
        **URLS,
    )
    openai_model: str = _openai("", "Model name there (empty: the first that each lists)")
    openai_api_key: SecretStr = _openai(SecretStr(""), "Key that the server asks for (empty: none)")
