"""When a service is open: weekdays and times of day, after the calendar events of systemd.time(7).

``Mon..Fri 08:00-18:00`` is open from 08:00 and closed from 18:00. Time here is a minute of a weekday, of whatever
clock the caller lives by.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

from attrs import frozen

from superd.errors import UnitError

_DAY = 24 * 60  # minutes
_WEEK = 7 * _DAY
_MAX_TEXT = 300  # characters of one expression

_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WEEKDAYS = {word.lower(): number for number, name in enumerate(_NAMES) for word in (name, name[:3])}
_EXPRESSION = re.compile(r"(?:([A-Za-z][A-Za-z.,]*)(?:\Z| (?=[0-9])))?([0-9:,-]*)")
_RANGE = re.compile(r"([0-9]{1,2}:[0-9]{2})-([0-9]{1,2}:[0-9]{2})")


@frozen
class Hours:
    """One expression.

    Args:
        text: as it is written.
        days: the weekdays in order, Monday being 0.
        times: begin and end in minutes of the day, the end exclusive; an end past 1440 is on the next day.
    """

    text: str
    days: tuple[int, ...]
    times: tuple[tuple[int, int], ...]

    def spans(self) -> Iterator[tuple[int, int]]:
        """Begin and end in minutes of the week; what goes on after Sunday is two of them."""
        for day in self.days:
            for begin, end in self.times:
                first, last = day * _DAY + begin, day * _DAY + end
                yield first, min(last, _WEEK)
                if last > _WEEK:
                    yield 0, last - _WEEK


def parse_hours(text: str) -> Hours:
    """Parse weekdays, times of day or both: ``Mon,Wed..Fri 08:00-12:00,13:00-18:00``.

    Without days it is every day, without times the whole day. ``22:00-06:00`` belongs to the day on which it begins,
    and ``Sat..Mon`` goes on after Sunday.

    Raises:
        UnitError: it is no such text; the remedy is what was probably meant.

    Source: systemd.time(7), "Calendar events".
    """
    if len(text) > _MAX_TEXT:
        raise UnitError(f"{len(text)} characters", f"write several expressions, each of at most {_MAX_TEXT}")
    try:
        return _parse(text)
    except UnitError as error:
        raise _explain(text, error) from None


def _parse(text: str) -> Hours:
    match = _EXPRESSION.fullmatch(text)
    if match is None or not text:
        raise _garbage()
    days, times = match.groups()
    return Hours(text, _days(days) if days else tuple(range(7)), _times(times) if times else ((0, _DAY),))


def _garbage() -> UnitError:
    return UnitError(
        "not weekdays and times of day", 'write "Mon..Fri 08:00-18:00", "Sat,Sun" or "22:00-06:00"'
    )


def _days(text: str) -> tuple[int, ...]:
    days: set[int] = set()
    for item in text.split(","):
        first, _, last = item.partition("..")
        begin, end = _weekday(first), _weekday(last if ".." in item else first)
        days.update(day % 7 for day in range(begin, end + 1 if begin <= end else end + 8))
    return tuple(sorted(days))


def _weekday(word: str) -> int:
    number = _WEEKDAYS.get(word.lower())
    if number is not None:
        return number
    if not word.isalpha():
        raise _garbage()
    raise UnitError(f'no day "{word}"', "write Mon, Tue, Wed, Thu, Fri, Sat or Sun")


def _times(text: str) -> tuple[tuple[int, int], ...]:
    times = []
    for item in text.split(","):
        match = _RANGE.fullmatch(item)
        if match is None:
            raise UnitError("not a time of day with begin and end", 'write "08:00-18:00"')
        begin, end = _minutes(match[1]), _minutes(match[2])
        if begin == end or (begin, end) == (_DAY, 0):
            raise UnitError("begin and end are the same", 'write "00:00-24:00" if the whole day is meant')
        if begin == _DAY:
            raise UnitError("24:00 as a begin", f'write "00:00-{match[2]}", of the next day')
        times.append((begin, end if begin < end else end + _DAY))
    return tuple(times)


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    if int(minutes) > 59 or int(hours) * 60 + int(minutes) > _DAY:
        raise UnitError(f"no time {text}", 'write "00:00" to "24:00"')
    return int(hours) * 60 + int(minutes)


class Calendar:
    """The week of a service, cut into stretches that are open or closed.

    Args:
        hours: when it is open; without any it never is.
    """

    def __init__(self, hours: Sequence[Hours]) -> None:
        spans = [(begin, end, one.text) for one in hours for begin, end in one.spans()]
        cuts = {0} | {begin for begin, _, _ in spans} | {end for _, end, _ in spans if end < _WEEK}
        self._starts: list[int] = sorted(cuts)
        self._texts = [_first(spans, start) for start in self._starts]

    def is_open(self, weekday: int, minute: int) -> str:
        """The text of the first expression that has the minute; empty when it is closed.

        Args:
            weekday: 0 to 6, Monday being 0.
            minute: of the day, 0 to 1439.
        """
        return self._texts[bisect_right(self._starts, weekday * _DAY + minute) - 1]

    def minutes_to_change(self, weekday: int, minute: int) -> int | None:
        """How long until it is closed when it is open, and open when it is closed; None when it always is the same.

        Args:
            weekday, minute: as for ``is_open``.

        Returns:
            1 to 10,079 minutes from the beginning of that minute.
        """
        now = weekday * _DAY + minute
        at = bisect_right(self._starts, now) - 1
        for step in range(1, len(self._starts)):
            index = (at + step) % len(self._starts)
            if bool(self._texts[index]) != bool(self._texts[at]):
                return (self._starts[index] - now) % _WEEK
        return None


def _first(spans: Sequence[tuple[int, int, str]], minute: int) -> str:
    return next((text for begin, end, text in spans if begin <= minute < end), "")


_Rewriting = Callable[[str], str]


def _replace(pattern: str, replacement: str | Callable[[re.Match[str]], str]) -> _Rewriting:
    return lambda text: re.sub(pattern, replacement, text)


def _time(match: re.Match[str]) -> str:
    """``9``, ``9.30``, ``0930``, ``09:30:00`` and ``9:30 am`` in hours and minutes."""
    hour, minute, half = int(match[1]), match[2] or "00", (match[3] or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    return f"{hour:02}:{minute}"


_WORDS = {"weekdays": "Mon..Fri", "weekends": "Sat,Sun", "weekend": "Sat,Sun", "daily": "Mon..Sun"}
_DAYS = "[A-Za-z]+"

# All are applied one after the other; the first that changes something names the fault.
_REWRITINGS: tuple[tuple[str, _Rewriting], ...] = (
    ("a dash of another length", _replace("[\u2012-\u2015]", "-")),
    ("a blank too many", lambda text: re.sub(r"\s*(,|-|\.\.)\s*", r"\1", " ".join(text.split()))),
    ("a word for several days", _replace(_DAYS, lambda match: _WORDS.get(match[0].lower(), match[0]))),
    ("a date", _replace(r"\*-\*-\*\s*", "")),
    ('weekdays not joined by ".."', _replace(rf"({_DAYS})(?:-|\.\.\.|\u2026)({_DAYS})", r"\1..\2")),
    ('times not joined by "-"', _replace(r"(?<=[0-9])\.\.(?=[0-9])", "-")),
    (
        "times not as HH:MM",
        _replace(r"([0-9]{1,2})(?:[:.h]?([0-9]{2})|h)?(?::00)?(?: ?([AaPp][Mm])\b)?(?![0-9:])", _time),
    ),
    ("days after the times", _replace(rf"([0-9][0-9:,-]*),? ({_DAYS}[A-Za-z.,]*)", r"\2 \1")),
    ("a blank for a comma", _replace(r"(?<=[0-9]) (?=[0-9])|(?<=[A-Za-z]) (?=[A-Za-z])", ",")),
    ("no blank before the times", _replace(r"(?<=[A-Za-z]),?(?=[0-9])", " ")),
)


def _explain(text: str, error: UnitError) -> UnitError:
    """The fault whose remedy is what was meant; the fault that was found when that is no better."""
    meant, problem = text, ""
    for name, rewriting in _REWRITINGS:
        before, meant = meant, rewriting(meant)
        problem = problem or (name if meant != before else "")
    try:
        _parse(meant)
    except UnitError as deeper:
        return deeper if problem else error
    return UnitError(problem, f'write "{meant}"')
