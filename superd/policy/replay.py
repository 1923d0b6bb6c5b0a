"""What rules would have done to traffic that is over. Pure: happenings in, a ``Result`` out.

The engine that decides is the one that serves. What the log cannot tell it stands as it was: a refusal for the PROXY
header, for a loop, for the total of all services, and for the load or hosts.allow while the rules still ask them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from attrs import Factory, define, frozen

from superd.policy.calendar import Calendar, parse_hours
from superd.policy.decision import Client, Decision, Total
from superd.policy.engine import Engine
from superd.policy.outcome import Outcome
from superd.policy.reason import Reason
from superd.policy.replayed import Result, Side, Source
from superd.policy.rules import UNLIMITED, Access, Limits, ProxyProtocol
from superd.policy.tally import MINUTE_NS
from superd.policy.timeline import Slot, Timeline
from superd.policy.traffic import Happening, Kind

_BAD = (Outcome.FAILED, Outcome.SIGNALLED)
Watch = Callable[[int, int], None]
"""Told source and time (ns) of each connection that is admitted and counts."""

Clock = Callable[[int], tuple[int, int]]
"""Weekday (Monday is 0) and minute of the day, where superd runs, of a second since the epoch."""


@frozen
class Rules:
    """What is tried.

    Args:
        names: the addresses of the host names in ``access``.
        clock: for the hours of ``access``.
        stay_ns: how long a connection would have lasted that was refused in the log.
    """

    limits: Limits
    access: Access
    proxy_protocol: ProxyProtocol
    clock: Clock
    names: Mapping[str, Iterable[tuple[int, int]]] = Factory(dict)
    stay_ns: int = 0


@define
class _Visit:
    """A connection that is open, in the log or in the replay.

    Args:
        number: what the engine knows it by; 0 when the replay refused it.
    """

    number: int
    source: Source


class Replay:
    """Runs happenings through an engine, one after the other.

    Args:
        slot_ns: how long the slots of the timeline are.
        watch: told of each connection that is admitted and counts.
    """

    def __init__(self, rules: Rules, slot_ns: int = MINUTE_NS, watch: Watch | None = None) -> None:
        self._rules = rules
        self._watch = watch
        self._total = Total()
        self._engine = Engine(rules.limits, rules.access, rules.proxy_protocol, self._total)
        for name in self._engine.access.names:
            self._engine.access.resolved(name, rules.names.get(name, ()))
        self._calendar = Calendar([parse_hours(text) for text in rules.access.hours])
        self._turn = 0  # when something changes by itself; never earlier than the last happening
        self._slot = Slot()
        self._stands = _stands(rules)
        self._number = 0
        self._open: dict[int, _Visit] = {}  # by the id in the log
        self._extra: deque[tuple[int, _Visit]] = (
            deque()
        )  # admitted by the replay alone, by the time of their end
        self._sources: dict[int, Source] = {}
        self._timeline = Timeline(slot_ns)
        self._then, self._now = Side(), Side()
        self._most_counted = self._newly_refused = self._newly_admitted = self._open_before = 0
        self._starts = self._starts_delayed = 0
        self._steps = {
            Kind.OPEN: self._was_open,
            Kind.CONNECTION: self._connection,
            Kind.REFUSED: self._refused,
            Kind.END: self._end,
            Kind.START: self._start,
        }

    def run(self, happenings: Iterable[Happening]) -> Result:
        """Run them all, which come by time."""
        steps = self._steps
        for one in happenings:
            if one.time >= self._turn:
                self._pass_time(one.time)
            steps[one.kind](one)
        return Result(
            self._then,
            self._now,
            self._most_counted,
            self._newly_refused,
            self._newly_admitted,
            self._open_before,
            self._starts,
            self._starts_delayed,
            self._sources,
            self._engine.source,
            self._timeline,
        )

    # --- what happens ---

    def _was_open(self, one: Happening) -> None:
        client, key, source = self._client(one)
        self._open_before += 1
        source.served += 1
        self._engine.resume(client)
        self._open[one.id] = _Visit(client.id, source)
        self._then.opened(len(self._open), key, source.open_in_log())
        self._opened(key, source)
        self._slot.open, self._slot.open_then = self._total.open, len(self._open)

    def _connection(self, one: Happening) -> None:
        if one.id in self._open:  # superd was started again, and begins to count anew
            self._end(one._replace(detail=Outcome.LOST))
        decision, visit, key = self._offer(one, None)
        visit.source.served += 1
        self._open[one.id] = visit
        self._then.admit(one.time, len(self._open), key, visit.source.open_in_log())
        if len(self._open) > self._slot.open_then:
            self._slot.open_then = len(self._open)
        if decision.reason is not None:
            self._newly_refused += 1

    def _refused(self, one: Happening) -> None:
        assert isinstance(one.detail, Reason)  # noqa: S101  Kind.REFUSED says so
        decision, visit, _ = self._offer(one, one.detail)
        self._then.refused[one.detail] += 1
        if decision.reason is None:
            self._newly_admitted += 1
            leaves = one.time + self._rules.stay_ns
            self._extra.append((leaves, visit))
            self._turn = min(self._turn, leaves)

    def _end(self, one: Happening) -> None:
        visit = self._open.pop(one.id, None)
        if visit is None:
            return
        source = visit.source
        source.open_then -= 1
        source.ended += 1
        source.bad += one.detail in _BAD
        if visit.number:
            assert isinstance(one.detail, Outcome)  # noqa: S101  Kind.END says so
            self._close(visit, one.detail, one.time)

    def _start(self, one: Happening) -> None:
        self._starts += 1
        if self._engine.start(one.time):
            return
        self._starts_delayed += 1
        self._engine.start(self._engine.room_at(one.time))

    # --- the engine ---

    def _offer(self, one: Happening, then: Reason | None) -> tuple[Decision, _Visit, int]:
        now = one.time
        client, key, source = self._client(one)
        slot = self._slot
        source.came += 1
        slot.came += 1
        counted = self._engine.open
        if then is not None and then in self._stands:
            decision = self._stand(client, then, now)
        else:
            decision = self._engine.offer(client, now)
        reason = decision.reason
        if reason is not None:
            self._now.refused[reason] += 1
            source.refused[reason] = source.refused.get(reason, 0) + 1
            return decision, _Visit(0, source), key
        slot.admitted += 1
        self._opened(key, source)
        if self._total.open > slot.open:
            slot.open = self._total.open
        self._now.admit(now, self._total.open, key, source.open)
        if self._watch is not None and self._engine.open > counted:
            self._watch(key, now)
        return decision, _Visit(client.id, source), key

    def _stand(self, client: Client, reason: Reason, now: int) -> Decision:
        """A refusal that stands, unless access would have come first."""
        return self._engine.refuse(self._engine.ask_access(client).reason or reason, now)

    def _opened(self, key: int, source: Source) -> None:
        source.open += 1
        if source.open > source.most_open:
            source.most_open = source.open
        counted = self._engine.open
        if counted > self._most_counted:
            self._most_counted = counted
        self._now.opened(self._total.open, key, source.open)

    def _close(self, visit: _Visit, outcome: Outcome, now: int) -> None:
        visit.source.open -= 1
        self._engine.ended(visit.number, outcome, now)

    def _client(self, one: Happening) -> tuple[Client, int, Source]:
        self._number += 1
        client = Client(self._number, one.version, one.value)
        key = self._engine.key(client)
        source = self._sources.get(key)
        if source is None:
            source = self._sources[key] = Source()
        return client, key, source

    def _pass_time(self, now: int) -> None:
        """What happens by itself until then: visits of the replay alone end, hours and slots begin."""
        while self._extra and self._extra[0][0] <= now:
            at, visit = self._extra.popleft()
            self._timeline.at(at, len(self._open), self._total.open)
            self._close(visit, Outcome.CLEAN, at)
        self._slot = self._timeline.at(now, len(self._open), self._total.open)
        turns = [self._timeline.end(now)]
        if self._extra:
            turns.append(self._extra[0][0])
        if self._rules.access.hours:
            minute = now // MINUTE_NS
            is_open = self._calendar.is_open(*self._rules.clock(minute * 60))
            self._engine.hours_closed = "" if is_open else "no hours match"
            turns.append((minute + 1) * MINUTE_NS)
        self._turn = min(turns)


def _stands(rules: Rules) -> frozenset[Reason]:
    """The reasons of the log that the engine cannot judge again, while the rules still ask for them."""
    asked = {
        Reason.HOSTS_ACCESS: rules.access.hosts_access,
        Reason.LOAD: rules.limits.max_load != UNLIMITED,
        Reason.PROXY_HEADER: bool(rules.proxy_protocol.accept_from),
    }
    return frozenset(
        {Reason.LOOP, Reason.TOTAL_CONNECTIONS, *(reason for reason, asks in asked.items() if asks)}
    )
