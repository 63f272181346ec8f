"""Clauses: short first, whole sentences after, nothing lost, the same however the text comes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.dialogue.clauses import ClauseSplitter, speakable


def split(*pieces: str) -> list[str]:
    splitter = ClauseSplitter()
    return [clause for piece in pieces for clause in splitter.push(piece)] + splitter.flush()


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Hello there, nice to meet you.", ["Hello there,", "nice to meet you."]),
        ("Yes, of course, I can.", ["Yes, of course,", "I can."]),
        ("The number is 3.14, or so.", ["The number is 3.14,", "or so."]),
        ("Very well done, Mr. Smith. Bye.", ["Very well done,", "Mr. Smith.", "Bye."]),
        ("One. Two, three. Four!", ["One.", "Two, three.", "Four!"]),
        ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
        ("First line\nsecond line", ["First line", "second line"]),
        ("no end", ["no end"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_boundaries(text: str, clauses: list[str]) -> None:
    assert split(text) == clauses
    assert split(*text) == clauses


def test_a_clause_comes_as_soon_as_it_is_certain() -> None:
    splitter = ClauseSplitter()
    assert splitter.push("Hello there") == []
    assert splitter.push(",") == []
    assert splitter.push(" you") == ["Hello there,"]


def test_a_sentence_without_an_end_is_cut_at_a_word() -> None:
    clauses = split("word " * 100)
    assert len(clauses) > 2
    assert all(len(clause) <= 160 for clause in clauses)
    assert " ".join(clauses) == ("word " * 100).strip()


@given(st.lists(st.text(max_size=40), max_size=20))
def test_nothing_is_lost_and_chunking_changes_nothing(pieces: list[str]) -> None:
    text = "".join(pieces)
    clauses = split(*pieces)
    assert "".join("".join(clauses).split()) == "".join(text.split())
    assert split(*text) == clauses
    assert all(clause.strip() == clause != "" for clause in clauses)


@pytest.mark.parametrize("piece", ["a. ", "Dr. ", "b, ", "x", "?"])
def test_long_texts_are_split_in_little_time(piece: str) -> None:
    began = time.thread_time()
    split(piece * (8_000 // len(piece)))
    # 100 times what it takes; it was 5 s.
    assert time.thread_time() - began < 1


def test_markdown_is_not_read_out() -> None:
    assert speakable("**Hello** _there_, `robot`") == "Hello there, robot"
    assert speakable("- one") == "one"
