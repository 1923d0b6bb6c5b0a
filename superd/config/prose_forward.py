"""The section of superd.toml(5) about forwards, in mdoc(7)."""

from __future__ import annotations

FORWARDS = r"""
.Sh FORWARDS
With
.Ic forward
.Nm superd
connects to a backend for each client that is admitted and carries what either says to the other, without a process
and without a privilege:
.Bl -tag -width Ds
.It Ic tcp:// Ns Ar HOST Ns Ic \&: Ns Ar PORT
A TCP server.
The host is an address, an IPv6 one in brackets,
.Ql localhost ,
or a name, which is looked up when the service comes up, every five minutes, and again when none of its addresses can
be reached.
Several addresses are tried in turn, first the one that answered last.
.It Ic unix:// Ns Ar PATH
A server on a unix socket; the path, or
.Ic @ Ns Ar NAME
in the abstract namespace, must be one that superd's own user may connect to.
.It Ic udp:// Ns Ar HOST Ns Ic \&: Ns Ar PORT
A UDP server; see below.
.El
.Pp
Everything that decides about connections holds:
.Ic limits , access ,
.Ic proxy_protocol
and
.Ic runtime_max .
A half-close is passed on as one, a reset as one, and what TCP calls urgent as ordinary bytes in their place.
Who reads slowly makes its own peer wait and nobody else.
A connection on which nothing moves for
.Ic idle_timeout
is ended; without it, and without
.Ic keep_alive
of its
.Ic socket
table, a client that has vanished is not missed.
.Pp
A backend has 5 seconds to accept, in which it is tried again and again, so it may be restarted under its clients.
If it does not, the client is let go, and the log says why.
.Pp
Keys about a process mean nothing without
.Ic exec
and are a fault.
Connections end with
.Nm superd
itself, and with the process that carries them should it die; they outlive a reload, even one that removes their
service.
.Ss A backend on demand
With
.Ic exec
beside
.Ic forward
that program is the backend.
The first connection starts it, as its
.Ic user ,
and waits up to 30 seconds for it to accept.
It is not given the listening socket: it must listen at the target by itself, its standard input and output are
.Pa /dev/null .
When it has had no connection for
.Ic idle_timeout
it is ended, with
.Ic kill_signal
and
.Ic timeout_stop ,
and the next connection starts it again; after failures that waits as with
.Ic mode No = Li \(dqwait\(dq .
A reload that changes the service ends it too, with its connections, and so does
.Ic runtime_max .
.Ss Datagrams
With
.Ic udp://
each client, which is an address and a port, has a session: a socket of superd's that is connected to the backend, so
the backend sees a client each.
Its answers reach the client from the address that it asked.
A session ends when nothing was said for
.Ic idle_timeout ,
or when the backend's machine tells that nobody listens there; the next datagram begins another.
Sessions count as connections for
.Ic limits .
Where
.Ic on_excess No = Li \(dqqueue\(dq
would leave a new client in the kernel's queue it is refused, since the queue holds everybody's datagrams.
"""
