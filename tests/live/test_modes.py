"""wait and always: one instance that owns the listeners, re-armed, backed off, stopped; and what ends a child."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import sys
from datetime import datetime
from pathlib import Path

import pytest
from harness import PATIENCE_S, Superd, exchange, is_alive, wait_until, written

pytestmark = pytest.mark.live


def service(address: str, listen: str, exec: str, mode: str, more: str = "") -> str:
    return f"""
[services.one]
listen = ["{listen}"]
exec = {exec}
mode = "{mode}"
user = "daemon"
{more}
[services.other]
listen = ["tcp://{address}:9"]
exec = ["/bin/cat"]
user = "games"
"""


def python(folder: Path, program: str) -> str:
    """An ``exec`` that runs a Python program."""
    return f'["{sys.executable}", "-I", "-S", "{written(folder / "program", program)}"]'


SERVES_TWO = """
    import os, socket
    with socket.socket(fileno=0) as listener:
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"%d" % os.getpid())
"""

ANSWERS_ONE = """
    import os, socket
    with socket.socket(fileno=0) as sock:
        data, peer = sock.recvfrom(1000)
        sock.sendto(b"%d %s" % (os.getpid(), data), peer)
"""


def seconds(event: dict[str, str]) -> float:
    """The log's own time of an event."""
    return datetime.fromisoformat(event["time"]).timestamp()


# --- re-armed ---


def test_wait_starts_an_instance_for_whoever_comes_after_the_last_one_ended(
    address: str, folder: Path
) -> None:
    with Superd(service(address, f"tcp://{address}:7", python(folder, SERVES_TWO), "wait")) as superd:
        assert superd.status("one")["state"] == "listening"
        pids = [int(exchange(address, 7)) for _ in range(6)]
        assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4] == pids[5]
        superd.wait_for("end", service="one", count=3, outcome="clean")
        assert superd.status("one")["accepted"] == 3
        assert not superd.log_events("warning")


@pytest.mark.parametrize("scheme", ["udp", "unix-dgram"])
def test_wait_serves_datagrams(address: str, folder: Path, scheme: str) -> None:
    path = str(folder / "socket")
    where = f"{scheme}://{path}" if scheme == "unix-dgram" else f"udp://{address}:7"
    with Superd(service(address, where, python(folder, ANSWERS_ONE), "wait")) as superd:
        pids = set()
        for number in range(3):
            family = socket.AF_UNIX if scheme == "unix-dgram" else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as client:
                client.settimeout(PATIENCE_S)
                if scheme == "unix-dgram":
                    client.bind(f"{path}-client-{number}")
                    os.chmod(f"{path}-client-{number}", 0o777)
                client.sendto(b"hello", path if scheme == "unix-dgram" else (address, 7))
                pid, word = client.recv(100).split()
            assert word == b"hello"
            pids.add(pid)
            superd.wait_for("end", service="one", count=number + 1, outcome="clean")
        assert len(pids) == 3


def test_seqpacket_is_served_by_an_instance(address: str, folder: Path) -> None:
    where = f"unix-seqpacket://{folder}/socket"
    with (
        Superd(service(address, where, python(folder, SERVES_TWO), "wait")),
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client,
    ):
        client.settimeout(PATIENCE_S)
        client.connect(str(folder / "socket"))
        assert int(client.recv(100)) > 1


# --- backed off ---


def test_an_instance_that_fails_at_once_is_tried_ever_more_slowly_and_never_given_up(
    address: str, folder: Path
) -> None:
    flag = folder / "mended"
    program = f"""
        import os, socket, sys
        if not os.path.exists("{flag}"):
            sys.exit(3)
        with socket.socket(fileno=0) as listener:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"mended")
    """
    exec = python(folder, program)
    with (
        Superd(service(address, f"tcp://{address}:7", exec, "wait")) as superd,
        socket.create_connection((address, 7), PATIENCE_S) as client,
    ):
        superd.wait_for("end", service="one", count=5, outcome="failed", status=3)
        ends = [seconds(event) for event in superd.log_events("end", service="one")]
        gaps = [later - earlier for earlier, later in itertools.pairwise(ends)]
        for gap, delay in zip(gaps, (0.1, 0.2, 0.4, 0.8), strict=False):
            assert gap >= delay - 0.002, "the log's times are cut to milliseconds"
        assert superd.status("one")["state"] == "retrying"
        assert exchange(address, 9, b"other") == b"other"
        flag.touch()
        assert client.recv(100) == b"mended"
        superd.wait_for("warning", service="one", message="its program failed; the next start waits")


def test_an_instance_that_leaves_without_serving_again_and_again_does_not_spin(address: str) -> None:
    """Each ends well and at once, and what woke it still waits: the fifth is a failure, not a way to serve."""
    with (
        Superd(service(address, f"tcp://{address}:7", '["/bin/true"]', "wait")) as superd,
        socket.create_connection((address, 7), PATIENCE_S),
    ):
        superd.wait_for("end", service="one", count=8)
        ends = [seconds(event) for event in superd.log_events("end", service="one", outcome="clean")]
        assert ends[5] - ends[4] >= 0.098
        assert ends[6] - ends[5] >= 0.198
        assert ends[7] - ends[6] >= 0.398


