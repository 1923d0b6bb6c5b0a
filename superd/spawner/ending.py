"""Ending children: those that are known, and what they leave behind."""

from __future__ import annotations

import math
import os
import signal
import time
from contextlib import suppress

from superd.config.model import INFINITY, Service
from superd.kernel import linux
from superd.kernel.offspring import open_children, open_proc, read_children
from superd.policy.strays import Strays
from superd.spawner.children import Children

LONGEST_WAIT_S = 3600.0
"""For a child of an unbounded ``timeout_stop``: sigtimedwait(2) knows no infinity."""

ROUNDS = 64
"""How often in one turn to look for what was forked while its parent was being killed."""


def kill_group(pid: int, number: int) -> None:
    """Signal the session that a child leads, or the child alone before it has become a leader."""
    for target in (-pid, pid):
        try:
            os.kill(target, number)
        except ProcessLookupError:
            continue
        except PermissionError:
            return  # it has changed its user: only the kernel's own rules reach it now
        return


def end_instances(children: Children, service: Service) -> None:
    """Kill signal, ``timeout_stop`` to obey it, then SIGKILL."""
    for child in children.all():
        kill_group(child.pid, service.kill_signal)
    deadline = time.monotonic() + service.timeout_stop_s if service.timeout_stop_s >= 0 else math.inf
    while len(children) and (left := deadline - time.monotonic()) > 0:
        if not children.reap(time.monotonic()):
            signal.sigtimedwait({signal.SIGCHLD}, min(left, LONGEST_WAIT_S))
    for child in children.all():
        kill_group(child.pid, signal.SIGKILL)


def outlive(children: Children, service: Service) -> None:
    """Wait until the last child has ended, and hold nothing meanwhile: for the init of a pid namespace."""
    linux.set_process_title(f"superd-init {service.name}")
    linux.close_range(3)
    while len(children):
        if not children.reap(time.monotonic()):
            try:
                os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            except ChildProcessError:  # the caller of a handler had collected some, and is gone
                return


class Adoption:
    """A spawner as the parent of all that its children leave behind (strays.py).

    Args:
        children: descriptor of the list of this process's children.
    """

    def __init__(self, service: Service, children: int) -> None:
        self.strays = Strays(service.runtime_max_s, service.timeout_stop_s, service.kill_signal)
        self._list = children
        linux.set_child_subreaper()

    def due(self, children: Children) -> float | None:
        """When to look for strays; None while there can be none."""
        return self.strays.due(living=len(children) > 0)

    def tend(self, children: Children, now: float) -> None:
        """Signal the strays whose time is over, if it is time to look for them. They are reaped as all others are."""
        due = self.due(children)
        if due is None or due > now:
            return
        killed: set[int] = set()
        for _ in range(ROUNDS):
            pids = [pid for pid in read_children(self._list) if not children.has(pid)]
            signals = self.strays.look(now, pids, children.oldest)
            for pid, number in signals:
                with suppress(ProcessLookupError, PermissionError):  # it ended, or has changed its user
                    os.kill(pid, number)
            dying = {pid for pid, number in signals if number == signal.SIGKILL}
            if dying <= killed:
                return
            killed |= dying


def adopt(service: Service, proc: int | None) -> Adoption | None:
    """Adopt what is orphaned below this process, where its time is limited and the kernel tells what that is.

    Args:
        proc: of ``adoption_wants``; it is closed.
    """
    if proc is None:
        return None
    children = open_children(proc)
    os.close(proc)
    return None if children is None else Adoption(service, children)


def adoption_wants(service: Service) -> int | None:
    """What ``adopt`` has to be given, to be opened while /proc can be reached."""
    return None if service.runtime_max_s == INFINITY else open_proc()
