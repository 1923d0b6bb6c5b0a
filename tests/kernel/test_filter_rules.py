"""What each key of [sandbox] denies by system calls, with which errno, and what it leaves: tried, not read."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filtered import IO_URING, Attempt, become_nobody, call, failure, raw, sandbox, under
from helpers.forked import in_child, needs_root

from superd.kernel import filters, linux, seccomp
from superd.kernel.filters import Facts

EPERM, ENOSYS = errno.EPERM, errno.ENOSYS
HIGH = 1 << 32
"""What the kernel does not see of an argument that it takes as 32 bits."""


@contextmanager
def other_process() -> Iterator[int]:
    """A process of the same user, which waits to be ended."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


# --- every service ---


def test_a_child_sets_nothing_of_its_spawner() -> None:
    spawner = os.getpid()
    nothing = (0, 0)
    assert (
        under(
            sandbox(),
            lambda: resource.prlimit(spawner, resource.RLIMIT_NOFILE, nothing),
            lambda: os.setpriority(os.PRIO_PROCESS, spawner, 19),
            lambda: os.setpriority(os.PRIO_PGRP, os.getpgid(spawner), 19),
            lambda: os.setpriority(os.PRIO_USER, 0, 19),
            lambda: os.setpriority(os.PRIO_USER, os.getuid() or 1, 19),
            lambda: os.sched_setaffinity(spawner, {0}),
            lambda: os.sched_setscheduler(spawner, os.SCHED_IDLE, os.sched_param(0)),
            lambda: os.sched_setparam(spawner, os.sched_param(0)),
            call("sched_setattr", spawner, 1, 0),
            call("ioprio_set", 1, spawner, 0),
            call("ioprio_set", 3, 0, 0),
            lambda: os.kill(-1, 0),
            call("kill", HIGH - 1, 0),
        )
        == [EPERM] * 13
    )


def test_a_child_sets_what_is_its_own() -> None:
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    best_effort = 2 << 13  # include/uapi/linux/ioprio.h IOPRIO_CLASS_BE
    assert (
        under(
            sandbox(),
            lambda: resource.setrlimit(resource.RLIMIT_CORE, limits),
            lambda: resource.prlimit(0, resource.RLIMIT_CORE, limits),
            lambda: os.setpriority(os.PRIO_PROCESS, 0, 19),
            lambda: os.nice(0),
            lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)),
            lambda: os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)),
            call("ioprio_set", 1, 0, best_effort),
        )
        == [0] * 7
    )


def test_a_child_may_look_at_others_and_signal_its_own() -> None:
    spawner = os.getpid()

    def end_a_child() -> None:
        with other_process() as pid:
            os.kill(pid, 0)

    assert (
        under(
            sandbox(),
            lambda: resource.prlimit(spawner, resource.RLIMIT_NOFILE),
            lambda: os.sched_getaffinity(spawner),
            lambda: os.getpriority(os.PRIO_PROCESS, spawner),
            lambda: os.kill(0, 0),
            end_a_child,
        )
        == [0] * 5
    )


def test_an_ordinary_user_is_kept_from_it_too() -> None:
    """For whom the kernel itself would have allowed it: the other is of the same user."""

    def child() -> tuple[int, list[int]]:
        become_nobody()
        with other_process() as pid:
            before = failure(lambda: os.sched_setaffinity(pid, {0}))
            filters.apply_filters(sandbox(), Facts(root=False))
            attempts: list[Attempt] = [
                lambda: os.sched_setaffinity(pid, {0}),
                lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, 0)),
            ]
            return before, [failure(attempt) for attempt in attempts]

    assert in_child(child) == (0, [EPERM, EPERM])


@needs_root
def test_root_with_its_capabilities_is_not_in_the_way_of_an_administrator() -> None:
    with other_process() as pid:
        attempts: list[Attempt] = [lambda: os.setpriority(os.PRIO_PROCESS, pid, 5), lambda: os.kill(pid, 0)]
        facts = Facts(root=True)
        assert under(sandbox(root=True), *attempts, facts=facts) == [0, 0]
        bare = sandbox(root=True, capability_bounding_set=())
        assert under(bare, *attempts, facts=facts) == [EPERM, 0]


# --- address families ---


