"""``superctl limits``, ``bans`` and ``who-may`` as text. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from superd.cli.tables import align
from superd.units import format_duration

Standing = Mapping[str, Any]


def limits_text(services: Mapping[str, Standing]) -> str:
    """Every service: what is set, used and left, what was refused, and who comes most."""
    return "\n\n".join("\n".join(_service(name, one)) for name, one in services.items())


def _service(name: str, standing: Standing) -> Iterable[str]:
    yield name
    yield _indented(align([("LIMIT", "SET", "USED", "LEFT", ""), *_limit_rows(standing)]))
    refused = _refused_rows(standing["refused"])
    if refused:
        yield ""
        yield _indented(align([("REFUSED", "MINUTE", "HOUR", "SINCE START"), *refused]))
    busiest = standing["busiest"]
    if busiest:
        yield ""
        rows = [(one["source"], str(one["offers"]), str(one["open"])) for one in busiest]
        yield _indented(align([("BUSIEST", "CAME", "OPEN"), *rows]))


def _limit_rows(standing: Standing) -> Iterable[tuple[str, ...]]:
    marks = _marks(standing["tuned"])
    for table in ("limits", "access", "proxy_protocol"):
        for key, value in standing[table].items():
            use = standing["use"].get(key) if table == "limits" else None
            path = f"{table}.{key}"
            if use is None and path not in marks and (value is False or _is_plain(key)):
                continue
            name = key if table == "limits" else path
            notes = ", ".join(note for note in (use["note"] if use else "", marks.get(path, "")) if note)
            yield name, _value(value), _number(use and use["used"]), _number(use and use["free"]), notes


def _is_plain(key: str) -> bool:
    """Whether a key is worth a row only where it is tuned: how the others are counted, and what is said."""
    return key.startswith(("burst", "source_prefix", "max_sources", "penalty_", "exempt", "banner"))


def _marks(tuned: Mapping[str, Any]) -> dict[str, str]:
    """What to say of a key that was tuned."""
    marks = dict.fromkeys(tuned["lasting"], "tuned")
    marks.update(dict.fromkeys(tuned["saved"], "tuned, saved"))
    for key, (_, until) in tuned["passing"].items():
        marks[key] = f"tuned until {time.strftime('%H:%M:%S', time.localtime(until))}"
    return marks


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _number(number: float | None) -> str:
    return "" if number is None else f"{number:g}" if isinstance(number, float) else str(number)


def _refused_rows(refused: Mapping[str, Mapping[str, int]]) -> list[tuple[str, ...]]:
    return [
        (reason, str(refused["minute"].get(reason, 0)), str(refused["hour"].get(reason, 0)), str(total))
        for reason, total in refused["total"].items()
    ]


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())


def bans_text(bans: Iterable[Mapping[str, Any]], more: int = 0) -> str:
    """Who is refused for what he did, and for how long yet."""
    rows = [
        (
            ban["source"],
            ban["service"],
            format_duration(round(ban["seconds"])),
            f"over its rate, time {ban['strikes']}" if ban["strikes"] else "its children failed",
        )
        for ban in bans
    ]
    if not rows:
        return "nobody is penalised"
    table = align([("SOURCE", "SERVICE", "LEFT", "WHY"), *rows])
    return f"{table}\nand {more} more" if more else table


def who_may_text(answer: Mapping[str, Any]) -> str:
    """Whether an address is admitted, and by which line."""
    word = "allowed" if answer["allowed"] else f"refused ({answer['reason']})"
    rule = f" by {answer['rule']}" if answer["rule"] else ""
    text = f"{answer['service']}: {answer['address']} is {word}{rule}"
    ban = answer["penalised"]
    if ban is not None:
        text += (
            f"\nbut its source {ban['source']} is penalised for {format_duration(round(ban['seconds']))} yet"
        )
    return text
