"""`brain support-bundle`: everything for somebody far away, without speech and secrets."""

from __future__ import annotations

import argparse
import os
import platform
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from brain.cli.failing import failed

if TYPE_CHECKING:
    from brain.settings import Settings


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """The command."""
    bundle = commands.add_parser(
        "support-bundle", parents=[common],
        help="pack what the doctor finds, and the log, to be sent to somebody",
    )  # fmt: skip
    bundle.add_argument("--out", type=Path, metavar="FILE", help="default: brain-support-….tar.gz")
    bundle.add_argument("--quick", action="store_true", help="as of brain doctor")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Look, pack, and say what is in it; 1 if it can't be written."""
    from brain.ops.bundle import pack
    from brain.ops.bundle.redact import Redactor, secrets_of
    from brain.ops.doctor import examine

    host = re.sub(r"[^\w-]", "", platform.node()) or "brain"
    name = f"brain-support-{host}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    file = args.out or Path(f"{name}.tar.gz")
    facts = examine.gather(settings, quick=args.quick)
    found = examine.findings(settings, facts)
    redactor = Redactor(secrets_of(settings, os.environ))
    files = pack.contents(settings, facts, found, redactor)
    try:
        pack.write(pack.packed(files, name), file, os.environ)
    except OSError as error:
        return failed(f"{file} can't be written: {error.strerror}")
    print(f"{file}, for you alone to read:")
    for inside, text in files.items():
        lines = text.count("\n") + 1
        print(f"  {inside:<14} {lines:>6} line(s)")
    print("Nothing was sent anywhere. Without what was said, and with secrets masked; still look")
    print(f"into it first: tar -xzOf {file} | less")
    if facts.service.unit is not None and not facts.service.log_readable:
        print("The log isn't in it: run this with sudo.")
    return 0
