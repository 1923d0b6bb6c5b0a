"""Which filters a sandbox comes to, and that a spawner lives under the strictest of them."""

from __future__ import annotations

import errno
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
from typing import Any

import pytest
from attrs import evolve
from filtered import become_nobody, call, failure, killed_by, sandbox, under
from helpers.forked import in_child, needs_root
from helpers.services import service
from hypothesis import given, settings
from hypothesis import strategies as st

from superd.config.model import Mode
from superd.config.sandbox import Profile, Sandbox, effective
from superd.config.sandbox_values import FAMILIES, NAMESPACES
from superd.config.syscall_filter import spawner_calls
from superd.config.syscall_groups import GROUPS
from superd.config.syscall_names import KNOWN
from superd.config.targets import parse_target
from superd.kernel import filter_rules, filters, linux, seccomp
from superd.kernel.filters import Facts, plan, settle
from superd.kernel.seccomp import ALLOW, KILL, Filter, Foreign, Rule, SeccompError, equals, fail_with

USER = Facts(root=False)
NEEDED = spawner_calls(no_new_privileges=True, private_pids=False)


def allow_list(*strings: str, **keys: Any) -> Filter:
    return plan(sandbox(system_call_filter=strings, **keys), USER)[-1]


def verdicts(wanted: Filter) -> dict[str, seccomp.Action]:
    """What becomes of each system call that has a rule without conditions."""
    return {rule.syscall: rule.action for rule in wanted.rules if not rule.conditions}


# --- the plan ---


def test_every_service_has_the_guards_and_they_cover_all_abis() -> None:
    for profile in Profile:
        first, *others = plan(effective(Sandbox(profile=profile), root=False), USER)
        assert first == Filter(ALLOW, filter_rules.spawner_guards(), Foreign.COVERED)
        assert all(other.foreign is Foreign.REFUSED for other in others)


def test_a_service_without_restrictions_has_nothing_else() -> None:
    assert len(plan(sandbox(), USER)) == 1
    assert plan(sandbox(root=True), Facts(root=True)) == ()


def test_keys_that_deny_share_a_filter() -> None:
    wanted = plan(sandbox(lock_personality=True, restrict_realtime=True, protect_kernel_modules=True), USER)
    assert len(wanted) == 2
    assert {"personality", "sched_setscheduler", "init_module"} <= {rule.syscall for rule in wanted[1].rules}


def test_what_is_denied_as_a_whole_needs_no_rule_about_arguments() -> None:
    some, whole = Rule("read", KILL, (equals(0, 1),)), Rule("read", KILL)
    assert settle([some, whole, Rule("write", KILL, (equals(0, 1),))]) == (
        whole,
        Rule("write", KILL, (equals(0, 1),)),
    )
    assert settle([some, some]) == (some,)


def test_an_allow_list_answers_what_it_forbids_and_misses_what_nobody_knows() -> None:
    wanted = allow_list("@system-service", "~@privileged chown:EACCES", system_call_error_number="EPERM")
    found = verdicts(wanted)
    assert wanted.default == fail_with(errno.ENOSYS)
    assert found["read"] == ALLOW
    assert found["mount"] == fail_with(errno.EPERM)
    assert found["chown"] == fail_with(errno.EACCES)
    assert found["setuid"] == fail_with(errno.EPERM)
    assert found.keys() == KNOWN


def test_without_an_errno_the_process_ends() -> None:
    assert verdicts(allow_list("read"))["mount"] == KILL
    assert verdicts(allow_list("~mount bpf:ENOSYS")) == {"mount": KILL, "bpf": fail_with(errno.ENOSYS)}


def test_an_allow_list_of_missing_calls_needs_no_rules_for_them() -> None:
    wanted = allow_list("read", system_call_error_number="ENOSYS")
    assert set(verdicts(wanted).values()) == {ALLOW}


def test_what_a_spawner_needs_is_in_every_allow_list() -> None:
    found = verdicts(allow_list("uname"))
    assert {name for name in found if found[name] == ALLOW} == NEEDED | {"uname"}
    privileged = verdicts(allow_list("uname", no_new_privileges=False))
    assert (found["capset"], privileged["capset"]) == (KILL, ALLOW)


