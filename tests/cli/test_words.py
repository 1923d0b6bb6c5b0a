"""Words of superctl's command line."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.cli.words import UsageError, parse_assignments, parse_time, parse_value, tune_request


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10/s", "10/s"),
        ("5", 5),
        ("8.5", 8.5),
        ("true", True),
        ('["192.0.2.1", "192.0.2.2"]', ["192.0.2.1", "192.0.2.2"]),
        ('"quoted"', "quoted"),
        ("infinity", "infinity"),
        ("nan", "nan"),
        ("-inf", "-inf"),
        ("08:00", "08:00"),  # a time to TOML
        ("2026-01-01", "2026-01-01"),
        ("{ a = 1 }", "{ a = 1 }"),
        ("1\nother = 2", "1\nother = 2"),
        ("", ""),
    ],
)
def test_values_are_toml_where_they_are(text: str, value: object) -> None:
    assert parse_value(text) == value


@given(st.text())
def test_any_text_is_a_value(text: str) -> None:
    parse_value(text)


def test_a_bare_key_is_a_limit() -> None:
    assert parse_assignments(["rate=1/s", "access.hosts_access = true"]) == {
        "limits.rate": "1/s",
        "access.hosts_access": True,
    }


@pytest.mark.parametrize("words", [["rate"], ["=5"], ["rate=1/s", "limits.rate=2/s"]])
def test_what_is_no_assignment_is_refused(words: list[str]) -> None:
    with pytest.raises(UsageError):
        parse_assignments(words)


def test_a_span_must_be_one_and_does_not_go_with_saving() -> None:
    assert tune_request(["rate=1/s"], "10min", save=False, reset=False)["seconds"] == 600
    rate = ["rate=1/s"]
    for words, span, save in (
        ([], None, False),
        (rate, "10", False),
        (rate, "0s", False),
        (rate, "10s", True),
    ):
        with pytest.raises(UsageError):
            tune_request(words, span, save=save, reset=False)
    assert tune_request([], None, save=False, reset=True)["values"] == {}


def test_times_are_local_and_without_a_date_todays() -> None:
    now = time.mktime((2026, 12, 24, 12, 0, 0, 0, 0, -1))
    assert time.localtime(parse_time("18:30", now))[:5] == (2026, 12, 24, 18, 30)
    assert time.localtime(parse_time("2026-01-02 03:04:05", now))[:6] == (2026, 1, 2, 3, 4, 5)
    with pytest.raises(UsageError, match='write "18:30"'):
        parse_time("noon", now)
