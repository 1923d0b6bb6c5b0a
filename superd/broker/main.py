"""The broker: binds ports that are granted, and can do nothing else.

Its one capability is CAP_NET_BIND_SERVICE; its user has nothing and is nobody else's. Whoever may kill the acceptor
therefore cannot kill this, nor the other way round. As the acceptor it is a fresh interpreter: nothing of the
configuration but the grants is in its memory.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import time
from typing import NoReturn

from superd.broker.serve import Broker
from superd.broker.workers import MOST_WORKERS
from superd.errors import SuperdError
from superd.kernel import linux
from superd.kernel.identity import Identity
from superd.kernel.privileges import verify_all_but
from superd.wire.fds import Link
from superd.wire.table import Role

_THREADS = MOST_WORKERS + 8


def main() -> NoReturn:
    """Entry of the broker's process. Arguments: descriptor of the link, master's pid, uid, gid, groups, from_root."""
    descriptor, parent, uid, gid, groups, _ = sys.argv[1:7]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the master's business
    linux.set_process_title("superd: broker")
    linux.set_dumpable(False)
    if os.getppid() != int(parent):
        sys.exit("superd: the master is gone")
    members = tuple(int(group) for group in groups.split(",") if group)
    try:
        verify_all_but(Identity(int(uid), int(gid), members, uid, "/", ""), linux.CAP_NET_BIND_SERVICE)
    except SuperdError as error:
        sys.exit(f"superd: the broker is not what it should be: {error}")
    resource.setrlimit(resource.RLIMIT_NPROC, (_THREADS, _THREADS))
    link = Link(socket.socket(fileno=int(descriptor)), Role.BROKER, Role.MASTER)
    Broker(link, time.time, time.monotonic_ns).serve()
    sys.exit(0)
