"""Stanzas of xinetd.conf, for tests of its import."""

from __future__ import annotations

from helpers.imports import Imported, imported
from superd.config.legacy.carried import Fate
from superd.config.model import Service

PLAIN = (
    "socket_type = stream",
    "wait = no",
    "user = nobody",
    "server = /bin/cat",
    "type = UNLISTED",
    "port = 7000",
)

DATAGRAMS = ("socket_type = dgram", "wait = yes", *PLAIN[2:])


def stanza(*lines: str, name: str = "a", without: str = "", before: tuple[str, ...] = PLAIN) -> str:
    """A service that works, with lines added and those of one attribute left out."""
    kept = [line for line in before if not without or not line.startswith(without)]
    return "\n".join([f"service {name}", "{", *kept, *lines, "}", ""])


def one(*lines: str, without: str = "", **wishes: bool) -> Service:
    return imported(stanza(*lines, without=without), wishes=wishes).only()


def defaults(*lines: str) -> str:
    return "\n".join(["defaults", "{", *lines, "}", ""])


def noted(found: Imported, words: str) -> bool:
    return found.says(words, Fate.NOTED)


def faulty(found: Imported, words: str) -> bool:
    return found.says(words, Fate.FAULT)
