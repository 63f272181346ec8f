"""Values for the slots of wordings: names, sums, animals, counts, things seen."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tools.pocket.mind.replies import COLORS, NAMES, NUMBER_WORDS, SOUNDS

MORE_NAMES = (
    "Adam", "Alan", "Albert", "Alex", "Alice", "Amy", "Andrew", "Angela", "Anton", "Arthur",
    "Barbara", "Bella", "Bill", "Bob", "Boris", "Brian", "Carl", "Carlos", "Caroline", "Charlie",
    "Chloe", "Chris", "Christine", "Daniel", "Diana", "Dora", "Ed", "Edith", "Elena", "Eli",
    "Ella", "Ellen", "Eric", "Ethan", "Eva", "Felix", "Finn", "Fiona", "Fred", "George", "Grace",
    "Greta", "Hanna", "Harry", "Heidi", "Helen", "Henry", "Hugo", "Ida", "Ian", "Isaac", "Ivan",
    "Jack", "Jacob", "James", "Jane", "Jason", "Jenny", "Jim", "Joe", "John", "Julia", "Karen",
    "Karl", "Kate", "Kevin", "Kim", "Lara", "Laura", "Lea", "Leo", "Liam", "Lily", "Lisa", "Louis",
    "Luke", "Maria", "Mark", "Martha", "Martin", "Mary", "Matt", "Mia", "Michael", "Mike", "Mila",
    "Moritz", "Nadia", "Nick", "Nina", "Noah", "Nora", "Olga", "Oliver", "Olivia", "Otto", "Paul",
    "Paula", "Pedro", "Peter", "Philip", "Rachel", "Ralph", "Ray", "Rita", "Robert", "Rosa",
    "Rose", "Sally", "Sam", "Sarah", "Simon", "Stella", "Steve", "Susan", "Tina", "Theo", "Thomas",
    "Tim", "Tony", "Vera", "Victor", "Walter", "Will", "Yara", "Zoe", "Omar", "Ali", "Aisha",
    "Fatima", "Mohamed", "Chen", "Wei", "Yuki", "Hiro", "Raj", "Priya", "Anika", "Lars", "Sven",
    "Ingrid", "Pablo", "Lucia", "Marco", "Giulia", "Pierre", "Claire", "Jean", "Amelie", "Mason",
    "Logan", "Aiden", "Harper", "Evelyn", "Abigail", "Emily", "Madison", "Scarlett", "Hazel",
    "Violet", "Jasper", "Milo", "Ezra", "Silas", "Wyatt", "Owen", "Caleb", "Nathan", "Ryan",
    "Tyler", "Kyle", "Sean",
)  # fmt: skip
_ONSETS = (
    "b", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "dr",
    "kr", "st", "tr", "sh", "ch", "th", "kl", "fl",
)  # fmt: skip
_VOWELS = ("a", "e", "i", "o", "u", "ia", "ee", "ai", "ou")
_ENDS = ("", "n", "l", "r", "s", "x", "th", "k", "m", "ra", "na", "lo", "ta", "ne", "vi", "do")

ANIMALS = {
    "cow": "cows", "dog": "dogs", "cat": "cats", "duck": "ducks", "sheep": "sheep",
    "lion": "lions",
}  # fmt: skip
ANIMAL_WORDS = {
    "dog": ("dog", "dog", "puppy"), "cat": ("cat", "cat", "kitten"), "duck": ("duck",),
    "cow": ("cow",), "sheep": ("sheep", "sheep", "lamb"), "lion": ("lion",),
}  # fmt: skip

_THING_HEADS = (
    "ball",
    "cat",
    "dog",
    "cup",
    "chair",
    "book",
    "box",
    "bottle",
    "lamp",
    "table",
    "child",
    "man",
    "woman",
    "girl",
    "boy",
    "flower",
    "phone",
    "window",
    "door",
    "toy car",
    "teddy bear",
    "plant",
    "keyboard",
    "screen",
    "bag",
    "hat",
    "shoe",
    "apple",
    "banana",
    "hand",
    "face",
    "picture",
    "clock",
    "pen",
    "key",
)
_THING_ADJECTIVES = (
    "red", "blue", "green", "yellow", "white", "black", "small", "big", "old", "new", "smiling",
    "happy", "tall", "round", "wooden", "bright", "brown", "sleeping", "little", "colorful",
)  # fmt: skip
_THING_PLACES = (
    "on the table",
    "on the floor",
    "in the room",
    "next to a chair",
    "in front of a window",
    "on a desk",
    "on a sofa",
    "in a kitchen",
    "in the garden",
    "behind a box",
    "under the table",
    "near the door",
    "with a red hat",
    "holding a cup",
    "in a dark room",
    "on a shelf",
    "at the window",
    "in the middle",
)
_TIMES = (
    "half past nine", "ten o'clock", "quarter to five", "noon", "midnight", "twenty past three",
    "seven in the morning", "three in the afternoon", "quarter past eight", "five to six",
)  # fmt: skip


@dataclass
class Slots:
    """The values of one wording, and what the right answer needs of them."""

    text: dict[str, str] = field(default_factory=dict)
    answer: str = ""


def name(rng: random.Random) -> str:
    """A first name: often of the repertoire, often another, at times one made up."""
    dice = rng.random()
    if dice < 0.25:
        return rng.choice(NAMES)
    if dice < 0.65:
        return rng.choice(MORE_NAMES)
    made = rng.choice(_ONSETS) + rng.choice(_VOWELS)
    if rng.random() < 0.6:
        made += rng.choice(_ONSETS) + rng.choice(_VOWELS)
    return (made + rng.choice(_ENDS)).capitalize()


def color(rng: random.Random) -> str:
    return rng.choice(COLORS)


def thing(rng: random.Random) -> str:
    """What a camera may describe: "a red ball on the table"."""
    adjective = rng.choice(_THING_ADJECTIVES) if rng.random() < 0.7 else ""
    words = f"{adjective} {rng.choice(_THING_HEADS)}".strip()
    article = rng.choice(["a", "a", "a", "the", "one", "two"])
    if article == "a" and words[0] in "aeiou":
        article = "an"
    place = f" {rng.choice(_THING_PLACES)}" if rng.random() < 0.75 else ""
    more = f" and {thing(rng)}" if rng.random() < 0.15 else ""
    return f"{article} {words}{place}{more}"


def time(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return rng.choice(_TIMES)
    return f"{rng.randint(0, 23)}:{rng.randint(0, 59):02d}"


def of(intent: str, rng: random.Random) -> Slots:
    """Slots for a wording of `intent`; `answer` is what its reply or its call needs."""
    if intent == "my_name_is":
        chosen = name(rng)
        return Slots({"name": chosen}, chosen)
    if intent == "user_color":
        chosen = color(rng)
        return Slots({"color": chosen}, chosen)
    if intent == "animal_sound":
        animal = rng.choice(list(SOUNDS))
        word = rng.choice(ANIMAL_WORDS[animal])
        many = ANIMALS[animal] if word == animal else f"{word}s" if word != "puppy" else "puppies"
        return Slots({"animal": word, "animals": many}, animal)
    if intent in ("count_up", "count_down"):
        number = rng.choice([3, 5, 10])
        return Slots({"count": _number(number, rng)}, str(number))
    if intent == "dance_repeat":
        number = rng.choice([2, 3, 4])
        return Slots({"times": _number(number, rng)}, str(number))
    if intent == "sum":
        return _sum(rng)
    return Slots()


def _number(value: int, rng: random.Random) -> str:
    return str(value) if rng.random() < 0.3 else NUMBER_WORDS[value]


def _sum(rng: random.Random) -> Slots:
    symbols = rng.random() < 0.25

    def say(value: int) -> str:
        return str(value) if symbols else NUMBER_WORDS[value]

    if rng.random() < 0.55:
        a, b = rng.randint(0, 10), rng.randint(0, 10)
        sign = (
            "+"
            if symbols and rng.random() < 0.7
            else rng.choice(["plus", "plus", "plus", "and", "added to"])
        )
        glue = "" if sign == "+" and rng.random() < 0.4 else " "
        texts = {
            "sum": f"{say(a)}{glue}{sign}{glue}{say(b)}",
            "add": f"{say(a)} {rng.choice(['and', 'to'])} {say(b)}",
            "subtract": f"zero from {say(a + b) if a + b <= 10 else say(a)}",
            "have": f"{say(a)} {rng.choice(['apples', 'cookies', 'balls', 'coins'])} and "
            f"{rng.choice(['get', 'find', 'buy'])} {say(b)} more, how many do I have",
            "do": f"{rng.choice(['add', 'put together'])} {say(a)} and {say(b)}",
        }
        total = a + b
        if texts["subtract"].endswith(say(a)) and a + b > 10:
            texts.pop("subtract")
        elif total <= 10:
            texts["subtract"] = f"zero from {say(total)}"
        return Slots(texts, NUMBER_WORDS[total])
    a = rng.randint(0, 10)
    b = rng.randint(0, a)
    sign = (
        "-"
        if symbols and rng.random() < 0.7
        else rng.choice(["minus", "minus", "take away", "less"])
    )
    glue = "" if sign == "-" and rng.random() < 0.4 else " "
    return Slots(
        {
            "sum": f"{say(a)}{glue}{sign}{glue}{say(b)}",
            "subtract": f"{say(b)} {rng.choice(['from', 'away from'])} {say(a)}",
            "have": f"{say(a)} {rng.choice(['apples', 'cookies', 'balls', 'coins'])} and "
            f"{rng.choice(['eat', 'lose', 'give away'])} {say(b)}, how many are left",
            "do": f"take {say(b)} from {say(a)}",
        },
        NUMBER_WORDS[a - b],
    )
