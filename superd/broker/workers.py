"""Threads for what strangers can make last: one a user at the most.

A descriptor that somebody else sent is in his power. Closing it may wait (SO_LINGER on a connection that stands still;
a file system of his own), and so may bind, for the lock of a socket that he uses at the same time. So the broker itself
touches none, and reads and closes no connection that may hold one: all that is done by the user's own worker, and only
his other requests wait for it.
"""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable

from superd.errors import Exit

Task = Callable[[], object]

MOST_WORKERS = 64
"""Users that are served at the same moment."""

CLOSER = -1
"""In place of a uid: closes what nobody else is there to close. It is always there."""

IDLE_S = 5.0
NUDGE = signal.SIGUSR1
"""Ends the wait of a worker in a close that lingers (tcp(7)); its handler does nothing."""


class _Worker:
    def __init__(self) -> None:
        self.tasks: deque[Task] = deque()
        self.thread: threading.Thread | None = None
        self.done = 0  # tasks, so that one may see whether it gets on


class Workers:
    """The workers, by user."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._workers: dict[int, _Worker] = {}
        self._seen: dict[int, int] = {}
        signal.signal(NUDGE, lambda *_: None)

    def submit(self, uid: int, task: Task) -> bool:
        """Have a user's worker do something, after all that it has to do.

        Returns:
            False: he has none, and there are too many already.
        """
        with self._changed:
            worker = self._workers.get(uid)
            if worker is None:
                if len(self._workers) >= MOST_WORKERS and uid != CLOSER:
                    return False
                worker = self._workers[uid] = _Worker()
                worker.thread = threading.Thread(target=self._work, args=(uid, worker), daemon=True)
                worker.thread.start()
            worker.tasks.append(task)
            self._changed.notify_all()
        return True

    def nudge(self) -> None:
        """Wake those up that have been at one task since the last time."""
        with self._changed:
            now = {uid: worker.done for uid, worker in self._workers.items() if worker.tasks}
            stuck = [self._workers[uid] for uid, done in now.items() if self._seen.get(uid) == done]
            self._seen = now
        for worker in stuck:
            if worker.thread is not None and worker.thread.ident is not None and worker.thread.is_alive():
                signal.pthread_kill(worker.thread.ident, NUDGE)

    @property
    def busy(self) -> bool:
        """Whether any has something to do."""
        with self._changed:
            return any(worker.tasks for worker in self._workers.values())

    def _work(self, uid: int, worker: _Worker) -> None:
        while True:
            with self._changed:
                if not worker.tasks and not self._changed.wait_for(lambda: bool(worker.tasks), IDLE_S):
                    del self._workers[uid]
                    return
                task = worker.tasks[0]  # it counts as waiting until it is done
            try:
                task()
            except BaseException:  # noqa: BLE001  a defect of ours: nobody would wait for this thread
                traceback.print_exc()
                os._exit(Exit.SOFTWARE)
            with self._changed:
                worker.tasks.popleft()
                worker.done += 1
