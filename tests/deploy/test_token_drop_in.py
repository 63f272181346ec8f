"""systemd hands the brain its tokens (LoadCredential=), and a brain without them lets nobody in."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from tests.deploy.user_manager import UNITS, a_manager

# In the place of the brain, which takes longer: what it makes of what it is given.
SAYS = (
    "import os; from brain.settings import Settings; from brain.settings.access import access_of; "
    "access = access_of(Settings(), os.environ); print(access.tokens, access.locked)"
)


def test_with_the_file_and_without_it(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    said = tmp_path / "said.log"
    command = shlex.join([sys.executable, "-c", SAYS])
    drop_in = (UNITS / "drop-ins" / "token.conf").read_text("utf-8")
    assert "/etc/brain/tokens" in drop_in
    drop_in = drop_in.replace("/etc/brain/tokens", str(tokens))
    with a_manager(tmp_path, command) as manager:
        folder = tmp_path / "units" / "brain.service.d"
        folder.mkdir()
        (folder / "40-token.conf").write_text(
            f"{drop_in}\nType=exec\nRestart=no\nWatchdogSec=0\nStandardOutput=append:{said}\n"
            f"Environment=PYTHONPATH={UNITS.parents[1]}\n"
        )
        manager.systemctl("daemon-reload")
        for content, expected in (
            ("one\n# an old one\ntwo\n", "('one', 'two') False"),
            (None, "() True"),
        ):
            if content is None:
                tokens.unlink()
            else:
                tokens.write_text(content)
            manager.systemctl("start", "brain.service")
            manager.until("SubState", "dead")
            assert said.read_text().splitlines()[-1] == expected
