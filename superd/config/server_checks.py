"""What says what serves a service, and what that asks of the rest: one key of several, and listeners that suit it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from superd.config.drafts import Draft
from superd.config.model import Builtin, Handler, Mode, Scheme, Service, Target
from superd.config.traits import SERVERS
from superd.errors import Fault

_TCP = frozenset({Scheme.TCP, Scheme.TCP4, Scheme.TCP6})
_SCHEMES: dict[Builtin, tuple[Collection[Scheme], str]] = {
    Builtin.IDENT: (_TCP, 'write "tcp://*:113"'),
    Builtin.TCPMUX: (_TCP | {Scheme.UNIX}, 'write "tcp://*:1"'),
}
"""Where a builtin can be served, if not everywhere, and what to write instead."""


def check_server(draft: Draft) -> Iterator[Fault]:
    """The faults of one service that have to do with what serves it."""
    if not any(map(draft.is_written, SERVERS)):
        yield draft.own.place.fault("exec", "missing", 'write exec = ["/path/of/program", "argument"]')
    rivals = () if draft.servers == ("exec", "forward") else draft.servers[1:]
    for name in rivals if draft.is_written(draft.servers[0]) else ():
        problem = f"{draft.servers[0]} says already what serves it"
        value = draft.values.get(name)
        shown = value.text if isinstance(value, Handler | Target) else value
        yield draft.place_of(name).fault(name, problem, "remove one of them", shown)
    builtin = draft.values.get("builtin")
    if isinstance(builtin, Builtin):
        yield from _listens_of_builtin(draft, builtin)
    yield from _listens_of_tcpmux(draft)
    yield from _unnamed_peers(draft, has_modes="exec" in draft.servers)


def _listens_of_builtin(draft: Draft, builtin: Builtin) -> Iterator[Fault]:
    schemes, remedy = _SCHEMES.get(builtin, (frozenset(Scheme), ""))
    for listen in draft.listens:
        if listen.scheme not in schemes:
            yield draft.place_of("listen").fault(
                "listen", f"{builtin} is not served there", remedy, listen.text
            )
    if builtin is Builtin.QOTD and not draft.is_written("banner"):
        yield draft.own.place.fault("banner", "missing", 'write banner = "/path/of/quotes"')


def _listens_of_tcpmux(draft: Draft) -> Iterator[Fault]:
    """What tcpmux hands over is one connection, which a program that owns listeners has no use for."""
    if draft.values.get("mode", Mode.NOWAIT) is Mode.NOWAIT or draft.is_faulty("mode"):
        return
    for listen in draft.listens:
        if listen.scheme is Scheme.TCPMUX:
            problem = f'tcpmux hands over connections, which mode = "{draft.values["mode"]}" does not take'
            yield draft.place_of("listen").fault("listen", problem, 'use mode = "nowait"', listen.text)


def _unnamed_peers(draft: Draft, *, has_modes: bool) -> Iterator[Fault]:
    """Clients of a datagram unix socket need no address, so their sessions could not be told apart."""
    if has_modes and (draft.values.get("mode", Mode.NOWAIT) is not Mode.NOWAIT or draft.is_faulty("mode")):
        return
    for listen in draft.listens:
        if listen.scheme is Scheme.UNIX_DGRAM:
            problem = "datagrams of unnamed peers cannot be told apart"
            remedy = 'write mode = "wait"' if has_modes else f'write "unix://{listen.path}"'
            yield draft.place_of("listen").fault("listen", problem, remedy, listen.text)


def server_warnings(services: Collection[Service], drafts: Iterable[Draft]) -> Iterator[Fault]:
    """Services that wait for tcpmux, and no tcpmux."""
    if any(service.enabled and service.builtin is Builtin.TCPMUX for service in services):
        return
    for draft in drafts:
        for listen in draft.listens:
            if listen.scheme is Scheme.TCPMUX and draft.values.get("enabled") is not False:
                problem = 'no service has builtin = "tcpmux", so nobody can ask for it'
                remedy = 'write one with listen = ["tcp://*:1"]'
                yield draft.place_of("listen").fault("listen", problem, remedy, listen.text)
