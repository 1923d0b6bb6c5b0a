"""What is missing or taken when superd starts concerns one service alone, is told, and is mended when it appears."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from clients import MANY_OF_ONE_SOURCE, connect, echo, echoes, first_line
from harness import Superd, exchange, output, run, stat_fields, wait_until, written

pytestmark = pytest.mark.live


# --- what is missing ---


@pytest.mark.parametrize("reload", [True, False], ids=["at once by reload", "by itself"])
def test_a_program_that_is_missing_switches_its_own_service_off_until_it_is_there(
    address: str, folder: Path, reload: bool
) -> None:
    program = folder / "bin" / "echo"
    services = echo(address, 9, "other", "games") + echo(address).replace("/bin/cat", str(program))
    with Superd(services) as superd:
        fault = f'services.echo.exec = "{program}": no such program (No such file or directory); install it'
        superd.wait_for("error", service="echo", message=re.compile(re.escape(fault)))
        assert superd.status("echo")["state"] == "faulty"
        assert fault in superd.status("echo")["fault"]
        assert fault in superd.ctl("status").stdout
        with pytest.raises(ConnectionRefusedError):
            connect(address)
        assert exchange(address, 9, b"other") == b"other"

        written(program, "#!/bin/sh\nexec cat\n", 0o755)
        if reload:
            superd.reload()
        superd.wait_for("listen", service="echo", message=re.compile("on again"))
        assert exchange(address, 7, b"here now") == b"here now"
        assert superd.status("echo")["fault"] == ""
        assert len(superd.log_events("error", service="echo")) == 1


@pytest.mark.parametrize(
    ("more", "mended"),
    [
        ('working_directory = "{path}"', lambda path: path.mkdir()),
        ('root_directory = "{path}"', lambda path: written(path / "bin/cat", "", 0o755)),
    ],
    ids=["working_directory", "root_directory"],
)
def test_a_folder_that_is_missing_is_waited_for(
    address: str, folder: Path, more: str, mended: Callable[[Path], object]
) -> None:
    path = folder / "missing"
    services = echo(address, 9, "other", "games") + echo(address, more=more.format(path=path))
    with Superd(services) as superd:
        superd.wait_for("error", service="echo", message=re.compile(re.escape(str(path))))
        assert superd.status("echo")["state"] == "faulty"
        assert exchange(address, 9, b"other") == b"other"
        mended(path)
        superd.reload()
        superd.wait_for("listen", service="echo", message=re.compile("on again"))
        assert superd.status("echo")["state"] == "listening"


@pytest.mark.needs("unshare", "mount")
def test_a_user_that_is_missing_is_waited_for(address: str, folder: Path) -> None:
    passwd = written(folder / "passwd", Path("/etc/passwd").read_text())
    own_users = ["unshare", "--mount", "sh", "-c", f'mount --bind {passwd} /etc/passwd; exec "$@"', "sh"]
    services = echo(address, 9, "other", "games") + echo(address, user="newcomer", more='group = "daemon"')
    with Superd(services, prefix=own_users) as superd:
        superd.wait_for("error", service="echo", message=re.compile('no user "newcomer"; create it'))
        assert exchange(address, 9, b"other") == b"other"
        with passwd.open("a") as users:
            users.write("newcomer:x:54321:1::/:/bin/sh\n")
        superd.reload()
        superd.wait_for("listen", service="echo", message=re.compile("on again"))
        assert exchange(address, 7, b"hello") == b"hello"


def test_a_program_that_vanishes_while_superd_runs_is_told_of_and_works_again_when_it_is_back(
    address: str, folder: Path
) -> None:
    program = written(folder / "program", "#!/bin/sh\nexec cat\n", 0o755)
    services = echo(address, 9, "other", "games") + echo(address).replace("/bin/cat", str(program))
    with Superd(services) as superd:
        assert exchange(address, 7, b"before") == b"before"
        program.rename(folder / "elsewhere")
        for _ in range(3):
            assert exchange(address, 7) == b""
        told = superd.wait_for("error", service="echo", outcome="never-started")
        assert told["message"].startswith(f"cannot start {program}: No such file or directory")
        assert exchange(address, 9, b"other") == b"other"
        (folder / "elsewhere").rename(program)
        assert exchange(address, 7, b"back") == b"back"
        assert superd.status("echo")["children"] == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "#!/no/such/interpreter\n",
            "No such file or directory (or the interpreter or loader that the file names)",
        ),
        ("echo hello\n", "Exec format error (a script begins with #! and its interpreter)"),
    ],
    ids=["interpreter", "no interpreter"],
)
def test_a_program_that_is_there_and_cannot_be_executed_says_what_is_missing(
    address: str, folder: Path, text: str, problem: str
) -> None:
    program = written(folder / "program", text, 0o755)
    with Superd(echo(address).replace("/bin/cat", str(program))) as superd:
        assert exchange(address, 7) == b""
        told = superd.wait_for("error", service="echo", outcome="never-started")
        assert told["message"] == f"cannot start {program}: {problem}"


def test_a_program_by_another_name_is_told_of_by_its_file(address: str, folder: Path) -> None:
    program = written(folder / "program", "echo hello\n", 0o755)
    services = echo(address, more=f'exec_path = "{program}"').replace("/bin/cat", "greeter")
    with Superd(services) as superd:
        assert exchange(address, 7) == b""
        told = superd.wait_for("error", service="echo", outcome="never-started")
        assert told["message"].startswith(f"cannot start {program} (as greeter): Exec format error")


def test_a_working_directory_that_the_user_may_not_enter_is_told_of(address: str, folder: Path) -> None:
    """root sees it, so only the spawner finds out, which has taken the user's place."""
    private = folder / "private"
    private.mkdir(0o700)
    services = echo(address, 9, "other", "games") + echo(address, more=f'working_directory = "{private}"')
    with Superd(services) as superd, connect(address) as client:
        problem = re.compile(f"failed: working_directory = {private}: Permission denied$")
        superd.wait_for("spawner", service="echo", message=problem)
        told = wait_until(lambda: superd.status("echo")["trouble"], "a service that is tried again")
        assert told == f"its spawner failed: working_directory = {private}: Permission denied"
        assert exchange(address, 9, b"other") == b"other"
        private.chmod(0o755)
        assert echoes(client), "it has waited"


