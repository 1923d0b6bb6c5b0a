"""The super-servers with the limits that their manuals offer against a client that floods them.

All of them allow about a hundred connections a second, far more than the other client makes. Each logs what it can to
a file; openbsd-inetd and tcpserver have no log of their own for it.
"""

from __future__ import annotations

from functools import partial

from peers import Launch, Peer, Site, accept_close, openbsd_inetd, superd, tcpserver, xinetd

MOST_A_SECOND = 100
MOST_AT_ONCE = 3

_LIMITS = f"""
[services.echo.limits]
rate_per_source = "{MOST_A_SECOND}/s"
max_connections_per_source = {MOST_AT_ONCE}
"""


def _xinetd(site: Site, cps: str = "100000 1", per_source: str = "UNLIMITED") -> Launch:
    return xinetd(
        site,
        log_on_success="PID HOST EXIT DURATION",
        log_on_failure="HOST",
        cps=cps,
        per_source=per_source,
    )


LIMITED = (
    Peer(
        "superd",
        f"superd, rate_per_source = {MOST_A_SECOND}/s",
        partial(superd, log_format="json", limits=_LIMITS),
    ),
    Peer(
        "superd-penalty",
        "superd, the same and penalty = 30s",
        partial(superd, log_format="json", limits=_LIMITS + 'penalty = "30s"\n'),
    ),
    Peer(
        "xinetd-cps",
        f"xinetd, cps = {MOST_A_SECOND} 10",
        partial(_xinetd, cps=f"{MOST_A_SECOND} 10"),
        "xinetd",
    ),
    Peer(
        "xinetd-per-source",
        f"xinetd, per_source = {MOST_AT_ONCE}",
        partial(_xinetd, per_source=str(MOST_AT_ONCE)),
        "xinetd",
    ),
    Peer("openbsd-inetd", "openbsd-inetd, nowait.1000", partial(openbsd_inetd, most=1000), "openbsd-inetd"),
    Peer(
        "tcpserver",
        f"tcpserver, -c {MOST_AT_ONCE} (no limit a client)",
        partial(tcpserver, most=MOST_AT_ONCE),
        "ucspi-tcp",
    ),
)
"""``nowait.1000`` is per minute; 256 is the default, which a quiet minute of the other client would reach already."""

BYSTANDER = Peer("bystander", "the flood hits another server", accept_close)
"""What the load generator is measured against, and what the flood costs by sharing the machine."""
