"""A process that is killed while it writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from brain.history.database import Limits
from brain.history.keeper import HistoryKeeper

ROOT = Path(__file__).parents[2]
LIMITS = Limits(age_s=1e9, robots=50, size=10_000_000)
# Tells a number as soon as it is kept.
WRITER = """
import sys
from pathlib import Path
from brain.dialogue.history import Said
from brain.dialogue.memory import Kept
from brain.history.database import Limits
from brain.history.keeper import HistoryKeeper

keeper = HistoryKeeper(Path(sys.argv[1]), Limits(age_s=1e9, robots=50, size=10_000_000))
[first] = [found.kept.last_turn for found in keeper.load()] or [0]
for number in range(first + 1, first + 100_000):
    said = tuple(Said("user", f"{number} " * 200, turn=n) for n in range(20))
    keeper.keep("r1", Kept(said, number, number), connected=True)
    keeper.work()
    print(number, keeper.reason, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 2, 7, 20, 33])
def test_what_was_written_is_there_whole_after_kill_9(tmp_path: Path, lines: int) -> None:
    told = 0
    for _ in range(2):  # the second time on what the first has left
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        first = told
        for _ in range(lines):
            told = int(writer.stdout.readline())
        writer.kill()
        writer.wait(20)
        writer.stdout.close()
        assert told == first + lines
        keeper = HistoryKeeper(tmp_path, LIMITS)
        [found] = keeper.load()
        assert keeper.reason == keeper.note == ""
        assert found.kept.last_turn >= told
        assert {message.content for message in found.kept.messages} == {
            f"{found.kept.last_turn} " * 200
        }
        told = found.kept.last_turn
