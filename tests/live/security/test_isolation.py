"""Namespaces and capabilities, key by key, as a program notices them."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import socket
import sys
from pathlib import Path

import pytest
from clients import connect
from harness import Superd, descendants, exchange, is_alive, wait_until

from superd.kernel import linux

from .inside import look, seen

pytestmark = pytest.mark.live

DAEMON = pwd.getpwnam("daemon")
KEYCTL = {"x86_64": 250, "aarch64": 219}.get(os.uname().machine, -1)


def session_keyring() -> int:
    """The number of this process's session keyring (KEYCTL_GET_KEYRING_ID)."""
    return int(ctypes.CDLL(None).syscall(KEYCTL, 0, -3, 0))


def test_private_network(address: str) -> None:
    """Nobody is reached: not from a new socket, not from the one that was given, connected anew."""
    body = """
    AF_UNSPEC = struct.pack("H14x", 0)
    given = socket.socket(fileno=os.dup(0))
    def devices():
        return " ".join(line.split(":")[0].strip() for line in open("/proc/self/net/dev") if ":" in line)
    attempts = {
        "devices": devices,
        "connect": lambda: socket.create_connection((ADDRESS, 7), 5),
        "disconnect": lambda: call("connect", 0, AF_UNSPEC, 16),
        "bind": lambda: socket.socket().bind(("127.0.0.1", 0)),
        "listen": lambda: given.listen(),
        "accept": lambda: given.accept(),
        "ring": lambda: call("syscall", 425, 1, None),
    }
    """.replace("ADDRESS", repr(address))
    with socket.create_server((address, 7)), Superd(look("a", address, "private_network = true", body)):
        assert seen(address) == {
            "devices": "lo",
            **dict.fromkeys(("connect", "disconnect", "bind", "listen", "accept", "ring"), "EPERM"),
        }


def test_a_private_network_with_ports_that_may_be_connected_to_has_a_loopback(address: str) -> None:
    body = """
    attempts = {
        "any": lambda: socket.create_connection(("127.0.0.1", 8), 5),
        "allowed": lambda: socket.create_connection(("127.0.0.1", 7), 5),
        "listen": lambda: socket.socket().listen(),
    }
    """
    keys = "private_network = true\ntcp_connect_ports = [7]"
    with socket.create_server(("127.0.0.1", 7), reuse_port=True), Superd(look("a", address, keys, body)):
        # 7 is free in there: the loopback is up, and nobody listens on it
        assert seen(address) == {"any": "EACCES", "allowed": "ECONNREFUSED", "listen": "EPERM"}


def test_private_users(address: str) -> None:
    """Its own user is itself, root is without power, and nobody else exists."""
    body = """
    attempts = {
        "me": lambda: str(os.getuid()) + " " + str(os.getgid()),
        "owner": lambda: str(os.stat("/etc/passwd").st_uid),
        "games": lambda: str(os.stat("/var/games").st_gid) if os.path.isdir("/var/games") else "65534",
        "uids": lambda: " ".join(open("/proc/self/uid_map").read().split()),
        "root": lambda: os.setuid(0),
    }
    """
    with Superd(look("a", address, "private_users = true", body)):
        answers = seen(address)
    uid, gid = DAEMON.pw_uid, DAEMON.pw_gid
    assert answers["me"] == f"{uid} {gid}"
    assert answers["owner"] == "0"
    assert answers["uids"] == f"0 0 1 {uid} {uid} 1"
    assert answers["root"] == "EPERM"


