"""What the words at the end of a transcript say about the silence after them."""

from __future__ import annotations

import json

import pytest

from brain.dialogue.endings import Ending, ending_of
from brain.engines.recipes.building import POCKET
from tools.pocket.ears.phrases import read

TRAILS, UNKNOWN, COMPLETE = Ending.TRAILS, Ending.UNKNOWN, Ending.COMPLETE

CASES = [
    # Questions and commands.
    ("What time is it?", COMPLETE),
    ("Do you know what time it is?", COMPLETE),
    ("Turn the lights off.", COMPLETE),
    ("Turn it on!", COMPLETE),
    ("Can you please tell me a joke.", COMPLETE),
    ("Hey robot, look to the left.", COMPLETE),
    ("Dance, robot.", COMPLETE),
    ("So, tell me a story, please.", COMPLETE),
    ("Don't move.", COMPLETE),
    ("I like music. Play some music.", COMPLETE),
    ("How are you?", COMPLETE),
    ("Why?", COMPLETE),
    ("Thank you.", COMPLETE),
    ("Yes, please.", COMPLETE),
    ("Wake up!", COMPLETE),
    # A sentence that lacks something.
    ("Play some music and", TRAILS),
    ("Play some music and.", TRAILS),
    ("What is the", TRAILS),
    ("What is the?", TRAILS),
    ("Turn on the", TRAILS),
    ("Turn on.", TRAILS),
    ("I want to", TRAILS),
    ("I want to.", TRAILS),
    ("My favorite color is", TRAILS),
    ("My favorite color is.", TRAILS),
    ("Tell me about", TRAILS),
    ("Can you please", TRAILS),
    ("Could you", TRAILS),
    ("How do you", TRAILS),
    ("How do you?", TRAILS),
    ("Do you know", TRAILS),
    ("Hey robot, can you", TRAILS),
    ("What is two plus", TRAILS),
    ("And then I", TRAILS),
    ("Because", TRAILS),
    ("If it rains tomorrow.", TRAILS),
    ("When I come home.", TRAILS),
    ("Show me.", TRAILS),
    ("Please", UNKNOWN),
    # Marks.
    ("Play some music,", TRAILS),
    ("Well, I was...", TRAILS),
    ("I was thinking…", TRAILS),
    ("What I mean is -", TRAILS),
    # Hesitations.
    ("Um.", TRAILS),
    ("What time is it? Um.", TRAILS),
    ("Let me think.", TRAILS),
    ("Wait a second.", TRAILS),
    ("It is, you know.", TRAILS),
    # Numbers as they are dictated.
    ("One, four.", TRAILS),
    ("one four seven", TRAILS),
    ("My number is zero one seven.", TRAILS),
    ("My number is 0176", TRAILS),
    ("It is 555 12.", TRAILS),
    ("Call double five three", TRAILS),
    ("Call forty two thirty seven.", TRAILS),
    ("Zero one seven six, five five five, one two three.", UNKNOWN),
    ("A, N, N.", TRAILS),
    ("Count to three.", COMPLETE),
    ("What is two plus three?", COMPLETE),
    ("Set a timer for twenty five.", COMPLETE),
    ("Set an alarm for six thirty.", COMPLETE),
    ("What is 5 +", TRAILS),
    ("5 + 5", UNKNOWN),
    ("Five.", UNKNOWN),
    ("It costs 3.50.", UNKNOWN),
    ("Who won in nineteen ninety five?", COMPLETE),
    # What nobody can tell.
    ("I had a bad day.", UNKNOWN),
    ("stay right where you are", UNKNOWN),
    ("I don't know what to do.", UNKNOWN),
    ("who am I", UNKNOWN),
    ("Hello robot!", UNKNOWN),
    ("Okay.", UNKNOWN),
    ("What is the capital", UNKNOWN),
    ("What is the capital of?", UNKNOWN),
    ("Can you?", UNKNOWN),
    ("", UNKNOWN),
    ("...", UNKNOWN),
    ("!?", UNKNOWN),
]


@pytest.mark.parametrize(("text", "ending"), CASES)
def test_the_end_of_what_was_said(text: str, ending: Ending) -> None:
    assert ending_of(text) is ending
    assert ending_of(f"  {text} ") is ending


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("what time is it", UNKNOWN),
        ("turn the lights off", UNKNOWN),
        ("play some music and", TRAILS),
        ("turn on the", TRAILS),
        ("can you", TRAILS),
        ("one four seven", TRAILS),
        ("TURN ON THE", TRAILS),
    ],
)
def test_ears_without_marks_make_nothing_shorter(text: str, ending: Ending) -> None:
    assert ending_of(text) is ending


@pytest.mark.parametrize(
    ("text", "language", "ending"),
    [
        ("Wie spät ist es?", "de", COMPLETE),
        ("Spiel Musik und", "de", UNKNOWN),
        ("Spiel Musik an.", "de", UNKNOWN),
        ("Ich möchte,", "de", TRAILS),
        ("今何時ですか\uff1f", "ja", COMPLETE),
        ("what is the", "fr", UNKNOWN),
        ("What is the", "en-GB", TRAILS),
    ],
)
def test_of_another_language_only_the_marks_are_read(
    text: str, language: str, ending: Ending
) -> None:
    assert ending_of(text, language) is ending


def test_the_pocket_repertoire_is_judged_as_it_was_meant() -> None:
    """Sentences that were written for the ears, not for this rule."""
    repertoire = read()
    whole = [ending_of(text) for text in repertoire.phrasings]
    assert TRAILS not in whole
    assert whole.count(COMPLETE) > 0.75 * len(whole)
    for text in repertoire.cut:
        assert ending_of(text) is TRAILS, text
    for text in repertoire.small:
        assert ending_of(text) is not COMPLETE, text


def test_what_people_ask_the_pocket_mind_does_not_trail() -> None:
    """Wordings by another author, some of them statements."""
    lines = (POCKET / "evaluation" / "mind_unseen.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [told["text"] for told in map(json.loads, lines) if "text" in told]
    trailing = [text for text in texts if ending_of(text) is TRAILS]
    assert len(trailing) < 0.02 * len(texts), trailing
