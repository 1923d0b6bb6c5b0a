"""What no single value shows: keys that do not fit their service, and services that do not fit together.

Every check is a generator of faults over drafts, so that one faulty key does not hide another.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping

from superd.config.drafts import Draft, Layer, build_table
from superd.config.findings import Place
from superd.config.forward_checks import check_forward
from superd.config.model import Listen, Mode, Scheme, Service
from superd.config.policy_checks import Policy, Written, clashes
from superd.config.sandbox_checks import check_sandbox
from superd.config.schema import NESTED, TABLES
from superd.config.server_checks import check_server, server_warnings
from superd.errors import Fault

_PLACES = {Scheme.TCPMUX: "name"}
_POLICY = tuple(nested for nested in NESTED if nested.tunable)
Claim = tuple[object, ...]

_ANY_ADDRESS = {"*": ("0.0.0.0", "::"), "localhost": ("127.0.0.1", "::1")}  # noqa: S104 - nothing is bound here


# Whom the acceptor may not be, and why.
_UNFIT_USERS = {
    "root": "the part that talks to the network is never root",
    "0": "the part that talks to the network is never root",
    "nobody": "every service that runs as nobody could kill superd",
    "65534": "every service that runs as nobody could kill superd",
}


def check_settings(place: Place, superd_user: str) -> Iterator[Fault]:
    """The faults of ``[superd]`` by itself."""
    problem = _UNFIT_USERS.get(superd_user)
    if problem:
        yield place.fault(
            "user", problem, 'write "superd", or another user that nothing else uses', superd_user
        )


def check_service(draft: Draft, superd_user: str) -> Iterator[Fault]:
    """The faults of one service by itself.

    Args:
        draft: the service.
        superd_user: whom the acceptor runs as.
    """
    yield from _missing_listen(draft)
    yield from check_server(draft)
    yield from check_forward(draft)
    yield from _unusable_keys(draft)
    yield from _relative_program(draft)
    yield from _acceptors_user(draft, superd_user)
    yield from _repeated_listens(draft)
    yield from _policy_clashes(draft)
    yield from check_sandbox(draft)


def _missing_listen(draft: Draft) -> Iterator[Fault]:
    if not draft.is_written("listen"):
        yield draft.own.place.fault("listen", "missing", 'write listen = ["tcp://*:PORT"]')


def _unusable_keys(draft: Draft) -> Iterator[Fault]:
    for layer in draft.layers[1:]:
        for table, raw in layer.raw.items():
            for name, value in raw.items():
                key = TABLES[table].get(name)
                need = key.unmet(draft.traits) if key else None
                if need is not None:
                    yield layer.place_of(table).fault(name, f"only for {need.words}", need.remedy, value)


def _relative_program(draft: Draft) -> Iterator[Fault]:
    if draft.program and not draft.program.startswith("/") and not draft.is_written("exec_path"):
        remedy = "write the program's path, or give it as exec_path"
        yield draft.place_of("exec").fault("exec", "not an absolute path", remedy, draft.program)


def _acceptors_user(draft: Draft, superd_user: str) -> Iterator[Fault]:
    """A child of the acceptor's own user could signal and trace the acceptor."""
    if draft.values.get("user") == superd_user:
        problem = "the user of superd's acceptor"
        yield draft.place_of("user").fault("user", problem, "use another user", superd_user)


def _policy_clashes(draft: Draft) -> Iterator[Fault]:
    tables = {nested.name: build_table(nested, draft.tables[nested.name]) for nested in _POLICY}
    for clash in clashes(Policy(**tables), _written(draft)):
        if _is_sound(draft, clash.key) and _is_sound(draft, clash.other):
            table, _, name = clash.key.partition(".")
            value = (draft.layer_of(name, table) or draft.own).raw.get(table, {}).get(name)
            yield draft.place_of(name, table).fault(name, clash.problem, clash.remedy, value)


def _is_sound(draft: Draft, dotted: str) -> bool:
    """Whether nothing is wrong with a key by itself; one fault a key is enough."""
    table, _, name = dotted.partition(".")
    return not draft.is_faulty(name, table) and TABLES[table][name].unmet(draft.traits) is None


def _written(draft: Draft) -> Written:
    """Which keys of the policy are written where; a default that the service cannot use is not."""
    usable = {f"{nested.name}.{name}" for nested in _POLICY for name in draft.tables[nested.name]}
    defaults, own, *above = (_policy_keys(layer) for layer in draft.layers)
    overrides = set().union(*above)
    here = own | overrides
    return Written(here, here | defaults & usable, (own - overrides, defaults & usable - here))


def _policy_keys(layer: Layer) -> set[str]:
    return {f"{nested.name}.{name}" for nested in _POLICY for name in layer.raw.get(nested.name, {})}


