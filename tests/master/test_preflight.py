"""What this machine lacks for a service is told with the key, the value and the remedy, all of it at once."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import pytest
from helpers.forked import NOBODY, in_child, needs_root
from helpers.services import service

from superd.config.model import INFINITY, Builtin, ResourceLimit
from superd.master.preflight import inspect


def faults(acceptor_uid: int | None = None, **settings: Any) -> list[str]:
    return [str(fault) for fault in inspect(service(**settings), acceptor_uid)[1]]


def _become_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def test_a_service_that_has_all_it_needs_gets_its_identity() -> None:
    identity, found = inspect(service(), None)
    assert found == []
    assert identity is not None and identity.uid == os.getuid()


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        (
            {"exec": ("/no/such",)},
            'exec = "/no/such": no such program (No such file or directory); install it, or name another',
        ),
        ({"exec": ("/etc",)}, 'exec = "/etc": not a program; name a file'),
        ({"exec": ("/etc/passwd",)}, 'exec = "/etc/passwd": not executable; chmod +x /etc/passwd'),
        (
            {"exec": ("ftpd",), "exec_path": "/no/such"},
            'exec_path = "/no/such": no such program (No such file or directory); install it, or name another',
        ),
        (
            {"working_directory": "/no/such"},
            'working_directory = "/no/such": no such folder; make it, or name another',
        ),
        ({"working_directory": "/etc/passwd"}, 'working_directory = "/etc/passwd": not a folder; name one'),
    ],
)
def test_what_is_missing_is_named(settings: dict[str, Any], fault: str) -> None:
    assert faults(**settings) == [f"superd.toml: services.ftp.{fault}"]


def test_everything_is_told_at_once() -> None:
    found = faults(user="no-such-user", exec=("/no/such",), working_directory="/no/folder")
    assert [line.split(" = ")[0] for line in found] == [
        f"superd.toml: services.ftp.{key}" for key in ("user", "working_directory", "exec")
    ]
    assert found[0] == (
        'superd.toml: services.ftp.user = "no-such-user": no user "no-such-user"; create it, or write its number'
    )


@needs_root
def test_paths_are_those_below_the_root_directory(tmp_path: Path) -> None:
    (tmp_path / "ftpd").write_text("")
    (tmp_path / "ftpd").chmod(0o755)
    assert faults(root_directory=str(tmp_path), exec=("/ftpd",)) == []
    assert len(faults(root_directory=str(tmp_path), exec=("/bin/true",))) == 1
    missing = faults(root_directory=str(tmp_path / "jail"), exec=("/ftpd",))
    assert missing[0] == (
        f'superd.toml: services.ftp.root_directory = "{tmp_path}/jail": no such folder; make it, or name another'
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("A=1\nsecret\n", "line 2: not NAME=value; write NAME=value, one a line"),
        ("A='secret", "line 1: no closing quote; write NAME=value, one a line"),
        ("A=1\nUDPREMOTEIP=secret", "line 2: superd sets UDPREMOTEIP; remove it"),
    ],
)
def test_an_environment_file_is_read_and_its_content_is_not_shown(
    tmp_path: Path, text: str, problem: str
) -> None:
    path = tmp_path / "env"
    path.write_text(text)
    path.chmod(0o600)
    (found,) = faults(environment_file=str(path))
    assert found == f'superd.toml: services.ftp.environment_file = "{path}": {problem}'


def test_an_environment_file_is_protected_as_the_configuration_is(tmp_path: Path) -> None:
    path = tmp_path / "env"
    assert faults(environment_file=str(path)) == [
        f'superd.toml: services.ftp.environment_file = "{path}": no such file; check the path'
    ]
    path.write_text("A=b")
    path.chmod(0o666)
    assert faults(environment_file=str(path)) == [
        f'superd.toml: services.ftp.environment_file = "{path}": writable by others; chmod go-w {path}'
    ]


@needs_root
def test_root_serves_nobody_unasked() -> None:
    assert faults(user="") == [
        'superd.toml: services.ftp.user: missing; write user = "NAME" '
        "(superd runs as root, its services never by default)"
    ]


@needs_root
def test_no_service_is_the_acceptor() -> None:
    (found,) = faults(acceptor_uid=NOBODY, user="nobody")
    assert found == (
        'superd.toml: services.ftp.user = "nobody": the acceptor\'s own user; give the service a user of its own'
    )


@needs_root
def test_an_ordinary_user_serves_as_himself_alone() -> None:
    def as_nobody() -> tuple[list[str], list[str], list[str]]:
        _become_nobody()
        return faults(user=""), faults(user="nobody"), faults(user="daemon")

    unnamed, own, other = in_child(as_nobody)
    assert (unnamed, own) == ([], [])
    assert other == [
        'superd.toml: services.ftp.user = "daemon": only root can run it as another user; start superd as '
        "root, or leave user out"
    ]


@needs_root
@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"nice": -5}, "nice = -5"),
        ({"root_directory": "/"}, 'root_directory = "/"'),
        ({"supplementary_groups": ("0",)}, 'supplementary_groups = ["0"]'),
        ({"group": "0"}, 'group = "0"'),
    ],
)
def test_what_only_root_can_give_a_service_is_told_to_others(settings: dict[str, Any], key: str) -> None:
    def as_nobody() -> list[str]:
        _become_nobody()
        return faults(user="", **settings)

    assert faults(**settings) == []
    assert in_child(as_nobody) == [
        f"superd.toml: services.ftp.{key}: only root can do that; start superd as root, or leave it out"
    ]


@needs_root
def test_an_ordinary_user_may_ask_for_what_he_has() -> None:
    def as_nobody() -> list[str]:
        _become_nobody()
        return faults(user="", nice=5, group=str(NOBODY), supplementary_groups=(str(NOBODY),))

    assert in_child(as_nobody) == []


@needs_root
def test_a_limit_above_superds_own_is_told_before_a_spawner_fails_at_it() -> None:
    def as_nobody() -> list[str]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 1000))
        _become_nobody()
        return faults(
            user="",
            resource_limits={
                "nofile": ResourceLimit(500, 1001),
                "core": ResourceLimit(0, 0),
                "fsize": ResourceLimit(INFINITY, INFINITY),
            },
        )

    assert in_child(as_nobody) == [
        'superd.toml: services.ftp.limit_nofile = "500:1001": superd may not set more than 1000; '
        "write less, or start superd with more (LimitNOFILE= in systemd's unit)"
    ]


def test_nobody_has_more_descriptors_than_the_kernel_allows() -> None:
    (found,) = faults(resource_limits={"nofile": ResourceLimit(1 << 40, 1 << 40)})
    assert 'limit_nofile = "1099511627776": superd may not set more than' in found


# --- what superd serves by itself, and what it says before a service ---


def test_a_builtin_needs_neither_a_user_nor_a_program() -> None:
    assert inspect(service(builtin=Builtin.ECHO, exec=(), user=""), os.getuid()) == (None, [])


@pytest.mark.parametrize(
    ("text", "mode", "builtin", "problem"),
    [
        ("hello\n", 0o644, None, ""),
        ("hello\n", 0o666, None, "chmod go-w"),
        ("x" * 9000, 0o644, None, "9000 bytes; use at most 8192"),
        ("x\n%\n" * 9000, 0o644, Builtin.QOTD, ""),
        ("%\n", 0o644, Builtin.QOTD, "no quote in it; write one, and a line of % between two"),
        ("x" * 600, 0o644, Builtin.QOTD, "use at most 512 a quote"),
    ],
)
def test_a_banner_is_read_as_a_configuration_is(
    tmp_path: Path, text: str, mode: int, builtin: Builtin | None, problem: str
) -> None:
    path = tmp_path / "banner"
    path.write_text(text)
    path.chmod(mode)
    exec_ = () if builtin else ("/bin/true",)
    found = faults(banner=str(path), builtin=builtin, exec=exec_)
    assert bool(found) == bool(problem)
    assert all(f'services.ftp.banner = "{path}": ' in line and problem in line for line in found)
