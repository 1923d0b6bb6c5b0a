"""system_call_filter says what systemd's SystemCallFilter= says, and a mistake in it is found."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superd.config.findings import RejectedError
from superd.config.syscall_filter import (
    KILL,
    SystemCalls,
    conflicts,
    merge,
    parse_error_number,
    parse_filter_string,
    spawner_calls,
)
from superd.config.syscall_groups import GROUPS, members
from superd.config.syscall_names import KNOWN

DEFAULT = members("@default")
NEEDED = spawner_calls(no_new_privileges=True, private_pids=False)


def merged(*strings: str) -> SystemCalls:
    calls = merge(strings)
    assert calls is not None
    return calls


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("EPERM", errno.EPERM),
        ("kill", KILL),
        ("0", 0),
        ("38", errno.ENOSYS),
        ("4095", 4095),
        ("EUCLEAN", 117),
    ],
)
def test_error_numbers(text: str, number: int) -> None:
    assert parse_error_number(text) == number


@pytest.mark.parametrize("text", ["", "eperm", "4096", "-1", "99999999999", "KILL", "1.0", "²", "EPERM "])
def test_what_is_no_errno_is_refused(text: str) -> None:
    with pytest.raises(RejectedError, match="not an errno"):
        parse_error_number(text)


def test_the_first_string_says_which_kind_of_list_it_is() -> None:
    assert merge([]) is None
    assert merged("read").allow_list
    assert merged("~mount").allow_list is False


def test_an_allow_list_holds_the_default_group_from_the_start() -> None:
    assert merged("mount").allowed == DEFAULT | {"mount"}


def test_what_is_denied_later_is_taken_out_again() -> None:
    """The example of systemd.exec(5)."""
    assert merged("read write", "~write").allowed == DEFAULT | {"read"}
    assert merged("@system-service", "~@privileged @resources").allowed == members(
        "@system-service"
    ) - members("@privileged") - members("@resources")


def test_what_is_allowed_later_is_taken_out_of_a_list_of_denied_ones() -> None:
    assert merged("~@mount", "mount").denied == dict.fromkeys(members("@mount") - {"mount"})
    assert merged("~@mount", "read").denied == dict.fromkeys(members("@mount"))


def test_the_order_counts() -> None:
    assert "mount" in merged("~mount", "mount", "~mount").denied
    assert "mount" not in merged("~mount", "~mount", "mount").denied


def test_an_errno_goes_with_its_system_call() -> None:
    assert merged("~@swap:EACCES reboot:kill mount").denied == {
        "swapon": errno.EACCES,
        "swapoff": errno.EACCES,
        "reboot": KILL,
        "mount": None,
    }


def test_an_errno_of_what_an_allow_list_takes_out_is_kept() -> None:
    calls = merged("@system-service", "~chown:EACCES fchown")
    assert calls.denied == {"chown": errno.EACCES}
    assert {"chown", "fchown"} & calls.allowed == set()


def test_the_names_that_stand_there_are_told_from_those_of_groups() -> None:
    assert merged("@system-service mount", "~@swap bpf").written == {"mount", "bpf"}


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("raed", "no system call of that name", 'write "read"'),
        ("@mounts", "no group of that name", 'write "@mount"'),
        ("@", "no group of that name", ""),
        ("read:EPERM", "an errno for an allowed system call", 'write "read", or "~read:EPERM" to deny it'),
        ("~read:EPREM", "not an errno", 'write its name, as "EPERM", or "kill"'),
        ("~read ~write", "~ inside of a string", ""),
        ("", "no system call", 'write one, or a group, as "@system-service"'),
        ("~", "no system call", ""),
        ("xyzzy", "no system call of that name", "see syscalls(2), systemd.exec(5)"),
    ],
)
def test_a_mistake_is_named(text: str, problem: str, remedy: str) -> None:
    with pytest.raises(RejectedError) as caught:
        parse_filter_string(text)
    (finding,) = caught.value.findings
    assert finding.problem == problem
    assert remedy in finding.remedy


def test_every_mistake_of_a_string_is_told() -> None:
    with pytest.raises(RejectedError) as caught:
        parse_filter_string("raed read wriet")
    assert [finding.value for finding in caught.value.findings] == ["raed", "wriet"]


# --- what a spawner needs ---


@pytest.mark.parametrize(
    ("strings", "found"),
    [
        (["@system-service"], []),
        (["~@privileged @resources"], []),
        (["~@mount @swap @reboot @module @debug @obsolete @cpu-emulation @clock @raw-io"], []),
        (["~execve"], ["execve"]),
        (["~execve", "execve"], []),
        (["read", "~execve"], ["execve"]),
        (["~@process"], ["clone", "clone3", "getrusage", "kill", "prctl", "wait4"]),
        (["~@ipc"], ["pipe2"]),
        (["~clone3"], ["clone3"]),
        (["~clone3:ENOSYS"], []),
        (["~clone:ENOSYS"], ["clone"]),
    ],
)
def test_a_filter_that_would_stop_the_spawner_is_told(strings: list[str], found: list[str]) -> None:
    assert conflicts(strings, KILL, NEEDED) == found


def test_the_general_errno_counts_for_what_can_be_replaced() -> None:
    assert conflicts(["~clone3"], errno.ENOSYS, NEEDED) == []
    assert conflicts(["~clone3:EPERM"], errno.ENOSYS, NEEDED) == ["clone3"]


def test_more_is_needed_with_some_keys() -> None:
    """Capabilities are given up under the filter; the pids that the log has are looked up there."""
    dropping = spawner_calls(no_new_privileges=False, private_pids=False)
    assert conflicts(["~capset"], KILL, dropping) == ["capset"]
    assert conflicts(["~@privileged"], KILL, dropping) == []
    asking = spawner_calls(no_new_privileges=True, private_pids=True)
    assert conflicts(["~openat pidfd_open openat2"], KILL, asking) == ["openat", "pidfd_open"]


def test_what_the_spawner_needs_exists() -> None:
    assert spawner_calls(no_new_privileges=False, private_pids=True) <= KNOWN


# --- any list at all ---

WORDS = st.sampled_from(sorted(KNOWN) + list(GROUPS))
STRINGS = st.builds(
    lambda sign, words: sign + " ".join(words),
    st.sampled_from(["", "~"]),
    st.lists(WORDS, min_size=1, max_size=4),
)


@given(st.lists(STRINGS, min_size=1, max_size=5))
@settings(deadline=None)
def test_the_last_word_about_a_system_call_counts(strings: list[str]) -> None:
    """Against the plainest reading there is: for each system call go through the strings in order."""
    calls = merged(*strings)
    assert calls.allow_list is not strings[0].startswith("~")
    for name in KNOWN:
        allowed = name in DEFAULT if calls.allow_list else True
        for text in strings:
            words = text.removeprefix("~").split()
            if any(name == word or (word[0] == "@" and name in members(word)) for word in words):
                allowed = not text.startswith("~")
        assert (name in calls.allowed if calls.allow_list else name not in calls.denied) is allowed


@given(st.lists(STRINGS, max_size=5))
@settings(deadline=None)
def test_no_conflict_means_that_the_spawner_is_let_through(strings: list[str]) -> None:
    calls = merge(strings)
    if calls is not None and not conflicts(strings, KILL, NEEDED):
        assert not NEEDED & calls.denied.keys()


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
@settings(deadline=None)
def test_any_text_is_taken_or_refused(text: str) -> None:
    try:
        items = parse_filter_string(text)
    except RejectedError as error:
        assert error.findings
    else:
        assert all(item.names <= KNOWN for item in items)
