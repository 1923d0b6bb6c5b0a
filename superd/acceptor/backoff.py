"""How long to wait before something that failed is tried again; pure."""

from __future__ import annotations

FIRST_S = 0.1
LAST_S = 30.0
QUICK_S = 1.0
QUICK_ENDS = 5


def delay(failures: int) -> float:
    """Seconds to wait after that many failures in a row: 100 ms, doubling to 30 s; 0 after none."""
    if failures <= 0:
        return 0.0
    return float(min(LAST_S, FIRST_S * 2 ** min(failures - 1, 16)))


class InstanceBackoff:
    """When a wait or always instance may be started again.

    A failure is backed off, and so is the fifth end in a row within a second of its start: a program that
    leaves without taking what woke it would be started again for ever. A single quick success never is: that
    is how ``wait`` programs end.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._quick = 0

    def ended(self, lasted_s: float, failed: bool) -> float:
        """An instance ended; returns the seconds to wait before the next."""
        quick = lasted_s < QUICK_S
        self._quick = self._quick + 1 if quick else 0
        if lasted_s > LAST_S:
            self._failures = 0
        if failed or self._quick >= QUICK_ENDS:
            self._failures += 1
        elif not quick:
            self._failures = 0
        else:
            return 0.0
        return delay(self._failures)
