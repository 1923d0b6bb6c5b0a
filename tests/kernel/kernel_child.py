"""A piece of a test in a network of its own, and what the kernel says of a process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from helpers.forked import in_child

from superd.kernel import namespaces

T = TypeVar("T")


def in_new_network(function: Callable[[], T]) -> T:
    """As ``in_child``, in a network of its own where only the loopback interface is up."""

    def isolated() -> T:
        namespaces.unshare(namespaces.CLONE_NEWNET)
        namespaces.raise_loopback()
        return function()

    return in_child(isolated)


def proc_status() -> dict[str, list[str]]:
    """Return /proc/self/status by field, as the kernel tells everybody."""
    with open("/proc/self/status", encoding="utf-8") as status:
        fields = (line.partition(":") for line in status)
        return {name: value.split() for name, _, value in fields}
