"""A machine in a folder to install on, and tiny wheelhouses to install from.

Stand-ins: systemctl (one service, which is READY unless the version in force is named in
`broken`), systemd-sysusers, systemd-tmpfiles, journalctl, sleep; and wheels that hold next to
nothing under the names of the brain and its engines. Python, venv, pip, all checksums are real.
"""

from __future__ import annotations

import base64
import ensurepip
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pip

from tests.deploy.jetson_root import REPOSITORY

ENGINES = ("llama-cpp-python", "faster-whisper", "piper-tts")
_MODULES = {"llama-cpp-python": "llama_cpp", "faster-whisper": "faster_whisper"}

_SYSTEMCTL = """#!/bin/bash
# Stand-in for systemctl. In unit/: state, broken (prefixes of versions), slow (looks until READY).
root=$(cd "$(dirname "$0")/../.." && pwd)
unit=$root/unit
version=$(readlink "$root/opt/robot-brain/current")
state() { cat "$unit/state" 2>/dev/null || echo inactive; }
case " $* " in
    *' show '*)
        if [ "$(state)" = activating ]; then
            if [ -s "$unit/slow" ]; then
                sed -i 1d "$unit/slow"
                echo "StatusText=loading, $(wc -l <"$unit/slow") to go"
            else
                restarts=0
                grep -qxF "${version%%-*}" "$unit/broken" 2>/dev/null && restarts=2 ||
                    echo active >"$unit/state"
            fi
        fi
        printf '%s\\n' "ActiveState=$(state)" MainPID=77 "NRestarts=${restarts:-0}"
        exit ;;
    *' --version '*) echo 'systemd 252 (252.39)'; exit ;;
    *' is-active '*) [ "$(state)" = active ]; exit ;;
    *' start brain.service '*) echo activating >"$unit/state" ;;
    *' stop brain.service '*) echo inactive >"$unit/state" ;;
esac
echo "systemctl $*" >>"$root/asked"
"""
_TMPFILES = """#!/bin/bash
# Stand-in for systemd-tmpfiles: makes the folders of the brain's own file.
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$root/etc/brain" "$root/var/lib/brain/models"
"""
_NOTING = """#!/bin/bash
# Stand-in: notes what it was asked, and does nothing.
root=$(cd "$(dirname "$0")/../.." && pwd)
echo "$(basename "$0") $*" >>"$root/asked"
"""
_JOURNALCTL = """#!/bin/bash
# Stand-in for journalctl.
echo 'brain[77]: this is the last that it said'
"""


def wheel(
    folder: Path, name: str, version: str, files: dict[str, str], tag: str = "py3-none-any"
) -> Path:
    """A wheel `name` with these files; those of the brain get its command, too."""
    plain = name.replace("-", "_")
    info = f"{plain}-{version}.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    if name == "robot-brain":
        contents[f"{info}/entry_points.txt"] = "[console_scripts]\nbrain = brain.cli:main\n"
    record = f"{info}/RECORD"
    contents[record] = "".join(
        f"{path},sha256={_record_hash(text)},{len(text)}\n" for path, text in contents.items()
    )
    made = folder / f"{plain}-{version}-{tag}.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in contents.items():
            # With a time of its own, so that the same wheel has the same checksum.
            archive.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), text)
    return made


def _record_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wheelhouse(
    folder: Path,
    version: str = "0.1.0",
    *,
    pip_as_it_comes: bool = False,
    engines: tuple[str, ...] = ENGINES,
) -> Path:
    """A wheelhouse with a brain of this version. Its pip is unpacked, unless it is to be as it
    comes: from a zip, Python compiles it every time.
    """
    folder.mkdir()
    lines = []
    for name in engines:
        module = _MODULES.get(name, name.replace("-", "_"))
        made = wheel(folder, name, "1.0", {f"{module}/__init__.py": ""})
        lines.append(f"{name}==1.0 \\\n    --hash=sha256:{sha256(made)}\n")
    main = f"def main():\n    print('robot-brain {version}')\n"
    wheel(folder, "robot-brain", version, {"brain/__init__.py": "", "brain/cli.py": main})
    if pip_as_it_comes:
        (bundled,) = (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")
        shutil.copy(bundled, folder)
    else:
        shutil.copytree(Path(pip.__file__).parent, folder / "pip-0-py3-none-any.whl/pip")
    (folder / "requirements.txt").write_text("".join(lines), "utf-8")
    (folder / "constraints.txt").write_text("llama-cpp-python==1.0\n", "utf-8")
    sign(folder)
    return folder


def sign(folder: Path) -> None:
    """Writes SHA256SUMS of what is in the folder."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    files = [path for path in files if path.name != "SHA256SUMS"]
    text = "".join(f"{sha256(path)}  ./{path.name}\n" for path in files)
    (folder / "SHA256SUMS").write_text(text, "utf-8")


@dataclass
class Machine:
    """What install.sh meets below `root`."""

    root: Path

    def build(self) -> Machine:
        programs = {"systemctl": _SYSTEMCTL, "systemd-tmpfiles": _TMPFILES}
        programs |= {"systemd-sysusers": _NOTING, "sleep": _NOTING, "journalctl": _JOURNALCTL}
        for name, text in programs.items():
            path = self.root / "usr/bin" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            path.chmod(0o755)
        (self.root / "run/systemd/system").mkdir(parents=True)
        (self.root / "unit").mkdir()
        return self

    def install(self, *arguments: str | Path, script: Path | None = None) -> Done:
        """Runs install.sh with the tests' own Python."""
        done = subprocess.run(
            [script or REPOSITORY / "deploy/install.sh", "--root", self.root,
             "--python", os.path.realpath(sys.executable), *arguments],
            capture_output=True, text=True,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    @property
    def base(self) -> Path:
        return self.root / "opt/robot-brain"

    @property
    def env_file(self) -> Path:
        return self.root / "etc/brain/brain.env"

    def linked(self, name: str) -> str:
        """The version that `current` or `previous` leads to; empty if there is no such link."""
        link = self.base / name
        return str(link.readlink()) if link.is_symlink() else ""

    def drop_ins(self) -> list[str]:
        folder = self.root / "etc/systemd/system/brain.service.d"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def asked(self) -> list[str]:
        """What systemctl and sysusers were asked to change since the last time."""
        record = self.root / "asked"
        lines = record.read_text("utf-8").splitlines() if record.exists() else []
        record.unlink(missing_ok=True)
        return [line for line in lines if not line.startswith("sleep")]

    def broken(self, *versions: str) -> None:
        """These versions never become READY."""
        (self.root / "unit/broken").write_text("".join(f"{v}\n" for v in versions))

    def tree(self) -> dict[str, str]:
        """All files, with what is in them and when they were written."""
        return {
            str(path.relative_to(self.root)): f"{_kind(path)} {path.lstat().st_mtime_ns}"
            for path in sorted(self.root.rglob("*"))
            if "unit" not in path.parts and path.name != "asked"
        }


def _kind(path: Path) -> str:
    if path.is_symlink():
        return f"link {path.readlink()}"
    return "folder" if path.is_dir() else f"file {sha256(path)}"


@dataclass(frozen=True)
class Done:
    """How a run ended, and what it said."""

    status: int
    out: str
    err: str
