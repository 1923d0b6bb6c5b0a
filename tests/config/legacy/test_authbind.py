"""authbind's folders as grants."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.config.legacy.authbind import read_authbind
from superd.config.legacy.carried import Carried, Fate, LegacyError
from superd.config.legacy.importers import read_all
from superd.config.legacy.surroundings import this_machine
from superd.config.legacy.wishes import Wishes
from superd.config.legacy.write import to_toml


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
    """Ports, addresses and users (or groups) of the grants that are written, those of TCP."""
    lines = [comment.text.strip() for comment in carried(folder).comments]
    text = "\n".join(lines)
    blocks = [block.splitlines() for block in text.split("[[grants]]\n")[1:]]
    tables = [dict(line.split(" = ", 1) for line in block) for block in blocks]
    return [
        (one["ports"], one["addresses"], one["users"]) for one in tables if one["ports"].startswith('"tcp/')
    ]


def test_a_port_for_everybody(folder: Path) -> None:
    file(folder / "byport/80")
    assert grants(folder) == [('"tcp/80"', '["*"]', '["*"]')]
    assert "#  [[grants]]" in to_toml(carried(folder)) or "# [[grants]]" in to_toml(carried(folder))


def test_a_port_for_its_owner_and_group(folder: Path) -> None:
    file(folder / "byport/80", 0o750)
    if os.geteuid() == 0:
        os.chown(folder / "byport/80", 65534, 0)
        assert grants(folder) == [('"tcp/80"', '["*"]', '["nobody"]')]
    assert any('groups = ["' in comment.text for comment in carried(folder).comments)


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


def test_every_grant_is_said_to_be_not_carried_yet(folder: Path) -> None:
    file(folder / "byport/80")
    assert [one.fate for one in carried(folder).remarks] == [Fate.NOT_CARRIED]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LegacyError):
        read_authbind(str(tmp_path / "none"), b"", this_machine(), Wishes())


@given(st.binary(max_size=80))
def test_any_bytes_in_byuid(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "authbind"
    (folder / "byuid").mkdir(parents=True, exist_ok=True)
    (folder / "byuid/65534").write_bytes(content)
    assert to_toml(carried(folder))
