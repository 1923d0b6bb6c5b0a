"""What became of each line, for people and for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from superd.config.legacy.carried import Carried, Fate, Remark

MAX_SHOWN = 1_000
"""Characters of a line of the report."""

MAX_NAMED = 20
"""Files that are named in the line that counts."""

_SHOWN = (Fate.FAULT, Fate.NOT_CARRIED, Fate.NOTED)
"""What a person must know; all else is plain from what is written."""


def has_faults(carried: Carried) -> bool:
    """Whether a line meant nothing, or made no service that superd can have."""
    return any(remark.fate is Fate.FAULT for remark in carried.remarks)


def has_notes(carried: Carried) -> bool:
    """Whether a line is carried with a difference, or not at all."""
    return any(remark.fate in _SHOWN for remark in carried.remarks)


def to_text(carried: Carried) -> Iterator[str]:
    """Lines for a terminal: what a person must know, and how many there are of each."""
    for remark in carried.remarks:
        if remark.fate in _SHOWN:
            about = f"{remark.service}: " if remark.service else ""
            yield shown(f"{remark.origin}: {remark.fate}: {about}{remark.reason}")
            if remark.origin.text:
                yield f"    {shown(remark.origin.text)}"
    yield summary(carried)


def summary(carried: Carried) -> str:
    """One line that counts."""
    on = sum(service.tables.get("enabled", True) is not False for service in carried.served)
    parts = [f"{on} {'service' if on == 1 else 'services'}", f"{len(carried.served) - on} disabled"]
    if carried.grants:
        parts = [
            f"{len(carried.grants)} {'grant' if len(carried.grants) == 1 else 'grants'}",
            *(parts if carried.services else ()),
        ]
    counts = Counter(remark.fate for remark in carried.remarks)
    parts += [f"{counts[fate]} {fate}" for fate in _SHOWN if counts[fate]]
    files = list(dict.fromkeys(carried.files))
    more = f" and {len(files) - MAX_NAMED} more" if len(files) > MAX_NAMED else ""
    named = shown(", ".join(files[:MAX_NAMED]))
    return f"{named}{more}, as {carried.dialect} read it: {', '.join(parts)}"


def to_json(carried: Carried) -> dict[str, object]:
    """All of it, as ``json`` takes it. Fields may be added, none changes."""
    return {
        "dialect": carried.dialect,
        "files": list(carried.files),
        "services": [
            {
                "name": service.name,
                "file": service.origin.file,
                "line": service.origin.line,
                "enabled": service.tables.get("enabled", True) is not False,
                "carried": not service.remains_out,
            }
            for service in carried.services
        ],
        "grants": [
            {**grant.table, "file": grant.origin.file, "line": grant.origin.line} for grant in carried.grants
        ],
        "remarks": [_as_json(remark) for remark in carried.remarks],
        "differences": list(carried.head),
    }


def _as_json(remark: Remark) -> dict[str, object]:
    return {
        "file": remark.origin.file,
        "line": remark.origin.line,
        "text": remark.origin.text,
        "fate": str(remark.fate),
        "reason": remark.reason,
        "service": remark.service,
        "key": remark.key,
    }


def shown(text: str) -> str:
    """A text on one line of a terminal, cut, with nothing in it that a terminal would obey."""
    line = " ".join(text[:MAX_SHOWN].split())
    plain = line if line.isprintable() else "".join(map(_printable, line))
    return plain if len(text) <= MAX_SHOWN else f"{plain}…"


def _printable(character: str) -> str:
    return character if character.isprintable() else f"\\u{ord(character):04X}"
