"""Durations and sizes: what systemd.time(7) takes, and nothing that an administrator did not mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.errors import UnitError
from superd.units import format_duration, format_size, parse_duration, parse_size

_TEN_YEARS_US = 10 * 31_557_600 * 1_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("5min", 300.0),
        ("1h 30min", 5_400.0),
        ("1h30min", 5_400.0),
        (" 2 h ", 7_200.0),
        ("1.5h", 5_400.0),
        ("250ms", 0.25),
        ("7us", 0.000_007),
        ("7 µs", 0.000_007),
        ("1d", 86_400.0),
        ("2 weeks", 1_209_600.0),
        ("1M", 2_629_800.0),
        ("1y", 31_557_600.0),
        ("0s", 0.0),
        ("5m", 300.0),
    ],
)
def test_a_duration_means_what_it_means_to_systemd(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


def test_infinity_is_taken_only_where_it_is_allowed() -> None:
    assert parse_duration("infinity", infinity=-1) == -1
    with pytest.raises(UnitError, match=r'^may not be infinite; write "90s" or "1h 30min"$'):
        parse_duration("infinity")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (10, 'no unit; write "10s"'),
        (1.5, 'no unit; write "1.5s"'),
        ("10", 'no unit; write "10s"'),
        ("1h 30", 'no unit; write "1h 30s"'),
        ("30 1h", 'no unit; write "30s 1h"'),
        (-5, 'negative; write "90s" or "1h 30min"'),
        ("-5s", 'negative; write "90s" or "1h 30min"'),
        ("10 parsecs", 'unknown unit "parsecs"; write us, ms, s, min, h, d or w'),
        ("101y", 'too large; write at most "100y"'),
        ("9" * 70 + "s", 'too large; write at most "100y"'),
        ("9" * 5_000 + "s", 'not a duration; write "90s" or "1h 30min"'),
        pytest.param(10**5_000, 'not a duration; write "90s" or "1h 30min"', id="too many digits for str()"),
        (float("nan"), 'not a duration; write "90s" or "1h 30min"'),
        (float("inf"), 'not a duration; write "90s" or "1h 30min"'),
        (True, 'not a duration; write "90s" or "1h 30min"'),
        ([], 'not a duration; write "90s" or "1h 30min"'),
        ("", 'not a duration; write "90s" or "1h 30min"'),
        ("soon", 'not a duration; write "90s" or "1h 30min"'),
        ("1 h soon", 'not a duration; write "90s" or "1h 30min"'),
        ("٣s", 'not a duration; write "90s" or "1h 30min"'),
        ("5s;", 'not a duration; write "90s" or "1h 30min"'),
    ],
)
def test_what_is_no_duration_says_what_to_write(value: object, message: str) -> None:
    with pytest.raises(UnitError) as raised:
        parse_duration(value)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("16MiB", 16 << 20),
        ("512K", 512 << 10),
        ("1KiB", 1024),
        ("1G", 1 << 30),
        ("2T", 2 << 40),
        ("1.5M", 3 << 19),
        ("100B", 100),
        ("0B", 0),
        ("9223372036854775807B", (1 << 63) - 1),
    ],
)
def test_a_size_counts_in_powers_of_1024(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1024, 'no unit; write "1024B"'),
        ("1024", 'no unit; write "1024B"'),
        ("-1K", 'negative; write "16MiB"'),
        ("1kB", 'unknown unit "kB"; write B, KiB, MiB, GiB or TiB'),
        ("1G 5M", 'not a size; write "16MiB"'),
        ("8388608TiB", 'too large; write less than "8388608TiB"'),
        (False, 'not a size; write "16MiB"'),
        ("infinity", 'not a size; write "16MiB"'),
    ],
)
def test_what_is_no_size_says_what_to_write(value: object, message: str) -> None:
    with pytest.raises(UnitError) as raised:
        parse_size(value)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (5_400, "1h 30min"),
        (0.25, "250ms"),
        (604_800, "1w"),
        (-1, "infinity"),
        (float("inf"), "infinity"),
    ],
)
def test_a_duration_is_spelt_in_its_largest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0B"), (1_000, "1000B"), (16 << 20, "16MiB"), (-1, "infinity")]
)
def test_a_size_is_spelt_in_its_largest_unit(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(0, _TEN_YEARS_US))
def test_every_duration_reads_back_as_written(microseconds: int) -> None:
    seconds = microseconds / 1_000_000
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(0, (1 << 63) - 1))
def test_every_size_reads_back_as_written(size_bytes: int) -> None:
    assert parse_size(format_size(size_bytes)) == size_bytes


_ANYTHING = st.one_of(
    st.text(),
    st.text("0123456789.- smhdKMiBe", max_size=12),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(st.text()),
)


@given(_ANYTHING)
def test_nothing_but_a_unit_error_escapes(value: object) -> None:
    for parse in (parse_duration, parse_size):
        try:
            assert parse(value) >= 0
        except UnitError as error:
            assert error.problem
            assert error.remedy.startswith("write ")
