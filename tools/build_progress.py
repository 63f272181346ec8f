"""Shows a compilation's progress: reads a build log from stdin, prints ninja's counter.

On a terminal a line that overwrites itself; else a line every ten percent.
"""

from __future__ import annotations

import re
import sys

_COUNTER = re.compile(r"\[(\d+)/(\d+)\]")


def main() -> None:
    shown = -1
    terminal = sys.stdout.isatty()
    for line in sys.stdin:
        found = _COUNTER.search(line)
        if found is None or int(found[2]) < 20:
            continue
        percent = 100 * int(found[1]) // int(found[2])
        if terminal and percent != shown:
            print(f"\r        {percent:3d} %  ({found[1]} of {found[2]} files)", end="", flush=True)
            shown = percent
        elif not terminal and percent // 10 > shown // 10:
            print(f"        {percent:3d} %", flush=True)
            shown = percent
    if terminal and shown >= 0:
        print()


if __name__ == "__main__":
    main()
