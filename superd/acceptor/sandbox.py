"""What the acceptor gives up for itself: whoever takes it over has a process that can do little but what it is for.

It has no privilege to begin with. This takes away what every process may: to start programs and processes, to change
files and to read most of them, to listen and to bind, and the greater part of the kernel's system calls.

The rules are the same for every configuration, and allow what any may come to need. A filter cannot be widened, and an
acceptor that was started anew for a reload would take its forwards and builtins' conversations with it.

It is a second wall, so the acceptor goes on without what a kernel or a container lacks, and says so in the log.

Files: all is imported, the log and the control socket are open; what remains to be read is listed in ``reading``.
A unix socket needs no right to be connected to, so journal, syslog and backends are reached as ever.
"""

from __future__ import annotations

import errno
import os
import termios
from collections.abc import Callable

from superd.config.syscall_groups import members
from superd.config.syscall_names import KNOWN
from superd.kernel import landlock, seccomp
from superd.kernel.filter_rules import deny, write_or_execute
from superd.kernel.landlock import Access, PathRule, Ruleset
from superd.kernel.seccomp import (
    ALLOW,
    Filter,
    Rule,
    differs,
    equals,
    fail_with,
    has_bits,
)

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16  # include/linux/socket.h
_IPPROTO_TCP, _IPPROTO_UDP = 6, 17
_NETLINK_ROUTE, _NETLINK_SOCK_DIAG = 0, 4  # include/uapi/linux/netlink.h

SOCKETS = (
    (_AF_UNIX, None),  # journal, syslog, backends, the resolver's nscd
    *((family, protocol) for family in (_AF_INET, _AF_INET6) for protocol in (0, _IPPROTO_TCP, _IPPROTO_UDP)),
    (_AF_NETLINK, _NETLINK_ROUTE),  # getaddrinfo(3) asks which addresses this machine has
    (_AF_NETLINK, _NETLINK_SOCK_DIAG),  # ident asks who owns a connection
)
"""Families and protocols that it makes sockets of; None is any protocol."""

_NETLINK_ADDRESS_BYTES = 12
"""sizeof(struct sockaddr_nl); of IPv4 and IPv6 the kernel takes no address shorter than 16 and 24 bytes."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA = 15, 16, 0x53564D41  # include/uapi/linux/prctl.h

_GROUPS = ("@default", "@basic-io", "@io-event", "@network-io", "@signal", "@timer")

_SINGLE = """
    access capget faccessat faccessat2 fadvise64 fcntl fcntl64 fstat fstat64 fstatat64 fstatfs getcpu getcwd getdents64
    getrusage ioctl lstat lstat64 madvise mremap newfstatat open openat pipe pipe2 readlink readlinkat sendfile splice
    stat stat64 statfs statx sysinfo tee times umask uname
