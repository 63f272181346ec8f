"""In the brain's place where it can't run (Python 3.9): as small a service as its unit wants.

It is READY, feeds its watchdog, and ends well on SIGTERM. A file /run/brain/hang: it hangs. It asks
little of Python, too: python3-minimal has no pathlib.
"""

# ruff: noqa: PTH108, PTH110, PTH118, PTH123
import os
import signal
import socket
import sys
import time


def tell(*lines):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto("\n".join(lines).encode(), os.environ["NOTIFY_SOCKET"])


def end(*_):
    tell("STOPPING=1")
    print("gone down", flush=True)
    sys.exit(0)


signal.signal(signal.SIGTERM, end)
tell("EXTEND_TIMEOUT_USEC=15000000", "STATUS=loading: llm")
token = os.path.join(os.environ["CREDENTIALS_DIRECTORY"], "token")
with open(token) as file:
    print("credential:", file.read().strip(), flush=True)
print("state in", os.environ["STATE_DIRECTORY"], flush=True)
tell("READY=1", "STATUS=ready; a stand-in")
pause_s = int(os.environ["WATCHDOG_USEC"]) / 2e6
order = os.path.join(os.environ["RUNTIME_DIRECTORY"], "hang")
while True:
    if os.path.exists(order):
        os.unlink(order)
        time.sleep(3600)
    tell("WATCHDOG=1")
    time.sleep(min(pause_s, 0.5))
