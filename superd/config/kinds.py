"""The kinds of values that a key may have: one parser each, made by a small factory.

A parser takes what TOML gave and returns what the model holds, or raises ``RejectedError`` or ``UnitError``. Types
are exact: true is not 1, and 22 is not "022".
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

from attrs import frozen

from superd.config.addresses import MAX_UNIX_PATH
from superd.config.findings import Finding, RejectedError, findings_of, reject, toml_text
from superd.config.model import INFINITY, Handler
from superd.errors import UnitError
from superd.units import format_duration, format_size, parse_duration, parse_size

_MAX_PATH = 4095  # PATH_MAX of <linux/limits.h>, less the NUL
_MAX_ID = (1 << 32) - 2  # (uid_t) -1 means "leave it as it is" to setresuid(2)

MOST_SPAWNERS = 64
"""Of one service: as many as the connections that it may have under way, none would ever be behind."""

MAX_ARGV_BYTES = 128 * 1024
"""What ``exec`` may be in all: what Linux allows one argument (MAX_ARG_STRLEN), and the acceptor can be told."""

MAX_LISTENS = 500
"""Addresses of one service, for the same reason."""

_OWNED_NAMES = ("PROTO", "SUPERD_SERVICE")
_OWNED_PREFIXES = ("LISTEN_", "REMOTE_", "TCPLOCAL", "TCPREMOTE", "UDPLOCAL", "UDPREMOTE", "UNIXREMOTE")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ACCOUNT = re.compile(r"[^\s:/\0-][^\s:/\0]{0,254}")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_FD_NAME = re.compile(r"[!-9;-~][ -9;-~]{0,254}")


@frozen
class Kind:
    """How the value of a key is written and read.

    Args:
        word: what the man page calls such a value.
        parse: from what TOML gave to what the model holds; raises RejectedError or UnitError.
        secret: the value never stands in a message.
    """

    word: str
    parse: Callable[[object], object]
    secret: bool = False


def text_of(value: object) -> str:
    """The value itself, which must be a string."""
    if isinstance(value, str):
        return value
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    raise reject("not a string", f'write "{toml_text(value)}"' if plain else 'write it as "…"')


def line_of(value: object) -> str:
    """A string that can be an argument, a variable or a path: NUL would cut it, a newline forge another."""
    text = text_of(value)
    if "\0" in text or "\n" in text:
        raise reject("a NUL or newline in it", "remove it")
    return text


def path_of(value: object) -> str:
    """An absolute path."""
    text = line_of(value)
    if not text.startswith("/"):
        raise reject("not an absolute path", "write a path that starts with /")
    if len(text.encode()) > _MAX_PATH:
        raise reject("too long", f"use at most {_MAX_PATH} bytes")
    return text


def _socket_path(value: object) -> str:
    text = path_of(value)
    if len(text.encode()) > MAX_UNIX_PATH:
        raise reject("too long", f"use at most {MAX_UNIX_PATH} bytes")
    return text


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise reject("not a boolean", "write true or false")


def integer(low: int, high: int) -> Kind:
    """A whole number from ``low`` to ``high``."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise reject("not an integer", f"write {low} to {high}, without quotes")
        if not low <= value <= high:
            raise reject("out of range", f"write {low} to {high}")
        return value

    return Kind(f"{low} to {high}", parse)


def _spawners(value: object) -> int:
    if value == "auto":
        return 0
    remedy = f'write "auto" or 1 to {MOST_SPAWNERS}'
    if isinstance(value, bool) or not isinstance(value, int):
        raise reject("not an integer", remedy)
    if not 1 <= value <= MOST_SPAWNERS:
        raise reject("out of range", remedy)
    return value


def octal(example: str) -> Kind:
    """Permission bits, 0 to 0777, as an octal string."""

    def parse(value: object) -> int:
        if not isinstance(value, str):
            raise reject("not a string", f'write it in octal: "{example}"')
        if not re.fullmatch(r"(0o)?[0-7]{1,4}", value) or int(value, 8) > 0o777:
            raise reject("not permission bits", f'write it in octal: "{example}"')
        return int(value, 8)

    return Kind("octal string", parse)


