"""What the table of keys is made of: its rows, what a key may need, and the tables inside a service."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from superd.config.kinds import Kind
from superd.config.traits import VIA_TCPMUX, WAIT_DATAGRAMS


@frozen
class Need:
    """What a service must have for a key to mean anything: one of its listeners' traits, or its mode.

    Args:
        words: as the man page and faults say it.
        any_of: traits, as ``traits.py`` names them; one of them suffices.
        remedy: what to do where it is not so.
    """

    words: str
    any_of: frozenset[str]
    remedy: str = "remove it"


_OR_NOWAIT = 'remove it, or use mode = "nowait"'

TCP = Need("tcp listeners", frozenset({"tcp"}))
UDP = Need("udp listeners", frozenset({"udp"}))
INET = Need("tcp and udp listeners", frozenset({"tcp", "udp"}))
UNIX = Need("unix listeners", frozenset({"unix"}))
STREAM = Need("stream listeners", frozenset({"stream"}))
ADDRESS = Need("tcp and udp listeners", INET.any_of | {VIA_TCPMUX})
STREAMS = Need("stream listeners", STREAM.any_of | {VIA_TCPMUX})
EXEC = Need("exec", frozenset({"exec"}))
CHILDREN = Need("exec and handler", frozenset({"exec", "handler"}))
IDENT = Need('builtin = "ident"', frozenset({"ident"}))
GREETED = Need('stream listeners and builtin = "qotd"', STREAMS.any_of | {"qotd"})
IDLE = Need('mode = "wait", builtin and forward', frozenset({"wait", "builtin", "forward"}))
FORWARD = Need("forward", frozenset({"forward"}))
PASSED = Need('mode = "wait" and "always"', frozenset({"wait", "always"}))
NOWAIT = Need('mode = "nowait"', frozenset({"nowait"}), _OR_NOWAIT)
PEERS = Need(
    'mode = "nowait", and "wait" with datagrams alone', frozenset({"nowait", WAIT_DATAGRAMS}), _OR_NOWAIT
)


@frozen
class Key:
    """One key of the configuration.

    Args:
        table: ``superd``, ``service`` or one of the tables inside a service.
        name: as written in the file.
        field: of the model's class; empty for a key that the loader uses up.
        kind: how its value is written and parsed.
        default: as TOML; empty when leaving the key out means what ``meaning`` says.
        meaning: plain sentences, the man page's text.
        needs: what the services it applies to have, all of it. A fault elsewhere, ignored from ``[defaults]``.
    """

    table: str
    name: str
    field: str
    kind: Kind
    default: str
    meaning: str
    needs: tuple[Need, ...] = ()

    def unmet(self, traits: frozenset[str]) -> Need | None:
        """The first need that a service with these traits does not meet; None when it can use the key."""
        return next((need for need in self.needs if traits.isdisjoint(need.any_of)), None)


@frozen
class Nested:
    """A table inside a service: ``[services.X.NAME]``, and the same of ``[defaults]`` and ``[override.X]``.

    Args:
        name: the table's, and that of the service's field in the model.
        plain: what the field holds when no key is written; an instance of its frozen class.
        title: the heading of its section in the man page.
        about: one sentence on what it holds.
        tunable: its keys can be changed while superd runs, without a reload.
    """

    name: str
    plain: Any
    title: str
    about: str
    tunable: bool = False
