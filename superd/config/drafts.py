"""Services on their way from TOML to the model: parsed by the schema, layers merged, not yet checked.

Values are parsed first and merged afterwards, so that a fault in ``[defaults]`` is reported once, where it
stands. Layers are ``[defaults]``, ``[services.NAME]`` and any number of ``[override.NAME]``, the weakest first.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from superd.config.addresses import LookupPort, parse_listen
from superd.config.dialects import advise
from superd.config.findings import Place, RejectedError
from superd.config.keys import Nested
from superd.config.kinds import line_of
from superd.config.model import (
    BUILTIN_IDLE_S,
    SESSION_IDLE_S,
    Builtin,
    Listen,
    Mode,
    ResourceLimit,
    Service,
    Target,
)
from superd.config.schema import LIMIT_PREFIX, NESTED, OF_SERVICE, SERVICE, TABLES
from superd.config.targets import parse_target
from superd.config.traits import SERVERS, server_traits, traits
from superd.errors import Fault, UnitError


@frozen
class Layer:
    """What one place says of a service, by table: its own keys (SERVICE) and each table inside it.

    Args:
        place: where the service's own table stands.
        raw: each table as written.
        values: by key name, those without fault; ``listen`` is a tuple of Listen.
        listens: what could be made out of ``listen``, also where another of its addresses is faulty.
        group_from_user: the group came with the user (``user = "ftp:ftp"``).
    """

    place: Place
    raw: Mapping[str, Mapping[str, object]]
    values: Mapping[str, Mapping[str, object]]
    listens: tuple[Listen, ...] = ()
    group_from_user: bool = False

    def place_of(self, table: str) -> Place:
        """Where one of its tables stands."""
        return self.place if table == SERVICE else self.place.inside(table)


@frozen
class Draft:
    """One service: its layers, the weakest first, all of them merged, and which keys say what serves it."""

    name: str
    layers: tuple[Layer, ...]
    tables: Mapping[str, Mapping[str, object]]
    traits: frozenset[str]
    servers: tuple[str, ...]

    @property
    def own(self) -> Layer:
        return self.layers[1]

    @property
    def values(self) -> Mapping[str, object]:
        """The service's own keys, tables inside it apart."""
        return self.tables[SERVICE]

    @property
    def socket(self) -> Mapping[str, object]:
        return self.tables["socket"]

    @property
    def listens(self) -> tuple[Listen, ...]:
        """Its addresses, as far as they can be made out."""
        layer = self.layer_of("listen")
        return layer.listens if layer else ()

    @property
    def program(self) -> str:
        """The first word of ``exec``, whatever is wrong with the others; empty when it cannot be told."""
        layer = self.layer_of("exec")
        words = layer.raw[SERVICE]["exec"] if layer else None
        try:
            return line_of(words[0]) if isinstance(words, list) and words else ""
        except RejectedError:  # it is among the faults
            return ""

    def layer_of(self, name: str, table: str = SERVICE) -> Layer | None:
        """The layer whose word counts for a key, faulty or not; None for a key that is not written."""
        return _layer_of(self.layers, name, table)

    def is_written(self, name: str, table: str = SERVICE) -> bool:
        """Whether the key stands in a file at all, faulty or not."""
        return self.layer_of(name, table) is not None

    def is_faulty(self, name: str, table: str = SERVICE) -> bool:
        """Whether the key is written, but says nothing usable."""
        layer = self.layer_of(name, table)
        return layer is not None and name not in layer.values.get(table, {})

    def place_of(self, name: str, table: str = SERVICE) -> Place:
        """Where the key's value comes from; the service itself for one that is not written."""
        return (self.layer_of(name, table) or self.own).place_of(table)


def _layer_of(layers: Sequence[Layer], name: str, table: str = SERVICE) -> Layer | None:
    for layer in reversed(layers):
        if table in layer.raw and name in layer.raw[table]:
            return layer
    return None


def parse_table(table: str, raw: object, place: Place, faults: list[Fault]) -> dict[str, object]:
    """The parsed values of one table by key name; what is unknown or faulty goes to ``faults``."""
    values: dict[str, object] = {}
    if not isinstance(raw, dict):
        faults.append(place.fault("", "not a table", f"write [{place.path}]", raw))
        return values
    keys = TABLES[table]
    for name, value in raw.items():
        key = keys.get(name)
        if key is None:
            faults.append(place.fault(name, *advise(table, name, place.path)))
            continue
        try:
            values[name] = key.kind.parse(value)
        except (RejectedError, UnitError) as error:
            faults += place.faults(name, value, error, secret=key.kind.secret)
    return values


def parse_layer(raw: object, place: Place, lookup_port: LookupPort, faults: list[Fault]) -> Layer:
    """Parse ``[defaults]``, ``[services.NAME]`` or ``[override.NAME]`` with the tables inside it."""
    written = _by_table(raw)
    raws = {table: part for table, part in written.items() if isinstance(part, dict)}
    values = {
        table: parse_table(table, part, place if table == SERVICE else place.inside(table), faults)
        for table, part in written.items()
    }
    service = values[SERVICE]
    listens = _parse_listens(service, place, lookup_port, faults) if "listen" in service else ()
    if "forward" in service:
        _parse_forward(service, place, lookup_port, faults)
    from_user = _split_user(service, place, faults)
    return Layer(place, raws, values, listens, from_user)


def _by_table(raw: object) -> dict[str, object]:
    """The keys of a service, and the tables inside it by themselves."""
    if not isinstance(raw, dict):
        return {SERVICE: raw}
    nested = {table.name: raw[table.name] for table in NESTED if table.name in raw}
    return {SERVICE: {name: value for name, value in raw.items() if name not in nested}, **nested}


