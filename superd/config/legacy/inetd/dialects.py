"""Whose inetd.conf? What the inetds differ in, one row each, and the signs by which their files are known.

Sources: the manual pages and sources of FreeBSD 14, OpenBSD 7, NetBSD 10, GNU inetutils 2.4, illumos, busybox 1.36 and
Debian's openbsd-inetd 0.20221205.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import StrEnum

from attrs import field, frozen

from superd.config.legacy.carried import LegacyError


class Quotes(StrEnum):
    """How words with blanks in them are written."""

    NONE = "none"  # not at all: quotes are characters as others are
    WORD = "word"  # a word in quotes, to the next one of its kind
    ESCAPES = "escapes"  # the same, and backslashes inside


class Accounts(StrEnum):
    """How a group is told from its user."""

    DOT_FIRST = "dot first"  # user.group, else user:group
    COLON_FIRST = "colon first"  # user:group, else user.group
    SLASH = "slash"  # user:group/class


@frozen
class Dialect:
    """One inetd.

    Args:
        name: as ``--dialect`` has it.
        words: as messages have it.
        families: what each protocol listens on: ``4``, ``6``, ``4+6`` (a socket each) or ``46`` (one for both).
        has_hosts: whether ``host:`` may stand before a service.
        continues: whether a line that begins with a blank belongs to the one before it.
        quotes: how words are quoted.
        accounts: how the group is told from the user.
        limit_marks: what may stand behind wait and nowait: ``.`` or ``:`` before starts a minute, ``/`` before
            FreeBSD's three numbers.
        rate_per_min: starts a minute after which it closed a service for ten minutes; 0 for none.
        fills_argv: whether a missing argv[0] is the program's last part.
        has_unix: whether it has unix sockets.
        has_rpc: whether it has RPC services.
        tcpd_folder: where tcpd looks for the daemons that it is told by name.
        has_ipsec: whether ``#@`` is a policy and no comment.
        has_udp_nowait: whether a datagram may start a child of its own.
        builtins: what it serves by itself beside echo, discard, chargen, daytime and time.
        is_prefix: whether words need only begin with wait or nowait.
        unix_mode: the permission bits of a unix socket's file, where the line gives none.
        line_bytes: how much of a line it read at once; the rest was another line to it. 0: any length.
    """

    name: str
    words: str
    families: Mapping[str, str]
    has_hosts: bool = True
    continues: bool = True
    quotes: Quotes = Quotes.NONE
    accounts: Accounts = Accounts.COLON_FIRST
    limit_marks: str = "."
    rate_per_min: int = 0
    fills_argv: bool = True
    has_unix: bool = True
    has_rpc: bool = True
    tcpd_folder: str = "/usr/sbin"
    has_ipsec: bool = False
    has_udp_nowait: bool = False
    builtins: tuple[str, ...] = ()
    is_prefix: bool = False
    unix_mode: str = field(default="")
    line_bytes: int = 0


def _families(*rows: str) -> dict[str, str]:
    """``"tcp 4"`` stands for tcp and udp."""
    found = {}
    for row in rows:
        name, family = row.split()
        found[name] = found[name.replace("tcp", "udp")] = family
    return found


_SPLIT = _families("tcp 4", "tcp4 4", "tcp6 6")

DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        Dialect(
            "debian",
            "Debian's openbsd-inetd",
            _families("tcp 4+6", "tcp4 4", "tcp6 6", "tcp46 46"),
            accounts=Accounts.DOT_FIRST,
            rate_per_min=256,
            line_bytes=1024,
        ),
        Dialect(
            "openbsd",
            "OpenBSD's inetd",
            _SPLIT,
            accounts=Accounts.DOT_FIRST,
            rate_per_min=256,
            tcpd_folder="/usr/libexec",
            line_bytes=1024,
        ),
        Dialect(
            "freebsd",
            "FreeBSD's inetd",
            _families("tcp 4", "tcp4 4", "tcp6 6", "tcp46 46"),
            has_hosts=False,
            quotes=Quotes.WORD,
            accounts=Accounts.SLASH,
            limit_marks="/",
            rate_per_min=256,
            fills_argv=False,
            tcpd_folder="/usr/libexec",
            has_ipsec=True,
            builtins=("tcpmux", "auth"),
            is_prefix=True,
            unix_mode="0200",
        ),
        Dialect(
            "netbsd",
            "NetBSD's inetd",
            _SPLIT,
            quotes=Quotes.ESCAPES,
            limit_marks=".:",
            rate_per_min=40,
            tcpd_folder="/usr/libexec",
            has_ipsec=True,
            builtins=("tcpmux",),
            line_bytes=1024,
        ),
        Dialect(
            "gnu",
            "GNU inetutils' inetd",
            _families("tcp 4", "tcp4 4", "tcp6 46", "tcp6only 6"),
            continues=False,
            quotes=Quotes.WORD,
            rate_per_min=40,
            has_unix=False,
            has_rpc=False,
            builtins=("tcpmux",),
        ),
        Dialect(
            "solaris",
            "the inetd of Solaris and illumos",
            _families("tcp 4", "tcp6 46", "tcp6only 6"),
            has_hosts=False,
            continues=False,
            has_unix=False,
        ),
        Dialect(
            "busybox",
            "busybox's inetd",
            _families("tcp 4", "tcp6 46"),
            accounts=Accounts.DOT_FIRST,
            has_udp_nowait=True,
        ),
        Dialect(
            "bsd",
            "4.4BSD's inetd",
            _families("tcp 4"),
            has_hosts=False,
            rate_per_min=40,
            has_unix=False,
            tcpd_folder="/usr/libexec",
            builtins=("tcpmux",),
            line_bytes=1024,
        ),
    )
}

DEFAULT = DIALECTS["debian"]
"""Where nothing tells: the inetd that a Linux machine most likely had."""

_GNU_FOLDER = "inetd.d"
_BARE_IPV6 = rb"^[0-9a-f]*:[0-9a-f:]*:[\w.+-]+[ \t]+(?:stream|dgram)\b"

# The first fitting row answers: what no other inetd's file has comes before what may be copied from another.
_SIGNS = tuple(
    (DIALECTS[name], re.compile(pattern, re.M | re.I))
    for name, pattern in (
        ("netbsd", rb"^[^#\s]\S*[ \t]+o(?:n|ff)[ \t]*(?:\r?$|[#;]|\w+[ \t]*=)|^\.include[ \t]"),
        ("netbsd", rb"\$NetBSD\b|^[^#\s]\S*[ \t]+(?:stream|dgram)[:,]\w"),
        ("freebsd", rb"\$FreeBSD\b|^[^#\n]*[ \t](?:no)?wait/\d|^#@[ \t]*\S"),
        ("openbsd", rb"\$OpenBSD\b"),
        ("gnu", rb"\btcp6only\b|\binetutils\b"),
        (
            "solaris",
            rb"Sun Microsystems|\billumos\b|\bsolaris\b|^[^#\s]\S*[ \t]+(?:tli|xti)[ \t]|\bticotsord\b",
        ),
        (
            "debian",
            rb"^#<off>#|\bupdate-inetd\b|\b(?:tcp|udp)46\b|,(?:snd|rcv)buf=|/sbin/tcpd\b|\bin\.\w+d\b",
        ),
        ("busybox", rb"\bbusybox\b"),
        ("gnu", rb"\A(?=[\s\S]*[ \t](?:tcp|udp)4[ \t])[\s\S]*" + _BARE_IPV6),
        ("busybox", _BARE_IPV6),
        ("freebsd", rb"/usr/local/libexec/"),
        ("bsd", rb"\A(?![\s\S]*[ \t](?:tcp6|udp6|unix)[ \t])[\s\S]*(?:@\(#\)inetd\.conf|/usr/libexec/)"),
    )
)


def dialect_of(file: str, content: bytes, name: str = "") -> Dialect:
    """The dialect of a file: as named, else as its content tells, else GNU's in its folder, else Debian's.

    Raises:
        LegacyError: there is no dialect of that name.
    """
    if name:
        if name not in DIALECTS:
            raise LegacyError(file, f"no dialect {name}", f"write one of {', '.join(DIALECTS)}")
        return DIALECTS[name]
    usual = DIALECTS["gnu"] if os.path.basename(os.path.dirname(file)) == _GNU_FOLDER else DEFAULT
    return next((dialect for dialect, sign in _SIGNS if sign.search(content)), usual)
