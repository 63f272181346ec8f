"""What is asked how often, and what often comes after what."""

from __future__ import annotations

# How often an intent is drawn, where that isn't 1: the hard ones more.
WEIGHT = {
    "unknown": 10.0, "sum": 8.0, "my_name_is": 4.0, "recall_name": 2.0, "user_color": 1.8,
    "see": 10.0, "count_up": 2.0, "count_down": 2.0, "animal_sound": 2.0, "dance": 1.8, "joke": 1.5,
    "dance_repeat": 1.5, "other_way": 0.7, "again": 0.7, "repeat_that": 1.2, "yes": 0.9, "no": 1.0,
    "stop": 1.8, "look_left": 1.8, "look_right": 1.8, "look_up": 1.8, "look_down": 1.8,
    "look_front": 1.6, "fly": 1.5, "scold": 1.3, "danger": 1.5, "battery": 1.6, "follow_me": 1.5,
    "stop_following": 1.4, "look_at_me": 1.3, "look_away": 1.5, "ball": 1.6, "nod": 1.5,
    "shake_head": 1.5, "volume_up": 1.8, "volume_down": 1.8, "time": 1.8, "sleep": 1.6, "wake": 1.6,
    "stop_emotion": 1.4, "stop_dance": 1.4, "be_sleepy": 1.2, "be_quiet": 1.3,
}  # fmt: skip
# What often comes after what; without it a conversation is a list of unrelated turns.
NEXT: dict[str, tuple[str, ...]] = {
    "joke": ("again", "praise", "joke", "again", "scold"),
    "story": ("again", "thanks"),
    "fun_fact": ("again", "fun_fact"),
    "look_left": ("other_way", "again", "look_right", "other_way", "look_front"),
    "look_right": ("other_way", "again", "look_left", "other_way", "look_front"),
    "look_up": ("other_way", "look_down", "other_way", "look_front"),
    "look_down": ("other_way", "look_up", "other_way", "look_front"),
    "dance": ("again", "stop_dance", "praise", "stop"),
    "dance_repeat": ("again", "stop_dance"),
    "my_name_is": ("recall_name", "how_are_you", "recall_name", "robot_name"),
    "user_color": ("recall_color", "favorite_color"),
    "user_is_sad": ("yes", "no", "hug"),
    "user_is_bored": ("yes", "no", "yes", "game"),
    "how_are_you": ("user_is_well", "user_is_sad", "user_is_tired"),
    "greeting": ("how_are_you", "my_name_is"),
    "nod": ("again", "shake_head"),
    "shake_head": ("again", "nod"),
    "be_sad": ("be_happy", "stop_emotion", "again"),
    "be_angry": ("stop_emotion", "be_happy", "again"),
    "recall_name": ("my_name_is", "thanks"),
    "recall_color": ("user_color",),
    "sleep": ("wake",),
    "wake": ("good_morning",),
    "follow_me": ("stop_following",),
    "look_at_me": ("look_away",),
    "volume_up": ("again", "volume_down"),
    "volume_down": ("again", "volume_up"),
    "see": ("again", "thanks"),
    "ball": ("again", "thanks"),
    "battery": ("thanks", "sleep"),
}
# What is drilled by itself in short conversations, and how often: what takes long to learn.
DRILLED = {
    "sum": 36.0, "my_name_is": 22.0, "any": 30.0, "again": 2.0, "repeat_that": 12.0,
    "other_way": 1.0, "recall_name": 2.0, "recall_color": 1.0, "yes": 1.0, "no": 1.0, "time": 8.0,
    "wake": 2.0, "count_up": 2.0, "count_down": 2.0, "dance_repeat": 2.0, "animal_sound": 2.0,
    "stop": 2.0, "volume_up": 2.0, "volume_down": 2.0, "see": 2.0,
}  # fmt: skip
