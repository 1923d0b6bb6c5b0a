"""Services that turn against superd: whatever their children do, they hurt their own service alone."""

from __future__ import annotations

import os
import pwd
import re
import socket
import struct
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from clients import service
from harness import PATIENCE_S, Superd, exchange, public_folder, read_all, wait_until, written

from superd.kernel.sockopts import refuse_descriptors

pytestmark = pytest.mark.live


def services(address: str) -> str:
    """A shell for everybody, and a service that must not notice."""
    return f"""
        [services.shell]
        listen = ["tcp://{address}:1"]
        exec = ["/bin/sh", "-c", "read line; eval \\"$line\\""]
        user = "daemon"

        [services.echo]
        listen = ["tcp://{address}:7"]
        exec = ["/bin/cat"]
        user = "games"
    """


def test_a_child_that_kills_its_spawner_by_a_signal_without_name_ends_its_own_service_for_a_moment(
    address: str,
) -> None:
    with Superd(services(address)) as superd:
        exchange(address, 1, b"kill -40 $PPID\n")
        superd.wait_for(
            "spawner", service="shell", message=f"its spawner (pid {killed(superd)}) was killed by SIG40"
        )
        assert exchange(address, 7, b"x") == b"x"
        assert exchange(address, 1, b"echo again\n") == b"again\n"


def killed(superd: Superd) -> int:
    """The spawner that the log tells of."""
    event = superd.wait_for("spawner", service="shell")
    return int(event["message"].split("pid ")[1].partition(")")[0])


def test_a_child_that_writes_on_standard_error_without_end_does_not_stop_its_service(address: str) -> None:
    with Superd(services(address)) as superd, socket.create_connection((address, 1), PATIENCE_S) as flood:
        flood.sendall(b"exec yes >&2\n")
        superd.wait_for("output", service="shell", message="y")
        before = superd.spawners("shell")
        assert exchange(address, 1, b"echo served\n") == b"served\n"
        assert superd.spawners("shell") == before, (
            "it took no other spawner, which would have cost connections"
        )
        (yes,) = (event["pid"] for event in superd.log_events("connection", service="shell")[:1])
        exchange(address, 1, f"kill {yes}\n".encode())
        wait_until(lambda: superd.log_events("end", service="shell", pid=yes), "the flood to end")


def test_an_environment_file_that_its_user_can_replace_is_never_another_services(address: str) -> None:
    """He could wait until superd has looked at it, and put a link there before a spawner reads it as root."""
    with public_folder() as folder:
        home, own, other = folder / "home", folder / "home" / "env", folder / "other"
        home.mkdir()
        for path, text in ((own, "A=1"), (other, "PASSWORD=of-another-service")):
            written(path, text, 0o600)
        config = service(
            "env", f"tcp://{address}:1", '["/usr/bin/env"]', "daemon", f'environment_file = "{own}"'
        )
        with Superd(config) as superd:
            home_of_daemon = pwd.getpwnam("daemon").pw_uid
            os.chown(home, home_of_daemon, -1)
            own.rename(home / "old")
            own.symlink_to(other)
            os.chown(own, home_of_daemon, -1, follow_symlinks=False)
            with socket.create_connection((address, 1), PATIENCE_S) as client:
                superd.wait_for("spawner", service="env", message=re.compile(f"{home} is owned by uid"))
                os.chown(home, 0, -1)
                own.unlink()
                (home / "old").rename(own)
                environment = read_all(client)  # it has waited for that
            assert b"A=1" in environment and b"PASSWORD" not in environment


def standing_still(address: str) -> tuple[socket.socket, socket.socket]:
    """A connection whose close would wait a minute for the other end to read, and that end."""
    with socket.create_server((address, 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    near.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            near.send(bytes(65536))
    near.setblocking(True)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
    return near, far


def test_nobody_holds_up_the_acceptor_with_a_descriptor_for_the_control_socket(address: str) -> None:
    settings = 'control_group = "adm"\ncontrol_admin_group = "daemon"\n'  # of two groups, so all may connect
    with Superd(services(address), settings=settings) as superd, socket.socket(socket.AF_UNIX) as client:
        if not refuse_descriptors(client):
            pytest.skip("needs Linux 6.16")
        before = superd.acceptor_pid
        client.connect(str(superd.control))
        near, far = standing_still(address)
        with far:
            try:
                socket.send_fds(client, [b"x"], [near.fileno()])
            except PermissionError:  # so it is ours alone, and may not hold up the test either
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
            near.close()
            assert exchange(address, 7, b"x") == b"x"
            assert superd.acceptor_pid == before


def test_nobody_holds_up_the_acceptor_with_a_descriptor_for_a_forward_or_a_builtin(
    address: str, folder: Path
) -> None:
    """Neither as a client nor as a backend; and a program that is given the connection gets what was sent."""
    inside = {name: folder / name for name in ("forward", "echo", "program", "backend")}
    services = f"""
        [services.forward]
        listen = ["unix://{inside["forward"]}"]
        forward = "unix://{inside["backend"]}"

        [services.echo]
        listen = ["unix://{inside["echo"]}", "tcp://{address}:7"]
        builtin = "echo"

        [services.program]
        listen = ["unix://{inside["program"]}"]
        exec = ["/bin/cat"]
        user = "daemon"
    """
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        if not refuse_descriptors(listening):
            pytest.skip("needs Linux 6.16")
        listening.bind(str(inside["backend"]))
        inside["backend"].chmod(0o777)
        listening.listen()
        listening.settimeout(PATIENCE_S)
        stack.enter_context(Superd(services, folder=folder))
        for name in ("forward", "echo", "program"):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.settimeout(PATIENCE_S)
            client.connect(str(inside[name]))
            assert is_let_in(client) == (name == "program")
        backend, _ = listening.accept()
        with backend:
            assert not is_let_in(backend)
        assert exchange(address, 7, b"x") == b"x"


def is_let_in(sock: socket.socket) -> bool:
    """Whether a descriptor can be sent; it is one that is closed at once."""
    with open(os.devnull) as nothing:
        try:
            socket.send_fds(sock, [b"x"], [nothing.fileno()])
        except PermissionError:
            return False
    return True
