"""What was counted of a service, as text: the part of a note for the next acceptor that changes all the time. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from attrs import field, frozen

from superd.policy.reason import Reason

_MOST = 2**53
"""No count is higher: whole numbers of JSON are exact up to there."""


@frozen
class Counts:
    """How many were accepted, and refused for which reason, since superd started."""

    accepted: int = 0
    refused: Mapping[str, int] = field(factory=dict)

    def __str__(self) -> str:
        return json.dumps({"accepted": self.accepted, "refused": dict(self.refused)})


def parse_counts(text: str) -> Counts:
    """What ``str`` of counts gives.

    Raises:
        ValueError: it is nothing of the kind. An acceptor that somebody had taken over may have left anything.
    """
    try:
        found = json.loads(text)
        refused = {Reason(reason).value: _count(count) for reason, count in found["refused"].items()}
        return Counts(_count(found["accepted"]), refused)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"no counts: {error}") from error


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise ValueError("not a count")
    return value
