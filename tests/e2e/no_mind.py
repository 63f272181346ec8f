"""The real brain whose embedded mind can't be loaded, so that nothing thinks; it hears and speaks.

python -m tests.e2e.no_mind serve ...
"""

from __future__ import annotations

import sys
from pathlib import Path

from brain.cli import main
from brain.engines.recipes import minds

if __name__ == "__main__":
    vars(minds)["POCKET"] = Path("/nowhere")
    sys.exit(main())
