"""What was carried as a superd.toml for people: in the order of the old file, each remark above the key it is about.

The same input gives the same output, byte by byte.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Iterable, Iterator, Mapping

from superd.config.findings import toml_key, toml_value
from superd.config.legacy.carried import (
    Carried,
    Comment,
    Fate,
    GrantLines,
    Origin,
    Remark,
    ServiceTable,
    dotted,
    nested,
)
from superd.config.schema import SERVICE, TABLES
from superd.config.schema_grants import GRANT

WIDTH = 100
"""Characters of a line of prose, its mark included. The user's own lines stay as they are."""

MAX_PROSE = 1_000
"""Characters of what is said at one place; a word of a hostile file may have millions."""

_MAX_LIST = 110  # a longer list stands one item a line
_ORDER = {table: {name: number for number, name in enumerate(keys)} for table, keys in TABLES.items()}
_ORDER[""] = {name: number for number, name in enumerate(TABLES)}


def to_toml(carried: Carried) -> str:
    """The text of a superd.toml."""
    head = [_head(carried), *_settings(carried)]
    body = [block for block in _blocks(carried) if block]
    return "\n\n".join([*head, *body]) + "\n"


def _head(carried: Carried) -> str:
    files = ", ".join(dict.fromkeys(carried.files))
    first = f"What stood in {files}, as {carried.dialect} read it. superd.toml(5) explains every key."
    return "\n#\n".join("\n".join(_prose(said)) for said in (first, *carried.head))


def _settings(carried: Carried) -> Iterator[str]:
    if carried.settings:
        yield "\n".join(_table("superd", carried.settings, {}))
    if carried.defaults:
        yield "\n".join(_service_lines("defaults", carried.defaults, {}))


def _blocks(carried: Carried) -> Iterator[str]:
    """Comments, services, and lines that became no service, in the order of the files."""
    by_service: dict[str, list[Remark]] = {}
    loose: list[Remark] = []
    for remark in carried.remarks:
        (by_service.setdefault(remark.service, []) if remark.service else loose).append(remark)
    order = {file: number for number, file in enumerate(carried.files)}

    def position(origin: Origin) -> tuple[int, int]:
        return order.get(origin.file, len(order)), origin.line

    items: list[tuple[tuple[int, int], ServiceTable | GrantLines | Comment | Remark]] = [
        *((position(comment.origin), comment) for comment in carried.comments),
        *((position(remark.origin), remark) for remark in loose if remark.fate is not Fate.SETTING),
        *((position(service.origin), service) for service in carried.services),
        *((position(grant.origin), grant) for grant in carried.grants),
    ]
    items.sort(key=lambda item: item[0])  # stable: a service of several tables keeps their order
    passage: list[str] = []
    last = (0, 0)
    for here, item in items:
        if passage and (isinstance(item, ServiceTable | GrantLines) or here > (last[0], last[1] + 1)):
            yield "\n".join(passage)
            passage = []
        last = here
        if isinstance(item, ServiceTable):
            yield _service(item, by_service.get(item.name, ()))
        elif isinstance(item, GrantLines):
            yield "\n".join(_table("[grants]", item.table, {}, GRANT))
        else:
            passage += _comment(item)
    yield "\n".join(passage)


def _comment(item: Comment | Remark) -> list[str]:
    if isinstance(item, Comment):
        return [_marked(_cut(item.text))]
    told = _prose(f"{item.fate}: {item.reason}")
    return [*told, _marked(f"  {_cut(item.origin.text)}")] if item.origin.text else list(told)


def _service(service: ServiceTable, remarks: Iterable[Remark]) -> str:
    notes: dict[str, list[str]] = {}
    for remark in remarks:
        if remark.reason:
            at = remark.key if remark.key in dotted(service.tables) else ""
            notes.setdefault(at, []).append(remark.reason)
    lines = "\n".join(_service_lines(f"services.{toml_key(service.name)}", service.tables, notes)).split("\n")
    if not service.remains_out:
        return "\n".join(lines)
    return "\n".join(line if line.startswith("#") else _marked(f"  {line}".rstrip()) for line in lines)


def _service_lines(
    path: str, tables: Mapping[str, object], notes: Mapping[str, Iterable[str]]
) -> Iterator[str]:
    yield from _notes(notes.get("", ()))
    keys = dotted(tables)
    own = {name: value for name, value in keys.items() if "." not in name}
    inner = nested({name: value for name, value in keys.items() if "." in name})
    if own or not inner:
        yield from _table(path, own, notes, SERVICE)
    for name in _ordered(inner, ""):
        table = inner[name]
        assert isinstance(table, Mapping)  # noqa: S101 - tells mypy what nested makes
        below = {key.removeprefix(f"{name}."): value for key, value in notes.items()}
        yield from _table(f"{path}.{name}", table, below, name)


def _table(
    path: str, table: Mapping[str, object], notes: Mapping[str, Iterable[str]], schema: str = "superd"
) -> Iterator[str]:
    yield f"[{path}]"
    for name in _ordered(table, schema):
        yield from _notes(notes.get(name, ()))
        yield _assignment(name, table[name])


def _assignment(name: str, value: object) -> str:
    line = f"{toml_key(name)} = {toml_value(value)}"
    if len(line) <= _MAX_LIST or not isinstance(value, list | tuple):
        return line
    items = [f"    {toml_value(item)}," for item in value]
    return "\n".join([f"{toml_key(name)} = [", *items, "]"])


def _ordered(names: Iterable[str], schema: str) -> list[str]:
    """Keys of a table, or tables of a service, in the order of the manual."""
    order = _ORDER.get(schema, {})
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def _notes(reasons: Iterable[str]) -> Iterator[str]:
    for reason in dict.fromkeys(reasons):
        yield from _prose(reason)


@functools.lru_cache(maxsize=1024)  # the same is said of many services
def _prose(text: str) -> tuple[str, ...]:
    """Sentences as comments, wrapped."""
    plain = " ".join(text[:MAX_PROSE].split())
    return tuple(_marked(f" {line}") for line in textwrap.wrap(plain, WIDTH - 2, break_on_hyphens=False))


def _marked(text: str) -> str:
    """A comment, without what TOML forbids in one and terminals obey."""
    if text.isprintable():
        return f"#{text.rstrip()}"
    return f"#{''.join(c if c.isprintable() or c == chr(9) else _escaped(c) for c in text.rstrip())}"


def _cut(line: str) -> str:
    return line if len(line) <= MAX_PROSE else f"{line[:MAX_PROSE]}…"


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04X}"
