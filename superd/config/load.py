"""From the file's name to a ``Config``, or to every fault there is in it.

files      text of each file, checked and parsed as TOML
drafts     each table parsed by the schema, defaults, services and overrides merged
checks     what no single value shows
Config     only when nothing was found
"""

from __future__ import annotations

import difflib
import functools
import glob
import os
import pwd
import re
import shlex
import socket
import sys
from collections.abc import Iterable, Iterator
from typing import Literal, TextIO

from attrs import evolve, frozen

from superd.config import checks
from superd.config.addresses import LookupPort
from superd.config.dialects import nearest
from superd.config.drafts import Draft, Layer, build, merge, parse_layer, parse_table
from superd.config.files import decoded, parse_toml, read_stream, read_trusted, read_trusted_bytes
from superd.config.findings import Place, RejectedError, toml_key
from superd.config.forward_checks import check_loops
from superd.config.grants import check_grants, parse_grants
from superd.config.legacy.carried import Carried, LegacyError
from superd.config.legacy.wishes import Wishes
from superd.config.model import Config, Service, SuperdSettings
from superd.config.overrides import Overrides, conflicts, orphans, parse_overrides
from superd.config.places import control_socket, override_file
from superd.config.schema import SERVICE, TABLES
from superd.errors import ConfigError, Fault

STANDARD_INPUT = "standard input"
"""How messages name what ``-f -`` reads."""

_TOP = ("services", "superd", "defaults", "override", "grants")
_SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,63}")


@frozen
class _Role:
    """What a file is to the configuration.

    Args:
        holds: the tables that may stand in it.
        problem: what is wrong with any other one.
    """

    holds: tuple[str, ...]
    problem: str = ""


_MAIN = _Role(_TOP)
_INCLUDED = _Role(("services", "override", "grants"), "not in an included file")
_DROP_IN = _Role(("override",), "not in the file of overrides")


@frozen
class _Document:
    """One file, parsed as TOML."""

    place: Place
    tables: dict[str, object]
    role: _Role
    carried: Carried | None = None  # of another super-server's file


def load(
    path: str,
    *,
    system: bool = True,
    stdin: TextIO | None = None,
    drop_in: str = "",
    wishes: Wishes = Wishes(),  # noqa: B008 - frozen
) -> Config:
    """Read a configuration, everything it includes, and its file of overrides.

    Args:
        path: the main file; ``-`` reads ``stdin``.
        system: False leaves out what depends on this machine: owners of files, service names (their port is
            then 0), the acceptor's user.
        stdin: what ``-`` reads; None means ``sys.stdin``.
        drop_in: the file of overrides, when it is not to be the usual one.
        wishes: how another super-server's file is read, for such a file may be the main one.

    Raises:
        ConfigError: with every fault of every file.
    """
    faults: list[Fault] = []
    main = _read_main(path, faults, wishes, system=system, stdin=stdin)
    if main is None:
        raise ConfigError(faults)
    lookup_port = functools.cache(_lookup_service) if system else _lookup_nothing
    top = main.place.inside("superd")
    settings = parse_table("superd", main.tables.get("superd", {}), top, faults)
    documents = [main, *_included(main, settings.pop("include", ()), faults, system=system)]
    documents += _drop_in(main, drop_in or override_file(main.place.file), faults, system=system)
    defaults = parse_layer(
        main.tables.get("defaults", {}), main.place.inside("defaults"), lookup_port, faults
    )
    grants = [
        grant
        for document in documents
        if "grants" in document.role.holds
        for grant in parse_grants(document.tables.get("grants", []), document.place, faults)
    ]
    own = _services(documents, lookup_port, faults)
    overrides = _overrides(documents, own, lookup_port, faults)
    drafts = [merge(name, defaults, layer, overrides.get(name, ())) for name, layer in own.items()]
    superd_user = str(settings.get("user", SuperdSettings().user))
    faults += checks.check_settings(top, superd_user)
    faults += [fault for draft in drafts for fault in checks.check_service(draft, superd_user)]
    control = control_socket(str(settings.get("control", SuperdSettings().control)), os.geteuid(), os.environ)
    bind_socket = str(settings.get("bind_socket", SuperdSettings().bind_socket))
    faults += check_grants(grants, top, bind_socket, control)
    own_sockets = {"control": control, **({"bind_socket": bind_socket} if grants else {})}
    faults += checks.check_together(drafts, own_sockets)
    faults += check_loops(drafts)
    if faults:
        # a default's fault shows in every service
        raise ConfigError(tuple(dict.fromkeys(faults)), [_legible(draft) for draft in drafts])
    services = {draft.name: build(draft) for draft in drafts}
    warnings = [
        *_told(main.carried, wishes),
        *([] if services or grants else [_idle(main.place.file)]),
        *checks.warnings(services.values(), drafts),
        *orphans(overrides, services),
    ]
    if system and "user" in settings:
        warnings += _absent_user(top, superd_user)
    return Config(
        settings=_settings(settings),
        services=services,
        grants=tuple(grants),
        warnings=tuple(warnings),
        files=tuple(document.place.file for document in documents),
    )


