"""What a figure of a replay shows, whatever draws it. Pure but for the local time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from attrs import frozen

from superd.cli.account import Account
from superd.policy.rules import NO_RATE, NS_PER_S, UNLIMITED, Limits
from superd.units import format_duration

_IN_SIGHT = 1.6  # a limit further above what happened than that would press it flat


@frozen
class Cut:
    """Where a setting cuts.

    Args:
        label: the setting, ``max_connections = 64``.
        height: on the axis that it belongs to.
        is_suggested: it is only a proposal.
    """

    label: str
    height: float
    is_suggested: bool = False


@frozen
class Panel:
    """Two lines over time, one value a slot.

    Args:
        title: what is counted, with its unit.
        then, now: before the rules that were replayed, and with them; and what each is called.
        cuts: those that are in sight.
        out_of_sight: the labels of the others, which are far above.
    """

    title: str
    then_name: str
    then: Sequence[int]
    now_name: str
    now: Sequence[int]
    cuts: tuple[Cut, ...]
    out_of_sight: tuple[str, ...]


@frozen
class Picture:
    """Two panels over the same time.

    Args:
        begins: of each slot, in seconds since the epoch.
        slot_s: how long each is.
    """

    title: str
    begins: tuple[int, ...]
    slot_s: int
    connections: Panel
    open: Panel


def picture_of(account: Account) -> Picture:
    """What is to be drawn of a replay."""
    timeline = account.result.timeline
    slots, slot_s = timeline.slots, timeline.slot_ns // NS_PER_S
    every = [(account.rules.limits, False)]
    if account.suggestion is not None:
        every.append((account.suggestion.limits, True))
    rates = [cut for limits, is_new in every for cut in _rate_cuts(limits, slot_s, is_new)]
    mosts = [cut for limits, is_new in every for cut in _most_cuts(limits, is_new)]
    came, open_then = [slot.came for slot in slots], [slot.open_then for slot in slots]
    return Picture(
        _title(account),
        tuple(timeline.begin(index) // NS_PER_S for index in range(len(slots))),
        slot_s,
        Panel(
            f"connections in {format_duration(slot_s)}",
            "came",
            came,
            "admitted",
            [slot.admitted for slot in slots],
            *_in_sight(rates, came),
        ),
        Panel(
            "connections open at once",
            "in the log",
            open_then,
            "replayed",
            [slot.open for slot in slots],
            *_in_sight(mosts, open_then),
        ),
    )


def _title(account: Account) -> str:
    result = account.result
    begin, end = (time.localtime(time_ns // NS_PER_S) for time_ns in account.traffic.period)
    layout = "%Y-%m-%d"
    days = dict.fromkeys((time.strftime(layout, begin), time.strftime(layout, end)))
    refused = result.replayed.refused.total()
    return (
        f"{account.service}, {' to '.join(days)}: {result.replayed.admitted:,} admitted, {refused:,} refused"
    )


def _in_sight(cuts: Sequence[Cut], values: Sequence[int]) -> tuple[tuple[Cut, ...], tuple[str, ...]]:
    """The cuts that can be drawn together with the values, and the labels of the others."""
    most = max(values, default=0)
    seen = tuple(cut for cut in cuts if cut.height <= most * _IN_SIGHT)
    return seen, tuple(cut.label for cut in cuts if cut not in seen)


def _rate_cuts(limits: Limits, slot_s: int, is_suggested: bool) -> Iterator[Cut]:
    if limits.rate == NO_RATE:
        return
    per_slot = limits.rate.count * slot_s * NS_PER_S / limits.rate.period_ns
    yield Cut(
        _label(f"rate = {per_slot:g} in {format_duration(slot_s)}", is_suggested), per_slot, is_suggested
    )


def _most_cuts(limits: Limits, is_suggested: bool) -> Iterator[Cut]:
    if limits.max_connections != UNLIMITED:
        label = _label(f"max_connections = {limits.max_connections}", is_suggested)
        yield Cut(label, limits.max_connections, is_suggested)


def _label(text: str, is_suggested: bool) -> str:
    return f"suggested {text}" if is_suggested else text