# --- what is taken ---


def test_a_port_in_use_names_its_owner_and_is_tried_again(address: str) -> None:
    services = echo(address, 9, "other", "games") + echo(address)
    with ExitStack() as stack:
        owner = stack.enter_context(socket.create_server((address, 7)))
        superd = stack.enter_context(Superd(services))
        assert "serves 1 of 2 services" in superd.wait_for("start")["message"]
        told = superd.wait_for("error", service="echo", message=re.compile("Address already in use"))
        assert f"(pid {os.getpid()}, user root)" in told["message"]
        status = superd.status("echo")
        assert (status["state"], list(status["broken"])) == ("retrying", [f"tcp://{address}:7"])
        assert exchange(address, 9, b"other") == b"other"
        owner.close()
        superd.wait_for("listen", service="echo", message=re.compile("open now"))
        assert exchange(address, 7, b"mine now") == b"mine now"
        assert superd.status("echo")["state"] != "retrying"


def test_a_listener_that_opens_late_joins_those_that_serve(address: str) -> None:
    services = f"""
        [services.echo]
        listen = ["tcp://{address}:7", "tcp://{address}:9"]
        exec = ["/bin/cat"]
        user = "daemon"
    """
    with ExitStack() as stack:
        owner = stack.enter_context(socket.create_server((address, 9)))
        superd = stack.enter_context(Superd(services))
        held = stack.enter_context(connect(address))
        assert echoes(held)
        assert superd.status("echo")["state"] == "partial"
        (first,) = superd.spawners("echo")
        owner.close()
        superd.wait_for("listen", service="echo", message=re.compile("open now"))
        for port in (7, 9):
            assert exchange(address, port, b"both") == b"both"
        assert echoes(held)
        status = superd.status("echo")
        assert (status["state"], status["accepted"]) == ("running", 3)
        held.close()
        wait_until(
            lambda: first not in superd.spawners("echo"), "the first spawner to end with its connection"
        )
        assert exchange(address, 9, b"on") == b"on"


