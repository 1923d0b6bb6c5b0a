"""``[override.NAME]``: what stands above a service without its own table being touched.

``superctl tune --save`` writes such tables, to a file of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from superd.config.addresses import LookupPort
from superd.config.dialects import nearest
from superd.config.drafts import Layer, parse_layer
from superd.config.findings import Place
from superd.config.schema import OF_SERVICE, SERVICE, TABLES
from superd.errors import Fault

Overrides = dict[str, list[Layer]]
"""Layers by the name of their service, in the order of the files."""


def parse_overrides(
    raw: object, place: Place, services: Collection[str], lookup_port: LookupPort, faults: list[Fault]
) -> dict[str, Layer]:
    """The layers of one file's ``[override]`` by service.

    Args:
        raw: the table as written.
        place: where it stands.
        services: the names of all services; for another one the layer is parsed all the same.
        lookup_port: as ``parse_listen`` takes it.
        faults: is added to.
    """
    if not isinstance(raw, dict):
        faults.append(place.fault("", "not a table", "write [override.NAME]", raw))
        return {}
    layers = {}
    for name, table in raw.items():
        if name not in services and name in (*TABLES[SERVICE], *OF_SERVICE):
            faults.append(place.fault(name, "outside of a service", "write it under [override.NAME]"))
        else:
            layers[name] = parse_layer(table, place.inside(name, name), lookup_port, faults)
    return layers


def conflicts(layers: Sequence[Layer]) -> Iterator[Fault]:
    """Keys that two files override for the same service: nobody could say which of them counts."""
    first: dict[tuple[str, str], Layer] = {}
    for layer in layers:
        for table in OF_SERVICE:
            for name in {**layer.raw.get(table, {}), **layer.values.get(table, {})}:
                other = first.setdefault((table, name), layer)
                if other is not layer:
                    problem = f"stands in {other.place.file} too"
                    yield layer.place_of(table).fault(name, problem, "keep one of them")


def orphans(overrides: Mapping[str, Sequence[Layer]], services: Collection[str]) -> Iterator[Fault]:
    """A warning for each layer whose service there is none of: it may have been removed, or misspelt."""
    for name, layers in overrides.items():
        if name not in services:
            remedy = nearest(name, tuple(services)) or "remove it, or write the service"
            yield from (layer.place.fault("", "no such service", remedy) for layer in layers)
