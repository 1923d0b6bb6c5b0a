"""Telling a service manager how we are: systemd's notification protocol, sd_notify(3)."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Sends states to NOTIFY_SOCKET; says nothing where there is none.

    Args:
        environ: superd's environment; the socket's name is taken out of it, so that no child ever has it.

    Attributes:
        watchdog_s: how often, in seconds, to say that all is well; 0: nobody wants to know.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self.watchdog_s = _watchdog_s(environ) if path else 0.0

    def send(self, *states: str) -> None:
        """Send lines such as ``READY=1``. A manager that does not listen is no reason to fail."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.sendto("\n".join(states).encode(), socket.MSG_DONTWAIT, self._address)
        except OSError:
            return

    def ready(self, services: int) -> None:
        self.send("READY=1", f"STATUS=serving {services} services", f"MAINPID={os.getpid()}")

    def reloading(self) -> None:
        self.send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        self.send("STOPPING=1")

    def alive(self) -> None:
        self.send("WATCHDOG=1")


def _watchdog_s(environ: Mapping[str, str]) -> float:
    """Half of what the manager waits before it takes this process for stuck. Source: sd_watchdog_enabled(3)."""
    wanted, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not (wanted.isascii() and wanted.isdigit()) or pid not in ("", str(os.getpid())):
        return 0.0
    return int(wanted) / 2_000_000
