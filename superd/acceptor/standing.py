"""How a service stands with its limits, as plain data: what is set, what is used, what was refused, who comes most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from time import monotonic_ns
from typing import Any

from superd.acceptor.services import Service
from superd.acceptor.tuning import Tuning
from superd.config.dump import policy_tables
from superd.policy.engine import Engine
from superd.policy.penalties import Ban
from superd.policy.rules import NS_PER_S, UNLIMITED
from superd.policy.tally import MINUTE_NS

MOST_SHOWN = 5
"""Of the busiest sources."""

MOST_BANS = 1_000
"""In one answer. There may be as many as a million, and nobody is served while they are spelt out."""


def standing(service: Service, tuning: Tuning) -> dict[str, Any]:
    """What ``superctl limits`` prints of one service."""
    engine, now = service.engine, monotonic_ns()
    tables = policy_tables(engine.limits, engine.access_rules, engine.proxy_protocol, all_keys=True)
    return {
        "limits": tables["limits"],
        "access": tables["access"],
        "proxy_protocol": tables["proxy_protocol"],
        "use": {
            key: {"used": used, "free": free, "note": note} for key, used, free, note in _use(engine, now)
        },
        "refused": {
            "minute": dict(engine.tally.within(MINUTE_NS, now)),
            "hour": dict(engine.tally.within(60 * MINUTE_NS, now)),
            "total": dict(service.refused),
        },
        "busiest": list(_busiest(engine)),
        "tuned": tuning.as_dict(),
    }


def _use(engine: Engine, now: int) -> Iterator[tuple[str, float, float | None, str]]:
    """Key, what is used, what is left (None: no limit), and what to say of it."""
    limits = engine.limits
    yield "max_connections", engine.open, _left(limits.max_connections, engine.open), ""
    key, most = max(engine.per_source(), key=lambda pair: pair[1], default=(0, 0))
    note = engine.source(key) if most else ""
    yield "max_connections_per_source", most, _left(limits.max_connections_per_source, most), note
    tokens = engine.tokens(now)
    if tokens is not None:
        yield "rate", (limits.burst or limits.rate.count) - tokens, tokens, "of the burst"
    if limits.rate_per_source.count:
        yield "rate_per_source", engine.sources, limits.max_sources - engine.sources, "sources remembered"
    if limits.penalty_s or limits.penalty_failed_s or limits.penalty_crashed_s:
        yield "penalty", sum(1 for _ in engine.bans(now)), None, "sources penalised"
    if limits.max_load != UNLIMITED:
        load = engine.total.load
        yield "max_load", round(load, 2), round(max(0.0, limits.max_load - load), 2), ""


def _left(most: int, used: int) -> int | None:
    return None if most == UNLIMITED else max(0, most - used)


def _busiest(engine: Engine) -> Iterator[dict[str, Any]]:
    open_now = dict(engine.per_source())
    for key, offers in engine.busiest.top(MOST_SHOWN):
        yield {"source": engine.source(key), "offers": offers, "open": open_now.get(key, 0)}


def bans(services: Iterable[Service], most: int = MOST_BANS) -> tuple[list[dict[str, Any]], int]:
    """Sources that are refused for what they did, and how many more there are than so many."""
    now = monotonic_ns()
    found = ((service, ban) for service in services for ban in service.engine.bans(now))
    shown = [ban_shown(service, ban) for service, ban in islice(found, most)]
    return shown, sum(1 for _ in found)


def ban_shown(service: Service, ban: Ban) -> dict[str, Any]:
    """A source that a service refuses for what it did."""
    return {
        "service": service.settings.name,
        "source": service.engine.source(ban.key),
        "seconds": round(ban.left_ns / NS_PER_S, 1),
        "strikes": ban.strikes,
    }