def test_private_pids(address: str) -> None:
    """Only its spawner and its siblings are there, and no signal stops or ends the spawner."""
    body = """
    attempts = {
        "seen": lambda: " ".join(name for name in os.listdir("/proc") if name.isdigit() and int(name) > 9),
        "parent": lambda: str(os.getppid()),
        **{name: lambda number=number: os.kill(1, number) for name, number in
           (("kill", 9), ("stop", 19), ("hup", 1), ("term", 15), ("segv", 11))},
    }
    """
    with Superd(look("a", address, "private_pids = true", body)) as superd:
        for _ in range(3):
            answers = seen(address)
            assert answers["seen"] == "done"
            assert answers["parent"] == "1"
        assert superd.status("a")["accepted"] == 3
        assert len(superd.status("a")["spawners"]) == 1, "the same spawner served all"
        assert not superd.log_events("warning")


CAT = """
    [services.cat]
    listen = ["tcp://{address}:7"]
    exec = ["/bin/cat"]
    user = "daemon"
    [services.cat.sandbox]
    private_pids = true
"""


def test_pids_of_a_pid_namespace_are_those_of_the_machine(address: str) -> None:
    """In the log, at the beginning and at the end of each."""
    with Superd(CAT.format(address=address)) as superd, connect(address) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        spawner = superd.status("cat")["spawners"][0]
        (child,) = descendants(spawner)
        assert Path(f"/proc/{child}/comm").read_text() == "cat\n"
        client.shutdown(socket.SHUT_WR)
        assert superd.wait_for("connection", service="cat")["pid"] == child
        assert superd.wait_for("end", service="cat")["pid"] == child


def test_a_child_of_a_pid_namespace_is_ended_when_its_time_is_over(address: str) -> None:
    with Superd(CAT.format(address=address).replace("user =", 'runtime_max = "10ms"\n    user =')) as superd:
        with connect(address) as client:
            assert client.recv(1) == b""
        assert superd.wait_for("end", service="cat")["outcome"] == "timed-out"


def test_children_of_a_pid_namespace_go_on_when_superd_stops(address: str) -> None:
    """Their spawner waits for the last of them, and then ends too."""
    with Superd(CAT.format(address=address)) as superd, connect(address) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        spawner = superd.status("cat")["spawners"][0]
        superd.stop()
        client.sendall(b"y")
        assert client.recv(1) == b"y"
        assert is_alive(spawner)
        client.close()
        wait_until(lambda: not is_alive(spawner), "the init of the namespace to end")


def test_a_dead_spawner_takes_its_pid_namespace_with_it(address: str) -> None:
    with Superd(CAT.format(address=address)) as superd, connect(address) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        spawner = superd.status("cat")["spawners"][0]
        below = descendants(spawner)
        os.kill(spawner, signal.SIGKILL)
        assert client.recv(1) == b""
        wait_until(lambda: not any(map(is_alive, below)), "all of the namespace to end")
        assert exchange(address, 7, b"again") == b"again"


def test_a_capability_without_root(address: str) -> None:
    """An unmodified program binds a privileged port by itself, and can do nothing else."""
    body = f"""
    attempts = {{
        "bind": lambda: socket.socket().bind(({address!r}, 80)),
        "raw": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
        "read": lambda: contents("/etc/shadow"),
        "held": lambda: next(line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")),
        "after exec": lambda: subprocess.run(["grep", "CapPrm", "/proc/self/status"], capture_output=True,
                                             text=True).stdout.split()[1],
    }}
    """
    with Superd(look("a", address, 'ambient_capabilities = ["CAP_NET_BIND_SERVICE"]', body)):
        mask = f"{1 << 10:016x}"
        expected = {"bind": "done", "raw": "EPERM", "read": "EACCES", "held": mask, "after exec": mask}
        assert seen(address) == expected


def test_root_with_few_capabilities(address: str) -> None:
    body = """
    status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
    attempts = {
        "bounding": lambda: status["CapBnd"].strip(),
        "permitted": lambda: status["CapPrm"].strip(),
        "chown": lambda: os.chown("/tmp", 0, 0),
        "bind": lambda: socket.socket().bind((ADDRESS, 81)),
    }
    """.replace("ADDRESS", repr(address))
    with Superd(look("a", address, 'capability_bounding_set = ["CAP_CHOWN"]', body, user="root")):
        assert seen(address) == {
            "bounding": f"{1:016x}",
            "permitted": f"{1:016x}",
            "chown": "done",
            "bind": "EACCES",
        }


