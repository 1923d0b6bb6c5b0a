"""``[[grants]]`` from TOML to the model: each table parsed by the schema, and what no single key of it shows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from superd.config.drafts import parse_table
from superd.config.findings import Place
from superd.config.model import GrantTable
from superd.config.schema_grants import GRANT
from superd.errors import Fault

MOST_GRANTS = 1000
"""The broker asks each of them about every port, and holds all in one message."""

_NOBODY = ("nobody may use it", 'write users = ["NAME"], groups = ["NAME"], or users = ["*"] for everybody')


def parse_grants(raw: object, place: Place, faults: list[Fault]) -> list[GrantTable]:
    """The grants of one file; those with faults are left out.

    Args:
        raw: what stands at ``grants``.
        place: the file.
    """
    if not isinstance(raw, list) or not all(isinstance(table, dict) for table in raw):
        faults.append(
            place.fault("grants", "not a list of tables", "write [[grants]], once for each grant", raw)
        )
        return []
    found = (_parse_grant(table, place.file, f"grants[{n}]", faults) for n, table in enumerate(raw, 1))
    return [grant for grant in found if grant is not None]


def _parse_grant(raw: object, file: str, key: str, faults: list[Fault]) -> GrantTable | None:
    assert isinstance(raw, dict)  # noqa: S101 - tells mypy what the caller has looked at
    place = Place(file, key)
    before = len(faults)
    values = parse_table(GRANT, raw, place, faults)
    faults += _lacking(raw, values, place)
    if len(faults) > before:
        return None
    return GrantTable(file=file, key=key, **values)  # type: ignore[arg-type] # the schema's types


def _lacking(raw: dict[str, object], values: dict[str, object], place: Place) -> Iterator[Fault]:
    if "ports" not in raw:
        yield place.fault("ports", "missing", 'write ports = "tcp/80"')
    people = ("users", "groups")
    if not any(values.get(name) for name in people) and all(name in values for name in people if name in raw):
        yield place.fault("", *_NOBODY)


def check_grants(
    grants: Iterable[GrantTable], place: Place, bind_socket: str, control: str
) -> Iterator[Fault]:
    """What is wrong with all of them together, and with the socket that serves them.

    Args:
        place: of ``[superd]``.
        bind_socket, control: the paths of superd's own sockets.
    """
    count = len(list(grants))
    if count > MOST_GRANTS:
        yield Place(place.file).fault(
            "grants", f"{count} of them", f"use at most {MOST_GRANTS}; ports takes a list"
        )
    if count and os.path.normpath(bind_socket) == os.path.normpath(control):
        yield place.fault("bind_socket", "the control socket is there", "use another path", bind_socket)
