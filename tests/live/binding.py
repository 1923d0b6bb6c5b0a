"""superd-bind and the broker, as the live tests use them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from harness import Superd, becoming, descendants, public_folder, run, stat_fields, wait_until

USER, OTHER = "nobody", "daemon"

SERVER = """\
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
listener.accept()[0].sendall(b"served")
"""
"""Serves one client."""

BIND = """\
import errno, os, socket, sys
for port in map(int, sys.argv[2:]):
    sock = socket.socket()
    try:
        sock.bind((sys.argv[1], port))
        print(port, "bound")
    except OSError as error:
        print(port, errno.errorcode[error.errno])
"""
"""Tries ports and says what became of each."""


def grant(ports: str, address: str, user: str = USER, more: str = "") -> str:
    """One ``[[grants]]``."""
    return f'[[grants]]\nports = "{ports}"\naddresses = ["{address}"]\nusers = ["{user}"]\n{more}\n'


@contextmanager
def granting(grants: str) -> Iterator[Superd]:
    """superd with grants, its broker started."""
    with public_folder() as folder:
        settings = f'bind_socket = "{folder}/bind.sock"\n'
        with Superd(grants, settings=settings, folder=folder) as superd:
            wait_until(lambda: broker_pid(superd), "a broker")
            yield superd


def broker_pid(superd: Superd) -> int:
    """The broker of the moment; 0 for none."""
    names = {pid: stat_fields(pid) for pid in descendants(superd.master_pid)}
    return next((pid for pid, name in names.items() if name and name[0].startswith("superd: broke")), 0)


def environ(superd: Superd) -> Mapping[str, str]:
    """Where the broker is, for who asks."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "SUPERD_BIND_SOCKET": f"{superd.folder}/bind.sock", "PYTHONDONTWRITEBYTECODE": "1"}


def superd_bind(*arguments: str | Path, user: str = USER) -> list[str]:
    """The command that runs something under superd-bind."""
    return [*becoming(user), sys.executable, "-m", "superd.cli.bind", *map(str, arguments)]


def bound(superd: Superd, *arguments: str | Path, user: str = USER) -> subprocess.CompletedProcess[str]:
    """Runs a program under superd-bind to its end."""
    return run(*superd_bind(*arguments, user=user), env=environ(superd), cwd="/")


def python(
    superd: Superd, script: str, *arguments: str, user: str = USER
) -> subprocess.CompletedProcess[str]:
    """Runs a script as a user, with ``superd.bind`` at hand and no superd-bind."""
    command = [*becoming(user), sys.executable, "-c", script, *arguments]
    return run(*command, env=environ(superd), cwd="/")


@contextmanager
def started(superd: Superd, *arguments: str | Path, user: str = USER) -> Iterator[subprocess.Popen[str]]:
    """A program under superd-bind; it and all below it are ended."""
    process = subprocess.Popen(
        superd_bind(*arguments, user=user),
        env=dict(environ(superd)),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        for pid in [*descendants(process.pid), process.pid]:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        process.communicate()


def answers(address: str, port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as sock:
        return sock.connect_ex((address, port)) == 0
