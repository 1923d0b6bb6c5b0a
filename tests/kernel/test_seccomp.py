"""The binding of libseccomp: filters do what they say, on every ABI, and nothing is skipped in silence."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filtered import become_nobody, call, failure, killed_by, raw, under_filter
from helpers.forked import in_child, needs_root
from kernel_child import proc_status

from superd.config.syscall_names import KNOWN, NEWER_NUMBERS
from superd.kernel import linux, seccomp
from superd.kernel.seccomp import (
    ALLOW,
    KILL,
    LOG,
    Action,
    Comparison,
    Condition,
    Filter,
    Foreign,
    Rule,
    SeccompError,
    differs,
    equals,
    fail_with,
    has_bits,
)

DENIED = fail_with(errno.EACCES)


def denying(name: str, *conditions: Condition, action: Action = DENIED, default: Action = ALLOW) -> Filter:
    return Filter(default, (Rule(name, action, conditions),))


# --- actions ---


def test_a_denied_call_fails_with_its_errno_and_others_go_on() -> None:
    wanted = denying("getpgid", action=fail_with(errno.EUCLEAN))
    assert under_filter(wanted, lambda: os.getpgid(0), os.getppid) == [errno.EUCLEAN, 0]


def test_an_errno_of_nought_looks_like_success() -> None:
    missing = lambda: os.chdir("/no/such/folder")  # noqa: E731
    assert under_filter(denying("chdir", action=fail_with(0)), missing) == [0]


def test_what_an_allow_list_does_not_name_gets_the_default() -> None:
    needed = (
        "write close exit_group futex munmap rt_sigprocmask brk mmap lseek newfstatat fstat ioctl getppid"
    )
    wanted = Filter(fail_with(errno.ENOSYS), tuple(Rule(name, ALLOW) for name in needed.split()))
    assert under_filter(wanted, lambda: os.getpgid(0), os.getppid) == [errno.ENOSYS, 0]


def test_kill_ends_the_process() -> None:
    def prepare() -> None:
        linux.set_no_new_privs()
        seccomp.load(denying("getpgid", action=KILL))

    assert killed_by(prepare, lambda: os.getpgid(0)) == signal.SIGSYS
    assert killed_by(prepare, os.getppid) == 0


def test_what_is_logged_is_done() -> None:
    assert under_filter(denying("getpgid", action=LOG), lambda: os.getpgid(0)) == [0]


@pytest.mark.parametrize("number", [-1, 4096])
def test_no_errno_is_beyond_what_the_kernel_returns(number: int) -> None:
    with pytest.raises(ValueError, match="no errno"):
        fail_with(number)


# --- conditions, on dup2: it takes any numbers and says EBADF ---


@pytest.mark.parametrize(
    ("conditions", "denied", "allowed"),
    [
        ((equals(0, 7),), [(7, 1), (7 + 2**32, 1)], [(8, 1)]),
        ((equals(0, -1),), [(-1, 1), (0xFFFFFFFF, 1)], [(1000, 1)]),
        ((differs(0, 1000),), [(1001, 1), (1000 + 2**32, 1)], [(1000, 1)]),
        ((has_bits(0, 0x410),), [(0x410, 1), (0x7F0 | 0x400, 1)], [(0x400, 1), (0x3FF, 1)]),
        ((Condition(0, Comparison.MORE, 1000),), [(1001, 1), (2**32, 1)], [(1000, 1)]),
        ((Condition(0, Comparison.AT_LEAST, 1000),), [(1000, 1)], [(999, 1)]),
        ((Condition(0, Comparison.LESS, 1000),), [(999, 1)], [(1000, 1)]),
        ((Condition(0, Comparison.AT_MOST, 1000),), [(1000, 1)], [(1001, 1)]),
        ((Condition(0, Comparison.EQUAL, 1000),), [(1000, 1)], [(1000 + 2**32, 1)]),
        ((equals(0, 1000), equals(1, 2000)), [(1000, 2000)], [(1000, 2001), (1001, 2000)]),
    ],
)
def test_arguments_are_compared(
    conditions: tuple[Condition, ...], denied: list[tuple[int, int]], allowed: list[tuple[int, int]]
) -> None:
    attempts = [call("dup3", *arguments, 0x10) for arguments in (*denied, *allowed)]  # EINVAL: no such flag
    expected = [errno.EACCES] * len(denied) + [errno.EINVAL] * len(allowed)
    assert under_filter(denying("dup3", *conditions), *attempts) == expected


def test_rules_for_one_call_are_alternatives() -> None:
    wanted = Filter(
        ALLOW, (Rule("dup3", DENIED, (equals(0, 1000),)), Rule("dup3", DENIED, (equals(1, 2000),)))
    )
    attempts = [call("dup3", *arguments, 0x10) for arguments in ((1000, 1), (1, 2000), (1001, 2001))]
    assert under_filter(wanted, *attempts) == [errno.EACCES, errno.EACCES, errno.EINVAL]


@pytest.mark.parametrize("argument", [-1, 6])
def test_there_are_six_arguments(argument: int) -> None:
    with pytest.raises(ValueError, match="argument"):
        Condition(argument, Comparison.EQUAL, 0)


# --- names ---


def test_every_name_is_known_to_libseccomp_or_has_a_number() -> None:
    assert {name for name in KNOWN if seccomp.resolve(name) is None} <= {
        *("atomic_barrier", "atomic_cmpxchg_32", "getpagesize", "riscv_hwprobe"),  # of m68k and riscv
        *("uprobe", "uretprobe"),  # of x86-64 alone; the kernel lets them past every filter
    }


@pytest.mark.parametrize("name", NEWER_NUMBERS)
def test_the_numbers_of_newer_calls_are_those_of_libseccomp_where_it_knows_them(name: str) -> None:
    assert seccomp.resolve(name) == NEWER_NUMBERS[name]


def test_a_call_that_libseccomp_has_not_heard_of_can_be_denied() -> None:
    assert under_filter(denying("fchmodat2"), call("fchmodat2", -1, 0, 0, 0)) == [errno.EACCES]


def test_a_name_that_nobody_knows_is_an_error_unless_it_is_optional() -> None:
    unknown = Filter(ALLOW, (Rule("frobnicate", DENIED), Rule("getpgid", DENIED)))
    with pytest.raises(SeccompError, match="no system call frobnicate"):
        seccomp.load(unknown)
    assert os.getpgid(0)  # and nothing of it was installed
    optional = Filter(ALLOW, (Rule("frobnicate", DENIED, optional=True), Rule("getpgid", DENIED)))
    assert under_filter(optional, lambda: os.getpgid(0)) == [errno.EACCES]


def test_a_call_of_other_architectures_is_nothing_to_deny() -> None:
    assert under_filter(denying("s390_sthyi"), os.getppid) == [0]


# --- privileges, threads and the library ---


def test_loading_sets_no_flag_by_itself() -> None:
    def child() -> tuple[str, list[str]]:
        become_nobody()
        try:
            seccomp.load(denying("getpgid"))
        except SeccompError as error:
            return str(error), proc_status()["NoNewPrivs"]
        return "", []

    message, flag = in_child(child)
    assert message == "a filter wants no_new_privileges = true, or CAP_SYS_ADMIN while it is installed"
    assert flag == ["0"]


def test_an_ordinary_user_loads_with_no_new_privs() -> None:
    def child() -> int:
        become_nobody()
        linux.set_no_new_privs()
        seccomp.load(denying("getpgid"))
        return failure(lambda: os.getpgid(0))

    assert in_child(child) == errno.EACCES


@needs_root
def test_root_loads_without() -> None:
    def child() -> tuple[int, bool]:
        seccomp.load(denying("getpgid"))
        return failure(lambda: os.getpgid(0)), linux.get_no_new_privs()

    assert in_child(child) == (errno.EACCES, False)


def test_no_thread_is_forgotten() -> None:
    import threading

    def child() -> int:
        loaded, results = threading.Event(), []

        def other() -> None:
            loaded.wait()
            results.append(failure(lambda: os.getpgid(0)))

        thread = threading.Thread(target=other)
        thread.start()
        linux.set_no_new_privs()
        seccomp.load(denying("getpgid"))
        loaded.set()
        thread.join()
        return results[0]

    assert in_child(child) == errno.EACCES


def test_a_missing_library_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "_SONAME", "libseccomp.so.missing")

    def child() -> str:
        seccomp._library.cache_clear()
        with pytest.raises(SeccompError) as caught:
            seccomp.load(denying("getpgid"))
        return str(caught.value)

    assert "install the package libseccomp2" in in_child(child)


def test_the_library_is_loaded_by_the_first_filter_alone() -> None:
    program = (
        "from superd.kernel import filters, seccomp\n"
        "print('libseccomp' in open('/proc/self/maps').read())\n"
        "seccomp.resolve('read')\n"
        "print('libseccomp' in open('/proc/self/maps').read())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


# --- the other ABIs of x86-64 ---

on_x86_64 = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="needs an x86-64, with its two other ABIs"
)

SOURCE = """
int main(void) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(97L), "b"(0L), "c"(0x7FFFFFF0L), "d"(19L) : "memory");
    return -result;  /* setpriority of i386, on a process that there is not */
}
"""


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A program whose only work is one system call of i386; its exit status is the errno."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing: apt-get install gcc libc6-dev")
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "call.c").write_text(SOURCE)
    subprocess.run(["gcc", "-O", "-static", "-o", folder / "call", folder / "call.c"], check=True)
    yield folder / "call"


def run_foreign(program: Path, foreign: Foreign, *rules: Rule) -> int:
    """Its exit status under a filter, or minus the signal that ended it."""

    def child() -> int:
        linux.set_no_new_privs()
        seccomp.load(Filter(ALLOW, rules, foreign))
        return subprocess.run([program], check=False).returncode

    return in_child(child)


@on_x86_64
def test_int_0x80_is_no_way_round_a_filter_that_covers_it(foreign: Path) -> None:
    other = Rule("setpriority", DENIED, (differs(1, 0),))
    assert run_foreign(foreign, Foreign.COVERED, other) == errno.EACCES


@on_x86_64
def test_int_0x80_still_works_under_such_a_filter(foreign: Path) -> None:
    """The same program under rules that are not about it: the kernel itself answers."""
    rule = Rule("setpriority", DENIED, (equals(0, 2),))
    assert run_foreign(foreign, Foreign.COVERED, rule) == errno.ESRCH


@on_x86_64
def test_int_0x80_is_the_end_where_it_is_refused(foreign: Path) -> None:
    assert run_foreign(foreign, Foreign.REFUSED, Rule("getpgid", DENIED)) == -signal.SIGSYS


@on_x86_64
def test_the_numbers_of_x32_are_no_way_round() -> None:
    x32_getppid = 0x40000000 + 110

    def load(foreign: Foreign) -> None:
        linux.set_no_new_privs()
        seccomp.load(Filter(ALLOW, (Rule("getppid", DENIED),), foreign))

    refused = killed_by(lambda: load(Foreign.REFUSED), lambda: raw(x32_getppid))
    assert refused == signal.SIGSYS

    def child() -> int:
        load(Foreign.COVERED)
        return failure(lambda: raw(x32_getppid))

    assert in_child(child) == errno.EACCES
