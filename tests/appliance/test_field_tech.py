"""What a field tech types on an installed machine: doctor, selftest, profile, support-bundle."""

from __future__ import annotations

import json
from typing import Any

from tests.appliance.guest import Guest


def doctor(guest: Guest) -> dict[str, Any]:
    """The doctor's findings, by name; of several of a name the gravest. Its status with them."""
    done = guest.run("brain", "doctor", "--json", check=False, seconds=120)
    told = json.loads(done.stdout)
    order = ("ok", "note", "warning", "error")
    found: dict[str, Any] = {"status": done.returncode}
    for one in sorted(told["findings"], key=lambda one: order.index(one["severity"])):
        found[one["name"]] = one
    return found


def test_the_doctor_finds_the_service_and_its_engines(guest: Guest) -> None:
    guest.until_whole()
    found = doctor(guest)
    for name in ("profile", "service", "port", "mind", "ears", "mouth", "models", "memory"):
        assert found[name]["severity"] == "ok", found[name]
    assert found["profile"]["found"].startswith("pocket (/etc/brain/brain.env:")
    assert found["crashes"]["found"], "the journal can be read"


def test_the_selftest_is_heard_and_answered(guest: Guest) -> None:
    told = json.loads(guest.run("brain", "selftest", "--json", check=False).stdout)
    assert told["outcome"]["heard"] == "What is your name?"
    assert "Robo" in told["outcome"]["said"]


def test_a_profile_is_chosen_by_a_command_and_what_it_lacks_is_told(guest: Guest) -> None:
    try:
        said = guest.run("brain", "profile", "use", "laptop", "--restart", seconds=120).stdout
        assert "brain models pull --profile laptop" in said
        found = doctor(guest)
        assert found["status"] == 2
        assert found["models"]["todo"] == "brain models pull --profile laptop"
        assert "a stand-in serves" in found["mind"]["found"]
    finally:
        guest.run("brain", "profile", "use", "pocket", "--restart", seconds=120)
    assert "The brain that runs has it." in guest.run("brain", "profile", "show").stdout
    assert doctor(guest)["mind"]["severity"] == "ok"


def test_a_bundle_has_the_log_and_no_token(guest: Guest) -> None:
    file = "/tmp/bundle.tar.gz"
    said = guest.run("brain", "support-bundle", "--out", file, seconds=120).stdout
    assert "log.txt" in said
    log = guest.run("tar", "-xzOf", file, "--wildcards", "*/log.txt").stdout
    assert "listening on" in log
    guest.run("rm", file)
