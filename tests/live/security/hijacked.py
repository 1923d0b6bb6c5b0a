"""superd with an acceptor that somebody has taken over: what it does is the test's.

The master starts it as it starts every acceptor, and knows no better. It is given the link and nothing else.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import Superd, wait_until, written

import superd

from .hostile import ATTEMPT

REAL = Path(superd.__file__).parent

LAUNCHER = """
    import sys
    from superd.cli.superd import main
    from superd.master import births
    births.PACKAGE_PARENT = sys.argv[1]
    sys.exit(main(sys.argv[-2:]))
"""

PRELUDE = (
    ATTEMPT
    + '''
import select, time
from superd.kernel import linux
from superd.wire.fds import Link
from superd.wire.messages import *
from superd.wire.datagrams import *
from superd.wire.policies import Keep
from superd.wire.table import Role

sock = socket.socket(fileno=3)
link = Link(sock, Role.ACCEPTOR, Role.MASTER)
told = []

def listen(until):
    """Take what the master says, answering its pings, up to a message of that kind."""
    while True:
        select.select([link], [link] if link.wants_write else [], [])
        link.flush()
        for received in link.receive():
            if isinstance(received.message, Ping):
                link.post(Pong(received.message.number))
            told.append((received.message, received.descriptors))
        if any(isinstance(message, until) for message, _ in told):
            return

def answer_of(other):
    """What another socket has to say, while the master's pings are answered."""
    while not select.select([other], [], [], 0.05)[0]:
        for received in link.receive():
            if isinstance(received.message, Ping):
                link.post(Pong(received.message.number))
    return other.recv(100).decode()

def report(**facts):
    os.write(2, json.dumps(facts).encode() + b"\\n")

def begin():
    listen(Serve)
    link.post(Ready())

def linger():
    while True:
        listen(Stop)
        link.post(Stopped())
        told.clear()

def main():
    linux.set_process_title("superd: acceptor")
'''
)


class Hijacked(Superd):
    """superd, and what its acceptor reports of what it has done."""

    def reported(self) -> dict[str, Any]:
        """What the acceptor reports; waits for it."""

        def look() -> dict[str, Any]:
            for line in self.stderr.read_text().splitlines():
                if line.startswith("{"):
                    found: dict[str, Any] = json.loads(line)
                    return found
            assert not self.log_events("acceptor"), "it was ended"
            return {}

        return wait_until(look, "the acceptor's report")


@contextmanager
def hijacked(folder: Path, services: str, program: str) -> Iterator[Hijacked]:
    """superd, its acceptor running the lines of ``program``.

    Args:
        folder: every user can enter it.
        program: begins after the master has told all, and said ``Serve``.
    """
    package = folder / "hijacked"
    for part, real in (("superd", REAL), ("superd/acceptor", REAL / "acceptor")):
        written(package / part / "__init__.py", f"__version__ = 'x'\n__path__.append({str(real)!r})\n")
    body = textwrap.indent(textwrap.dedent(program).strip(), "    ")
    written(package / "superd" / "acceptor" / "main.py", f"{PRELUDE}    begin()\n{body}\n    linger()\n")
    launcher = written(folder / "launcher", LAUNCHER)
    with Hijacked(services, prefix=[sys.executable, str(launcher), str(package)]) as made:
        yield made
