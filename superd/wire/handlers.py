"""What is said about handlers."""

from __future__ import annotations

from attrs import frozen


@frozen
class HandlerFailed:
    """A spawner's last words instead of ``SpawnerReady``: its handler cannot be imported. ``lines`` are the
    traceback, the last of them the exception."""

    lines: tuple[str, ...]
