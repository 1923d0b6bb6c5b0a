"""What one side says the other side hears, and what the table does not allow nobody hears."""

from __future__ import annotations

import itertools
import json
import socket
from typing import Any

import pytest
from helpers.messages import descriptors_of, messages
from hypothesis import given
from hypothesis import strategies as st

from superd.config.policy_checks import MAX_LIST_BYTES
from superd.errors import WireError
from superd.master.policies import MAX_BANNER_BYTES
from superd.policy.rules import Access, Limits, ProxyProtocol, Rate
from superd.wire.codec import Direction, encode_connection, join_connections
from superd.wire.datagrams import MAX_DATAGRAM_BYTES, Deliver
from superd.wire.messages import (
    MAX_BATCH,
    MAX_EVENTS,
    Connections,
    Ended,
    Known,
    ListenerDown,
    Peer,
    Ping,
    Report,
    ServiceFaulty,
    ServiceSettings,
    ServiceUp,
    Started,
)
from superd.wire.policies import Keep, ServicePolicy
from superd.wire.table import TABLE, Phase, Role, Row

every_row = pytest.mark.parametrize("row", TABLE, ids=[f"{row.kind}-{row.message.__name__}" for row in TABLE])
ANY_PEER = Peer(int(socket.AF_INET), bytes(4), 1, bytes(4), 2)


def direction(row: Row) -> Direction:
    return Direction.of(row.sender, row.receiver)


def phase(row: Row) -> Phase:
    return next(iter(row.phases))


def example(row: Row) -> tuple[bytes, int]:
    """A packet of that row, and the number of its descriptors."""
    message = _EXAMPLES.get(row.message)
    if message is None:
        message = row.message(*json.loads(_FIELDS[row.message.__name__]))
    return direction(row).encode(message), descriptors_of(message)


_SETTINGS = ServiceSettings(
    "ftp",
    "nowait",
    "ftp",
    ("ftpd", "-l"),
    "/usr/sbin/ftpd",
    ("tcp://*:21",),
    ("nowait", "tcp"),
    -1.0,
    -1.0,
    10.0,
    15,
    "log",
)
_EXAMPLES: dict[type, Any] = {
    Connections: Connections(((1, ANY_PEER),)),
    Known: Known(((1, ANY_PEER),)),
    Report: Report(1, (Started(1, 2, 3.0),)),
    Deliver: Deliver(1, b"\0datagram\xff"),
    ServiceUp: ServiceUp(1, _SETTINGS),
    ServiceFaulty: ServiceFaulty(1, _SETTINGS, "no such user"),
    ServicePolicy: ServicePolicy(
        1, Limits(rate=Rate(5)), Access(("192.0.2.1",)), ProxyProtocol(), "go away\n", "later\n", "{}"
    ),
}
_FIELDS = {
    "Settings": '[1, "", "", "", [], [], [], 1, 4096, "", true, true]',
    "HostsFiles": '["sshd: 192.0.2.", "ALL: ALL"]',
    "Keep": '[1, "{}"]',
    "ListenerUp": '[1, 0, "tcp://*:21", false]',
    "ListenerDown": '[1, 0, "tcp://*:21", "in use"]',
    "ServiceDown": "[1]",
    "SpawnerUp": "[1, 2, 3, false]",
    "SpawnerDown": '[1, 2, ""]',
    "Serve": "[]",
    "ReloadResult": '[1, true, ["reloaded"]]',
    "Stop": "[false]",
    "DumpState": "[]",
    "Ping": "[1]",
    "Ready": "[]",
    "SpawnerWanted": "[1]",
    "SpawnerIdle": "[1, 2]",
    "SpawnerStuck": "[1, 2]",
    "ReloadWanted": "[1]",
    "StopWanted": "[false]",
    "Stopped": "[]",
    "Pong": "[1]",
    "PeerSocketWanted": "[1, 0]",
    "PeerSocket": '[1, 0, ""]',
    "SpawnerReady": "[]",
    "SpawnerFailed": '["no such user"]',
    "HandlerFailed": '[["Traceback (most recent call last):", "ValueError: no"]]',
    "GrantsUp": '["stderr","text","daemon",[["grants[1]",[["tcp",80,90]],["*"],false,[33],[],["/bin/x"],true]]]',
    "Program": '[7,4711,"www","/usr/bin/caddy","caddy",""]',
    "ProgramWanted": "[7,33]",
    "Retire": "[]",
    "Hello": "[1]",
    "StartInstance": "[1, 0]",
    "Kill": "[1, 15]",
    "Welcome": "[1]",
    "Told": "[]",
    "Output": '[1, 2, ["a line"], 0]',
}


# --- what is allowed arrives as it was said ---


