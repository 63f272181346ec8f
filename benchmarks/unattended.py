"""`python -m benchmarks.unattended`: how soon the service is up, and what it costs in silence.

The brain is started as systemd does it, with a socket for its notices and a watchdog to feed, on
the profile pocket. Measured are the time from the start of the process to READY=1 (after a warm
turn through the engines), resident memory, and processor time while nobody speaks. The floor of the
start is a Python that imports the same libraries and does nothing with them.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

_LIBRARIES = (
    "fastapi, uvicorn, numpy, onnxruntime, faster_whisper, llama_cpp, piper, zeroconf, soxr"
)


@dataclass(frozen=True)
class Start:
    """One start: to READY in seconds, resident memory in MB then and after idling, idle load in
    percent of a core."""

    ready_s: float
    rss_mb: float
    rss_idle_mb: float
    idle_percent: float


def measure(idle_s: float) -> Start:
    """Start a brain, let it idle for so long, and end it. Raises `RuntimeError` if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"{folder}/notify"
        notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notices.bind(address)
        notices.settimeout(60)
        environment = {
            **os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000",
            "STATE_DIR": folder, "BRAIN_CONFIG_DIR": folder,
        }  # fmt: skip
        command = [sys.executable, "-m", "brain", "serve", "--profile", "pocket", "--port", "0"]
        since = time.monotonic()
        with notices, open(f"{folder}/log", "wb") as log:  # noqa: PTH123
            brain = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     env=environment)  # fmt: skip
            try:
                while b"READY=1" not in notices.recv(4096):
                    pass
                ready_s = time.monotonic() - since
                rss = _rss_mb(brain.pid)
                time.sleep(3)  # what a start leaves behind is no idling
                before, began = _cpu_s(brain.pid), time.monotonic()
                time.sleep(idle_s)
                load = (_cpu_s(brain.pid) - before) / (time.monotonic() - began)
                idle_rss = _rss_mb(brain.pid)
            finally:
                brain.terminate()
                brain.wait()
        if brain.returncode:
            raise RuntimeError(Path(folder, "log").read_text("utf-8", "replace")[-2_000:])
    return Start(ready_s, rss, idle_rss, 100 * load)


def floor() -> float:
    """Seconds for a Python that imports the brain's libraries."""
    since = time.monotonic()
    subprocess.run([sys.executable, "-c", f"import {_LIBRARIES}"], check=True)
    return time.monotonic() - since


def _cpu_s(pid: int) -> float:
    """Processor time so far: fields 14 and 15 of proc(5)'s stat, in ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError(f"process {pid} has no VmRSS")


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=5, help="how many (default: %(default)s)")
    parser.add_argument("--idle", type=float, default=30, help="seconds of idling in each")
    args = parser.parse_args()
    floor()  # the first reads the libraries from the disk
    starts, floors = [], []
    for number in range(args.starts):
        print(f"start {number + 1} of {args.starts}", file=sys.stderr)
        floors.append(floor())
        starts.append(measure(args.idle))
    ready_s, floor_s = (statistics.median(s) for s in ([x.ready_s for x in starts], floors))
    result = {
        "ready_s_median": ready_s,
        "imports_s_median": floor_s,
        "ready_over_imports": ready_s / floor_s,
        "rss_mb_median": statistics.median(x.rss_mb for x in starts),
        "idle_percent_median": statistics.median(x.idle_percent for x in starts),
        "starts": [asdict(start) for start in starts],
    }
    print(json.dumps(json.loads(json.dumps(result), parse_float=lambda x: round(float(x), 3)),
                     indent=2))  # fmt: skip


if __name__ == "__main__":
    main()
