"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_COLUMNS = ("SERVICE", "STATE", "MODE", "LISTEN", "USER", "CHILDREN", "ACCEPTED", "REFUSED")


def status_table(services: Mapping[str, Mapping[str, Any]]) -> str:
    """``superctl status``: one row a service, and below the table every fault in full."""
    rows = [
        (
            name,
            service["state"],
            service["mode"],
            " ".join(service["listen"]),
            service["user"] or "-",
            str(service["children"]),
            str(service["accepted"]),
            str(sum(service["refused"].values())),
        )
        for name, service in services.items()
    ]
    notes = [
        f"{name}: {line}"
        for name, service in services.items()
        for line in (
            *(service["fault"].splitlines() if service["state"] == "faulty" else ()),
            *((f"{service['trouble']}; the log has more",) if service["trouble"] else ()),
            *(f"{listener}: {reason}" for listener, reason in service["broken"].items()),
        )
    ]
    table = align([_COLUMNS, *rows])
    return "\n".join([table, "", *notes]) if notes else table


def align(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two blanks between them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
