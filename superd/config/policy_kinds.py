"""The kinds of values of ``[limits]``, ``[access]`` and ``[proxy_protocol]``.

Networks, names and hours are checked here and kept as text: what they mean is the policy's to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from superd.config.findings import reject, toml_text
from superd.config.kinds import Kind, parse_list, text_of
from superd.policy.access import parse_rule
from superd.policy.calendar import parse_hours
from superd.policy.networks import parse_network
from superd.policy.rules import NO_RATE, NS_PER_S, UNLIMITED, Rate

MAX_COUNT = 1_000_000
"""More connections, and more in one period, than any machine can have."""

PERIODS_NS = {"s": NS_PER_S, "min": 60 * NS_PER_S, "h": 3_600 * NS_PER_S, "d": 86_400 * NS_PER_S}
"""What may stand behind the slash of a rate."""

_RATE = re.compile(r"0*([0-9]{1,7})/([A-Za-z]+)")
_OTHER_UNITS = {
    word: unit
    for unit, words in {
        "s": "sec secs second seconds",
        "min": "m mins minute minutes",
        "h": "hr hrs hour hours",
        "d": "day days",
    }.items()
    for word in words.split()
}
_BARE = re.compile(r"[0-9]{1,7}")
_MAX_TEXT = 1_000  # characters of one network, name or expression
_HOW_OFTEN = 'write "50/s", "60/min", "1000/h" or "5/d"'


def _rate(value: object) -> Rate:
    if value == "infinity":
        return NO_RATE
    text = str(value) if isinstance(value, int) and 0 <= value <= MAX_COUNT else value
    if isinstance(value, bool) or not isinstance(text, str):
        raise reject("not a rate", _HOW_OFTEN)
    match = _RATE.fullmatch(text)
    if match is None:
        raise _no_rate(text)
    unit = match[2]
    if unit not in PERIODS_NS:
        meant = _OTHER_UNITS.get(unit.lower())
        remedy = f'write "{match[1]}/{meant}"' if meant else "write /s, /min, /h or /d"
        raise reject(f'unknown unit "{unit}"', remedy)
    count = int(match[1])
    if not 1 <= count <= MAX_COUNT:
        raise reject("out of range", f'write "1/{unit}" to "{MAX_COUNT}/{unit}", or "infinity"')
    return Rate(count, PERIODS_NS[unit])


def _no_rate(text: str) -> Exception:
    if _BARE.fullmatch(text):
        return reject("no unit", f'write "{text}/s"')
    squeezed = "".join(text.split())
    if squeezed != text and _RATE.fullmatch(squeezed):
        return reject("a blank in it", f'write "{squeezed}"')
    return reject("not a rate", _HOW_OFTEN)


def _count(value: object) -> int:
    if value == "infinity":
        return UNLIMITED
    if isinstance(value, bool) or not isinstance(value, int):
        raise reject("not an integer", f'write 1 to {MAX_COUNT}, without quotes, or "infinity"')
    if not 1 <= value <= MAX_COUNT:
        raise reject("out of range", f'write 1 to {MAX_COUNT}, or "infinity"')
    return value


def _load(value: object) -> float:
    if value == "infinity":
        return UNLIMITED
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise reject("not a number", 'write it as 8.0, without quotes, or "infinity"')
    if not 0.01 <= value <= 10_000:  # nan is not either
        raise reject("out of range", 'write 0.01 to 10000, or "infinity"')
    return float(value)


def _checked(value: object, parse: Callable[[str], object]) -> str:
    """A text that ``parse`` takes, as it is written."""
    text = text_of(value)
    if len(text) > _MAX_TEXT:
        raise reject("too long", f"use at most {_MAX_TEXT} characters an item")
    parse(text)
    return text


def inhabited(
    parse: Callable[[str], object], word: str, absent: str, example: Callable[[str], list[str]]
) -> Kind:
    """A list with something in it, since an empty one says nobody to one reader and everybody to the next.

    Args:
        parse: takes one item.
        word: what the items are called.
        absent: what to do about an empty list, other than to remove it.
        example: the list that is meant by a string in place of one.
    """

    def parse_all(value: object) -> tuple[str, ...]:
        meant = toml_text(example(value if isinstance(value, str) else ""))
        items = parse_list(value, lambda item: _checked(item, parse), meant)
        if not items:
            raise reject("an empty list", f"remove the key, or {absent}")
        return items

    return Kind(f"list of {word}", parse_all)


def _people(text: str) -> list[str]:
    return text.replace(",", " ").split() or ["192.0.2.0/24"]


def _times(text: str) -> list[str]:
    return [text or "Mon..Fri 08:00-18:00"]


RATE = Kind('rate or "infinity"', _rate)
COUNT = Kind(f'1 to {MAX_COUNT} or "infinity"', _count)
LOAD = Kind('0.01 to 10000 or "infinity"', _load)
NETWORKS = inhabited(parse_network, "addresses and networks", "name somebody", _people)
HOSTS = inhabited(parse_rule, "addresses, networks and host names", "name somebody", _people)
HOURS = inhabited(parse_hours, "hours", "say when", _times)
