"""The server: where it listens, whom it lets in, what it keeps and where."""

from __future__ import annotations

from functools import partial

from pydantic import BaseModel, SecretStr

from brain.settings.fields import setting
from brain.settings.values import HISTORY_STORE, ORIGINS, FileOrName, HistoryStore, LogLevel

_server = partial(setting, group="Server")


class ServerSettings(BaseModel):
    """Part of `Settings`."""

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
    log_speech: bool = _server(
        False, "Log what was heard and said, a line each; without it no speech is ever logged"
    )
    brain_token: SecretStr = _server(
        SecretStr(""),
        "Token that a robot must show, in its address or a header; several, with commas between:"
        " any of them (empty: none)",
    )
    brain_token_file: FileOrName = _server(
        "", "File of more such tokens, one a line, # begins a comment"
    )
    tls_cert: FileOrName = _server(
        "", "Certificate (PEM, with those above it): robots come with wss://, and no other way"
    )
    tls_key: FileOrName = _server(
        "", "Its private key (PEM, without a password; empty: in the same file)"
    )
    allowed_origins: str = _server(
        "",
        "Web pages that may talk to the brain, as http://HOST:PORT with commas between; * is any"
        " (empty: those of the brain's own address)",
        **ORIGINS,
    )
    hf_token: SecretStr = _server(
        SecretStr(""), "Hugging Face token, shown to the hub when a model is fetched"
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
    sessions_per_address: int = _server(
        32, "Robots connected at once from one address (a supervisor's, say)", ge=1, le=10000
    )
    requests_per_s: float = _server(
        50.0,
        "Requests and new connections from one address, over a while; twice as many at once"
        " (0: any number)",
        unit="1/s",
        ge=0,
        le=100000,
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
    history_robots: int = _server(50, "Robots whose conversation this brain keeps", ge=1, le=10000)
    history_store: HistoryStore = _server(
        "sqlite",
        "Conversations outlive the brain in a file of STATE_DIR (off: in memory alone), or in a"
        " Redis that several brains share",
        **HISTORY_STORE,
    )
    history_mb: float = _server(
        16.0, "Most that they take in that file", unit="MB", ge=0.01, le=1024
    )
    state_dir: FileOrName = _server(
        "", "What is learned is kept here (empty: systemd's, or ~/.local/state/robot-brain)"
    )
    shutdown_s: float = _server(
        5.0, "Replies under way may go on for so long when it is stopped", unit="s", ge=0, le=60
    )