def _claims(listen: Listen, device: object) -> tuple[list[Claim], list[Claim]]:
    """What a listener takes, each of which only one socket may have, and what would be in its way.

    A socket on every address and one on a single address are in each other's way. So a single address takes
    "some" of its port too, which is what a socket on every address finds. An unknown port (0) claims nothing.
    Source: ip(7), bind(2); inet_csk_bind_conflict and udp_lib_lport_inuse of Linux.
    """
    if listen.path:
        kind = "unix" if listen.scheme.is_unix else "tcpmux"
        return [(kind, listen.path)], [(kind, listen.path)]
    taken: list[Claim] = []
    sought: list[Claim] = []
    transport, family = listen.scheme[:3], listen.scheme[3:]
    for host in _ANY_ADDRESS.get(listen.host, (listen.host,)) if listen.port else ():
        if family not in ("", "6" if ":" in host else "4"):
            continue
        every = "::" if ":" in host else "0.0.0.0"  # noqa: S104 - nothing is bound here
        port = (transport, listen.port, device)
        one, some, all_ = (host, listen.scope, *port), ("some", every, *port), (every, "", *port)
        taken += [one] if host == every else [one, some]
        sought += [one, some] if host == every else [one, all_]
    return taken, sought


def _repeated_listens(draft: Draft) -> Iterator[Fault]:
    claimed: dict[Claim, Listen] = {}
    for listen in draft.listens:
        claims, sought = _claims(listen, None)
        taken = next((claimed[claim] for claim in sought if claim in claimed), None)
        if taken is not None:
            problem = "stands there twice" if taken == listen else f'the same port as "{taken.text}"'
            yield draft.place_of("listen").fault("listen", problem, "remove one of them", listen.text)
        claimed.update(dict.fromkeys(claims, listen))


def check_together(drafts: Iterable[Draft], own_sockets: Mapping[str, str]) -> Iterator[Fault]:
    """Two enabled services that want the same address and port, or the same path; or superd's own.

    Args:
        own_sockets: the paths of superd's own sockets, by their keys of ``[superd]``.
    """
    claimed: dict[Claim, Draft] = {}
    for draft in drafts:
        if draft.values.get("enabled") is False:
            continue
        yield from _own_listens(draft, own_sockets)
        device = draft.socket.get("bind_to_device")
        for listen in draft.listens:
            claims, sought = _claims(listen, device)
            rivals = (claimed[claim] for claim in sought if claim in claimed)
            rival = next((rival for rival in rivals if not _may_share(draft, rival, listen)), None)
            if rival is not None:
                yield _clash(draft, rival, listen)
            for claim in claims:
                claimed.setdefault(claim, draft)


def _own_listens(draft: Draft, own_sockets: Mapping[str, str]) -> Iterator[Fault]:
    for listen in draft.listens:
        for key, path in own_sockets.items():
            if listen.path and os.path.normpath(listen.path) == os.path.normpath(path):
                problem, remedy = f'superd.{key} = "{path}" is there', "use another path for one of them"
                yield draft.place_of("listen").fault("listen", problem, remedy, listen.text)


def _may_share(draft: Draft, other: Draft, listen: Listen) -> bool:
    if draft is other:
        return True  # said already, by the check of the service itself
    both = draft.socket.get("reuse_port") and other.socket.get("reuse_port")
    return bool(both) and _is_sharable(draft, other, listen)


def _is_sharable(draft: Draft, other: Draft, listen: Listen) -> bool:
    """Whether reuse_port counts: a UDP port whose peers get sockets of their own is shared with those alone."""
    nowait = Mode.NOWAIT in (one.values.get("mode", Mode.NOWAIT) for one in (draft, other))
    return not listen.path and not (listen.scheme.is_datagram and nowait)


def _clash(draft: Draft, rival: Draft, listen: Listen) -> Fault:
    where = "" if rival.own.place.file == draft.own.place.file else f" ({rival.own.place.file})"
    remedy = f"use another {_PLACES.get(listen.scheme, 'path' if listen.path else 'port')}"
    if _is_sharable(draft, rival, listen):
        remedy += ", or reuse_port in both"
    problem = f"{rival.own.place.path}{where} listens there too"
    return draft.place_of("listen").fault("listen", problem, remedy, listen.text)


def warnings(services: Collection[Service], drafts: Collection[Draft]) -> Iterator[Fault]:
    """What is allowed, but probably not meant."""
    yield from server_warnings(services, drafts)
    by_user: dict[str, list[Draft]] = {}
    for draft, service in zip(drafts, services, strict=True):
        if service.enabled and service.user not in ("", "root", "0"):
            by_user.setdefault(service.user, []).append(draft)
    for user, sharers in by_user.items():
        if len({(draft.values.get("exec"), draft.values.get("handler")) for draft in sharers}) > 1:
            names = ", ".join(draft.name for draft in sharers)
            problem = f"{names} share it and can attack each other"
            yield sharers[-1].place_of("user").fault("user", problem, "give each a user of its own", user)
