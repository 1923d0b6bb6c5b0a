"""``restrict_address_families`` and ``restrict_namespaces``: what may be written there, and what it comes to; pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import frozen

from superd.config.findings import reject

# include/linux/socket.h
_FAMILIES = """
    AF_UNSPEC AF_UNIX AF_INET AF_AX25 AF_IPX AF_APPLETALK AF_NETROM AF_BRIDGE AF_ATMPVC AF_X25 AF_INET6 AF_ROSE
    AF_DECnet AF_NETBEUI AF_SECURITY AF_KEY AF_NETLINK AF_PACKET AF_ASH AF_ECONET AF_ATMSVC AF_RDS AF_SNA AF_IRDA
    AF_PPPOX AF_WANPIPE AF_LLC AF_IB AF_MPLS AF_CAN AF_TIPC AF_BLUETOOTH AF_IUCV AF_RXRPC AF_ISDN AF_PHONET
    AF_IEEE802154 AF_CAIF AF_ALG AF_NFC AF_VSOCK AF_KCM AF_QIPCRTR AF_SMC AF_XDP AF_MCTP
"""

FAMILIES: Mapping[str, int] = {
    **{name: number for number, name in enumerate(_FAMILIES.split())},
    "AF_LOCAL": 1,
    "AF_ROUTE": 16,
}
"""Every address family by name; those without a row here do not exist."""

# include/uapi/linux/sched.h
NAMESPACES: Mapping[str, int] = {
    "cgroup": 0x02000000,
    "ipc": 0x08000000,
    "net": 0x40000000,
    "mnt": 0x00020000,
    "pid": 0x20000000,
    "user": 0x10000000,
    "uts": 0x04000000,
    "time": 0x00000080,
}
"""The kinds of namespaces by systemd's names, and ``time``, each with its CLONE_NEW* flag."""

NONE = "none"


@frozen
class Families:
    """What ``restrict_address_families`` comes to.

    Args:
        allow_list: whether only ``numbers`` may be used, rather than all others.
        numbers: address families.
    """

    allow_list: bool
    numbers: frozenset[int]


def parse_family_string(text: str) -> tuple[str, ...]:
    """One string of ``restrict_address_families``: families with blanks between, after a ``~`` where denied.

    Returns:
        The names in it; empty for "none".

    Raises:
        RejectedError: one is no family.
    """
    if text == NONE:
        return ()
    return _known(text, FAMILIES, "address family", 'write "AF_INET", "AF_UNIX" … or "none"')


def parse_namespace_string(text: str) -> tuple[str, ...]:
    """One string of ``restrict_namespaces``: kinds with blanks between, after a ``~`` where they are denied.

    Raises:
        RejectedError: one is no kind of namespace.
    """
    return _known(text, NAMESPACES, "kind of namespace", f"write one of {' '.join(NAMESPACES)}")


def _known(text: str, table: Mapping[str, int], kind: str, remedy: str) -> tuple[str, ...]:
    names = tuple(text.removeprefix("~").split())
    if not names:
        raise reject(f"no {kind}", remedy)
    for name in names:
        if name not in table:
            near = difflib.get_close_matches(name, table, n=1)
            raise reject(f"{name}: no {kind} of that name", f'write "{near[0]}"' if near else remedy)
    return names


def families(strings: Sequence[str]) -> Families | None:
    """What all strings of ``restrict_address_families`` come to; None where there are none.

    As in systemd: the first says whether the list allows or denies, the others add and take away; "none" allows
    none, and stands alone.

    Raises:
        RejectedError: one is no family, or "none" does not stand alone.
    """
    if not strings:
        return None
    if NONE in strings and len(strings) > 1:
        raise reject('"none" beside other families', "remove it, or the others")
    allow_list = not strings[0].startswith("~")
    return Families(allow_list, _merge(strings, parse_family_string, FAMILIES, allow_list))


def allowed_namespaces(value: bool | Sequence[str]) -> frozenset[str]:
    """The kinds of namespaces that may be made and entered.

    Args:
        value: ``restrict_namespaces``: False allows all, True none; a list those in it, or with ``~`` the others.

    Raises:
        RejectedError: one is no kind.
    """
    every = frozenset(NAMESPACES)
    if isinstance(value, bool) or not value:
        return frozenset() if value is True else every
    allow_list = not value[0].startswith("~")
    numbers = _merge(value, parse_namespace_string, NAMESPACES, allow_list)
    named = frozenset(name for name in NAMESPACES if NAMESPACES[name] in numbers)
    return named if allow_list else every - named


def _merge(
    strings: Iterable[str],
    parse: Callable[[str], tuple[str, ...]],
    table: Mapping[str, int],
    allow_list: bool,
) -> frozenset[int]:
    """The numbers that the list is about, after all strings."""
    numbers: set[int] = set()
    for text in strings:
        named = {table[name] for name in parse(text)}
        numbers = numbers | named if text.startswith("~") != allow_list else numbers - named
    return frozenset(numbers)
