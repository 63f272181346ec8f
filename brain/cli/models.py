"""`brain models`: what there is, fetching it, and looking after it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from brain.cli.failing import failed
from brain.models import catalog
from brain.models.catalog import Catalog, Model
from brain.models.errors import ModelsError
from brain.models.place import models_dir
from brain.models.store import Store

if TYPE_CHECKING:
    from brain.settings import Settings

_SAID = {
    "there": "there",
    "partly": "not whole: pull it",
    "missing": "-",
    "unknown": "there, not from here: a pull compares it",
    "changed": "damaged: pull it",
}


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """The command and its own commands."""
    models = commands.add_parser("models", help="fetch the models and look after them")
    own = models.add_subparsers(dest="model_command", metavar="COMMAND", required=True)

    pull = own.add_parser("pull", parents=[common], help="fetch what the profile wants")
    _names(pull, "default: those of the profile")
    pull.add_argument(
        "--update", action="store_true", help="take what the hub has now, not what is pinned"
    )

    shown = own.add_parser("list", parents=[common], help="show the models and what is there")
    shown.add_argument("--json", action="store_true", help="for scripts")

    verify = own.add_parser("verify", parents=[common], help="compare every file with its SHA-256")
    _names(verify, "default: all that are pinned, and the profile's")
    verify.add_argument("--json", action="store_true", help="for scripts")

    prune = own.add_parser(
        "prune", parents=[common], help="show what the profile doesn't need; delete it with --yes"
    )
    prune.add_argument("--keep", action="append", default=[], metavar="MODEL", help="keep this too")
    prune.add_argument("--yes", action="store_true", help="delete it")

    bring = own.add_parser(
        "import", parents=[common], help="take models from a folder, such as a USB stick"
    )
    bring.add_argument("folder", type=Path, help="where they lie")
    _names(bring, "default: all that are there")

    check = own.add_parser(
        "check", parents=[common], help="measure what the installed models can do"
    )
    check.add_argument("--full", action="store_true", help="the whole evaluation, not a sample")
    check.add_argument("--json", action="store_true", help="for scripts")


def _names(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"by its name ({default})")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Run one of them; returns the exit status: 0, or 1 where something is missing or failed."""
    if args.model_command == "check":
        from brain.ops.model_check import run as check_models

        return check_models(settings, full=args.full, json=args.json)
    store = Store(models_dir(settings.models_dir))
    try:
        known = catalog.load()
        if args.model_command == "pull":
            return _pull(settings, args, store, known)
        if args.model_command == "list":
            return _list(settings, store, known, json_wanted=args.json)
        if args.model_command == "verify":
            return _verify(settings, args, store, known)
        if args.model_command == "prune":
            return _prune(settings, args, store, known)
        return _bring(args, store, known)
    except ModelsError as error:
        return failed(str(error))
    except OSError as error:
        return failed(f"{store.folder}: {error}")


def _asked(settings: Settings, names: Sequence[str], known: Catalog) -> list[Model]:
    return known.named(names) if names else known.wanted(settings.brain_profile)


def _pull(settings: Settings, args: argparse.Namespace, store: Store, known: Catalog) -> int:
    from brain.cli.transfer import shown
    from brain.models.hub import Hub
    from brain.models.pull import Pull

    models = _asked(settings, args.models, known)
    if not models:
        print(f"The profile {settings.brain_profile} needs no model but those that come with it.")
        return 0
    for model in models:
        print(f"{model.id}: {model.repository}, {model.licence}")
    source = Hub(settings.hf_token.get_secret_value())
    with shown() as progress:
        outcome = Pull(store, source, progress, update=args.update).run(models)
    _told("there already", outcome.there)
    _told("fetched", outcome.came)
    if outcome.there or outcome.came:
        _say(f"In {store.folder}.")
    return _failures(outcome.failed)


