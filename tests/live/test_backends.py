"""Backends on demand: started by the first connection, waited for, and ended when nobody has one any more."""

from __future__ import annotations

import os
import pwd
import signal
from pathlib import Path

import pytest
from clients import connect
from harness import Superd, exchange, is_alive, read_all, wait_until, written

pytestmark = pytest.mark.live

BACKEND = """
import os, signal, socket, sys, time
host, port = sys.argv[1], int(sys.argv[2])
assert os.fstat(0).st_rdev == os.stat("/dev/null").st_rdev, "no socket of superd's"
assert "LISTEN_FDS" not in os.environ
print("starting", file=sys.stderr, flush=True)
time.sleep(float(sys.argv[3]))
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listening = socket.create_server((host, port))
while True:
    peer, _ = listening.accept()
    if os.fork() == 0:
        with peer:
            peer.sendall(f"{os.getuid()} {os.getppid()} ".encode())
            while data := peer.recv(4096):
                peer.sendall(data)
        os._exit(0)
    peer.close()
"""


def backend(address: str, folder: Path, *, delay_s: float = 0.3, idle: str = "1s") -> str:
    program = written(folder / "backend.py", BACKEND)
    return f"""
        [services.app]
        listen = ["tcp://{address}:80"]
        forward = "tcp://{address}:8080"
        exec = ["/usr/bin/python3", "-I", "{program}", "{address}", "8080", "{delay_s}"]
        user = "daemon"
        idle_timeout = "{idle}"
        """


def test_the_first_connection_starts_the_backend_and_waits_for_it(address: str, folder: Path) -> None:
    with Superd(backend(address, folder)) as superd:
        assert superd.spawners("app") == []
        uid, pid, said = exchange(address, 80, b"hello").split()
        assert (int(uid), said) == (pwd.getpwnam("daemon").pw_uid, b"hello")
        assert int(superd.wait_for("start", service="app")["pid"]) == int(pid)
        assert superd.wait_for("output", service="app")["message"] == "starting"
        assert exchange(address, 80, b"again").split()[1:] == [pid, b"again"], "the same one"
        superd.wait_for("end", count=2, service="app", source="127.0.0.1")
        assert superd.status("app")["accepted"] == 2
        ended = superd.wait_for("end", service="app", source="-")
        assert (ended["outcome"], ended["pid"]) == ("idle", int(pid))
        assert exchange(address, 80, b"x").split()[1] != pid, "and started again"


def test_it_lives_as_long_as_somebody_is_connected(address: str, folder: Path) -> None:
    with Superd(backend(address, folder, delay_s=0, idle="1s")) as superd, connect(address, 80) as client:
        pid = int(superd.wait_for("start", service="app")["pid"])
        wait_until(lambda: client.recv(100), "the greeting")
        assert read_all(client) == b"", "the connection is ended once it is idle"
        assert is_alive(pid), "and the backend, which had one until now, has as long again"
        assert superd.wait_for("end", service="app", source="127.0.0.1")["outcome"] == "idle"
        superd.wait_for("end", service="app", source="-", outcome="idle")
        wait_until(lambda: not is_alive(pid), "the backend to end")


def test_a_backend_that_was_killed_is_started_again(address: str, folder: Path) -> None:
    with Superd(backend(address, folder, delay_s=0, idle="1min")) as superd:
        pid = int(exchange(address, 80).split()[1])
        os.kill(pid, signal.SIGKILL)
        superd.wait_for("end", service="app", source="-", outcome="signalled")
        assert int(exchange(address, 80).split()[1]) != pid


def test_a_backend_outlives_the_acceptor_and_is_still_known(address: str, folder: Path) -> None:
    with Superd(backend(address, folder, delay_s=0, idle="2s")) as superd:
        pid = exchange(address, 80).split()[1]
        os.kill(superd.acceptor_pid, signal.SIGKILL)
        assert exchange(address, 80).split()[1] == pid
        assert superd.wait_for("end", service="app", source="-", outcome="idle")["pid"] == int(pid)


def test_a_stop_ends_it(address: str, folder: Path) -> None:
    with Superd(backend(address, folder, delay_s=0, idle="1min")) as superd:
        pid = int(exchange(address, 80).split()[1])
        superd.stop()
        assert not is_alive(pid)


def test_a_backend_that_cannot_start_is_told_and_tried_again(address: str, folder: Path) -> None:
    text = backend(address, folder).replace(f"{folder}/backend.py", "/nonexistent.py")
    with Superd(text) as superd, connect(address, 80):
        superd.wait_for("end", count=2, service="app", source="-", outcome="failed")
        assert superd.log_events("output", service="app")


def test_superctl_explains_it(address: str, folder: Path) -> None:
    with Superd(backend(address, folder)) as superd:
        text = superd.ctl("explain", "app").stdout
        assert "The first connection starts the backend: /usr/bin/python3 -I" in text
        assert "Without a connection for 1s it is ended" in text
