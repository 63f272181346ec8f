"""The real brain, which looks five to ten times as often for what has been put right: its files,
its disk, its network. Nobody in a test likes to wait.

    python -m tests.e2e.in_haste serve ...
"""

from __future__ import annotations

import sys

from brain.cli import main
from brain.engines import ladder
from brain.history import keeper
from brain.ops.announce import announce


def hurry() -> None:
    """In this process, before the brain is started."""
    vars(ladder)["FILES_S"] = 0.2
    keeper.RETRY_S = 0.5
    announce.__kwdefaults__["look_s"] = 0.5


if __name__ == "__main__":
    hurry()
    sys.exit(main())
