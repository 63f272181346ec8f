"""English words by what they say about the end of a sentence that ends in them, or begins."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DETERMINERS = _words("a an the my your our their its every each some any no another very quite")
CONJUNCTIONS = _words(
    "and or but nor because if unless although whereas than plus minus then also + / ="
)
SUBORDINATORS = _words("because if unless although whereas whenever")
"""One that a sentence begins with makes it half of one."""
TIME_SUBORDINATORS = _words("when while before after once since as until")
"""The same, where a pronoun follows: "when is it" is whole, "when I come home" is not."""
PREPOSITIONS = _words("of for with from to at about into onto between without during against")
HESITATIONS = _words("um uhm uh er erm hmm hm mm mmm")
PENSIVE = frozenset({
    ("let", "me", "think"), ("let", "me", "see"), ("wait", "a", "second"), ("just", "a", "second"),
    ("you", "know"), ("i", "mean"), ("one", "second"), ("sort", "of"), ("kind", "of"),
})  # fmt: skip
"""Said by who looks for words."""
AUXILIARIES = _words(
    "is are was were am be been has have had do does did can could will would shall should "
    "may might must isn't aren't don't doesn't can't won't"
)
DO_AUXILIARIES = _words("do does did can could will would should shall")
PRONOUNS = _words("i you he she it we they this that there who what")
SUBJECTS = _words("i we he she they i'm i'd i'll i've we're he's she's they're it's there's")
"""No sentence ends in these."""
QUESTION_WORDS = _words("what who whom whose where when why how which")
WANTING = _words("want wants need needs wanna gonna let let's put like")
OPENERS = _words("know want think remember tell show give please")
"""Verbs after "do you", "can you", that want an object."""
BEGUN = frozenset({
    "turn", "show", "show me", "tell", "tell me", "give", "give me", "find", "bring", "bring me",
    "get", "put", "set", "take", "make", "call", "order", "teach me", "turn on", "turn off",
    "turn up", "turn down", "switch on", "switch off", "pick up", "put down", "put on", "say",
    "let us", "let me", "remind me", "ask", "send", "use", "act", "be", "look", "keep", "play",
    "play me", "read", "read me", "count", "count down", "move", "open", "close", "so", "well",
    "how many", "how much", "how far", "how long", "how old",
})  # fmt: skip
"""Commands that lack what they are about, most of the time, and other beginnings."""
COMMANDS = _words(
    "act add answer ask be bring call calm cancel check clean climb close come continue count "
    "dance delete describe do don't explain find follow forget freeze get give go grab help hug "
    "increase keep laugh let let's lift list listen look lower make move mute never nod open order "
    "pause pick play point pretend put read record remember remind repeat reset restart return "
    "roll rotate run save say search send set shake show shut sing sit skip sleep slow smile speak "
    "spell spin stand start stay step stop switch take talk teach tell translate turn unmute use "
    "volume wake walk watch wave write"
)
"""What a robot is told to do, as the first word."""
LEADING = _words("and so then now just okay ok robot")
"""Before a command."""
CLOSING = frozenset({
    "thank you", "thanks", "thanks a lot", "thank you very much", "goodbye", "bye", "bye bye",
    "good night", "see you later", "see you tomorrow", "never mind", "that is all", "that's all",
    "that is enough", "that's enough", "one more time", "another one", "once more", "again",
    "yes", "no thank you", "no thanks", "not now", "of course", "enough", "cancel that",
})  # fmt: skip

DIGITS = _words("zero oh one two three four five six seven eight nine")
TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
HOURS = _words("one two three four five six seven eight nine ten eleven twelve")
CARDINALS = TENS | _words(
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen hundred "
    "thousand million"
)
MULTIPLIERS = {"double": 2, "triple": 3}
