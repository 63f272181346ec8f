"""Conversations with right answers, made from the grammar: what the pocket mind is trained on."""

from __future__ import annotations

import json
import random
from pathlib import Path

import tomllib

from brain.engines.ports import Message, ToolCall, ToolSpec
from brain.persona.character import DEFAULT_INSTRUCTIONS, idle_note
from brain.persona.moods import mood_instruction
from tools.pocket.mind import offers, slots
from tools.pocket.mind.intents import BY_NAME, INTENTS, Args, Call, Intent
from tools.pocket.mind.mix import DRILLED, NEXT, WEIGHT
from tools.pocket.mind.moods_of import tags
from tools.pocket.mind.replies import NUMBER_WORDS, REPLIES, SOUNDS
from tools.pocket.mind.session import Conversation, Session
from tools.pocket.mind.surface import written
from tools.pocket.mind.wordings import Wordings

_HERE = Path(__file__).parent

_OPPOSITE = {"left": "right", "right": "left", "up": "down", "down": "up"}
_TOLD_AGAIN = ("count_up", "count_down", "song", "animal_sound")
_IN_TURN = ("joke", "story", "fun_fact")
_MOOD_OF_EMOTION = {
    "cheerful1": "happy", "sad1": "sad", "rage1": "angry", "surprised1": "surprised",
    "scared1": "scared", "curious1": "curious", "confused1": "confused", "loving1": "loving",
    "sleep1": "sleepy",
}  # fmt: skip
# Without these nothing is right any more once a conversation has lasted.
_LONG_SHARE = 0.07
_IDLE_EMOTIONS = ("curious1", "thoughtful1", "boredom1", "attentive1", "shy1")


