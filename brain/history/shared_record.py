"""A robot's record in the Redis that several brains share: its key, its fields, its fence.

One key a robot, a hash, replaced as a whole by one script, so that it can't come apart. Whoever
opens a session of a robot claims it: the record's `fence` rises, and a write with a lower one is
refused. So an older brain can't overwrite what a newer one has, however late its write comes.
Fences are microseconds since 1970 where nobody was there before; two brains' clocks are compared
only where both have taken the robot while Redis could not be asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from urllib.parse import urlsplit

from brain.dialogue.memory import Kept
from brain.history.records import BadRecord, decode

PREFIX = "robot-brain:robot:"
FORGOTTEN_S = 3600
"""A brain that was away for so long still learns that a robot was forgotten."""
# More than any brain writes. It isn't fetched.
_LONGEST = 4 << 20

# Of a key that is no hash nothing can be made: it goes.
_LOOK = f"""
local function look(key)
    local kind = redis.call('TYPE', key).ok
    if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', key) return nil, true end
    if redis.call('HSTRLEN', key, 'messages') > {_LONGEST} then
        redis.call('HDEL', key, 'messages')
        return tonumber(redis.call('HGET', key, 'fence') or '0'), true
    end
    return tonumber(redis.call('HGET', key, 'fence') or '0'), false
end
"""
_STANDING = """
local function standing(key, mine, by)
    local fence = look(key)
    if fence and fence > tonumber(mine) then
        if redis.call('HEXISTS', key, 'forgotten') == 1 then return 2, fence end
        if redis.call('HGET', key, 'by') == by then return 3, fence end
        return 0, fence
    end
    if redis.call('EXISTS', key) == 0 then return 4, 0 end
    return 1, fence
end
"""
# A claim: least fence, brain, milliseconds to live -> fence before, new fence, spoilt, record.
CLAIM = (
    _LOOK
    + """
local before, spoilt = look(KEYS[1])
local found = redis.call('HMGET', KEYS[1], 'last_turn', 'last_reply', 'messages')
local fence = math.max(tonumber(ARGV[1]), (before or 0) + 1)
redis.call('HSET', KEYS[1], 'fence', string.format('%.0f', fence), 'by', ARGV[2])
redis.call('HDEL', KEYS[1], 'forgotten')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {before or 0, fence, spoilt and 1 or 0, found[1], found[2], found[3]}
"""
)
# A write: fence, brain, milliseconds to live, then fields and values -> standing, fence.
WRITE = (
    _LOOK
    + _STANDING
    + """
local code, fence = standing(KEYS[1], ARGV[1], ARGV[2])
if code ~= 1 and code ~= 4 then return {code, fence} end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'by', ARGV[2], unpack(ARGV, 4))
redis.call('HDEL', KEYS[1], 'forgotten')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {1, tonumber(ARGV[1])}
"""
)
# Look after robots that are there: brain, milliseconds to live, a fence each -> standing, fence,
# standing, fence, ...
TEND = (
    _LOOK
    + _STANDING
    + """
local said = {}
for i, key in ipairs(KEYS) do
    local code, fence = standing(key, ARGV[i + 2], ARGV[1])
    if code == 1 then redis.call('PEXPIRE', key, ARGV[2]) end
    said[#said + 1] = code
    said[#said + 1] = fence
end
return said
"""
)
# Forget a robot: least fence, seconds that this is remembered -> whether there was anything.
FORGET = (
    _LOOK
    + """
local before = look(KEYS[1])
local there = redis.call('HEXISTS', KEYS[1], 'messages')
redis.call('DEL', KEYS[1])
local fence = math.max(tonumber(ARGV[1]), (before or 0) + 1)
redis.call('HSET', KEYS[1], 'fence', string.format('%.0f', fence), 'forgotten', 1)
redis.call('EXPIRE', KEYS[1], ARGV[2])
return there
"""
)


class Standing(IntEnum):
    """How a brain stands to a robot's record. BEHIND: an earlier claim of its own went further than
    it was told; GONE: there is no record (a Redis that has lost it)."""

    TAKEN = 0
    HOLDS = 1
    FORGOTTEN = 2
    BEHIND = 3
    GONE = 4


@dataclass(frozen=True)
class Claimed:
    """The answer to `CLAIM`. `before`: the fence that the record had, 0 where there was none.
    `wrong`: what in it could not be read, for people; never what was said."""

    before: int
    fence: int
    kept: Kept | None
    wrong: str = ""


def claimed(answer: Sequence[Any]) -> Claimed:
    """Read the answer; whatever is in it that no brain wrote is left out, and said in `wrong`."""
    before, fence, spoilt, turn, reply, messages = answer
    wrong = "it wasn't a record" if spoilt else ""
    if messages is None:
        return Claimed(before, fence, None, wrong)
    numbers = [_whole(turn), _whole(reply)]
    if None in numbers:
        return Claimed(before, fence, None, "its numbers can't be read")
    try:
        said = decode(messages.decode())
    except (BadRecord, UnicodeDecodeError) as error:
        # The numbers are good: none of them is given again.
        said, wrong = (), str(error)
    return Claimed(before, fence, Kept(said, numbers[0] or 0, numbers[1] or 0), wrong)


def standings(answer: Sequence[int]) -> list[tuple[Standing, int]]:
    """The answer to `WRITE` or `TEND`, a pair a robot."""
    return [(Standing(code), fence) for code, fence in zip(answer[::2], answer[1::2], strict=True)]


def fields(record: Mapping[str, Any]) -> list[Any]:
    """Fields and values in a row, as `WRITE` takes them."""
    return [part for pair in record.items() for part in pair]


def key(robot: str) -> str:
    """Where a robot's record is."""
    return PREFIX + robot


def place(url: str) -> str:
    """The address without its password, for people."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def without_password(text: str, url: str) -> str:
    """What a library said, should it have named the address as a whole."""
    return re.sub(r"://\S*@", "://***@", text.replace(url, place(url)))


def _whole(text: bytes | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(rb"\d{1,15}", text) else None
