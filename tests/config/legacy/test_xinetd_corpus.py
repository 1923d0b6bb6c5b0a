"""Real files of xinetd, held against what xinetd itself said it would serve. Differences are explained in a table."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve, frozen
from helpers.corpus import ROOT, corpus_file
from helpers.imports import Imported, imported, surroundings

from superd.config.legacy.carried import LegacyError
from superd.config.model import Mode, Service

_DIFFERENCES = ROOT / "tests" / "import" / "differences-xinetd.tsv"
_FIELDS = re.compile(r"^\t(\S[^=:]*?) ?[=:] ?(.*)$")
_PROTOCOL = re.compile(r"\((\w+),\d+\)")


@frozen
class Served:
    """One service, as far as both say it."""

    name: str
    protocol: str
    port: int
    wait: bool
    argv: str
    family: str
    allow: frozenset[str]
    deny: frozenset[str]
    instances: str
    per_source: str
    nice: int


def _files(folder: str) -> list[Path]:
    index = corpus_file("xinetd/index.tsv")
    return sorted(index.parent.parent.joinpath(folder).iterdir()) if index else []


def _said(text: str) -> Iterator[dict[str, str]]:
    """The fields of each service in xinetd's own dump."""
    for block in text.split("Service configuration: ")[1:]:
        fields = {"name": block.partition("\n")[0]}
        for line in block.partition("\n\n")[0].splitlines():
            match = _FIELDS.match(line)
            if match:
                fields[match[1]] = match[2]
        yield fields


def _rules(text: str) -> frozenset[str]:
    """``127.0.0.0/255.0.0.0(NET) localhost(HOST)`` as superd writes it."""
    found = set()
    for item in re.findall(r"(\S+)\((?:NET|HOST|NUMERIC)\)", text):
        address, _, mask = item.partition("/")
        bits = sum(bin(int(part)).count("1") for part in mask.split(".")) if mask else 32
        found.add(address if bits == 32 else f"{address}/{bits}")
    return frozenset(found)


def _by_xinetd(fields: dict[str, str]) -> Served:
    protocol = _PROTOCOL.search(fields["Protocol (name,number)"])
    assert protocol
    return Served(
        name=fields["id"],
        protocol=protocol[1],
        port=int(fields["port"]),
        wait=fields["wait"] == "yes" and "Server" in fields,
        argv=" ".join(fields.get(key, "") for key in ("Server", "Server argv")),
        family="4" if "IPv4" in fields["flags"].split() else "46",
        allow=_rules(fields.get("Only from", "")),
        deny=_rules(fields.get("No access", "")),
        instances=fields.get("Instances", "UNLIMITED"),
        per_source=fields.get("PER_SOURCE", "-1"),
        nice=int(fields.get("Nice", "0")),
    )


def _by_superd(service: Service) -> Served:
    listen = service.listen[0]
    limits = service.limits
    program = f"{service.program} {' '.join(service.exec)}" if service.exec else " "
    return Served(
        name=service.name,
        protocol=str(listen.scheme)[:3],
        port=listen.port,
        wait=service.mode is Mode.WAIT,
        argv=program,
        family="4" if str(listen.scheme).endswith("4") or "." in listen.host else "46",
        allow=frozenset(service.access.allow),
        deny=frozenset(service.access.deny),
        instances="UNLIMITED" if limits.max_connections < 0 else str(limits.max_connections),
        per_source="-1" if limits.max_connections_per_source < 0 else str(limits.max_connections_per_source),
        nice=service.nice,
    )


def _import(content: bytes, file: str, dump: str) -> Imported:
    """Imported on a machine that knows the ports that xinetd's knew."""
    ports = {(one["name"], _by_xinetd(one).protocol): int(one["port"]) for one in _said(dump)}
    machine = surroundings(ports=lambda name, transport: ports.get((name, transport)))
    return imported(content, file, machine, {"faithful": True})


def _explained() -> dict[tuple[str, str], str]:
    rows = list(csv.reader(_DIFFERENCES.read_text().splitlines(), delimiter="\t"))
    return {(row[1], row[2]): row[3] for row in rows[1:] if row[0] == "xinetd"}


def _compare(found: Imported, dump: str, file: str) -> list[str]:
    """What differs, a line for each service that begins with the file and its name."""
    theirs = {one["id"]: _by_xinetd(one) for one in _said(dump)}
    ours = {
        name: _comparable(_by_superd(service), theirs.get(name))
        for name, service in found.config.services.items()
        if service.enabled
    }
    differing = {name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name)}
    return [f"{file}\t{name}\t{theirs.get(name)}\t{ours.get(name)}" for name in sorted(differing)]


def _comparable(ours: Served, theirs: Served | None) -> Served:
    """Limits of a program that owns the socket are none; xinetd shows those that it does not hold."""
    if theirs is None or not ours.wait:
        return ours
    return evolve(ours, instances=theirs.instances, per_source=theirs.per_source)


def _differences(dump: Path) -> list[str]:
    """What differs for one record of xinetd, of the file itself or of the file with all its services switched on."""
    name, _, forced = dump.name.partition(".disable-flipped")
    path = dump.parent.parent / "xinetd" / name.partition(".xinetd-2.")[0]
    text, content = dump.read_text(errors="replace"), path.read_bytes()
    if forced:
        content = re.sub(rb"(?mi)^(\s*disable\s*=\s*)yes", rb"\1no", content)
    try:
        return _compare(_import(content, path.name, text), text, path.name)
    except LegacyError as error:
        assert "neither" in str(error)
        assert not list(_said(text))
        return []


_RECORDS = [*_files("xinetd-oracle"), *_files("xinetd-oracle-forced")]


@pytest.mark.parametrize("dump", _RECORDS, ids=lambda path: path.name[:40])
def test_it_serves_what_xinetd_served(dump: Path) -> None:
    explained = _explained()
    found = _differences(dump)
    assert [line for line in found if tuple(line.split("\t")[:2]) not in explained] == []


@pytest.mark.skipif(not _RECORDS, reason="the collection of real files is not here")
def test_every_explanation_is_needed_and_says_something() -> None:
    found = {tuple(line.split("\t")[:2]) for dump in _RECORDS for line in _differences(dump)}
    assert set(_explained()) == found
    assert all(len(reason) > 20 for reason in _explained().values())
