"""`python -m brain` is `brain serve`; with a command it is that command."""

from __future__ import annotations

import sys

from brain.cli import COMMANDS, main

if __name__ == "__main__":
    arguments = sys.argv[1:]
    known = arguments and arguments[0] in (*COMMANDS, "-h", "--help", "--version")
    sys.exit(main(arguments if known else ["serve", *arguments]))
