"""``[[grants]]``: what can be written, what becomes of it, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.config.findings import Place
from superd.config.grants import MOST_GRANTS, parse_grants
from superd.config.load import load
from superd.config.model import GrantTable
from superd.errors import ConfigError, Fault
from superd.policy.grants import Ports

from .values import TOML_VALUES


def grants(folder: Path, text: str) -> tuple[GrantTable, ...]:
    (folder / "superd.toml").write_text(text)
    return load(str(folder / "superd.toml"), system=False).grants


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        grants(folder, text)
    return [str(fault).removeprefix(f"{folder}/superd.toml: ") for fault in caught.value.faults]


def test_a_whole_grant(tmp_path: Path) -> None:
    (grant,) = grants(
        tmp_path,
        """
        [[grants]]
        ports = ["tcp/80", "udp/8000-8010"]
        addresses = ["192.0.2.1", "2001:db8::/32"]
        users = ["www", "33"]
        groups = ["dns"]
        programs = ["/usr/bin/caddy"]
        reuse_port = true
        """,
    )
    assert grant == GrantTable(
        file=f"{tmp_path}/superd.toml",
        key="grants[1]",
        ports=(Ports("tcp", 80, 80), Ports("udp", 8000, 8010)),
        addresses=("192.0.2.1", "2001:db8::/32"),
        users=("www", "33"),
        groups=("dns",),
        programs=("/usr/bin/caddy",),
        reuse_port=True,
    )
    assert grant.name == f"{tmp_path}/superd.toml: grants[1]"


def test_what_need_not_be_written(tmp_path: Path) -> None:
    (grant,) = grants(tmp_path, '[[grants]]\nports = "tcp/80"\nusers = ["*"]\n')
    assert (grant.addresses, grant.groups, grant.programs, grant.reuse_port) == (("*",), (), (), False)


def test_grants_of_included_files_are_numbered_there(tmp_path: Path) -> None:
    (tmp_path / "more.toml").write_text('[[grants]]\nports = "udp/53"\ngroups = ["dns"]\n')
    main = '[superd]\ninclude = ["more.toml"]\n' + '[[grants]]\nports = "tcp/80"\nusers = ["www"]\n' * 2
    names = [grant.name for grant in grants(tmp_path, main)]
    assert names == [
        f"{tmp_path}/superd.toml: grants[1]",
        f"{tmp_path}/superd.toml: grants[2]",
        f"{tmp_path}/more.toml: grants[1]",
    ]


def test_the_file_of_overrides_holds_none(tmp_path: Path) -> None:
    (tmp_path / "superd.override.toml").write_text('[[grants]]\nports = "udp/53"\nusers = ["*"]\n')
    (tmp_path / "superd.toml").write_text("")
    with pytest.raises(ConfigError, match="not in the file of overrides"):
        load(str(tmp_path / "superd.toml"), system=False)


def test_grants_alone_are_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "superd.toml").write_text('[[grants]]\nports = "tcp/80"\nusers = ["www"]\n')
    assert load(str(tmp_path / "superd.toml"), system=False).warnings == ()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('users = ["www"]', 'grants[1].ports: missing; write ports = "tcp/80"'),
        (
            'ports = "80"\nusers = ["www"]',
            'grants[1].ports = "80": not a transport and ports; write "tcp/80" or "udp/80"',
        ),
        (
            'ports = 80\nusers = ["www"]',
            'grants[1].ports = 80: not a string; write "80"',
        ),
        (
            'ports = "tcp/0"\nusers = ["www"]',
            'grants[1].ports = "tcp/0": out of range; write ports of 1 to 65535',
        ),
        (
            'ports = "tcp/90-80"\nusers = ["www"]',
            'grants[1].ports = "tcp/90-80": the range ends before it begins; write "tcp/80-90"',
        ),
        (
            'ports = ["tcp/80", "tcp/x"]\nusers = ["www"]',
            'grants[1].ports = "tcp/x": not a transport and ports; write "tcp/80", "udp/53" or "tcp/8000-8010"',
        ),
        (
            'ports = "tcp/80"',
            'grants[1]: nobody may use it; write users = ["NAME"], groups = ["NAME"], or users = ["*"] for everybody',
        ),
        (
            'ports = "tcp/80"\nusers = []',
            'grants[1]: nobody may use it; write users = ["NAME"], groups = ["NAME"], or users = ["*"] for everybody',
        ),
        (
            'ports = "tcp/80"\nusers = ["*", "www"]',
            'grants[1].users = ["*", "www"]: "*" is everybody already; write ["*"], or leave it out',
        ),
        ('ports = "tcp/80"\nusers = "www"', 'grants[1].users = "www": not a list; write ["www"]'),
        (
            'ports = "tcp/80"\nusers = ["www"]\naddresses = []',
            'grants[1].addresses = []: an empty list; remove the key, or write ["*"] for all',
        ),
        (
            'ports = "tcp/80"\nusers = ["www"]\nprograms = ["caddy"]',
            'grants[1].programs = "caddy": not an absolute path; write a path that starts with /',
        ),
        (
            'port = "tcp/80"\nusers = ["www"]\nports = "tcp/80"',
            "grants[1].port: unknown key; did you mean ports?",
        ),
        (
            'ports = "tcp/80"\nusers = ["www"]\nonly_from = ["::1"]',
            "grants[1].only_from: unknown key; superd.toml(5) lists the keys",
        ),
    ],
)
def test_mistakes(tmp_path: Path, lines: str, said: str) -> None:
    assert faults(tmp_path, f"[[grants]]\n{lines}\n") == [said]


def test_a_single_table_is_no_list(tmp_path: Path) -> None:
    said = faults(tmp_path, '[grants]\nports = "tcp/80"\n')
    assert said == [
        'grants = { ports = "tcp/80" }: not a list of tables; write [[grants]], once for each grant'
    ]


def test_every_grant_is_looked_at(tmp_path: Path) -> None:
    assert len(faults(tmp_path, '[[grants]]\nports = "x"\n\n[[grants]]\nusers = ["www"]\n')) == 3


def test_superds_own_sockets_are_two(tmp_path: Path) -> None:
    grant = '[[grants]]\nports = "tcp/80"\nusers = ["www"]\n'
    said = faults(tmp_path, f'[superd]\ncontrol = "/run/x"\nbind_socket = "/run//x"\n{grant}')
    assert said == ['superd.bind_socket = "/run//x": the control socket is there; use another path']


def test_no_service_listens_on_the_socket_of_grants(tmp_path: Path) -> None:
    service = '[services.x]\nlisten = ["unix:///run/x"]\nexec = ["/bin/cat"]\nuser = "nobody"\n'
    grant = '[[grants]]\nports = "tcp/80"\nusers = ["www"]\n'
    (said,) = faults(tmp_path, f'[superd]\nbind_socket = "/run/x"\n{service}{grant}')
    assert "superd.bind_socket" in said
    assert grants(tmp_path, f'[superd]\nbind_socket = "/run/x"\n{service}') == ()


def test_there_may_be_many_but_not_any_number(tmp_path: Path) -> None:
    (said,) = faults(tmp_path, '[[grants]]\nports = "tcp/80"\nusers = ["*"]\n' * (MOST_GRANTS + 1))
    assert said.startswith("grants: 1001 of them; use at most 1000")


@given(
    st.one_of(TOML_VALUES, st.lists(st.dictionaries(st.sampled_from(["ports", "users", "x"]), TOML_VALUES)))
)
def test_anything_at_grants_is_a_grant_or_a_fault(raw: object) -> None:
    found: list[Fault] = []
    made = parse_grants(raw, Place("superd.toml"), found)
    expected = len(raw) if isinstance(raw, list) else 1
    assert found or len(made) == expected
    assert all(fault.problem and str(fault).isprintable() for fault in found)
