"""What one thing costs by itself: the same super-server with and without it (scenarios ``log`` and ``rules``)."""

from __future__ import annotations

from functools import partial

from peers import Launch, Peer, Site, superd, xinetd

_SUCCESS = "PID HOST EXIT DURATION"
"""What xinetd tells of a connection: as much of it as superd does."""

LOGS = (
    Peer("superd", "superd, text log", superd),
    Peer("superd-json", "superd, JSON log", partial(superd, log_format="json")),
    Peer("superd-null", "superd, text log to /dev/null", partial(superd, log="/dev/null")),
    Peer("xinetd", "xinetd, no log", xinetd, "xinetd"),
    Peer("xinetd-log", "xinetd, log", partial(xinetd, log_on_success=_SUCCESS), "xinetd"),
)

_NETWORKS = tuple(f"10.{number // 256}.{number % 256}.0/24" for number in range(1000))

_RULES = f"""
[services.echo.access]
allow = ["127.0.0.0/8"]
deny = [{", ".join(f'"{network}"' for network in _NETWORKS)}]

[services.echo.limits]
rate = "1000000/s"
rate_per_source = "1000000/s"
max_connections = 1000
max_connections_per_source = 500
penalty = "30s"
penalty_failed = "5s"
"""
"""Everything on, and nothing that refuses: what is measured is the looking."""


def _judging_xinetd(site: Site) -> Launch:
    more = f"only_from = 127.0.0.0/8\n    no_access = {' '.join(_NETWORKS)}\n    instances = 1000"
    return xinetd(site, log_on_success=_SUCCESS, per_source="500", more=more)


POLICIES = (
    Peer("superd", "superd, no rules", partial(superd, log_format="json")),
    Peer(
        "superd-rules",
        "superd, 1,000 networks, every limit",
        partial(superd, log_format="json", limits=_RULES),
    ),
    Peer("xinetd-log", "xinetd, no rules", partial(xinetd, log_on_success=_SUCCESS), "xinetd"),
    Peer("xinetd-rules", "xinetd, 1,000 networks, limits", _judging_xinetd, "xinetd"),
)
