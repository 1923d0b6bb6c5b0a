"""The engine: the order of its reasons, what it counts, and that excess costs the one who causes it."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from attrs import evolve

from superd.policy.access import Verdict
from superd.policy.decision import UNIX, Client, Total
from superd.policy.engine import NEVER, PLENTY, Engine
from superd.policy.networks import address_text, parse_address
from superd.policy.outcome import Outcome
from superd.policy.reason import Reason
from superd.policy.rules import (
    NO_RATE,
    NS_PER_S,
    UNLIMITED,
    Access,
    Limits,
    OnExcess,
    ProxyProtocol,
    Rate,
)

S = NS_PER_S
OPEN = Limits(max_connections=UNLIMITED, max_connections_per_source=UNLIMITED)


def engine(limits: Limits = OPEN, access: Access | None = None, total: Total | None = None) -> Engine:
    return Engine(limits, access or Access(), ProxyProtocol(), total or Total())


def client(id_: int, address: str = "192.0.2.1") -> Client:
    return Client(id_, *parse_address(address))


def reasons(made: Engine, *clients: Client, now: int = 0) -> list[Reason | None]:
    return [made.offer(one, now).reason for one in clients]


def retune(made: Engine, now: int = 0, **changes: Any) -> None:
    made.retune(evolve(made.limits, **changes), made.access_rules, made.proxy_protocol, now)


# --- each limit by itself ---


def test_without_rules_everybody_is_admitted() -> None:
    assert set(reasons(engine(), *(client(id_) for id_ in range(1_000)))) == {None}


def test_the_defaults_keep_one_source_from_taking_all() -> None:
    made = engine(Limits())
    first = reasons(made, *(client(id_) for id_ in range(100)))
    assert first.count(None) == 64
    assert first[64:] == [Reason.SOURCE_CONNECTIONS] * 36
    others = reasons(made, *(client(1_000 + id_, f"198.51.100.{id_ % 200}") for id_ in range(300)))
    assert others.count(None) == 256 - 64
    assert others[-1] is Reason.CONNECTIONS


def test_who_leaves_makes_room() -> None:
    made = engine(Limits(max_connections=1))
    assert reasons(made, client(1), client(2)) == [None, Reason.CONNECTIONS]
    made.ended(1, Outcome.CLEAN, 0)
    made.ended(1, Outcome.CLEAN, 0)  # twice is once
    assert reasons(made, client(3), client(4)) == [None, Reason.CONNECTIONS]


def test_an_end_of_what_was_never_admitted_changes_nothing() -> None:
    made = engine(Limits(max_connections=1))
    made.ended(99, Outcome.CLEAN, 0)
    assert reasons(made, client(1), client(2)) == [None, Reason.CONNECTIONS]


def test_an_ipv6_source_is_a_64_unless_told_otherwise() -> None:
    made = engine(evolve(OPEN, max_connections_per_source=1))
    assert reasons(made, client(1, "2001:db8::1"), client(2, "2001:db8::2")) == [
        None,
        Reason.SOURCE_CONNECTIONS,
    ]
    assert (
        reasons(made, client(3, "2001:db8:0:1::1"), client(4, "192.0.2.1"), client(5, "192.0.2.2"))
        == [None] * 3
    )


def test_a_mapped_address_is_the_source_it_stands_for() -> None:
    made = engine(evolve(OPEN, max_connections_per_source=1))
    assert reasons(made, client(1, "192.0.2.1"), client(2, "::ffff:192.0.2.1")) == [
        None,
        Reason.SOURCE_CONNECTIONS,
    ]


def test_a_uid_is_a_source_on_a_unix_socket() -> None:
    made = engine(evolve(OPEN, max_connections_per_source=1), Access(allow=("192.0.2.1",)))
    found = reasons(made, Client(1, UNIX, 1000), Client(2, UNIX, 1000), Client(3, UNIX, 0))
    assert found == [None, Reason.SOURCE_CONNECTIONS, None]


def test_the_rate_of_the_service_and_of_a_source() -> None:
    made = engine(evolve(OPEN, rate=Rate(3), rate_per_source=Rate(2)))
    found = reasons(
        made, *(client(id_) for id_ in range(3)), *(client(id_, "192.0.2.9") for id_ in range(3, 5))
    )
    assert found == [None, None, Reason.SOURCE_RATE, None, Reason.RATE]
    assert reasons(made, client(9), now=S // 3) == [Reason.SOURCE_RATE]
    assert reasons(made, client(9), now=S // 2) == [None]


def test_the_total_is_shared_and_given_back() -> None:
    total = Total(most=2)
    one, other = engine(total=total), engine(total=total)
    assert reasons(one, client(1), client(2)) == [None, None]
    assert reasons(other, client(3)) == [Reason.TOTAL_CONNECTIONS]
    one.ended(1, Outcome.CLEAN, 0)
    assert reasons(other, client(4)) == [None]
    one.close()
    assert total.open == 1


def test_a_load_above_the_limit_refuses() -> None:
    made = engine(evolve(OPEN, max_load=2.0))
    made.total.load = 2.0
    assert reasons(made, client(1)) == [None]
    made.total.load = 2.1
    assert reasons(made, client(2)) == [Reason.LOAD]


def test_who_is_exempt_is_not_limited_but_counts_in_the_total() -> None:
    limits = Limits(max_connections=1, rate=Rate(1), max_load=1.0, exempt=("192.0.2.0/24",))
    made = engine(limits, Access(deny=("192.0.2.66",)), Total(most=5, load=9.0))
    assert reasons(made, client(0, "192.0.2.66")) == [Reason.ADDRESS]
    assert reasons(made, *(client(id_) for id_ in range(1, 7))) == [None] * 5 + [Reason.TOTAL_CONNECTIONS]
    assert made.open == 0
    made.ended(1, Outcome.CLEAN, 0)
    assert made.total.open == 4


# --- excess costs the one who causes it ---


def test_a_flood_takes_no_token_of_the_service() -> None:
    """What its own limit refuses never reaches the service's bucket."""
    made = engine(evolve(OPEN, rate=Rate(10), rate_per_source=Rate(5)))
    for id_ in range(10_000):
        made.offer(client(id_), 0)
    assert [made.offer(client(20_000 + id_, "192.0.2.2"), 0).admitted for id_ in range(6)] == [True] * 5 + [
        False
    ]


