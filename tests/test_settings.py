"""Settings: the table of the supervisor's server, precedence, bad values, what is printed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from brain.settings import SPECS, Settings, SettingsError, Spec, load
from brain.settings.layers import Assignment, Layer, parse, profile_names
from brain.settings.load import resolve, under_systemd
from brain.settings.report import as_json, as_table, rows

# The configuration table of the supervisor's server, as it stands there.
SEED_TABLE: Mapping[str, object] = {
    "LLM_BACKEND": "vllm",
    "LLM_MAX_INFLIGHT": 1,
    "VLLM_MODEL_NAME": "Qwen/Qwen3-8B-AWQ",
    "VLLM_DTYPE": "bfloat16",
    "VLLM_GPU_MEMORY_UTILIZATION": 0.35,
    "VLLM_MAX_MODEL_LEN": 4096,
    "VLLM_MAX_NUM_SEQS": 2,
    "VLLM_MAX_NUM_BATCHED_TOKENS": 256,
    "VLLM_TEMPERATURE": 0.7,
    "VLLM_TIMEOUT_S": 20.0,
    "VLLM_MAX_OUTPUT_TOKENS": 512,
    "GPU_UTILIZATION_CAP": 0.80,
    "PLAN_TIMEOUT_S": 5.0,
    "OLLAMA_URL": "http://localhost:11434",
    "MODEL_NAME": "qwen3:14b",
    "AUTO_PULL_OLLAMA_MODEL": True,
    "OLLAMA_PULL_TIMEOUT_S": 1800.0,
    "PLAN_MAX_INFLIGHT": 1,
    "PLAN_KEEP_ALIVE": "0s",
    "WARMUP_LLM": True,
    "MAX_ACTIONS": 5,
    "TEMPERATURE": 0.7,
    "NUM_CTX": 4096,
    "CONVERSE_KEEP_ALIVE": "0s",
    "PERFORMANCE_MODE": False,
    "STT_MODEL_SIZE": "base.en",
    "STT_DEVICE": "cpu",
    "STT_COMPUTE_TYPE": "int8",
    "TTS_BACKEND": "auto",
    "TTS_MODEL_NAME": "canopylabs/orpheus-3b-0.1-ft",
    "TTS_VOICE": "en-us",
    "TTS_RATE_WPM": 165,
    "ORPHEUS_GPU_MEMORY_UTILIZATION": 0.45,
    "ORPHEUS_MAX_MODEL_LEN": 8192,
    "ORPHEUS_MAX_NUM_SEQS": 8,
    "ORPHEUS_MAX_NUM_BATCHED_TOKENS": 512,
    "ORPHEUS_IDLE_TIMEOUT_S": 8.0,
    "ORPHEUS_TOTAL_TIMEOUT_S": 60.0,
    "ORPHEUS_MIN_FREE_VRAM_GB": 10.0,
    "TTS_BUSY_QUEUE_THRESHOLD": 0,
    "SERVER_HOST": "0.0.0.0",
    "SERVER_PORT": 8100,
}


def read(
    folder: Path,
    *flags: Assignment,
    environ: Mapping[str, str] | None = None,
    lenient: bool = False,
) -> Settings:
    """Load with `folder` for /etc/brain and `folder/work` for the working directory."""
    return load(
        flags,
        environ=environ or {},
        config_dir=folder,
        working_dir=folder / "here",
        lenient=lenient,
    )


# -- the table and the profiles ----------------------------------------------------------------


@pytest.mark.parametrize("name", SEED_TABLE)
def test_default_is_the_seeds(name: str) -> None:
    assert getattr(Settings(), name.lower()) == SEED_TABLE[name]


def test_rtx3090ti_is_the_seeds_table_with_the_shares_of_its_run_line(tmp_path: Path) -> None:
    settings = read(tmp_path, environ={"BRAIN_PROFILE": "rtx3090ti"})
    expected = {**SEED_TABLE, "ORPHEUS_GPU_MEMORY_UTILIZATION": 0.35}
    assert {name: getattr(settings, name.lower()) for name in SEED_TABLE} == expected


@pytest.mark.setting("BRAIN_PROFILE")
@pytest.mark.parametrize("profile", ["pocket", "laptop", "orin-nx", "rtx3090", "rtx3090ti"])
def test_profile_is_sound(tmp_path: Path, profile: str) -> None:
    settings = read(tmp_path, environ={"BRAIN_PROFILE": profile})
    assert settings.brain_profile == profile
    assert settings.problems == ()
    assert f"profile {profile}" in settings.origins.values()


def test_pocket_is_the_default_profile_and_asks_for_nothing_but_what_is_embedded(
    tmp_path: Path,
) -> None:
    settings = read(tmp_path)
    assert settings.brain_profile == "pocket"
    models = (settings.llm_model_path, settings.stt_model_size, settings.piper_voice)
    assert models == ("pocket", "pocket", "pocket")
    assert (settings.llm_backend, settings.stt_device, settings.tts_backend) == (
        "llamacpp",
        "cpu",
        "piper",
    )
    # What the embedded models need is no setting: another model in their place has the defaults.
    changed = {row.name for row in rows(settings, changed_only=True)}
    assert changed <= {"LLM_BACKEND", "STT_MODEL_SIZE", "TTS_BACKEND"}


def test_every_line_of_a_profile_has_a_reason() -> None:
    for path in (Path(__file__).parent.parent / "brain" / "profiles").glob("*.env"):
        paragraphs = path.read_text(encoding="utf-8").split("\n\n")
        assert all(paragraph.lstrip().startswith("#") for paragraph in paragraphs), path.name


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.name)
def test_spec_is_complete(spec: Spec) -> None:
    assert spec.about
    assert spec.group
    assert spec.allowed
    if spec.kind in {"int", "float"}:
        assert spec.low is not None
        assert spec.high is not None
        assert spec.low <= float(str(spec.default)) <= spec.high
    if spec.choices:
        assert spec.default in spec.choices


# -- precedence ----------------------------------------------------------------------------------


def test_last_word_wins_and_each_origin_is_told(tmp_path: Path) -> None:
    (tmp_path / "brain.env").write_text(
        "# a comment\n\nBRAIN_PROFILE=orin-nx\nLLM_CONTEXT=2048\nVAD_SILENCE_MS=400\n"
        "TTS_LEAD_MS=500\nSERVER_PORT=8200\n"
    )
    (tmp_path / "override.env").write_text(
        "VAD_SILENCE_MS=410\nTTS_LEAD_MS=510\nSERVER_PORT=8201\n"
    )
    settings = read(
        tmp_path,
        Assignment("SERVER_PORT", "8203", "--port"),
        environ={"TTS_LEAD_MS": "520", "SERVER_PORT": "8202"},
    )
    told = {
        name: (getattr(settings, name.lower()), settings.origins[name])
        for name in (
            "BARGE_IN_MS",
            "STT_DEVICE",
            "BRAIN_PROFILE",
            "LLM_CONTEXT",
            "VAD_SILENCE_MS",
            "TTS_LEAD_MS",
            "SERVER_PORT",
        )
    }
    assert told == {
        "BARGE_IN_MS": (300, "default"),
        "STT_DEVICE": ("cuda", "profile orin-nx"),
        "BRAIN_PROFILE": ("orin-nx", f"{tmp_path}/brain.env:3"),
        "LLM_CONTEXT": (2048, f"{tmp_path}/brain.env:4"),
        "VAD_SILENCE_MS": (410, f"{tmp_path}/override.env:1"),
        "TTS_LEAD_MS": (520, "environment"),
        "SERVER_PORT": (8203, "--port"),
    }


# Valid values of settings whose text has a form of its own.
FORMED = {
    "PLAN_SKILLS": ["all", "patrol_drift", "avoid_obstacle, scan_for_target"],
    "ALLOWED_ORIGINS": ["*", "http://a:1, https://[::1]", "null"],
    "HISTORY_STORE": ["sqlite", "off", "redis://host:6379/0"],
    "WAKE_PHRASES": ["hey reachy", "hey reachy, hallo Roboter,"],
    "THINKING_FILLER_TEXTS": ["Hm.", "Hm.|Let me think."],
    "QUIET_HOURS": ["22:00-07:00", "0:00 - 23:59"],
}
VALID = {
    "int": lambda spec: st.integers(int(spec.low), int(spec.high)).map(str),
    "float": lambda spec: st.floats(spec.low, spec.high, allow_nan=False).map(repr),
    "switch": lambda spec: st.sampled_from(["0", "1", "true", "no", "ON", "off"]),
    "choice": lambda spec: st.sampled_from([*spec.choices, spec.choices[0].upper()]),
    "text": lambda spec: (
        st.sampled_from(["0s", "5m"])
        if spec.name.endswith("KEEP_ALIVE")
        else st.sampled_from(["http://10.0.0.1:1", "https://host"])
        if spec.name.endswith("_URL")
        else st.sampled_from(FORMED[spec.name])
        if spec.name in FORMED
        else st.text("aB1é/:.# '\"\\=", min_size=1).map(str.strip).filter(bool)
    ),
}
SETTABLE = [spec for spec in SPECS.values() if spec.name != "BRAIN_PROFILE"]


@st.composite
def assignments(draw: st.DrawFn, origin: str) -> list[Assignment]:
    """Valid values for some of the settings."""
    chosen = draw(st.lists(st.sampled_from(SETTABLE), unique_by=lambda spec: spec.name, max_size=8))
    return [Assignment(spec.name, draw(VALID[spec.kind](spec)), origin) for spec in chosen]


@given(st.lists(assignments("x"), min_size=1, max_size=5))
def test_the_topmost_layer_that_speaks_of_a_setting_decides(
    stack: list[list[Assignment]],
) -> None:
    layers = [
        Layer(tuple(Assignment(a.name, a.value, f"layer {n}") for a in layer))
        for n, layer in enumerate(stack)
    ]
    settings = resolve(layers, profile="pocket")
    assert settings.problems == ()
    for spec in SETTABLE:
        speakers = [a for layer in layers for a in layer.assignments if a.name == spec.name]
        if speakers:
            alone = resolve([Layer((speakers[-1],))], profile="pocket")
            assert getattr(settings, spec.attribute) == getattr(alone, spec.attribute)
            assert settings.origins[spec.name] == speakers[-1].origin
        else:
            assert getattr(settings, spec.attribute) == spec.default
            assert settings.origins[spec.name] == "default"


def test_dot_env_stands_in_only_where_there_is_no_brain_env(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / ".env").write_text("LLM_CONTEXT=2048\nSOME_OTHER_PROGRAM=1\n")
    settings = read(tmp_path)
    assert settings.llm_context == 2048
    assert settings.origins["LLM_CONTEXT"] == f"{tmp_path}/here/.env:1"
    assert settings.problems == ()
    (tmp_path / "brain.env").write_text("")
    assert read(tmp_path).llm_context == 4096


def test_the_folder_of_the_files_may_come_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "brain.env").write_text("TTS_LEAD_MS=450\n")
    settings = load(environ={"BRAIN_CONFIG_DIR": str(tmp_path)}, lenient=False)
    assert settings.tts_lead_ms == 450


@pytest.mark.parametrize(
    "name", ["LLM_BACKEND", "SERVER_PORT", "PLAN_KEEP_ALIVE", "STT_MODEL_SIZE"]
)
def test_an_empty_value_is_no_value_where_it_would_be_senseless(tmp_path: Path, name: str) -> None:
    (tmp_path / "brain.env").write_text(f"{name}=\n")
    settings = read(tmp_path)
    assert settings.problems == ()
    assert settings.origins[name] in {"default", "profile pocket"}


def test_an_empty_text_is_a_value_where_it_has_a_meaning(tmp_path: Path) -> None:
    (tmp_path / "override.env").write_text("PIPER_VOICE=\n")
    settings = read(tmp_path)
    assert settings.piper_voice == ""
    assert settings.origins["PIPER_VOICE"] == f"{tmp_path}/override.env:1"


def test_a_typo_in_the_environment_is_told_and_what_is_not_ours_left_alone(tmp_path: Path) -> None:
    environ = {"LLM_MODEL_PTH": "/x", "OPENAI_API_BASE": "y", "PATH": "/bin", "XDG_SESSION_ID": "3"}
    settings = load(environ=environ, config_dir=tmp_path, working_dir=tmp_path, lenient=False)
    (problem,) = settings.problems
    assert problem.severity == "warning"
    assert "LLM_MODEL_PTH (environment)" in str(problem)
    assert "LLM_MODEL_PATH" in str(problem)


def test_a_name_in_lower_case_is_nearly_right(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean LLM_MODEL_PATH"):
        load([Assignment("llm_model_path", "x", "--set")], environ={}, config_dir=tmp_path)


# -- what is wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("STT_DEVICE", "gpu", "one of cpu, cuda"),
        ("SERVER_PORT", "99999", "a whole number from 0 to 65535"),
        ("LLM_TEMPERATURE", "nan", "a number from 0 to 2"),
        ("PERFORMANCE_MODE", "maybe", "1 or 0 (also true/false, yes/no, on/off)"),
        ("PLAN_KEEP_ALIVE", "soon", "a time such as 0s"),
        ("OLLAMA_URL", "localhost", "an address such as http://"),
        ("LLM_CONTEXT", "1", "a whole number from 256 to 1048576"),
        ("PLAN_SKILLS", "somersault", "all, or skills such as patrol_drift"),
        ("WAKE_PHRASES", "hey reachy, ...", "up to 16 phrases such as hey reachy, hello robot"),
        ("THINKING_FILLER_TEXTS", "...", "up to 16 short texts such as Hm.|Let me think."),
        ("QUIET_HOURS", "22-7", "hours such as 22:00-07:00"),
        ("BRAIN_PROFILE", "jetson", "one of laptop, orin-nx, pocket, rtx3090, rtx3090ti"),
    ],
)
def test_a_bad_value_is_one_line_with_setting_value_origin_and_what_is_allowed(
    tmp_path: Path, name: str, value: str, allowed: str
) -> None:
    (tmp_path / "brain.env").write_text(f"\n{name}={value}\n")
    with pytest.raises(SettingsError) as caught:
        read(tmp_path)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{name}='{value}' ({tmp_path}/brain.env:2) ")
    assert allowed in line
    fallen = read(tmp_path, lenient=True)
    assert [problem.severity for problem in fallen.problems] == ["error"]
    assert getattr(fallen, name.lower()) == getattr(read(tmp_path / "empty"), name.lower())


def test_a_bad_value_falls_to_what_would_hold_without_it(tmp_path: Path) -> None:
    (tmp_path / "brain.env").write_text("BRAIN_PROFILE=orin-nx\nSTT_COMPUTE_TYPE=int9\n")
    (tmp_path / "override.env").write_text("STT_COMPUTE_TYPE=int7\n")
    settings = read(tmp_path, lenient=True)
    assert settings.stt_compute_type == "int8_float16"
    assert settings.origins["STT_COMPUTE_TYPE"] == "profile orin-nx"
    assert all("int8_float16 (profile orin-nx) holds instead" in str(p) for p in settings.problems)
    assert len(settings.problems) == 2


@pytest.mark.setting("BRAIN_PROFILE")
def test_a_bad_profile_falls_to_the_one_beneath(tmp_path: Path) -> None:
    (tmp_path / "brain.env").write_text("BRAIN_PROFILE=rtx3090\n")
    (tmp_path / "override.env").write_text("BRAIN_PROFILE=rtx309O\n")
    settings = read(tmp_path, lenient=True)
    assert settings.brain_profile == "rtx3090"
    assert settings.stt_model_size == "medium.en"
    assert settings.origins["BRAIN_PROFILE"] == f"{tmp_path}/brain.env:1"
    assert str(settings.problems[0]).endswith("; rtx3090 holds instead")


def test_an_unknown_name_is_a_warning_with_the_nearest_known_one(tmp_path: Path) -> None:
    (tmp_path / "brain.env").write_text("LLM_BACKENDS=vllm\n")
    [problem] = read(tmp_path).problems
    assert problem.severity == "warning"
    assert problem.message == (
        f"LLM_BACKENDS ({tmp_path}/brain.env:1) isn't a setting; did you mean LLM_BACKEND?"
    )


def test_an_unknown_name_that_was_typed_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean SERVER_PORT"):
        read(tmp_path, Assignment("SERVER_PROT", "1", "--set"))


def test_a_broken_line_is_told_of_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "brain.env").write_text("TTS_LEAD_MS=450\nBRAIN_TOKEN hunter2\nLLM_CONTEXT=1024\n")
    with pytest.raises(SettingsError) as caught:
        read(tmp_path)
    assert str(caught.value) == f"{tmp_path}/brain.env:2 isn't of the form NAME=VALUE"
    settings = read(tmp_path, lenient=True)
    assert (settings.tts_lead_ms, settings.llm_context) == (450, 1024)


def test_a_file_that_is_no_text_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "brain.env").write_bytes(b"\xff\xfe\x00LLM")
    with pytest.raises(SettingsError, match=r"brain\.env can't be read: it isn't UTF-8"):
        read(tmp_path)
    assert read(tmp_path, lenient=True).brain_profile == "pocket"
    (tmp_path / "brain.env").unlink()
    (tmp_path / "brain.env").mkdir()
    with pytest.raises(SettingsError, match=r"brain\.env can't be read: Is a directory"):
        read(tmp_path)


@pytest.mark.parametrize("blank", ["\n", "#\n", " ", "A=", '"', "A='\n"])
def test_no_settings_file_is_too_large_or_too_empty_to_start(tmp_path: Path, blank: str) -> None:
    """100 MB of anything, 60 KB of nothing, and a pipe that nobody writes to."""
    file = tmp_path / "brain.env"
    file.write_text(blank * (60_000 // len(blank)))
    assert read(tmp_path, lenient=True).brain_profile == "pocket"
    os.truncate(file, 100 << 20)
    with pytest.raises(SettingsError, match=r"brain\.env can't be read: it has more than 64 KiB"):
        read(tmp_path)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(SettingsError, match=r"brain\.env can't be read: it isn't a file"):
        read(tmp_path)


@given(st.binary(max_size=300), st.dictionaries(st.sampled_from(list(SPECS)), st.text(max_size=30)))
def test_no_file_and_no_environment_can_stop_a_brain_under_systemd(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, environ: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("etc")
    (folder / "brain.env").write_bytes(content)
    settings = load(environ={"INVOCATION_ID": "1", **environ}, config_dir=folder, lenient=True)
    assert settings.brain_profile in profile_names()
    for name, value in environ.items():
        refused = any(problem.setting == name for problem in settings.problems)
        taken = settings.origins[name] == "environment"
        unset = not value.strip() and not SPECS[name].may_be_empty
        assert refused + taken + unset == 1


@given(st.lists(st.tuples(st.sampled_from(list(SPECS)), st.text(max_size=20)), max_size=20))
def test_no_assignments_can_break_resolving(pairs: list[tuple[str, str]]) -> None:
    layers = [Layer((Assignment(name, value, "x"),)) for name, value in pairs]
    settings = resolve(layers, profile="pocket")
    again = Settings.model_validate(settings.model_dump())
    assert again.model_dump() == settings.model_dump()


def test_systemd_is_told_from_a_desktops_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    class Null:
        def isatty(self) -> bool:
            return False

    monkeypatch.setattr("sys.stdin", Null())
    assert under_systemd({"INVOCATION_ID": "1"})
    assert under_systemd({"NOTIFY_SOCKET": "@x"})
    assert not under_systemd({})
    monkeypatch.setattr("sys.stdin", Terminal())
    assert not under_systemd({"INVOCATION_ID": "1"})


# -- the object ----------------------------------------------------------------------------------


def test_settings_are_frozen_and_closed() -> None:
    with pytest.raises(ValidationError):
        Settings().server_port = 1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Settings.model_validate({"server_prot": 1})


def test_env_files_are_read_as_people_write_them() -> None:
    text = "export LLM_BACKEND=\"ollama\"\nPIPER_VOICE=a b # why\n\n\nOLLAMA_URL='http://h:1'\n"
    layer = parse(text, "f", strict=True)
    assert layer.problems == ()
    assert [(a.name, a.value, a.origin) for a in layer.assignments] == [
        ("LLM_BACKEND", "ollama", "f:1"),
        ("PIPER_VOICE", "a b", "f:2"),
        ("OLLAMA_URL", "http://h:1", "f:5"),
    ]


# -- what is printed -----------------------------------------------------------------------------


@given(assignments("x"))
def test_what_is_printed_for_scripts_can_be_read_back(given_values: list[Assignment]) -> None:
    settings = resolve([Layer(tuple(given_values))], profile="pocket")
    printed = json.loads(as_json(settings))["settings"]
    flags = tuple(
        Assignment(name, str(entry["value"]), "--set")
        for name, entry in printed.items()
        if not SPECS[name].secret
    )
    again = resolve([Layer(flags)], profile="pocket")
    assert again.problems == ()
    secrets = {spec.attribute for spec in SPECS.values() if spec.secret}
    assert again.model_dump(exclude=secrets) == settings.model_dump(exclude=secrets)


@given(assignments("x"))
def test_the_table_has_one_line_a_setting(given_values: list[Assignment]) -> None:
    settings = resolve([Layer(tuple(given_values))], profile="pocket")
    lines = as_table(settings).splitlines()
    assert [line.split()[0] for line in lines] == ["SETTING", *SPECS]


def test_keys_in_an_address_are_shown_nowhere(tmp_path: Path) -> None:
    good = "http://me:pass@10.0.0.1:1234/v1?key=pass#pass"
    bad = "htp://me:pa/ss:w@10.0.0.1?key=pass"
    settings = load(
        environ={"OPENAI_URL": good, "OLLAMA_URL": bad}, config_dir=tmp_path, lenient=True
    )
    assert settings.openai_url == good
    told = as_table(settings) + as_json(settings)
    assert "http://***@10.0.0.1:1234/v1?***" in told
    assert "pass" not in told + " ".join(map(str, settings.problems))


def test_secrets_are_masked_everywhere(tmp_path: Path) -> None:
    settings = read(tmp_path, environ={"BRAIN_TOKEN": "hunter2", "HF_TOKEN": " hf_hunter2\n"})
    assert settings.brain_token.get_secret_value() == "hunter2"
    assert settings.hf_token.get_secret_value() == "hf_hunter2"
    for shown in (as_table(settings), as_json(settings), repr(settings), str(settings)):
        assert "hunter2" not in shown
    assert "********" in as_table(settings)


def test_changed_only_leaves_out_what_is_the_default(tmp_path: Path) -> None:
    settings = read(tmp_path, environ={"SERVER_PORT": "8100", "TTS_LEAD_MS": "700"})
    names = {row.name for row in rows(settings, changed_only=True)}
    assert "TTS_LEAD_MS" in names
    assert "STT_MODEL_SIZE" in names
    assert "SERVER_PORT" not in names