def _list(settings: Settings, store: Store, known: Catalog, *, json_wanted: bool) -> int:
    pinned = store.pins()
    wants = known.profiles.get(settings.brain_profile, catalog.Wants())
    rows = []
    for model in known.models.values():
        pin = pinned.get(model.id)
        use = "wanted" if model.id in wants.wants else "possible" if model.id in wants.may else ""
        rows.append({
            "model": model.id, "use": use, "state": store.state(model, pinned),
            "about": model.about, "repository": model.repository, "licence": model.licence,
            "gated": model.gated, "memory_gb": model.memory_gb, "size": pin.size if pin else None,
            "revision": pin.revision if pin else None,
            "files": [str(store.path(place)) for place in pin.files] if pin else [],
        })  # fmt: skip
    if json_wanted:
        document = {"folder": str(store.folder), "profile": settings.brain_profile, "models": rows}
        _say(json.dumps(document, indent=2))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table("model", settings.brain_profile, "here", "on disk", "in memory", "licence",
                  "what", box=None, pad_edge=False)  # fmt: skip
    for row, model in zip(rows, known.models.values(), strict=True):
        size = f"{row['size'] / 1e9:.1f} GB" if isinstance(row["size"], int) else ""
        gate = "gated; " if model.gated else ""
        table.add_row(model.id, str(row["use"]), _SAID[str(row["state"])], size,
                      f"{model.memory_gb:.1f} GB", gate + model.licence, model.about)  # fmt: skip
    console = Console()
    if not console.is_terminal:
        console = Console(width=180)
    console.print(table, highlight=False)
    console.print(f"in {store.folder}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _verify(settings: Settings, args: argparse.Namespace, store: Store, known: Catalog) -> int:
    from brain.cli.transfer import shown

    pinned = store.pins()
    names = [model.id for model in known.named(args.models)] or [
        *pinned,
        *(m.id for m in known.wanted(settings.brain_profile) if m.id not in pinned),
    ]
    with shown() as progress:
        findings = store.verify([name for name in names if name in pinned], progress)
    absent = [name for name in names if name not in pinned]
    wrong = [finding for finding in findings if finding.state != "there"]
    if args.json:
        files = [vars(finding) for finding in findings]
        _say(json.dumps({"files": files, "absent": absent}, indent=2))
        return 1 if wrong or absent else 0
    for finding in findings:
        _say(f"{'ok' if finding.state == 'there' else finding.state:8} {finding.place}")
    for name in absent:
        _say(f"absent   {name}")
    if not wrong and not absent:
        return 0
    bad = dict.fromkeys([*(finding.model for finding in wrong), *absent])
    pull = f"brain models pull {' '.join(bad)}"
    return failed(f"mend it with: {pull} (or, without internet, brain models import DIR)")


def _prune(settings: Settings, args: argparse.Namespace, store: Store, known: Catalog) -> int:
    wants = known.wanted(settings.brain_profile)
    keep = {model.id for model in (*wants, *known.named(args.keep))}
    if not store.folder.is_dir():
        _say(f"There is no {store.folder}.")
        return 0
    if not args.yes:
        gone = store.superfluous(keep)
        size = sum(path.stat().st_size for path in gone)
    else:
        with store.held():
            size = sum(path.stat().st_size for path in store.superfluous(keep))
            gone = store.prune(keep)
    for path in gone:
        _say(str(path))
    done = "deleted" if args.yes else "would go; --yes deletes them"
    _say(f"{len(gone)} files, {size / 1e9:.1f} GB {done}" if gone else "nothing to delete")
    return 0


def _bring(args: argparse.Namespace, store: Store, known: Catalog) -> int:
    from brain.cli.transfer import shown
    from brain.models.bring import Bring

    models = known.named(args.models) or list(known.models.values())
    with shown() as progress:
        result = Bring(store, args.folder, known, progress).run(models)
    _told("there already", result.there)
    _told("imported", result.came)
    if result.unproven:
        names = ", ".join(result.unproven)
        _say(f"Nobody here knows what these must be, so they were taken as they are: {names}")
    if not (result.there or result.came or result.failed):
        return failed(f"{args.folder} has no model of the catalogue: a store as `brain models pull "
                      "--set MODELS_DIR=…` makes it, or files named as on the hub.")  # fmt: skip
    lacking = [m for m in args.models if m not in (*result.there, *result.came, *result.failed)]
    return _failures(result.failed | dict.fromkeys(lacking, f"{args.folder} doesn't have it."))


def _told(what: str, names: Sequence[str]) -> None:
    if names:
        _say(f"{what}: {', '.join(names)}")


def _failures(failures: dict[str, str]) -> int:
    for name, reason in failures.items():
        failed(f"{name}: {reason}")
    return 1 if failures else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
