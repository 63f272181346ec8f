"""The real brain whose embedded mind and voice detector can't be loaded; it hears and speaks.

python -m tests.e2e.no_mind serve ...
"""

from __future__ import annotations

import sys
from pathlib import Path

from brain.cli import main
from brain.engines.recipes import minds
from brain.engines.vad import silero

if __name__ == "__main__":
    vars(minds)["POCKET"] = Path("/nowhere")
    vars(silero)["_MODEL"] = "nowhere.onnx"
    sys.exit(main())