def _idle(main_file: str) -> Fault:
    return Fault(main_file, "", "no services", "write [services.NAME]")


def _settings(values: dict[str, object]) -> SuperdSettings:
    fields = {TABLES["superd"][name].field: value for name, value in values.items()}
    return SuperdSettings(**fields)  # type: ignore[arg-type] # the schema's types


def _absent_user(place: Place, superd_user: str) -> Iterator[Fault]:
    """A warning when the acceptor's user is written and does not exist. Only root's acceptor becomes another."""
    if os.geteuid() != 0 or (superd_user.isascii() and superd_user.isdigit()):
        return
    try:
        pwd.getpwnam(superd_user)
    except KeyError:
        remedy = f"create it with: useradd --system {shlex.quote(superd_user)}"
        yield place.fault("user", "no such user; an unused uid is taken instead", remedy, superd_user)


def _legible(draft: Draft) -> Service:
    """A service as far as its faults let it be made out."""
    program = (draft.program,) if "exec" in draft.servers else ()
    own = {**draft.values, "listen": draft.listens, "exec": program}
    return build(evolve(draft, tables={**draft.tables, SERVICE: own}))


def _content(path: str, stdin: TextIO | None, *, system: bool) -> bytes:
    if path == "-":
        return read_stream(stdin or sys.stdin).encode()
    return read_trusted_bytes(path, system=system)


def _read_main(
    path: str, faults: list[Fault], wishes: Wishes, *, system: bool, stdin: TextIO | None
) -> _Document | None:
    """The main file, superd's own or another super-server's; None when it cannot be used: a fault says why."""
    place = Place(STANDARD_INPUT if path == "-" else path)
    try:
        if wishes.files:
            from superd.config.legacy.foreign import (
                read_together,  # only now: it brings every importer with it
            )

            return _other(place, read_together(wishes, system=system))
        return _own_or_other(place, _content(path, stdin, system=system), wishes, system=system)
    except LegacyError as failure:
        faults.append(failure.fault)
    except RejectedError as error:
        faults += place.faults("", None, error, secret=True)
    return None


def _own_or_other(place: Place, content: bytes, wishes: Wishes, *, system: bool) -> _Document:
    """A main file as superd's own, else as another super-server's.

    Raises:
        RejectedError: it is neither.
        LegacyError: it is another's, and cannot be used.
    """
    try:
        own = _Document(place, parse_toml(decoded(content)), _MAIN)
    except RejectedError:
        from superd.config.legacy.foreign import read_foreign  # only now, as above

        carried = read_foreign(place.file, content, wishes, system=system)
        if carried is None:
            raise
        return _other(place, carried)
    if own.tables or not wishes.beside:
        return own
    from superd.config.legacy.foreign import has_company, read_foreign

    if not has_company(wishes):
        return own
    carried = read_foreign(place.file, content, wishes, system=system)
    return own if carried is None else _other(place, carried)


def _told(carried: Carried | None, wishes: Wishes) -> Iterable[Fault]:
    """What is to be said of a file that is another super-server's."""
    if carried is None:
        return ()
    from superd.config.legacy.foreign import told

    return told(carried, wishes)


def _other(place: Place, carried: Carried) -> _Document:
    return _Document(place, carried.as_toml(), _MAIN, carried)


def _read(path: str, role: _Role, faults: list[Fault], *, system: bool) -> _Document | None:
    """One file; None when it cannot be used, which is then among the faults."""
    place = Place(path)
    try:
        return _Document(place, parse_toml(read_trusted(path, system=system)), role)
    except RejectedError as error:
        faults += place.faults("", None, error, secret=True)
        return None


def _included(main: _Document, patterns: object, faults: list[Fault], *, system: bool) -> list[_Document]:
    documents = []
    seen = {os.path.realpath(path) for path in (main.place.file, override_file(main.place.file))}
    assert isinstance(patterns, tuple)  # noqa: S101 - tells mypy what the kind made
    for pattern in patterns:
        for path in _expand(main.place, pattern, faults):
            if os.path.realpath(path) in seen:
                continue
            seen.add(os.path.realpath(path))
            document = _read(path, _INCLUDED, faults, system=system)
            if document is not None:
                documents.append(document)
    return documents


