"""Opening hours: what is taken, what is said of the rest, and the week minute by minute."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.errors import UnitError
from superd.policy.calendar import Calendar, Hours, parse_hours

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = 24 * 60
_WEEK = 7 * _DAY
_EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)


def at(text: str) -> tuple[int, int]:
    """Weekday and minute of the day of ``Mon 08:00``."""
    day, _, time = text.partition(" ")
    hour, _, minute = time.partition(":")
    return _DAYS.index(day), int(hour) * 60 + int(minute)


def calendar(*texts: str) -> Calendar:
    return Calendar([parse_hours(text) for text in texts])


@pytest.mark.parametrize(
    ("text", "days", "times"),
    [
        ("Mon..Fri 08:00-18:00", (0, 1, 2, 3, 4), ((480, 1080),)),
        ("Sat,Sun 10:00-12:30", (5, 6), ((600, 750),)),
        ("08:00-18:00", _EVERY_DAY, ((480, 1080),)),
        ("8:00-18:00", _EVERY_DAY, ((480, 1080),)),
        ("Mon..Fri", (0, 1, 2, 3, 4), ((0, 1440),)),
        ("22:00-06:00", _EVERY_DAY, ((1320, 1800),)),
        ("22:00-00:00", _EVERY_DAY, ((1320, 1440),)),
        ("00:00-24:00", _EVERY_DAY, ((0, 1440),)),
        ("Mon,Wed..Fri 08:00-12:00,13:00-18:00", (0, 2, 3, 4), ((480, 720), (780, 1080))),
        ("Sat..Mon", (0, 5, 6), ((0, 1440),)),
        ("Tue..Tue", (1,), ((0, 1440),)),
        ("wednesday,THURSDAY 00:00-00:01", (2, 3), ((0, 1),)),
    ],
)
def test_an_expression(text: str, days: tuple[int, ...], times: tuple[tuple[int, int], ...]) -> None:
    assert parse_hours(text) == Hours(text, days, times)


_USAGE = 'write "Mon..Fri 08:00-18:00", "Sat,Sun" or "22:00-06:00"'
_GARBAGE = f"not weekdays and times of day; {_USAGE}"
_NO_RANGE = 'not a time of day with begin and end; write "08:00-18:00"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Mon-Fri", 'weekdays not joined by ".."; write "Mon..Fri"'),
        ("Mon\u2026Fri 08:00-18:00", 'weekdays not joined by ".."; write "Mon..Fri 08:00-18:00"'),
        ("Mon-Fri 9-17", 'weekdays not joined by ".."; write "Mon..Fri 09:00-17:00"'),
        ("9-17", 'times not as HH:MM; write "09:00-17:00"'),
        ("0830-1745", 'times not as HH:MM; write "08:30-17:45"'),
        ("8.30-18", 'times not as HH:MM; write "08:30-18:00"'),
        ("8h-18h30", 'times not as HH:MM; write "08:00-18:30"'),
        ("9am-5:30 PM", 'times not as HH:MM; write "09:00-17:30"'),
        ("12am-12pm", 'times not as HH:MM; write "00:00-12:00"'),
        ("08:00:00-18:00:00", 'times not as HH:MM; write "08:00-18:00"'),
        ("08:00..18:00", 'times not joined by "-"; write "08:00-18:00"'),
        ("08:00\u201318:00", 'a dash of another length; write "08:00-18:00"'),
        ("Mon..Fri  08:00 - 18:00 ", 'a blank too many; write "Mon..Fri 08:00-18:00"'),
        ("Mon, Wed\n", 'a blank too many; write "Mon,Wed"'),
        ("Mon Wed 08:00-18:00", 'a blank for a comma; write "Mon,Wed 08:00-18:00"'),
        ("08:00-12:00 13:00-18:00", 'a blank for a comma; write "08:00-12:00,13:00-18:00"'),
        ("08:00-18:00 Mon..Fri", 'days after the times; write "Mon..Fri 08:00-18:00"'),
        ("Mon,08:00-18:00", 'no blank before the times; write "Mon 08:00-18:00"'),
        ("weekdays 08:00-18:00", 'a word for several days; write "Mon..Fri 08:00-18:00"'),
        ("Mon *-*-* 08:00-18:00", 'a date; write "Mon 08:00-18:00"'),
        ("24:00-06:00", '24:00 as a begin; write "00:00-06:00", of the next day'),
        ("08:00-08:00", 'begin and end are the same; write "00:00-24:00" if the whole day is meant'),
        ("24:00-00:00", 'begin and end are the same; write "00:00-24:00" if the whole day is meant'),
        ("08:00-24:01", 'no time 24:01; write "00:00" to "24:00"'),
        ("08:60-09:00", 'no time 08:60; write "00:00" to "24:00"'),
        ("9-25", 'no time 25:00; write "00:00" to "24:00"'),
        ("Mo..Fr", 'no day "Mo"; write Mon, Tue, Wed, Thu, Fri, Sat or Sun'),
        ("always", 'no day "always"; write Mon, Tue, Wed, Thu, Fri, Sat or Sun'),
        ("08:00", _NO_RANGE),
        ("08:00-", _NO_RANGE),
        ("Mon 08:00-18:00,", _NO_RANGE),
        ("2026-12-24", _NO_RANGE),
        ("08:00-18:00:30", _NO_RANGE),
        ("", _GARBAGE),
        ("Mon..", _GARBAGE),
        ("..Fri", _GARBAGE),
        ("Mon,,Wed", _GARBAGE),
        ("Mon..Wed..Fri", _GARBAGE),
        ("*", _GARBAGE),
        ("٠٨:00-18:00", _GARBAGE),
        ("08:00-18:00\0", _GARBAGE),
        pytest.param("M" * 301, "301 characters; write several expressions, each of at most 300", id="long"),
    ],
)
def test_what_is_no_expression_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(UnitError) as raised:
        parse_hours(text)
    assert str(raised.value) == message


@given(st.text(alphabet="MonTueFri0123456789:.,- ampm*", max_size=30) | st.text(max_size=20))
def test_what_a_remedy_names_is_taken(text: str) -> None:
    try:
        parse_hours(text)
    except UnitError as error:
        assert error.problem
        assert error.remedy.startswith("write ")
        for one in re.findall(r'"([^"]*-[^"]*)"', error.remedy):
            parse_hours(one)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("Mon 07:59", ""),
        ("Mon 08:00", "Mon..Fri 08:00-18:00"),
        ("Fri 17:59", "Mon..Fri 08:00-18:00"),
        ("Fri 18:00", ""),
        ("Sat 12:00", ""),
    ],
)
def test_the_end_is_no_part_of_the_hours(moment: str, text: str) -> None:
    assert calendar("Mon..Fri 08:00-18:00").is_open(*at(moment)) == text


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        *(("Sun 21:59", False), ("Sun 22:00", True), ("Mon 00:00", True), ("Mon 05:59", True)),
        *(("Mon 06:00", False), ("Mon 22:00", False), ("Sun 05:59", False)),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(moment: str, is_open: bool) -> None:
    assert bool(calendar("Sun 22:00-06:00").is_open(*at(moment))) == is_open


def test_the_first_expression_that_has_the_minute_is_named() -> None:
    hours = calendar("Mon", "08:00-18:00")
    assert hours.is_open(*at("Mon 09:00")) == "Mon"
    assert hours.is_open(*at("Tue 09:00")) == "08:00-18:00"


@pytest.mark.parametrize(
    ("moment", "minutes"),
    [
        ("Mon 07:30", 30),
        ("Mon 08:00", 600),
        ("Mon 17:59", 1),
        ("Fri 18:00", 62 * 60),
        ("Sun 23:59", 481),
    ],
)
def test_how_long_until_it_opens_or_closes(moment: str, minutes: int) -> None:
    assert calendar("Mon..Fri 08:00-18:00").minutes_to_change(*at(moment)) == minutes


def test_what_goes_on_in_another_expression_is_no_change() -> None:
    assert calendar("08:00-12:00", "12:00-18:00").minutes_to_change(*at("Mon 11:00")) == 7 * 60


def test_what_is_always_open_or_always_closed_never_changes() -> None:
    assert calendar("Mon..Sun").minutes_to_change(*at("Wed 12:00")) is None
    assert calendar("00:00-12:00", "12:00-24:00").minutes_to_change(*at("Wed 12:00")) is None
    assert calendar().minutes_to_change(*at("Wed 12:00")) is None
    assert calendar().is_open(*at("Wed 12:00")) == ""


_spans = st.tuples(st.integers(0, 1439), st.integers(0, 1440)).filter(lambda span: span[0] != span[1])
_expressions = st.tuples(
    st.lists(st.integers(0, 6), min_size=1, max_size=4, unique=True),
    st.lists(_spans, min_size=1, max_size=3),
)


def _written(days: list[int], spans: list[tuple[int, int]]) -> str:
    def time(minute: int) -> str:
        return f"{minute // 60:02}:{minute % 60:02}"

    return (
        ",".join(_DAYS[day] for day in days)
        + " "
        + ",".join(f"{time(begin)}-{time(end)}" for begin, end in spans)
    )


def _obvious(days: list[int], spans: list[tuple[int, int]]) -> set[int]:
    """Every open minute of the week, each span walked from its begin to its end."""
    found = set()
    for day in days:
        for begin, end in spans:
            minute = begin
            while minute % _DAY != end % _DAY or minute == begin:
                found.add((day * _DAY + minute) % _WEEK)
                minute += 1
    return found


@given(st.lists(_expressions, max_size=3))
def test_the_week_minute_by_minute(expressions: list[tuple[list[int], list[tuple[int, int]]]]) -> None:
    texts = [_written(*expression) for expression in expressions]
    minutes = [_obvious(*expression) for expression in expressions]
    hours = calendar(*texts)
    week = [
        next((text for text, found in zip(texts, minutes, strict=True) if minute in found), "")
        for minute in range(_WEEK)
    ]
    assert [hours.is_open(*divmod(minute, _DAY)) for minute in range(_WEEK)] == week

    changes = [minute for minute in range(_WEEK) if bool(week[minute]) != bool(week[minute - 1])]
    for now in range(0, _WEEK, 97):
        expected = min(((change - now - 1) % _WEEK + 1 for change in changes), default=None)
        assert hours.minutes_to_change(*divmod(now, _DAY)) == expected
