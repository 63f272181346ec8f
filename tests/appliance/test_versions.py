"""Another version of the brain: it takes over, or the one before comes back; and none at all."""

from __future__ import annotations

from pathlib import Path

from tests.appliance.conftest import BROKEN, NEWER
from tests.appliance.guest import Guest
from tests.appliance.install import install

BASE = "opt/robot-brain"


def version(guest: Guest, link: str) -> str:
    """What this link in /opt/robot-brain leads to."""
    return (guest.root / BASE / link).readlink().name


def test_an_upgrade_takes_over_and_keeps_the_version_before(guest: Guest) -> None:
    before = version(guest, "current")
    guest.talk("--robot", "eve", "--text", "My name is Eve.")
    install(guest, "newer", "--upgrade")
    assert version(guest, "current").startswith(f"{NEWER}-")
    assert version(guest, "previous") == before
    assert guest.ready()["version"] == NEWER
    assert not guest.ready()["degraded"]
    told = guest.talk("--robot", "eve", "--text", "What is my name?")
    assert told["resumed"]
    assert "Eve" in told["said"]


def test_one_that_is_never_ready_gives_way_to_the_one_before(guest: Guest) -> None:
    settings = (guest.root / "etc/brain/brain.env").read_text()
    before = version(guest, "previous")
    said = install(guest, "broken", "--upgrade", "--patience", "20", status=1)
    assert f"going back to {NEWER}" in said
    assert version(guest, "current").startswith(f"{NEWER}-")
    assert version(guest, "previous") == before
    assert BROKEN not in guest.ready()["version"]
    assert guest.show("StatusText").startswith("ready; ")
    assert (guest.root / "etc/brain/brain.env").read_text() == settings
    told = guest.talk("--robot", "eve", "--text", "What is my name?")
    assert "Eve" in told["said"]


def test_back_by_hand(guest: Guest) -> None:
    before = version(guest, "previous")
    install(guest, "", "--rollback")
    assert version(guest, "current") == before
    assert guest.ready()["version"] not in (NEWER, BROKEN)


def test_a_dry_run_of_the_end_changes_nothing(guest: Guest) -> None:
    pid = guest.show("MainPID")
    assert "would" in install(guest, "", "--uninstall", "--dry-run")
    assert guest.show("MainPID") == pid


def test_uninstalled_it_leaves_the_settings_the_models_and_the_conversations(guest: Guest) -> None:
    guest.shell("touch /var/lib/brain/models/a-model.gguf")
    install(guest, "", "--uninstall")
    assert guest.show("LoadState") == "not-found"
    assert guest.shell("find /proc -maxdepth 1 -user brain") == ""
    assert not (guest.root / BASE).exists()
    left = guest.shell("find / -xdev -iname '*brain*' -not -path '/proc/*' -not -path '/var/log/*'")
    # The stick's own, and what is the admin's.
    kept = ("/media/", "/etc/brain", "/var/lib/brain")
    assert [path for path in left.splitlines() if not path.startswith(kept)] == []
    assert (guest.root / "etc/brain/brain.env").exists()
    assert (guest.root / "var/lib/brain/models/a-model.gguf").exists()
    assert list(Path(guest.root / "var/lib/brain").glob("*.sqlite*")) or left.count("history")
    assert guest.systemctl("is-system-running", check=False) == "running", guest.systemctl(
        "--failed"
    )
