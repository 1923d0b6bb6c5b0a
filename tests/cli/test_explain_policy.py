"""superctl explain: who may come, and how many, in words."""

from __future__ import annotations

from typing import Any

import pytest

from superd.cli.explain_policy import policy_sentences
from superd.config.dump import policy_tables
from superd.policy.rules import NS_PER_S, UNLIMITED, Access, Limits, OnExcess, ProxyProtocol, Rate


def told(
    limits: Limits | None = None, access: Access | None = None, *, mode: str = "nowait", **more: Any
) -> str:
    proxy_protocol = ProxyProtocol(more.get("accept_from", ()))
    tables = policy_tables(limits or Limits(), access or Access(), proxy_protocol, all_keys=True)
    return "\n".join(policy_sentences({"mode": mode, "traits": more.get("traits", ()), **tables}))


def test_the_defaults() -> None:
    assert told().splitlines() == [
        "Everybody who can reach the port is admitted.",
        "At once it serves at most 256, and of one source (an IPv4 address, or a /64 of IPv6) at most 64.",
        "What is too much is closed; nobody else notices.",
    ]


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(max_connections=UNLIMITED), "serves any number of connections"),
        (Limits(source_prefix_ipv4=24), "(a /24 of IPv4, or a /64 of IPv6)"),
        (Limits(rate=Rate(5), burst=9), "5/s are admitted in all, in bursts of 9."),
        (
            Limits(rate_per_source=Rate(60, 60 * NS_PER_S)),
            "60/min are admitted of one source, in bursts of 60.",
        ),
        (
            Limits(rate_per_source=Rate(1), penalty_s=30),
            "refused for 30s, each time twice as long, up to 10min.",
        ),
        (Limits(penalty_failed_s=5), "A source owes 5s for each child that fails; from 15s on"),
        (Limits(max_load=8.0), "While the load average is above 8.0 nobody is admitted."),
        (Limits(exempt=("10.0.0.0/8",)), "None of these limits holds for 10.0.0.0/8."),
        (Limits(on_excess=OnExcess.QUEUE), "waits in the kernel"),
    ],
)
def test_limits(limits: Limits, sentence: str) -> None:
    assert sentence in told(limits)


@pytest.mark.parametrize(
    ("access", "sentence"),
    [
        (Access(allow=("192.0.2.1", "192.0.2.2")), "Admitted are 192.0.2.1 and 192.0.2.2, and nobody else."),
        (Access(deny=("192.0.2.66",)), "Refused are 192.0.2.66."),
        (Access(allow=("192.0.2.0/24",), deny=("192.0.2.66",)), "of two lines the more specific one decides"),
        (Access(allow=tuple(f"192.0.2.{n}" for n in range(1, 99))), "192.0.2.5 and 93 more"),
        (Access(hours=("Mon..Fri",)), "Open Mon..Fri."),
        (Access(hosts_access=True), "hosts.allow and hosts.deny must admit a client too."),
    ],
)
def test_access(access: Access, sentence: str) -> None:
    assert sentence in told(access=access)
    assert "Everybody" not in told(access=access)


def test_proxies() -> None:
    assert "Connections from 10.0.0.1 must begin with a PROXY header" in told(accept_from=("10.0.0.1",))


def test_what_superd_does_not_see_it_does_not_promise() -> None:
    assert told(Limits(rate=Rate(2)), mode="always").splitlines() == [
        "superd does not see its connections, so all who can reach the port are admitted.",
        "Its process is started 2/s at the most, in bursts of 2.",
    ]
    assert "Refused are" in told(access=Access(deny=("192.0.2.1",)), mode="wait", traits=("wait-datagrams",))
