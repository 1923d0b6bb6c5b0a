"""Sources that are refused for a while: for going over their rate, or because their children fail.

Over its rate: refused for ``penalty``, doubling with each further time up to ``penalty_max``, until the source has
kept quiet for ``penalty_max``. Children that fail or crash: each adds to a debt that wears off second by second; a debt
of ``penalty_min`` closes the door until it has worn off. Source: sshd_config(5), PerSourcePenalties.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, frozen

from superd.policy.rules import NS_PER_S, Limits

_SWEEP_NS = NS_PER_S
"""A table that is nearly full of penalised sources is not looked through again for that long: a stranger who fills it
would else have it looked through for each place that becomes free."""


@define
class _Record:
    """What is held against one source; times in ns.

    Args:
        until: refused until then; in the past: not refused.
        debt: when the debt of failed children will have worn off.
        strikes: how often it went over its rate.
        forget: when the strikes are forgotten.
    """

    until: int = 0
    debt: int = 0
    strikes: int = 0
    forget: int = 0


@frozen
class Ban:
    """A source that is being refused.

    Args:
        key: of the source, as ``networks.source_key`` made it.
        left_ns: for how long yet.
        strikes: how often it went over its rate; 0: its children failed.
    """

    key: int
    left_ns: int
    strikes: int


class Penalties:
    """Keeps the penalised sources, in bounded memory: who is being penalised is never forgotten for another.

    Args:
        most: sources that anything is held against. When it is reached, those that are not being refused are
            forgotten first; when all are being refused, a further one is not penalised: its rate alone holds it.
    """

    __slots__ = ("_max", "_min", "_most", "_next_sweep", "_penalty", "_records")

    def __init__(self, limits: Limits, most: int) -> None:
        self._records: dict[int, _Record] = {}
        self._next_sweep = 0
        self.retune(limits, most)

    def retune(self, limits: Limits, most: int) -> None:
        """Other durations for what comes; what is being served is served."""
        self._penalty = _ns(limits.penalty_s)
        self._max = _ns(limits.penalty_max_s)
        self._min = _ns(limits.penalty_min_s)
        self._most = most

    def __len__(self) -> int:
        return len(self._records)

    def is_penalised(self, key: int, now: int) -> bool:
        """Whether a source is being refused at ``now`` (ns)."""
        record = self._records.get(key)
        return record is not None and now < record.until

    def went_over(self, key: int, now: int) -> None:
        """A source went over its rate."""
        record = self._record(key, now) if self._penalty else None
        if record is None or now < record.until:
            return
        record.strikes = record.strikes + 1 if now < record.forget else 1
        record.until = now + min(self._max, self._penalty << min(record.strikes - 1, 40))
        record.forget = record.until + self._max

    def failed(self, key: int, seconds: float, now: int) -> None:
        """A child of a source ended badly, which costs it so many seconds."""
        record = self._record(key, now) if seconds > 0 else None
        if record is None:
            return
        record.debt = min(max(record.debt, now) + _ns(seconds), now + self._max)
        if record.debt - now >= self._min:
            record.until = max(record.until, record.debt)

    def pardon(self, key: int) -> bool:
        """Forget what is held against a source; whether there was anything."""
        return self._records.pop(key, None) is not None

    def bans(self, now: int) -> Iterator[Ban]:
        """Every source that is being refused."""
        for key, record in self._records.items():
            if now < record.until:
                yield _ban(key, record, now)

    def ban(self, key: int, now: int) -> Ban | None:
        """That of one source; None when it is not being refused."""
        record = self._records.get(key)
        return _ban(key, record, now) if record is not None and now < record.until else None

    def _record(self, key: int, now: int) -> _Record | None:
        """A source's record, made if need be; None when there is no room for another."""
        record = self._records.get(key)
        if record is None:
            if len(self._records) >= self._most:
                self._sweep(now)
            if len(self._records) >= self._most:
                return None
            record = self._records[key] = _Record()
        return record

    def _sweep(self, now: int) -> None:
        """Forget what is over; if that is not enough, everybody who is not being refused."""
        if now < self._next_sweep:
            return
        for is_kept in (_is_held, _is_refused):
            self._records = {key: record for key, record in self._records.items() if is_kept(record, now)}
            if len(self._records) <= self._most // 2:
                return
        self._next_sweep = now + _SWEEP_NS


def _ban(key: int, record: _Record, now: int) -> Ban:
    return Ban(key, record.until - now, record.strikes if now < record.forget else 0)


def _is_held(record: _Record, now: int) -> bool:
    return now < max(record.until, record.debt, record.forget)


def _is_refused(record: _Record, now: int) -> bool:
    return now < record.until


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
