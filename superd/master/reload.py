"""What a new configuration changes: pure. Which services stay, go, come and change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from superd.config.model import Service

MAX_LINES, MAX_LINE_CHARS = 150, 4000
"""Of what a reload tells. Even if JSON needs six bytes for each character, that fits a ``ReloadResult``."""


@frozen
class Change:
    """The difference between two configurations, by name of service.

    Args:
        kept: the same in both, to the letter.
        changed: in both, with other settings.
        added, removed: in one of them only.
    """

    kept: tuple[str, ...]
    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]

    def __str__(self) -> str:
        parts = (("added", self.added), ("changed", self.changed), ("removed", self.removed))
        told = [f"{word} {', '.join(names)}" for word, names in parts if names]
        told.append(f"{len(self.kept)} unchanged")
        return "; ".join(told)


def compare(old: Mapping[str, Service], new: Mapping[str, Service]) -> Change:
    """Compare the services of two configurations."""
    both = [name for name in new if name in old]
    return Change(
        kept=tuple(name for name in both if new[name] == old[name]),
        changed=tuple(name for name in both if new[name] != old[name]),
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
    )


def brief(lines: Sequence[str]) -> list[str]:
    """As much of what there is to tell about a reload as anybody reads, and as a message surely carries."""
    told = [
        line if len(line) <= MAX_LINE_CHARS else f"{line[:MAX_LINE_CHARS]}…" for line in lines[:MAX_LINES]
    ]
    left = len(lines) - len(told)
    return [*told, f"and {left} more"] if left else told