def _expand(place: Place, pattern: str, faults: list[Fault]) -> list[str]:
    """The files of one item of ``include``, sorted. A name without ``*``, ``?`` or ``[`` is taken as it is."""
    if place.file == STANDARD_INPUT and not pattern.startswith("/"):
        faults.append(
            place.inside("superd").fault("include", "relative to no file", "write an absolute path", pattern)
        )
        return []
    full = os.path.join(os.path.dirname(place.file), pattern)
    if glob.has_magic(pattern):
        return sorted(glob.glob(full))
    if not os.path.lexists(full):
        faults.append(
            place.inside("superd").fault("include", f"no such file {full}", "check the path", pattern)
        )
        return []
    return [full]


def _drop_in(main: _Document, path: str, faults: list[Fault], *, system: bool) -> list[_Document]:
    """The file of overrides, if there is one."""
    if main.place.file == STANDARD_INPUT or not os.path.lexists(path):
        return []
    document = _read(path, _DROP_IN, faults, system=system)
    return [document] if document else []


def _services(documents: list[_Document], lookup_port: LookupPort, faults: list[Fault]) -> dict[str, Layer]:
    """What stands of each service in its own table, by name."""
    layers: dict[str, Layer] = {}
    for document in documents:
        _check_top(document, documents[0], faults)
        place = document.place.inside("services")
        services = document.tables.get("services", {}) if "services" in document.role.holds else {}
        if not isinstance(services, dict):
            faults.append(place.fault("", "not a table", "write [services.NAME]", services))
            continue
        lines = document.carried.origins if document.carried else {}
        for name, raw in services.items():
            if _check_service_name(name, raw, place, layers, faults):
                own = evolve(place.inside(name, name), file=lines.get(name, place.file))
                layers[name] = parse_layer(raw, own, lookup_port, faults)
    return layers


def _overrides(
    documents: list[_Document], services: dict[str, Layer], lookup_port: LookupPort, faults: list[Fault]
) -> Overrides:
    overrides: Overrides = {}
    for document in documents:
        raw, place = document.tables.get("override", {}), document.place.inside("override")
        for name, layer in parse_overrides(raw, place, services, lookup_port, faults).items():
            overrides.setdefault(name, []).append(layer)
    for layers in overrides.values():
        faults += conflicts(layers)
    return overrides


def _check_service_name(
    name: str, raw: object, place: Place, known: dict[str, Layer], faults: list[Fault]
) -> bool:
    """Whether ``[services.NAME]`` can be read; what speaks against it goes to ``faults``."""
    if name in TABLES["service"] and not isinstance(raw, dict):
        found = place.fault(name, "outside of a service", "write it under [services.NAME]")
    elif not _SERVICE_NAME.fullmatch(name):
        found = place.fault(
            name, "not a name", "use up to 64 of A-Z a-z 0-9 _ . @ + -, a letter or digit first"
        )
    elif not isinstance(raw, dict):
        found = place.fault(name, "not a table", f"write [{place.key(name)}]", raw)
    elif name in known:
        remedy = "keep one of them"
        found = place.inside(name, name).fault("", f"stands in {known[name].place.file} too", remedy)
    else:
        return True
    faults.append(found)
    return False


def _check_top(document: _Document, main: _Document, faults: list[Fault]) -> None:
    for name, value in document.tables.items():
        if name in _TOP:
            if name not in document.role.holds:
                remedy = f"move it to {main.place.file}"
                faults.append(document.place.fault(name, document.role.problem, remedy))
        else:
            faults.append(document.place.fault(name, *_advise_top(name, value)))


def _advise_top(name: str, value: object) -> tuple[str, str]:
    if isinstance(value, dict):
        close = difflib.get_close_matches(name, _TOP, 1, 0.7)
        return "unknown table", f"write [{close[0]}]" if close else f"write [services.{toml_key(name)}]"
    for table, path in (("superd", "superd"), ("service", "services.NAME")):
        if name in TABLES[table]:
            return "outside of a table", f"write it under [{path}]"
    return "unknown key", nearest(
        name, (*TABLES["superd"], *TABLES["service"])
    ) or "superd.toml(5) lists the keys"


def _lookup_service(name: str, transport: Literal["tcp", "udp"]) -> int | None:
    try:
        return socket.getservbyname(name, transport)
    except OSError:
        return None


def _lookup_nothing(name: str, transport: Literal["tcp", "udp"]) -> int | None:
    return 0
