"""Equal parts of many services are kept once, and go with the last of them."""

from __future__ import annotations

import gc
import weakref

from attrs import evolve

from superd.acceptor.sharing import calendar_of, share_policy, share_settings
from superd.policy.rules import Access, Limits, ProxyProtocol
from superd.wire.messages import ServiceSettings
from superd.wire.policies import ServicePolicy


def policy(number: int, *, most: int = 5) -> ServicePolicy:
    limits, access = Limits(max_connections=most), Access(deny=("192.0.2.1",))
    return ServicePolicy(number, limits, access, ProxyProtocol(), "", "", "")


def settings(name: str) -> ServiceSettings:
    program = ("/bin/cat", "-" + "u" * 3)
    return ServiceSettings(name, "nowait", "www", program, "", (), ("exec",), -1.0, -1.0, 10.0, 15, "log")


def test_equal_rules_are_one_and_others_stay_apart() -> None:
    first, second, other = share_policy(policy(1)), share_policy(policy(2)), share_policy(policy(3, most=6))
    assert (first.service, second.service, other.service) == (1, 2, 3)
    assert second.limits is first.limits
    assert second.access is other.access
    assert other.limits == Limits(max_connections=6)


def test_rules_go_with_the_last_service_that_has_them() -> None:
    first = share_policy(policy(1, most=12345))
    known = weakref.ref(first.limits)
    second = share_policy(policy(2, most=12345))
    del first
    assert known() is second.limits
    del second
    gc.collect()
    assert known() is None


def test_equal_words_are_one() -> None:
    first, second = share_settings(settings("a")), share_settings(settings("b"))
    assert (first, second) == (settings("a"), settings("b"))
    assert second.program is first.program
    assert share_settings(evolve(first, program=("/bin/true",))).program == ("/bin/true",)


def test_services_of_the_same_hours_have_one_calendar() -> None:
    hours = ("Mon..Fri 08:00-18:00",)
    assert calendar_of(hours) is calendar_of(tuple(hours))
    assert calendar_of(hours).is_open(0, 9 * 60)
    assert not calendar_of(()).is_open(0, 9 * 60)
