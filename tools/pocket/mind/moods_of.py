"""Which mood and gesture go with which reply: what the pocket mind is taught to write in front."""

from __future__ import annotations

# Reply kind -> (emotion, gesture or ""). Kinds that aren't here are neutral.
MOOD_OF: dict[str, tuple[str, str]] = {
    "greeting": ("happy", "wiggle"),
    "good_morning": ("happy", "blink"),
    "good_night": ("sleepy", "blink"),
    "goodbye": ("happy", "wink_l"),
    "thanks": ("happy", "nod"),
    "user_apologizes": ("happy", "nod"),
    "how_are_you": ("happy", ""),
    "user_is_well": ("happy", "nod"),
    "user_is_sad": ("sad", ""),
    "user_is_bored": ("excited", "wiggle"),
    "user_is_tired": ("sleepy", ""),
    "robot_name": ("happy", ""),
    "who_are_you": ("happy", ""),
    "who_made_you": ("thinking", ""),
    "how_old": ("silly", ""),
    "what_can_you_do": ("excited", ""),
    "are_you_there": ("happy", "nod"),
    "are_you_a_robot": ("happy", "nod"),
    "are_you_human": ("neutral", "headshake"),
    "feelings": ("thinking", ""),
    "smart": ("silly", "wink_r"),
    "internet": ("neutral", "headshake"),
    "privacy": ("neutral", "headshake"),
    "language": ("confused", "headshake"),
    "like_me": ("love", "heart"),
    "love_you": ("love", "heart"),
    "praise": ("happy", "wiggle"),
    "scold": ("sad", ""),
    "favorite_color": ("happy", ""),
    "favorite_animal": ("happy", ""),
    "game": ("excited", "wiggle"),
    "hug": ("love", "heart"),
    "fly": ("sad", "headshake"),
    "user_birthday": ("excited", "spin"),
    "danger": ("scared", ""),
    "yes": ("happy", "nod"),
    "no": ("neutral", "nod"),
    "joke": ("silly", "laugh"),
    "story": ("curious", ""),
    "song": ("silly", "wiggle"),
    "fun_fact": ("excited", ""),
    "animal_sound": ("silly", ""),
    "count_up": ("thinking", ""),
    "count_down": ("excited", ""),
    "sum": ("thinking", ""),
    "my_name_is": ("happy", "nod"),
    "recall_name": ("happy", "nod"),
    "recall_name_unknown": ("curious", ""),
    "user_color": ("happy", ""),
    "recall_color": ("happy", "nod"),
    "recall_color_unknown": ("curious", ""),
    "unknown": ("confused", "headshake"),
    "date": ("confused", ""),
    "weather": ("confused", ""),
    "repeat_nothing": ("confused", ""),
    "again_nothing": ("curious", ""),
    "other_way_nothing": ("curious", ""),
    "no_wake": ("happy", ""),
    "no_stop": ("neutral", "nod"),
    "did_look": ("neutral", "nod"),
    "did_camera": ("thinking", ""),
    "did_camera_description": ("curious", ""),
    "did_track": ("happy", ""),
    "did_dance": ("excited", "spin"),
    "did_nod": ("neutral", "nod"),
    "did_shake": ("neutral", "headshake"),
    "did_laugh": ("silly", "laugh"),
    "did_sleep": ("sleepy", "sleepy"),
    "did_wake": ("excited", "wiggle"),
    "did_follow": ("happy", ""),
    "did_ball": ("excited", ""),
    "camera_failed": ("sad", ""),
    "tool_failed": ("sad", ""),
}

# Emotions that the user asks to see, as moods: shown by the tag itself where no tool shows them.
MOOD_SHOWN: dict[str, str] = {
    "happy": "happy", "sad": "sad", "angry": "angry", "surprised": "surprised",
    "scared": "scared", "curious": "curious", "confused": "confused", "sleepy": "sleepy",
    "loving": "love",
}  # fmt: skip
_CANNOT = ("sad", "")


def tags(kind: str, mood_asked: str = "") -> str:
    """The tags in front of a reply of `kind`; `mood_asked` is what the user wanted to be shown."""
    if mood_asked:
        emotion, gesture = MOOD_SHOWN[mood_asked], ""
    elif kind.startswith("no_") and kind not in MOOD_OF:
        emotion, gesture = _CANNOT
    else:
        emotion, gesture = MOOD_OF.get(kind, ("neutral", ""))
    return f"[{emotion}] " + (f"[{gesture}] " if gesture else "")
