"""Mood tags in front of a streamed reply."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.persona.character import DEFAULT_INSTRUCTIONS, idle_note
from brain.persona.moods import EMOTIONS, GESTURES, MoodTags, mood_instruction
from brain.planner import schema


def parse(pieces: list[str]) -> tuple[MoodTags, str]:
    tags = MoodTags()
    said = "".join(tags.feed(piece) for piece in pieces) + tags.finish()
    return tags, said


@pytest.mark.parametrize(
    ("reply", "emotion", "gestures", "said"),
    [
        ("[happy] [nod] Hello!", "happy", ["nod"], "Hello!"),
        ("[happy][wink_l][spin]Hi.", "happy", ["wink_l", "spin"], "Hi."),
        ("Hello!", None, [], "Hello!"),
        ("  Hello!", None, [], "Hello!"),
        ("[tired] Yawn.", "sleepy", [], "Yawn."),
        ("[sad] [head-shake] No.", "sad", ["headshake"], "No."),
        ("[confused] [confused] What?", "confused", ["confused"], "What?"),
        ("[Head Shake] [sad] No.", "sad", ["headshake"], "No."),
        ("[grumpy] [moonwalk] Hm.", None, [], "Hm."),
        (
            "[this is no tag but a long aside] yes",
            None,
            [],
            "[this is no tag but a long aside] yes",
        ),
        ("[happy", None, [], "[happy"),
        ("[happy]", "happy", [], ""),
        ("", None, [], ""),
        ("I like [brackets] here", None, [], "I like [brackets] here"),
        ("[happy 0.8] [nod 0.2] Hi.", "happy", ["nod"], "Hi."),
        ("[happy] Hi. [excited] Let us [nod] play! [sad]", "happy", [], "Hi. Let us play! "),
        ("Hi. [Excited 0.9]\nLet us play[nod].", None, [], "Hi. Let us play."),
        ("[blink] [blink] [nod] [nod] [spin] Hm.", None, ["blink", "blink", "nod", "nod"], "Hm."),
        ("[happy] The list [1, 2] [x] ends [", "happy", [], "The list [1, 2] [x] ends ["),
    ],
)
def test_tags_are_taken_off(
    reply: str, emotion: str | None, gestures: list[str], said: str
) -> None:
    tags, rest = parse(list(reply))
    assert (tags.emotion, tags.gestures, rest) == (emotion, gestures, said)


@pytest.mark.parametrize(
    ("tag", "intensity"),
    [
        ("[happy]", 0.6),
        ("[happy 0.8]", 0.8),
        ("[happy: 0.25]", 0.25),
        ("[HAPPY .3]", 0.3),
        ("[happy=1]", 1.0),
        ("[happy 80]", 1.0),
        ("[happy, 0]", 0.0),
    ],
)
def test_a_mood_may_say_how_strong_it_is(tag: str, intensity: float) -> None:
    tags, said = parse(list(f"{tag} Hello."))
    assert (tags.emotion, tags.intensity, said) == ("happy", intensity, "Hello.")


def test_what_was_written_can_be_shown_to_the_model_again() -> None:
    for reply in ("[happy] [nod] Hi.", "[sad 0.4] Oh.", "[spin] Look.", "Hi."):
        tags, said = parse([reply])
        assert tags.written + said == reply
    assert parse(["[Tired] [grumpy] [head-shake] No."])[0].written == "[sleepy] [headshake] "


TAG = st.one_of(
    st.sampled_from(EMOTIONS + GESTURES).map("[{}]".format),
    st.builds("[{} {}]".format, st.sampled_from(EMOTIONS), st.floats(0, 1).map("{:.2f}".format)),
)
WORDS = st.text(alphabet="aZ .[]1é\n", max_size=12)


@given(
    st.lists(st.one_of(TAG, WORDS, st.text(max_size=10)), max_size=8).map("".join),
    st.lists(st.integers(0, 120), max_size=8),
)
def test_pieces_make_no_difference(reply: str, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(reply)) for cut in cuts), len(reply)]
    assert parse([reply]) == parse([reply[a:b] for a, b in itertools.pairwise(places)])


@given(
    st.sampled_from(EMOTIONS),
    st.lists(TAG, max_size=4),
    st.lists(st.sampled_from(["Hello. ", "three ", "(four) ", "[five] ", "six "]), max_size=5),
    st.data(),
)
def test_no_tag_is_ever_spoken(
    emotion: str, tags: list[str], words: list[str], data: st.DataObject
) -> None:
    parts = list(words)
    for tag in tags:
        parts.insert(data.draw(st.integers(0, len(parts))), f"{tag} ")
    found, said = parse(list(f"[{emotion}] {''.join(parts)}"))
    assert found.emotion == emotion
    assert 0 <= found.intensity <= 1
    assert set(found.gestures) <= set(GESTURES)
    assert not any(tag in said for tag in (f"[{name}" for name in EMOTIONS + GESTURES))
    spoken = "".join(words)
    # Unknown words in brackets go only from the very front, where no word stands before them.
    while spoken.startswith("[five] "):
        spoken = spoken.removeprefix("[five] ")
    assert said == spoken


def test_speech_is_not_held_back_once_settled() -> None:
    tags = MoodTags()
    assert tags.feed("[happy] ") == ""
    assert not tags.settled
    assert tags.feed("He") == "He"
    assert tags.settled
    assert tags.feed("llo (nod)") == "llo (nod)"


def test_the_names_are_those_of_the_plan() -> None:
    assert schema.EMOTIONS == EMOTIONS
    assert schema.GESTURES == GESTURES
    assert all(name in mood_instruction() for name in EMOTIONS + GESTURES)


def test_notes_are_speakable_instructions() -> None:
    assert "15 seconds" in idle_note(15.2)
    assert "It is dark." in idle_note(60, " It is dark. ")
    assert not set("*#`[]") & set(DEFAULT_INSTRUCTIONS)
