"""Traffic of one service as its log tells it: what happened, when and to whom, in few bytes. Pure.

A day may hold millions of connections, so each happening is a row of numbers in arrays, some 22 bytes, and becomes an
object only while it is looked at. Any number of logs may be added in any order: they are merged by time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from enum import IntEnum
from statistics import median
from typing import NamedTuple

from superd.policy.decision import UNIX
from superd.policy.networks import parse_address
from superd.policy.outcome import Outcome
from superd.policy.reason import Reason
from superd.policy.rules import NS_PER_S

UNIX_PREFIX = "uid:"
"""What the source of a client on a unix socket begins with; its user's number follows."""


class Kind(IntEnum):
    """What happened."""

    OPEN = 0  # a connection was open when the log began
    CONNECTION = 1  # one was given to a child
    REFUSED = 2  # one was turned away
    END = 3  # a child ended
    START = 4  # an instance was started


Detail = Outcome | Reason | None
_DETAILS: tuple[Detail, ...] = (None, *Outcome, *Reason)
_CODES = {detail: code for code, detail in enumerate(_DETAILS)}
_NOBODY = (UNIX, 0)
_MOST_TIME = 1 << 63
_MOST_ID = 1 << 64


class Happening(NamedTuple):
    """One thing that happened.

    Args:
        time: in nanoseconds since the epoch.
        kind: what it was.
        version, value: the client, as ``decision.Client`` has it; without meaning for a start.
        id: the connection's, which its end repeats; 0 where it has none.
        detail: the Outcome of an end, the Reason of a refusal.
    """

    time: int
    kind: Kind
    version: int
    value: int
    id: int = 0
    detail: Detail = None


def parse_client(source: str) -> tuple[int, int]:
    """Version and value of a client: an address, or ``uid:1000``.

    Raises:
        ValueError: it is neither.
    """
    if not source.startswith(UNIX_PREFIX):
        return parse_address(source)
    uid = source.removeprefix(UNIX_PREFIX)
    if not (uid.isascii() and uid.isdigit()):
        raise ValueError(f"not the number of a user: {uid}")
    return UNIX, int(uid)


class Traffic:
    """Happenings of one service; add them, then look at them as often as you like."""

    def __init__(self, happenings: Iterable[Happening] = ()) -> None:
        self._times = array("q")
        self._kinds = array("b")
        self._details = array("b")
        self._clients = array("I")
        self._ids = array("Q")
        self._known = [_NOBODY]  # every client once; the arrays hold its place here
        self._places: dict[str, int] = {}  # by the text of a source
        self._stays = array("d")
        self._is_sorted = True
        self._latest = 0
        for one in happenings:
            self._append(one.time, one.kind, self._place((one.version, one.value)), one.id, one.detail)

    def __len__(self) -> int:
        return len(self._times)

    def add(self, time: int, kind: Kind, source: str, id_: int = 0, detail: Detail = None) -> None:
        """Take one happening.

        Args:
            time: in nanoseconds since the epoch.
            source: an address or ``uid:1000``; empty for a start.
            id_: 0 to 2**64 - 1.

        Raises:
            ValueError: there is no such source, id or time.
        """
        if not 0 <= time < _MOST_TIME or not 0 <= id_ < _MOST_ID:
            raise ValueError("a time or an id out of range")
        place = self._places.get(source)
        if place is None:
            place = self._places[source] = self._place(parse_client(source)) if source else 0
        self._append(time, kind, place, id_, detail)

    def lasted(self, seconds: float) -> None:
        """Take how long one child ran."""
        self._stays.append(seconds)

    def _place(self, client: tuple[int, int]) -> int:
        self._known.append(client)
        return len(self._known) - 1

    def _append(self, time: int, kind: Kind, place: int, id_: int, detail: Detail) -> None:
        if time < self._latest:
            self._is_sorted = False
        self._latest = time
        self._times.append(time)
        self._kinds.append(kind)
        self._clients.append(place)
        self._ids.append(id_)
        self._details.append(_CODES[detail])

    @property
    def period(self) -> tuple[int, int]:
        """When the first and the last thing happened, in nanoseconds since the epoch; zeros when nothing did."""
        self._sort()
        return (self._times[0], self._times[-1]) if self._times else (0, 0)

    @property
    def stay_ns(self) -> int:
        """How long a child runs: the median of those that ended; 0 when none did."""
        return round(median(self._stays) * NS_PER_S) if self._stays else 0

    def __iter__(self) -> Iterator[Happening]:
        """All of them by time, those of one time as they were added; first the connections that were open before."""
        self._sort()
        yield from self._open_before()
        kinds, known = tuple(Kind), self._known
        rows = zip(self._times, self._kinds, self._clients, self._ids, self._details, strict=True)
        for time, kind, place, id_, detail in rows:
            version, value = known[place]
            yield Happening(time, kinds[kind], version, value, id_, _DETAILS[detail])

    def _sort(self) -> None:
        if self._is_sorted:
            return
        order = array("Q", sorted(range(len(self._times)), key=self._times.__getitem__))
        for name in ("_times", "_kinds", "_clients", "_ids", "_details"):
            column = getattr(self, name)
            setattr(self, name, array(column.typecode, (column[index] for index in order)))
        self._is_sorted = True

    def _open_before(self) -> Iterator[Happening]:
        """A connection for every end that has none."""
        begun: set[int] = set()
        for kind, place, id_ in zip(self._kinds, self._clients, self._ids, strict=True):
            if kind == Kind.CONNECTION:
                begun.add(id_)
            elif kind == Kind.END and place:
                if id_ not in begun:
                    yield Happening(self._times[0], Kind.OPEN, *self._known[place], id_)
                begun.discard(id_)
