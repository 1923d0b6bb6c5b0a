"""Nobody outlives ``runtime_max``, however he leaves the session that he was started in."""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from clients import connect
from harness import Superd, descendants, exchange, is_alive, stat_fields, wait_until, written

pytestmark = pytest.mark.live

HIDING = """
    import os, signal, sys, time

    def leave():
        if os.fork():
            os._exit(0)

    how = sys.stdin.readline().strip()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if how == "behind":  # the parent stays: nobody adopts it yet
        reader, writer = os.pipe()
        if os.fork():
            os.close(writer)
            os.write(1, os.read(reader, 20))
            signal.pause()
    elif how == "twice":
        reader, writer = os.pipe()
        if os.fork():
            os.close(writer)
            os.write(1, os.read(reader, 20))
            os._exit(0)
        os.setsid()
        leave()
    os.setsid()
    os.write(writer, b"%d %d" % (os.getpid(), os.getsid(0)))
    for descriptor in (0, 1, 2, reader, writer):
        os.close(descriptor)
    signal.pause()
"""


def service(address: str, folder: Path) -> str:
    program = written(folder / "hiding", HIDING)
    return of_program(address, [sys.executable, "-I", "-S", str(program)])


def of_program(address: str, command: list[str]) -> str:
    return f"""
        [services.hiding]
        listen = ["tcp://{address}:7"]
        exec = {json.dumps(command)}
        user = "daemon"
        runtime_max = "2s"
        timeout_stop = "100ms"
    """


@contextmanager
def hidden(address: str, how: str) -> Iterator[list[int]]:
    """The pid and the session of a process that has hidden, while its client is there.

    Where the machine is so busy that its time is over before it has come that far, another tries.
    """
    with ExitStack() as stack:

        def attempt() -> list[int]:
            client = stack.enter_context(connect(address))
            client.sendall(how.encode() + b"\n")
            with suppress(ConnectionResetError):
                return [int(word) for word in client.recv(100).split()]
            return []

        yield wait_until(attempt, "a process that has hidden")


@pytest.mark.parametrize("how", ["behind", "twice"])
def test_a_process_that_left_its_session_ends_when_its_childs_time_is_over(
    address: str, folder: Path, how: str
) -> None:
    with Superd(service(address, folder)), hidden(address, how) as (pid, session):
        assert session == pid, "out of reach of a signal to the session of the child"
        wait_until(lambda: not is_alive(pid), "it to be ended")


@pytest.mark.parametrize("how", ["behind", "twice"])
def test_nor_does_one_in_a_pid_namespace(address: str, how: str) -> None:
    """Whose numbers the spawner signals, which is its init."""
    command = [sys.executable, "-I", "-S", "-c", f"exec({textwrap.dedent(HIDING)!r})"]
    config = of_program(address, command) + '    [services.hiding.sandbox]\n    profile = "strict"\n'
    with Superd(config) as superd, hidden(address, how):
        spawners = superd.spawners("hiding")
        wait_until(lambda: not any(map(descendants, spawners)), "all of them to be ended")
        assert all(map(is_alive, spawners))


@pytest.mark.parametrize("how", ["behind", "twice"])
def test_nobody_gains_time_by_killing_the_spawner_that_counts_it(
    address: str, folder: Path, how: str
) -> None:
    with Superd(service(address, folder)) as superd, hidden(address, how) as (pid, _):
        for spawner in superd.spawners("hiding"):
            os.kill(spawner, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), "it to be ended")


def test_a_service_that_changes_does_not_let_go_of_what_is_left_of_it(address: str, folder: Path) -> None:
    config = service(address, folder)
    with Superd(config) as superd, hidden(address, "twice") as (pid, _):
        before = superd.spawners("hiding")
        superd.reload(config.replace('user = "daemon"', 'user = "games"'))
        wait_until(
            lambda: not any(map(is_alive, before)), "spawners to go that have nothing left to look after"
        )
        assert not is_alive(pid)


def test_without_runtime_max_a_daemon_may_stay(address: str, folder: Path) -> None:
    config = service(address, folder).replace('runtime_max = "2s"', "")
    with Superd(config) as superd:
        pid, _ = map(int, exchange(address, 7, b"twice\n").split())
        wait_until(lambda: superd.log_events("end"), "the child to end")
        fields = stat_fields(pid)
        assert fields is not None and fields[2] == superd.master_pid
        os.kill(pid, signal.SIGKILL)
