"""The table of xinetd's attributes: how each is read, and what becomes of it.

Source: xinetd.conf(5); the tables service_attributes and default_attributes of parse.c, xinetd 2.3.15.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import Factory, frozen

from superd.config.findings import RejectedError
from superd.config.kinds import VARIABLES
from superd.config.legacy.xinetd import values
from superd.config.legacy.xinetd.addresses import rules_of
from superd.config.legacy.xinetd.values import BadValueError, Words

TYPES = ("RPC", "INTERNAL", "UNLISTED", "SPECIAL", "TCPMUX", "TCPMUXPLUS")
FLAGS = ("REUSE", "INTERCEPT", "NORETRY", "IDONLY", "NAMEINARGS", "NODELAY", "KEEPALIVE", "NOLIBWRAP", "SENSOR",
         "IPv4", "IPv6", "LABELED")  # fmt: skip
SOCKET_TYPES = ("stream", "dgram", "raw", "seqpacket")
PROTOCOLS = ("tcp", "udp", "tcp6", "udp6")
FACILITIES = ("daemon", "auth", "authpriv", "user", "mail", "lpr", "news", "uucp", "ftp",
              *(f"local{number}" for number in range(8)))  # fmt: skip
_ON_SUCCESS = ("HOST", "DURATION", "EXIT", "PID", "USERID", "TRAFFIC", "RECORD")
_ON_FAILURE = ("HOST", "ATTEMPT", "USERID", "RECORD")


@frozen
class Reading:
    """What the values of an attribute mean.

    Args:
        items: the words as they count: what += and -= work on, and what the mapping goes by.
        keys: keys of a service that say the same, by dotted name.
        notes: where superd does it differently.
        lost: what superd has nothing like.
    """

    items: tuple[str, ...] = ()
    keys: Mapping[str, object] = Factory(dict)
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


@frozen
class Attribute:
    """One row.

    Args:
        name: in small letters.
        read: from words to meaning; raises BadValueError.
        count: how many values it wants; None: any number.
        is_set: += and -= work, and it may stand there several times.
        in_defaults, in_service: where xinetd takes it.
        key: of a set, the list that its items become.
    """

    name: str
    read: Callable[[Words], Reading]
    count: int | None = 1
    is_set: bool = False
    in_defaults: bool = False
    in_service: bool = True
    key: str = ""


def _one(key: str, parse: Callable[[str], object]) -> Callable[[Words], Reading]:
    """One word that becomes one key."""
    return lambda words: Reading((words[0],), {key: parse(words[0])})


def _items(parse: Callable[[str], str] = str.lower) -> Callable[[Words], Reading]:
    return lambda words: Reading(tuple(parse(word) for word in words))


def _word_of(known: tuple[str, ...], what: str) -> Callable[[Words], Reading]:
    def read(words: Words) -> Reading:
        if not words:
            raise BadValueError("no value")
        return Reading(values.members(words, known, what))

    return read


def _needed(words: Words) -> Reading:
    if not words:
        raise BadValueError("no value")
    return Reading(tuple(words))


def _user(words: Words) -> Reading:
    if ":" in words[0] or "/" in words[0]:
        raise BadValueError(f'"{words[0]}" is no user; xinetd has an attribute group of its own')
    return Reading((words[0],), {"user": words[0]})


def _path(key: str, *more: str) -> Callable[[Words], Reading]:
    def read(words: Words) -> Reading:
        if not words[0].startswith("/"):
            raise BadValueError(f'"{words[0]}" is no absolute path')
        return Reading((words[0],), dict.fromkeys((key, *more), words[0]) if key else {})

    return read


def _instances(key: str, what: str) -> Callable[[Words], Reading]:
    def read(words: Words) -> Reading:
        found = values.count(words[0], what)
        if found == 0:
            raise BadValueError("0 admits nobody")
        if isinstance(found, int) and found > 1_000_000:
            found = values.UNLIMITED
        return Reading((words[0],), {key: found})

    return read


def _cps(words: Words) -> Reading:
    rate = values.number(words[0], "number of connections a second", high=1_000_000)
    pause_s = values.number(words[1], "number of seconds")
    if not rate:
        return Reading(tuple(words), {"limits.rate": values.UNLIMITED})
    return Reading(
        tuple(words),
        {"limits.rate": f"{rate}/s"},
        (f"above it xinetd switches the service off for {pause_s} s; superd refuses what is too much",),
    )


def _load(words: Words) -> Reading:
    try:
        load = float(words[0])
    except ValueError:
        raise BadValueError(f'"{words[0]}" is no load average') from None
    if not 0.01 <= load <= 10_000:
        raise BadValueError(f'"{words[0]}" is no load average that can be held')
    return Reading((words[0],), {"limits.max_load": load})


def _addresses(words: Words) -> Reading:
    rules = [rules_of(word) for word in words]
    notes = dict.fromkeys(rule.note for rule in rules if rule.note)
    return Reading(tuple(dict.fromkeys(text for rule in rules for text in rule.texts)), notes=tuple(notes))


def _hours(words: Words) -> Reading:
    if not words:
        raise BadValueError("no value")
    hours = [text for word in words for text in values.interval(word)]
    notes = []
    if any(not text.endswith("24:00") for text in hours):
        notes.append("xinetd admits until the last minute is over, superd until it begins")
    if any(map(values.wraps, words)):
        notes.append("xinetd knows no interval past midnight and disables the service; mended")
    return Reading(tuple(words), {"access.hours": hours}, tuple(notes))


def _environment(words: Words) -> Reading:
    notes, items = [], []
    for word in words:
        bare = word.strip("\"'")
        if bare != word:
            notes.append("xinetd knows no quotes and takes them for part of it; mended")
        if "=" not in bare:
            raise BadValueError(f'"{word.partition("=")[0]}" has no =')
        items.append(bare)
    return Reading(tuple(items), notes=tuple(dict.fromkeys(notes)))


def _variables(words: Words) -> Reading:
    """Names to pass on; what is no name, or is told by superd itself, is left out."""
    items = tuple(word for word in words if _is_passed(word))
    lost = tuple(f"{word} is not passed on" for word in words if word not in items)
    return Reading(items, lost=lost)


def _is_passed(name: str) -> bool:
    try:
        VARIABLES.parse([name])
    except RejectedError:
        return False
    return True


def _logged(known: tuple[str, ...], what: str) -> Callable[[Words], Reading]:
    reasons = {
        "USERID": "superd asks no client who he says he is",
        "TRAFFIC": "",  # superd counts the bytes of every forward
        "RECORD": "gone from xinetd itself since 2.3.11",
    }

    def read(words: Words) -> Reading:
        items = values.members(words, known, what)
        return Reading(items, lost=tuple(f"{item}: {reasons[item]}" for item in items if reasons.get(item)))

    return read


def _log_type(words: Words) -> Reading:
    kind = words[0].upper() if words else ""
    if kind == "SYSLOG" and len(words) in (2, 3):
        facility = values.members(words[1:2], FACILITIES, "facility of syslog")
        return Reading(("SYSLOG", *facility))
    if kind == "FILE" and 2 <= len(words) <= 4:
        if not words[1].startswith("/"):
            raise BadValueError(f'"{words[1]}" is no absolute path')
        limits = [values.size(word, "size") for word in words[2:]]
        lost = ("superd's log has no size; let logrotate(8) see to it",) if limits else ()
        return Reading(("FILE", words[1]), lost=lost)
    raise BadValueError("neither SYSLOG facility [level] nor FILE path [soft [hard]]")


def _redirect(words: Words) -> Reading:
    return Reading(tuple(words))


def _bind(words: Words) -> Reading:
    return Reading((words[0],))


def _cpu(text: str) -> str:
    return values.UNLIMITED if text.upper() == "UNLIMITED" else f"{values.number(text, 'number of seconds')}s"


def _size(text: str) -> str:
    return values.size(text, "size in bytes, K or M")


def _files(text: str) -> int | str:
    return values.count(text, "number of files")


def _nice(text: str) -> int:
    return values.number(text, "nice value", -20, 19)


def _yes(key: str) -> Callable[[Words], Reading]:
    return _one(key, values.yes_no)


def _lost(reason: str) -> Callable[[Words], Reading]:
    return lambda words: Reading(tuple(words), lost=(reason,))


def _flag(words: Words) -> Reading:
    return Reading(("yes",) if values.yes_no(words[0]) else ("no",))


ATTRIBUTES: Mapping[str, Attribute] = {
    row.name: row
    for row in (
        Attribute("id", _items(str)),
        Attribute("type", _word_of(TYPES, "type of service"), None),
        Attribute("flags", _word_of(FLAGS, "flag"), None),
        Attribute("disable", _flag),
        Attribute("socket_type", _word_of(SOCKET_TYPES, "socket type")),
        Attribute("protocol", _word_of(PROTOCOLS, "protocol that superd serves")),
        Attribute("wait", _flag),
        Attribute("user", _user),
        Attribute("group", _one("group", str)),
        Attribute("groups", _yes("init_groups"), in_defaults=True),
        Attribute("umask", _one("umask", values.octal), in_defaults=True),
        Attribute("nice", _one("nice", _nice)),
        Attribute("server", _path("")),
        Attribute("server_args", _needed, None),
        Attribute("libwrap", _items(str)),
        Attribute("port", lambda words: Reading((str(values.number(words[0], "port", 1, 65535)),))),
        Attribute("bind", _bind, in_defaults=True),
        Attribute("v6only", _flag, in_defaults=True),
        Attribute("redirect", _redirect, 2),
        Attribute("instances", _instances("limits.max_connections", "number of servers"), in_defaults=True),
        Attribute("per_source", _instances("limits.max_connections_per_source", "number of servers"), in_defaults=True),
        Attribute("cps", _cps, 2, in_defaults=True),
        Attribute("max_load", _load, in_defaults=True),
        Attribute("only_from", _addresses, None, is_set=True, in_defaults=True, key="access.allow"),
        Attribute("no_access", _addresses, None, is_set=True, in_defaults=True, key="access.deny"),
        Attribute("access_times", _hours, None),
        Attribute("env", _environment, None, is_set=True),
        Attribute("passenv", _variables, None, is_set=True, in_defaults=True, key="pass_environment"),
        Attribute("banner", _path("banner"), in_defaults=True),
        Attribute("banner_success", _path("banner"), in_defaults=True),
        Attribute("banner_fail", _path("access.banner_denied", "limits.banner_limited"), in_defaults=True),
        Attribute("log_type", _log_type, None, in_defaults=True),
        Attribute("log_on_success", _logged(_ON_SUCCESS, "flag of it"), None, is_set=True, in_defaults=True),
        Attribute("log_on_failure", _logged(_ON_FAILURE, "flag of it"), None, is_set=True, in_defaults=True),
        Attribute("rlimit_as", _one("limit_as", _size)),
        Attribute("rlimit_cpu", _one("limit_cpu", _cpu)),
        Attribute("rlimit_data", _one("limit_data", _size)),
        Attribute("rlimit_files", _one("limit_nofile", _files)),
        Attribute("rlimit_rss", _one("limit_rss", _size)),
        Attribute("rlimit_stack", _one("limit_stack", _size)),
        Attribute("rpc_version", _lost("superd registers no RPC programs"), 1),
        Attribute("rpc_number", _lost("superd registers no RPC programs"), 1),
        Attribute("deny_time", _lost("superd has no honeypots; limits.penalty keeps away who comes too often")),
        Attribute("mdns", _lost("superd announces nothing, and xinetd has not since 2.3.14"), in_defaults=True),
        Attribute("disabled", _items(str), None, is_set=True, in_defaults=True, in_service=False),
        Attribute("enabled", _items(str), None, is_set=True, in_defaults=True, in_service=False),
    )
}  # fmt: skip
"""Every attribute by its name; ``interface`` is another name of ``bind``."""

ALIASES: Mapping[str, str] = {"interface": "bind"}