def test_whom_the_service_refuses_loses_no_token_of_his_own() -> None:
    made = engine(evolve(OPEN, max_connections=1, rate_per_source=Rate(2, 10**15)))
    assert reasons(made, client(1, "198.51.100.1")) == [None]
    assert reasons(made, *(client(id_) for id_ in range(2, 50))) == [Reason.CONNECTIONS] * 48
    retune(made, max_connections=UNLIMITED)
    assert reasons(made, client(50), client(51), client(52)) == [None, None, Reason.SOURCE_RATE]


def test_a_source_over_its_rate_is_penalised_and_the_others_are_not() -> None:
    made = engine(evolve(OPEN, rate_per_source=Rate(1), penalty_s=30.0))
    assert reasons(made, client(1), client(2), client(3)) == [None, Reason.SOURCE_RATE, Reason.PENALTY]
    assert reasons(made, client(4), now=29 * S) == [Reason.PENALTY]
    assert reasons(made, client(5, "192.0.2.2"), now=29 * S) == [None]
    assert reasons(made, client(6), now=30 * S) == [None]


@pytest.mark.parametrize(
    ("outcome", "closed"),
    [
        (Outcome.FAILED, True),
        (Outcome.SIGNALLED, True),
        (Outcome.CLEAN, False),
        (Outcome.TIMED_OUT, False),  # superd ended it
        (Outcome.STOPPED, False),
        (Outcome.NEVER_STARTED, False),  # not the client's doing
        (Outcome.LOST, False),
    ],
)
def test_whose_children_fail_is_penalised(outcome: Outcome, closed: bool) -> None:
    made = engine(evolve(OPEN, penalty_failed_s=20.0, penalty_crashed_s=90.0))
    made.offer(client(1), 0)
    made.ended(1, outcome, 0)
    assert reasons(made, client(2), now=S) == [Reason.PENALTY if closed else None]


