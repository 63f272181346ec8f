"""`make bench` as a whole: a part that breaks, or isn't there, costs no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import benchmarks.__main__ as bench
from benchmarks.parts import Asked, Found, Progress, module
from benchmarks.peers.figures import figures
from benchmarks.peers.goals import Goal
from benchmarks.peers.overlap import Staged, staged, typical
from benchmarks.peers.robot import Turn
from benchmarks.peers.servers import ROOT
from benchmarks.publish import BEGIN, END, placed, publish


def well(asked: Asked, progress: Progress) -> Found:
    progress("measuring")
    return Found(
        [("A section", "its text")],
        [Goal("a goal", 10.0, 12.0)],
        {"turns": asked.turns},
        bars=[("ours", "Robot Brain", figures([700.0, 720.0]))],
        staged=[
            Staged(560.0, {"endpoint": 512.0, "ahead": 380.0, "stt": 14.0, "tts_first_audio": 30.0})
        ],
    )


def plain(asked: Asked, progress: Progress) -> Found:
    return Found([("A section", "its text")])


def broken(asked: Asked, progress: Progress) -> Found:
    raise RuntimeError("no robot is there")


def run(monkeypatch: pytest.MonkeyPatch, out: Path, **parts: object) -> int:
    monkeypatch.setattr(bench, "PARTS", tuple(parts.items()))
    monkeypatch.setattr(bench, "MODULES", ())
    return bench.main(["--no-peers", "--turns", "3", "--out", str(out)])


def test_the_report_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path, well=well) == 0
    assert "| a goal | 10.00 ms | 12 ms | met |" in capsys.readouterr().out
    text = next(tmp_path.glob("*.md")).read_text()
    assert "## A section\n\nits text" in text
    picture = next(tmp_path.glob("*.svg"))
    assert f"]({picture.name})" in text
    assert "Robot Brain: 710" in picture.read_text()
    assert json.loads(next(tmp_path.glob("*.json")).read_text())["turns"] == 3


def test_a_part_that_breaks_costs_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, tmp_path, broken=broken, plain=plain) == 1
    text = next(tmp_path.glob("*.md")).read_text()
    assert "**A part broke: broken: RuntimeError: no robot is there**" in text
    assert "## A section" in text


def test_a_module_that_is_not_there_is_left_out() -> None:
    assert module("Nothing", "benchmarks.no_such_module", print) is None


def test_what_a_module_prints_goes_into_the_report() -> None:
    found = module("This", "this", print)  # Python's own poem
    assert found is not None
    assert "Simple is better than complex." in found.sections[0][1]


def test_a_module_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match="status 2: usage: "):
        module("Zip", "zipfile", print)  # without arguments


def test_what_is_published_takes_the_place_of_what_was(tmp_path: Path) -> None:
    (tmp_path / "benchmarks/results").mkdir(parents=True)
    (tmp_path / "README.md").write_text(f"# A\n\n{BEGIN}\nold\n{END}\n\n## B\n")
    (tmp_path / "benchmarks/RESULTS.md").write_text("# R\n\n| a |\n\n## More\n\n| b |\n")
    rows = {"ours": figures([700.0]), "pipecat-sentence": figures([1206.0])}
    page = tmp_path / "benchmarks/results/x.md"
    for _ in range(2):
        publish(tmp_path, page, "2026-11-30", "two cores", rows, [Goal("a goal", 0.58, 0.6, "")])
    text = (tmp_path / "README.md").read_text()
    assert "old" not in text
    assert text.count("spoken by sentence | 700 (700) | 1206 (1206) | - |") == 1
    assert "[The report](benchmarks/results/x.md)" in text
    assert text.endswith(f"{END}\n\n## B\n")
    head, *rows, end = (tmp_path / "benchmarks/RESULTS.md").read_text().splitlines()[2:6]
    assert (head, end) == ("| a |", ""), "in the first table, at its end"
    assert all("a goal: 0.58" in row for row in rows)
    with pytest.raises(ValueError, match="bench"):
        placed("# no place for it", "x")


def test_the_readme_has_a_place_for_the_table() -> None:
    assert "new\n" in placed((ROOT / "README.md").read_text(), "new\n")


def test_typical_stages_are_those_of_answered_turns() -> None:
    answered = Turn("x", 10.0, sounds=[10.5])
    timings = {"endpoint": 350.0, "stt": 20.0, "ahead": None}
    answered.told = [
        (10.4, {"type": "speech_stopped"}),
        (12.0, {"type": "reply_done", "timings_ms": timings}),
    ]
    silent = Turn("x", 20.0)
    turns = staged([answered, silent])
    assert turns == [Staged(500.0, {"endpoint": 350.0, "stt": 20.0}, pytest.approx(50.0))]
    middle = typical([*turns, Staged(600.0, {"stt": 30.0}, 30.0)])
    assert (middle.total, middle.let_go) == (550.0, pytest.approx(40.0))
    assert middle.timings == {"endpoint": 350.0, "stt": 25.0}
