"""Reload: what did not change does not notice, what changed does, and a faulty file changes nothing at all."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from clients import connect, echoes, first_line
from harness import Superd, exchange, is_alive, read_all, run, wait_until, written

pytestmark = pytest.mark.live


def own_user(name: str) -> str:
    """A user of its own for a service, by number: two that share one could attack each other."""
    number = 40_000 + zlib.crc32(name.encode()) % 20_000
    return f"{number}:{number}"


def cat(name: str, *listen: str, more: str = "") -> str:
    """A service that echoes, as TOML."""
    addresses = ", ".join(f'"{one}"' for one in listen)
    return (
        f'[services.{name}]\nlisten = [{addresses}]\nexec = ["/bin/cat"]\nuser = "{own_user(name)}"\n{more}\n'
    )


def says(name: str, listen: str, word: str, more: str = "") -> str:
    """A service that says a word and then echoes."""
    program = f'["/bin/sh", "-c", "echo {word}; exec cat"]'
    return f'[services.{name}]\nlisten = ["{listen}"]\nexec = {program}\nuser = "{own_user(name)}"\n{more}\n'


def inode(address: str, port: int) -> int:
    """The inode of the socket that listens on an IPv4 address; 0 when none does (proc_pid_net(5))."""
    packed = socket.inet_aton(address)[::-1].hex().upper()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == f"{packed}:{port:04X}" and fields[3] == "0A":
            return int(fields[9])
    return 0


def by_superctl(superd: Superd) -> None:
    superd.reload()


def by_sighup(superd: Superd) -> None:
    before = len(superd.log_events("reload"))
    superd.signal(signal.SIGHUP)
    superd.wait_for("reload", count=before + 1)


def test_a_user_that_does_not_exist_is_warned_of_at_start_and_reload(address: str) -> None:
    with Superd(cat("kept", f"tcp://{address}:7"), settings='user = "superdd"') as superd:
        assert "no such user" in superd.wait_for("warning")["message"]
        assert "warning: " in superd.ctl("reload").stdout
        checked = run(sys.executable, "-m", "superd", "-f", superd.config, "--check")
        assert checked.returncode == 0
        assert 'superd.user = "superdd": no such user' in checked.stderr


@pytest.mark.parametrize("reload", [by_superctl, by_sighup])
def test_only_what_changed_notices(address: str, reload: Callable[[Superd], None]) -> None:
    kept = cat("kept", f"tcp://{address}:7")
    before = kept + says("changed", f"tcp://{address}:21", "old") + cat("removed", f"tcp://{address}:9")
    after = kept + says("changed", f"tcp://{address}:21", "new") + cat("added", f"tcp://{address}:13")
    with (
        Superd(before) as superd,
        connect(address, 7) as on_kept,
        connect(address, 21) as on_changed,
        connect(address, 9) as on_removed,
    ):
        assert echoes(on_kept) and first_line(on_changed) == b"old\n" and echoes(on_removed)
        spawners, socket_of_kept = superd.spawners("kept"), inode(address, 7)
        superd.configure(after)
        reload(superd)

        assert superd.log_events("reload")[-1]["message"] == (
            "reloaded: added added; changed changed; removed removed; 1 unchanged"
        )
        assert superd.spawners("kept") == spawners
        assert inode(address, 7) == socket_of_kept
        status = superd.status()
        assert list(status) == ["kept", "changed", "added"]
        assert (status["kept"]["children"], status["kept"]["accepted"]) == (1, 1)
        assert status["changed"]["children"] == 1

        assert echoes(on_kept) and echoes(on_changed) and echoes(on_removed)
        with connect(address, 21) as fresh:
            assert first_line(fresh) == b"new\n"
        assert exchange(address, 13, b"hello") == b"hello"
        with pytest.raises(ConnectionRefusedError):
            connect(address, 9)


def test_the_end_of_a_connection_to_a_removed_service_is_logged(address: str) -> None:
    with Superd(cat("gone", f"tcp://{address}:7")) as superd:
        with connect(address, 7) as client:
            assert echoes(client)
            (spawner,) = superd.spawners("gone")
            began = superd.wait_for("connection", service="gone")
            superd.reload(cat("other", f"tcp://{address}:9"))
        superd.wait_for("end", service="gone", id=began["id"], outcome="clean")
        wait_until(lambda: not is_alive(spawner), "the spawner of the removed service to end")


def test_a_removed_services_connections_outlive_the_acceptor_too(address: str) -> None:
    """Its spawner must not wait for ever for somebody who wants to know of their end."""
    with Superd(cat("gone", f"tcp://{address}:7")) as superd:
        with connect(address, 7) as client:
            assert echoes(client)
            (spawner,) = superd.spawners("gone")
            began = superd.wait_for("connection", service="gone")
            superd.reload(cat("other", f"tcp://{address}:9"))
            os.kill(superd.acceptor_pid, signal.SIGKILL)
            superd.wait_for("acceptor", message=re.compile("SIGKILL"))
            assert exchange(address, 9, b"served again") == b"served again"
            assert echoes(client)
        superd.wait_for("end", service="gone", id=began["id"], outcome="clean")
        wait_until(lambda: not is_alive(spawner), "the spawner of the removed service to end")


def test_a_service_that_is_removed_and_comes_back_is_a_new_one(address: str) -> None:
    one = says("one", f"tcp://{address}:7", "first")
    with Superd(one) as superd, connect(address, 7) as old:
        assert first_line(old) == b"first\n"
        superd.reload("")
        superd.reload(says("one", f"tcp://{address}:7", "second"))
        with connect(address, 7) as new:
            assert first_line(new) == b"second\n"
            assert superd.status("one")["accepted"] == 1
        assert echoes(old)


@pytest.mark.parametrize(
    "rest",
    ["", cat("old", "tcp://{address}:2121"), cat("old", "tcp://{address}:7", "tcp://{address}:2121")],
    ids=["removed", "elsewhere", "half"],
)
def test_an_address_moves_to_another_service_without_being_closed(address: str, rest: str) -> None:
    before = cat("old", f"tcp://{address}:7", f"tcp://{address}:21")
    after = rest.format(address=address) + says("new", f"tcp://{address}:21", "moved")
    with Superd(before) as superd, connect(address, 21) as client:
        assert echoes(client)
        listener = inode(address, 21)
        superd.reload(after)
        assert inode(address, 21) == listener
        with connect(address, 21) as fresh:
            assert first_line(fresh) == b"moved\n"
        assert echoes(client)
        if rest:
            assert exchange(address, 2121, b"elsewhere") == b"elsewhere"


def test_two_services_swap_their_addresses(address: str) -> None:
    def pair(first: int, second: int) -> str:
        return says("one", f"tcp://{address}:{first}", "one") + says(
            "two", f"tcp://{address}:{second}", "two"
        )

    with Superd(pair(7, 9)) as superd:
        superd.reload(pair(9, 7))
        for port, word in ((7, b"two\n"), (9, b"one\n")):
            assert exchange(address, port) == word


def test_nowait_becomes_wait_and_back_on_the_same_port(address: str, folder: Path) -> None:
    program = written(
        folder / "accepting",
        """
        import socket
        with socket.socket(fileno=0) as listener:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"an instance")
        """,
    )
    wait = f"""
        [services.one]
        listen = ["tcp://{address}:7"]
        exec = ["/usr/bin/python3", "-I", "{program}"]
        mode = "wait"
        user = "nobody"
    """
    nowait = cat("one", f"tcp://{address}:7")
    with Superd(nowait) as superd, connect(address, 7) as client:
        assert echoes(client)
        listener = inode(address, 7)
        superd.reload(wait)
        assert exchange(address, 7) == b"an instance"
        superd.reload(nowait)
        assert exchange(address, 7, b"echo") == b"echo"
        assert inode(address, 7) == listener
        assert echoes(client)


def test_switched_off_and_on_again(address: str) -> None:
    on = cat("one", f"tcp://{address}:7")
    with Superd(on) as superd, connect(address, 7) as client:
        assert echoes(client)
        superd.reload(cat("one", f"tcp://{address}:7", more="enabled = false"))
        assert superd.status("one")["state"] == "disabled"
        with pytest.raises(ConnectionRefusedError):
            connect(address, 7)
        assert echoes(client)
        superd.reload(on)
        assert superd.status("one")["state"] == "running"
        assert exchange(address, 7, b"back") == b"back"


# --- faulty files ---


def test_a_faulty_file_changes_nothing_and_every_fault_is_told(address: str) -> None:
    good = cat("good", f"tcp://{address}:7")
    with socket.create_server((address, 80)), Superd(good) as superd:
        assert exchange(address, 7, b"before") == b"before"
        listener, spawners = inode(address, 7), superd.spawners("good")
        superd.configure(
            cat("good", f"tcp://{address}:9")
            + cat("taken", f"tcp://{address}:80")
            + cat("fine", f"tcp://{address}:13")
            + cat("missing", f"tcp://{address}:21").replace("/bin/cat", "/nowhere/program")
            + cat("lost", f"tcp://{address}:22").replace(own_user("lost"), "no-such-user")
        )
        done = superd.ctl("reload")
        assert done.returncode == 78
        for fault in (
            f'services.taken.listen = "tcp://{address}:80": cannot listen: Address already in use',
            'services.missing.exec = "/nowhere/program": no such program',
            'services.lost.user = "no-such-user": no user "no-such-user"',
        ):
            assert fault in done.stderr
            superd.wait_for("reload", level="err", message=re.compile(re.escape(fault)))
        assert len(done.stderr.splitlines()) == 3
        assert (inode(address, 7), superd.spawners("good")) == (listener, spawners)
        assert list(superd.status()) == ["good"]
        for port in (9, 13, 21, 22):
            with pytest.raises(ConnectionRefusedError):
                connect(address, port)
        superd.reload(good)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[services.good\n", "line"),
        (cat("good", "tcp://{address}:7", more='colour = "red"'), "services.good.colour: unknown key"),
        (cat("good", "tcp://{address}:7", more="runtime_max = 5"), "services.good.runtime_max = 5"),
    ],
    ids=["syntax", "unknown key", "no unit"],
)
def test_a_file_that_cannot_be_read_changes_nothing(address: str, text: str, fault: str) -> None:
    with Superd(cat("good", f"tcp://{address}:7")) as superd, connect(address, 7) as client:
        assert echoes(client)
        superd.configure(text.format(address=address))
        done = superd.ctl("reload")
        assert done.returncode == 78
        assert fault in done.stderr
        superd.signal(signal.SIGHUP)
        superd.wait_for("reload", count=2, level="err", message=re.compile("not reloaded"))
        assert echoes(client)
        assert exchange(address, 7, b"as before") == b"as before"


def test_a_log_that_cannot_be_opened_is_a_fault_like_any_other(address: str, folder: Path) -> None:
    """A reload opens the log anew; without its folder that fails, with a good file and with a faulty one."""
    good = cat("good", f"tcp://{address}:7")
    logs = folder / "logs"
    logs.mkdir()
    with Superd(good) as superd:
        superd.config.write_text(superd.config.read_text().replace(str(superd.log), str(logs / "log")))
        superd.reload()
        logs.rename(folder / "rotated-away")
        for text in (superd.config.read_text(), "[services.faulty]\n"):
            superd.config.write_text(text)
            assert superd.ctl("reload").returncode == 78
        assert exchange(address, 7, b"as before") == b"as before"
        superd.reload(good)


def test_an_unreadable_file_is_told_of_and_changes_nothing(address: str) -> None:
    with Superd(cat("good", f"tcp://{address}:7")) as superd:
        superd.config.rename(superd.folder / "elsewhere")
        done = superd.ctl("reload")
        assert (done.returncode, "no such file" in done.stderr) == (78, True)
        assert exchange(address, 7, b"as before") == b"as before"


# --- who may ask ---


def test_an_ordinary_user_may_not_ask(address: str) -> None:
    with Superd(cat("one", f"tcp://{address}:7")) as superd:
        for command in ("status", "reload", "stop"):
            done = superd.ctl(command, run_as="nobody")
            assert done.returncode == 77
            assert "permission denied" in done.stderr
        assert exchange(address, 7, b"unharmed") == b"unharmed"


def test_groups_may_look_or_change(address: str) -> None:
    """Group daemon may look; group games, let in by a reload, may change as well."""
    service = cat("one", f"tcp://{address}:7")
    with Superd(service, settings='control_group = "daemon"') as superd:
        assert superd.ctl("status", run_as="daemon").returncode == 0
        refused = superd.ctl("reload", run_as="daemon")
        assert refused.returncode == 77
        assert "control_admin_group" in refused.stderr
        assert superd.ctl("status", run_as="games").returncode == 77

        superd.configure(service, settings='control_group = "daemon"\ncontrol_admin_group = "games"')
        superd.reload()
        assert superd.ctl("status", run_as="daemon").returncode == 0
        assert superd.ctl("reload", run_as="daemon").returncode == 77
        assert superd.ctl("reload", run_as="games").returncode == 0
        assert superd.ctl("status", run_as="nobody").returncode == 77
        assert superd.ctl("stop", run_as="games").returncode == 0
        wait_until(lambda: not is_alive(superd.master_pid), "superd to end")


def test_the_control_socket_moves(address: str) -> None:
    service = cat("one", f"tcp://{address}:7")
    with Superd(service) as superd:
        old = superd.control
        superd.control = superd.folder / "moved.sock"
        superd.configure(service)
        superd.signal(signal.SIGHUP)
        superd.wait_for("reload")
        assert superd.status("one")["state"] == "listening"
        assert not old.exists()


def test_the_connection_of_a_client_that_is_read_late_is_complete(address: str) -> None:
    """A connection that waits in the backlog over a reload is served by the new settings, not dropped."""
    before, after = (says("one", f"tcp://{address}:7", word) for word in ("old", "new"))
    with Superd(before) as superd:
        acceptor = superd.acceptor_pid
        os.kill(acceptor, signal.SIGSTOP)
        with connect(address, 7) as client:
            superd.configure(after)
            superd.signal(signal.SIGHUP)
            superd.wait_for("reload")
            os.kill(acceptor, signal.SIGCONT)
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) in (b"old\n", b"new\n")


def test_the_log_tells_who_asked_for_a_change(address: str) -> None:
    with Superd(cat("echo", f"tcp://{address}:7")) as superd:
        superd.ctl("status")
        superd.reload()
        superd.wait_for("control", command="reload", uid=0)
        assert len(superd.log_events("control")) == 1, "who only looks leaves no trace"


@pytest.mark.needs("unshare", "mount")
def test_a_reload_sees_that_a_users_groups_have_changed(address: str, folder: Path) -> None:
    group = written(folder / "group", Path("/etc/group").read_text())
    own_groups = ["unshare", "--mount", "sh", "-c", f'mount --bind {group} /etc/group; exec "$@"', "sh"]
    services = (
        f'[services.id]\nlisten = ["tcp://{address}:7"]\nexec = ["/usr/bin/id", "-G"]\nuser = "games"\n'
        + cat("other", f"tcp://{address}:9")
    )
    with Superd(services, prefix=own_groups) as superd, connect(address, 9) as client:
        before = exchange(address, 7).split()
        with group.open("a") as groups:
            groups.write("newcomers:x:54321:games\n")
        superd.reload()
        superd.wait_for("reload", message="reloaded: changed id; 1 unchanged")
        assert sorted(exchange(address, 7).split()) == sorted([*before, b"54321"])
        superd.reload()
        superd.wait_for("reload", message="reloaded: 2 unchanged")
        assert echoes(client)


def test_a_reload_sees_that_an_environment_file_has_changed(address: str, folder: Path) -> None:
    path = written(folder / "secret", "TOKEN=old\n", 0o600)
    with Superd(
        f'[services.env]\nlisten = ["tcp://{address}:7"]\nexec = ["/usr/bin/env"]\nuser = "games"\n'
        f'environment_file = "{path}"\n'
    ) as superd:
        assert b"TOKEN=old\n" in exchange(address, 7)
        written(path, "TOKEN=rotated\n", 0o600)
        superd.reload()
        superd.wait_for("reload", message="reloaded: changed env; 0 unchanged")
        assert b"TOKEN=rotated\n" in exchange(address, 7)
