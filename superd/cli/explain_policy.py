"""Who may come to a service, and how many, in plain words: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Table = Mapping[str, Any]

_EXCESS = {
    "refuse": "What is too much is closed",
    "reset": "What is too much is reset",
    "queue": "What is too much of one source is closed; what is too much for the service waits in the kernel",
}


def policy_sentences(service: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for each rule that is in force.

    Args:
        service: its mode, and its tables as TOML has them, every key that means something included.
    """
    mode, limits = service["mode"], service["limits"]
    sees_peers = mode == "nowait" or (mode == "wait" and "wait-datagrams" in service["traits"])
    if not sees_peers:
        yield "superd does not see its connections, so all who can reach the port are admitted."
        yield from _starts(limits)
        return
    yield from _access(service["access"])
    yield from _proxies(service["proxy_protocol"])
    if mode == "nowait":
        yield _at_once(limits)
    yield from _rates(limits)
    yield from _penalties(limits)
    if "exempt" in limits:
        yield f"None of these limits holds for {_and(limits['exempt'])}."
    if mode == "nowait":
        yield f"{_EXCESS[limits['on_excess']]}; nobody else notices."


def _access(access: Table) -> Iterator[str]:
    allow, deny = access.get("allow"), access.get("deny")
    if allow:
        yield f"Admitted are {_and(allow)}, and nobody else."
    if deny:
        yield f"Refused are {_and(deny)}{'; of two lines the more specific one decides' if allow else ''}."
    if access.get("hosts_access"):
        yield "hosts.allow and hosts.deny must admit a client too."
    if access.get("hours"):
        yield f"Open {_and(access['hours'])}."
    if not (allow or deny or access.get("hosts_access") or access.get("hours")):
        yield "Everybody who can reach the port is admitted."


def _proxies(proxy_protocol: Table) -> Iterator[str]:
    if "accept_from" in proxy_protocol:
        yield (
            f"Connections from {_and(proxy_protocol['accept_from'])} must begin with a PROXY header, "
            "and the client it names is the one that counts."
        )


def _at_once(limits: Table) -> str:
    four, six = limits["source_prefix_ipv4"], limits["source_prefix_ipv6"]
    own, all_ = limits["max_connections_per_source"], limits["max_connections"]
    source = f"one source ({'an IPv4 address' if four == 32 else f'a /{four} of IPv4'}, or a /{six} of IPv6)"
    return f"At once it serves {_most(all_)}, and of {source} {_most(own)}."


def _most(number: object) -> str:
    return "any number of connections" if number == "infinity" else f"at most {number}"


def _rates(limits: Table) -> Iterator[str]:
    for key, burst, whose in (
        ("rate", "burst", "in all"),
        ("rate_per_source", "burst_per_source", "of one source"),
    ):
        rate = limits[key]
        if rate != "infinity":
            yield f"{rate} are admitted {whose}, in bursts of {limits.get(burst) or rate.partition('/')[0]}."


def _starts(limits: Table) -> Iterator[str]:
    if limits["rate"] != "infinity":
        burst = limits.get("burst") or limits["rate"].partition("/")[0]
        yield f"Its process is started {limits['rate']} at the most, in bursts of {burst}."


def _penalties(limits: Table) -> Iterator[str]:
    if limits["penalty"] != "0s":
        yield (
            f"A source over its rate is refused for {limits['penalty']}, "
            f"each time twice as long, up to {limits['penalty_max']}."
        )
    costs = [
        f"{limits[key]} for each child that {how}"
        for key, how in (("penalty_failed", "fails"), ("penalty_crashed", "a signal ends"))
        if limits[key] != "0s"
    ]
    if costs:
        yield f"A source owes {' and '.join(costs)}; from {limits['penalty_min']} on it is refused until that is over."
    if limits["max_load"] != "infinity":
        yield f"While the load average is above {limits['max_load']} nobody is admitted."


def _and(words: list[str]) -> str:
    most = [*words[:5], f"{len(words) - 5} more"] if len(words) > 6 else words
    return " and ".join(part for part in (", ".join(most[:-1]), most[-1]) if part)
