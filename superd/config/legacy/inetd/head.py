"""What concerns every service of an inetd.conf: defaults, and the differences that are said once, at the top."""

from __future__ import annotations

from superd.config.legacy.carried import nested
from superd.config.legacy.inetd.dialects import Dialect
from superd.config.legacy.wishes import Wishes

_FAMILIES = {
    "4": "IPv4 alone",
    "6": "IPv6 alone",
    "4+6": "IPv4 and IPv6, a socket each",
    "46": "IPv4 and IPv6, one socket for both",
}


def defaults_of(dialect: Dialect, wishes: Wishes) -> dict[str, object]:
    """``[defaults]``: what the old daemon did for every service."""
    keys: dict[str, object] = {"standard_error": "socket" if wishes.faithful else "log"}
    if wishes.folder != "/":
        keys["working_directory"] = wishes.folder
    if wishes.faithful:
        keys |= {"limits.max_connections": "infinity", "limits.max_connections_per_source": "infinity"}
    rate = _rate(dialect, wishes)
    if rate:
        keys["limits.rate"] = f"{rate}/min"
    if wishes.children:
        keys |= {"limits.max_connections": wishes.children, "limits.on_excess": "queue"}
    if wishes.children_per_source:
        keys["limits.max_connections_per_source"] = wishes.children_per_source
    if wishes.per_source_per_min:
        keys["limits.rate_per_source"] = f"{wishes.per_source_per_min}/min"
    return nested(keys)


def _rate(dialect: Dialect, wishes: Wishes) -> int:
    """Starts a minute of a service."""
    return dialect.rate_per_min if wishes.rate_per_min is None else wishes.rate_per_min


def head_of(dialect: Dialect, wishes: Wishes) -> tuple[str, ...]:
    """The differences that concern all services."""
    listened = [
        f"{name} is {_FAMILIES[families]}" for name, families in dialect.families.items() if "udp" not in name
    ]
    said = [f"To {dialect.words}, {', '.join(listened)}; the same with udp."]
    if wishes.faithful:
        said.append("Standard error is the client's socket, as it was.")
    else:
        said.append(
            "Standard error went to the client, in the middle of what the program had to say; now it goes to the log "
            '(standard_error = "socket" brings the old way back).'
        )
    if _rate(dialect, wishes):
        said.append(
            f"More than {_rate(dialect, wishes)} starts of a service in a minute made {dialect.words} close it for ten "
            "minutes. superd refuses what is over that rate, and the service stays."
        )
    if not wishes.faithful:
        said.append(
            "superd's own limits hold for every service as well: 256 connections, 64 of them from one source "
            "(max_connections, max_connections_per_source)."
        )
    said.append(
        "Programs inherited the old daemon's environment; superd's get a clean one (environment, pass_environment)."
    )
    return tuple(said)
