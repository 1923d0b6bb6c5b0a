"""The kinds of values of ``[sandbox]``, as systemd.exec(5) has them, in TOML's own types."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from enum import StrEnum

from superd.config.capabilities import Capability
from superd.config.findings import reject
from superd.config.kinds import Kind, line_of, parse_list, strings, text_of
from superd.config.sandbox import ANY_PORT, UNLIMITED, Feature
from superd.config.sandbox_values import NONE, families, parse_family_string, parse_namespace_string
from superd.config.syscall_filter import parse_error_number, parse_filter_string
from superd.units import format_size, parse_size

_MAX_PATH = 4095
_MAX_TASKS = 4_194_304  # include/linux/threads.h PID_MAX_LIMIT
_MAX_MEMORY = 1 << 60
_MIN_MEMORY = 1 << 20
_MAX_PERCENT = 100 * 8192
_PERCENT = re.compile(r"0*([0-9]{1,7})%")


def switch(words: type[StrEnum]) -> Kind:
    """true, false, or one of a few words: the members of an enumeration, of which some are "true" and "false"."""
    spelt = {member: member.value in ("true", "false") for member in words}
    listing = [member.value if plain else f'"{member.value}"' for member, plain in spelt.items()]
    choices = f"{', '.join(listing[:-1])} or {listing[-1]}"

    def parse(value: object) -> StrEnum:
        text = str(value).lower() if isinstance(value, bool) else value
        for member, plain in spelt.items():
            if text == member.value and plain == isinstance(value, bool):
                return member
        raise reject("not one of its words", f"write {choices}")

    return Kind(choices, parse)


def _capability(value: object) -> str:
    text = text_of(value)
    if text.removeprefix("~") in Capability.__members__:
        return text
    near = difflib.get_close_matches(text.upper(), Capability.__members__, 1, 0.5)
    raise reject(
        "no capability", f'write "{near[0]}"' if near else 'write its name, as "CAP_NET_BIND_SERVICE"'
    )


def _capabilities(value: object) -> tuple[str, ...]:
    """As in systemd: with ``~`` at the first all but these."""
    items = parse_list(value, _capability, '["CAP_NET_BIND_SERVICE"], or [] for none')
    inverted = bool(items) and items[0].startswith("~")
    if any(item.startswith("~") for item in items[1:]) and not inverted:
        raise reject(
            "~ in front of a later one only", "write it in front of the first, which is for all of them"
        )
    named = {item.removeprefix("~") for item in items}
    return tuple(name for name in Capability.__members__ if (name in named) is not inverted)


def _ambient(value: object) -> tuple[str, ...]:
    items = parse_list(value, _capability, '["CAP_NET_BIND_SERVICE"]')
    if any(item.startswith("~") for item in items):
        raise reject("all but some", "name those that the program needs")
    return tuple(name for name in Capability.__members__ if name in items)


def _path(value: object) -> str:
    text = line_of(value)
    bare = text.removeprefix("-").removeprefix("+")
    if not bare.startswith("/"):
        raise reject("not an absolute path", "write a path that starts with / (or -/, +/, -+/)")
    if len(bare.encode()) > _MAX_PATH:
        raise reject("too long", f"use at most {_MAX_PATH} bytes")
    return text


def _landlock_path(value: object) -> str:
    text = _path(value)
    if text.removeprefix("-").startswith("+"):
        raise reject("+ in front", "remove it: Landlock's paths are those that the program sees")
    return text


def _ports(value: object) -> tuple[int, ...]:
    if value == "any":
        return ANY_PORT
    if not isinstance(value, list):
        raise reject("not a list", 'write [8080], [] for none, or "any"')
    for item in value:
        if isinstance(item, bool) or not isinstance(item, int) or not 1 <= item <= 65535:
            raise reject("not a port", "write 1 to 65535, without quotes")
    return tuple(sorted(set(value)))


def _namespaces(value: object) -> bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    if not isinstance(value, list):
        raise reject("neither true nor a list", 'write true for none at all, or those allowed, as ["user"]')
    return parse_list(value, _checked(parse_namespace_string), '["user"]')


def _families(value: object) -> tuple[str, ...]:
    strings = parse_list(value, _checked(parse_family_string), f'["AF_INET", "AF_INET6"], or ["{NONE}"]')
    families(strings)
    return strings


def _checked(parse: Callable[[str], object]) -> Callable[[object], str]:
    """A text that ``parse`` takes, as it is written."""

    def checked(value: object) -> str:
        text = line_of(value)
        parse(text)
        return text

    return checked


def _memory(value: object) -> int:
    if value == "infinity":
        return UNLIMITED
    count = parse_size(value)
    if not _MIN_MEMORY <= count <= _MAX_MEMORY:
        raise reject("out of range", f'write "{format_size(_MIN_MEMORY)}" at least, or "infinity"')
    return count


def _tasks(value: object) -> int:
    if value == "infinity":
        return UNLIMITED
    if isinstance(value, bool) or not isinstance(value, int):
        raise reject("not an integer", f'write 2 to {_MAX_TASKS}, without quotes, or "infinity"')
    if not 2 <= value <= _MAX_TASKS:  # the spawner is one of them
        raise reject("out of range", f'write 2 to {_MAX_TASKS}, or "infinity"')
    return value


def _quota(value: object) -> int:
    if value == "infinity":
        return UNLIMITED
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise reject("not a percentage", 'write "50%" for half a processor, "200%" for two, or "infinity"')
    if not 1 <= int(match[1]) <= _MAX_PERCENT:
        raise reject("out of range", f'write "1%" to "{_MAX_PERCENT}%", or "infinity"')
    return int(match[1])


def _feature(value: object) -> Feature:
    try:
        return Feature(text_of(value))
    except ValueError:
        raise reject("no feature", f"write one of {', '.join(Feature)}") from None


BOUNDING = Kind("list of capabilities", _capabilities)
AMBIENT = Kind("list of capabilities", _ambient)
PATHS = strings(_path, "paths")
LANDLOCK_PATHS = strings(_landlock_path, "paths")
PORTS = Kind('list of ports or "any"', _ports)
NAMESPACES = Kind("true, false or list of kinds", _namespaces)
MEMORY = Kind('size or "infinity"', _memory)
TASKS = Kind('number or "infinity"', _tasks)
QUOTA = Kind('percentage or "infinity"', _quota)
FEATURES = strings(_feature, "features")
SYSTEM_CALLS = strings(_checked(parse_filter_string), "system calls and @groups")
ERROR = Kind('name of an error or "kill"', _checked(parse_error_number))
ADDRESS_FAMILIES = Kind("list of address families", _families)
