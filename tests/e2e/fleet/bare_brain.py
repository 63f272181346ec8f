"""The real brain without any engine library: `python -m tests.e2e.fleet.bare_brain serve …`."""

from __future__ import annotations

import sys

from tests.engines.remote.without_models import Absent

if __name__ == "__main__":
    sys.meta_path.insert(0, Absent())
    from brain.cli import main

    sys.exit(main())
