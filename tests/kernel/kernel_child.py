"""Running a piece of a test in a process of its own, where it may drop privileges or leave the network."""

from __future__ import annotations

import ctypes
import fcntl
import os
import pathlib
import pickle
import socket
import struct
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

T = TypeVar("T")

CLONE_NEWNET = 0x40000000  # include/uapi/linux/sched.h
_SIOCSIFFLAGS = 0x8914  # include/uapi/linux/sockios.h
_IFF_UP = 1

NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: changes users")


def in_child(function: Callable[[], T]) -> T:
    """Return what ``function`` returns in a forked child; an exception there fails the test here."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        answer: tuple[bool, object]
        try:
            answer = (True, function())
        except BaseException:  # noqa: BLE001 - whatever it is, the test itself reports it
            answer = (False, traceback.format_exc())
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        raw = pipe.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"the child ended with wait status {status}"
    succeeded, result = pickle.loads(raw)
    assert succeeded, result
    return result  # type: ignore[no-any-return]  # whatever the function returned


def in_new_network(function: Callable[[], T]) -> T:
    """As ``in_child``, in a network of its own where only the loopback interface is up."""

    def isolated() -> T:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
        return function()

    return in_child(isolated)


@contextmanager
def public_folder() -> Iterator[pathlib.Path]:
    """Make a folder that every user may enter; pytest's own may be entered by its owner alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        yield folder


def proc_status() -> dict[str, list[str]]:
    """Return /proc/self/status by field, as the kernel tells everybody."""
    with open("/proc/self/status", encoding="utf-8") as status:
        fields = (line.partition(":") for line in status)
        return {name: value.split() for name, _, value in fields}