def test_an_instance_waits_until_it_can_have_all_its_listeners(address: str, folder: Path) -> None:
    program = written(
        folder / "count",
        """
        import os, socket
        with socket.socket(fileno=0) as listener:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(os.environ["LISTEN_FDS"].encode())
        """,
    )
    services = f"""
        [services.one]
        listen = ["tcp://{address}:7", "tcp://{address}:9"]
        exec = ["{sys.executable}", "-I", "-S", "{program}"]
        mode = "wait"
        user = "daemon"
    """
    with ExitStack() as stack:
        owner = stack.enter_context(socket.create_server((address, 9)))
        superd = stack.enter_context(Superd(services))
        client = stack.enter_context(connect(address))
        superd.wait_for("error", service="one")
        owner.close()
        assert client.recv(10) == b"2"


# --- what runs out ---


@pytest.mark.needs("setpriv", "prlimit")
def test_an_acceptor_without_descriptors_does_not_spin_and_recovers(address: str) -> None:
    """EMFILE leaves the connections in the backlog; a loop that asks again and again would burn the processor."""
    with Superd(echo(address)) as superd, connect(address) as held:
        assert echoes(held)
        acceptor = superd.acceptor_pid
        allow_descriptors(acceptor, "0:")
        ticks = ticks_of(acceptor)
        with connect(address) as waiting:
            superd.wait_for("error", service="echo", message=re.compile("cannot accept: Too many open files"))
            assert echoes(held)
            wait_until(lambda: "repeated" in superd.log.read_text() or len(told(superd)) >= 4, "some tries")
            assert ticks_of(acceptor) - ticks < os.sysconf("SC_CLK_TCK"), "it spins"
            allow_descriptors(acceptor, "64:")
            assert echoes(waiting)
        assert superd.acceptor_pid == acceptor


@pytest.mark.needs("prlimit")
def test_clients_that_take_all_descriptors_are_in_nobodys_way_but_the_clients(address: str) -> None:
    """What the master sends and who asks for the state have descriptors of their own."""
    echoing = f'[services.echo]\nlisten = ["tcp://{address}:7"]\nbuiltin = "echo"\n{MANY_OF_ONE_SOURCE}'
    others = echo(address, 9, "other", "games") + echo(address, 11, "more")
    with Superd(echoing, prefix=["prlimit", "--nofile=100:100", "--"]) as superd, ExitStack() as stack:
        acceptor = superd.acceptor_pid
        clients = [stack.enter_context(connect(address)) for _ in range(120)]
        superd.wait_for("error", service="echo", message=re.compile("cannot accept: Too many open files"))
        superd.reload(echoing + others)
        assert superd.status("other")["state"] == "listening"
        served = stack.enter_context(connect(address, 9))
        for client in clients:
            client.close()
        assert echoes(served)
        assert superd.acceptor_pid == acceptor


