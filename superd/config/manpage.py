"""superd.toml(5), rendered from the table of keys and the prose below: ``python -m superd.config.manpage``.

The page is committed, and a test holds it equal to this rendering.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from superd.config.schema import KEYS, LIMIT_PREFIX, Key

EXAMPLE = """\
[superd]
log = "journal"
include = ["superd.d/*.toml"]

[defaults]
runtime_max = "1h"

[services.daytime]
listen = ["tcp://*:daytime"]
exec = ["/bin/date"]
user = "daemon"

[services.tftp]
listen = ["udp://192.0.2.1:69"]
mode = "wait"
exec = ["/usr/sbin/in.tftpd", "--secure", "/srv/tftp"]
user = "root"
limit_nofile = 64

[services.tftp.socket]
receive_buffer = "1MiB"
"""
"""The whole configuration that the page shows."""

_HEAD = r"""
.\" Written by superd.config.manpage from the table of keys; change it there.
.Dd November 23, 2026
.Dt SUPERD.TOML 5
.Os
.Sh NAME
.Nm superd.toml
.Nd configuration of the super-server superd
.Sh SYNOPSIS
.Pa /etc/superd.toml
.Sh DESCRIPTION
.Nm
says on which addresses
.Xr superd 8
listens, and which program it starts there as which user.
It is written in TOML and has these tables:
.Bl -tag -width Ds
.It Ic [superd]
The daemon itself.
Only in the main file.
.It Ic [defaults]
Any key of a service, for all services that do not set it themselves.
Socket options stand in
.Ic [defaults.socket] .
Only in the main file.
.It Ic [services. Ns Ar NAME Ns Ic \&]
One service.
Its name has up to 64 letters, digits and
.Ql _.@+- ,
a letter or digit first.
.It Ic [services. Ns Ar NAME Ns Ic .socket]
Options of its listening sockets.
.El
.Pp
.Ql superd --check
reports every fault of all files at once, each with its file, key and value and with what to write instead.
A file with faults is never used: at start
.Xr superd 8
ends with 78, and at reload it goes on with what it has.
.Ss A whole configuration
A daytime service, and a TFTP server that takes over its socket.
.Bd -literal -offset indent
@EXAMPLE@
.Ed
.Sh RULES
.Ss Precedence
What a service sets stands above
.Ic [defaults] ,
and that above the defaults printed here.
Tables are merged key by key, so a service's
.Ic environment
is added to that of
.Ic [defaults] ;
lists are replaced.
A default that a service cannot use, such as
.Ic no_delay
for one without TCP, is ignored there; written in the service itself it is a fault.
.Ss Units
A duration is a sum of numbers with units, as in
.Xr systemd.time 7 :
.Li \(dq90s\(dq ,
.Li \(dq1h 30min\(dq .
Units are us, ms, s, min, h, d, w, M and y, or their longer names.
A size is a number with B, K, M, G or T, each 1024 times the one before; KiB, MiB, GiB and TiB are the same.
A number without its unit is a fault.
.Li \(dqinfinity\(dq
lifts a limit.
.Ss Paths
Paths are absolute; only those of
.Ic include
are relative to the file they stand in.
.Ss Files
Every file is a regular one, UTF-8, of at most 16 MiB, owned by root or by whoever runs
.Xr superd 8 ,
and writable by nobody else; the folders and links that lead to it are theirs too.
Included files hold services alone, and a service stands in one file.
.Ss Groups
A program runs with its user's primary group and the groups the user is a member of.
.Ic group
replaces the first,
.Ic supplementary_groups
adds to the others, and
.Ic init_groups No = Li false
leaves those out.
A user given by a number that has no entry in
.Xr passwd 5
needs a
.Ic group .
.Sh LISTENERS
.Ic listen
is a list of addresses:
.Bl -tag -width Ds
.It Ic tcp:// Ns Ar HOST Ns Ic \&: Ns Ar PORT
A TCP socket;
.Ic tcp4://
and
.Ic tcp6://
use one family alone.
.It Ic udp:// Ns Ar HOST Ns Ic \&: Ns Ar PORT
A UDP socket;
.Ic udp4://
and
.Ic udp6://
use one family alone.
.It Ic unix:// Ns Ar PATH
A stream socket in the file system, or with
.Ic unix://@ Ns Ar NAME
in the abstract namespace.
A path has at most 107 bytes.
.It Ic unix-dgram:// Ns Ar PATH
A datagram socket; only with
.Ic mode No = Li \(dqwait\(dq
or
.Li \(dqalways\(dq .
.It Ic unix-seqpacket:// Ns Ar PATH
A socket of records that keeps connections.
.El
.Pp
The host is an IPv4 address, an IPv6 address in brackets (a link-local one with its interface:
.Ql [fe80::1%eth0] ) ,
.Ql localhost
or
.Ql * .
Other names are a fault, since a process that is root should ask no name server where to listen.
The port is 1 to 65535 or a name of
.Xr services 5 .
.Pp
.Ql *
is every address of both families.
With
.Ic mode No = Li \(dqnowait\(dq
that is an IPv4 socket and an IPv6 one, so that old programs see IPv4 clients as such; otherwise it is one socket
for both.
.Ql [::]
is IPv6 alone.
.Ss UDP and a child for each peer
With
.Ic mode No = Li \(dqnowait\(dq
each peer of a UDP listener, which is an address and a port, gets a child with a socket that is connected to it.
The child finds there the datagram that it was started for and all that follow from that peer, and nobody else's.
A peer whose child has ended is a new one.
.Pp
Such a child never reads an end of its input, so it must end by itself, or by
.Ic runtime_max .
A service that answers one datagram and keeps nothing in mind is cheaper with
.Ic mode No = Li \(dqwait\(dq .
.Pp
Answers come from the listener's address.
Where that is
.Ql *
they come from the one that the machine prefers towards the peer, so a machine with several addresses should name
those that are to be asked.
.Pp
The first datagrams reach the child through the loopback interface, with the peer as their source and no hops left to
live: a firewall must let them pass, and the port must not be one to which it redirects another.
That takes a raw socket, so a superd without
.Dv CAP_NET_RAW
turns such a service off.
"""

_CHILD = r"""
.Sh WHAT A CHILD SEES
With
.Ic mode No = Li \(dqnowait\(dq
descriptors 0 and 1 are the connection; otherwise they are the listening socket, and all of them are there from 3
on, in the order of
.Ic listen .
Descriptor 2 follows
.Ic standard_error .
No other descriptor is open, no signal is blocked or ignored, and the child leads a session of its own.
.Pp
Its environment holds
.Ev PATH ,
the
.Ev HOME , USER , LOGNAME
and
.Ev SHELL
of its user, what
.Ic pass_environment , environment_file
and
.Ic environment
add, and:
.Bl -tag -width Ds
.It Ev SUPERD_SERVICE
The service's name.
.It Ev PROTO , TCPREMOTEIP , TCPREMOTEPORT , TCPLOCALIP , TCPLOCALPORT
The connection, as ucspi-tcp names it; with UDP
.Ev PROTO
is
.Li UDP
and the others begin with that word.
.It Ev REMOTE_ADDR , REMOTE_PORT
The client, as
.Xr systemd.socket 5
names it.
.It Ev REMOTE_HOST
The client's address, as
.Xr xinetd 8
names it.
.It Ev LISTEN_FDS , LISTEN_PID , LISTEN_FDNAMES
The listening sockets, as
.Xr sd_listen_fds 3
reads them; not with
.Ic mode No = Li \(dqnowait\(dq .
.El
.Pp
Those of this list are superd's alone:
.Ic environment
and
.Ic pass_environment
cannot set them, nor any other that begins with
.Ev LISTEN_ , REMOTE_ , TCPLOCAL
or
.Ev TCPREMOTE .
"""

_TAIL = r"""
.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/superd.toml
The main file.
.It Pa /etc/superd.d/*.toml
Where
.Ic include
usually leads.
.El
.Sh DIAGNOSTICS
A fault is one line: file, key and value, what is wrong, and what to write:
.Bd -literal -offset indent
/etc/superd.toml: services.ftp.runtime_max = 10: no unit; write "10s"
.Ed
.Pp
Values of
.Ic environment
are never shown.
A key that is spelt as
.Xr systemd.socket 5 ,
.Xr xinetd.conf 5
or
.Xr launchd.plist 5
spells it is a fault that names superd's own.
.Pp
Two things are allowed, but warned of: a configuration without services, and services with different programs that
run as the same user, since they can attack each other.
.Sh SEE ALSO
.Xr systemd.time 7 ,
.Xr superctl 8 ,
.Xr superd 8
"""

_SECTIONS = (
    ("THE TABLE [superd]", "superd", False),
    ("KEYS OF A SERVICE", "service", False),
    ("LIMITS OF A SERVICE", "service", True),
    ("SOCKET OPTIONS", "socket", False),
)

_LIMITS_INTRO = r"""The resources of each child, as in
.Xr setrlimit 2 .
One value sets the soft and the hard limit,
.Li \(dqsoft:hard\(dq
both;
.Li \(dqinfinity\(dq
lifts one.
What is not given is as superd has it."""


def render() -> str:
    """The page in mdoc(7)."""
    parts = [_HEAD.strip().replace("@EXAMPLE@", _escape(EXAMPLE.strip()))]
    for title, table, limits in _SECTIONS:
        keys = [key for key in KEYS if key.table == table and key.name.startswith(LIMIT_PREFIX) == limits]
        parts.append(f".Sh {title}")
        if limits:
            parts.append(_LIMITS_INTRO)
        parts += [".Bl -tag -width Ds", *(line for key in keys for line in _item(key)), ".El"]
    return "\n".join([*parts, _CHILD.strip(), _TAIL.strip(), ""])


def _item(key: Key) -> Iterator[str]:
    yield f".It Ic {key.name} No = Ar {_macro_words(key.kind.word)}"
    yield from _sentences(key.meaning)
    if key.need is not None:
        yield from _sentences(f"Only for {key.need.words}.")
    if key.default:
        yield f"Default: {_escape(key.default)}."


def _macro_words(text: str) -> str:
    """Arguments of a macro: a word that mdoc would take for a macro or a delimiter is kept a word."""
    return " ".join(rf"\&{_escape(word)}" for word in text.split())


def _sentences(text: str) -> Iterator[str]:
    """One a line, as mdoc wants it; none begins with what roff takes for a request."""
    for sentence in text.replace(". ", ".\n").split("\n"):
        yield rf"\&{_escape(sentence)}" if sentence[0] in ".'" else _escape(sentence)


def _escape(text: str) -> str:
    return text.replace("\\", r"\e").replace('"', r"\(dq").replace("-", r"\-")


if __name__ == "__main__":
    sys.stdout.write(render())