def test_bans_are_told_and_forgiven() -> None:
    made = engine(evolve(OPEN, rate_per_source=Rate(1, 10**15), penalty_s=30.0))
    reasons(made, client(1, "2001:db8::1"), client(2, "2001:db8::1"), client(3), client(4))
    assert [made.source(ban.key) for ban in made.bans(0)] == ["2001:db8::/64", "192.0.2.1"]
    (ban,) = made.bans_of("2001:db8::7", 0)
    assert made.bans_of("2001:db8::/32", 0) == [ban]
    assert made.bans_of("uid:7", 0) == []
    assert made.pardon(ban.key)
    assert reasons(made, client(5, "2001:db8::1"), now=1) == [None], "its bucket is full again too"


# --- access ---


def test_access_comes_first_and_names_its_line() -> None:
    made = engine(Limits(max_connections=0), Access(allow=("192.0.2.0/24",), deny=("192.0.2.66",)))
    assert made.offer(client(1, "192.0.2.66"), 0) == (Reason.ADDRESS, 'deny "192.0.2.66"')
    assert made.offer(client(1, "198.51.100.1"), 0) == (Reason.ADDRESS, "no allow matches")


def test_hosts_files_and_hours_must_admit_too() -> None:
    made = engine()
    made.hours_closed = "hours Mon..Fri"
    made.ask_hosts = lambda one: Verdict(one.value % 2 == 0, "/etc/hosts.deny:1")
    assert made.offer(client(1, "192.0.2.1"), 0) == (Reason.HOSTS_ACCESS, "/etc/hosts.deny:1")
    assert made.offer(client(1, "192.0.2.2"), 0) == (Reason.HOURS, "hours Mon..Fri")
    made.hours_closed = ""
    assert made.offer(client(1, "192.0.2.2"), 0).admitted


def test_asking_counts_nothing() -> None:
    made = engine(Limits(max_connections=1))
    assert made.ask_access(client(1)).admitted
    assert made.open == 0 and not made.tally.within(S, 0)


def test_only_trusted_proxies_are_to_send_headers() -> None:
    made = Engine(OPEN, Access(), ProxyProtocol(("10.0.0.0/8",)), Total())
    assert made.expects_header(*parse_address("10.1.2.3"))
    assert not made.expects_header(*parse_address("192.0.2.1"))
    assert not engine().expects_header(*parse_address("10.1.2.3"))


def test_a_long_list_in_disorder_is_read_in_no_time() -> None:
    """The acceptor serves nobody meanwhile, and the master replaces one that does not answer for four seconds."""
    numbers = list(range(50_000))
    random.Random(1).shuffle(numbers)
    networks = tuple(address_text(4, (10 << 24) + 2 * number + 1) for number in numbers)
    began = time.process_time()
    made = Engine(evolve(OPEN, exempt=networks), Access(), ProxyProtocol(networks), Total())
    assert time.process_time() - began < 3
    assert made.expects_header(4, (10 << 24) + 1) and not made.expects_header(4, 10 << 24)


# --- queueing ---


