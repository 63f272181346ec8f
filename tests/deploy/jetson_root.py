"""A Jetson's files below a folder, with stand-ins for the programs that would change a real one.

Nothing here has been a Jetson: the files have the form that L4T 36 gives them (nv_tegra_release,
nvpmodel.conf, devfreq, buddyinfo), and `nvpmodel`, `systemctl` and `swapoff` are shell scripts that
keep their state in the same folder.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
_GIB = 1 << 20  # KiB

_NVPMODEL = """#!/bin/bash
# Stand-in for nvpmodel: remembers a mode, by its id.
root=$(cd "$(dirname "$0")/../.." && pwd)
echo "nvpmodel $*" >>"$root/asked"
case $1 in
    -q) id=$(cat "$root/mode")
        name=$(sed -n "s/.* ID=$id NAME=\\(.*\\) >/\\1/p" "$root/etc/nvpmodel.conf")
        echo "NV Power Mode: $name"
        echo "$id" ;;
    -m) read -r answer; echo "reboot? $answer" >>"$root/asked"
        [ -e "$root/needs-reboot" ] || echo "$2" >"$root/mode" ;;
esac
"""
_SYSTEMCTL = """#!/bin/bash
# Stand-in for systemctl: makes and takes away the links that the real one would.
root=$(cd "$(dirname "$0")/../.." && pwd)
echo "systemctl $*" >>"$root/asked"
units=$root/etc/systemd/system
case $1 in
    set-default) ln -sfn "/lib/systemd/system/$2" "$units/default.target" ;;
    disable) rm -f "$units/multi-user.target.wants/$2" ;;
esac
"""
_SWAPOFF = """#!/bin/bash
# Stand-in for swapoff: takes the device's line out of /proc/swaps.
root=$(cd "$(dirname "$0")/../.." && pwd)
echo "swapoff $*" >>"$root/asked"
[ ! -e "$root/memory-is-full" ] || exit 255
grep -v "^$1 " "$root/proc/swaps" >"$root/swaps"; mv "$root/swaps" "$root/proc/swaps"
"""
_DF = """#!/bin/bash
# Stand-in for df: what the test says is free.
echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'
echo "/dev/nvme0n1p1 244000000 1000000 $(cat "$(dirname "$0")/../../free-kib") 1% /"
"""


@dataclass
class Jetson:
    """A healthy Orin NX in the folder `root`, to be spoilt by a test. Memory and disk in GiB."""

    root: Path
    l4t: str = "36.5.2"
    cuda: str = "12.6"
    cudnn: int = 9
    modes: tuple[str, ...] = ("MAXN_SUPER", "10W", "15W", "25W", "40W")
    mode: str = "40W"
    gpu_mhz: int = 1173
    available: float = 13.5
    free_disk: int = 100
    target: str = "multi-user.target"
    made: str = "Thu Sep 18 22:54:44 UTC 2025"
    zram: bool = False
    fragmented: bool = False
    packages: str = ""

    def build(self) -> Path:
        """Writes it all and returns the root."""
        major, _, revision = self.l4t.partition(".")
        revision = revision if "." in revision else f"{revision}.0"
        self._file(
            "etc/nv_tegra_release",
            f"# R{major} (release), REVISION: {revision}, GCID: 42132812, BOARD: generic, "
            f"EABI: aarch64, DATE: {self.made}\n# KERNEL_VARIANT: oot\n",
        )
        self._file("proc/device-tree/model", "NVIDIA Jetson Orin NX Engineering Reference\0")
        self._file("var/lib/dpkg/status", self.packages)
        self._file("dev/nvhost-ctrl-gpu", "")
        self._file(
            "usr/local/cuda/version.json",
            json.dumps(
                {
                    "cuda": {"name": "CUDA SDK", "version": f"{self.cuda}.11"},
                    "libcublas": {"name": "cuBLAS", "version": "1.2.3"},
                },
                indent=3,
            ),
        )
        self._file(
            "usr/include/aarch64-linux-gnu/cudnn_version.h", f"#define CUDNN_MAJOR {self.cudnn}\n"
        )
        blocks = [f"< POWER_MODEL ID={i} NAME={name} >\n" for i, name in enumerate(self.modes)]
        self._file("etc/nvpmodel.conf", "\n".join(blocks) + "\n< PM_CONFIG DEFAULT=0 >\n")
        self._file("mode", str(self.modes.index(self.mode)))
        self._file("sys/class/devfreq/17000000.gpu/max_freq", f"{self.gpu_mhz}000000\n")
        self._file(
            "sys/class/devfreq/17000000.gpu/available_frequencies",
            "306000000 408000000 624750000 1173000000\n",
        )
        self._file(
            "proc/meminfo",
            f"MemTotal:       {int(15.3 * _GIB)} kB\n"
            f"MemAvailable:   {int(self.available * _GIB)} kB\n",
        )
        # The number of free pieces of 4 KiB, 8 KiB, ... 4 MiB.
        pieces = (
            "900000 400000 9 9 9 9 9 9 9 9 9" if self.fragmented else "9 9 9 9 9 9 9 9 9 9 2500"
        )
        self._file("proc/buddyinfo", f"Node 0, zone   Normal {pieces} \n")
        swaps = "Filename Type Size Used Priority\n/swapfile file 8388604 0 -2\n"
        wants = self.root / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True)
        if self.zram:
            swaps += "/dev/zram0 partition 996096 0 5\n/dev/zram1 partition 996096 0 5\n"
            (wants / "nvzramconfig.service").symlink_to("/etc/systemd/system/nvzramconfig.service")
        self._file("proc/swaps", swaps)
        self._file("run/systemd/timesync/synchronized", "")
        self._file("free-kib", str(self.free_disk * _GIB))
        (self.root / "var/lib/brain").mkdir(parents=True)
        (wants.parent / "default.target").symlink_to(f"/lib/systemd/system/{self.target}")
        for name, text in (
            ("sbin/nvpmodel", _NVPMODEL),
            ("bin/systemctl", _SYSTEMCTL),
            ("sbin/swapoff", _SWAPOFF),
            ("bin/df", _DF),
        ):
            program = self._file(f"usr/{name}", text)
            program.chmod(0o755)
        return self.root

    def asked(self) -> list[str]:
        """What the stand-ins were asked so far, questions about the power mode left out."""
        record = self.root / "asked"
        lines = record.read_text("utf-8").splitlines() if record.exists() else []
        return [line for line in lines if line != "nvpmodel -q"]

    def _file(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path


def run(script: str, *arguments: str | Path, env: dict[str, str] | None = None) -> Any:
    """Runs a script of `deploy/`; its exit status and words."""
    return subprocess.run(
        [REPOSITORY / "deploy" / script, *arguments], capture_output=True, text=True, env=env
    )


def findings(script: str, *arguments: str | Path) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit status of a preflight, and what it found by name."""
    done = run(script, "--json", *arguments)
    answer = json.loads(done.stdout)
    assert answer["severity"] == ("ok", "warning", "error")[done.returncode]
    return done.returncode, {finding["name"]: finding for finding in answer["findings"]}