def opened(family: int, kind: int = socket.SOCK_STREAM) -> Attempt:
    return call("socket", family, kind, 0)


@pytest.mark.parametrize("strings", [("AF_UNIX", "AF_INET"), ("AF_UNIX AF_INET",)])
def test_only_allowed_families_make_sockets(strings: tuple[str, ...]) -> None:
    assert under(
        sandbox(restrict_address_families=strings),
        opened(socket.AF_UNIX),
        opened(socket.AF_INET),
        opened(socket.AF_UNSPEC),
        opened(socket.AF_INET6),
        opened(socket.AF_NETLINK, socket.SOCK_RAW),
        opened(socket.AF_PACKET, socket.SOCK_RAW),
        opened(socket.AF_INET6 + HIGH),
        opened(45),
        socket.socketpair,
        *IO_URING,
    ) == [0, 0, *[errno.EAFNOSUPPORT] * 6, 0, EPERM, EPERM, EPERM]


def test_denied_families_make_no_sockets() -> None:
    """Nor with something in the half of the argument that the kernel does not look at."""
    assert under(
        sandbox(restrict_address_families=("~AF_INET AF_NETLINK",)),
        opened(socket.AF_INET),
        opened(socket.AF_INET + HIGH),
        opened(socket.AF_NETLINK, socket.SOCK_RAW),
        opened(socket.AF_UNIX),
    ) == [*[errno.EAFNOSUPPORT] * 3, 0]


def test_none_is_no_family_at_all() -> None:
    attempts = [opened(socket.AF_UNIX), opened(socket.AF_INET), socket.socketpair]
    none = sandbox(restrict_address_families=("none",))
    assert under(none, *attempts) == [errno.EAFNOSUPPORT, errno.EAFNOSUPPORT, 0]


# --- namespaces ---

NEWUSER, NEWNS, NEWUTS, NEWTIME = 0x10000000, 0x00020000, 0x04000000, 0x00000080
AS_FORK = signal.SIGCHLD


def forked(flags: int) -> Attempt:
    """clone(2) with a child that ends at once; flags that the kernel refuses make none."""

    def attempt() -> None:
        number = seccomp.resolve("clone")
        assert number is not None
        made = raw(number, flags | AS_FORK)
        if made == 0:
            os._exit(0)
        os.waitpid(made, 0)

    return attempt


def test_no_kind_of_namespace_is_made_or_entered() -> None:
    assert under(
        sandbox(restrict_namespaces=True),
        call("unshare", NEWUSER),
        call("unshare", NEWUTS | 0x200),
        call("unshare", NEWTIME),
        forked(NEWUSER),
        forked(NEWUSER | HIGH),
        call("clone3", 0, 0),
        call("setns", -1, 0),
        call("setns", -1, NEWNS),
        forked(0),
        call("unshare", 0x200),  # CLONE_FS, which is no namespace
        lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
    ) == [*[EPERM] * 5, ENOSYS, EPERM, EPERM, 0, 0, 0]


@pytest.mark.parametrize("strings", [("user",), ("~mnt pid net ipc uts cgroup time",)])
def test_allowed_kinds_of_namespaces_are_made(strings: tuple[str, ...]) -> None:
    assert under(
        sandbox(restrict_namespaces=strings),
        call("setns", -1, NEWUSER),
        call("setns", -1, NEWNS),
        call("setns", -1, 0),
        forked(NEWNS),
        call("unshare", NEWNS),
        call("unshare", NEWUSER | NEWUTS),
        call("unshare", NEWUSER),
    ) == [errno.EBADF, *[EPERM] * 5, 0]


# --- files with the set-user-ID or set-group-ID bit ---


