"""A brain that another command starts for itself: where its code comes from, and what it leaves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr

from brain.ops.child_brain import brain_command, environment_of
from brain.ops.doctor import libraries
from brain.settings import Settings, load
from brain.settings.access import access_of, had_tokens_before, remember_tokens
from brain.settings.places import state_dir


def test_nothing_is_imported_from_where_somebody_happens_to_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sudo brain doctor` in the folder of a stick, say."""
    for name in ("argparse", "brain", "no_such_module"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('from the stick')")
    monkeypatch.chdir(tmp_path)
    done = subprocess.run([*brain_command(), "--version"], capture_output=True, text=True)
    assert (done.stdout.split()[0], done.stderr) == ("robot-brain", "")
    trial = libraries.Trial("no-such-package", "import no_such_module")
    monkeypatch.setattr(libraries, "TRIALS", {"x": trial})
    (found,) = libraries.tried(["x"])
    assert found.trouble == "ModuleNotFoundError: No module named 'no_such_module'"


def test_it_leaves_the_state_of_the_brain_of_this_machine_alone(tmp_path: Path) -> None:
    """That there were tokens, for one: without that word a broken settings file opens the brain."""
    service, own = tmp_path / "service", tmp_path / "own"
    settings = Settings(state_dir=str(service), brain_token=SecretStr("t"))
    remember_tokens(access_of(settings, {}), settings, service)
    environ = environment_of(settings, str(own), {})
    childs = load(environ=environ, config_dir=tmp_path / "none")
    assert state_dir(childs, environ) == own
    remember_tokens(access_of(childs, environ), childs, state_dir(childs, environ))
    assert had_tokens_before(service)
