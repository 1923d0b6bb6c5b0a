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
        wait=fields["wait"] == "yes",
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
    argv = " ".join(service.exec)
    return Served(
        name=service.name,
        protocol=str(listen.scheme)[:3],
        port=listen.port,
        wait=service.mode is Mode.WAIT,
        argv=f"{service.program} {argv}",
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
    """What differs, and is explained nowhere."""
    theirs = {one["id"]: _by_xinetd(one) for one in _said(dump) if "Server" in one}
    ours = {
        name: _comparable(_by_superd(service), theirs.get(name))
        for name, service in found.config.services.items()
        if service.enabled and service.exec
    }
    explained = _explained()
    differing = {name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name)}
    return [
        f"{file}\t{name}\t{theirs.get(name)}\t{ours.get(name)}"
        for name in sorted(differing)
        if (file, name) not in explained
    ]


def _comparable(ours: Served, theirs: Served | None) -> Served:
    """Limits of a program that owns the socket are none; xinetd shows those that it does not hold."""
    if theirs is None or not ours.wait:
        return ours
    return evolve(ours, instances=theirs.instances, per_source=theirs.per_source)


@pytest.mark.parametrize("dump", _files("xinetd-oracle"), ids=lambda path: path.name[:40])
def test_it_serves_what_xinetd_served(dump: Path) -> None:
    path = dump.parent.parent / "xinetd" / dump.name.partition(".xinetd-2.")[0]
    text = dump.read_text(errors="replace")
    try:
        found = _import(path.read_bytes(), path.name, text)
    except LegacyError as error:
        assert "neither" in str(error)
        assert not list(_said(text))
        return
    assert _compare(found, text, path.name) == []


@pytest.mark.parametrize("dump", _files("xinetd-oracle-forced"), ids=lambda path: path.name[:40])
def test_it_would_serve_what_xinetd_would_if_it_were_on(dump: Path) -> None:
    # the dump comes with the file: its text up to the first line of the answer
    path = dump.parent.parent / "xinetd" / dump.name.partition(".disable-flipped")[0]
    text = dump.read_text(errors="replace")
    flipped = re.sub(rb"(?mi)^(\s*disable\s*=\s*)yes", rb"\1no", path.read_bytes())
    assert _compare(_import(flipped, path.name, text), text, path.name) == []


def test_every_explanation_is_needed_and_says_something() -> None:
    assert all(len(reason) > 20 for reason in _explained().values())
