"""All there is to tell of a replay, what was taken for granted included, and the same as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from attrs import frozen

from superd.cli.logfile import Log
from superd.config.dump import policy_tables
from superd.policy.reason import Reason
from superd.policy.replay import Rules
from superd.policy.replayed import Result, Side, Source
from superd.policy.rules import NS_PER_S, UNLIMITED, Access, Limits, OnExcess, ProxyProtocol
from superd.policy.suggest import Suggestion
from superd.policy.traffic import Traffic
from superd.units import format_duration

_PROPOSED = (
    "max_connections",
    "max_connections_per_source",
    "rate",
    "burst",
    "rate_per_source",
    "burst_per_source",
)


@frozen
class Account:
    """All that is to be told.

    Args:
        notes: what was taken for granted, one sentence each.
        percent: that ``--suggest`` was given; None without it.
        suggestion: None where nothing was asked for, or nobody behaved.
    """

    service: str
    log: Log
    rules: Rules
    result: Result
    notes: tuple[str, ...]
    percent: Fraction | None = None
    suggestion: Suggestion | None = None

    @property
    def traffic(self) -> Traffic:
        """What was replayed."""
        return self.log.traffic

    @property
    def all_notes(self) -> list[str]:
        """The notes, with those that the log and the rules ask for."""
        return [*self.notes, *_notes(self)]


# --- notes ---


def _notes(account: Account) -> Iterator[str]:
    log, rules, result = account.log, account.rules, account.result
    if log.faulty:
        more = f", and {log.faulty - len(log.told):,} more" if log.faulty > len(log.told) else ""
        yield f"{counted_noun(log.faulty, 'line')} could not be read: {'; '.join(log.told)}{more}."
    if log.unnamed:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in log.unnamed.items())
        yield f"The log counts further refusals without naming them, which cannot be replayed: {reasons}."
    if result.open_before:
        yield f"{counted_noun(result.open_before, 'connection')} began before the log does."
    if result.newly_admitted:
        stay = format_duration(round(rules.stay_ns / NS_PER_S, 3 if rules.stay_ns < 10 * NS_PER_S else 0))
        yield f"Who is newly admitted stays for {stay}, as long as the median child ran."
    yield from _left_out(rules, result)


def _left_out(rules: Rules, result: Result) -> Iterator[str]:
    if rules.access.hosts_access:
        yield "hosts.allow and hosts.deny are left out: whom they refused in the log stays refused."
    if rules.limits.max_load != UNLIMITED:
        yield "max_load is left out: who was refused for it in the log stays refused."
    stays = [reason for reason in (Reason.TOTAL_CONNECTIONS, Reason.LOOP) if reason in result.then.refused]
    if rules.proxy_protocol.accept_from and Reason.PROXY_HEADER in result.then.refused:
        stays.append(Reason.PROXY_HEADER)
    if stays:
        yield f"Who was refused for {' or '.join(stays)} stays refused."
    waits = result.replayed.refused.keys() & {Reason.CONNECTIONS, Reason.RATE}
    if rules.limits.on_excess is OnExcess.QUEUE and waits:
        yield f"on_excess is queue: who is refused here for {' or '.join(sorted(waits))} would have waited."


def counted_noun(number: int, noun: str) -> str:
    """``1 line``, ``1,200 lines``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# --- JSON ---


def account_json(account: Account) -> dict[str, Any]:
    """The same as one object; fields may be added, none changes."""
    result, log = account.result, account.log
    return {
        "service": account.service,
        "from": _iso(account.traffic.period[0]),
        "to": _iso(account.traffic.period[1]),
        "lines": log.lines,
        "faulty_lines": log.faulty,
        "rules": _rules_json(account.rules),
        "came": result.came,
        "sources": result.sources_that_came,
        "log": _side_json(account, result.then) | {"refused_unnamed": dict(log.unnamed)},
        "replayed": _side_json(account, result.replayed)
        | {"sources_refused": {reason: result.concerned(reason) for reason in result.replayed.refused}},
        "newly_refused": result.newly_refused,
        "newly_admitted": result.newly_admitted,
        "open_before": result.open_before,
        "starts": result.starts,
        "starts_delayed": result.starts_delayed,
        "most_refused": [_source_json(result.name(key), source) for key, source in result.most_refused()],
        "notes": account.all_notes,
        **_suggestion_json(account),
    }


def _iso(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // NS_PER_S, UTC).isoformat()


def _rules_json(rules: Rules) -> Mapping[str, object]:
    return policy_tables(rules.limits, rules.access, rules.proxy_protocol, all_keys=True)


def _side_json(account: Account, side: Side) -> dict[str, Any]:
    return {
        "admitted": side.admitted,
        "refused": dict(side.refused),
        "most_open": side.most_open,
        "most_open_of_a_source": side.most_open_of,
        "busiest_source": None if side.busiest is None else account.result.name(side.busiest),
        "most_in_a_second": side.second.most,
        "most_in_a_minute": side.minute.most,
    }


def _source_json(name: str, source: Source) -> dict[str, Any]:
    return {
        "source": name,
        "came": source.came,
        "refused": dict(source.refused),
        "served_in_log": source.served,
        "ended_in_log": source.ended,
        "ended_badly_in_log": source.bad,
    }


def _suggestion_json(account: Account) -> dict[str, Any]:
    found = account.suggestion
    if found is None:
        return {}
    return {
        "suggestion": {
            "limits": proposed(found.limits),
            "sources_that_behaved": found.behaved,
            "may_refuse": found.may_refuse,
            "does_refuse": found.does_refuse,
            "replayed": _side_json(account, found.result.replayed),
        }
    }


def proposed(limits: Limits) -> dict[str, object]:
    """The keys that ``--suggest`` gives a value, as the configuration has them."""
    table = policy_tables(limits, Access(), ProxyProtocol(), all_keys=True)["limits"]
    return {key: table[key] for key in _PROPOSED}
