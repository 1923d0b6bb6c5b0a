"""Why a connection is refused: a closed set, the same word in code, log, status and man page."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    """Why a connection is refused; in the order in which the engine asks."""

    LOOP = "loop"  # a datagram whose source answers by itself: the two would talk for ever
    ADDRESS = "address"  # [access] allow and deny
    HOSTS_ACCESS = "hosts-access"  # hosts.allow and hosts.deny
    HOURS = "hours"  # [access] hours
    PROXY_HEADER = "proxy-header"  # the PROXY header is missing, faulty or late
    PENALTY = "penalty"  # its source is being penalised
    LOAD = "load"  # [limits] max_load
    SOURCE_CONNECTIONS = "source-connections"  # [limits] max_connections_per_source
    SOURCE_RATE = "source-rate"  # [limits] rate_per_source
    CONNECTIONS = "connections"  # [limits] max_connections
    RATE = "rate"  # [limits] rate
    TOTAL_CONNECTIONS = "total-connections"  # [superd] max_connections

    __hash__ = str.__hash__  # Enum's is a Python function; a refusal is looked up and counted by its reason


OF_ACCESS = frozenset({Reason.LOOP, Reason.ADDRESS, Reason.HOSTS_ACCESS, Reason.HOURS})
"""Answered with ``banner_denied``; the rest, a PROXY header apart, with ``banner_limited``."""

MEANINGS: Mapping[Reason, str] = {
    Reason.LOOP: "The datagram comes from a port that answers by itself, and the two would talk for ever.",
    Reason.ADDRESS: "deny names the client, or allow does not.",
    Reason.HOSTS_ACCESS: "hosts.allow and hosts.deny do not let it in.",
    Reason.HOURS: "The service is closed at this time.",
    Reason.PROXY_HEADER: "The PROXY header that a proxy must send is missing, faulty or late.",
    Reason.PENALTY: "Its source was over its rate, or is in debt for what its children did.",
    Reason.LOAD: "The load average is above max_load.",
    Reason.SOURCE_CONNECTIONS: "Its source has max_connections_per_source connections.",
    Reason.SOURCE_RATE: "Its source comes faster than rate_per_source.",
    Reason.CONNECTIONS: "The service has max_connections connections.",
    Reason.RATE: "The service is asked for faster than rate.",
    Reason.TOTAL_CONNECTIONS: "All services together have the max_connections of [superd].",
}
"""What each of them says, in a sentence: the man page's text."""
