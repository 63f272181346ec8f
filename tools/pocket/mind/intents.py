"""What a right answer is, for every intent of the repertoire.

An intent is answered by the first of its calls whose tool is offered, else by its reply. This is
the one place that says so: the training data, the evaluation and `tools/pocket/intents.md` are made
from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Args = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One tool call, and the reply kind that is said after a good result."""

    tool: str
    args: Args
    done: str


@dataclass(frozen=True)
class Intent:
    """A thing one says to the robot. `reply` names a kind in replies.REPLIES."""

    name: str
    meaning: str
    reply: str
    calls: tuple[Call, ...] = field(default=())


def _talk(name: str, meaning: str, reply: str | None = None) -> Intent:
    return Intent(name, meaning, reply or name)


def _feel(name: str, emotion: str, meaning: str, done: str = "did_emotion") -> Intent:
    return Intent(name, meaning, "no_emotion", (Call("play_emotion", {"emotion": emotion}, done),))


def _look(name: str, direction: str, meaning: str) -> Intent:
    return Intent(
        name, meaning, "no_head", (Call("move_head", {"direction": direction}, "did_look"),)
    )


_STOP_DANCE = Call("stop_dance", {"dummy": True}, "did_stop_dance")
_TRACK = Call("head_tracking", {"start": True}, "did_track")
_UNTRACK = Call("head_tracking", {"start": False}, "did_untrack")