def test_names_that_an_administrator_wrote_are_not_optional() -> None:
    rules = {rule.syscall: rule.optional for rule in allow_list("@system-service mincore").rules}
    assert not rules["mincore"]
    assert rules["uretprobe"]


@pytest.mark.parametrize(
    ("keys", "facts", "problem"),
    [
        ({"system_call_filter": ("~execve",)}, USER, "denies execve, which a spawner needs"),
        ({"system_call_filter": ("~capset",), "no_new_privileges": False}, USER, "denies capset"),
        ({"memory_deny_write_execute": True}, Facts(root=False, architecture="s390x"), "of s390"),
    ],
)
def test_what_cannot_be_had_is_an_error(keys: dict[str, Any], facts: Facts, problem: str) -> None:
    with pytest.raises(SeccompError, match=problem):
        plan(sandbox(**keys), facts)


def test_arguments_of_other_architectures_are_where_they_have_them() -> None:
    clone = [
        rule for rule in filter_rules.namespaces(frozenset(), architecture="s390x") if rule.syscall == "clone"
    ]
    assert {condition.argument for rule in clone for condition in rule.conditions} == {1}
    (mmap,) = [rule for rule in filter_rules.write_or_execute(architecture="x86") if rule.syscall == "mmap"]
    assert mmap.conditions == ()


@pytest.mark.parametrize(
    ("listen", "keys", "expected"),
    [
        ("tcp://*:7", {}, USER),
        ("tcp://*:7", {"mode": Mode.WAIT}, Facts(root=False, owns_listeners=True)),
        ("udp://*:7", {"mode": Mode.WAIT}, Facts(root=False, owns_listeners=True, datagrams=True)),
        (
            "unix-dgram:///run/x",
            {"mode": Mode.ALWAYS},
            Facts(root=False, owns_listeners=True, datagrams=True),
        ),
        ("tcp://*:7", {"forward": parse_target("tcp://127.0.0.1:8")}, Facts(root=False, is_backend=True)),
    ],
)
def test_the_facts_of_a_service(listen: str, keys: dict[str, Any], expected: Facts) -> None:
    found = filters.facts_of(service("x", listen, exec=("/bin/cat",), **keys), root=False)
    assert found == evolve(expected, personality=linux.personality(), architecture=seccomp.architecture())


# --- any sandbox ---

SWITCHES = (
    *("no_new_privileges", "private_network", "private_devices", "protect_kernel_modules"),
    *("protect_kernel_tunables", "restrict_suid_sgid", "restrict_realtime", "lock_personality"),
    "memory_deny_write_execute",
)


