"""The parts of superd.toml(5) that are written by hand, in mdoc(7); ``manpage.py`` puts them around the keys."""

from __future__ import annotations

HEAD = r"""
.\" Written by superd.config.manpage from the table of keys; change it there.
.Dd November 25, 2026
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
Those of a table inside it stand in
.Ic [defaults.limits]
and so on.
Only in the main file.
.It Ic [services. Ns Ar NAME Ns Ic \&]
One service.
Its name has up to 64 letters, digits and
.Ql _.@+- ,
a letter or digit first.
@TABLES@
.It Ic [[grants]]
Ports that users may bind by themselves, once for each grant; see
.Sx GRANTS .
.It Ic [override. Ns Ar NAME Ns Ic \&]
Any key of that service once more, and above it; see
.Sx Precedence .
.El
.Pp
.Ql superd --check
reports every fault of all files at once, each with its file, key and value and with what to write instead.
A file with faults is never used: at start
.Xr superd 8
ends with 78, and at reload it goes on with what it has.
.Ss A whole configuration
A daytime service for one network, and a TFTP server that takes over its socket.
.Bd -literal -offset indent
@EXAMPLE@
.Ed
.Sh RULES
.Ss Precedence
What
.Ic [override. Ns Ar NAME Ns Ic \&]
sets stands above what the service sets, that above
.Ic [defaults] ,
and that above the defaults printed here.
Tables are merged key by key, so a service's
.Ic environment
is added to that of
.Ic [defaults] ;
lists are replaced.
A default that a service cannot use, such as
.Ic no_delay
for one without TCP, is ignored there; written in the service itself, or in an override, it is a fault.
.Pp
An override may stand in any file.
One file holds nothing else and is read whenever it exists: that whose name is the main file's with
.Pa .override
before its ending,
.Pa /etc/superd.override.toml
for
.Pa /etc/superd.toml .
It is where
.Ql superctl tune --save
writes.
Two files that override the same key of a service are a fault; an override without its service is a warning.
A configuration on standard input has no such file.
.Ss Units
A duration is a sum of numbers with units, as in
.Xr systemd.time 7 :
.Li \(dq90s\(dq ,
.Li \(dq1h 30min\(dq .
Units are us, ms, s, min, h, d, w, M and y, or their longer names.
A size is a number with B, K, M, G or T, each 1024 times the one before; KiB, MiB, GiB and TiB are the same.
A rate is a whole number, a slash and s, min, h or d:
.Li \(dq50/s\(dq ,
.Li \(dq1000/h\(dq .
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
Included files hold services and overrides alone, and a service stands in one file.
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
.It Ic tcpmux:// Ns Ar NAME
No socket: clients of the service with
.Ic builtin No = Li \(dqtcpmux\(dq
ask for it by that name; see
.Sx BUILTINS .
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

CHILD = r"""
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
.It Ev UNIXREMOTEPID , UNIXREMOTEEUID , UNIXREMOTEEGID
The client of a unix socket, where
.Ev PROTO
is
.Li UNIX ,
as the kernel knew it when it connected; the others of this list are not set then.
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
.Ic environment , pass_environment
and
.Ic environment_file
cannot set them, nor any other that begins with
.Ev LISTEN_ , REMOTE_ , TCPLOCAL , TCPREMOTE , UDPLOCAL , UDPREMOTE
or
.Ev UNIXREMOTE .
"""

TAIL = r"""
.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/superd.toml
The main file.
.It Pa /etc/superd.d/*.toml
Where
.Ic include
usually leads.
.It Pa /etc/superd.override.toml
What is changed without touching the others.
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
.Xr xinetd.conf 5 ,
.Xr launchd.plist 5
or
.Xr setsockopt 2
spells it is a fault that names superd's own.
.Pp
Four things are allowed, but warned of: a configuration without services, an override without its service, a user
of
.Ic [superd]
that is written and does not exist, and services with different programs that run as the same user, since they can
attack each other.
.Sh SEE ALSO
.Xr superd-bind 1 ,
.Xr hosts_access 5 ,
.Xr superd-handler 7 ,
.Xr systemd.time 7 ,
.Xr superctl 8 ,
.Xr superd 8
"""
