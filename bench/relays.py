"""What carries a port to another one, side by side: for each relay how it is configured and started."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen
from peers import GROUP, USER, Launch, Site, debian

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
    config = site.write(
        "superd.toml",
        f"""\
[superd]
control = "{site.directory}/control.sock"
log = "{site.directory}/log"
max_connections = "infinity"

[services.relay]
listen = ["tcp://127.0.0.1:{site.port}"]
forward = "tcp://127.0.0.1:{backend}"

[services.relay.limits]
max_connections = "infinity"
max_connections_per_source = "infinity"
""",
    )
    return Launch((site.python, "-m", "superd", "-f", config))


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
    config = site.write(
        "xinetd.conf",
        f"""\
defaults
{{
    log_type = FILE {site.directory}/log
    log_on_success =
    instances = UNLIMITED
    per_source = UNLIMITED
    cps = 100000 1
}}
service relay
{{
    type = UNLISTED
    flags = NOLIBWRAP
    socket_type = stream
    protocol = tcp
    bind = 127.0.0.1
    port = {site.port}
    wait = no
    user = {USER}
    redirect = 127.0.0.1 {backend}
}}
""",
    )
    files = ("-f", config, "-filelog", f"{site.directory}/daemon.log", "-pidfile", f"{site.directory}/pid")
    return debian(site, "xinetd", "usr/sbin/xinetd", "-dontfork", *files)


RELAYS = (
    Relay("superd-forward", "superd forward, text log", superd),
    Relay("haproxy", "haproxy, 1 thread, splice", haproxy, "haproxy", holds_many=False),
    Relay("socat", "socat, fork", socat, "socat", holds_many=False),
    Relay("xinetd-redirect", "xinetd redirect, no log", xinetd, "xinetd", holds_many=False),
)
