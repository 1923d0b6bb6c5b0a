"""Real children: their descriptors, signals, session, limits, and what is said when they cannot be started."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest
from helpers.forked import NOBODY, descriptors, in_child, needs_root

from superd.config.model import ResourceLimit
from superd.spawner.spawn import fork_exec, spawn

Start = Callable[[Sequence[str], Sequence[int]], int]

PATH = b"/usr/bin:/bin"


def by_spawn(argv: Sequence[str], standard: Sequence[int]) -> int:
    words = tuple(map(os.fsencode, argv))
    return spawn(words[0], words, {b"PATH": PATH}, standard)


def by_fork(argv: Sequence[str], standard: Sequence[int]) -> int:
    words = tuple(map(os.fsencode, argv))
    return fork_exec(words[0], words, lambda _: {b"PATH": PATH}, standard, {})


both_ways = pytest.mark.parametrize("start", [by_spawn, by_fork])


@pytest.fixture
def null() -> Iterator[int]:
    descriptor = os.open(os.devnull, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def output(start: Start, argv: Sequence[str], null: int, more: Sequence[int] = ()) -> str:
    """What a child writes; it must succeed."""
    reader, writer = os.pipe()
    pid = start(argv, (null, writer, null, *more))
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0
    return text


def python(program: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", program]


# --- what a child is born with ---


@both_ways
def test_the_environment_is_the_one_given(start: Start, null: int) -> None:
    assert output(start, ["/usr/bin/env"], null) == "PATH=/usr/bin:/bin\n"


@both_ways
def test_a_child_leads_a_session_of_its_own(start: Start, null: int) -> None:
    ids = output(start, python("import os; print(os.getpid(), os.getsid(0), os.getpgid(0))"), null).split()
    assert len(set(ids)) == 1


@both_ways
def test_no_signal_is_ignored_or_blocked(start: Start, null: int) -> None:
    """CPython itself ignores SIGPIPE and SIGXFSZ, and what is ignored stays so through exec.

    glibc's posix_spawn leaves its two internal signals ignored, which no program can name: they do not count.
    """
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN
    status = output(start, ["/bin/cat", "/proc/self/status"], null)
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if line.startswith("Sig"))
    nameable = sum(1 << (number - 1) for number in signal.valid_signals())
    assert int(fields["SigIgn"], 16) & nameable == 0
    assert int(fields["SigBlk"], 16) == 0


@both_ways
def test_a_child_has_no_descriptor_but_its_own(start: Start, null: int) -> None:
    def listed() -> list[str]:
        for descriptor in descriptors() - {
            0,
            1,
            2,
        }:  # what whoever runs the tests left open to all its children
            os.set_inheritable(descriptor, False)
        program = "import os; print(*sorted(os.listdir('/proc/self/fd')))"
        return output(start, python(program), null).split()

    assert in_child(listed) == ["0", "1", "2", "3"], "3 is the listing's own"


_INODES = "import os; print(*(os.fstat(number).st_ino for number in range(%d) if number != 1))"


def test_descriptors_that_stand_in_each_others_way_arrive_in_order() -> None:
    """Each of 3 to 8 is wanted at the place of another."""

    def swap() -> tuple[list[int], list[int]]:
        files = []
        for number in range(3, 9):
            os.dup2(os.memfd_create(str(number)), number)
        null = os.open(os.devnull, os.O_RDWR)
        for source in (8, 7, 3, 6, 4, 5):
            files.append(source)
        wanted = [os.fstat(descriptor).st_ino for descriptor in (null, null, *files)]
        printed = output(by_fork, python(_INODES % 9), null, files)
        return [int(word) for word in printed.split()], wanted

    got, wanted = in_child(swap)
    assert got == wanted


def test_one_descriptor_may_be_several() -> None:
    """A connection is 0 and 1 at once, and with standard_error = "socket" 2 as well."""
    ours, theirs = os.pipe()
    argv = ["/bin/sh", "-c", "echo out; echo err >&2"]
    pid = by_spawn(argv, (theirs, theirs, theirs))
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        assert pipe.read() == "out\nerr\n"
    assert os.waitpid(pid, 0)[1] == 0


# --- what only fork can give ---


def test_a_forked_child_is_told_its_own_pid(null: int) -> None:
    reader, writer = os.pipe()

    def environment(pid: int) -> Mapping[bytes, bytes]:
        return {b"LISTEN_PID": b"%d" % pid}

    argv = (b"/usr/bin/env",)
    pid = fork_exec(argv[0], argv, environment, (null, writer, null), {})
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == f"LISTEN_PID={pid}\n"
    assert os.waitpid(pid, 0)[1] == 0


def test_limits_bind_the_child_and_not_the_spawner(null: int) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def limited(argv: Sequence[str], descriptors: Sequence[int]) -> int:
        words = tuple(map(os.fsencode, argv))
        return fork_exec(words[0], words, lambda _: {}, descriptors, {"nofile": ResourceLimit(32, 64)})

    program = python("import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE))")
    assert output(limited, program, null) == "(32, 64)\n"
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


@needs_root
def test_a_limit_that_cannot_be_set_is_said(null: int) -> None:
    def start() -> int | None:
        resource.setrlimit(resource.RLIMIT_NPROC, (4000, 4000))
        os.setgroups([])
        os.setresuid(NOBODY, NOBODY, NOBODY)
        limits = {"nproc": ResourceLimit(5000, 5000)}
        with pytest.raises(OSError) as caught:
            fork_exec(b"/bin/true", (b"true",), lambda _: {}, (null, null, null), limits)
        return caught.value.errno

    assert in_child(start) == errno.EPERM


def test_an_instance_dies_with_its_spawner(null: int) -> None:
    """It would hold its port for nobody."""
    reader, writer = os.pipe()
    program = python("import os, time; os.write(1, b'up '); time.sleep(30); os.write(1, b'left over')")
    words = tuple(map(os.fsencode, program))

    def spawner() -> None:
        up, ready = os.pipe()
        fork_exec(words[0], words, lambda _: {}, (null, writer, null), {}, signal.SIGTERM)
        os.close(ready)
        os.close(up)

    in_child(spawner)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert b"left over" not in pipe.read()


# --- what cannot be started ---


@both_ways
@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("/nonexistent", errno.ENOENT),
        ("/etc/passwd", errno.EACCES),
        ("/etc/passwd/x", errno.ENOTDIR),
        ("/", errno.EACCES),
    ],
)
def test_what_cannot_be_executed_is_told_by_its_errno(
    start: Start, null: int, path: str, number: int
) -> None:
    with pytest.raises(OSError) as caught:
        start([path], (null, null, null))
    assert caught.value.errno == number
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # and nothing is left to be reaped
