"""authbind's folders as grants."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.config.findings import toml_value
from superd.config.legacy.authbind import read_authbind
from superd.config.legacy.carried import Carried, Fate, LegacyError
from superd.config.legacy.importers import read_all
from superd.config.legacy.report import summary
from superd.config.legacy.surroundings import this_machine
from superd.config.legacy.wishes import Wishes
from superd.config.legacy.write import to_toml
from superd.config.load import load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("byport", "byaddr", "byuid"):
        (tmp_path / name).mkdir()
    return tmp_path


def file(path: Path, mode: int = 0o755, text: str = "") -> None:
    path.write_text(text)
    path.chmod(mode)


def carried(folder: Path) -> Carried:
    return read_all({str(folder): b""}, this_machine(), Wishes())


def grants(folder: Path) -> list[tuple[str, str, str]]:
    """Ports, addresses and users of the grants that are written, as superd reads them."""
    found = tomllib.loads(to_toml(carried(folder))).get("grants", [])
    (folder / "superd.toml").write_text(to_toml(carried(folder)))
    try:
        assert len(load(str(folder / "superd.toml"), system=False).grants) == len(found)
    finally:
        (folder / "superd.toml").unlink()
    assert all(one["ports"] == [one["ports"][0], one["ports"][0].replace("tcp", "udp")] for one in found)
    return [
        (toml_value(one["ports"][0]), toml_value(one["addresses"]), toml_value(one.get("users", [])))
        for one in found
    ]


def test_a_port_for_everybody(folder: Path) -> None:
    file(folder / "byport/80")
    assert grants(folder) == [('"tcp/80"', '["*"]', '["*"]')]
    assert '[[grants]]\nports = ["tcp/80", "udp/80"]\n' in to_toml(carried(folder))


def test_a_port_for_its_owner_and_group(folder: Path) -> None:
    file(folder / "byport/80", 0o750)
    if os.geteuid() == 0:
        os.chown(folder / "byport/80", 65534, 0)
        assert grants(folder) == [('"tcp/80"', '["*"]', '["nobody"]')]
    assert all(one.table["groups"] for one in carried(folder).grants)


def test_a_port_that_nobody_may_execute_is_no_grant(folder: Path) -> None:
    file(folder / "byport/80", 0o644)
    assert grants(folder) == []


@pytest.mark.parametrize(
    ("leaf", "address"),
    [("192.0.2.1:80", "192.0.2.1"), ("192.0.2.1,80", "192.0.2.1"), ("2001:db8::1,80", "2001:db8::1")],
)
def test_an_address(folder: Path, leaf: str, address: str) -> None:
    file(folder / "byaddr" / leaf)
    assert grants(folder) == [('"tcp/80"', f'["{address}"]', '["*"]')]


@pytest.mark.parametrize(
    ("line", "ports", "addresses"),
    [
        ("0.0.0.0/0,80", '"tcp/80"', '["0.0.0.0/0"]'),
        ("192.0.2.0/24,80-90", '"tcp/80-90"', '["192.0.2.0/24"]'),
        ("192.0.2.0/24:80,90", '"tcp/80-90"', '["192.0.2.0/24"]'),
        ("192.0.2.1,443", '"tcp/443"', '["192.0.2.1"]'),
        ("192.0.2.0-192.0.2.3,25", '"tcp/25"', '["192.0.2.0/30"]'),
        ("::/0,500-600", '"tcp/500-511"', '["::/0"]'),
    ],
)
def test_a_user_by_number(folder: Path, line: str, ports: str, addresses: str) -> None:
    file(folder / "byuid/65534", 0o644, line + "\n")
    assert grants(folder) == [(ports, addresses, '["nobody"]')]


def test_ports_from_512_on_want_a_mark(folder: Path) -> None:
    file(folder / "byport/!873")
    file(folder / "byport/874")
    assert [grant[0] for grant in grants(folder)] == ['"tcp/873"']
    assert [one.origin.file for one in carried(folder).remarks if one.fate is Fate.FAULT] == [
        str(folder / "byport/874")
    ]


@pytest.mark.parametrize("line", ["# comment", "192.0.2.1/24,80", "192.0.2.1", "x,80", "192.0.2.1,90-80"])
def test_lines_that_authbind_skips_are_told(folder: Path, line: str) -> None:
    file(folder / "byuid/65534", 0o644, line + "\n")
    assert grants(folder) == []
    assert [one.origin.text for one in carried(folder).remarks if one.fate is Fate.FAULT] == [line]


def test_a_grant_needs_no_remark(folder: Path) -> None:
    file(folder / "byport/80")
    assert carried(folder).remarks == ()
    assert summary(carried(folder)).endswith("as authbind read it: 1 grant")


@pytest.mark.parametrize(
    ("line", "addresses"),
    [
        ("::ffff:192.0.2.1,80", '["192.0.2.1"]'),
        ("::ffff:192.0.2.0/120,80", '["192.0.2.0/24"]'),
        ("0.0.0.0,80", '["0.0.0.0"]'),
        ("::,80", '["::"]'),
    ],
)
def test_addresses_that_superd_spells_otherwise(folder: Path, line: str, addresses: str) -> None:
    file(folder / "byuid/65534", 0o644, line + "\n")
    assert grants(folder) == [('"tcp/80"', addresses, '["nobody"]')]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LegacyError):
        read_authbind(str(tmp_path / "none"), b"", this_machine(), Wishes())


@given(st.binary(max_size=80))
def test_any_bytes_in_byuid(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "authbind"
    (folder / "byuid").mkdir(parents=True, exist_ok=True)
    (folder / "byuid/65534").write_bytes(content)
    assert to_toml(carried(folder))
