"""The facts that the design rests on, on running processes: whose sockets a child holds, and what becomes of
connections when a process of superd is stopped or killed."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from clients import MANY_OF_ONE_SOURCE, connect, connections, echo, echoes, service, stop
from harness import (
    Superd,
    exchange,
    is_alive,
    is_superds,
    wait_until,
    written,
)

from superd.acceptor.serve import TEND_S

pytestmark = pytest.mark.live

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, socket(7)


# --- a spawner ---


def test_a_stopped_spawner_holds_up_its_own_service_only_and_is_replaced(address: str) -> None:
    services = echo(address) + echo(address, 9, "other", "games")
    with Superd(services) as superd, connect(address) as old:
        assert echoes(old)
        (stopped,) = superd.spawners("echo")
        stop(stopped)
        with connections(address, 10) as clients:
            for _ in range(100):
                assert exchange(address, 9, b"no delay") == b"no delay"
            assert not superd.log_events("spawner"), "the other was served only once the spawner was replaced"
            for client in clients:
                assert echoes(client)
        superd.wait_for("spawner", service="echo", message=re.compile(rf"\(pid {stopped}\).*did not answer"))
        assert superd.spawners("echo") != [stopped]
        assert not is_superds(stopped)
        assert echoes(old)


def test_the_next_spawner_serves_what_a_killed_one_had_not_taken(address: str) -> None:
    with Superd(echo(address)) as superd, connect(address) as old:
        assert echoes(old)
        (killed,) = superd.spawners("echo")
        stop(killed)
        with connections(address, 10) as clients:
            wait_until(partial(has_accepted, superd, 11), "all to be accepted")
            os.kill(killed, signal.SIGKILL)
            for client in clients:
                assert echoes(client)
            superd.wait_for("spawner", message=re.compile(f"pid {killed}.*SIGKILL"))
            superd.wait_for("warning", outcome="lost", message=re.compile("^1 connection"))
            assert superd.status("echo")["children"] == 10
        assert echoes(old)


def test_more_connections_than_may_be_under_way_wait_for_a_stopped_spawner(address: str) -> None:
    """Past the credits (64) the kernel's backlog keeps them, and no other service's descriptors run out."""
    services = echo(address, more=MANY_OF_ONE_SOURCE) + echo(address, 9, "other", "games")
    with Superd(services) as superd, connect(address) as old:
        assert echoes(old)
        (stopped,) = superd.spawners("echo")
        stop(stopped)
        with connections(address, 200) as clients:
            assert exchange(address, 9, b"no delay") == b"no delay"
            assert superd.status("echo")["accepted"] <= 1 + 64
            os.kill(stopped, signal.SIGCONT)
            for client in clients:
                assert echoes(client)
            assert superd.status("echo")["children"] == 201


# --- the acceptor ---


def replaced(superd: Superd, old: int) -> None:
    """Wait until another acceptor serves in the place of ``old``."""
    superd.wait_for("acceptor", message=re.compile(rf"\(pid {old}\)"))
    assert superd.acceptor_pid != old
    superd.status()


def test_no_connection_is_refused_while_the_acceptor_is_replaced(address: str) -> None:
    """kill -9 under load: the kernel's backlog keeps what comes; at most one batch of those under way is lost."""

    enough = Event()

    def ask() -> Iterator[bytes]:
        while not enough.is_set():
            try:
                yield exchange(address, 7, b"hello")
            except OSError as error:  # it was in the hands of the acceptor
                assert error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN), "none is refused"
                yield b""

    with Superd(echo(address)) as superd, ThreadPoolExecutor(8) as pool, connect(address) as held:
        assert echoes(held)
        clients = [pool.submit(lambda: list(ask())) for _ in range(8)]
        try:
            for _ in range(2):
                superd.wait_for("end", count=len(superd.log_events("end")) + 50)
                killed = superd.acceptor_pid
                os.kill(killed, signal.SIGKILL)
                replaced(superd, killed)
        finally:
            enough.set()
        got = [answer for client in clients for answer in client.result()]
        assert set(got) <= {b"hello", b""}
        assert got.count(b"") <= 2 * 32
        assert echoes(held)
        wait_until(lambda: superd.status("echo")["children"] == 1, "all but one to be known to have ended")
        wait_until(lambda: got.count(b"hello") <= len(superd.log_events("end")), "every end to be logged")


