"""What a spawner that died leaves behind, where its service limits how long a program may run.

A spawner counts the time of its children and adopts what they leave (policy/strays.py). A child has its user and may
kill it, and would then have all the time there is. So the master, which is the next to adopt them, gives all that is
left from that moment on as long as a child has from its start, and then ends it. It tells them by their user.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress

from superd.config.model import INFINITY, Service
from superd.kernel.offspring import open_children, open_proc, read_children
from superd.master.loop import Loop, Timer
from superd.policy.strays import Strays

_REAL_UID = re.compile(rb"^Uid:\s+(\d+)", re.MULTILINE)


class Orphans:
    """Keeps the time of processes that lost their spawner.

    Args:
        is_ours: whether a pid is the acceptor's or a spawner's.
    """

    def __init__(self, loop: Loop, is_ours: Callable[[int], bool]) -> None:
        self._loop = loop
        self._is_ours = is_ours
        self._groups: dict[tuple[str, int], Strays] = {}
        self._list: int | None = None
        self._timer: Timer | None = None

    def spawner_died(self, service: Service, uid: int) -> None:
        """All that it had started, and that lives, has been adopted by this process."""
        if service.runtime_max_s == INFINITY or not self._can_list():
            return
        made = Strays(service.runtime_max_s, service.timeout_stop_s, service.kill_signal)
        self._groups.setdefault((service.name, uid), made).ended(time.monotonic())
        self._look()

    def _can_list(self) -> bool:
        """Open the list of children, which a master needs that has lost a spawner, and few ever do."""
        if self._list is None and (proc := open_proc()) is not None:
            self._list = open_children(proc)
            os.close(proc)
        return self._list is not None

    def _look(self) -> None:
        now = time.monotonic()
        adopted = [pid for pid in read_children(self._list or 0) if not self._is_ours(pid)]
        users = {pid: _user(pid) for pid in adopted}
        for (name, uid), group in list(self._groups.items()):
            for pid, number in group.look(now, [pid for pid in adopted if users[pid] == uid]):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            if not group:
                del self._groups[name, uid]
        dues = [due for group in self._groups.values() if (due := group.due(living=False)) is not None]
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.after(min(dues) - now, self._look) if dues else None


def _user(pid: int) -> int:
    """The user of a process; -1 when it has just ended."""
    try:
        with open(f"/proc/{pid}/status", "rb") as status:
            found = _REAL_UID.search(status.read())
    except (FileNotFoundError, ProcessLookupError):
        return -1
    return int(found[1]) if found else -1
