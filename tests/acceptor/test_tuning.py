"""What was tuned: layers, ends, and the note that the next acceptor reads."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.acceptor.tuning import Passing, Tuning, parse_note

KEYS = st.sampled_from(["limits.rate", "limits.burst", "access.deny"])
VALUES = st.one_of(
    st.integers(), st.text(max_size=5), st.booleans(), st.lists(st.text(max_size=3), max_size=2)
)


@given(
    st.dictionaries(KEYS, VALUES),
    st.frozensets(KEYS),
    st.dictionaries(KEYS, st.builds(Passing, VALUES, st.floats(0, 1e10))),
)
def test_a_note_says_all(
    lasting: dict[str, object], saved: frozenset[str], passing: dict[str, Passing]
) -> None:
    tuning = Tuning(lasting, saved, passing)
    if tuning:
        assert parse_note(tuning.note()) == tuning
    else:
        assert tuning.note() == "" and not parse_note("")


def test_a_passing_value_stands_above_a_lasting_one_and_leaves_it() -> None:
    tuning = (
        Tuning().set({"limits.rate": "5/s"}, None, saved=True).set({"limits.rate": "1/s"}, 10.0, saved=False)
    )
    assert tuning.values == {"limits.rate": "1/s"}
    assert tuning.next_end == 10.0
    later = tuning.at(10.0)
    assert later.values == {"limits.rate": "5/s"}
    assert later.saved == {"limits.rate"} and later.next_end is None


def test_a_lasting_value_ends_the_passing_one() -> None:
    tuning = (
        Tuning().set({"limits.rate": "1/s"}, 10.0, saved=False).set({"limits.rate": "5/s"}, None, saved=False)
    )
    assert tuning.passing == {} and tuning.values == {"limits.rate": "5/s"}


def test_once_the_configuration_is_read_what_was_saved_is_its_own() -> None:
    tuning = (
        Tuning().set({"limits.rate": "5/s"}, None, saved=True).set({"limits.burst": 3}, None, saved=False)
    )
    assert tuning.unsaved().values == {"limits.burst": 3}
    unsaved_again = tuning.set({"limits.rate": "6/s"}, None, saved=False)
    assert unsaved_again.unsaved().values == {"limits.rate": "6/s", "limits.burst": 3}


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
NOTES = st.one_of(
    ANYTHING, st.fixed_dictionaries({"lasting": ANYTHING, "saved": ANYTHING, "passing": ANYTHING})
)


@given(st.one_of(st.text(max_size=20), NOTES.map(json.dumps)))
def test_whatever_else_is_read_it_is_a_note_or_a_value_error(text: str) -> None:
    """Each new acceptor reads it: another error would end one after the other."""
    try:
        tuning = parse_note(text)
    except ValueError:
        return
    assert parse_note(tuning.at(0.0).note()).values == tuning.at(0.0).values


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"lasting": {}, "saved": [[]], "passing": {}}',
        '{"lasting": {"limits.rate": "1/s"}, "saved": [null, false], "passing": {}}',
        '{"lasting": {}, "saved": [], "passing": {"limits.rate": ["1/s"]}}',
        '{"lasting": {}, "saved": [], "passing": {"limits.rate": ["1/s", NaN]}}',
        '{"lasting": {}, "saved": [], "passing": {"limits.rate": ["1/s", %s]}}' % ("9" * 400),
    ],
)
def test_what_somebody_left_in_place_of_a_note_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="not a note"):
        parse_note(text)