def duration(*, low_s: float = 0.0, infinite: bool = True) -> Kind:
    """A time span in seconds, at least ``low_s``; ``infinite`` allows "infinity"."""

    def parse(value: object) -> float:
        seconds = parse_duration(value, infinity=INFINITY if infinite else None)
        if 0 <= seconds < low_s:
            raise reject("too short", f'write at least "{format_duration(low_s)}"')
        return seconds

    return Kind('duration or "infinity"' if infinite else "duration", parse)


def whole_seconds(high_s: int) -> Kind:
    """A time span of whole seconds, 1 to ``high_s``."""

    def parse(value: object) -> int:
        seconds = parse_duration(value)
        if seconds != int(seconds) or not 1 <= seconds <= high_s:
            raise reject("out of range", f'write whole seconds, "1s" to "{format_duration(high_s)}"')
        return int(seconds)

    return Kind("duration", parse)


def size(low_bytes: int, high_bytes: int) -> Kind:
    """A number of bytes from ``low_bytes`` to ``high_bytes``."""

    def parse(value: object) -> int:
        count = parse_size(value)
        if not low_bytes <= count <= high_bytes:
            raise reject("out of range", f'write "{format_size(low_bytes)}" to "{format_size(high_bytes)}"')
        return count

    return Kind("size", parse)


def choice(words: type[StrEnum] | Iterable[str]) -> Kind:
    """One of a few words; the members of an enumeration become its members."""
    members = {str(word): word for word in words}
    listing = _or([f'"{word}"' for word in members])

    def parse(value: object) -> str:
        found = members.get(value) if isinstance(value, str) else None
        if found is None:
            raise reject("not one of its words", f"write {listing}")
        return found

    return Kind(listing, parse)


