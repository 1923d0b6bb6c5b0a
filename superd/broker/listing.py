"""What somebody may bind, as ``superctl grants`` asks it."""

from __future__ import annotations

import json
from collections.abc import Iterable

import attrs

from superd.bind import MAX_ANSWER_BYTES
from superd.policy.grants import Grant, grants_of

_ROOM_BYTES = MAX_ANSWER_BYTES - 4096


def listing(grants: Iterable[Grant], uid: int, gids: frozenset[int]) -> str:
    """The grants of a user, or all of them for root, as JSON: ``{"grants": […], "more": N}``, as many as fit."""
    wanted = [_told(grant) for grant in (grants if uid == 0 else grants_of(grants, uid, gids))]
    room, fitting = _ROOM_BYTES, 0
    for told in wanted:
        room -= len(told) + 1
        fitting += room >= 0
    return f'{{"grants":[{",".join(wanted[:fitting])}],"more":{len(wanted) - fitting}}}'


def _told(grant: Grant) -> str:
    told = attrs.asdict(grant, recurse=False) | {"ports": [str(ports) for ports in grant.ports]}
    return json.dumps(told, separators=(",", ":"))