def test_always_is_started_at_once_and_again_when_it_ends(address: str, folder: Path) -> None:
    program = """
        import os, socket
        with socket.socket(fileno=0) as listener:
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(b"%d" % os.getpid())
    """
    exec = python(folder, program)
    with Superd(service(address, f"tcp://{address}:7", exec, "always")) as superd:
        first = superd.wait_for("start", service="one")["pid"]
        assert int(exchange(address, 7)) == first
        for number in (1, 2):
            os.kill(int(exchange(address, 7)), signal.SIGKILL)
            superd.wait_for("end", service="one", count=number, outcome="signalled", signal="SIGKILL")
        assert int(exchange(address, 7)) not in (first, 0)
        starts = superd.log_events("start", service="one")
        ends = superd.log_events("end", service="one")
        assert seconds(starts[2]) - seconds(ends[1]) >= 0.198


# --- ended ---


DEAF = """
    import os, signal, socket, sys
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", file=sys.stderr, flush=True)
    with socket.socket(fileno=0) as listener:
        while True:
            connection, _ = listener.accept()
"""


def test_an_instance_that_ignores_its_kill_signal_is_killed_at_stop(address: str, folder: Path) -> None:
    more = 'timeout_stop = "200ms"'
    with Superd(service(address, f"tcp://{address}:7", python(folder, DEAF), "always", more)) as superd:
        pid = superd.wait_for("output", service="one", message="deaf")["pid"]
        superd.stop()
        assert not is_alive(pid)
        ended = superd.wait_for("end", service="one", outcome="stopped", signal="SIGKILL")
        stopping = superd.log_events("stop")[0]
        assert seconds(ended) - seconds(stopping) >= 0.198
        socket.create_server((address, 7)).close()


def test_an_instance_gets_its_own_kill_signal(address: str, folder: Path) -> None:
    program = """
        import signal, sys
        signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))
        print("ready", file=sys.stderr, flush=True)
        while True:
            signal.pause()
    """
    more = 'kill_signal = "SIGUSR1"'
    with Superd(service(address, f"tcp://{address}:7", python(folder, program), "always", more)) as superd:
        superd.wait_for("output", service="one", message="ready")
        superd.stop()
        superd.wait_for("end", service="one", outcome="stopped", status=0)


def test_runtime_max_ends_a_child_and_all_it_started(address: str) -> None:
    exec = '["/bin/sh", "-c", "sleep 1000 & echo $!; wait"]'
    services = f"""
        [services.one]
        listen = ["tcp://{address}:7"]
        exec = {exec}
        user = "daemon"
        runtime_max = "300ms"
        timeout_stop = "100ms"
    """
    with Superd(services) as superd, socket.create_connection((address, 7), PATIENCE_S) as client:
        sleeper = int(client.makefile("rb", buffering=0).readline())
        ended = superd.wait_for("end", service="one", outcome="timed-out", signal="SIGTERM")
        assert ended["duration"] >= 0.299
        assert client.recv(1) == b""
        wait_until(lambda: not is_alive(sleeper), "what it started to end")


def test_runtime_max_kills_a_child_that_ignores_its_signal(address: str) -> None:
    services = f"""
        [services.one]
        listen = ["tcp://{address}:7"]
        exec = ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
        user = "daemon"
        runtime_max = "100ms"
        timeout_stop = "100ms"
    """
    with Superd(services) as superd, socket.create_connection((address, 7), PATIENCE_S) as client:
        superd.wait_for("end", service="one", outcome="timed-out", signal="SIGKILL")
        assert client.recv(1) == b""


# --- what it says ---


def test_standard_error_reaches_the_log_line_by_line_with_service_and_pid(address: str) -> None:
    exec = r'["/bin/sh", "-c", "echo $$; echo one >&2; printf \"tail\\nof \\377 and \\033[31m\" >&2"]'
    services = service(address, f"tcp://{address}:7", exec, "nowait")
    with Superd(services) as superd:
        pid = int(exchange(address, 7))
        superd.wait_for("output", count=3)
        lines = superd.log_events("output")
        assert {(line["service"], line["pid"]) for line in lines} == {("one", pid)}
        assert [line["message"] for line in lines[:2]] == ["one", "tail"]
        assert re.match(r"of .*ff and ", lines[2]["message"])
        raw = superd.log.read_bytes()
        assert b"\x1b" not in raw and b"\xff" not in raw


def test_a_flood_on_standard_error_is_cut_and_told(address: str) -> None:
    exec = '["/bin/sh", "-c", "yes importance | head -n 20000 >&2"]'
    with Superd(service(address, f"tcp://{address}:7", exec, "nowait")) as superd:
        assert exchange(address, 7) == b""
        superd.wait_for("end", service="one")
        told = superd.wait_for("warning", service="one", message=re.compile("came too fast"))
        assert told["pid"] > 1
        lines = len(superd.log_events("output"))
        assert lines < 5000
        assert exchange(address, 9, b"other") == b"other"
