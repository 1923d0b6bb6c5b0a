"""What superd.toml(5) says of grants, in mdoc(7)."""

from __future__ import annotations

GRANTS_INTRO = r"""
A grant lets a user bind ports that only root may have, as
.Xr chown 1
gives him a file: the socket is his program's own, and superd has no part in what is done with it.
The program is started with
.Xr superd-bind 1 .
.Bd -literal -offset indent
[[grants]]
ports = ["tcp/80", "tcp/443"]
users = ["www"]

[[grants]]
ports = "udp/53"
addresses = ["192.0.2.1", "2001:db8::1"]
groups = ["dns"]
programs = ["/usr/sbin/nsd"]
.Ed
.Pp
Grants stand in the main file or in an included one, and are numbered in each file: the log calls these
.Ql /etc/superd.toml: grants[1]
and
.Ql grants[2] .
They only ever allow: a port is granted when one of them fits, and no grant forbids what another allows.
Every grant that is used and every port that is denied is logged, with the user, the process, its program, and the
grant that decided.
.Pp
Superd must run as root to have grants.
Root itself may bind anything, and needs none.
"""
