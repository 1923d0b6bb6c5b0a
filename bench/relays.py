"""What carries a port to another one, side by side: for each relay how it is configured and started."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen
from peers import GROUP, USER, Launch, Site, debian, superd_of, xinetd_of

Start = Callable[[Site, int], Launch]
"""Given where it is to listen, and the port of the backend."""


@frozen
class Relay:
    """One row of the table.

    Args:
        package: the package of Debian's that has to be unpacked for it.
        holds_many: whether it is asked what a connection costs that says nothing.
    """

    name: str
    title: str
    start: Start
    package: str | None = None
    holds_many: bool = True


def superd(site: Site, backend: int) -> Launch:
    service = f"""\
[services.relay]
listen = ["tcp://127.0.0.1:{site.port}"]
forward = "tcp://127.0.0.1:{backend}"

[services.relay.limits]
max_connections = "infinity"
max_connections_per_source = "infinity"
"""
    return superd_of(site, 'max_connections = "infinity"', service)


def haproxy(site: Site, backend: int) -> Launch:
    config = site.write(
        "haproxy.cfg",
        f"""\
global
    nbthread 1
    maxconn 4000
    user {USER}
    group {GROUP}
defaults
    mode tcp
    option splice-auto
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend relay
    bind 127.0.0.1:{site.port}
    default_backend one
backend one
    server one 127.0.0.1:{backend}
""",
    )
    return debian(site, "haproxy", "usr/sbin/haproxy", "-db", "-f", config)


def socat(site: Site, backend: int) -> Launch:
    listen = f"TCP-LISTEN:{site.port},bind=127.0.0.1,su={USER},fork,reuseaddr,backlog=1024"
    return debian(site, "socat", "usr/bin/socat", listen, f"TCP:127.0.0.1:{backend}")


def xinetd(site: Site, backend: int) -> Launch:
    defaults = "log_on_success =\nper_source = UNLIMITED\ncps = 100000 1"
    return xinetd_of(site, defaults, f"redirect = 127.0.0.1 {backend}")


RELAYS = (
    Relay("superd-forward", "superd forward, text log", superd),
    Relay("haproxy", "haproxy, 1 thread, splice", haproxy, "haproxy", holds_many=False),
    Relay("socat", "socat, fork", socat, "socat", holds_many=False),
    Relay("xinetd-redirect", "xinetd redirect, no log", xinetd, "xinetd", holds_many=False),
)
