"""Counts that the next acceptor goes on from."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.acceptor.counts import Counts, parse_counts
from superd.policy.reason import Reason

COUNT = st.integers(0, 2**53)
VALUE = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())


@given(COUNT, st.dictionaries(st.sampled_from(list(Reason)), COUNT))
def test_the_text_says_all(accepted: int, refused: dict[str, int]) -> None:
    counts = Counts(accepted, refused)
    assert parse_counts(str(counts)) == counts
    assert "\n" not in str(counts)


@given(
    st.text()
    | st.fixed_dictionaries(
        {"accepted": VALUE, "refused": VALUE | st.dictionaries(st.sampled_from(list(Reason)), VALUE)}
    ).map(json.dumps)
)
def test_whatever_else_is_read_it_is_counts_or_a_value_error(text: str) -> None:
    try:
        counts = parse_counts(text)
    except ValueError:
        return
    assert parse_counts(str(counts)) == counts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[" * 100_000,
        "null",
        '{"accepted": 1}',
        '{"accepted": -1, "refused": {}}',
        '{"accepted": true, "refused": {}}',
        '{"accepted": 1.5, "refused": {}}',
        '{"accepted": 1e999, "refused": {}}',
        '{"accepted": 99999999999999999999, "refused": {}}',
        '{"accepted": 1, "refused": []}',
        '{"accepted": 1, "refused": {"colour": 1}}',
        '{"accepted": 1, "refused": {"rate": null}}',
    ],
)
def test_what_somebody_left_in_their_place_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no counts"):
        parse_counts(text)
