"""NetBSD's other notation: ``service on key = value value, key = value;`` over any number of lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from attrs import frozen

from superd.config.legacy.carried import Origin
from superd.config.legacy.inetd.entries import Entry, EntryError, Limits
from superd.config.legacy.inetd.positional import split_hosts
from superd.config.legacy.inetd.words import unescaped

_TOKEN = re.compile(
    r"""[ \t\r\n\f\v]+|\#[^\n]*|(?P<mark>[=,;])|"(?P<double>(?:\\.|[^"\\])*)"|'(?P<single>(?:\\.|[^'\\])*)'"""
    r"""|(?P<word>[^ \t\r\n\f\v=,;"'\#][^ \t\r\n\f\v=,;]*)|(?P<stray>.)""",
    re.S,
)
_HEAD = re.compile(r"[ \t]*(?P<name>[^\s#;]\S*)[ \t]+(?P<state>on|off)(?=[\s#;]|$)")
_KEYS = frozenset(
    (
        *(
            "bind",
            "socktype",
            "acceptfilter",
            "protocol",
            "sndbuf",
            "recvbuf",
            "wait",
            "service_max",
            "ip_max",
        ),
        *("accept_max", "user", "group", "exec", "args", "ipsec"),
    )
)
_TYPE_OF = {"tcp": "stream", "udp": "dgram"}


@frozen
class Token:
    """A word, or one of ``= , ;``.

    Args:
        text: without quotes.
        is_mark: whether it is one of those three and not a word that looks like one.
        end: where it ends in the text.
    """

    text: str
    is_mark: bool
    end: int


def heads(text: str, position: int = 0) -> re.Match[str] | None:
    """The name and state with which a definition in this notation begins in a line; else None."""
    return _HEAD.match(text, position)


def read_definition(text: str, start: int) -> tuple[list[Token], int]:
    """The tokens of a definition up to its semicolon, and where it ends.

    Args:
        text: the rest of the file.
        start: behind ``on`` or ``off``.

    Raises:
        EntryError: it has no end.
    """
    tokens: list[Token] = []
    position = start if text.find(";", start) >= 0 else len(text)
    while match := _TOKEN.match(text, position):
        position = match.end()
        if match["mark"] == ";":
            return tokens, position
        if match["mark"]:
            tokens.append(Token(match["mark"], True, position))
        elif match.lastgroup in ("double", "single"):
            tokens.append(Token(unescaped(match[match.lastgroup]), False, position))
        elif match.lastgroup == "word":
            tokens.append(Token(match["word"], False, position))
        elif match.lastgroup == "stray":
            raise EntryError("a quote that is not closed")
    raise EntryError("no ; ends it")


def values_of(tokens: Sequence[Token]) -> dict[str, list[str]]:
    """Keys with their values.

    Raises:
        EntryError: it is no list of ``key = values``, or an unknown or repeated key.
    """
    found: dict[str, list[str]] = {}
    for group in _groups(tokens):
        if len(group) < 2 or group[0].is_mark or group[1].text != "=" or not group[1].is_mark:
            told = " ".join(token.text for token in group) or ","
            raise EntryError(f"{told}: not key = value")
        key, values = group[0].text, group[2:]
        if any(token.is_mark for token in values):
            raise EntryError(f"{key}: a second =; is a comma missing?")
        if key not in _KEYS:
            raise EntryError(f"unknown key {key}")
        if key in found:
            raise EntryError(f"{key} stands there twice")
        found[key] = [token.text for token in values]
    return found


def _groups(tokens: Sequence[Token]) -> list[list[Token]]:
    groups: list[list[Token]] = [[]]
    for token in tokens:
        if token.is_mark and token.text == ",":
            groups.append([])
        else:
            groups[-1].append(token)
    return [group for group in groups if group] if len(groups) == 1 else groups


def entry_of(
    name: str, values: Mapping[str, list[str]], origin: Origin, hosts: tuple[str, ...], *, enabled: bool
) -> Entry:
    """The service of a definition.

    Args:
        name: before ``on`` or ``off``; an address may stand in front of it.
        values: as ``values_of`` gives them.
        origin: where it begins.
        hosts: of the last line that named some for all that follow.
        enabled: whether it is on.

    Raises:
        EntryError: it is none.
    """
    protocol = _one(values, "protocol")
    if not protocol:
        raise EntryError("no protocol")
    own, service = ((), name) if protocol == "unix" else split_hosts(name)
    bound = tuple(value.strip("[]") for value in values.get("bind", ()))
    program = _one(values, "exec")
    wait = _one(values, "wait")
    if program and wait not in ("yes", "no"):
        raise EntryError("no wait = yes or wait = no")
    buffers = {"sndbuf": _one(values, "sndbuf"), "rcvbuf": _one(values, "recvbuf")}
    return Entry(
        origin=origin,
        hosts=() if protocol == "unix" else bound or own or hosts,
        service=service,
        socket_type=_one(values, "socktype") or _TYPE_OF.get(protocol.removeprefix("rpc/")[:3], ""),
        protocol=protocol,
        wait=wait == "yes",
        user=_one(values, "user"),
        group=_one(values, "group"),
        program=program,
        argv=tuple(values.get("args", ())),
        buffers={key: value for key, value in buffers.items() if value},
        filter=_one(values, "acceptfilter"),
        limits=Limits(
            _count(values, "service_max"), _count(values, "accept_max"), _count(values, "ip_max"), None
        ),
        enabled=enabled,
        protected=bool("".join(values.get("ipsec", ()))),
    )


def _one(values: Mapping[str, list[str]], key: str) -> str:
    found = values.get(key, [])
    if len(found) > 1:
        raise EntryError(f"{key}: {len(found)} values")
    return found[0] if found else ""


def _count(values: Mapping[str, list[str]], key: str) -> int | None:
    text = _one(values, key)
    if not text:
        return None
    if not re.fullmatch(r"\d{1,9}", text):
        raise EntryError(f"{key}: {text} is not a number")
    return int(text)
