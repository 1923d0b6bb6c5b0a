"""What people write for an address or a network that is none here, and what they mean by it.

Most of it is right elsewhere: in hosts.allow, in xinetd.conf, in a browser, in the configuration of a router.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from attrs import frozen

from superd.errors import UnitError

_MAX_TEXT = 300  # characters; nothing longer is looked at closely
_MAX_MEANT = 8  # texts that one remedy names

_EVERYONE = frozenset({"ALL", "ANY", "*", "EVERYONE"})
_BY_NAME = frozenset({"LOCAL", "KNOWN", "UNKNOWN", "PARANOID", "EXCEPT"})  # hosts_access(5)

WORDS = _EVERYONE | _BY_NAME
"""What could be a host name, but has a meaning elsewhere; in capitals."""

_USAGE = 'write "192.0.2.1" or "192.0.2.0/24"'
_Meant = Callable[[re.Match[str]], list[str]]


@frozen
class _Spelling:
    """One way to write it elsewhere."""

    pattern: re.Pattern[str]
    problem: str
    meant: _Meant


def _format(form: str) -> _Meant:
    return lambda match: [form.format(*match.groups(default=""))]


def _split(match: re.Match[str]) -> list[str]:
    return re.findall(r"[^\s,]+", match.group())


def _pad(match: re.Match[str]) -> list[str]:
    """``10.`` and ``10.*`` are ``10.0.0.0/8``; ``10/8`` is ``10.0.0.0/8``."""
    numbers = re.findall(r"[0-9]+", match.group(1))
    length = match.group(2) or f"/{8 * len(numbers)}"
    return [".".join([*numbers, *["0"] * (4 - len(numbers))]) + length]


def _factors(match: re.Match[str]) -> list[str]:
    """``192.168.{1,2}`` is two networks, ``192.168.1.{1,2}`` two addresses."""
    numbers = match.group(1).split(".")[:-1]
    zeros = 3 - len(numbers)
    end = ".0" * zeros + (f"/{32 - 8 * zeros}" if zeros else "")
    return [f"{match.group(1)}{last.strip()}{end}" for last in match.group(2).split(",")]


def _without_zeros(match: re.Match[str]) -> list[str]:
    return [re.sub(r"(?<![0-9A-Fa-f])0+(?=[0-9])", "", match.group())]


def _prefix(match: re.Match[str]) -> list[str]:
    """A netmask is a length when its ones come first; nothing is meant by another one."""
    numbers = [int(number) for number in match.group(2).split(".")]
    if max(numbers) > 255:
        return []
    bits = "".join(f"{number:08b}" for number in numbers)
    return [] if "01" in bits else [f"{match.group(1)}/{bits.count('1')}"]


def _spelling(pattern: str, problem: str, meant: _Meant) -> _Spelling:
    return _Spelling(re.compile(pattern, re.DOTALL), problem, meant)


_FOUR = r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+"
_LENGTH = r"(/[0-9]+)?"
_ZERO = r"(?<![0-9A-Fa-f])0[0-9]"

# The first row that fits and leads to something that is right answers.
_SPELLINGS = (
    _spelling(r"(?=\s|.*\s\Z)\s*(\S.*?)\s*", "a blank around it", _format("{0}")),
    _spelling(rf"({_FOUR})\s+((?:255|0)\.[0-9.]+)", "a netmask", _format("{0}/{1}")),
    _spelling(r"(\S+)\s*/\s*([0-9.]+)", "a blank in it", _format("{0}/{1}")),
    _spelling(r"[^\s,{}]+(?:[\s,]+[^\s,{}]+)+,?", "several in one text", _split),
    _spelling(r"((?:[0-9]+\.){1,3})\{([0-9,\s]+)\}", "several in one text", _factors),
    _spelling(rf"\[([^\[\]]*)\]{_LENGTH}", "brackets", _format("{0}{1}")),
    _spelling(r"\[([^\[\]]*)\]:[0-9A-Za-z-]+", "a port", _format("{0}")),
    _spelling(r"([^\s:/\[\]]+):[0-9]+", "a port", _format("{0}")),
    _spelling(rf"([0-9A-Fa-f:.]+)%[^/]*{_LENGTH}", "an interface", _format("{0}{1}")),
    _spelling(r"((?:[0-9]+\.){1,3})()", "not a whole address", _pad),
    _spelling(r"((?:[0-9]+\.){1,3})(?:\*\.){0,2}\*()", "not a whole address", _pad),
    _spelling(r"([0-9]+(?:\.[0-9]+){0,2})(/[0-9]+)", "not a whole address", _pad),
    _spelling(rf"({_FOUR})/({_FOUR})", "a netmask", _prefix),
    _spelling(r"([A-Za-z0-9.-]+[A-Za-z0-9-])\.", "a dot at its end", _format("{0}")),
    _spelling(rf"(?=.*{_ZERO})(?:{_FOUR}{_LENGTH}|[0-9A-Fa-f:.]+/0[0-9]+)", "leading zeros", _without_zeros),
)

_DOMAIN = re.compile(r"\*?\.[A-Za-z0-9.-]+|@.+")
_RANGE = re.compile(r"[0-9A-Fa-f:.]+\s*-\s*[0-9A-Fa-f:.]+")
_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9._-]+(/[0-9]+)?")


def explain(text: str, parse: Callable[[str], object], *, names: bool = False) -> UnitError:
    """What is wrong with a text that is no address and no network.

    Args:
        text: what was written.
        parse: takes what is right, and raises ``UnitError`` for anything else; what it takes may be a remedy.
        names: host names are right too.
    """
    if len(text) <= _MAX_TEXT:
        for spelling in _SPELLINGS:
            match = spelling.pattern.fullmatch(text)
            if match is None:
                continue
            meant = [one for one in spelling.meant(match) if one != text]
            if 0 < len(meant) <= _MAX_MEANT:
                error = _try(spelling.problem, meant, parse)
                if error.remedy != _USAGE:
                    return error
    return _otherwise(text, names)


def _try(problem: str, meant: list[str], parse: Callable[[str], object]) -> UnitError:
    """The fault whose remedy is what is meant; when that is faulty too, the fault of that."""
    try:
        for one in meant:
            parse(one)
    except UnitError as error:
        return error
    return UnitError(problem, "write " + ", ".join(f'"{one}"' for one in meant))


def _otherwise(text: str, names: bool) -> UnitError:
    shown = text[:_MAX_TEXT]
    if text.upper() in _EVERYONE:
        return UnitError("a word", 'write "0.0.0.0/0", "::/0" if everyone is meant')
    if text.upper() in _BY_NAME or _DOMAIN.fullmatch(shown):
        return UnitError("hosts by their names", "write the networks that they are in")
    if shown.endswith("/"):
        return UnitError("no prefix length", _USAGE)
    if _RANGE.fullmatch(shown):
        return UnitError("a range", "write the networks that it is made of")
    if shown and not shown.strip("0123456789./"):
        return UnitError("not an IPv4 address", "write four numbers of 0 to 255, without leading zeros")
    if shown and ":" in shown and not shown.strip("0123456789abcdefABCDEF:./"):
        return UnitError("not an IPv6 address", 'write "2001:db8::1" or "2001:db8::/32"')
    if _NAME.fullmatch(shown) and not names:
        return UnitError("a host name", "write its address")
    return UnitError("not a host name, address or network" if names else "not an address or network", _USAGE)