"""
"""Reading files, carrying bytes inside the kernel, memory, and asking about itself."""

_NEVER = ("execve", "listen")
"""What the groups hold and it never does. fork, clone, kill, ptrace and their like are in none of the groups."""


def filters(pid: int, *, binds_resolvers_sockets: bool) -> tuple[Filter, ...]:
    """What the acceptor may ask of the kernel: pure.

    Two filters, of which the more severe answer counts: one denies by arguments, the other knows names alone, so that
    the kernel remembers its verdict for what the hot path does, and asks no filter.

    What the acceptor is not allowed is EPERM; what nobody has heard of yet is ENOSYS, so that the C library uses an
    older system call, and so is clone3, which nobody could look into.

    Args:
        pid: its own.
        binds_resolvers_sockets: the C library's resolver binds the sockets it asks with (musl).
    """
    allowed = frozenset(_SINGLE.split()).union(*map(members, _GROUPS)) - set(_NEVER)
    known = sorted(KNOWN - allowed - {"clone3"} - _CONDITIONAL)
    by_name = (
        *(Rule(name, ALLOW, optional=True) for name in sorted(allowed - _CONDITIONAL)),
        *deny(known, optional=True),
        *_sockets(),
        Rule("tgkill", ALLOW, (equals(0, pid),)),  # abort(3) and raise(3)
        *(Rule("prctl", ALLOW, (equals(0, option),)) for option in (_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA)),
    )
    by_argument = (*_arguments(binds_resolvers_sockets), *write_or_execute())
    return (
        Filter(ALLOW, by_argument),
        Filter(fail_with(errno.ENOSYS), by_name),
    )


_CONDITIONAL = frozenset({"socket", "tgkill", "prctl"})


def _sockets() -> tuple[Rule, ...]:
    conditions = (
        (equals(0, family),) if protocol is None else (equals(0, family), equals(2, protocol))
        for family, protocol in SOCKETS
    )
    return tuple(Rule("socket", ALLOW, each) for each in conditions)


def _arguments(binds_resolvers_sockets: bool) -> tuple[Rule, ...]:
    """Opened for reading alone; no address but netlink's is bound; nothing is typed into a terminal."""
    binding = () if binds_resolvers_sockets else deny(["bind"], differs(2, _NETLINK_ADDRESS_BYTES))
    bits = [1 << bit for bit in range(32) if _WRITING >> bit & 1]
    return (
        *binding,
        *(rule for bit in bits for rule in deny(["open"], has_bits(1, bit))),
        *(rule for bit in bits for rule in deny(["openat"], has_bits(2, bit))),
        *(
            rule
            for request in (termios.TIOCSTI, termios.TIOCSCTTY)
            for rule in deny(["ioctl"], equals(1, request))
        ),
    )


def reading() -> tuple[str, ...]:
    """What the acceptor still reads, as far as it is there.

    /etc, since each of its files is replaced by another when it changes, and a rule for the file would hold for the old
    one: names are looked up by way of resolv.conf, hosts, nsswitch.conf and gai.conf, users (``ident``) in passwd, the
    hour (``hours``, ``daytime``) by localtime. What is secret there its user cannot read.
    The folders to which resolv.conf and localtime may point. Libraries, of which the C library loads what
    nsswitch.conf names. The tables of connections (``idle_timeout``) and the load (``max_load``).
    """
    links = (os.path.dirname(os.path.realpath(file)) for file in ("/etc/resolv.conf", "/etc/localtime"))
    libraries = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
    wanted = ("/etc", *links, "/usr/share/zoneinfo", *libraries, "/proc/self/net", "/proc/loadavg")
    return tuple(path for path in dict.fromkeys(wanted) if os.path.exists(path))


def give_up_files() -> str:
    """Keep what is to be read, and no port to be bound. For this thread and those it starts: before any is.

    Returns:
        Why this cannot be had; empty: it is in force.
    """
    paths = reading()
    for path in paths:
        if path.startswith(
            "/proc/"
        ):  # which makes its files anew for whoever asks, unless somebody holds them
            os.open(path, os.O_PATH | os.O_CLOEXEC)
    ports = () if landlock.abi() >= landlock.NET_ABI else None
    rules = tuple(PathRule(path, Access.READ) for path in paths)
    return _lacking(lambda: landlock.restrict(Ruleset(rules, bind_ports=ports)))


def give_up_calls() -> str:
    """Install the filters, on all threads.

    Returns:
        Why this cannot be had; empty: it is in force.
    """
    is_glibc = "CS_GNU_LIBC_VERSION" in os.confstr_names
    wanted = filters(os.getpid(), binds_resolvers_sockets=not is_glibc)

    def load() -> None:
        for each in wanted:
            seccomp.load(each)

    return _lacking(load)


def _lacking(give_up: Callable[[], object]) -> str:
    try:
        give_up()
    except (landlock.LandlockError, seccomp.SeccompError, OSError) as error:
        return f"the acceptor's own sandbox is incomplete: {error}"
    return ""