def test_what_queues_has_as_much_room_as_its_limits_leave() -> None:
    made = engine(evolve(OPEN, max_connections=3, rate=Rate(5), on_excess=OnExcess.QUEUE))
    assert made.room(0) == 3
    reasons(made, client(1), client(2))
    assert made.room(0) == 1
    reasons(made, client(3))
    assert made.room(0) == 0 and made.room_at(0) == NEVER, "an end is awaited, not a time"
    for id_ in (1, 2, 3):
        made.ended(id_, Outcome.CLEAN, 0)
    assert made.room(0) == 2
    reasons(made, client(4), client(5))
    assert made.room(0) == 0 and made.room_at(0) == S // 5
    assert made.room(S // 5) == 1


def test_room_in_the_total_and_under_the_load() -> None:
    made = engine(evolve(OPEN, max_load=1.0, on_excess=OnExcess.QUEUE), total=Total(most=7, open=5))
    assert made.room(0) == 2
    made.total.load = 3.0
    assert made.room(0) == 0


def test_without_a_queue_there_is_always_room() -> None:
    assert engine(Limits(max_connections=0)).room(0) == PLENTY


def test_starts_of_instances_take_tokens() -> None:
    made = engine(evolve(OPEN, rate=Rate(2), max_load=1.0))
    assert [made.start(0) for _ in range(3)] == [True, True, False]
    assert made.room_at(0) == S // 2
    assert made.start(S // 2)
    made.total.load = 2.0
    assert not made.start(10 * S)
    assert made.room_at(10 * S) == NEVER


def test_a_datagram_that_would_wake_an_instance_is_judged_and_not_counted() -> None:
    made = engine(evolve(OPEN, rate_per_source=Rate(1), rate=Rate(1)), Access(deny=("192.0.2.66",)))
    found = [
        made.glance(client(0, address), 0).reason for address in ("192.0.2.66", "192.0.2.1", "192.0.2.1")
    ]
    assert found == [Reason.ADDRESS, None, Reason.SOURCE_RATE]
    assert made.open == 0
    assert made.start(0), "the service's token is the start's"


# --- changes while it runs ---


def test_a_lower_limit_ends_nobody_and_admits_nobody() -> None:
    made = engine()
    reasons(made, *(client(id_) for id_ in range(5)))
    retune(made, max_connections=3)
    assert made.open == 5 and made.room(0) == PLENTY
    assert reasons(made, client(9)) == [Reason.CONNECTIONS]


def test_a_changed_rate_forgets_nothing_that_was_taken() -> None:
    made = engine(evolve(OPEN, rate=Rate(10), rate_per_source=Rate(4)))
    reasons(made, *(client(id_) for id_ in range(4)))
    retune(made, rate=Rate(5), rate_per_source=Rate(8))
    assert made.tokens(0) == 1
    assert reasons(made, client(9), client(10)) == [None, Reason.RATE]


def test_a_lower_rate_begins_with_an_empty_bucket_at_the_worst() -> None:
    """Tuning during a rush must not close the door for the rest of the day."""
    made = engine(evolve(OPEN, rate=Rate(1_000), rate_per_source=Rate(1_000)))
    reasons(made, *(client(id_) for id_ in range(1_000)))
    retune(made, rate=Rate(1, 60 * S), rate_per_source=Rate(1, 60 * S))
    assert reasons(made, client(2_000), now=60 * S - 1) == [Reason.SOURCE_RATE]
    assert reasons(made, client(2_001), now=60 * S) == [None]


def test_a_rate_that_was_lifted_and_comes_back_is_a_new_one() -> None:
    up = 10**15  # a machine that runs for days
    made = engine(evolve(OPEN, rate=Rate(1_000)))
    assert reasons(made, client(1), now=up) == [None]
    retune(made, up, rate=NO_RATE)
    retune(made, up, rate=Rate(5))
    assert made.tokens(up) == 5


def test_another_prefix_counts_who_is_here_anew() -> None:
    made = engine(evolve(OPEN, rate_per_source=Rate(1, 10**15), penalty_s=60.0))
    reasons(made, client(1, "192.0.2.1"), client(2, "192.0.2.2"), client(3, "192.0.2.2"))
    retune(made, source_prefix_ipv4=24, max_connections_per_source=3)
    assert dict(made.per_source()) == {made.key(client(0, "192.0.2.0")): 2}
    assert reasons(made, client(4, "192.0.2.9")) == [None], "a new source has a full bucket and no penalty"
    assert reasons(made, client(5, "192.0.2.9")) == [Reason.SOURCE_CONNECTIONS]


def test_names_stay_known_when_only_limits_change() -> None:
    made = engine(access=Access(allow=("gw.example.net",)))
    made.access.resolved("gw.example.net", [parse_address("192.0.2.7")])
    retune(made, max_connections=5)
    assert made.offer(client(1, "192.0.2.7"), 0).admitted


def test_connections_of_an_earlier_acceptor_count() -> None:
    made = engine(Limits(max_connections_per_source=2))
    made.resume(client(1))
    made.resume(client(1))
    assert reasons(made, client(2), client(3)) == [None, Reason.SOURCE_CONNECTIONS]
    made.ended(1, Outcome.CLEAN, 0)
    assert reasons(made, client(4)) == [None]


def test_refusals_are_tallied_by_reason() -> None:
    made = engine(Limits(max_connections_per_source=1))
    reasons(made, client(1), client(2), client(3))
    made.refuse(Reason.PROXY_HEADER, 0)
    assert made.tally.within(S, 0) == {Reason.SOURCE_CONNECTIONS: 2, Reason.PROXY_HEADER: 1}
    assert next(made.busiest.top(1)) == (made.key(client(0)), 3)
