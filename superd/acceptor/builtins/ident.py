"""ident: who owns a connection, for the one who is at its other end. Source: RFC 1413.

The questions and answers are pure. Who owns a connection the kernel says; the name stands in /etc/passwd, which is
read itself, since getpwuid(3) may ask a directory somewhere else, and all connections would wait for that.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from superd.acceptor.builtins.conversations import Conversation

MAX_LINE_BYTES = 1000
"""Source: RFC 1413, 4."""

MAX_QUESTIONS = 64
"""Of one connection."""

PASSWD = "/etc/passwd"  # noqa: S105  a file's name

_QUESTION = re.compile(rb"[ \t]*([0-9]{1,5})[ \t]*,[ \t]*([0-9]{1,5})[ \t]*")

Lookup = Callable[[int, int], str]
"""The owner of the connection between two ports, the first of which is this machine's; empty: there is none."""


def answer(question: bytes, lookup: Lookup) -> bytes:
    """The answer to one line, which is given without its end."""
    match = _QUESTION.fullmatch(question)
    if match is None:
        return b"0 , 0 : ERROR : INVALID-PORT\r\n"
    here, there = int(match[1]), int(match[2])
    if not (1 <= here <= 65535 and 1 <= there <= 65535):
        said = "ERROR : INVALID-PORT"
    else:
        try:
            owner = lookup(here, there)
            said = f"USERID : UNIX : {owner}" if owner else "ERROR : NO-USER"
        except OSError:  # the kernel does not tell; the client hears that there is no answer
            said = "ERROR : UNKNOWN-ERROR"
    return f"{here} , {there} : {said}\r\n".encode()


class Ident(Conversation):
    """Answers line by line, until the client ends it or has asked enough."""

    def __init__(self, lookup: Lookup) -> None:
        super().__init__()
        self._lookup = lookup
        self._begun = b""
        self._asked = 0

    def heard(self, data: bytes) -> bytes:
        *lines, self._begun = (self._begun + data).split(b"\n")
        said: list[bytes] = []
        for line in lines:
            if len(line) > MAX_LINE_BYTES or self._asked == MAX_QUESTIONS:
                self.is_over = self.failed = True
                return b"".join(said)
            self._asked += 1
            said.append(answer(line.removesuffix(b"\r"), self._lookup))
        if len(self._begun) > MAX_LINE_BYTES:
            self.is_over = self.failed = True
        return b"".join(said)


def login_name(uid: int, passwd: str = PASSWD) -> str:
    """The name of a user in /etc/passwd; the number itself for one who is not there. Source: passwd(5)."""
    try:
        with open(passwd, encoding="utf-8", errors="replace") as table:
            for line in table:
                name, *rest = line.split(":")
                if len(rest) >= 2 and rest[1] == str(uid) and name.isprintable():
                    return name
    except FileNotFoundError:
        pass  # a system without the file has numbers alone
    return str(uid)