def _parse_listens(
    values: dict[str, object], place: Place, lookup_port: LookupPort, faults: list[Fault]
) -> tuple[Listen, ...]:
    """The addresses without fault; they become the value when all are."""
    items = values.pop("listen")
    assert isinstance(items, tuple)  # noqa: S101 - tells mypy what the kind made
    listens = []
    for item in items:
        try:
            listens.append(parse_listen(line_of(item), lookup_port))
        except RejectedError as error:
            faults += place.faults("listen", item, error, secret=False)
    if len(listens) == len(items):
        values["listen"] = tuple(listens)
    return tuple(listens)


def _parse_forward(
    values: dict[str, object], place: Place, lookup_port: LookupPort, faults: list[Fault]
) -> None:
    text = str(values.pop("forward"))
    try:
        values["forward"] = parse_target(text, lookup_port)
    except RejectedError as error:
        faults += place.faults("forward", text, error, secret=False)


def _split_user(values: dict[str, object], place: Place, faults: list[Fault]) -> bool:
    """Turn ``user = "user:group"`` into both keys; says whether it did."""
    user, _, group = str(values.get("user", "")).partition(":")
    if not group:
        return False
    values["user"] = user
    if values.setdefault("group", group) != group:
        remedy = f'remove it, or write user = "{user}"'
        faults.append(place.fault("group", "another group than user names", remedy, values["group"]))
    return True


def merge(name: str, defaults: Layer, own: Layer, overrides: Sequence[Layer] = ()) -> Draft:
    """The layers of a service put on top of each other; a default that cannot apply to it is left out."""
    layers = (defaults, own, *overrides)
    servers = _servers(layers)
    found = traits(_listens(layers), _mode(layers, servers), server_traits(servers, _builtin(layers)))
    usable = {table: _usable(table, values, found) for table, values in defaults.values.items()}
    others = set(SERVERS) - set(servers)
    usable[SERVICE] = {key: value for key, value in usable[SERVICE].items() if key not in others}
    merged = functools.reduce(_stacked, layers[1:], evolve(defaults, values=usable))
    return Draft(name, layers, merged.values, found, servers)


def _listens(layers: Sequence[Layer]) -> tuple[Listen, ...] | None:
    """What the service listens on; None when a fault hides it."""
    layer = _layer_of(layers, "listen")
    listens = layer.values[SERVICE].get("listen") if layer else None
    return listens if isinstance(listens, tuple) else None


def _servers(layers: Sequence[Layer]) -> tuple[str, ...]:
    """The keys that say what serves the service: its own, or else the defaults'; all where there is none."""
    for part in (layers[1:], layers[:1]):
        written = tuple(name for name in SERVERS if _layer_of(part, name))
        if written:
            return written
    return SERVERS


def _builtin(layers: Sequence[Layer]) -> Builtin | None:
    """Which builtin serves; None when a fault hides it, or none does."""
    layer = _layer_of(layers, "builtin")
    builtin = layer.values[SERVICE].get("builtin") if layer else None
    return builtin if isinstance(builtin, Builtin) else None


def _mode(layers: Sequence[Layer], servers: Sequence[str]) -> Mode | None:
    """The mode of the service; None when a fault hides it."""
    layer = _layer_of(layers, "mode")
    if layer is None or "exec" not in servers or "forward" in servers:
        return Mode.NOWAIT
    mode = layer.values[SERVICE].get("mode")
    return mode if isinstance(mode, Mode) else None


def _usable(table: str, values: Mapping[str, object], found: frozenset[str]) -> dict[str, object]:
    return {name: value for name, value in values.items() if TABLES[table][name].unmet(found) is None}


def _stacked(below: Layer, above: Layer) -> Layer:
    """Two layers as one: tables merge key by key, ``environment`` does too, and a group goes with its user."""
    values = {table: {**below.values.get(table, {}), **above.values.get(table, {})} for table in OF_SERVICE}
    service, upper = values[SERVICE], above.values[SERVICE]
    inherited = below.group_from_user and "group" not in upper
    if inherited and "user" in above.raw.get(SERVICE, {}):
        service.pop("group")
        inherited = False
    lower = below.values[SERVICE]
    if "environment" in lower and "environment" in upper:
        service["environment"] = _joined(lower["environment"], upper["environment"])
    from_user = above.group_from_user or inherited
    return Layer(above.place, above.raw, values, above.listens, from_user)


def _joined(below: object, above: object) -> dict[str, str]:
    assert isinstance(below, dict)  # noqa: S101 - tells mypy what the kind made
    assert isinstance(above, dict)  # noqa: S101 - as above
    return {**below, **above}


def build(draft: Draft) -> Service:
    """The service of a draft without faults."""
    fields: dict[str, object] = {"name": draft.name, "source_file": draft.own.place.file}
    resources: dict[str, ResourceLimit] = {}
    for name, value in draft.values.items():
        if isinstance(value, ResourceLimit):
            resources[name.removeprefix(LIMIT_PREFIX)] = value
        else:
            fields[TABLES[SERVICE][name].field] = value
    if "builtin" in fields:
        fields.setdefault("idle_timeout_s", BUILTIN_IDLE_S)
    forward = fields.get("forward")
    if isinstance(forward, Target) and forward.transport == "udp":
        fields.setdefault("idle_timeout_s", SESSION_IDLE_S)
    tables = {nested.name: build_table(nested, draft.tables[nested.name]) for nested in NESTED}
    return Service(**fields, resource_limits=resources, **tables)  # type: ignore[arg-type] # the schema's types


def build_table(nested: Nested, values: Mapping[str, object]) -> Any:
    """What the model holds of a table inside a service, from the values of its keys."""
    options = {TABLES[nested.name][name].field: value for name, value in values.items()}
    return evolve(nested.plain, **options) if options else nested.plain
