"""The wrappers do what the kernel's own books say they did."""

from __future__ import annotations

import ctypes
import errno
import os
import pathlib
import signal
import struct
from collections.abc import Callable

import pytest
from helpers.forked import in_child, needs_root
from kernel_child import proc_status

from superd.kernel import linux


def test_no_new_privs_is_off_until_set_and_then_on() -> None:
    def child() -> tuple[bool, bool, list[str]]:
        before = linux.get_no_new_privs()
        linux.set_no_new_privs()
        return before, linux.get_no_new_privs(), proc_status()["NoNewPrivs"]

    assert in_child(child) == (False, True, ["1"])


def test_process_settings_read_back_as_set() -> None:
    def child() -> tuple[object, ...]:
        linux.set_dumpable(False)
        linux.set_parent_death_signal(signal.SIGTERM)
        linux.set_child_subreaper()
        linux.set_keepcaps(True)
        return (
            linux.get_dumpable(),
            linux.get_parent_death_signal(),
            linux.get_child_subreaper(),
            linux.get_keepcaps(),
        )

    assert in_child(child) == (False, signal.SIGTERM, True, True)


def test_the_parent_death_signal_arrives() -> None:
    """The grandchild's end closes the pipe: reading to the end is the wait."""
    reader, writer = os.pipe()
    parent = os.fork()
    if parent == 0:
        ready_reader, ready_writer = os.pipe()
        if os.fork() == 0:
            os.close(ready_reader)
            linux.set_parent_death_signal(signal.SIGKILL)
            os.write(ready_writer, b"x")
            signal.pause()
        os.read(ready_reader, 1)
        os._exit(0)
    os.close(writer)
    os.waitpid(parent, 0)
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_the_short_name_is_cut_to_fifteen_bytes() -> None:
    def child() -> str:
        linux.set_name("superd: spawner ftp")
        return linux.get_name()

    assert in_child(child) == "superd: spawner"


def test_an_error_names_the_call() -> None:
    with pytest.raises(OSError, match="PR_CAPBSET_READ") as caught:
        linux.capbset_read(63)
    assert caught.value.errno == errno.EINVAL


# --- capabilities ---


def test_capget_agrees_with_proc() -> None:
    status, mine = proc_status(), linux.capget()
    assert [f"{mask:016x}" for mask in (mine.effective, mine.permitted, mine.inheritable)] == [
        *status["CapEff"],
        *status["CapPrm"],
        *status["CapInh"],
    ]
    assert f"{linux.bounding_set():016x}" == status["CapBnd"][0]


def test_last_cap_is_the_kernels() -> None:
    assert int(pathlib.Path("/proc/sys/kernel/cap_last_cap").read_text()) == linux.LAST_CAP


@needs_root
def test_capset_gives_up_what_is_not_named() -> None:
    kept = 1 << linux.CAP_NET_BIND_SERVICE

    def child() -> tuple[linux.Capabilities, str]:
        linux.capset(linux.Capabilities(effective=kept, permitted=kept))
        return linux.capget(), proc_status()["CapEff"][0]

    assert in_child(child) == (linux.Capabilities(kept, kept, 0), f"{kept:016x}")


@needs_root
def test_a_capability_dropped_from_the_bounding_set_is_gone() -> None:
    def child() -> tuple[bool, bool]:
        before = linux.capbset_read(linux.CAP_NET_BIND_SERVICE)
        linux.capbset_drop(linux.CAP_NET_BIND_SERVICE)
        return before, linux.capbset_read(linux.CAP_NET_BIND_SERVICE)

    assert in_child(child) == (True, False)


@needs_root
def test_the_ambient_set_is_emptied() -> None:
    bit = 1 << linux.CAP_NET_BIND_SERVICE

    def child() -> tuple[str, str]:
        mine = linux.capget()
        linux.capset(linux.Capabilities(mine.effective, mine.permitted, bit))
        linux._libc.prctl(47, 2, linux.CAP_NET_BIND_SERVICE, 0, 0)  # PR_CAP_AMBIENT_RAISE
        before = proc_status()["CapAmb"][0]
        linux.ambient_clear()
        return before, proc_status()["CapAmb"][0]

    assert in_child(child) == (f"{bit:016x}", f"{0:016x}")


# --- close_range ---


def _open_among(fds: range) -> list[int]:
    return [fd for fd in fds if os.path.exists(f"/proc/self/fd/{fd}")]


def _close_40_to_42() -> list[int]:
    for fd in range(39, 44):
        os.dup2(0, fd)
    linux.close_range(40, 42)
    return _open_among(range(39, 44))


def _without_close_range(error: int) -> None:
    """Install a seccomp filter that answers close_range (436) with ``error``, as older systems do."""
    instructions = (
        (0x20, 0, 0, 0),  # BPF_LD|BPF_W|BPF_ABS: seccomp_data.nr
        (0x15, 0, 1, 436),  # BPF_JMP|BPF_JEQ
        (0x06, 0, 0, 0x00050000 | error),  # SECCOMP_RET_ERRNO
        (0x06, 0, 0, 0x7FFF0000),  # SECCOMP_RET_ALLOW
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *row) for row in instructions))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(instructions), ctypes.addressof(code)))
    linux.set_no_new_privs()
    assert linux._libc.prctl(22, 2, ctypes.addressof(program), 0, 0) == 0  # PR_SET_SECCOMP, FILTER


def test_close_range_closes_its_range_and_nothing_else() -> None:
    assert in_child(_close_40_to_42) == [39, 43]


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EPERM])
def test_close_range_does_so_on_kernels_and_in_containers_without_it(error: int) -> None:
    def child() -> list[int]:
        _without_close_range(error)
        return _close_40_to_42()

    assert in_child(child) == [39, 43]


# --- the process title ---


def _read(name: str) -> bytes:
    with open(f"/proc/self/{name}", "rb") as file:
        return file.read()


def _titled(*titles: str) -> Callable[[], tuple[bytes, str, bytes]]:
    def child() -> tuple[bytes, str, bytes]:
        for title in titles:
            linux.set_process_title(title)
        return _read("cmdline"), linux.get_name(), _read("environ")

    return child


def test_the_title_replaces_the_arguments() -> None:
    cmdline, name, _ = in_child(_titled("superd: spawner"))
    assert (cmdline.rstrip(b"\0"), name) == (b"superd: spawner"[: len(cmdline)], "superd: spawner")


def test_a_second_shorter_title_leaves_nothing_of_the_first() -> None:
    cmdline, _, _ = in_child(_titled("superd: acceptor", "ftp"))
    assert cmdline.rstrip(b"\0") == b"ftp"


def test_a_name_with_parentheses_does_not_confuse_it() -> None:
    cmdline, _, _ = in_child(_titled(") R 1 (x) ", "ftp"))
    assert cmdline.rstrip(b"\0") == b"ftp"


def test_a_title_longer_than_the_area_is_cut_and_spares_the_environment() -> None:
    room, environ = len(_read("cmdline")), _read("environ")
    cmdline, _, environ_after = in_child(_titled("x" * 100_000))
    assert cmdline == b"x" * (room - 1) + b"\0"
    assert environ_after == environ


@needs_root
def test_without_proc_only_the_short_name_is_set(tmp_path: pathlib.Path) -> None:
    def child() -> str:
        os.chroot(tmp_path)
        linux.set_process_title("superd: x")
        return linux.get_name()

    assert in_child(child) == "superd: x"
