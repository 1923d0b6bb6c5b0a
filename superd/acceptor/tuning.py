"""What was changed on the live system: a value that stands in the note for the next acceptor. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, frozen

MAX_NOTE_BYTES = 60 * 1024
"""Of what the master keeps of a service (``Keep``), quoted as the wire has it; the rest is for counts."""

_LAST = 2.0**53
"""No time is later, in seconds since the epoch."""


@frozen
class Passing:
    """A value that holds for a while, until ``until`` (seconds since the epoch)."""

    value: object
    until: float


@frozen
class Tuning:
    """Values above those of the configuration, by key (``limits.rate``), as TOML has them.

    Args:
        lasting: until superd ends.
        saved: the keys of those that were also written into the configuration, which holds them once it is read.
        passing: for a while; above the lasting ones.
    """

    lasting: Mapping[str, object] = field(factory=dict)
    saved: frozenset[str] = frozenset()
    passing: Mapping[str, Passing] = field(factory=dict)

    def __bool__(self) -> bool:
        return bool(self.lasting or self.passing)

    @property
    def values(self) -> dict[str, object]:
        """What counts now."""
        return {**self.lasting, **{key: one.value for key, one in self.passing.items()}}

    @property
    def next_end(self) -> float | None:
        """When the next passing value ends; None when none does."""
        return min((one.until for one in self.passing.values()), default=None)

    def set(self, values: Mapping[str, object], until: float | None, *, saved: bool) -> Tuning:
        """The same with other values: lasting ones, or until some time."""
        if until is not None:
            more = {key: Passing(value, until) for key, value in values.items()}
            return evolve(self, passing={**self.passing, **more})
        return Tuning(
            {**self.lasting, **values},
            self.saved | values.keys() if saved else self.saved - values.keys(),
            {key: one for key, one in self.passing.items() if key not in values},
        )

    def at(self, now: float) -> Tuning:
        """Without what is over by then."""
        if not self.passing:
            return self
        return evolve(self, passing={key: one for key, one in self.passing.items() if now < one.until})

    def unsaved(self) -> Tuning:
        """Without what the configuration holds by now."""
        lasting = {key: value for key, value in self.lasting.items() if key not in self.saved}
        return Tuning(lasting, frozenset(), self.passing)

    def note(self) -> str:
        """As text; empty when there is nothing to say."""
        return json.dumps(self.as_dict()) if self else ""

    @property
    def note_bytes(self) -> int:
        """How long the note is on the wire."""
        return len(json.dumps(self.note()))

    def as_dict(self) -> dict[str, Any]:
        return {
            "lasting": dict(self.lasting),
            "saved": sorted(self.saved),
            "passing": {key: [one.value, one.until] for key, one in self.passing.items()},
        }


UNTUNED = Tuning()
"""Nothing was changed."""


def parse_note(text: str) -> Tuning:
    """What ``Tuning.note`` wrote.

    Raises:
        ValueError: it is no note. An acceptor that somebody had taken over may have left anything.
    """
    if not text:
        return UNTUNED
    try:
        note = json.loads(text)
        lasting, saved, passing = note["lasting"], note["saved"], note["passing"]
        if not (
            isinstance(lasting, dict)
            and isinstance(saved, list)
            and all(isinstance(one, str) for one in saved)
        ):
            raise TypeError("other types than in a note")
        held = {key: _passing(*pair) for key, pair in passing.items()}
        return Tuning(lasting, frozenset(saved), held)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a note: {error}") from error


def _passing(value: object, until: object) -> Passing:
    if isinstance(until, bool) or not isinstance(until, int | float) or not 0 <= until <= _LAST:
        raise ValueError("no time")
    return Passing(value, float(until))
