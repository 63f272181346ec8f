"""The units of the appliance, as systemd itself reads them: understood, and tight enough."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
DROP_INS = UNITS / "drop-ins"
# In tenths, of ten.
MOST_EXPOSED = 25
KINDS = {
    "plain": (),
    "jetson": ("jetson",),
    "jetson, devices listed": ("jetson", "jetson-devices"),
    "desktop": ("desktop",),
    "desktop with vLLM": ("desktop", "vllm"),
    "with tokens": ("jetson", "token"),
}
# What came with 248 to 252, and would be ignored with a warning on an older one (247, 249).
TOO_NEW = (
    "RestartSteps", "RestartMaxDelaySec", "LoadCredentialEncrypted", "SetCredentialEncrypted",
    "ImportCredential", "PrivateIPC", "ExecPaths", "NoExecPaths", "RestrictFileSystems",
    "RestrictNetworkInterfaces", "SocketBindAllow", "SocketBindDeny", "OpenFile",
    "ExtensionDirectories", "StartupCPUWeight", "StartupAllowedCPUs", "OnSuccess", "Upholds",
)  # fmt: skip


@pytest.fixture
def systemd_analyze() -> str:
    program = shutil.which("systemd-analyze")
    assert program, "this needs systemd-analyze (Debian: systemd)"
    return program


def laid_out(folder: Path, drop_ins: tuple[str, ...]) -> Path:
    """All units with programs that are there, and `brain.service` with these drop-ins."""
    (folder / "brain.service.d").mkdir()
    for unit in UNITS.glob("brain*.service"):
        text = re.sub(r"^(Exec\w+=-?)/\S+", r"\1/bin/true", unit.read_text("utf-8"), flags=re.M)
        (folder / unit.name).write_text(text, "utf-8")
    for number, name in enumerate(drop_ins):
        target = folder / "brain.service.d" / f"{number}0-{name}.conf"
        target.write_text((DROP_INS / f"{name}.conf").read_text("utf-8"), "utf-8")
    return folder


def ask(program: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments, folder / "brain.service"], capture_output=True, text=True,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:", "SYSTEMD_COLORS": "0"},
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_exposed_little(systemd_analyze: str, tmp_path: Path, kind: str) -> None:
    told = ask(
        systemd_analyze, laid_out(tmp_path, KINDS[kind]),
        "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager",
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    denies = "DeviceAllow" in "".join(
        (DROP_INS / f"{name}.conf").read_text("utf-8") for name in KINDS[kind]
    )
    assert ("device ACL with some special devices" in told.stdout) == denies, "no drop-in was read"


def test_the_gate_is_one(systemd_analyze: str, tmp_path: Path) -> None:
    """Without its hardening the same service doesn't get through."""
    folder = laid_out(tmp_path, ())
    unit = folder / "brain.service"
    soft = re.sub(r"^(Protect|Restrict|SystemCall|Capab).*\n", "", unit.read_text(), flags=re.M)
    unit.write_text(soft)
    told = ask(systemd_analyze, folder, "security", "--offline=true", f"--threshold={MOST_EXPOSED}")
    assert told.returncode != 0


@pytest.mark.parametrize("kind", KINDS)
def test_systemd_understands_it(systemd_analyze: str, tmp_path: Path, kind: str) -> None:
    told = ask(
        systemd_analyze, laid_out(tmp_path, KINDS[kind]),
        "verify", "--man=no", "--recursive-errors=no",
    )  # fmt: skip
    about_it = [
        line for line in told.stderr.splitlines() if str(tmp_path) in line or "brain" in line
    ]
    assert (told.returncode, about_it) == (0, []), told.stderr


@pytest.mark.parametrize("unit", sorted(path.name for path in UNITS.glob("brain*.service")))
def test_systemd_understands_each(systemd_analyze: str, tmp_path: Path, unit: str) -> None:
    folder = laid_out(tmp_path, ())
    told = subprocess.run(
        [systemd_analyze, "verify", "--man=no", "--recursive-errors=no", folder / unit],
        capture_output=True, text=True, env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert str(tmp_path) not in told.stderr, told.stderr


def test_a_key_that_systemd_does_not_know_is_found(systemd_analyze: str, tmp_path: Path) -> None:
    """Or the tests above would prove nothing."""
    folder = laid_out(tmp_path, ())
    unit = folder / "brain.service"
    unit.write_text(unit.read_text().replace("Restart=always", "Restat=always"))
    told = ask(systemd_analyze, folder, "verify", "--man=no", "--recursive-errors=no")
    assert told.returncode != 0 or "Restat" in told.stderr


def test_nothing_newer_than_a_jetson_has() -> None:
    for path in (*UNITS.glob("brain*.service"), *DROP_INS.glob("*.conf")):
        text = path.read_text("utf-8")
        keys = {line.partition("=")[0] for line in text.splitlines() if not line.startswith("#")}
        assert not keys & set(TOO_NEW), path
        assert not re.search(r"^[^#]*%d", text, flags=re.M), f"{path}: %d came with 250"


def test_nothing_of_a_gpu_is_denied_by_the_way() -> None:
    """ProtectClock implies a DeviceAllow, and any DeviceAllow denies what isn't listed."""
    for path in (UNITS / "brain.service", *DROP_INS.glob("*.conf")):
        text = path.read_text("utf-8")
        denies = re.search(r"^(ProtectClock=yes|DevicePolicy=closed)", text, flags=re.M)
        assert not denies or re.search(r"^DeviceAllow=.*nv", text, flags=re.M), path


def test_the_brain_waits_for_no_network_and_reads_its_settings_itself() -> None:
    text = "".join(path.read_text("utf-8") for path in UNITS.glob("brain*.service"))
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert not [line for line in lines if "network-online" in line or "EnvironmentFile" in line]


def test_each_program_of_ours_that_a_unit_starts_is_there() -> None:
    place = "/opt/robot-brain/current/deploy/systemd/"
    named = set()
    for unit in UNITS.glob("brain*.service"):
        named |= set(re.findall(rf"^Exec\w+=-?{place}(\S+)", unit.read_text("utf-8"), flags=re.M))
    assert named == {"brain-last-resort", "brain-memory-prepare"}
    for name in named:
        assert os.access(UNITS / name, os.X_OK), name


def test_its_user_and_folders_are_understood(tmp_path: Path) -> None:
    """In a root of their own, by systemd's own programs."""
    (tmp_path / "etc").mkdir()
    for program, arguments, source in (
        ("systemd-sysusers", (), "brain.sysusers.conf"),
        ("systemd-tmpfiles", ("--create",), "brain.tmpfiles.conf"),
    ):
        told = subprocess.run(
            [program, *arguments, f"--root={tmp_path}", UNITS / source],
            capture_output=True, text=True,
        )  # fmt: skip
        assert (told.returncode, told.stderr.count("nvalid")) == (0, 0), told.stderr
    users = (tmp_path / "etc" / "passwd").read_text()
    assert "brain:" in users
    groups = dict(line.split(":", 1) for line in (tmp_path / "etc/group").read_text().splitlines())
    assert groups["video"].endswith(":brain")
    assert groups["render"].endswith(":brain")
    assert (tmp_path / "var/lib/brain/models").is_dir()
    assert (tmp_path / "etc/brain").stat().st_mode & 0o777 == 0o750
