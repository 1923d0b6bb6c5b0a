"""The broker's lines of the log: every port that was asked for, by whom, and which grant decided.

A user may have so many lines; what is over that is counted, and the count is logged.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable

from superd.broker.requests import BindRequest, Client
from superd.log import EventName, Level, Logger, Sink, SinkKind, Value
from superd.policy.buckets import Bucket, SourceBuckets
from superd.policy.grants import GrantDecision, Refusal
from superd.policy.rules import NS_PER_S, Rate
from superd.wire.grants import Program

LINES, LINES_AT_ONCE = Rate(20, NS_PER_S), 200
"""Of one user."""

_MOST_USERS = 4096

_WORDS = {
    Refusal.NO_GRANT: "no grant lets {user} bind {listen}",
    Refusal.PROGRAM: "{rule} lets only other programs bind {listen}",
    Refusal.REUSE_PORT: "{rule} lets no socket share {listen}",
    Refusal.PROCESS: "the process is not the user's own",
}


class Journal:
    """Says what became of requests.

    Args:
        clock: wall clock, seconds since the epoch.
        now_ns: a clock that only goes forward.
    """

    def __init__(self, clock: Callable[[], float], now_ns: Callable[[], int]) -> None:
        self._log = Logger(Sink(SinkKind.STDERR, os.dup(2), "text", "daemon"), clock)
        self._now = now_ns
        self._buckets = SourceBuckets(Bucket(LINES, LINES_AT_ONCE), _MOST_USERS)
        self._untold: Counter[int] = Counter()
        self._told_at = 0

    def replace_sink(self, sink: Sink) -> None:
        self._log.replace_sink(sink)

    def granted(
        self, client: Client, request: BindRequest, program: Program, decision: GrantDecision, number: int
    ) -> None:
        """A grant was used; ``number`` is the errno of bind, 0 for success."""
        told: dict[str, Value] = {**_who(client, program), "listen": _listen(request), "rule": decision.rule}
        if number:
            self._say(client.uid, Level.WARNING, f"granted, but it failed: {os.strerror(number)}", told)
        else:
            self._say(client.uid, Level.NOTICE, "granted", told)

    def denied(self, client: Client, request: BindRequest, program: Program, decision: GrantDecision) -> str:
        """A port was denied; returns what to tell who asked."""
        assert decision.refusal is not None  # noqa: S101 - tells mypy what the caller knows
        listen = _listen(request)
        told: dict[str, Value] = {**_who(client, program), "listen": listen, "reason": decision.refusal.value}
        if decision.rule:
            told["rule"] = decision.rule
        words = _WORDS[decision.refusal].format(user=program.user, listen=listen, rule=decision.rule)
        self._say(client.uid, Level.WARNING, f"denied: {program.stranger or words}", told)
        return words

    def malformed(self, client: Client, words: str) -> None:
        """Something came that no grant could allow."""
        self._say(client.uid, Level.WARNING, f"denied: {words}", {"uid": client.uid, "pid": client.pid})

    @property
    def pending(self) -> bool:
        """Whether ``flush`` has something to do later on."""
        return self._log.pending or bool(self._untold)

    def flush(self) -> None:
        now = self._now()
        if self._untold and now >= self._told_at + NS_PER_S:
            self._told_at = now
            for uid, count in self._untold.items():
                told: dict[str, Value] = {"uid": uid, "repeated": count}
                self._log.log(EventName.GRANT, Level.WARNING, f"{count} more requests of this user", **told)
            self._untold.clear()
        self._log.flush()

    def _say(self, uid: int, level: Level, message: str, told: dict[str, Value]) -> None:
        now = self._now()
        if not self._buckets.admits(uid, now):
            self._untold[uid] += 1
            return
        self._buckets.take(uid, now)
        self._log.log(EventName.GRANT, level, message, **told)


def _who(client: Client, program: Program) -> dict[str, Value]:
    told: dict[str, Value] = {"user": program.user, "uid": client.uid, "pid": program.pid}
    return {**told, "program": program.path or program.name}


def _listen(request: BindRequest) -> str:
    wish = request.wish
    host = f"[{wish.address}]" if ":" in wish.address else wish.address
    return f"{wish.transport}://{host}:{wish.port}"
