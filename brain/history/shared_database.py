"""The shared Redis as `brain history` looks at it. Blocks; for one thread at a time."""

from __future__ import annotations

from redis import Redis
from redis.exceptions import RedisError

from brain.history.database import Row
from brain.history.shared_record import FORGET, FORGOTTEN_S, PREFIX, key, without_password

_ANSWER_S = 5.0
_FIELDS = ("seen_at", "last_turn", "last_reply", "messages")


class SharedDatabase:
    """Open until closed. Any method may raise `OSError`, with words for people."""

    def __init__(self, url: str) -> None:
        """Raises `OSError`, too."""
        self._url = url
        self._redis = Redis.from_url(
            url, socket_timeout=_ANSWER_S, socket_connect_timeout=_ANSWER_S, protocol=2
        )
        try:
            self._redis.ping()
        except RedisError as error:
            raise self._told(error) from None

    def rows(self) -> tuple[Row, ...]:
        """All robots, the one that was there last at the end. One that is forgotten has none."""
        try:
            found = [
                row for name in self._redis.scan_iter(f"{PREFIX}*") if (row := self._row(name))
            ]
        except RedisError as error:
            raise self._told(error) from None
        return tuple(sorted(found, key=lambda row: row.seen_at))

    def _row(self, name: bytes) -> Row | None:
        robot = name.decode(errors="replace").removeprefix(PREFIX)
        if self._redis.type(name) != b"hash":
            return Row(robot, 0.0, 0, 0, "")
        seen_at, turn, reply, messages = (
            part.decode(errors="replace") if isinstance(part, bytes) else part
            for part in self._redis.hmget(name, _FIELDS)
        )
        if messages is None:
            return None
        try:
            return Row(robot, float(seen_at or ""), int(turn or ""), int(reply or ""), messages)
        except ValueError:
            return Row(robot, 0.0, 0, 0, "")

    def forget(self, robot: str, now: float) -> bool:
        """Delete a robot's record; brains that hold it learn of it. False: there was none."""
        try:
            return bool(self._redis.eval(FORGET, 1, key(robot), int(now * 1e6), FORGOTTEN_S))
        except RedisError as error:
            raise self._told(error) from None

    def close(self) -> None:
        """Twice is the same as once."""
        self._redis.close()

    def _told(self, error: RedisError) -> OSError:
        return OSError(without_password(str(error), self._url))