def has_accepted(superd: Superd, count: int) -> bool:
    return bool(superd.status("echo")["accepted"] == count)


def test_a_new_acceptor_knows_the_children_and_logs_who_ended_while_there_was_none(address: str) -> None:
    with Superd(echo(address)) as superd, connections(address, 5) as lasting:
        with connections(address, 3) as ending:
            assert all(echoes(client) for client in (*lasting, *ending))
            superd.wait_for("connection", count=8)
            began = superd.log_events("connection")
            ports = {client.getsockname()[1] for client in ending}
            stop(old := superd.acceptor_pid)
        gone = {(one["id"], one["pid"], one["source"]) for one in began if one["port"] in ports}
        wait_until(lambda: not any(is_alive(pid) for _, pid, _ in gone), "the children to end")
        os.kill(old, signal.SIGKILL)
        replaced(superd, old)
        superd.wait_for("end", count=3)
        ends = superd.log_events("end")
        assert {(one["id"], one["pid"], one["source"]) for one in ends} == gone
        assert {one["outcome"] for one in ends} == {"clean"}
        assert superd.status("echo")["children"] == 5
        assert all(echoes(client) for client in lasting)
        lasting[0].close()
        superd.wait_for("end", count=4, source="127.0.0.1")


def test_a_new_acceptor_goes_on_counting(address: str) -> None:
    """What was counted more than a second ago is with the master."""
    limits = "[services.echo.limits]\nmax_connections = 2\n"
    with Superd(echo(address, more=limits)) as superd, connections(address, 2) as lasting:
        assert all(map(echoes, lasting))
        for _ in range(3):
            with connect(address) as refused:
                assert refused.recv(1) == b""
        counted, before = time.monotonic(), superd.status("echo")
        assert (before["accepted"], before["refused"]) == (2, {"connections": 3})
        wait_until(lambda: time.monotonic() - counted > 2 * TEND_S, "the counts to be left")
        for _ in range(2):
            killed = superd.acceptor_pid
            os.kill(killed, signal.SIGKILL)
            replaced(superd, killed)
            after = superd.status("echo")
            assert (after["accepted"], after["refused"]) == (2, {"connections": 3})
        lasting[0].close()
        superd.wait_for("end")
        assert exchange(address, 7, b"one more") == b"one more"
        assert superd.status("echo")["accepted"] == 3


def test_connections_on_their_way_when_the_acceptor_dies_are_served_and_logged(address: str) -> None:
    """They are in the link to a spawner that has not taken them yet; the next acceptor has never heard of them."""
    with Superd(echo(address)) as superd, connect(address) as old:
        assert echoes(old)
        (spawner,) = superd.spawners("echo")
        stop(spawner)
        with ExitStack() as stack:
            clients = []
            for count in range(2, 7):  # one by one, so that each travels in a packet of its own
                clients.append(stack.enter_context(connect(address)))
                wait_until(partial(has_accepted, superd, count), "it to be accepted")
            killed = superd.acceptor_pid
            os.kill(killed, signal.SIGKILL)
            replaced(superd, killed)
            os.kill(spawner, signal.SIGCONT)
            assert all(echoes(client) for client in clients)
            wait_until(lambda: superd.status("echo")["children"] == 6, "all children to be known")
        superd.wait_for("end", count=5, source="127.0.0.1", outcome="clean")
        assert superd.status("echo")["children"] == 1
        assert exchange(address, 7, b"and on") == b"and on"


def test_what_a_child_writes_while_there_is_no_acceptor_is_logged(address: str) -> None:
    exec = '["/bin/sh", "-c", "while read line; do echo $line >&2; echo $line; done"]'
    with Superd(service("loud", f"tcp://{address}:7", exec, "daemon")) as superd, connect(address) as client:
        assert echoes(client, b"before\n")
        superd.wait_for("output", message="before")
        stop(old := superd.acceptor_pid)
        assert echoes(client, b"meanwhile\n")
        os.kill(old, signal.SIGKILL)
        replaced(superd, old)
        assert echoes(client, b"after\n")
        superd.wait_for("output", message="after")
        assert [line["message"] for line in superd.log_events("output")] == ["before", "meanwhile", "after"]


