"""The acceptor: accepts, decides, hands over. Unprivileged from its first instruction.

The master drops the privileges and executes a fresh interpreter with one descriptor, the link; nothing of the
configuration, its secrets or its environment is in this process's memory. All it knows of services arrives as
messages, so start, reload and restart after a crash are one code path.
"""

from __future__ import annotations

import linecache
import os
import resource
import signal
import socket
import sys
import time
from typing import NoReturn

from superd.acceptor.names import Resolver
from superd.acceptor.reserve import Reserve
from superd.errors import SuperdError
from superd.kernel import linux
from superd.kernel.identity import Identity
from superd.kernel.privileges import verify_dropped
from superd.wire.fds import Link
from superd.wire.table import Role


def main() -> NoReturn:
    """Entry of the acceptor's process. Arguments: descriptor of the link, master's pid, uid, gid, groups, from_root."""
    descriptor, parent, uid, gid, groups, from_root = sys.argv[1:7]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the master's business
    linux.set_process_title("superd: acceptor")
    linux.set_dumpable(False)
    if os.getppid() != int(parent):
        sys.exit("superd: the master is gone")
    identity = Identity(
        int(uid), int(gid), tuple(int(group) for group in groups.split(",") if group), "superd", "/", ""
    )
    try:
        verify_dropped(identity, from_root=from_root == "1")
    except SuperdError as error:
        sys.exit(f"superd: the acceptor kept a privilege: {error}")
    import encodings.idna  # noqa: F401  getaddrinfo(3) wants it, and cannot have it later

    import trio  # only now: nothing third-party is ever loaded with a privilege

    from superd.acceptor import sandbox
    from superd.acceptor.serve import Acceptor

    lacking = [sandbox.give_up_files()]
    resolver = Resolver()  # threads, and the last
    # It starts nothing; and what somebody who took it over left behind could attack the next one, of the same user.
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    lacking.append(sandbox.give_up_calls())
    link = Link(socket.socket(fileno=int(descriptor)), Role.ACCEPTOR, Role.MASTER)
    acceptor = Acceptor(link, time.time, resolver, Reserve(), [text for text in lacking if text])
    linecache.clearcache()  # attrs keeps there what it wrote of every class, a megabyte
    trio.run(acceptor.serve, restrict_keyboard_interrupt_to_checkpoints=True)
    sys.exit(0)
