"""The parts of superd.toml(5) about sandboxes that are written by hand, in mdoc(7)."""

from __future__ import annotations

SANDBOX = r"""
The keys are those of
.Xr systemd.exec 5
and
.Xr systemd.resource-control 5 ,
in small letters and with their meaning.
A spawner puts itself into the sandbox once, before it serves, and every program that it starts is in there with it: a
connection costs nothing more.
.Pp
.Ic profile
answers for every key that is not written; see
.Sx PROFILES .
.Pp
What this machine lacks is a fault of the service, which is then off, and never passed over;
.Ic optional
names what the service does without.
An ordinary user's
.Nm superd
has
.Li seccomp
and
.Li landlock ,
and root's alone the others.
.Pp
No sandbox keeps a program from forking and executing, since its spawner has to, and none keeps it from executing files
that it could not write.
Paths are those of the machine, and with a
.Li +
in front those inside of
.Ic root_directory ;
Landlock's are those that the program sees.
"""

PROFILES = r"""
.Sh PROFILES
What each profile says of the keys of
.Ic [services. Ns Ar NAME Ns Ic .sandbox]
that are not written.
.Bl -tag -width Ds
.It Li \(dqdefault\(dq
What no daemon of today notices.
A service whose user is root is held back by nothing, since such a program changes its user by itself.
.It Li \(dqstrict\(dq
What a network service needs that only talks on its socket, and nothing else.
Begin with it, and write what the program lacks:
.Ic read_write_paths
for what it writes,
.Ic private_network
= false and
.Ic tcp_connect_ports
for whom it asks,
.Ic memory_deny_write_execute
= false for programs that compile while they run.
It holds root too: a program that wants to be started as root and changes its user needs at least
.Ic private_users
= false and its capabilities in
.Ic capability_bounding_set .
.It Li \(dqnone\(dq
Everything is lifted, for logins.
.El
.Pp
In all of them, but for root with CAP_SYS_PTRACE, a program cannot change limits, priority or processors of its spawner,
or signal every process of its user at once.
.Bl -column memory_deny_write_execute false,XforXrootX strictXXXX
.It Sy key Ta Sy none Ta Sy default Ta Sy strict
@ROWS@
.El
.Pp
All other keys are off in all three.
With
.Ic private_network
the socket that a program was given is still the one of the outside.
It cannot be connected, bound or made to listen anew; but a datagram socket that a program owns
.Pq Ic mode No = \(dqwait\(dq
sends wherever it likes, and a unix datagram socket of its own to any that has a file, as that of
.Xr syslog 3 .
.Pp
What a program misses it says itself, at best, by its
.Ic standard_error ;
superd does not see it fail.
Files below /home, /root, /run/user and the machine's /tmp are not there, and those of other users are nobody's.
With
.Ic system_call_error_number
= \(dqkill\(dq a system call that is denied by
.Ic system_call_filter
ends the program, and the line of its end in the log has
.Dv SIGSYS ;
.Ql strace \-f \-p Ar SPAWNER
shows which one it was, and with what error everything else failed.
"""
"""``@ROWS@`` stands for the table."""
