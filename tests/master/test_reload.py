"""What a new configuration changes, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from helpers.services import service
from hypothesis import given
from hypothesis import strategies as st

from superd.config.addresses import MAX_UNIX_PATH
from superd.config.kinds import MAX_ARGV_BYTES, MAX_LISTENS
from superd.config.model import Listen, Mode, Scheme, Service
from superd.master.reload import MAX_LINE_CHARS, MAX_LINES, Change, brief, compare
from superd.master.services import Managed
from superd.policy.rules import Access, Limits, ProxyProtocol
from superd.wire.codec import Direction
from superd.wire.messages import ReloadResult, ServiceFaulty
from superd.wire.table import Role

_SERVICES = st.dictionaries(
    st.sampled_from("abcdef"),
    st.tuples(st.sampled_from([0, 5]), st.sampled_from(["one.toml", "two.toml"])),
).map(
    lambda drawn: {name: service(name, nice=nice, source_file=file) for name, (nice, file) in drawn.items()}
)


@given(_SERVICES, _SERVICES)
def test_every_service_is_in_one_list_and_in_the_right_one(
    old: dict[str, Service], new: dict[str, Service]
) -> None:
    change = compare(old, new)
    both = old.keys() & new.keys()
    assert set(change.kept) == {name for name in both if old[name].nice == new[name].nice}
    assert set(change.changed) == both - set(change.kept)
    assert not change.retuned
    assert set(change.added) == new.keys() - old.keys()
    assert set(change.removed) == old.keys() - new.keys()
    names = [*change.kept, *change.changed, *change.added, *change.removed]
    assert len(names) == len(set(names))


@given(_SERVICES)
def test_the_same_configuration_again_changes_nothing(services: dict[str, Service]) -> None:
    moved = {name: attrs.evolve(one, source_file="moved.toml") for name, one in services.items()}
    assert compare(services, moved) == Change(tuple(services), (), (), (), ())


@pytest.mark.parametrize(
    "changed",
    [
        {"exec": ("/bin/false",)},
        {"mode": Mode.WAIT},
        {"environment": {"A": "1"}},
        {"enabled": False},
        {"timeout_stop_s": 1.0},
    ],
)
def test_one_other_setting_is_a_change(changed: dict[str, Any]) -> None:
    assert compare({"ftp": service()}, {"ftp": service(**changed)}).changed == ("ftp",)


@pytest.mark.parametrize(
    "changed",
    [
        {"limits": Limits(max_connections=1)},
        {"access": Access(deny=("192.0.2.1",))},
        {"proxy_protocol": ProxyProtocol(("192.0.2.1",))},
    ],
)
def test_other_limits_are_no_change_of_what_runs(changed: dict[str, Any]) -> None:
    old, new = {"ftp": service()}, {"ftp": service(**changed)}
    assert compare(old, new) == Change((), ("ftp",), (), (), ())
    assert compare(old, {"ftp": service(nice=1, **changed)}).changed == ("ftp",)
    assert str(compare(old, new)) == "retuned ftp; 0 unchanged"


def test_what_a_service_names_may_have_changed_alone() -> None:
    services = {"ftp": service(), "ssh": service("ssh")}
    assert compare(services, services, ["ssh"]) == Change(("ftp",), (), ("ssh",), (), ())


def test_a_change_in_words() -> None:
    old = {name: service(name) for name in ("kept", "changed", "gone", "gone2")}
    new = {"kept": old["kept"], "changed": service("changed", nice=1), "new": service("new")}
    assert str(compare(old, new)) == "added new; changed changed; removed gone, gone2; 1 unchanged"
    assert str(compare(old, old)) == "4 unchanged"


# --- what is said of it fits its message, however much there is ---

TO_ACCEPTOR = Direction.of(Role.MASTER, Role.ACCEPTOR)
WORST = "\1"  # six bytes of JSON


def test_a_million_faults_fit_the_answer_and_their_number_is_told() -> None:
    lines = [WORST * 100_000, *["fault"] * 999_999]
    told = brief(lines)
    assert told[0] == WORST * MAX_LINE_CHARS + "…"
    assert told[-1] == f"and {1_000_000 - MAX_LINES} more"
    assert TO_ACCEPTOR.encode(
        ReloadResult(1, False, tuple([WORST * MAX_LINE_CHARS + "…"] * MAX_LINES + told[-1:]))
    )


def test_what_little_there_is_to_tell_is_told_as_it_is() -> None:
    assert brief(["one", "two"]) == ["one", "two"]
    assert brief([]) == []


def test_the_longest_service_that_can_be_configured_can_be_told() -> None:
    path = '"' * MAX_UNIX_PATH
    longest = Service(
        "n" * 64,
        tuple(
            Listen(f"unix-seqpacket://{path}", Scheme.UNIX_SEQPACKET, path=path) for _ in range(MAX_LISTENS)
        ),
        (WORST * (MAX_ARGV_BYTES - 1),),
        exec_path="/" + WORST * 4094,
        user="\U0001f642" * 255,
        group="\U0001f642" * 255,
    )
    reason = "\n".join([WORST * 4095] * 4)
    assert TO_ACCEPTOR.encode(ServiceFaulty(1, Managed(1, longest).settings(), reason))
