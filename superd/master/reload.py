"""What a new configuration changes: pure. Which services stay, go, come and change."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from attrs import evolve, frozen

from superd.config.model import Service

_POLICY = ("limits", "access", "proxy_protocol", "banner")
"""What is told again where it changes, and concerns nothing that runs."""

MAX_LINES, MAX_LINE_CHARS = 150, 4000
"""Of what a reload tells. Even if JSON needs six bytes for each character, that fits a ``ReloadResult``."""


@frozen
class Change:
    """The difference between two configurations, by name of service.

    Args:
        kept: the same in both, to the letter, and in what they name.
        retuned: in both, with other limits, access, proxy_protocol or banner alone: nothing that runs need notice.
        changed: in both, with other settings; or what they name has changed, such as their user's groups.
        added, removed: in one of them only.
    """

    kept: tuple[str, ...]
    retuned: tuple[str, ...]
    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]

    def __str__(self) -> str:
        parts = (
            ("added", self.added),
            ("changed", self.changed),
            ("retuned", self.retuned),
            ("removed", self.removed),
        )
        told = [f"{word} {', '.join(names)}" for word, names in parts if names]
        told.append(f"{len(self.kept)} unchanged")
        return "; ".join(told)


def compare(old: Mapping[str, Service], new: Mapping[str, Service], outdated: Container[str] = ()) -> Change:
    """Compare the services of two configurations.

    Args:
        outdated: names of services that count as changed even where their settings are the same.
    """
    both = [name for name in new if name in old]
    sound = [name for name in both if name not in outdated]
    kept = {name: None for name in sound if new[name] == old[name]}
    retuned = {
        name: None for name in sound if name not in kept and _differ_in_policy_alone(old[name], new[name])
    }
    return Change(
        kept=tuple(kept),
        retuned=tuple(retuned),
        changed=tuple(name for name in both if name not in kept and name not in retuned),
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
    )


def _differ_in_policy_alone(old: Service, new: Service) -> bool:
    policy = {name: getattr(new, name) for name in _POLICY}
    return evolve(old, **policy) == new


def brief(lines: Sequence[str]) -> list[str]:
    """As much of what there is to tell about a reload as anybody reads, and as a message surely carries."""
    told = [
        line if len(line) <= MAX_LINE_CHARS else f"{line[:MAX_LINE_CHARS]}…" for line in lines[:MAX_LINES]
    ]
    left = len(lines) - len(told)
    return [*told, f"and {left} more"] if left else told