def test_new_privileges(address: str) -> None:
    """Granted by a setuid program only where the administrator says so."""
    body = """
    def effective():
        with open("/proc/self/status") as status:
            return next(line.split()[1] for line in status if line.startswith("NoNewPrivs"))
    attempts = {"set": effective}
    """
    services = look("a", address, "", body) + look("b", address, "no_new_privileges = false", body, port=2)
    with Superd(services):
        assert seen(address) == {"set": "1"}
        assert seen(address, 2) == {"set": "0"}


def test_dynamic_user(address: str) -> None:
    """A number that nobody has, another for each service, and no trace of it after."""
    body = """
    attempts = {
        "uid": lambda: str(os.getuid()),
        "gid": lambda: str(os.getgid()),
        "write": lambda: open("/var/tmp/superd-trace", "w").name,
        "etc": lambda: open("/etc/superd-trace", "w"),
    }
    """
    keys = "dynamic_user = true"
    one = look("a", address, keys, body).replace('user = "daemon"', "")
    two = look("b", address, keys, body, port=2).replace('user = "daemon"', "")
    with Superd(one + two) as superd:
        first, second = seen(address), seen(address, 2)
        assert 61184 <= int(first["uid"]) <= 65519
        assert first["uid"] == first["gid"] != second["uid"]
        assert first["write"] == "/var/tmp/superd-trace"
        assert not Path("/var/tmp/superd-trace").exists()
        assert first["etc"] in ("EROFS", "EACCES")
        assert superd.status("a")["user"] == "dynamic"
        superd.reload()
        assert seen(address)["uid"] == first["uid"]


def test_landlock_leaves_only_what_is_named(address: str, folder: Path) -> None:
    (folder / "data").mkdir(mode=0o777)
    (folder / "data").chmod(0o777)
    body = f"""
    attempts = {{
        "passwd": lambda: contents("/etc/passwd"),
        "write": lambda: open({str(folder / "data/x")!r}, "w").name,
        "beside": lambda: open({str(folder / "y")!r}, "w"),
        "run": lambda: subprocess.run(["/bin/true"]) and None,
        "bind": lambda: socket.socket().bind(({address!r}, 8080)),
        "other": lambda: socket.socket().bind(({address!r}, 8081)),
    }}
    """
    prefix = os.path.realpath(sys.base_prefix)
    keys = f"""
    landlock_execute_paths = ["/usr", "-/lib", "-/lib64", "{prefix}", "{sys.prefix}"]
    landlock_read_paths = ["/proc", "-/etc/ld.so.cache"]
    landlock_write_paths = ["{folder}/data", "/dev"]
    tcp_bind_ports = [8080]
    """
    with Superd(look("a", address, keys, body), folder=folder):
        assert seen(address) == {
            "passwd": "EACCES",
            "write": str(folder / "data/x"),
            "beside": "EACCES",
            "run": "done",
            "bind": "done",
            "other": "EACCES",
        }


@pytest.mark.skipif(KEYCTL < 0, reason="the number of keyctl is known here for two machines")
def test_the_keys_of_who_started_superd_are_not_the_programs(address: str) -> None:
    """Nor are those of one service's user another's: each spawner has a session keyring of its own."""
    body = f"""
    attempts = {{"keyring": lambda: str(call("syscall", {KEYCTL}, 0, -3, 0))}}
    """
    linux.leave_session_keyring()  # as a login gives one
    own = session_keyring()
    services = look("a", address, "", body) + look(
        "b", address, 'profile = "none"', body, user="games", port=2
    )
    with Superd(services):
        seen_by = [seen(address, port)["keyring"] for port in (1, 2)]
    assert all(one.isdigit() for one in seen_by)
    assert len({str(own), *seen_by}) == 3
