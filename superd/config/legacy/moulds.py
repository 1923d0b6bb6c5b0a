"""Services that are cast in one mould: thousands in a file differ in their port and the words of their program alone.

Such a one is held against superd's checks once; of the others only what differs is parsed.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, mutable

from superd.config.addresses import LookupPort, parse_listen
from superd.config.drafts import Draft, Layer
from superd.config.findings import Place, RejectedError
from superd.config.model import Listen
from superd.config.schema import SERVICE, TABLES

_FREE = ("listen", "exec")
_EXEC = TABLES[SERVICE]["exec"].kind


@mutable
class Moulds:
    """The moulds of one import.

    Args:
        lookup_port: as ``parse_listen`` takes it.
    """

    lookup_port: LookupPort
    _drafts: dict[str, Draft] = field(factory=dict)

    def cast(self, name: str, place: Place, tables: Mapping[str, object]) -> Draft | None:
        """The service as an earlier one was found without faults; None when it has to be checked by itself.

        Args:
            name: of the service.
            place: where it stands.
            tables: its keys.
        """
        model = self._drafts.get(_mould(tables))
        if model is None:
            return None
        try:
            free = self._parsed(tables)
        except RejectedError:
            return None
        own = model.own
        raw = {**own.raw, SERVICE: {**own.raw[SERVICE], **{key: tables[key] for key in free}}}
        values = {**own.values, SERVICE: {**own.values[SERVICE], **free}}
        merged = {**model.tables, SERVICE: {**model.values, **free}}
        listens = free["listen"]
        assert isinstance(listens, tuple)  # noqa: S101 - tells mypy what _parsed makes
        layer = Layer(place, raw, values, listens, own.group_from_user)
        return Draft(name, (model.layers[0], layer), merged, model.traits, model.servers)

    def keep(self, tables: Mapping[str, object], draft: Draft) -> None:
        """Remember a service without faults."""
        mould = _mould(tables)
        if mould:
            self._drafts[mould] = draft

    def _parsed(self, tables: Mapping[str, object]) -> dict[str, object]:
        """What differs.

        Raises:
            RejectedError: it is faulty.
        """
        (text,) = _items(tables, "listen")
        listens: tuple[Listen, ...] = (parse_listen(text, self.lookup_port),)
        free: dict[str, object] = {"listen": listens}
        if "exec" in tables:
            free["exec"] = _EXEC.parse(tables["exec"])
        return free


def _mould(tables: Mapping[str, object]) -> str:
    """All that superd's checks of one service look at but its port and its program's words; empty: it has no mould.

    A service with several listeners may claim one port twice, and a forward has checks of its own.
    """
    listens, argv = _items(tables, "listen"), _items(tables, "exec")
    if len(listens) != 1 or not argv or "forward" in tables:
        return ""
    scheme = listens[0].partition("://")[0]
    rest = [item for item in tables.items() if item[0] not in _FREE]
    return f"{scheme} {argv[0][:1] == '/'} {rest!r}"


def _items(tables: Mapping[str, object], key: str) -> list[str]:
    items = tables.get(key)
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        return []
    return items
