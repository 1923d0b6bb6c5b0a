"""The narrowest list of system calls: whatever a spawner has to do, it is not ended by its own filter."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import connect
from harness import Superd, exchange, is_alive, public_folder, wait_until

pytestmark = pytest.mark.live

COPY = """
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
    char text[100];
    long length;
    int peer = argc > 1 ? accept(0, 0, 0) : 0;
    if (argc == 1)
        write(2, "copying\\n", 8);
    while ((length = read(peer, text, sizeof text)) > 0)
        write(peer ? peer : 1, text, length);
    return 0;
}
"""


@pytest.fixture(scope="module")
def copy() -> Iterator[Path]:
    """A static program: what it asks of the kernel before main is the same on each machine."""
    with public_folder() as folder:
        (folder / "copy.c").write_text(COPY)
        subprocess.run(["gcc", "-O", "-static", "-o", folder / "copy", folder / "copy.c"], check=True)
        yield folder / "copy"


def service(address: str, program: Path, keys: str = "", sandbox: str = "", argument: str = "") -> str:
    """Any call that is not on the list is the end of whoever makes it."""
    return f"""
        [services.narrow]
        listen = ["tcp://{address}:1"]
        exec = ["{program}"{argument}]
        user = "daemon"
        {keys}
        [services.narrow.sandbox]
        system_call_filter = ["readlink readlinkat accept"]
        {sandbox}
    """


def filtered(superd: Superd) -> list[str]:
    """What the log says of spawners that their filter ended."""
    return [event["message"] for event in superd.log_events("spawner") if "SIGSYS" in event["message"]]


@pytest.mark.parametrize(
    ("keys", "sandbox"),
    [
        ("", ""),
        ('limit_as = "1G"', ""),
        ('runtime_max = "1h"', ""),
        ("", "private_pids = true"),
        ('runtime_max = "1h"', "private_pids = true"),
        ("", "no_new_privileges = false"),
        ("", 'profile = "strict"\nprivate_tmp = false\nno_exec_paths = []'),
        ('standard_error = "null"', 'profile = "none"'),
    ],
)
def test_a_spawner_serves_under_it(address: str, copy: Path, keys: str, sandbox: str) -> None:
    with Superd(service(address, copy, keys, sandbox)) as superd:
        for _ in range(2):
            assert exchange(address, 1, b"hello") == b"hello"
        superd.wait_for("end", service="narrow", outcome="clean", count=2)
        (before,) = superd.spawners("narrow")
        superd.reload(service(address, copy, keys, sandbox).replace("daemon", "games"))
        assert exchange(address, 1, b"hello") == b"hello"
        superd.wait_for("end", service="narrow", outcome="clean", count=3)
        wait_until(lambda: not is_alive(before), "the old spawner to retire")
        assert filtered(superd) == []


def test_what_runs_too_long_is_ended_under_it(address: str, copy: Path) -> None:
    with Superd(service(address, copy, 'runtime_max = "1s"')) as superd, connect(address, 1) as client:
        assert client.recv(1) == b""
        superd.wait_for("end", service="narrow", outcome="timed-out")
        assert filtered(superd) == []


@pytest.mark.parametrize("mode", ["wait", "always"])
def test_an_instance_is_started_and_stopped_under_it(address: str, copy: Path, mode: str) -> None:
    narrow = service(address, copy, f'mode = "{mode}"', "", ', "listener"')
    with Superd(narrow) as superd:
        with connect(address, 1) as client:
            client.sendall(b"hello")
            assert client.recv(5) == b"hello"
            superd.reload("")
            assert client.recv(1) == b""
        superd.wait_for("end", service="narrow", signal="SIGTERM")
        assert filtered(superd) == []