INTENTS: tuple[Intent, ...] = (
    _talk("greeting", "a greeting at no particular time of day, or in the evening"),
    _talk("good_morning", "a morning greeting"),
    _talk("good_night", "the user says good night"),
    _talk("goodbye", "the user leaves"),
    _talk("thanks", "the user thanks the robot"),
    _talk("user_apologizes", "the user says sorry"),
    _talk("how_are_you", "asks how the robot is"),
    _talk("user_is_well", "the user says that they are well"),
    _talk("user_is_sad", "the user is sad or had a bad time"),
    _talk("user_is_bored", "the user is bored"),
    _talk("user_is_tired", "the user is tired"),
    _talk("robot_name", "asks the robot's name"),
    _talk("who_are_you", "asks who or what the robot is, or to introduce itself"),
    _talk("who_made_you", "asks who made the robot or its brain, or where it comes from"),
    _talk("how_old", "asks the robot's age or birthday"),
    _talk("where_live", "asks where the robot lives"),
    _talk("what_can_you_do", "asks what the robot can do or knows, or for help with using it"),
    _talk("are_you_there", "checks that the robot is there and hears; also a microphone test"),
    _talk("are_you_a_robot", "asks whether it is a (real) robot or machine"),
    _talk("are_you_human", "asks whether it is a human, a person, alive"),
    _talk("feelings", "asks whether the robot feels anything"),
    _talk("smart", "asks how clever it is or how big its brain is"),
    _talk("internet", "asks whether it is online or uses the cloud"),
    _talk("privacy", "asks whether it records, spies, or passes on what is said"),
    _talk("language", "asks for another language than English"),
    _talk("like_me", "asks whether the robot likes the user or is a friend"),
    _talk("love_you", "the user says that they love or like the robot"),
    _talk("praise", "the user praises the robot"),
    _talk("scold", "the user scolds the robot or calls it names"),
    _talk("food", "asks about eating, drinking, hunger"),
    _talk("favorite_color", "asks for the robot's favorite color, or whether it likes a color"),
    _talk("user_color", "the user tells their favorite color (slot: color)"),
    Intent(
        "recall_color",
        "asks for the user's own favorite color: recalled if it was told in this "
        "conversation, else reply recall_color_unknown",
        "recall_color",
    ),
    _talk("joke", "asks for a joke or something funny"),
    _talk("story", "asks for a story"),
    _talk("song", "asks for a song or music"),
    _talk("fun_fact", "asks for something interesting or new"),
    _talk("animal_sound", "asks what sound an animal makes (cow, dog, cat, duck, sheep, lion)"),
    _talk("favorite_animal", "asks for the robot's favorite animal, or whether it likes animals"),
    _talk("count_up", "asks to count to three, five or ten"),
    _talk("count_down", "asks to count down from three, five or ten"),
    _talk(
        "sum",
        "asks for a sum or difference of numbers 0 to 10, result 0 to 20 (slot: number, a word)",
    ),
    Intent("time", "asks the time of day", "no_time", (Call("get_time", {}, "did_time"),)),
    _talk("date", "asks the date or the day of the week"),
    _talk("weather", "asks about the weather"),
    Intent(
        "see",
        "asks what the robot sees, or for a picture",
        "no_camera",
        (Call("camera", {"question": "What do you see?"}, "did_camera"),),
    ),
    Intent(
        "battery",
        "asks about battery, charge, power",
        "no_battery",
        (Call("get_battery", {}, "did_battery"),),
    ),
    Intent(
        "volume_up",
        "wants the robot louder, or can't hear it",
        "no_volume",
        (Call("change_volume", {"direction": "up"}, "did_volume"),),
    ),
    Intent(
        "volume_down",
        "wants the robot less loud",
        "no_volume",
        (Call("change_volume", {"direction": "down"}, "did_volume"),),
    ),
    _talk("be_quiet", "wants the robot to stop talking"),
    _look("look_left", "left", "wants the head turned left"),
    _look("look_right", "right", "wants the head turned right"),
    _look("look_up", "up", "wants the head up"),
    _look("look_down", "down", "wants the head down"),
    _look("look_front", "front", "wants the head straight ahead"),
    Intent(
        "other_way",
        "wants the opposite direction of the head movement just before (left/right, "
        "up/down); with none before: reply other_way_nothing",
        "other_way_nothing",
        (Call("move_head", {"direction": "OPPOSITE"}, "did_look"),),
    ),
    _feel("nod", "yes1", "wants a nod", "did_nod"),
    _feel("shake_head", "no1", "wants the head shaken", "did_shake"),
    Intent("dance", "wants a dance", "no_dance", (Call("dance", {}, "did_dance"),)),
    Intent(
        "dance_repeat",
        "wants a dance two, three or four times",
        "no_dance",
        (Call("dance", {"repeat": "NUMBER"}, "did_dance"),),
    ),
    Intent("stop_dance", "wants the dancing to end", "no_stop", (_STOP_DANCE,)),
    _feel("be_happy", "cheerful1", "wants a happy face or a smile"),
    _feel("be_sad", "sad1", "wants a sad face or crying"),
    _feel("be_angry", "rage1", "wants an angry face"),
    _feel("be_surprised", "surprised1", "wants a surprised face"),
    _feel("be_scared", "scared1", "wants a scared face"),
    _feel("be_curious", "curious1", "wants a curious look"),
    _feel("be_confused", "confused1", "wants a confused look"),
    _feel("be_loving", "loving1", "wants a show of love"),
    _feel("be_sleepy", "sleep1", "wants a sleepy face (an act; not to go to sleep)"),
    _feel("laugh", "laughing1", "wants the robot to laugh", "did_laugh"),
    Intent(
        "stop_emotion",
        "wants the shown emotion to end, calm down",
        "no_stop",
        (Call("stop_emotion", {"dummy": True}, "did_stop_emotion"),),
    ),
    Intent(
        "stop",
        "wants all movement to stop",
        "no_stop",
        (Call("stop_moving", {}, "did_stop"), _STOP_DANCE),
    ),
    Intent(
        "sleep", "sends the robot to sleep", "no_sleep", (Call("go_to_sleep", {}, "did_sleep"),)
    ),
    Intent("wake", "wakes the robot", "no_wake", (Call("wake_up", {}, "did_wake"),)),
    Intent(
        "follow_me",
        "wants the robot to come along",
        "no_follow",
        (Call("follow_person", {"start": True}, "did_follow"), _TRACK),
    ),
    Intent(
        "stop_following",
        "wants the robot to stop following, stay where it is",
        "no_stop",
        (Call("follow_person", {"start": False}, "did_unfollow"), _UNTRACK),
    ),
    Intent("look_at_me", "wants the robot to keep its eyes on the user", "no_tracking", (_TRACK,)),
    Intent("look_away", "wants the robot not to look at the user", "no_tracking", (_UNTRACK,)),
    Intent(
        "ball",
        "asks for the ball: where it is, to find or fetch it",
        "no_ball",
        (Call("find_ball", {}, "did_ball"),),
    ),
    _talk("my_name_is", "the user tells their name (slot: name; any short first name)"),
    Intent(
        "recall_name",
        "asks for the user's own name: recalled if it was told in this "
        "conversation, else reply recall_name_unknown",
        "recall_name",
    ),
    Intent(
        "repeat_that",
        "didn't catch it: the robot repeats its last reply word for word; with none "
        "before: reply repeat_nothing",
        "repeat_nothing",
    ),
    Intent(
        "again",
        "wants the same once more: the tool call just before is made again; after a joke, "
        "story or fact another one (or the same) is told; with none before: reply again_nothing",
        "again_nothing",
    ),
    Intent("yes", "agrees; after the robot's offer of a joke: a joke", "yes"),
    _talk("no", "declines"),
    _talk("wait", "asks the robot to wait"),
    _talk("game", "wants to play a game"),
    _talk("hug", "wants a hug, or a hand shake, or a high five"),
    _talk("fly", "asks whether it can fly, swim, climb, drive, carry and the like"),
    _talk("user_birthday", "it is the user's birthday"),
    _talk("danger", "an emergency, an injury, fire, blood, poison"),
    _talk(
        "unknown", "anything else: knowledge questions, services, politics, off-topic, gibberish"
    ),
)

BY_NAME: dict[str, Intent] = {intent.name: intent for intent in INTENTS}