@pytest.mark.parametrize("bit", [stat.S_ISUID, stat.S_ISGID])
def test_no_file_gets_the_bit(tmp_path: Path, bit: int) -> None:
    file = tmp_path / "file"
    file.touch()
    (tmp_path / "folder").mkdir()
    descriptor = os.open(file, os.O_RDWR)
    name = ctypes.create_string_buffer(os.fsencode(tmp_path / "new"))
    at, path = -100, ctypes.addressof(name)  # AT_FDCWD
    create, unnamed = os.O_CREAT | os.O_WRONLY, os.O_TMPFILE | os.O_WRONLY
    mode = bit | 0o755
    denied: list[Attempt] = [
        lambda: file.chmod(mode),
        lambda: os.fchmod(descriptor, mode),
        call("fchmodat", at, path, mode),
        call("fchmodat2", at, path, mode, 0),
        call("fchmodat2", at, path, mode + HIGH, 0),
        call("mkdirat", at, path, mode),
        lambda: os.mkdir(tmp_path / "new", mode),
        lambda: os.mknod(tmp_path / "new", stat.S_IFREG | mode),
        call("mknodat", at, path, stat.S_IFREG | mode, 0),
        call("open", path, create, mode),
        call("openat", at, path, create, mode),
        call("creat", path, mode),
        lambda: os.open(tmp_path, unnamed, mode),
    ]
    fine: list[Attempt] = [
        lambda: file.chmod(0o755),
        lambda: os.fchmod(descriptor, 0o644),
        lambda: os.mkdir(tmp_path / "other", 0o1777),
        lambda: os.open(tmp_path / "new", create, 0o644),
        lambda: os.open(tmp_path, unnamed, 0o644),
        lambda: os.open(tmp_path / "new", os.O_RDONLY, mode),  # the mode means nothing there
    ]
    restricted = sandbox(restrict_suid_sgid=True)
    assert under(restricted, *denied, call("openat2", at, path, 0, 0), *fine, *IO_URING) == [
        *[EPERM] * len(denied),
        ENOSYS,
        *[0] * len(fine),
        *[EPERM] * 3,
    ]
    os.close(descriptor)


# --- scheduling, personality, memory ---


def test_no_process_becomes_real_time() -> None:
    one = os.sched_param(1)
    assert under(
        sandbox(root=True, restrict_realtime=True),
        lambda: os.sched_setscheduler(0, os.SCHED_FIFO, one),
        lambda: os.sched_setscheduler(0, os.SCHED_RR, one),
        call("sched_setscheduler", 0, os.SCHED_FIFO + HIGH, 0),
        call("sched_setscheduler", 0, 6, 0),
        call("sched_setattr", 0, 0, 0),
        lambda: os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)),
        lambda: os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0)),
        facts=Facts(root=True),
    ) == [*[EPERM] * 5, 0, 0]


def test_the_personality_stays_as_it_is() -> None:
    facts = Facts(root=False, personality=linux.personality())
    assert under(
        sandbox(lock_personality=True),
        call("personality", linux.personality()),
        call("personality", 0x0020000),
        call("personality", 0xFFFFFFFF),
        facts=facts,
    ) == [0, EPERM, EPERM]


def test_memory_is_written_or_executed() -> None:
    read, write, execute = mmap.PROT_READ, mmap.PROT_WRITE, mmap.PROT_EXEC
    size = mmap.PAGESIZE
    anonymous = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    with mmap.mmap(-1, size) as area:
        address = ctypes.addressof(ctypes.c_char.from_buffer(area))
        assert under(
            sandbox(memory_deny_write_execute=True),
            call("mmap", 0, size, read | write | execute, anonymous, -1, 0),
            call("mprotect", address, size, read | execute),
            call("mprotect", address, size, (read | execute) + HIGH),
            call("pkey_mprotect", address, size, execute, -1),
            call("shmat", -1, 0, 0o100000),
            call("personality", 0x0400000),
            call("shmat", -1, 0, 0),
            call("mmap", 0, size, read | write, anonymous, -1, 0),
            call("mmap", 0, size, read | execute, anonymous, -1, 0),
            call("mprotect", address, size, read),
            lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
        ) == [*[EPERM] * 6, errno.EINVAL, 0, 0, 0, 0]


# --- keys that take whole groups away ---


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("protect_kernel_modules", ["init_module", "finit_module", "delete_module"]),
        ("protect_kernel_tunables", ["_sysctl"]),
        ("private_devices", ["ioperm", "iopl"]),
    ],
)
def test_a_protection_takes_its_calls_away(key: str, names: list[str]) -> None:
    attempts = [call(name) for name in names]
    assert under(sandbox(**{key: True}), *attempts, os.getppid) == [*[EPERM] * len(names), 0]
