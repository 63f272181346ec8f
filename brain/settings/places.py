"""Where the brain keeps what it has learned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from brain.settings.model import Settings

SERVICE_DIR = Path("/var/lib/brain")


def state_dir(settings: Settings, environ: Mapping[str, str]) -> Path:
    """`STATE_DIR`, else the service's `StateDirectory=`, else the user's own, by XDG's rules.

    It need not exist. A user without a home (in a container, say) has the service's place.
    """
    if settings.state_dir:
        return Path(settings.state_dir)
    # systemd separates several with colons.
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    base = environ.get("XDG_STATE_HOME", "")
    try:
        users = Path(base) if Path(base).is_absolute() else Path.home() / ".local/state"
    except RuntimeError:
        return SERVICE_DIR
    return users / "robot-brain"
