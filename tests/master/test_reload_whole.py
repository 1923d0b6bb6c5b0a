"""A reload by the master itself: all of it or nothing, and superd never ends of it."""

from __future__ import annotations

import getpass
import grp
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from helpers.forked import in_child, needs_root

from superd.config.load import load
from superd.master.descriptors import credits
from superd.master.main import Master

USER = getpass.getuser()


def no_life(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError("these tests start no spawner")


def write(folder: Path, services: str, settings: str = "") -> str:
    """The configuration in ``folder``; its control socket and log stand there too."""
    path = folder / "superd.toml"
    log = "" if "log = " in settings else f'log = "{folder}/log"\n'
    path.write_text(f'[superd]\ncontrol = "{folder}/control.sock"\n{log}{settings}\n{services}')
    path.chmod(0o600)
    return str(path)


def ftp(port: int, name: str = "ftp", more: str = "") -> str:
    return (
        f'[services.{name}]\nlisten = ["tcp://127.0.0.1:{port}"]\n'
        f'exec = ["/bin/true"]\nuser = "{USER}"\n{more}\n'
    )


def reloading(folder: Path, before: str, run: Callable[[Master], Any], settings: str = "") -> Any:
    """What ``run`` returns in a process whose master serves the configuration ``before``."""

    def serve() -> Any:
        file = write(folder, before, settings)
        master = Master(file, load(file), {}, no_life, lambda: None)
        master._registry.add(master.config.services.values())
        return run(master)

    return in_child(serve)


def connect(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_reload_says_what_it_did(tmp_path: Path, free_port: Callable[[], int]) -> None:
    kept, gone, new = free_port(), free_port(), free_port()

    def run(master: Master) -> tuple[object, list[bool]]:
        write(tmp_path, ftp(kept) + ftp(new, "new"))
        return master.reload(), [connect(port) for port in (kept, gone, new)]

    told, open_ = reloading(tmp_path, ftp(kept) + ftp(gone, "gone"), run)
    assert told == (True, ["reloaded: added new; removed gone; 1 unchanged"])
    assert open_ == [True, False, True]


def test_a_renamed_service_keeps_its_port(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()

    def run(master: Master) -> tuple[object, bool]:
        write(tmp_path, ftp(port, "files"))
        return master.reload(), connect(port)

    assert reloading(tmp_path, ftp(port), run) == (
        (True, ["reloaded: added files; removed ftp; 0 unchanged"]),
        True,
    )


def test_any_fault_leaves_everything_as_it_was(tmp_path: Path, free_port: Callable[[], int]) -> None:
    old, new, third = free_port(), free_port(), free_port()

    def run(master: Master) -> tuple[bool, list[str], list[bool]]:
        write(tmp_path, ftp(new) + ftp(third, "bad").replace("/bin/true", "/no/such/program"))
        ok, lines = master.reload()
        return ok, lines, [connect(port) for port in (old, new, third)]

    ok, lines, open_ = reloading(tmp_path, ftp(old), run)
    assert not ok
    assert lines == [
        f'{tmp_path}/superd.toml: services.bad.exec = "/no/such/program": no such program (No such file or '
        "directory); install it, or name another"
    ]
    assert open_ == [True, False, False]
    assert "not reloaded: " in (tmp_path / "log").read_text()


def test_a_log_that_cannot_be_opened_any_more_is_a_fault_and_not_the_end(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    folder = tmp_path / "logs"
    folder.mkdir()

    def run(master: Master) -> tuple[bool, list[str], bool]:
        (folder / "log").unlink()
        folder.rmdir()
        ok, lines = master.reload()
        return ok, lines, connect(port)

    ok, lines, open_ = reloading(tmp_path, ftp(port), run, f'log = "{folder}/log"')
    assert not ok
    assert lines == [
        f'{tmp_path}/superd.toml: superd.log = "{folder}/log": cannot open it: No such file or directory; '
        'name a file in a folder that exists, or write "stderr"'
    ]
    assert open_


@needs_root
def test_other_groups_may_be_given_the_control_socket(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    control = tmp_path / "control.sock"

    def run(master: Master) -> list[object]:
        seen: list[object] = []
        for groups in (
            'control_group = "daemon"',
            'control_group = "daemon"\ncontrol_admin_group = "bin"',
            "",
        ):
            write(tmp_path, ftp(port), groups)
            told = master.reload()
            status = control.stat()
            seen.append((told[0], oct(status.st_mode & 0o777), status.st_gid))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(control))
        return seen

    daemon = grp.getgrnam("daemon").gr_gid
    assert reloading(tmp_path, ftp(port), run) == [
        (True, "0o660", daemon),
        (True, "0o666", 0),
        (True, "0o600", 0),
    ]


def test_a_group_that_does_not_exist_changes_nothing(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port, new = free_port(), free_port()

    def run(master: Master) -> tuple[bool, list[str], list[bool]]:
        write(tmp_path, ftp(new), 'control_group = "no-such-group"')
        ok, lines = master.reload()
        return ok, lines, [connect(port), connect(new)]

    ok, lines, open_ = reloading(tmp_path, ftp(port), run)
    assert not ok
    assert lines == [
        f'{tmp_path}/superd.toml: superd.control_group = "no-such-group": no group "no-such-group"; create it, '
        "or write its number"
    ]
    assert open_ == [True, False]


@needs_root
def test_an_acceptor_that_would_be_root_changes_nothing(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()

    def run(master: Master) -> tuple[bool, list[str], bool]:
        write(tmp_path, "", 'user = "00"')
        ok, lines = master.reload()
        return ok, lines, connect(port)

    ok, lines, open_ = reloading(tmp_path, ftp(port), run)
    assert not ok
    assert lines == [
        f'{tmp_path}/superd.toml: superd.user = "00": the acceptor talks to the network and is never root; '
        'write user = "superd"'
    ]
    assert open_


@pytest.mark.parametrize(
    ("services", "nofile", "each"),
    [(1, 1024, 64), (8, 1024, 64), (16, 1024, 32), (1000, 1024, 1), (0, 1024, 64), (10, 8, 1)],
)
def test_connections_under_way_stay_below_half_of_the_descriptors(
    services: int, nofile: int, each: int
) -> None:
    assert credits(services, nofile) == each
