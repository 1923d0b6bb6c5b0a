"""A process under Landlock keeps what its rules name, and nothing else."""

from __future__ import annotations

import errno
import os
import pathlib
import socket
import subprocess
from collections.abc import Callable

import pytest
from helpers.forked import NOBODY, in_child, needs_root, public_folder

from superd.kernel import landlock, linux, seccomp
from superd.kernel.landlock import Access, LandlockError, PathRule, Ruleset
from superd.kernel.seccomp import Filter, Rule

needs_landlock = pytest.mark.skipif(landlock.abi() < 1, reason="needs a kernel with Landlock")
needs_ports = pytest.mark.skipif(landlock.abi() < landlock.NET_ABI, reason="needs Landlock's rules for ports")

PROGRAM = tuple(
    PathRule(path, Access.EXECUTE) for path in ("/usr", "/bin", "/lib", "/lib64") if os.path.exists(path)
)


def failure(attempt: Callable[[], object]) -> int:
    """The errno that an attempt ends in, 0 when it succeeds."""
    try:
        attempt()
    except OSError as error:
        assert error.errno is not None
        return error.errno
    return 0


def restricted(ruleset: Ruleset, *attempts: Callable[[], object]) -> list[int]:
    """How each attempt ends in a process of its own under these rules."""

    def child() -> list[int]:
        linux.set_no_new_privs()
        landlock.restrict(ruleset)
        return [failure(attempt) for attempt in attempts]

    return in_child(child)


