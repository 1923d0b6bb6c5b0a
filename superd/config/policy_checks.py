"""What no single key of the policy shows: keys that mean nothing, or something else, beside each other.

The same checks serve the loader and the tuning of a service that runs. A key that only stands in ``[defaults]`` is
never blamed for what a service lacks, since it may be meant for the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from attrs import frozen

from superd.policy.rules import NO_RATE, Access, Limits, ProxyProtocol
from superd.units import format_duration, format_size

MAX_LIST_BYTES = 1 << 20
"""What the lists of one service may hold in all: the acceptor is told all of it in few messages."""

_LISTS = ("limits.exempt", "access.allow", "access.deny", "access.hours", "proxy_protocol.accept_from")


@frozen
class Policy:
    """The three tables of one service together."""

    limits: Limits
    access: Access
    proxy_protocol: ProxyProtocol


@frozen
class Written:
    """Which keys somebody wrote, by their dotted names (``limits.rate``).

    Args:
        here: for this service itself.
        anywhere: these, and those that it has from ``[defaults]``.
        together: those of one table, which are held against each other.
    """

    here: Collection[str]
    anywhere: Collection[str]
    together: Collection[Collection[str]]


@frozen
class Clash:
    """A key that does not fit another.

    Args:
        key: the one to change.
        other: the one it does not fit; the same when there is none.
        problem: what is wrong, in a few words.
        remedy: what to write instead.
    """

    key: str
    other: str
    problem: str
    remedy: str


def clashes(policy: Policy, written: Written) -> Iterator[Clash]:
    """Everything that does not fit together in the policy of one service."""
    yield from _pointless(policy, written)
    yield from _disordered(policy.limits, written)
    yield from _too_many(policy)


def _pointless(policy: Policy, written: Written) -> Iterator[Clash]:
    """Keys that say more about something that was never asked for."""
    limits = policy.limits
    rows = (
        ("limits.burst", "limits.rate", limits.rate != NO_RATE, 'rate = "50/s"'),
        ("limits.burst_per_source", "limits.rate_per_source", limits.rate_per_source != NO_RATE,
         'rate_per_source = "60/min"'),
        ("limits.penalty", "limits.rate_per_source", limits.rate_per_source != NO_RATE or not limits.penalty_s,
         'rate_per_source = "60/min"'),
        ("proxy_protocol.timeout", "proxy_protocol.accept_from", bool(policy.proxy_protocol.accept_from),
         'accept_from = ["192.0.2.1"]'),
    )  # fmt: skip
    for key, other, asked, example in rows:
        if key in written.here and not asked and other not in written.anywhere:
            name = other.rpartition(".")[2]
            yield Clash(key, other, f"means nothing without {name}", f"remove it, or write {example} too")


def _disordered(limits: Limits, written: Written) -> Iterator[Clash]:
    """Numbers of which one must not be above another."""
    longest = format_duration(limits.penalty_max_s)
    if limits.penalty_s > limits.penalty_max_s:
        yield _one_of("limits.penalty", "limits.penalty_max", limits.penalty_s, longest, written)
    in_debt = limits.penalty_failed_s or limits.penalty_crashed_s
    if in_debt and limits.penalty_min_s > limits.penalty_max_s:
        yield _one_of("limits.penalty_min", "limits.penalty_max", limits.penalty_min_s, longest, written)
    pair = {"limits.max_connections_per_source", "limits.max_connections"}
    total, each = limits.max_connections, limits.max_connections_per_source
    if each > total > 0 and any(pair <= set(keys) for keys in written.together):
        remedy = f"write at most {total}, or a larger max_connections"
        yield Clash(
            "limits.max_connections_per_source", "limits.max_connections", "above max_connections", remedy
        )


def _one_of(key: str, top: str, seconds: float, longest: str, written: Written) -> Clash:
    """Two times in the wrong order, said of the one that was written; of the upper one, when both were."""
    name, top_name = key.rpartition(".")[2], top.rpartition(".")[2]
    least = format_duration(seconds)
    if top in written.anywhere:
        return Clash(top, key, f'shorter than {name} ("{least}")', f'write at least "{least}"')
    return Clash(
        key, top, f'longer than {top_name} ("{longest}")', f'write {top_name} = "{least}" or more too'
    )


def _too_many(policy: Policy) -> Iterator[Clash]:
    sizes = {key: _size_bytes(policy, key) for key in _LISTS}
    total = sum(sizes.values())
    if total > MAX_LIST_BYTES:
        largest = max(sizes, key=lambda key: sizes[key])
        problem = f"the lists of the service are {total} bytes in all"
        remedy = f"write larger networks, {format_size(MAX_LIST_BYTES)} at most"
        yield Clash(largest, largest, problem, remedy)


def _size_bytes(policy: Policy, key: str) -> int:
    table, _, name = key.partition(".")
    texts = getattr(getattr(policy, table), name)
    return sum(len(text.encode()) for text in texts)