class Dialogues:
    """Makes conversations; equal seeds give equal ones. `repertoire` is the ears' list."""

    def __init__(self, wordings: Wordings, repertoire: Path) -> None:
        self.wordings = wordings
        data = tomllib.loads(repertoire.read_text("utf-8"))
        self.phrasings: dict[str, list[str]] = {
            entry["name"]: entry["phrasings"] for entry in data["intent"]
        }
        self._names = [intent.name for intent in INTENTS]
        self._weights = [WEIGHT.get(name, 1.0) for name in self._names]

    def conversation(self, rng: random.Random) -> Conversation:
        """One to eight turns, at times up to thirty; now and then an idle signal."""
        first = rng.choices(self._names, self._weights)[0]
        wanted = BY_NAME[first].calls[0].tool if BY_NAME[first].calls else ""
        session = Session(rng, offers.session_tools(rng, wanted), rng.random() < 0.2)
        system = DEFAULT_INSTRUCTIONS + (" " + mood_instruction() if session.mood else "")
        session.messages.append(Message("system", system))
        turns = rng.choices((1, 2, 3, 4, 5, 6, 7, 8), (2, 2, 3, 3, 4, 4, 3, 2))[0]
        if rng.random() < _LONG_SHARE:
            turns = rng.randint(10, 30)
        name = first
        for _ in range(turns):
            if rng.random() < 0.04:
                self._idle(session)
            self._turn(session, name)
            follow = NEXT.get(name, ())
            if follow and rng.random() < 0.45:
                name = rng.choice(follow)
            elif session.name and rng.random() < 0.12:
                name = "recall_name"
            else:
                name = rng.choices(self._names, self._weights)[0]
        if rng.random() < 0.03:
            self._idle(session)
        return Conversation(session.messages, session.tools)

    def drill(self, rng: random.Random) -> Conversation:
        """One or two short turns of what is hard (sums, names, what needs a past), few tools."""
        name = rng.choices(list(DRILLED), list(DRILLED.values()))[0]
        if name == "any":
            name = rng.choice(self._names)
        calls = BY_NAME[name].calls
        tools = [offers.ALL[rng.choice(calls).tool]] if calls and rng.random() < 0.6 else []
        if tools and rng.random() < 0.5:
            tools.insert(rng.randint(0, 1), offers.ALL[rng.choice(list(offers.ALL))])
        unlike = {tool.name: tool for tool in tools}
        session = Session(rng, list(unlike.values()), rng.random() < 0.1)
        session.messages.append(Message("system", mood_instruction() if session.mood else ""))
        if name == "repeat_that" and rng.random() < 0.8:
            # What is repeated must have been said: the best exercise in copying.
            self._turn(session, rng.choice(self._names))
        self._turn(session, name)
        if name == "my_name_is" and rng.random() < 0.6:
            self._turn(session, "recall_name")
        elif rng.random() < 0.2:
            self._turn(session, rng.choice(NEXT.get(name, (name,))))
        return Conversation(session.messages, session.tools)

    # -- one turn ------------------------------------------------------------------------------

    def _turn(self, session: Session, name: str) -> None:
        intent = BY_NAME[name]
        text, answer = self.wording(name, session.rng)
        session.messages.append(Message("user", text))
        match name:
            case "my_name_is":
                session.name = answer
            case "user_color":
                session.color = answer
        if name == "again" and self._again(session):
            return
        if name == "other_way" and self._other_way(session, intent):
            return
        for call in intent.calls:
            if name != "other_way" and (tool := session.tool(call.tool)):
                args = {k: int(answer) if v == "NUMBER" else v for k, v in call.args.items()}
                self._call(session, Call(call.tool, args, call.done), tool)
                return
        session.last_call = None
        self._talk(session, name, intent, answer)

    def wording(self, name: str, rng: random.Random) -> tuple[str, str]:
        """Something that means intent `name`, as it reaches the mind, and its slot's value."""
        if rng.random() < 0.22:
            phrase = rng.choice(self.phrasings[name])
            kind = "?" if phrase.endswith("?") else "!" if phrase.endswith("!") else "."
            answer = _answer_in(name, phrase)
            if rng.random() < 0.6:
                return phrase, answer
            if name == "my_name_is":
                return written(kind, phrase.rstrip(".!?"), rng, noisy=0.2), answer
            return written(kind, phrase.rstrip(".!?"), rng, noisy=0.9), answer
        kind, text, values = "$", "$", slots.Slots()
        while "$" in text:
            values = slots.of(name, rng)
            kind, text = self.wordings.sample(name, values.text, rng)
        if name == "my_name_is":
            # A name is copied as it stands: no typing errors, capitals mostly kept.
            lower = values.answer in slots.NAMES + slots.MORE_NAMES and rng.random() < 0.15
            text = written(kind, text, rng, noisy=0.0)
            return (text.lower() if lower else text), values.answer
        noisy = 0.15 if name == "sum" else 0.45
        return written(kind, text, rng, noisy=noisy), values.answer

    def _talk(self, session: Session, name: str, intent: Intent, answer: str) -> None:
        kind = intent.reply
        if name == "recall_name":
            kind, answer = (
                ("recall_name", session.name) if session.name else (f"{name}_unknown", "")
            )
        elif name == "recall_color":
            known = bool(session.color)
            kind, answer = ("recall_color", session.color) if known else (f"{name}_unknown", "")
        elif name == "repeat_that" and session.last_said:
            session.messages.append(Message("assistant", session.last_said))
            return
        elif name == "yes" and session.last_kind in ("user_is_sad", "user_is_bored"):
            kind = "joke"
        self._say(session, kind, answer)

    def _say(self, session: Session, kind: str, answer: str = "", mood_asked: str = "") -> None:
        text = self._sentence(session, kind, answer)
        if session.mood:
            text = tags(kind, mood_asked) + text
        session.last_kind, session.last_said = kind, text
        session.messages.append(Message("assistant", text))

    def _sentence(self, session: Session, kind: str, answer: str) -> str:
        options = REPLIES[kind]
        if kind in _IN_TURN:
            index = session.told.get(kind, session.rng.randrange(len(options)) - 1) + 1
            session.told[kind] = index % len(options)
            return options[index % len(options)]
        match kind:
            case "animal_sound":
                return options[list(SOUNDS).index(answer)]
            case "count_up" | "count_down":
                return options[("3", "5", "10").index(answer)]
            case "did_look":
                return options[1] if answer == "front" else options[0].format(direction=answer)
            case "did_volume":
                return options[0 if answer == "up" else 1]
            case "did_ball":
                return options[0 if answer == "found" else 1]
            case "greeting" | "unknown":
                return session.rng.choice(options)
        text = options[0]
        return (
            text[: text.index("{")] + answer + text[text.index("}") + 1 :] if "{" in text else text
        )

    # -- tools ---------------------------------------------------------------------------------

    def _call(self, session: Session, call: Call, tool: ToolSpec) -> None:
        """The call, its result, and mostly a word about it."""
        rng = session.rng
        args = offers.fitted(call.args, tool)
        session.messages.append(_calling([(call.tool, args)]))
        session.last_call, session.last_kind = call, call.done
        if rng.random() < 0.04:
            return
        output, kind, answer = offers.result(call.tool, args, rng)
        session.messages.append(Message("tool", output, name=call.tool))
        if rng.random() < 0.06:
            return
        mood = ""
        if not answer:
            answer = str(args.get("direction", ""))
        if call.done == "did_emotion" and not kind:
            answer = mood = _MOOD_OF_EMOTION[str(call.args["emotion"])]
        self._say(session, kind or call.done, answer, mood)

    def _again(self, session: Session) -> bool:
        if session.last_call and (tool := session.tool(session.last_call.tool)):
            self._call(session, session.last_call, tool)
            return True
        if session.last_kind in _IN_TURN:
            self._say(session, session.last_kind)
            return True
        if session.last_kind in _TOLD_AGAIN:
            session.messages.append(Message("assistant", session.last_said))
            return True
        return False

    def _other_way(self, session: Session, intent: Intent) -> bool:
        last, tool = session.last_call, session.tool("move_head")
        direction = str(last.args.get("direction", "")) if last else ""
        if not tool or direction not in _OPPOSITE:
            return False
        args: Args = {"direction": _OPPOSITE[direction]}
        self._call(session, Call("move_head", args, intent.calls[0].done), tool)
        return True

    def _idle(self, session: Session) -> None:
        rng = session.rng
        note = rng.choice(["", "", "", "Nobody is here.", "It is quiet.", "The room is dark."])
        text = idle_note(rng.choice([15, 20, 30, 45, 60, rng.randint(5, 900)]), note)
        session.messages.append(Message("user", text))
        session.last_call, session.last_kind = None, ""
        choices: list[tuple[str, Args]] = []
        for tool in session.tools:
            match tool.name:
                case "do_nothing":
                    choices += [(tool.name, {"reason": "just resting"})] * 3
                case "play_emotion":
                    emotion = "curious1" if rng.random() < 0.5 else rng.choice(_IDLE_EMOTIONS)
                    fit = offers.fitted({"emotion": emotion}, tool)
                    if "enum" not in tool.parameters["properties"]["emotion"] or (
                        fit["emotion"] in tool.parameters["properties"]["emotion"]["enum"]
                    ):
                        choices.append((tool.name, fit))
                case "move_head":
                    way = rng.choice(["left", "right", "up", "front"])
                    choices.append((tool.name, {"direction": way}))
                case "dance":
                    choices.append((tool.name, {}))
        if not choices:
            session.messages.append(Message("assistant", ""))
            return
        name, args = rng.choice(choices)
        session.messages.append(_calling([(name, args)]))
        session.messages.append(Message("tool", offers.result(name, args, rng)[0], name=name))


def _calling(calls: list[tuple[str, Args]]) -> Message:
    return Message("assistant", "", tuple(ToolCall(name, json.dumps(args)) for name, args in calls))


def _answer_in(name: str, phrase: str) -> str:
    """The slot's value in a phrasing of the repertoire."""
    words = phrase.rstrip(".!?").replace(",", "").split()
    match name:
        case "my_name_is" | "user_color":
            known = slots.NAMES if name == "my_name_is" else slots.COLORS
            return next(word for word in words if word in known)
        case "animal_sound":
            return next(word for word in words if word in SOUNDS)
        case "count_up" | "count_down" | "dance_repeat":
            return str(next(NUMBER_WORDS.index(word) for word in words if word in NUMBER_WORDS))
        case "sum":
            a, b = (NUMBER_WORDS.index(word) for word in words if word in NUMBER_WORDS)
            return NUMBER_WORDS[a - b if "minus" in words else a + b]
    return ""
