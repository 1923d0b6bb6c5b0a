"""What a new configuration changes, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from helpers.services import service
from hypothesis import given
from hypothesis import strategies as st

from superd.config.model import Mode, Service
from superd.master.reload import Change, compare

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
    assert set(change.added) == new.keys() - old.keys()
    assert set(change.removed) == old.keys() - new.keys()
    names = [*change.kept, *change.changed, *change.added, *change.removed]
    assert len(names) == len(set(names))


@given(_SERVICES)
def test_the_same_configuration_again_changes_nothing(services: dict[str, Service]) -> None:
    moved = {name: attrs.evolve(one, source_file="moved.toml") for name, one in services.items()}
    assert compare(services, moved) == Change(tuple(services), (), (), ())


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


def test_a_change_in_words() -> None:
    old = {name: service(name) for name in ("kept", "changed", "gone", "gone2")}
    new = {"kept": old["kept"], "changed": service("changed", nice=1), "new": service("new")}
    assert str(compare(old, new)) == "added new; changed changed; removed gone, gone2; 1 unchanged"
    assert str(compare(old, old)) == "4 unchanged"
