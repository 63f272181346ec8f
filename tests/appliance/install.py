"""install.sh, run inside."""

from __future__ import annotations

import time

from tests.appliance.figures import FIGURES
from tests.appliance.guest import Guest


def install(guest: Guest, version: str, *arguments: str, status: int = 0) -> str:
    """All that it said; it must end with this status.

    `version`: the wheelhouse on the stick whose installer it is; "" is the installed one's.
    """
    folder = f"/media/stick/{version}" if version else "/opt/robot-brain/current"
    since = time.monotonic()
    # (By bash: a stick's file system may know of no executable files.)
    done = guest.run("bash", f"{folder}/deploy/install.sh", *arguments, check=False, seconds=400)
    said = done.stdout + done.stderr
    assert done.returncode == status, f"status {done.returncode}\n{said}"
    what = f"install.sh {' '.join(arguments)} ({version or 'the installed one'})"
    again = " once more" if what in FIGURES else ""
    FIGURES[what + again] = f"{time.monotonic() - since:.0f} s"
    return said
