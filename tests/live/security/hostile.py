"""What a program that has turned against superd tries, and what came of it.

``ATTEMPT`` is the beginning of every such program: ``tried`` runs attempts and tells, for each, the name of the errno
that it failed with, or what it got.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import exchange, written

ATTEMPT = '''
import contextlib, ctypes, errno, json, os, resource, signal, socket, struct, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)

def call(name, *arguments):
    """A function of the C library, its failure an OSError."""
    result = getattr(libc, name)(*arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result

def came_of(attempt):
    try:
        return attempt() or "done"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))

def tried(attempts):
    return {name: came_of(attempt) for name, attempt in attempts.items()}

def contents(path):
    with open(path, "rb") as file:
        return file.read(100).decode(errors="replace")
'''


def program(folder: Path, name: str, body: str) -> Path:
    """Writes a hostile program, a service's; what it is told stands in ``told``, what it prints is its answer."""
    text = f"{ATTEMPT}\ntold = json.loads(sys.stdin.readline())\n{textwrap.dedent(body)}"
    return written(folder / name, text)


def service(name: str, address: str, port: int, path: Path, *, user: str = "daemon", more: str = "") -> str:
    """A service that runs a hostile program for each connection."""
    return f"""
        [services.{name}]
        listen = ["tcp://{address}:{port}"]
        exec = ["{sys.executable}", "-I", "-S", "{path}"]
        user = "{user}"
        {more}
    """


def ask(address: str, port: int, told: Mapping[str, Any] | None = None) -> Any:
    """What a hostile program answers."""
    answer = exchange(address, port, json.dumps(told or {}).encode() + b"\n")
    return json.loads(answer)