def _or(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def account_of(value: object, remedy: str = "write a name or a number") -> str:
    """A user's or group's name, or a number as text. Whether it exists is found out elsewhere."""
    text = text_of(value)
    if not _ACCOUNT.fullmatch(text) or not text.isprintable():
        raise reject("not a name", remedy)
    if text.isascii() and text.isdigit() and (len(text) > 10 or int(text) > _MAX_ID):
        raise reject("no such number", f"write 0 to {_MAX_ID}")
    return text


def _user(value: object) -> str:
    user, colon, group = text_of(value).partition(":")
    account_of(user, 'write "user" or "user:group"')
    if colon:
        account_of(group, 'write "user" or "user:group"')
    return text_of(value)


def _signal_name(value: object) -> int:
    known = signal.Signals.__members__
    text = value.upper() if isinstance(value, str) else ""
    name = text if text.startswith("SIG") else f"SIG{text}"
    if name not in known:
        raise reject("not a signal", 'write its name, as "SIGTERM"')
    return int(known[name])


def _fd_name(value: object) -> str:
    text = text_of(value)
    if not _FD_NAME.fullmatch(text):
        raise reject("not a name", "use 1 to 255 printable ASCII characters, and no colon")
    return text


def _interface(value: object) -> str:
    text = text_of(value)
    if not re.fullmatch(r"[^\s/:]{1,15}", text) or not text.isprintable():
        raise reject("not an interface", 'write its name, as "eth0"')
    return text


def _word(value: object) -> str:
    text = text_of(value)
    if not re.fullmatch(r"[a-z0-9_-]{1,15}", text):
        raise reject("not an algorithm", 'write its name, as "bbr"')
    return text


def parse_list(value: object, parse: Callable[[object], str], example: str) -> tuple[str, ...]:
    """A list, each item parsed by itself, so that every faulty one is reported."""
    if not isinstance(value, list):
        raise reject("not a list", f"write {example}")
    items, findings = [], []
    for item in value:
        try:
            items.append(parse(item))
        except (RejectedError, UnitError) as error:
            findings += [Finding(found.problem, found.remedy, item) for found in findings_of(error)]
    if findings:
        raise RejectedError(*findings)
    return tuple(items)


def strings(parse: Callable[[object], str], word: str) -> Kind:
    """A list of strings, each of which ``parse`` takes."""
    return Kind(f"list of {word}", lambda value: parse_list(value, parse, _example_of_list(value)))


def _example_of_list(value: object) -> str:
    words = value.replace(",", " ").split() if isinstance(value, str) else []
    return toml_text(words) if words else 'a list, as ["…", "…"]'


def _argv(value: object) -> tuple[str, ...]:
    words = value.split() if isinstance(value, str) else []
    argv = parse_list(value, line_of, toml_text(words) if words else '["/path/of/program", "argument"]')
    if not argv or not argv[0]:
        raise reject("no program", 'write ["/path/of/program", "argument"]')
    size_bytes = sum(len(word.encode()) + 1 for word in argv)
    if size_bytes > MAX_ARGV_BYTES:
        raise reject(f"{size_bytes} bytes", f"use at most {MAX_ARGV_BYTES}, and a file for the rest")
    return argv


def _handler(value: object) -> Handler:
    """A handler, by its looks: a colon, and names of Python's on both sides, or a path before it."""
    source, colon, function = line_of(value).rpartition(":")
    if not colon or not _DOTTED.fullmatch(function):
        raise reject("names no function", 'write "package.module:function" or "/path/file.py:function"')
    if "/" not in source:
        if not _DOTTED.fullmatch(source):
            raise reject("not a module's name", 'write "package.module:function" or "/path/file.py:function"')
        return Handler(source, function)
    if not source.endswith(".py"):
        raise reject("not a file of Python's", 'write "/path/file.py:function"')
    return Handler(path_of(source), function)


def _listen_items(value: object) -> tuple[object, ...]:
    """The items of ``listen``. Each is looked at with ``parse_listen``, so that a faulty one hides no other."""
    if not isinstance(value, list):
        example = toml_text([value]) if isinstance(value, str) and "://" in value else '["tcp://*:PORT"]'
        raise reject("not a list", f"write {example}")
    if not value:
        raise reject("no address", 'write ["tcp://*:PORT"]')
    if len(value) > MAX_LISTENS:
        raise reject(f"{len(value)} addresses", f"use at most {MAX_LISTENS} a service")
    return tuple(value)


def _variable(value: object) -> str:
    text = text_of(value)
    if not _VARIABLE.fullmatch(text):
        raise reject("not a variable's name", "use letters, digits and _")
    if is_owned(text):
        raise reject("superd sets it", "remove it")
    return text


def is_owned(variable: str) -> bool:
    """Whether a variable of a child's environment is superd's alone: what a program reads there must be true."""
    return variable in _OWNED_NAMES or variable.startswith(_OWNED_PREFIXES)


def _environment(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise reject("not a table", 'write { NAME = "value" }')
    findings = []
    for name, content in value.items():
        for parse, part in ((_variable, name), (line_of, content)):
            try:
                parse(part)
            except RejectedError as error:
                found = error.findings[0]
                remedy = 'write it as "…"' if found.problem == "not a string" else found.remedy
                findings.append(Finding(found.problem, remedy, at=name))
    if findings:
        raise RejectedError(*findings)
    return dict(value)


def _log(value: object) -> str:
    if value in ("journal", "stderr", "syslog"):
        return str(value)
    try:
        return path_of(value)
    except RejectedError:
        raise reject("nowhere to log to", 'write "journal", "stderr", "syslog" or an absolute path') from None


BOOLEAN = Kind("true or false", _boolean)
PATH = Kind("absolute path", path_of)
SOCKET_PATH = Kind("absolute path", _socket_path)
ACCOUNT = Kind("name or number", account_of)
USER = Kind('"user" or "user:group"', _user)
ARGV = Kind("list of strings", _argv)
LISTEN = Kind("list of addresses", _listen_items)
TARGET = Kind("address", line_of)
HANDLER = Kind('"module:function" or "/path/file.py:function"', _handler)
ENVIRONMENT = Kind("table of strings", _environment, secret=True)
SPAWNERS = Kind(f'"auto" or 1 to {MOST_SPAWNERS}', _spawners)
ACCOUNTS = strings(account_of, "names or numbers")
VARIABLES = strings(_variable, "names")
GLOBS = strings(line_of, "paths and globs")
SIGNAL = Kind("signal", _signal_name)
FD_NAME = Kind("name", _fd_name)
INTERFACE = Kind("interface", _interface)
ALGORITHM = Kind("name", _word)
LOG = Kind('"journal", "stderr", "syslog" or absolute path', _log)
