"""The part of superd.toml(5) about what superd serves by itself, written by hand, in mdoc(7)."""

from __future__ import annotations

BUILTINS = r"""
.Sh BUILTINS
A service with
.Ic builtin
has no program: the process that accepts connections serves it, without privilege.
Its connections are admitted, counted, logged
.Pq with Li pid=0
and limited as those of any other service.
They stay over a reload, and end with their service, with
.Nm superd
and with the process that accepts.
.Bl -tag -width Ds
.It Li echo
Sends back what it gets (RFC 862).
.It Li discard
Throws it away (RFC 863).
.It Li chargen
Sends lines of characters for as long as somebody reads them (RFC 864).
.It Li daytime
The time of this machine in words, as
.Xr inetd 8
says it (RFC 867).
.It Li time
The seconds since 1900 as 32 bits, which are used up on 7 February 2036 and then begin anew (RFC 868).
.It Li qotd
One of the quotes in the file that
.Ic banner
names, which then is of up to 64 KiB, with a line of
.Ql %
between two of them, each of up to 512 bytes (RFC 865).
.It Li ident
Says who owns a connection between this machine and whoever asks, and of no other (RFC 1413).
The name stands in
.Xr passwd 5 ;
a user who is not there is told by the number.
With
.Ic ident_user
the answer is always that.
TCP alone.
.It Li tcpmux
Asks each client for the name of a service, and hands the connection over (RFC 1078); see below.
Connections alone.
.El
.Ss Answers to datagrams
A datagram may name a source that never sent it, so answers are kept harmless.
.Li chargen , daytime
and
.Li qotd
send at most as many bytes as they were sent, so whoever wants all of it must ask with as much; the four bytes of
.Li time
are always sent.
A source is answered 10 times a second at the most, in bursts of 20, or as its
.Ic rate_per_source
says.
What comes from a port that answers by itself, from a port of a builtin, or from one below 1024 on which
.Nm superd
hears datagrams, is refused as a
.Li loop ,
and what was sent to a broadcast or multicast address is not answered.
Datagrams are counted, and those refused are logged; those answered are not.
.Ss tcpmux
A service that clients reach by name has
.Ic tcpmux:// Ns Ar NAME
in its
.Ic listen ,
alone or beside others.
With
.Ic tcpmux://+ Ns Ar NAME ,
as
.Xr inetd 8
has it, superd tells the client that it is through, by a line
.Ql +Go ;
without the plus that is the program's to say.
Names are the same in upper and lower case.
.Ql help
lists them.
.Pp
The client has 10 seconds for the line with the name, which is up to 256 bytes long.
The connection is then the other service's, by whose access and limits it is judged; who is not admitted is told so by
a line that begins with
.Ql - .
.Ic on_excess
makes no difference there.
.Bd -literal -offset indent
[services.tcpmux]
listen = ["tcp://*:1"]
builtin = "tcpmux"

[services.date]
listen = ["tcpmux://+date"]
exec = ["/bin/date"]
user = "daemon"
.Ed
"""
