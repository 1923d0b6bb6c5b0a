"""Services on their way from TOML to the model: parsed by the schema, defaults merged in, not yet checked.

Values are parsed first and merged afterwards, so that a fault in ``[defaults]`` is reported once, where it
stands.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from superd.config.addresses import LookupPort, parse_listen
from superd.config.dialects import advise
from superd.config.findings import Place, RejectedError
from superd.config.model import Listen, Mode, ResourceLimit, Scheme, Service, SocketOptions
from superd.config.schema import LIMIT_PREFIX, TABLES, Key
from superd.errors import Fault, UnitError

_SERVICE_KEYS, _SOCKET_KEYS = TABLES["service"], TABLES["socket"]
_PLAIN_SOCKET = SocketOptions()

_TRAITS = {
    Scheme.TCP: frozenset({"tcp", "stream"}),
    Scheme.TCP4: frozenset({"tcp", "stream"}),
    Scheme.TCP6: frozenset({"tcp", "stream"}),
    Scheme.UDP: frozenset({"udp"}),
    Scheme.UDP4: frozenset({"udp"}),
    Scheme.UDP6: frozenset({"udp"}),
    Scheme.UNIX: frozenset({"unix", "stream"}),
    Scheme.UNIX_DGRAM: frozenset({"unix"}),
    Scheme.UNIX_SEQPACKET: frozenset({"unix", "stream"}),
}
_ALL_TRANSPORTS = frozenset[str]().union(*_TRAITS.values())


@frozen
class Layer:
    """One table of service keys, ``[defaults]`` or ``[services.NAME]``, each value parsed.

    Args:
        place: where the table stands.
        raw: the table as written.
        values: by key name, those without fault; ``listen`` is a tuple of Listen.
        socket: the same for its ``[socket]``.
        group_from_user: the group came with the user (``user = "ftp:ftp"``).
    """

    place: Place
    raw: Mapping[str, object]
    values: Mapping[str, object]
    socket: Mapping[str, object]
    group_from_user: bool = False

    @property
    def raw_socket(self) -> Mapping[str, object]:
        raw = self.raw.get("socket")
        return raw if isinstance(raw, dict) else {}


@frozen
class Draft:
    """One service: its own layer, the defaults, and both merged."""

    name: str
    own: Layer
    defaults: Layer
    values: Mapping[str, object]
    socket: Mapping[str, object]
    traits: frozenset[str]

    @property
    def listens(self) -> tuple[Listen, ...]:
        listens = self.values.get("listen", ())
        assert isinstance(listens, tuple)  # noqa: S101 - tells mypy what parse_layer made
        return listens

    def is_written(self, name: str) -> bool:
        """Whether the key stands in the file at all, faulty or not."""
        return name in self.own.raw or name in self.defaults.raw

    def is_faulty(self, name: str) -> bool:
        """Whether the key is written, but says nothing usable."""
        layer = self.own if name in self.own.raw else self.defaults
        return name in layer.raw and name not in layer.values

    def place_of(self, name: str) -> Place:
        """Where the key's value comes from; the service itself for one that is not written."""
        inherited = name in self.defaults.raw and name not in self.own.raw
        return self.defaults.place if inherited else self.own.place


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
    """Parse ``[defaults]`` or ``[services.NAME]`` with its ``[socket]``."""
    table = raw if isinstance(raw, dict) else {}
    own = {name: value for name, value in table.items() if name != "socket"} if "socket" in table else raw
    values = parse_table("service", own, place, faults)
    socket = (
        parse_table("socket", table["socket"], place.inside("socket"), faults) if "socket" in table else {}
    )
    if "listen" in values:
        _parse_listens(values, place, lookup_port, faults)
    group_from_user = _split_user(values, place, faults)
    return Layer(place, table, values, socket, group_from_user)


def _parse_listens(
    values: dict[str, object], place: Place, lookup_port: LookupPort, faults: list[Fault]
) -> None:
    texts = values.pop("listen")
    assert isinstance(texts, tuple)  # noqa: S101 - tells mypy what the kind made
    listens = []
    for text in texts:
        try:
            listens.append(parse_listen(text, lookup_port))
        except RejectedError as error:
            faults += place.faults("listen", text, error, secret=False)
    if len(listens) == len(texts):
        values["listen"] = tuple(listens)


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


def merge(name: str, own: Layer, defaults: Layer) -> Draft:
    """Defaults below, the service's own values above; a default that cannot apply to it is left out."""
    traits = _transports(own, defaults) | _modes(own, defaults)
    values = {**_usable(_SERVICE_KEYS, defaults.values, traits), **own.values}
    if defaults.group_from_user and "user" in own.raw and "group" not in own.values:
        values.pop("group")
    if "environment" in defaults.values and "environment" in own.values:
        values["environment"] = _joined(defaults.values["environment"], own.values["environment"])
    socket = {**_usable(_SOCKET_KEYS, defaults.socket, traits), **own.socket}
    return Draft(name, own, defaults, values, socket, traits)


def _transports(own: Layer, defaults: Layer) -> frozenset[str]:
    """The traits that the listeners have; all there are, when a fault hides them."""
    listens = (own if "listen" in own.raw else defaults).values.get("listen")
    if not isinstance(listens, tuple):
        return _ALL_TRANSPORTS
    return frozenset[str]().union(*(_TRAITS[listen.scheme] for listen in listens))


def _modes(own: Layer, defaults: Layer) -> frozenset[str]:
    """The trait that the mode is; all there are, when a fault hides it."""
    layer = own if "mode" in own.raw else defaults
    if "mode" not in layer.raw:
        return frozenset({str(Mode.NOWAIT)})
    mode = layer.values.get("mode")
    return frozenset(map(str, Mode)) if mode is None else frozenset({str(mode)})


def is_usable(key: Key, traits: frozenset[str]) -> bool:
    """Whether a service with these traits can use the key."""
    return key.need is None or not traits.isdisjoint(key.need.any_of)


def _usable(
    keys: Mapping[str, Key], values: Mapping[str, object], traits: frozenset[str]
) -> dict[str, object]:
    return {name: value for name, value in values.items() if is_usable(keys[name], traits)}


def _joined(below: object, above: object) -> dict[str, str]:
    assert isinstance(below, dict)  # noqa: S101 - tells mypy what the kind made
    assert isinstance(above, dict)  # noqa: S101 - as above
    return {**below, **above}


def build(draft: Draft) -> Service:
    """The service of a draft without faults."""
    fields: dict[str, object] = {"name": draft.name, "source_file": draft.own.place.file}
    limits: dict[str, ResourceLimit] = {}
    for name, value in draft.values.items():
        if isinstance(value, ResourceLimit):
            limits[name.removeprefix(LIMIT_PREFIX)] = value
        else:
            fields[_SERVICE_KEYS[name].field] = value
    options = {_SOCKET_KEYS[name].field: value for name, value in draft.socket.items()}
    socket = SocketOptions(**options) if options else _PLAIN_SOCKET  # type: ignore[arg-type] # the schema's types
    return Service(**fields, resource_limits=limits, socket=socket)  # type: ignore[arg-type] # the schema's types
