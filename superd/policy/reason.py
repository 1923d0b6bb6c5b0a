"""Why a connection is refused: a closed set, the same word in code, log, status and man page."""

from __future__ import annotations

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


OF_ACCESS = frozenset({Reason.LOOP, Reason.ADDRESS, Reason.HOSTS_ACCESS, Reason.HOURS})
"""Answered with ``banner_denied``; the rest, a PROXY header apart, with ``banner_limited``."""
