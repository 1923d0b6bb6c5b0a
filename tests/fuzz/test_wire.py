"""Whatever comes in on a link: it is a message that the table allows, or a WireError, and nothing else."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from helpers.messages import descriptors_of, messages
from hypothesis import given, settings
from hypothesis import strategies as st

from superd.errors import WireError
from superd.wire.codec import Direction
from superd.wire.table import TABLE, Phase, Role, Row

directions = pytest.mark.parametrize(
    ("sender", "receiver"), [pair for pair in itertools.permutations(Role, 2) if Direction.of(*pair).by_kind]
)
phases = st.sampled_from(Phase)
counts = st.integers(0, 300)


def swallow(row_or_direction: Row | Direction, payload: bytes, count: int, phase: Phase) -> Any:
    """Decode; a WireError is an answer, anything else fails the test."""
    there = row_or_direction
    if isinstance(there, Row):
        there = Direction.of(there.sender, there.receiver)
    try:
        return there.decode(payload, count, phase)
    except WireError as error:
        return error


@directions
@given(payload=st.binary(max_size=300), count=counts, phase=phases)
def test_any_bytes(sender: Role, receiver: Role, payload: bytes, count: int, phase: Phase) -> None:
    swallow(Direction.of(sender, receiver), payload, count, phase)


@pytest.mark.parametrize("row", TABLE, ids=[f"{row.kind}-{row.message.__name__}" for row in TABLE])
@settings(max_examples=40)
@given(data=st.data())
def test_a_damaged_message(row: Row, data: st.DataObject) -> None:
    message = data.draw(messages(row.message))
    payload = bytearray(Direction.of(row.sender, row.receiver).encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        cut = data.draw(st.integers(1, len(payload)))
        payload[cut : cut + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    swallow(row, bytes(payload), descriptors_of(message), data.draw(phases))


_NUMBERS = st.integers() | st.floats() | st.integers(300, 800).map(lambda digits: 10**digits)
_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=20,
)


@pytest.mark.parametrize("row", TABLE, ids=[f"{row.kind}-{row.message.__name__}" for row in TABLE])
@settings(max_examples=40)
@given(value=_JSON, phase=phases)
def test_any_json(row: Row, value: object, phase: Phase) -> None:
    swallow(row, bytes((row.kind,)) + json.dumps(value).encode(), 0, phase)


@pytest.mark.parametrize("row", TABLE, ids=[f"{row.kind}-{row.message.__name__}" for row in TABLE])
@pytest.mark.parametrize("opening", [b"[", b'{"":', b'["'])
def test_json_nested_without_end(row: Row, opening: bytes) -> None:
    body = opening * (row.max_bytes // len(opening))
    assert isinstance(swallow(row, bytes((row.kind,)) + body, 0, next(iter(row.phases))), WireError)
