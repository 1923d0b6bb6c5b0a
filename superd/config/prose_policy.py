"""The parts of superd.toml(5) about the policy of a service that are written by hand, in mdoc(7)."""

from __future__ import annotations

from collections.abc import Mapping

INTROS: Mapping[str, str] = {
    "limits": r"""
.Nm superd
counts by service and by source.
A source is an address, or as much of one as
.Ic source_prefix_ipv4
and
.Ic source_prefix_ipv6
say, and on a unix socket the user at the other end.
What is over a limit is refused, or waits, by itself: no client can switch a service off for the others.
See
.Sx DECISIONS .
""",
    "access": r"""
Lists are made of addresses
.Pq Li \(dq192.0.2.1\(dq ,
networks
.Pq Li \(dq192.0.2.0/24\(dq , Li \(dq2001:db8::/32\(dq
and, in
.Ic allow
and
.Ic deny ,
host names, each of which stands for its addresses.
.Li \(dq0.0.0.0/0\(dq
is all of IPv4 and
.Li \(dq::/0\(dq
all of IPv6.
An IPv4 client is one, whichever socket it came through.
An empty list is a fault, since it could mean everybody or nobody.
.Pp
Hours are weekdays and times of day, or either of them:
.Li \(dqMon..Fri 08:00-18:00\(dq ,
.Li \(dqSat,Sun\(dq ,
.Li \(dq08:00-12:00,13:00-17:00\(dq .
A time ends before the minute that is its end, and one that passes midnight, as
.Li \(dq22:00-06:00\(dq ,
belongs to the day on which it begins.
""",
    "proxy_protocol": r"""
A proxy in front of a service hides its clients, unless it says in a PROXY header who they are.
Such a client is then judged, counted and shown in place of the proxy, in the program's environment too.
superd is such a proxy itself where it forwards.
""",
}
"""What stands above the keys of a table, by its name."""

DECISIONS = r"""
.Sh DECISIONS
Each connection, and with UDP the first datagram of each peer, is asked about in this order; the first no decides:
.Bl -enum -compact
.It
access: its address, hosts.allow and hosts.deny, and the hours, all of which must admit it;
.It
the PROXY header, where one is required, and access again for the client that it names;
.It
penalties and debts of its source;
.It
the load of the machine;
.It
the connections and the rate of its source;
.It
the connections and the rate of the service;
.It
the connections of all services.
.El
.Pp
The door is closed to whoever is refused, after the text of
.Ic banner_denied
or
.Ic banner_limited
where there is one.
The log and
.Ql superctl status
give the reason in one word:
.Bl -tag -width Ds
@REASONS@
.El
.Ss Rates
A rate is a bucket of
.Ic burst
tokens that fills at that rate, and each connection takes one.
In any window
.Ar W
at most burst + rate *
.Ar W
are admitted, whatever the clients do.
.Ss Penalties
A source that is over
.Ic rate_per_source
is refused for
.Ic penalty .
Each further offence doubles that, up to
.Ic penalty_max ;
once the source has kept quiet for
.Ic penalty_max
all is forgotten.
.Pp
What becomes of its children counts too, after
.Xr sshd_config 5 :
one that ends with a failure adds
.Ic penalty_failed
to the debt of its source, one that a signal ends
.Ic penalty_crashed .
Debt wears off second by second and is never more than
.Ic penalty_max .
A debt of
.Ic penalty_min
or more closes the door until it has worn off.
.Ss Queueing
With
.Ic on_excess No = Li \(dqqueue\(dq
.Nm superd
stops taking connections off a listener while a limit of its whole service is reached, so that short peaks are
served late instead of never.
The kernel's queue cannot be sorted by source, so what is over a limit of its source is refused all the same.
And the queue is everybody's: a flood fills it up to
.Ic backlog ,
and then those who mean well wait behind the flood or find no place.
Where strangers can reach the service,
.Li \(dqrefuse\(dq
with a limit for each source is the safer choice.
.Ss Programs that own their socket
With
.Ic mode No = Li \(dqwait\(dq
and
.Li \(dqalways\(dq
the program accepts connections itself, and
.Nm superd
never sees them.
So there are no access, no limits of a source and no PROXY headers there, and
.Ic rate
counts how often the program is started.
Datagrams are the exception: with
.Ic mode No = Li \(dqwait\(dq
and datagram listeners alone, the one that would start the program is judged by its source, until the program owns the
socket.
.Pp
The source of a datagram is what its sender wrote there.
Where the network does not keep forged ones out, a stranger can use up what another source may have, or earn it a
penalty; with UDP, limits of a source are for networks that can be trusted in this.
"""