@every_row
@given(data=st.data())
def test_a_message_arrives_as_it_was_sent(row: Row, data: st.DataObject) -> None:
    message = data.draw(messages(row.message))
    payload = direction(row).encode(message)
    assert payload[0] == row.kind
    assert direction(row).decode(payload, descriptors_of(message), phase(row)) == message


def test_the_acceptor_joins_entries_into_the_same_bytes() -> None:
    """The hot path encodes each connection when it is accepted, and a batch by joining."""
    batch = ((7, ANY_PEER), (8, Peer(int(socket.AF_UNIX), pid=1, uid=2, gid=3)))
    payload = Direction.of(Role.ACCEPTOR, Role.SPAWNER).encode(Connections(batch))
    assert payload[1:] == join_connections([encode_connection(*entry) for entry in batch])


def test_a_full_batch_and_a_full_report_fit_their_packets() -> None:
    to_spawner = Direction.of(Role.ACCEPTOR, Role.SPAWNER)
    to_acceptor = Direction.of(Role.SPAWNER, Role.ACCEPTOR)
    batch = tuple((2**64 - 1, ANY_PEER) for _ in range(MAX_BATCH))
    events = tuple(Ended(2**64 - 1, 2**31 - 1, 255, 1.0, 2**63, 1.0, 2.0) for _ in range(MAX_EVENTS))
    assert to_spawner.decode(to_spawner.encode(Connections(batch)), MAX_BATCH) == Connections(batch)
    assert to_acceptor.decode(to_acceptor.encode(Known(batch)), 0) == Known(batch)
    assert to_acceptor.decode(to_acceptor.encode(Report(1, events)), 0) == Report(1, events)


def test_a_text_that_could_not_be_passed_on_is_not_taken() -> None:
    """The master keeps ``Keep`` for the next acceptor: half of a surrogate pair would end it when it says so."""
    there = Direction.of(Role.ACCEPTOR, Role.MASTER)
    kind = there.by_message[Keep].kind
    assert there.decode(bytes((kind,)) + b'[1,"\\udcff"]', 0) == Keep(1, "\udcff"), "a byte that is not UTF-8"
    for text in (b"\\ud800", b"\\udfff", b"x\\udbff"):
        with pytest.raises(WireError, match=r"Keep\.note"):
            there.decode(bytes((kind,)) + b'[1,"' + text + b'"]', 0)


def test_the_most_that_a_configuration_may_say_of_a_policy_fits_its_message() -> None:
    """Every item costs two quotes and a comma, and every character of a banner or a note up to six bytes."""
    access = Access(allow=("a",) * MAX_LIST_BYTES)
    banner = "\x01" * MAX_BANNER_BYTES
    policy = ServicePolicy(1, Limits(), access, ProxyProtocol(), banner, banner, "\x01" * 64 * 1024)
    there = Direction.of(Role.MASTER, Role.ACCEPTOR)
    assert there.decode(there.encode(policy), 0) == policy


# --- direction and phase ---

_PAIRS = list(itertools.product(Role, Role))


@pytest.mark.parametrize(("sender", "receiver"), _PAIRS)
def test_nobody_may_say_or_hear_what_the_table_gives_to_others(sender: Role, receiver: Role) -> None:
    there = Direction.of(sender, receiver)
    own = {row.message for row in TABLE if (row.sender, row.receiver) == (sender, receiver)}
    for row in TABLE:
        payload, count = example(row)
        if (row.sender, row.receiver) == (sender, receiver):
            continue
        with pytest.raises(WireError, match="message kind"):
            there.decode(payload, count, phase(row))
        if row.message not in own:
            with pytest.raises(WireError, match="is not for this direction"):
                there.encode(direction(row).decode(payload, count, phase(row)))


@every_row
def test_each_phase_hears_only_its_own(row: Row) -> None:
    payload, count = example(row)
    for other in Phase:
        if other in row.phases:
            direction(row).decode(payload, count, other)
        else:
            with pytest.raises(WireError, match=f"{row.message.__name__} while {other}"):
                direction(row).decode(payload, count, other)


def test_numbers_of_messages_are_unique() -> None:
    assert len({row.kind for row in TABLE}) == len(TABLE)


def test_an_acceptor_that_starts_may_say_nothing_but_that_it_is_ready() -> None:
    starting = [
        row.message.__name__
        for row in TABLE
        if (row.sender, row.receiver) == (Role.ACCEPTOR, Role.MASTER) and Phase.STARTING in row.phases
    ]
    assert starting == ["Ready", "Pong"]


# --- length, descriptors, trailing bytes ---