def strings(words: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    one = st.builds(
        lambda sign, some: sign + " ".join(some),
        st.sampled_from(["", "~"]),
        st.lists(st.sampled_from(words), min_size=1, max_size=4),
    )
    return st.lists(one, max_size=3).map(tuple)


SANDBOXES = st.fixed_dictionaries(
    {
        **dict.fromkeys(SWITCHES, st.booleans()),
        "system_call_filter": strings([*sorted(KNOWN), *GROUPS]),
        "system_call_error_number": st.sampled_from(["kill", "EPERM", "ENOSYS", "13"]),
        "restrict_address_families": strings(list(FAMILIES)),
        "restrict_namespaces": st.booleans() | strings(list(NAMESPACES)),
    }
)


@settings(deadline=None, max_examples=60)
@given(keys=SANDBOXES, facts=st.builds(Facts, *[st.booleans()] * 4))
def test_any_sandbox_comes_to_filters_that_libseccomp_takes(keys: dict[str, Any], facts: Facts) -> None:
    """No rule has the default as its action, and no two of one filter are about the same case."""
    try:
        wanted = plan(sandbox(root=facts.root, **keys), facts)
    except SeccompError:
        return  # a list that denies what a spawner needs
    for one in wanted:
        assert all(rule.action != one.default for rule in one.rules)
        cases = [(rule.syscall, rule.conditions) for rule in one.rules]
        assert len(set(cases)) == len(cases)
    for one in wanted[1:]:
        denied = {rule.syscall for rule in one.rules if not rule.conditions and rule.action != ALLOW}
        assert not denied & NEEDED - {"clone3"}


# --- a spawner under its filters ---


def spawner(wanted: Sandbox, facts: Facts, program: str) -> tuple[bytes, int]:
    """What a spawner does, under filters: it is handed a connection, starts a program on it, and hears of its end.

    Returns:
        What the program wrote, and its exit status.
    """
    ours, theirs = socket.socketpair()
    work, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, work, sender:
        socket.send_fds(sender, [b"connection"], [theirs.fileno()])
        ours.sendall(b"hello")
        ours.shutdown(socket.SHUT_WR)
        filters.apply_filters(wanted, facts)
        answer = serve(work, program)
        work.sendmsg([b"ended"])
    return answer


def serve(work: socket.socket, program: str) -> tuple[bytes, int]:
    epoll = select.epoll()
    signals = linux.signalfd((signal.SIGCHLD,))
    epoll.register(signals, select.EPOLLIN)
    _, ancillary, _, _ = work.recvmsg(100, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
    connection = int.from_bytes(ancillary[0][2], "little")
    reader, writer = os.pipe2(os.O_CLOEXEC)
    actions = [(os.POSIX_SPAWN_DUP2, fd, to) for to, fd in enumerate((connection, writer, writer))]
    os.posix_spawn(program, [program], {}, file_actions=actions, setsid=True, setsigmask=(), setsigdef=[13])
    os.close(writer)
    while not linux.read_signals(signals):
        epoll.poll()
    os.set_blocking(reader, False)
    output = os.read(reader, 100)
    _, status, usage = os.wait4(-1, os.WNOHANG)
    assert isinstance(usage, resource.struct_rusage)  # wait4 imports that module, under the filter too late
    return output, os.waitstatus_to_exitcode(status)


def test_a_spawner_starts_programs_under_the_strict_profile() -> None:
    strict = effective(Sandbox(profile=Profile.STRICT), root=False)

    def child() -> tuple[bytes, int]:
        become_nobody()
        return spawner(strict, USER, "/bin/cat")

    assert in_child(child) == (b"hello", 0)


STATIC = """
#include <unistd.h>
int main(void) {
    char text[100];
    long length = read(0, text, sizeof text);
    return write(1, text, length) == length ? 7 : 1;
}
"""


def test_a_spawner_starts_programs_under_the_narrowest_list(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A static program needs no more than every list allows; anything else that is called kills."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing: apt-get install gcc libc6-dev")
    folder = tmp_path_factory.mktemp("static")
    (folder / "copy.c").write_text(STATIC)
    subprocess.run(["gcc", "-O", "-static", "-o", folder / "copy", folder / "copy.c"], check=True)
    narrow = sandbox(system_call_filter=("@default readlink readlinkat",))
    assert in_child(lambda: spawner(narrow, USER, str(folder / "copy"))) == (b"hello", 7)


@needs_root
def test_without_no_new_privileges_capabilities_are_dropped_afterwards() -> None:
    """With a list that allows next to nothing."""
    narrow = sandbox(no_new_privileges=False, system_call_filter=("uname",), system_call_error_number="EPERM")

    def child() -> tuple[bool, int, int]:
        filters.apply_filters(narrow, USER)
        linux.capset(linux.Capabilities())
        return linux.get_no_new_privs(), linux.capget().permitted, failure(lambda: os.chown("/", 0, 0))

    assert in_child(child) == (False, 0, errno.EPERM)


def test_a_forbidden_call_ends_the_process_unless_an_errno_is_given() -> None:
    def prepare() -> None:
        filters.apply_filters(sandbox(system_call_filter=("~mincore",)), USER)

    assert killed_by(prepare, call("mincore", 0, 0, 0)) == signal.SIGSYS
    errors = sandbox(system_call_filter=("~mincore", "~msync:EXDEV"), system_call_error_number="EACCES")
    assert under(errors, call("mincore", 0, 0, 0), call("msync", 0, 0, 0)) == [errno.EACCES, errno.EXDEV]