def test_a_stopped_acceptor_is_replaced(address: str) -> None:
    with Superd(echo(address)) as superd, connect(address) as held:
        assert echoes(held)
        stop(old := superd.acceptor_pid)
        with connect(address) as waiting:
            assert echoes(waiting)
        superd.wait_for("acceptor", message=re.compile(rf"\(pid {old}\).*did not answer"))
        assert echoes(held)
        assert superd.status("echo")["children"] == 1


def test_a_wait_service_is_served_on_after_its_acceptor_was_replaced(address: str, folder: Path) -> None:
    """Somebody knocked while the instance ran and no acceptor looked: the next instance is theirs."""
    with Superd(instances(address, folder, "wait")) as superd, connect(address) as first:
        pid = int(first.recv(100))
        with connect(address) as second:
            killed = superd.acceptor_pid
            os.kill(killed, signal.SIGKILL)
            replaced(superd, killed)
            wait_until(lambda: superd.status("one")["children"] == 1, "the instance to be known")
            assert is_alive(pid)
            first.close()
            assert int(second.recv(100)) != pid


# --- the master ---


def instances(address: str, folder: Path, mode: str, name: str = "one", port: int = 7) -> str:
    """A service whose instance accepts one connection, tells its pid, and goes when the client does."""
    program = written(
        folder / "instance",
        """
        import os, socket
        with socket.socket(fileno=0) as listener:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"%d" % os.getpid())
                connection.recv(1)
        """,
    )
    exec = f'["{sys.executable}", "-I", "-S", "{program}"]'
    more = f'mode = "{mode}"\ntimeout_stop = "200ms"'
    return service(name, f"tcp://{address}:{port}", exec, "games", more)


def test_when_the_master_is_killed_connections_go_on_and_the_ports_are_free(
    address: str, folder: Path
) -> None:
    deaf = '["/bin/sh", "-c", "trap \'\' TERM; echo deaf >&2; while :; do sleep 1; done"]'
    services = (
        echo(address)
        + instances(address, folder, "wait", "wait", 9)
        + instances(address, folder, "always", "always", 13)
        + service("deaf", f"tcp://{address}:37", deaf, "mail", 'mode = "always"\ntimeout_stop = "200ms"')
    )
    with Superd(services) as superd, connect(address) as held, connect(address, 9) as on_wait:
        assert echoes(held)
        instance = int(on_wait.recv(100))
        superd.wait_for("output", service="deaf")
        children = {
            name: superd.wait_for("start", service=name)["pid"] for name in ("wait", "always", "deaf")
        }
        children["echo"] = superd.wait_for("connection", service="echo")["pid"]
        assert children["wait"] == instance
        superd.kill()
        wait_until(
            lambda: not any(is_alive(children[name]) for name in ("wait", "always", "deaf")),
            "the instances to end",
        )
        for port in (7, 9, 13, 37):
            socket.create_server((address, port)).close()
        assert echoes(held)
        assert is_alive(children["echo"])


# --- two spawners ---


def test_a_service_that_keeps_its_spawner_behind_gets_another_and_goes_on_without_it(address: str) -> None:
    """A spawner waits for each of its children to be executed; a second one does not wait with it."""

    def ask(_: int) -> bool:
        return exchange(address, 7, b"hello") == b"hello"

    with Superd(echo(address, more=MANY_OF_ONE_SOURCE)) as superd, ThreadPoolExecutor(16) as pool:
        assert ask(0)

        def has_two() -> bool:
            """Lets many connections wait for the first, however fast this machine starts programs."""
            first = superd.spawners("echo")[0]
            before = superd.status("echo")["accepted"]
            stop(first)
            with connections(address, 50) as clients:
                wait_until(partial(has_accepted, superd, before + 50), "all to be accepted")
                os.kill(first, signal.SIGCONT)
                assert all(map(echoes, clients))
            return len(superd.spawners("echo")) == 2

        wait_until(has_two, "a second spawner")
        with connections(address, 20) as clients:
            assert all(map(echoes, clients))
            os.kill(superd.spawners("echo")[1], signal.SIGKILL)
            superd.wait_for("spawner", message=re.compile("SIGKILL"))
            assert all(map(echoes, clients))
        assert all(pool.map(ask, range(200)))
        assert superd.status("echo")["state"] in ("listening", "running")
        wait_until(lambda: superd.status("echo")["children"] == 0, "those that were lost to be given up")