@every_row
def test_more_than_its_most_bytes_is_refused_before_it_is_parsed(row: Row) -> None:
    payload = bytes((row.kind,)) + b"[" * (row.max_bytes + 1)
    with pytest.raises(WireError, match=f"{row.message.__name__}: {row.max_bytes + 1} bytes"):
        direction(row).decode(payload, 0, phase(row))


def test_nothing_longer_than_the_table_allows_is_sent() -> None:
    with pytest.raises(WireError, match=r"ListenerDown: .* more than 4096"):
        Direction.of(Role.MASTER, Role.ACCEPTOR).encode(ListenerDown(1, 1, "name", "x" * 4096))


@every_row
def test_more_descriptors_than_the_table_allows_are_refused(row: Row) -> None:
    payload, _ = example(row)
    with pytest.raises(WireError, match=f"{row.max_descriptors + 1} descriptors"):
        direction(row).decode(payload, row.max_descriptors + 1, phase(row))


@pytest.mark.parametrize("count", [0, 2])
def test_connections_come_with_one_descriptor_each(count: int) -> None:
    payload = Direction.of(Role.ACCEPTOR, Role.SPAWNER).encode(Connections(((1, ANY_PEER),)))
    with pytest.raises(WireError, match=f"{count} descriptors for 1"):
        Direction.of(Role.ACCEPTOR, Role.SPAWNER).decode(payload, count)


@every_row
@pytest.mark.parametrize("more", [b"\0", b" ", b"\n", b"]", b"[]", b"0"])
def test_bytes_after_the_message_are_refused(row: Row, more: bytes) -> None:
    payload, count = example(row)
    with pytest.raises(WireError):
        direction(row).decode(payload + more, count, phase(row))


@every_row
def test_a_message_that_was_cut_is_refused(row: Row) -> None:
    payload, count = example(row)
    for length in range(len(payload)):
        with pytest.raises(WireError):
            direction(row).decode(payload[:length], count, phase(row))


def test_more_connections_than_a_batch_holds_are_refused() -> None:
    body = join_connections([encode_connection(1, ANY_PEER)] * (MAX_BATCH + 1))
    row = next(row for row in TABLE if row.message is Known)
    with pytest.raises(WireError, match=f"{MAX_BATCH + 1} entries"):
        direction(row).decode(bytes((row.kind,)) + body, 0)


def test_the_longest_datagram_is_carried_and_no_longer_one() -> None:
    there = Direction.of(Role.ACCEPTOR, Role.MASTER)
    longest = Deliver(2**64 - 1, bytes(MAX_DATAGRAM_BYTES))
    assert there.decode(there.encode(longest), 1) == longest
    with pytest.raises(WireError):
        there.decode(there.encode(Deliver(1, bytes(MAX_DATAGRAM_BYTES + 1))), 1)


def test_an_address_family_that_no_listener_has_is_refused() -> None:
    body = bytearray(join_connections([encode_connection(1, ANY_PEER)]))
    body[2 + 8] = int(socket.AF_PACKET)
    row = next(row for row in TABLE if row.message is Known)
    with pytest.raises(WireError, match="address family 17"):
        direction(row).decode(bytes((row.kind,)) + bytes(body), 0)


# --- types of fields ---


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"[true,0]", "Ping.number: bool where int belongs"),
        (b"[1.0,0]", "Ping.number: float where int belongs"),
        (b'["1",0]', "Ping.number: str where int belongs"),
        (b"[null,0]", "Ping.number: NoneType where int belongs"),
        (b"[[1],0]", "Ping.number: list where int belongs"),
        (b"[1]", "Ping: 1 fields where 2 belong"),
        (b"[1,0,0]", "Ping: 3 fields where 2 belong"),
        (b'{"number":1}', "Ping: not a list"),
        (b"", "Ping: "),
    ],
)
def test_a_field_of_another_type_is_refused(body: bytes, problem: str) -> None:
    there = Direction.of(Role.MASTER, Role.ACCEPTOR)
    with pytest.raises(WireError) as caught:
        there.decode(bytes((there.by_message[Ping].kind,)) + body, 0)
    assert str(caught.value).startswith(problem)


def test_a_number_that_no_float_can_hold_is_refused() -> None:
    there = Direction.of(Role.MASTER, Role.ACCEPTOR)
    payload = there.encode(ServiceUp(1, _SETTINGS)).replace(b"10.0", b"1" + b"0" * 400)
    with pytest.raises(WireError, match=r"ServiceSettings\.timeout_stop_s"):
        there.decode(payload, 0)


def test_a_whole_number_serves_as_a_float() -> None:
    there = Direction.of(Role.MASTER, Role.ACCEPTOR)
    payload = there.encode(ServiceUp(1, _SETTINGS)).replace(b"10.0", b"10")
    assert there.decode(payload, 0) == ServiceUp(1, _SETTINGS)