@needs_landlock
def test_what_may_be_read_cannot_be_written(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    rules = Ruleset(paths=(PathRule(str(tmp_path), Access.READ),))
    assert restricted(
        rules,
        file.read_text,
        lambda: os.listdir(tmp_path),
        lambda: file.write_text("other"),
        (tmp_path / "new").touch,
        file.unlink,
        (tmp_path / "folder").mkdir,
        lambda: os.execv(file, ["file"]),
    ) == [0, 0, *[errno.EACCES] * 5]


@needs_landlock
def test_what_no_rule_names_is_gone(tmp_path: pathlib.Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "file").write_text("text")
    rules = Ruleset(paths=(PathRule(str(inside), Access.WRITE),))
    assert restricted(
        rules,
        (outside / "file").read_text,
        lambda: os.listdir(outside),
        lambda: (outside / "file").write_text("x"),
        lambda: (inside / "file").write_text("x"),
        (inside / "folder").mkdir,
        (inside / "folder").rmdir,
        (inside / "file").unlink,
    ) == [*[errno.EACCES] * 3, 0, 0, 0, 0]


@needs_landlock
def test_no_rule_at_all_leaves_no_file() -> None:
    assert restricted(Ruleset(paths=()), lambda: os.listdir("/")) == [errno.EACCES]


@needs_landlock
def test_a_single_file_may_be_named(tmp_path: pathlib.Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    other.write_text("2")
    rules = Ruleset(paths=(PathRule(str(one), Access.WRITE),))
    assert restricted(rules, one.read_text, lambda: one.write_text("x"), other.read_text) == [
        0,
        0,
        errno.EACCES,
    ]


@needs_landlock
def test_what_may_be_written_cannot_be_executed(tmp_path: pathlib.Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\nexit 3\n")
    script.chmod(0o755)

    def execute() -> None:
        subprocess.run([script], check=False)

    paths = (*PROGRAM, PathRule("/dev/null", Access.WRITE))
    writable = Ruleset(paths=(*paths, PathRule(str(tmp_path), Access.WRITE)))
    executable = Ruleset(paths=(*paths, PathRule(str(tmp_path), Access.EXECUTE)))
    assert restricted(writable, execute) == [errno.EACCES]
    assert restricted(executable, execute) == [0]


@needs_landlock
def test_what_is_open_stays_open(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    with file.open() as opened:
        assert restricted(Ruleset(paths=()), lambda: os.read(opened.fileno(), 1), file.read_text) == [
            0,
            errno.EACCES,
        ]


@needs_landlock
@needs_root
def test_an_ordinary_user_may_use_it() -> None:
    with public_folder() as folder:
        (folder / "file").write_text("text")

        def child() -> list[int]:
            os.setresuid(NOBODY, NOBODY, NOBODY)
            linux.set_no_new_privs()
            landlock.restrict(Ruleset(paths=()))
            return [failure((folder / "file").read_text)]

        assert in_child(child) == [errno.EACCES]


@needs_landlock
@needs_root
def test_without_no_new_privs_an_ordinary_user_may_not() -> None:
    def child() -> int:
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return failure(lambda: landlock.restrict(Ruleset(paths=())))

    assert in_child(child) == errno.EPERM


@needs_landlock
def test_children_are_restricted_too() -> None:
    def child() -> int:
        linux.set_no_new_privs()
        landlock.restrict(Ruleset(paths=(*PROGRAM, PathRule("/dev/null", Access.WRITE))))
        return subprocess.run(
            ["/bin/cat", "/etc/hostname"], stderr=subprocess.DEVNULL, check=False
        ).returncode

    assert in_child(child) == 1


def test_a_missing_path_is_named(tmp_path: pathlib.Path) -> None:
    missing = tmp_path / "missing"

    def child() -> str:
        linux.set_no_new_privs()
        try:
            landlock.restrict(Ruleset(paths=(PathRule(str(missing), Access.READ),)))
        except FileNotFoundError as error:
            return str(error.filename)
        return ""

    if landlock.abi():
        assert in_child(child) == str(missing)


def test_nothing_is_restricted_by_nothing() -> None:
    assert Ruleset().needed_abi == 0
    assert in_child(lambda: (landlock.restrict(Ruleset()), os.listdir("/"))[0]) == landlock.abi()


@needs_landlock
def test_the_abi_it_was_enforced_with_is_told() -> None:
    def child() -> int:
        linux.set_no_new_privs()
        return landlock.restrict(Ruleset(paths=()))

    assert in_child(child) == landlock.abi()


# --- ports ---


def connect(port: int) -> Callable[[], None]:
    def attempt() -> None:
        with socket.socket() as sock:
            sock.connect(("127.0.0.1", port))

    return attempt


def bind(port: int) -> Callable[[], None]:
    def attempt() -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", port))

    return attempt


@needs_ports
def test_only_the_named_ports_are_connected_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        allowed, denied = one.getsockname()[1], other.getsockname()[1]
        rules = Ruleset(connect_ports=(allowed,))
        assert restricted(rules, connect(allowed), connect(denied), bind(0)) == [0, errno.EACCES, 0]


@needs_ports
def test_only_the_named_ports_are_bound() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        busy = other.getsockname()[1]
        assert restricted(Ruleset(bind_ports=(0,)), bind(0), bind(busy), connect(busy)) == [
            0,
            errno.EACCES,
            0,
        ]
        assert restricted(Ruleset(bind_ports=()), bind(0), connect(busy)) == [errno.EACCES, 0]


@needs_ports
def test_ports_alone_leave_the_files_alone() -> None:
    assert restricted(Ruleset(bind_ports=()), lambda: os.listdir("/")) == [0]


@pytest.mark.parametrize(
    ("ruleset", "abi"),
    [
        (Ruleset(paths=()), 1),
        (Ruleset(bind_ports=()), 4),
        (Ruleset(connect_ports=(80,)), 4),
        (Ruleset(paths=(), connect_ports=(80,)), 4),
    ],
)
def test_what_a_ruleset_needs(ruleset: Ruleset, abi: int) -> None:
    assert ruleset.needed_abi == abi


@pytest.mark.parametrize("ruleset", [Ruleset(paths=()), Ruleset(bind_ports=())])
def test_a_kernel_that_lacks_it_is_an_error(ruleset: Ruleset) -> None:
    """To a process that may not make the system call, the kernel is one without Landlock."""

    def child() -> tuple[int, str]:
        linux.set_no_new_privs()
        missing = Rule("landlock_create_ruleset", seccomp.fail_with(errno.ENOSYS))
        seccomp.load(Filter(seccomp.ALLOW, (missing,)))
        with pytest.raises(LandlockError) as caught:
            landlock.restrict(ruleset)
        return landlock.abi(), str(caught.value)

    assert in_child(child) == (
        0,
        "this kernel has no Landlock (CONFIG_SECURITY_LANDLOCK, and landlock in lsm=)",
    )