def allow_descriptors(pid: int, limit: str) -> None:
    """Set another process's limit as its own user, who needs no capability for it (prlimit(2))."""
    uid = Path(f"/proc/{pid}/status").read_text().partition("\nUid:\t")[2].split()[0]
    ids = (f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
    output("setpriv", *ids, "prlimit", f"--pid={pid}", f"--nofile={limit}")


def told(superd: Superd) -> list[dict[str, object]]:
    return superd.log_events("error", service="echo")


def ticks_of(pid: int) -> int:
    """Processor time of a process, user's and system's (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_few_descriptors_are_enough_for_many_connections(address: str) -> None:
    """With 64 of them, a hundred clients are served, if not all at once."""
    with (
        Superd(echo(address, more=MANY_OF_ONE_SOURCE), prefix=["prlimit", "--nofile=64:64", "--"]) as superd,
        ExitStack() as stack,
    ):
        clients = [stack.enter_context(connect(address)) for _ in range(100)]
        for client in clients[:20]:
            assert echoes(client)
        for client in clients[:20]:
            client.close()
        assert all(echoes(client) for client in clients[20:40])
        assert stat_fields(superd.acceptor_pid)


@pytest.mark.parametrize("key", ["", 'limit_cpu = "1h"'], ids=["spawned", "forked"])
def test_a_service_has_more_children_than_its_soft_limit_has_descriptors(address: str, key: str) -> None:
    """1024 is the soft limit nearly everywhere, and a spawner holds a descriptor for each child that lives."""
    program = 'exec = ["/bin/sh", "-c", "echo $(ulimit -Sn) $(ulimit -Hn); exec cat"]'
    services = echo(address, more=f"{key}\n{MANY_OF_ONE_SOURCE}").replace('exec = ["/bin/cat"]', program)
    with (
        Superd(services, prefix=["prlimit", "--nofile=160:4096", "--"]) as superd,
        ExitStack() as stack,
    ):
        clients = [stack.enter_context(connect(address)) for _ in range(200)]
        for client in clients:
            assert first_line(client) == b"160 4096\n"
            assert echoes(client)
        assert superd.status("echo")["children"] == 200
        clients[-1].shutdown(socket.SHUT_WR)
        assert clients[-1].recv(1) == b"", "nothing else holds the connection open"
        assert superd.log_events("error", service="echo") == []


# --- an ordinary user's superd ---


def test_an_ordinary_user_serves_high_ports_as_himself_and_only_that(address: str) -> None:
    services = (
        echo(address, 7007).replace('user = "daemon"', "")
        + echo(address, 7009, "other", "games")
        + echo(address, 7, "low").replace('user = "daemon"', "")
    )
    with Superd(services, run_as="daemon") as superd:
        assert exchange(address, 7007, b"hello") == b"hello"
        child_of = superd.wait_for("connection", service="echo")
        assert child_of["source"] == "127.0.0.1"
        for pid in (superd.acceptor_pid, *superd.spawners("echo")):
            status = Path(f"/proc/{pid}/status").read_text()
            assert re.search(r"^Uid:\t1\t1\t1\t1$", status, re.MULTILINE)
            assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
            assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE)
        assert superd.status("echo")["user"] == "daemon"
        fault = superd.status("other")["fault"]
        assert "only root can run it as another user; start superd as root, or leave user out" in fault
        reason = superd.status("low")["broken"][f"tcp://{address}:7"]
        assert "ip_unprivileged_port_start" in reason or "Permission denied" in reason
        assert superd.ctl("status", run_as="daemon").returncode == 0
        assert superd.ctl("status").returncode == 0, "root may ask everybody's superd"
        assert superd.ctl("status", run_as="games").returncode == 77


def test_superd_does_not_start_with_a_faulty_file_or_a_second_time(address: str, folder: Path) -> None:
    faulty = written(folder / "faulty.toml", '[services.a]\nlisten = ["tcp://*:7"]\nexce = ["/bin/cat"]\n')
    done = run(sys.executable, "-m", "superd", "-f", faulty, cwd=Path(__file__).parents[2])
    assert done.returncode == 78
    assert "services.a.exce: unknown key" in done.stderr
    with Superd(echo(address)) as superd:
        done = run(sys.executable, "-m", "superd", "-f", superd.config, cwd=Path(__file__).parents[2])
        assert done.returncode == 78
        assert f"(pid {superd.master_pid}, user root)" in done.stderr
        assert exchange(address, 7, b"unharmed") == b"unharmed"
