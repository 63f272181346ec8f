"""Logs: one line a record, no forged lines, no tokens, uvicorn's among them."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from brain.ops.logs import LineFormatter, configure


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("brain").setLevel(logging.NOTSET)
    logging.captureWarnings(False)


def log(stream: io.StringIO, level: str = "info", **environ: str) -> logging.Logger:
    configure(level, stream=stream, environ=environ)
    return logging.getLogger("brain.test")


def test_a_record_is_one_line_whatever_is_in_it() -> None:
    stream = io.StringIO()
    log(stream).info("a robot named %r and %s", "x\ny", "z\n2026-01-01 ERROR forged\x1b[31m\u2028")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].endswith(
        r"INFO    brain.test: a robot named 'x\ny' and z\n2026-01-01 ERROR forged\x1b[31m\u2028"
    )


def test_an_exception_stays_on_the_line_with_its_place() -> None:
    stream = io.StringIO()
    logger = log(stream)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logger.exception("it failed")
    [line] = stream.getvalue().splitlines()
    assert r"it failed [ValueError: two\nlines < test_an_exception_stays_on" in line
    assert "(test_logs.py:" in line


def test_colours_are_for_terminals_only() -> None:
    plain, terminal, unloved = io.StringIO(), Terminal(), Terminal()
    log(plain).warning("w")
    log(terminal).warning("w")
    log(unloved, NO_COLOR="1").warning("w")
    assert "\x1b" not in plain.getvalue()
    assert "\x1b[33m" in terminal.getvalue()
    assert "\x1b" not in unloved.getvalue()


def test_journald_gets_the_severity_and_no_second_time_stamp() -> None:
    stream = io.StringIO()
    logger = log(stream, "debug", JOURNAL_STREAM="8:1")
    logger.debug("d")
    logger.info("i")
    logger.warning("w")
    logger.error("e")
    assert stream.getvalue().splitlines() == [
        "<7>brain.test: d",
        "<6>brain.test: i",
        "<4>brain.test: w",
        "<3>brain.test: e",
    ]


def test_a_token_in_an_address_is_masked() -> None:
    stream = io.StringIO()
    log(stream).info('"GET /ws?robot_id=r&token=hunter2 HTTP/1.1" %s', "?TOKEN=hunter2&x=1")
    assert "hunter2" not in stream.getvalue()
    assert "token=*** HTTP/1.1" in stream.getvalue()
    assert "x=1" in stream.getvalue()


def test_the_level_holds_for_the_brain_and_debug_does_not_open_the_libraries() -> None:
    stream = io.StringIO()
    log(stream, "debug").debug("ours")
    logging.getLogger("some.library").debug("theirs")
    logging.getLogger("some.library").info("told")
    logging.getLogger("uvicorn.access").info("every request")
    text = stream.getvalue()
    assert "ours" in text
    assert "told" in text
    assert "theirs" not in text
    assert "every request" not in text
    stream = io.StringIO()
    log(stream, "error").warning("hushed")
    assert stream.getvalue() == ""


def test_uvicorn_comes_the_same_way_and_once() -> None:
    logging.getLogger("uvicorn").addHandler(logging.StreamHandler(io.StringIO()))
    stream = io.StringIO()
    configure("info", stream=stream)
    configure("info", stream=stream)
    logging.getLogger("uvicorn.error").warning("started")
    assert stream.getvalue().count("uvicorn.error: started") == 1
    assert logging.getLogger("uvicorn").handlers == []


def test_tracebacks_are_whole_only_where_asked_for() -> None:
    try:
        raise KeyError("k")
    except KeyError as error:
        info = (KeyError, error, error.__traceback__)
    record = logging.LogRecord("n", logging.ERROR, "p", 1, "m", (), info)
    assert "Traceback (most recent call last)" in LineFormatter(tracebacks=True).format(record)
    assert "\n" not in LineFormatter().format(record)
