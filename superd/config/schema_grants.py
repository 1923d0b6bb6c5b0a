"""The rows of THE table for ``[[grants]]``, and the kinds of their values."""

from __future__ import annotations

import re

from superd.config import kinds
from superd.config.findings import reject, toml_text
from superd.config.keys import Key
from superd.config.kinds import Kind, parse_list, text_of
from superd.config.policy_kinds import inhabited
from superd.policy.grants import ANY, Ports, parse_place

GRANT = "grant"
"""The name here of the tables ``[[grants]]``."""

_PORTS = re.compile(r"(tcp|udp)/([0-9]{1,5})(?:-([0-9]{1,5}))?")
_LIKE_PORTS = re.compile(r"[0-9]{1,5}(?:-[0-9]{1,5})?")
_HOW = 'write "tcp/80", "udp/53" or "tcp/8000-8010"'
_MOST_ITEMS = 256


def parse_ports(text: str) -> Ports:
    """Parse ``tcp/80`` or ``udp/8000-8010``.

    Raises:
        RejectedError: it is neither, or names no ports that there are.
    """
    match = _PORTS.fullmatch(text)
    if match is None:
        meant = f'write "tcp/{text}" or "udp/{text}"' if _LIKE_PORTS.fullmatch(text) else _HOW
        raise reject("not a transport and ports", meant)
    first, last = int(match[2]), int(match[3] or match[2])
    if not 1 <= first <= 65535 or not last <= 65535:
        raise reject("out of range", "write ports of 1 to 65535")
    if last < first:
        raise reject("the range ends before it begins", f'write "{match[1]}/{last}-{first}"')
    return Ports(match[1], first, last)


def _ports(value: object) -> tuple[Ports, ...]:
    """One, or a list of them."""
    items = value if isinstance(value, list) else [value]
    texts = parse_list(items, lambda item: str(parse_ports(text_of(item))), _HOW)
    if not texts:
        raise reject("an empty list", _HOW)
    return tuple(map(parse_ports, _few(texts)))


def _address(text: str) -> object:
    return text if text == ANY else parse_place(text)


def _users(value: object) -> tuple[str, ...]:
    users = _few(parse_list(value, _user, _example(value)))
    if ANY in users and len(users) > 1:
        raise reject('"*" is everybody already', 'write ["*"], or leave it out')
    return users


def _user(value: object) -> str:
    return ANY if value == ANY else kinds.account_of(value)


def _programs(value: object) -> tuple[str, ...]:
    return _few(parse_list(value, kinds.path_of, _example(value)))


def _example(value: object) -> str:
    return toml_text([value]) if isinstance(value, str) else 'a list, as ["…", "…"]'


def _few(items: tuple[str, ...]) -> tuple[str, ...]:
    """At most so many: the broker holds all grants, and asks each."""
    if len(items) > _MOST_ITEMS:
        raise reject(f"{len(items)} items", f"use at most {_MOST_ITEMS} a grant")
    return items


_ADDRESSES = inhabited(
    _address, 'addresses, networks or "*"', 'write ["*"] for all', lambda text: [text or ANY]
)

GRANTS = (
    Key(GRANT, "ports", "ports", Kind('"tcp/80", "udp/8000-8010" or a list of such', _ports), "",
        "The ports that may be bound. Required."),
    Key(GRANT, "addresses", "addresses", _ADDRESSES, '["*"]',
        "The addresses at which they may. \"*\" is every address. 0.0.0.0 and :: are addresses of their own here: "
        "those of sockets that listen on all. A socket bound to :: serves IPv4 as well, unless its program says "
        "otherwise; so whoever is granted :: has 0.0.0.0 too."),
    Key(GRANT, "users", "users", Kind('list of names or numbers, or ["*"]', _users), "[]",
        "Who may. \"*\" is everybody. A grant needs users or groups, or both: whoever is in one of them may."),
    Key(GRANT, "groups", "groups", kinds.ACCOUNTS, "[]",
        "Groups whose members may, by their primary group or another."),
    Key(GRANT, "programs", "programs", Kind("list of absolute paths", _programs), "[]",
        "The only programs that may: the file that the process executes, with every link resolved, which for a script "
        "is its interpreter. Any program, where it is empty. This guards against mistakes and not against the user: "
        "whoever may start a program can run code of his own in it."),
    Key(GRANT, "reuse_port", "reuse_port", kinds.BOOLEAN, "false",
        "Whether sockets may be bound that share their port with others of the same user (SO_REUSEPORT)."),
)  # fmt: skip
